//! The state in fjall: one keyspace per partition, written without sync behind the log's watermark.
//!
//! The applied position lies in the same keyspace and the same batch as the writes it belongs to, so whatever part of
//! the state survives a crash says truly how far it has come. Keys get one byte in front: 0 is ours, 1 the caller's.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use crate::{
    limits::{STATE_JOURNAL_BYTES, STATE_MEMTABLE_BYTES},
    log::Lsn,
    state::{Snapshot, State, StateError, StateIter, Write, check_forward, check_keys},
};

const APPLIED_KEY: [u8; 1] = [0];
const ENTRY_PREFIX: u8 = 1;
/// The first key after all entries.
const ENTRIES_END: [u8; 1] = [ENTRY_PREFIX + 1];

/// State in a directory of fjall.
pub struct FjallState {
    database: Database,
    parts: Vec<Part>,
}

struct Part {
    keyspace: Keyspace,
    /// The applied position; held while it is changed, so that it never goes back.
    applied: Mutex<Lsn>,
}

/// Why the state did not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FjallOpenError {
    /// The files are of no use; they can be replaced.
    #[error("{0}")]
    Damaged(String),
    /// Something else stands in the way; the files may be fine.
    #[error("{0}")]
    Blocked(String),
}

impl FjallState {
    /// Opens the state of a directory, or makes a new one.
    pub(crate) fn open(path: &Path, partitions: u16, cache_bytes: u64) -> Result<Self, FjallOpenError> {
        // Damaged files must not take the process down: a panic inside counts as damage.
        std::panic::catch_unwind(|| Self::open_unguarded(path, partitions, cache_bytes))
            .unwrap_or_else(|_| Err(FjallOpenError::Damaged("the state store panicked while opening".to_owned())))
    }

    fn open_unguarded(path: &Path, partitions: u16, cache_bytes: u64) -> Result<Self, FjallOpenError> {
        let database = Database::builder(path)
            .cache_size(cache_bytes)
            .max_journaling_size(STATE_JOURNAL_BYTES)
            .open()
            .map_err(classify)?;
        let keyspace_options = || KeyspaceCreateOptions::default().max_memtable_size(STATE_MEMTABLE_BYTES);
        let mut parts = Vec::with_capacity(usize::from(partitions));
        for partition in 0..partitions {
            let name = format!("p{partition:05}");
            let keyspace = database.keyspace(&name, keyspace_options).map_err(classify)?;
            let applied = read_applied(keyspace.get(APPLIED_KEY).map_err(classify)?.as_deref())
                .map_err(|error| FjallOpenError::Damaged(error.to_string()))?;
            parts.push(Part { keyspace, applied: Mutex::new(applied) });
        }
        Ok(Self { database, parts })
    }

    fn part(&self, partition: u16) -> Result<&Part, StateError> {
        let partitions = self.partitions();
        self.parts.get(usize::from(partition)).ok_or(StateError::Partition { partition, partitions })
    }
}

impl State for FjallState {
    fn apply(&self, partition: u16, applied: Lsn, writes: &[Write]) -> Result<(), StateError> {
        check_keys(writes)?;
        let part = self.part(partition)?;
        let mut present = part.lock();
        check_forward(partition, *present, applied)?;
        let mut batch = self.database.batch();
        // All writes of a batch have one age inside: of several to one key only the last may go in.
        let last: BTreeMap<&[u8], Option<&[u8]>> =
            writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        for (key, value) in last {
            match value {
                Some(value) => batch.insert(&part.keyspace, entry_key(key), value),
                None => batch.remove(&part.keyspace, entry_key(key)),
            }
        }
        batch.insert(&part.keyspace, APPLIED_KEY, applied.to_le_bytes());
        batch.commit().map_err(failed("writing"))?;
        *present = applied;
        Ok(())
    }

    fn advance(&self, partition: u16, to: Lsn) -> Result<(), StateError> {
        let part = self.part(partition)?;
        let mut present = part.lock();
        if to > *present {
            part.keyspace.insert(APPLIED_KEY, to.to_le_bytes()).map_err(failed("writing"))?;
            *present = to;
        }
        Ok(())
    }

    fn get(&self, partition: u16, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let value = self.part(partition)?.keyspace.get(entry_key(key)).map_err(failed("reading"))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn range(&self, partition: u16, from: &[u8], to: Option<&[u8]>) -> Result<StateIter<'_>, StateError> {
        let keyspace = &self.part(partition)?.keyspace;
        let end = to.map_or_else(|| ENTRIES_END.to_vec(), entry_key);
        let start = entry_key(from);
        if start >= end {
            return Ok(Box::new(std::iter::empty()));
        }
        Ok(entries(keyspace.range(start..end)))
    }

    fn applied(&self, partition: u16) -> Result<Lsn, StateError> {
        Ok(*self.part(partition)?.lock())
    }

    fn checkpoint(&self) -> Result<(), StateError> {
        self.database.persist(PersistMode::SyncAll).map_err(failed("syncing"))
    }

    fn snapshot(&self, partition: u16) -> Result<Snapshot, StateError> {
        let keyspace = &self.part(partition)?.keyspace;
        let snapshot = self.database.snapshot();
        let applied = snapshot.get(keyspace, APPLIED_KEY).map_err(failed("reading"))?;
        let applied = read_applied(applied.as_deref())?;
        Ok(Snapshot { applied, entries: entries(snapshot.range(keyspace, [ENTRY_PREFIX]..ENTRIES_END)) })
    }

    fn size_bytes(&self) -> Result<u64, StateError> {
        // Without the journals: they hold what was written, not what is there.
        Ok(self.parts.iter().map(|part| part.keyspace.disk_space()).sum())
    }

    fn partitions(&self) -> u16 {
        u16::try_from(self.parts.len()).expect("one part for each of at most u16::MAX partitions")
    }
}

impl Part {
    fn lock(&self) -> MutexGuard<'_, Lsn> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry_key(key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 1);
    bytes.push(ENTRY_PREFIX);
    bytes.extend_from_slice(key);
    bytes
}

fn entries(iter: fjall::Iter) -> StateIter<'static> {
    Box::new(iter.map(|guard| {
        let (key, value) = guard.into_inner().map_err(failed("scanning"))?;
        Ok((key[1..].to_vec(), value.to_vec()))
    }))
}

fn read_applied(bytes: Option<&[u8]>) -> Result<Lsn, StateError> {
    let Some(bytes) = bytes else { return Ok(0) };
    let bytes = bytes.try_into().map_err(|_| StateError::Backend {
        operation: "reading the applied position",
        message: format!("it has {} bytes instead of 8", bytes.len()),
    })?;
    Ok(Lsn::from_le_bytes(bytes))
}

fn failed(operation: &'static str) -> impl Fn(fjall::Error) -> StateError {
    move |error| StateError::Backend { operation, message: error.to_string() }
}

/// Replacing the files helps against damage, not against a full disk or missing rights.
fn classify(error: fjall::Error) -> FjallOpenError {
    let message = error.to_string();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(present) = cause {
        if present.downcast_ref::<io::Error>().is_some_and(blocks) {
            return FjallOpenError::Blocked(message);
        }
        cause = present.source();
    }
    if matches!(error, fjall::Error::Locked) {
        return FjallOpenError::Blocked(message);
    }
    FjallOpenError::Damaged(message)
}

/// Does this error say nothing about the content of the files?
fn blocks(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, ResourceBusy, StorageFull};
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    let kinds = [OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, ResourceBusy, StorageFull];
    kinds.contains(&error.kind()) || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}
