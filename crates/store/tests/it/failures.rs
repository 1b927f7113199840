//! A write or a sync of the log fails: nothing is retried, nothing more is acknowledged, everyone is told once.

use std::io::ErrorKind;

use store::{
    Log, LogError,
    conformance::log::Watcher,
    faulty::{Fault, FaultyDisk, Survivors},
};

use crate::support::{append_many, append_one, assert_records, open, record, try_open};

const BYTES: usize = 200;

fn assert_dead(log: &store::file_log::FileLog, watcher: &Watcher, durable: u64) {
    let failures = watcher.reported().into_iter().filter(Result::is_err).count();
    assert!(failures <= 1, "reported once");
    assert_eq!(log.durable(), durable);
    let refused = log.append(log.epoch(), log.tail() + 1, &mut vec![record(1, 8)]);
    assert!(matches!(refused, Err(LogError::Failed { .. })), "{refused:?}");
    assert!(!log.has_room());
    assert!(matches!(log.confirm(), Err(LogError::Failed { .. })));
    assert!(matches!(log.seal(9), Err(LogError::Failed { .. })));
    // Whoever registers later is told at once.
    assert!(matches!(Watcher::new(log).reported()[..], [Err(LogError::Failed { .. })]));
    assert!(log.close().is_err());
    assert_eq!(log.durable(), durable);
}

#[test]
fn a_failed_sync_ends_the_log() {
    let disk = FaultyDisk::new();
    let log = open(&disk);
    append_many(&log, 5, BYTES);
    disk.fail_syncs(true);
    let watcher = Watcher::new(&log);
    let failed = append_one(&log, BYTES);
    let Err(LogError::Failed { operation, file, message }) = failed else { panic!("{failed:?}") };
    assert_eq!(operation, "syncing");
    assert!(file.ends_with(".segment") && message.contains("failed sync"));
    // The disk would work again: that does not matter any more.
    disk.fail_syncs(false);
    assert_dead(&log, &watcher, 5);
    for survivors in [Survivors::None, Survivors::All] {
        let log = open(&disk.crash(survivors));
        assert!(log.tail() >= 5);
        assert_records(&log, log.tail(), BYTES);
    }
}

/// Every operation of a run fails once, in every way.
#[test]
fn every_operation_may_fail() {
    let run = |disk: &FaultyDisk| -> (u64, Result<(), LogError>) {
        let log = match try_open(disk) {
            Ok(log) => log,
            Err(error) => return (0, Err(error)),
        };
        let work = || {
            log.seal(1)?;
            for round in 0..130 {
                append_one(&log, BYTES)?;
                if round % 50 == 49 {
                    log.trim(log.durable() - 10)?;
                }
            }
            Ok(())
        };
        let done = work();
        (log.durable(), done.and_then(|()| log.close()))
    };
    let clean = FaultyDisk::new();
    assert_eq!(run(&clean).1, Ok(()));
    let faults = [Fault::Error(ErrorKind::StorageFull), Fault::Error(ErrorKind::Other), Fault::Torn(100), Fault::Crash];
    for operation in 0..clean.operations() {
        for fault in faults {
            let disk = FaultyDisk::new();
            disk.fail_at(operation, fault);
            let (durable, _) = run(&disk);
            let log = open(&disk.crash(Survivors::Seeded(operation)));
            assert!(log.tail() >= durable, "operation {operation}, {fault:?}: {} < {durable}", log.tail());
            assert!(log.first() <= log.tail() + 1);
            assert_records(&log, log.tail(), BYTES);
        }
    }
}

/// A callback that panics takes nobody with it: the log fails instead of standing still.
#[test]
fn a_panicking_callback_fails_the_log() {
    let log = open(&FaultyDisk::new());
    let watcher = Watcher::new(&log);
    log.on_durable(Box::new(|moved| assert!(moved.is_err(), "a planted panic")));
    log.append(0, 1, &mut vec![record(1, 8)]).unwrap();
    let refused = watcher.wait(&log, 2);
    assert!(matches!(refused, Err(LogError::Failed { operation: "committing", .. })), "{refused:?}");
}

#[test]
fn a_call_beyond_the_queue_is_refused_as_such() {
    let log = open(&FaultyDisk::new());
    let limit = log.limits().queue_bytes_max;
    let mut records: Vec<_> = (1..=20).map(|position| record(position, limit / 16)).collect();
    assert!(matches!(log.append(0, 1, &mut records), Err(LogError::AppendTooLarge { .. })));
    append_many(&log, 3, BYTES);
}
