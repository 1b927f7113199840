//! The state trait: key-value entries per partition that follow the log.
//!
//! A state is never the truth: what is in it was durable in the log before, and `applied` says how far it has come.
//! Nothing here waits for the disk except `checkpoint`.

use crate::log::Lsn;

/// An entry: key and value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Entries in ascending order of their keys.
pub type StateIter<'a> = Box<dyn Iterator<Item = Result<Entry, StateError>> + Send + 'a>;

/// A write: a key with its new value, or `None` to delete it.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// Key-value state of the partitions of one node.
pub trait State: Send + Sync {
    /// Takes over the writes of one partition together with its applied position: all of it or none, unsynced.
    ///
    /// Of several writes to one key the last one holds. `applied` must not be below the present one
    /// ([`StateError::Backwards`]).
    fn apply(&self, partition: u16, applied: Lsn, writes: &[Write]) -> Result<(), StateError>;

    /// Says that the partition has no record between its applied position and `to`. Does nothing if it is further.
    fn advance(&self, partition: u16, to: Lsn) -> Result<(), StateError>;

    /// The value of a key.
    fn get(&self, partition: u16, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Ascending scan of `[from, to)`; `to = None`: to the end. Sees one consistent state.
    fn range(&self, partition: u16, from: &[u8], to: Option<&[u8]>) -> Result<StateIter<'_>, StateError>;

    /// How far the partition has come; 0 for a new one.
    fn applied(&self, partition: u16) -> Result<Lsn, StateError>;

    /// Everything applied before the call survives a power failure when it returns.
    fn checkpoint(&self) -> Result<(), StateError>;

    /// A consistent scan of a partition together with the applied position it belongs to.
    fn snapshot(&self, partition: u16) -> Result<Snapshot, StateError>;

    /// Bytes that the state takes, roughly.
    fn size_bytes(&self) -> Result<u64, StateError>;

    /// Number of partitions.
    fn partitions(&self) -> u16;
}

/// One partition at one applied position.
pub struct Snapshot {
    /// The position that the entries belong to.
    pub applied: Lsn,
    /// All entries.
    pub entries: StateIter<'static>,
}

/// What can go wrong with a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The backend failed or found its files damaged. The node ends; the state is rebuilt if it does not open.
    #[error("state: {operation}: {message}")]
    Backend {
        /// What was being done.
        operation: &'static str,
        /// What the backend said.
        message: String,
    },
    /// There is no such partition.
    #[error("partition {partition} does not exist: there are {partitions}")]
    Partition {
        /// The partition asked for.
        partition: u16,
        /// How many there are.
        partitions: u16,
    },
    /// The applied position would go back.
    #[error("partition {partition} is at position {applied}, it cannot go back to {given}")]
    Backwards {
        /// The partition.
        partition: u16,
        /// Where it is.
        applied: Lsn,
        /// Where it was to go.
        given: Lsn,
    },
    /// A key is longer than the state takes.
    #[error("a key of {bytes} bytes is over the limit of {limit}")]
    KeyTooLarge {
        /// Its length.
        bytes: usize,
        /// The longest one allowed.
        limit: usize,
    },
}

/// Refuses keys over the limit, which holds for every backend.
pub(crate) fn check_keys(writes: &[Write]) -> Result<(), StateError> {
    let limit = crate::limits::STATE_KEY_BYTES_MAX;
    match writes.iter().find(|(key, _)| key.len() > limit) {
        Some((key, _)) => Err(StateError::KeyTooLarge { bytes: key.len(), limit }),
        None => Ok(()),
    }
}

/// Refuses an applied position that goes back.
pub(crate) fn check_forward(partition: u16, applied: Lsn, given: Lsn) -> Result<(), StateError> {
    if given < applied { Err(StateError::Backwards { partition, applied, given }) } else { Ok(()) }
}
