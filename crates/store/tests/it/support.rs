//! What the tests of the file log share: a small log on a simulated disk.

use std::{sync::Arc, time::Duration};

use store::{
    Log, LogError, LogRecord, Lsn,
    conformance::log::Watcher,
    disk::Disk,
    faulty::FaultyDisk,
    file_log::{Allocate, FileLog, FileLogOptions},
};

/// Small enough that tests see many segments.
pub(crate) const SEGMENT: u64 = 8 * 1024;

/// Covering only when a test closes the log.
pub(crate) fn options() -> FileLogOptions {
    FileLogOptions {
        segment_bytes: SEGMENT,
        allocate: Allocate::Inline,
        idle_cover: Duration::from_secs(3600),
        log_id: Some(42),
    }
}

pub(crate) fn try_open(disk: &FaultyDisk) -> Result<FileLog, LogError> {
    FileLog::open(Arc::new(disk.clone()), options())
}

pub(crate) fn open(disk: &FaultyDisk) -> FileLog {
    try_open(disk).unwrap()
}

/// A record whose content tells its position.
pub(crate) fn record(position: Lsn, bytes: usize) -> LogRecord {
    let mut content = position.to_le_bytes().to_vec();
    content.resize(bytes.max(8), u8::try_from(position % 251).unwrap());
    LogRecord { partition: u16::try_from(position % 3).unwrap(), bytes: content }
}

/// Appends one record and waits until it is durable: a batch of its own.
pub(crate) fn append_one(log: &FileLog, bytes: usize) -> Result<Lsn, LogError> {
    let watcher = Watcher::new(log);
    let position = log.tail() + 1;
    log.append(log.epoch(), position, &mut vec![record(position, bytes)])?;
    watcher.wait(log, position)?;
    Ok(position)
}

/// As many batches of one record.
pub(crate) fn append_many(log: &FileLog, count: u64, bytes: usize) {
    for _ in 0..count {
        append_one(log, bytes).unwrap();
    }
}

/// All records from the first one left must be those that were appended, with `bytes` bytes each.
pub(crate) fn assert_records(log: &FileLog, upto: Lsn, bytes: usize) {
    let first = log.first();
    let read: Vec<_> = log.read(first, Lsn::MAX).unwrap().map(Result::unwrap).collect();
    let expected: Vec<_> = (first..=upto).map(|position| (position, record(position, bytes))).collect();
    assert!(read == expected, "{} records from {first} instead of {first}..={upto}", read.len());
}

/// The file that differs between two states of a disk, with the range of its bytes that differ.
pub(crate) fn difference(before: &FaultyDisk, after: &FaultyDisk) -> (String, usize, usize) {
    for name in after.list().unwrap() {
        let (Some(old), Some(new)) = (before.content(&name), after.content(&name)) else { continue };
        let changed: Vec<usize> = (0..new.len()).filter(|at| old[*at] != new[*at]).collect();
        if let (Some(first), Some(last)) = (changed.first(), changed.last()) {
            return (name, *first, *last + 1);
        }
    }
    panic!("nothing differs");
}

/// The segment files, oldest first.
pub(crate) fn segments(disk: &FaultyDisk) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.ends_with(".segment")).collect()
}
