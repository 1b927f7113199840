//! The data directory: what it refuses, what it rebuilds, how it keeps the log short.

use std::{fs, path::Path};

use store::{
    DataDir, DataDirOptions, Log, LogError, LogRecord, Lsn, OpenError, State, StateOrigin,
    conformance::log::Watcher,
    file_log::{Allocate, FileLogOptions},
};

const SEGMENT: u64 = 16 * 1024;

fn options() -> DataDirOptions {
    DataDirOptions {
        log: FileLogOptions { segment_bytes: SEGMENT, allocate: Allocate::Background, ..FileLogOptions::default() },
        state_cache_bytes: 1024 * 1024,
        copy_log_bytes: 4 * SEGMENT,
        copy_chunk_bytes: 4096,
    }
}

fn open(path: &Path) -> Result<DataDir, OpenError> {
    DataDir::open_with(path, 2, options())
}

/// Appends records and applies them as an engine would; returns the tail.
fn work(dir: &DataDir, records: u64) -> Lsn {
    let (log, state) = (dir.log(), dir.state());
    let epoch = log.epoch() + 1;
    let start = log.seal(epoch).unwrap();
    let watcher = Watcher::new(&*log);
    for position in start + 1..=start + records {
        let partition = u16::try_from(position % 2).unwrap();
        let bytes = format!("{position:0>300}").into_bytes();
        while let Err(error) = log.append(epoch, position, vec![LogRecord { partition, bytes: bytes.clone() }]) {
            assert!(matches!(error, LogError::Full { .. }), "{error}");
            watcher.wait(&*log, position - 1).unwrap();
        }
    }
    // Sealing waits until everything is durable.
    let tail = log.seal(epoch + 1).unwrap();
    replay(&*log, &*state, start + 1);
    tail
}

fn replay(log: &dyn Log, state: &dyn State, from: Lsn) {
    for item in log.read(from, Lsn::MAX).unwrap() {
        let (position, record) = item.unwrap();
        if state.applied(record.partition).unwrap() < position {
            let key = position.to_be_bytes().to_vec();
            state.apply(record.partition, position, &[(key, Some(record.bytes))]).unwrap();
        }
    }
}

/// Every record up to the tail must be in the state exactly as it was appended.
fn assert_complete(dir: &DataDir, tail: Lsn) {
    let state = dir.state();
    assert_eq!(dir.log().tail(), tail);
    for position in 1..=tail {
        let partition = u16::try_from(position % 2).unwrap();
        let value = state.get(partition, &position.to_be_bytes()).unwrap();
        assert_eq!(value, Some(format!("{position:0>300}").into_bytes()), "record {position}");
    }
}

fn recover(dir: &DataDir) {
    let from = *dir.recovery().replay_from.iter().min().unwrap();
    replay(&*dir.log(), &*dir.state(), from);
}

/// Damages every file of the state that has content.
fn damage_state(path: &Path) {
    for entry in fs::read_dir(path.join("state")).unwrap() {
        let file = entry.unwrap().path();
        if file.is_file() && fs::metadata(&file).unwrap().len() > 0 {
            let mut bytes = fs::read(&file).unwrap();
            bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
            fs::write(&file, bytes).unwrap();
        }
    }
}

#[test]
fn opens_again_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    assert_eq!(dir.recovery().replay_from, [1, 1]);
    let tail = work(&dir, 100);
    dir.close().unwrap();
    drop(dir);
    let dir = open(folder.path()).unwrap();
    assert_eq!(dir.recovery().state, StateOrigin::Opened);
    assert_eq!(dir.recovery().replay_from.iter().max(), Some(&(tail + 1)));
    assert_complete(&dir, tail);
}

#[test]
fn a_second_server_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    let log = dir.log();
    let message = open(folder.path()).err().unwrap().to_string();
    assert!(message.contains("in use by another server (process "), "{message}");
    drop(dir);
    // Whoever still holds the log may still write.
    assert!(matches!(open(folder.path()), Err(OpenError::InUse { .. })));
    drop(log);
    open(folder.path()).unwrap();
}

#[test]
fn another_number_of_partitions_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let error = DataDir::open_with(folder.path(), 3, options()).err().unwrap();
    let message = error.to_string();
    assert!(message.contains("has 2 partitions, but --partitions 3"), "{message}");
}

#[test]
fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    fs::write(folder.path().join("FORMAT"), "sostenuto data directory\nformat 2\nwhatever\n").unwrap();
    let message = open(folder.path()).err().unwrap().to_string();
    assert!(message.contains("has data format 2, this version knows up to 1"), "{message}");
}

#[test]
fn a_foreign_directory_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "dear").unwrap();
    let message = open(folder.path()).err().unwrap().to_string();
    assert!(message.contains("not a data directory") && message.contains("thesis.txt"), "{message}");
    assert!(!folder.path().join("log").exists());
}

#[test]
fn damaged_state_is_rebuilt_from_the_log_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    let tail = work(&dir, 100);
    drop(dir);
    damage_state(folder.path());
    let dir = open(folder.path()).unwrap();
    assert!(matches!(dir.recovery().state, StateOrigin::Log { .. }), "{:?}", dir.recovery());
    assert_eq!(dir.recovery().replay_from, [1, 1]);
    recover(&dir);
    assert_complete(&dir, tail);
}

#[test]
fn damaged_state_is_rebuilt_from_a_full_copy_and_the_trimmed_log() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    work(&dir, 500);
    let done = dir.checkpoint_and_trim().unwrap();
    assert!(done.copied && done.log_first > 1, "{done:?}");
    let tail = work(&dir, 50);
    drop(dir);
    damage_state(folder.path());
    let dir = open(folder.path()).unwrap();
    let StateOrigin::FullCopy { position, .. } = dir.recovery().state else { panic!("{:?}", dir.recovery()) };
    assert_eq!(Some(position), done.full_copy);
    recover(&dir);
    assert_complete(&dir, tail);
}

#[test]
fn damaged_state_that_nothing_covers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    work(&dir, 500);
    assert!(dir.checkpoint_and_trim().unwrap().log_first > 1);
    drop(dir);
    damage_state(folder.path());
    for entry in fs::read_dir(folder.path().join("blob")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::StateLost { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("/state ") && message.contains("no full copy"), "{message}");
}
