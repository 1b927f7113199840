//! The state in fjall: one keyspace per partition, written without sync behind the log's watermark.
//!
//! Nothing goes through fjall's own journal: what its tables lack after a crash is in our log. Reading that journal again
//! took 2.5 s of every start with 10⁶ cells, since it is only begun anew when it has 64 MB. So writes go into the memtables
//! themselves, all of a batch under one number that readers see when it is complete, and a checkpoint makes tables of
//! them. The applied position lies in the same memtable, so in the same table, as the writes it belongs to: whatever
//! survives a crash says truly how far it has come. Keys get one byte in front: 0 is ours, 1 the caller's.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use fjall::{AbstractTree as _, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, compaction::Leveled};

use crate::{
    background::give_way,
    limits::{
        STATE_CACHE_BYTES_DEFAULT, STATE_JOURNAL_BYTES, STATE_MEMTABLES_MAX, STATE_NEW_TABLES_MAX, STATE_POLL,
        STATE_TABLE_BYTES,
    },
    log::Lsn,
    state::{Snapshot, State, StateError, StateIter, Write, check_forward, check_keys},
};

const APPLIED_KEY: [u8; 1] = [0];
const ENTRY_PREFIX: u8 = 1;
/// The first key after all entries.
const ENTRIES_END: [u8; 1] = [ENTRY_PREFIX + 1];

/// How much of the state is kept in memory.
#[derive(Debug, Clone, Copy)]
pub struct StateMemory {
    /// Bytes of blocks of tables, of all partitions together.
    pub cache_bytes: u64,
    /// Bytes of writes that a partition keeps before they go into a table; up to [`STATE_MEMTABLES_MAX`] times as much may
    /// be on its way there.
    pub memtable_bytes: u64,
}

impl Default for StateMemory {
    fn default() -> Self {
        Self { cache_bytes: STATE_CACHE_BYTES_DEFAULT, memtable_bytes: STATE_TABLE_BYTES }
    }
}

/// State in a directory of fjall.
pub struct FjallState {
    database: Database,
    /// Of each partition.
    keyspaces: Vec<Keyspace>,
    memtable_bytes: u64,
    /// The applied positions. Held while any partition is written, so that numbers become visible in order and no
    /// memtable is closed in the middle of a batch.
    applied: Mutex<Vec<Lsn>>,
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
    pub(crate) fn open(path: &Path, partitions: u16, memory: StateMemory) -> Result<Self, FjallOpenError> {
        thread::scope(|scope| {
            // fjall starts its thread here, and that is to make tables, and to merge them, in the time that others leave.
            let opening = thread::Builder::new().name("state-open".into()).spawn_scoped(scope, || {
                give_way();
                Self::open_unguarded(path, partitions, memory)
            });
            let opening =
                opening.map_err(|error| FjallOpenError::Blocked(format!("no thread can be started: {error}")))?;
            // Damaged files must not take the process down: a panic inside counts as damage.
            let damaged = |_| Err(FjallOpenError::Damaged("the state store panicked while opening".to_owned()));
            opening.join().unwrap_or_else(damaged)
        })
    }

    fn open_unguarded(path: &Path, partitions: u16, memory: StateMemory) -> Result<Self, FjallOpenError> {
        let state = Self::open_once(path, partitions, memory)?;
        if !any_journal(path).map_err(|error| classify(error.into()))? {
            return Ok(state);
        }
        // An earlier version wrote it: what it holds goes into tables, once.
        state.checkpoint().map_err(|error| FjallOpenError::Blocked(error.to_string()))?;
        drop(state);
        empty_journals(path).map_err(|error| classify(error.into()))?;
        Self::open_once(path, partitions, memory)
    }

    fn open_once(path: &Path, partitions: u16, memory: StateMemory) -> Result<Self, FjallOpenError> {
        let database = Database::builder(path)
            .cache_size(memory.cache_bytes)
            .max_journaling_size(STATE_JOURNAL_BYTES)
            // One of several would hand compactions back to the queue, again and again, while the others are busy: a
            // core for nothing.
            .worker_threads(1)
            .open()
            .map_err(classify)?;
        let compaction = Arc::new(Leveled::default().with_table_target_size(STATE_TABLE_BYTES));
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(memory.memtable_bytes)
                .compaction_strategy(Arc::clone(&compaction) as _)
        };
        let (mut keyspaces, mut applied) = (Vec::new(), Vec::new());
        for partition in 0..partitions {
            let keyspace = database.keyspace(&format!("p{partition:05}"), options).map_err(classify)?;
            let position = read_applied(keyspace.get(APPLIED_KEY).map_err(classify)?.as_deref());
            applied.push(position.map_err(|error| FjallOpenError::Damaged(error.to_string()))?);
            keyspaces.push(keyspace);
        }
        Ok(Self { database, keyspaces, memtable_bytes: memory.memtable_bytes, applied: Mutex::new(applied) })
    }

    fn keyspace(&self, partition: u16) -> Result<&Keyspace, StateError> {
        let partitions = self.partitions();
        self.keyspaces.get(usize::from(partition)).ok_or(StateError::Partition { partition, partitions })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Lsn>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes into the memtable under one number, and shows it when all is there. The lock is held.
    fn write<'a>(&self, keyspace: &Keyspace, writes: impl Iterator<Item = (Vec<u8>, Option<&'a [u8]>)>, applied: Lsn) {
        let supervisor = &self.database.supervisor;
        let number = supervisor.seqno.next();
        for (key, value) in writes {
            match value {
                Some(value) => keyspace.tree.insert(key, value, number),
                None => keyspace.tree.remove(key, number),
            };
        }
        keyspace.tree.insert(APPLIED_KEY, applied.to_le_bytes(), number);
        supervisor.snapshot_tracker.publish(number);
    }

    /// Closes a memtable that has grown enough, and waits if making tables does not keep up.
    fn make_room(&self, keyspace: &Keyspace) -> Result<(), StateError> {
        if keyspace.tree.active_memtable().size() <= self.memtable_bytes {
            return Ok(());
        }
        keyspace.rotate_memtable().map_err(failed("writing"))?;
        self.wait_until(|| {
            keyspace.tree.sealed_memtable_count() <= STATE_MEMTABLES_MAX
                && keyspace.tree.l0_run_count() <= STATE_NEW_TABLES_MAX
        })
    }

    /// fjall's threads make tables; if one of them fails it says so here.
    fn wait_until(&self, reached: impl Fn() -> bool) -> Result<(), StateError> {
        while !reached() {
            self.database.persist(PersistMode::Buffer).map_err(failed("writing"))?;
            thread::sleep(STATE_POLL);
        }
        Ok(())
    }
}

impl State for FjallState {
    fn apply(&self, partition: u16, applied: Lsn, writes: &[Write]) -> Result<(), StateError> {
        check_keys(writes)?;
        let keyspace = self.keyspace(partition)?;
        let mut positions = self.lock();
        let present = &mut positions[usize::from(partition)];
        check_forward(partition, *present, applied)?;
        // All writes of a batch have one number: of several to one key only the last may go in.
        let last: BTreeMap<&[u8], Option<&[u8]>> =
            writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        self.write(keyspace, last.into_iter().map(|(key, value)| (entry_key(key), value)), applied);
        *present = applied;
        self.make_room(keyspace)
    }

    fn advance(&self, partition: u16, to: Lsn) -> Result<(), StateError> {
        let keyspace = self.keyspace(partition)?;
        let mut positions = self.lock();
        let present = &mut positions[usize::from(partition)];
        if to > *present {
            self.write(keyspace, std::iter::empty(), to);
            *present = to;
        }
        Ok(())
    }

    fn get(&self, partition: u16, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let value = self.keyspace(partition)?.get(entry_key(key)).map_err(failed("reading"))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn range(&self, partition: u16, from: &[u8], to: Option<&[u8]>) -> Result<StateIter<'_>, StateError> {
        let keyspace = self.keyspace(partition)?;
        let end = to.map_or_else(|| ENTRIES_END.to_vec(), entry_key);
        let start = entry_key(from);
        if start >= end {
            return Ok(Box::new(std::iter::empty()));
        }
        Ok(entries(keyspace.range(start..end)))
    }

    fn applied(&self, partition: u16) -> Result<Lsn, StateError> {
        self.keyspace(partition)?;
        Ok(self.lock()[usize::from(partition)])
    }

    fn checkpoint(&self) -> Result<(), StateError> {
        let mut closed = Vec::new();
        let positions = self.lock();
        for keyspace in &self.keyspaces {
            closed.push(keyspace.tree.get_highest_memtable_seqno());
            keyspace.rotate_memtable().map_err(failed("syncing"))?;
        }
        drop(positions);
        for (keyspace, number) in self.keyspaces.iter().zip(closed) {
            let tree = &keyspace.tree;
            self.wait_until(|| tree.get_highest_persisted_seqno() >= number || tree.sealed_memtable_count() == 0)?;
        }
        Ok(())
    }

    fn snapshot(&self, partition: u16) -> Result<Snapshot, StateError> {
        let keyspace = self.keyspace(partition)?;
        let snapshot = self.database.snapshot();
        let applied = snapshot.get(keyspace, APPLIED_KEY).map_err(failed("reading"))?;
        let applied = read_applied(applied.as_deref())?;
        Ok(Snapshot { applied, entries: entries(snapshot.range(keyspace, [ENTRY_PREFIX]..ENTRIES_END)) })
    }

    fn size_bytes(&self) -> Result<u64, StateError> {
        Ok(self.keyspaces.iter().map(|keyspace| keyspace.disk_space()).sum())
    }

    fn partitions(&self) -> u16 {
        u16::try_from(self.keyspaces.len()).expect("one keyspace for each of at most u16::MAX partitions")
    }
}

/// fjall's journals in the folder.
fn journals(path: &Path) -> io::Result<Vec<PathBuf>> {
    let paths: io::Result<Vec<_>> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
    Ok(paths?.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).collect())
}

/// Does one of them hold anything? Where nothing was written they have no blocks.
fn any_journal(path: &Path) -> io::Result<bool> {
    for journal in journals(path)? {
        if fs::metadata(journal)?.blocks() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Without a journal fjall would not look for the highest number in its tables, so they stay, empty.
fn empty_journals(path: &Path) -> io::Result<()> {
    for journal in journals(path)? {
        let file = fs::OpenOptions::new().write(true).open(journal)?;
        file.set_len(0)?;
        file.sync_all()?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> FjallState {
        FjallState::open(path, 1, StateMemory { cache_bytes: 1024 * 1024, ..StateMemory::default() }).unwrap()
    }

    #[test]
    fn nothing_is_left_to_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = open(folder.path());
        state.apply(0, 1, &[(vec![7], Some(vec![1]))]).unwrap();
        state.checkpoint().unwrap();
        state.apply(0, 2, &[(vec![7], Some(vec![2]))]).unwrap();
        drop(state);
        assert!(!any_journal(folder.path()).unwrap());
        let state = open(folder.path());
        assert_eq!((state.applied(0).unwrap(), state.get(0, &[7]).unwrap()), (1, Some(vec![1])));
        // What is written now is newer than what the tables hold.
        state.apply(0, 2, &[(vec![7], Some(vec![3]))]).unwrap();
        assert_eq!(state.get(0, &[7]).unwrap(), Some(vec![3]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn tables_are_made_in_the_time_that_others_leave() {
        let folder = tempfile::tempdir().unwrap();
        let _state = open(folder.path());
        let own = rustix::process::getpriority_process(None).unwrap();
        // Of `/proc/…/stat`: the name of a thread, in brackets, and as the 17th field behind it how nice it is.
        let threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path().join("stat"));
        let nice: Vec<i32> = threads
            .filter_map(|stat| fs::read_to_string(stat).ok())
            .filter_map(|stat| {
                let (name, fields) = stat.rsplit_once(") ")?;
                let nice = fields.split(' ').nth(16)?.parse().ok()?;
                name.contains("(fjall:").then_some(nice)
            })
            .collect();
        assert!(nice.iter().any(|nice| *nice > own), "{nice:?} beside {own}");
    }

    #[test]
    fn what_an_earlier_version_wrote_into_a_journal_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::builder(folder.path()).open().unwrap();
        let keyspace = database.keyspace("p00000", KeyspaceCreateOptions::default).unwrap();
        keyspace.insert(entry_key(&[7]), [1]).unwrap();
        keyspace.insert(APPLIED_KEY, 5_u64.to_le_bytes()).unwrap();
        drop((keyspace, database));
        assert!(any_journal(folder.path()).unwrap());
        let state = open(folder.path());
        assert!(!any_journal(folder.path()).unwrap());
        assert_eq!((state.applied(0).unwrap(), state.get(0, &[7]).unwrap()), (5, Some(vec![1])));
        state.apply(0, 6, &[(vec![7], Some(vec![2]))]).unwrap();
        state.checkpoint().unwrap();
        drop(state);
        let state = open(folder.path());
        assert_eq!((state.applied(0).unwrap(), state.get(0, &[7]).unwrap()), (6, Some(vec![2])));
    }
}
