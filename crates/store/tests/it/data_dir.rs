//! The data directory: what it refuses, what it rebuilds, how it keeps the log short.

use std::{fs, path::Path};

use store::{
    DataDir, DataDirOptions, Log, LogError, LogRecord, Lsn, OpenError, State, StateMemory, StateOrigin,
    conformance::log::Watcher,
    file_log::{Allocate, FileLogOptions},
};

const SEGMENT: u64 = 16 * 1024;

fn options() -> DataDirOptions {
    DataDirOptions {
        log: FileLogOptions { segment_bytes: SEGMENT, allocate: Allocate::Background, ..FileLogOptions::default() },
        state: StateMemory { cache_bytes: 1024 * 1024, memtable_bytes: 64 * 1024 },
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
        while let Err(error) = log.append(epoch, position, &mut vec![LogRecord { partition, bytes: bytes.clone() }]) {
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

#[test]
fn a_missing_format_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    fs::remove_file(folder.path().join("FORMAT")).unwrap();
    let message = open(folder.path()).err().unwrap().to_string();
    assert!(message.contains("has no file FORMAT"), "{message}");
}

#[test]
fn a_damaged_log_names_folder_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    work(&dir, 20);
    drop(dir);
    let segment = folder.path().join("log/00000000000000000001.segment");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let message = open(folder.path()).err().unwrap().to_string();
    assert!(
        message.contains("/log does not open: log file 00000000000000000001.segment is damaged at byte 0"),
        "{message}"
    );
}

#[test]
fn a_log_that_lost_its_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    work(&dir, 20);
    dir.close().unwrap();
    drop(dir);
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(error, OpenError::LogBehind { position: 20, tail: 0, .. }), "{error}");
}

#[test]
fn a_condemned_state_is_rebuilt_once() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    let tail = work(&dir, 20);
    dir.condemn_state().unwrap();
    drop(dir);
    let dir = open(folder.path()).unwrap();
    assert!(matches!(dir.recovery().state, StateOrigin::Log { .. }));
    recover(&dir);
    assert_complete(&dir, tail);
    drop(dir);
    assert_eq!(open(folder.path()).unwrap().recovery().state, StateOrigin::Opened);
}

/// What a crash during a rebuild leaves is taken away; the rebuild is done again.
#[test]
fn an_interrupted_rebuild_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    work(&dir, 500);
    assert!(dir.checkpoint_and_trim().unwrap().log_first > 1);
    let tail = work(&dir, 10);
    drop(dir);
    // Between the two renames: the old state is away, the new one has another name yet.
    fs::rename(folder.path().join("state"), folder.path().join("state.damaged")).unwrap();
    fs::create_dir(folder.path().join("state.new")).unwrap();
    fs::write(folder.path().join("state.new/half"), "half").unwrap();
    let dir = open(folder.path()).unwrap();
    assert!(matches!(dir.recovery().state, StateOrigin::FullCopy { .. }), "{:?}", dir.recovery());
    recover(&dir);
    assert_complete(&dir, tail);
    assert!(!folder.path().join("state.new").exists());
}

#[test]
fn a_copy_without_a_manifest_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    let tail = work(&dir, 60);
    let position = dir.full_copy().unwrap();
    assert_eq!(position, tail);
    let blob = dir.blob();
    assert!(blob.list("full/").unwrap().len() > 3, "several chunks");
    blob.delete(&format!("full/{position:020}/manifest")).unwrap();
    drop((dir, blob));
    damage_state(folder.path());
    let dir = open(folder.path()).unwrap();
    assert!(matches!(dir.recovery().state, StateOrigin::Log { .. }), "{:?}", dir.recovery());
    recover(&dir);
    assert_complete(&dir, tail);
}

#[test]
fn a_damaged_copy_is_named() {
    for victim in ["manifest", "00001-000000"] {
        let folder = tempfile::tempdir().unwrap();
        let dir = open(folder.path()).unwrap();
        work(&dir, 500);
        let position = dir.checkpoint_and_trim().unwrap().full_copy.unwrap();
        let (blob, name) = (dir.blob(), format!("full/{position:020}/{victim}"));
        let mut bytes = blob.get(&name).unwrap().unwrap();
        bytes[20] ^= 1;
        blob.put(&name, &bytes).unwrap();
        drop((dir, blob));
        damage_state(folder.path());
        let message = open(folder.path()).err().unwrap().to_string();
        assert!(message.contains(&name) && message.contains("cannot be rebuilt"), "{message}");
    }
}

#[test]
fn a_new_copy_replaces_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    let mut last = 0;
    for _ in 0..3 {
        work(&dir, 100);
        let position = dir.full_copy().unwrap();
        assert!(position > last);
        last = position;
        let names = dir.blob().list("full/").unwrap();
        assert!(names.iter().all(|name| name.starts_with(&format!("full/{position:020}/"))), "{names:?}");
    }
    assert_eq!(dir.full_copy().unwrap(), last, "nothing new to copy");
}

/// A partition without records must neither hold the log nor be taken for one that lacks records.
#[test]
fn an_idle_partition_does_not_hold_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    let (log, state) = (dir.log(), dir.state());
    let watcher = Watcher::new(&*log);
    for position in 1..=500 {
        log.append(0, position, &mut vec![LogRecord { partition: 1, bytes: vec![7; 300] }]).unwrap();
        watcher.wait(&*log, position).unwrap();
        state.apply(1, position, &[]).unwrap();
    }
    let done = dir.checkpoint_and_trim().unwrap();
    assert_eq!(done.checkpoint, 500);
    assert!(done.log_first > 400, "{done:?}");
    drop((dir, log, state));
    let dir = open(folder.path()).unwrap();
    assert_eq!(dir.recovery().state, StateOrigin::Opened);
    assert_eq!(dir.recovery().replay_from, [501, 501]);
}

/// The log stays as long as a partition has not applied it, however old the full copy is.
#[test]
fn a_slow_partition_holds_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open(folder.path()).unwrap();
    let (log, state) = (dir.log(), dir.state());
    let watcher = Watcher::new(&*log);
    for position in 1..=500 {
        let partition = u16::from(position == 60);
        log.append(0, position, &mut vec![LogRecord { partition, bytes: vec![7; 300] }]).unwrap();
        watcher.wait(&*log, position).unwrap();
        if partition == 0 {
            state.apply(0, position, &[]).unwrap();
        }
    }
    let done = dir.checkpoint_and_trim().unwrap();
    assert_eq!((done.checkpoint, done.log_first), (0, 1), "partition 1 has not even begun");
    state.apply(1, 60, &[]).unwrap();
    let done = dir.checkpoint_and_trim().unwrap();
    assert_eq!(done.checkpoint, 500);
    assert!(done.copied && done.log_first > 400, "{done:?}");
}
