//! The file log's threads in every kind of order: who appends, the committer, the allocator, who seals and closes. Only
//! with the feature `interleave`: `cargo xtask test interleave`.
//!
//! No time passes here. A wake-up that gets lost is a standstill, which fails the test at once.

use std::sync::Arc;

use crate::faulty::{FaultyDisk, Survivors};
use crate::file_log::{FileLog, FileLogOptions};
use crate::planted::{Bug, plant};
use crate::{Log, LogError, LogRecord};
use shuttle::sync::mpsc::channel;
use shuttle::thread;

fn open(disk: &FaultyDisk) -> FileLog {
    // Small, so that appends wait for segments.
    let options = FileLogOptions { segment_bytes: 8 * 1024, log_id: Some(1), ..FileLogOptions::default() };
    FileLog::open(Arc::new(disk.clone()), options).expect("the disk is fine")
}

fn record(number: u64) -> LogRecord {
    LogRecord { partition: 0, bytes: vec![number as u8; 900] }
}

/// Appends records one by one; waits for the watermark when there is no room.
fn append(log: &FileLog, count: u64) {
    let (sender, moves) = channel();
    log.on_durable(Box::new(move |result| drop(sender.send(result))));
    for number in 1..=count {
        let mut records = vec![record(number)];
        while let Err(error) = log.append(1, number, &mut records) {
            assert!(matches!(error, LogError::Full { .. }), "{error}");
            moves.recv().expect("the log lives").expect("the log is well");
        }
    }
    while log.durable() < count {
        moves.recv().expect("the log lives").expect("the log is well");
    }
}

fn appends() {
    let disk = FaultyDisk::new();
    let log = open(&disk);
    log.seal(1).expect("nobody else is there");
    append(&log, 12);
    log.close().expect("it is well");
    drop(log);
    let again = open(&disk.crash(Survivors::None));
    assert_eq!(again.tail(), 12, "what was durable is there");
    let read: Vec<LogRecord> =
        again.read(1, 12).expect("it is all there").map(|entry| entry.expect("it is intact").1).collect();
    assert!(read.iter().zip(1..).all(|(found, number)| *found == record(number)));
}

#[test]
fn what_is_appended_becomes_durable() {
    shuttle::check_random(appends, 300);
    shuttle::check_pct(appends, 300, 3);
}

#[test]
fn a_seal_waits_for_what_is_queued_and_shuts_others_out() {
    let seal = || {
        let log = Arc::new(open(&FaultyDisk::new()));
        log.seal(1).expect("nobody else is there");
        let other = Arc::clone(&log);
        let owner = thread::spawn(move || {
            (1..=4).take_while(|number| other.append(1, *number, &mut vec![record(*number)]).is_ok()).count() as u64
        });
        let tail = log.seal(2).expect("the newer epoch");
        assert_eq!(log.durable(), tail, "all of it is durable");
        assert_eq!(owner.join().expect("it ends"), tail, "nothing is taken after the seal");
        log.close().expect("it is well");
    };
    shuttle::check_random(seal, 300);
    shuttle::check_pct(seal, 300, 3);
}

#[test]
fn a_sync_that_fails_leaves_nobody_waiting() {
    let fail = || {
        let disk = FaultyDisk::new();
        let log = Arc::new(open(&disk));
        log.seal(1).expect("nobody else is there");
        let (sender, moves) = channel();
        log.on_durable(Box::new(move |result| _ = sender.send(result.is_ok())));
        disk.fail_syncs(true);
        let other = Arc::clone(&log);
        let owner = thread::spawn(move || {
            (1..=3).take_while(|number| other.append(1, *number, &mut vec![record(*number)]).is_ok()).count()
        });
        let appended = owner.join().expect("it ends");
        assert!(appended > 0, "the first one is taken");
        assert!(!moves.recv().expect("the failure is told"), "nothing became durable");
        assert_eq!(log.durable(), 0);
        assert!(log.close().is_err());
    };
    shuttle::check_random(fail, 300);
    shuttle::check_pct(fail, 300, 3);
}

#[test]
fn a_committer_that_sleeps_through_work_is_found() {
    plant(Some(Bug::SleepsUnaware));
    let found = std::panic::catch_unwind(|| shuttle::check_random(appends, 2_000));
    plant(None);
    assert!(found.is_err());
}
