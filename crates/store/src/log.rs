//! The log trait: ordered, durable records of one or more partitions; the unit of order, durability and fencing.
//!
//! What is in a record is the engine's business; here it is bytes. Nothing here says how a log is stored.

use std::io;

/// Position of one record in its log. Contiguous from 1; 0 means "nothing yet".
pub type Lsn = u64;

/// Called when the durable watermark has moved (`Ok(new watermark)`), and once when the log has failed.
pub type DurableCallback = Box<dyn FnMut(Result<Lsn, LogError>) + Send>;

/// What [`Log::read`] yields.
pub type LogIter<'a> = Box<dyn Iterator<Item = Result<(Lsn, LogRecord), LogError>> + Send + 'a>;

/// A durable sequence of records with one owner at a time.
pub trait Log: Send + Sync {
    /// Queues records for group commit and returns at once. They get the positions `expected..`, contiguous.
    ///
    /// All or nothing: takes all records out of `records`, or on an error leaves them there, queues none and takes no
    /// position. `expected` must be `tail() + 1` (else [`LogError::Position`]) and `epoch` the sealed one (else
    /// [`LogError::Fenced`]). A record that was queued has room on the disk: running out of space is answered here,
    /// never later.
    fn append(&self, epoch: u64, expected: Lsn, records: &mut Vec<LogRecord>) -> Result<(), LogError>;

    /// The highest position known to be durable. Never goes back.
    fn durable(&self) -> Lsn;

    /// Registers a callback for every move of the watermark and for the failure of the log.
    ///
    /// It runs in the committer's thread, between two commits: it must be short and must not call `close`, `seal` or
    /// `on_durable`. If the log has already failed it is called at once.
    fn on_durable(&self, callback: DurableCallback);

    /// Fences the previous owner: from now on only `new_epoch` may append. Returns the tail, all of it durable.
    ///
    /// Waits for what is queued. `new_epoch` must be above [`Log::epoch`], else [`LogError::Fenced`].
    fn seal(&self, new_epoch: u64) -> Result<Lsn, LogError>;

    /// Still the owner? To be asked before answering from memory alone.
    fn confirm(&self) -> Result<(), LogError>;

    /// The last position given out, durable or not.
    fn tail(&self) -> Lsn;

    /// The sealed epoch; 0 for a log that was never sealed.
    fn epoch(&self) -> u64;

    /// The lowest position that can still be read (`tail() + 1` if there is none).
    fn first(&self) -> Lsn;

    /// Reads the durable records `from..=upto` in order. `upto` beyond the watermark ends at the watermark.
    ///
    /// [`LogError::Trimmed`] if `from` is no longer there. A trim during the iteration yields that error or the
    /// original records, never others.
    fn read(&self, from: Lsn, upto: Lsn) -> Result<LogIter<'_>, LogError>;

    /// Gives up records below `below`. A backend may keep some of them (files recycle whole segments).
    fn trim(&self, below: Lsn) -> Result<(), LogError>;

    /// What this backend can take.
    fn limits(&self) -> LogLimits;

    /// Counters for operators and benchmarks.
    fn stats(&self) -> LogStats;

    /// Is there room for more work? `false`: the disk is full or allocating ahead failed; admission must stop, while
    /// work that is already under way can still be recorded.
    fn has_room(&self) -> bool;

    /// Commits what is queued, covers the last batch and ends. Later appends get [`LogError::Closed`].
    fn close(&self) -> Result<(), LogError>;
}

/// One record: opaque bytes that belong to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// The partition that the record is an input of.
    pub partition: u16,
    /// Its content, at most [`LogLimits::record_bytes_max`] long.
    pub bytes: Vec<u8>,
}

/// What a backend can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Longest record.
    pub record_bytes_max: usize,
    /// Bytes that may be queued before [`LogError::Full`], and at most in one call; framing counts.
    pub queue_bytes_max: usize,
    /// Do the partitions of this log share one sync? (One log for all partitions: yes.)
    pub shares_sync: bool,
}

/// Counters since the log was opened, and its space now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogStats {
    /// Batches written, covering ones included.
    pub batches: u64,
    /// Syncs of segments.
    pub syncs: u64,
    /// Bytes of batches written, framing included.
    pub bytes: u64,
    /// Records committed.
    pub records: u64,
    /// Segments that hold records or may do so at once (the current one included).
    pub segments: usize,
    /// Empty segments ready for use.
    pub segments_ahead: usize,
    /// How allocating ahead goes.
    pub space: Space,
}

/// How allocating ahead goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Space {
    /// Allocated as far ahead as wanted, or on the way there.
    #[default]
    Ready,
    /// The file system is full.
    Full,
    /// Allocating failed for another reason than a full disk.
    Failed,
}

/// What can go wrong with a log. Cloned to everyone who waits for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Another owner, or another epoch of this one, has taken over.
    #[error("fenced: epoch {given} is not the sealed epoch {sealed}")]
    Fenced {
        /// The epoch of the call.
        given: u64,
        /// The epoch of the log.
        sealed: u64,
    },
    /// The caller's idea of the tail is wrong.
    #[error("position {expected} is not the next one, which is {next}")]
    Position {
        /// The position that the caller expected to get.
        expected: Lsn,
        /// The position that comes next.
        next: Lsn,
    },
    /// The queue is at its bound; nothing was queued. Try again when the watermark has moved, or at once if it has
    /// reached the tail in the meantime.
    #[error("the log's queue is full ({queued} bytes wait for the disk)")]
    Full {
        /// Bytes that wait.
        queued: usize,
    },
    /// No space is allocated for these records; nothing was queued.
    #[error("no space left for the log: {needed} bytes needed, {available} allocated")]
    NoSpace {
        /// Bytes that the records may take.
        needed: u64,
        /// Bytes that are allocated and not yet promised.
        available: u64,
    },
    /// A record is longer than the log takes; nothing was queued.
    #[error("a record of {bytes} bytes is over the limit of {limit}")]
    RecordTooLarge {
        /// Its length.
        bytes: usize,
        /// The longest one allowed.
        limit: usize,
    },
    /// One call has more records than the queue ever takes; nothing was queued. Split it.
    #[error("{records} records of {bytes} bytes with their framing are over the limit of {limit} bytes for one append")]
    AppendTooLarge {
        /// Bytes that they may take.
        bytes: usize,
        /// Their number.
        records: usize,
        /// The most that one call may take.
        limit: usize,
    },
    /// The position asked for was recycled.
    #[error("position {from} is no longer in the log, which starts at {first}")]
    Trimmed {
        /// The position asked for.
        from: Lsn,
        /// The first one that is left.
        first: Lsn,
    },
    /// The log has failed: nothing more becomes durable. Never retried; the node ends and recovers.
    #[error("the log failed: {operation} of {file}: {message}")]
    Failed {
        /// What was being done.
        operation: &'static str,
        /// The file it was done to.
        file: String,
        /// What the system said.
        message: String,
    },
    /// A read or a maintenance call failed; the log itself goes on.
    #[error("{operation} of {file}: {message}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The file it was done to.
        file: String,
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// What the system said.
        message: String,
    },
    /// Acknowledged records are damaged or missing. The log does not open.
    #[error("log file {file} is damaged at byte {offset}: {detail}")]
    Damaged {
        /// The segment, or another file of the log.
        file: String,
        /// Where in the file.
        offset: u64,
        /// What was found.
        detail: String,
    },
    /// The files are in a format that this version does not know.
    #[error("log file {file} has format {found}; this version knows up to {known}")]
    Version {
        /// The file.
        file: String,
        /// Its format.
        found: u32,
        /// The newest known one.
        known: u32,
    },
    /// `close` was called.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    /// An input/output error that does not end the log.
    pub(crate) fn io(operation: &'static str, file: &str, error: &io::Error) -> Self {
        Self::Io { operation, file: file.to_owned(), kind: error.kind(), message: error.to_string() }
    }

    /// The same error as the end of the log.
    pub(crate) fn into_failure(self) -> Self {
        match self {
            Self::Io { operation, file, message, .. } => Self::Failed { operation, file, message },
            other => other,
        }
    }
}
