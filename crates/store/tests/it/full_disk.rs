//! The disk fills up: admission stops before a commit can fail, and nothing acknowledged is lost.

use store::{
    Log, LogError, Space,
    faulty::{FaultyDisk, Survivors},
};

use crate::support::{SEGMENT, append_one, assert_records, open, try_open};

const BYTES: usize = 200;

/// Works while there is room, then goes on with "work under way" until the log refuses it.
fn fill(log: &store::file_log::FileLog) -> u64 {
    while log.has_room() {
        append_one(log, BYTES).unwrap();
    }
    assert_eq!(log.stats().space, Space::Full);
    let mut under_way = 0;
    loop {
        match append_one(log, BYTES) {
            Ok(_) => under_way += 1,
            Err(LogError::NoSpace { .. }) => return under_way,
            Err(other) => panic!("a commit failed: {other}"),
        }
    }
}

#[test]
fn admission_stops_before_a_commit_fails() {
    // From "not even the first segment" over every page to several segments.
    for capacity in (0..6 * SEGMENT).step_by(512) {
        let disk = FaultyDisk::new();
        disk.set_capacity(Some(capacity));
        let Ok(log) = try_open(&disk) else {
            assert!(capacity < SEGMENT + 512, "one segment and meta fit into {capacity}");
            disk.set_capacity(None);
            drop(open(&disk));
            continue;
        };
        let under_way = fill(&log);
        if capacity >= 3 * SEGMENT {
            // The promise is a segment, less one longest record, counting a batch and its cover for each record.
            assert!(under_way >= 15, "only {under_way} records fit after admission stopped");
        }
        let durable = log.durable();
        assert_records(&log, durable, BYTES);
        // Closing still covers the last batch.
        log.close().unwrap();
        drop(log);
        let log = open(&disk.crash(Survivors::None));
        assert_eq!(log.tail(), durable);
        assert_records(&log, durable, BYTES);
    }
}

#[test]
fn room_returns_with_space() {
    let disk = FaultyDisk::new();
    disk.set_capacity(Some(4 * SEGMENT));
    let log = open(&disk);
    while log.has_room() {
        append_one(&log, BYTES).unwrap();
    }
    disk.set_capacity(Some(8 * SEGMENT));
    append_one(&log, BYTES).unwrap();
    // The segment is made after the commit was reported; closing waits for it.
    log.close().unwrap();
    assert_eq!(log.stats().space, Space::Ready);
    assert!(log.has_room());
}

#[test]
fn room_returns_with_a_trim() {
    let disk = FaultyDisk::new();
    disk.set_capacity(Some(5 * SEGMENT));
    let log = open(&disk);
    fill(&log);
    log.trim(log.durable()).unwrap();
    assert!(log.has_room());
    assert_eq!(log.stats().space, Space::Ready);
    append_one(&log, BYTES).unwrap();
    assert_records(&log, log.durable(), BYTES);
}
