//! What every log has to do.

use std::sync::{Arc, mpsc};

use crate::log::{Log, LogError, LogRecord, Lsn};

/// Makes logs of a backend. Each harness stands for one place where a log is kept.
pub trait LogHarness {
    /// Opens the log, a new one at first. A log opened before has been closed or dropped.
    fn open(&mut self) -> Arc<dyn Log>;

    /// Opens the log after its owner vanished without closing it.
    fn reopen_after_crash(&mut self, vanished: Arc<dyn Log>) -> Arc<dyn Log>;

    /// Makes everything queued durable, for a backend that does it only when told.
    fn settle(&mut self, _log: &dyn Log) {}
}

/// Waits for the watermark of a log.
pub struct Watcher {
    moves: mpsc::Receiver<Result<Lsn, LogError>>,
}

impl Watcher {
    /// Watches a log from now on.
    pub fn new(log: &dyn Log) -> Self {
        let (sender, moves) = mpsc::channel();
        // Nobody listens any more when the watcher is dropped, and that is fine.
        log.on_durable(Box::new(move |moved| drop(sender.send(moved))));
        Self { moves }
    }

    /// Waits until `position` is durable, or the log has failed.
    pub fn wait(&self, log: &dyn Log, position: Lsn) -> Result<(), LogError> {
        while log.durable() < position {
            self.moves.recv().map_err(|_| LogError::Closed)??;
        }
        Ok(())
    }

    /// What has been reported and not yet waited for.
    pub fn reported(&self) -> Vec<Result<Lsn, LogError>> {
        self.moves.try_iter().collect()
    }
}

/// All rules, each with a place of its own.
pub fn all<H: LogHarness>(mut harness: impl FnMut() -> H) {
    empty(&mut harness());
    reads_back(&mut harness());
    survives_reopening(&mut harness());
    survives_a_crash(&mut harness());
    positions_are_contiguous(&mut harness());
    wrong_position_is_refused(&mut harness());
    old_epoch_is_fenced(&mut harness());
    too_long_a_record_is_refused(&mut harness());
    watermark_moves_in_order(&mut harness());
    many_writers(&mut harness());
    trim_keeps_the_rest(&mut harness());
    trim_against_a_reader(&mut harness());
    closed_log_refuses(&mut harness());
}

/// A record whose content tells its position.
pub fn record(position: Lsn) -> LogRecord {
    let len = usize::try_from(position * 37 % 200).unwrap();
    let mut bytes = position.to_le_bytes().to_vec();
    bytes.resize(8 + len, u8::try_from(position % 251).unwrap());
    LogRecord { partition: u16::try_from(position % 5).unwrap(), bytes }
}

/// Appends the records `from..from + count` one by one; on a full queue waits for the watermark.
pub fn append(harness: &mut impl LogHarness, log: &dyn Log, from: Lsn, count: u64) {
    let watcher = Watcher::new(log);
    for position in from..from + count {
        while let Err(error) = log.append(log.epoch(), position, &mut vec![record(position)]) {
            assert!(matches!(error, LogError::Full { .. }), "append of {position}: {error}");
            harness.settle(log);
            watcher.wait(log, position - 1).unwrap();
        }
    }
    harness.settle(log);
    watcher.wait(log, from + count - 1).unwrap();
}

/// The records from `from` on must be exactly those that were appended, up to `upto`.
pub fn assert_records(log: &dyn Log, from: Lsn, upto: Lsn) {
    let read: Vec<(Lsn, LogRecord)> = log.read(from, Lsn::MAX).unwrap().map(Result::unwrap).collect();
    let expected: Vec<(Lsn, LogRecord)> = (from..=upto).map(|position| (position, record(position))).collect();
    let positions = |records: &[(Lsn, LogRecord)]| records.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(positions(&read), positions(&expected));
    assert!(read == expected, "positions are right but the content differs");
}

/// A new log has nothing.
pub fn empty(harness: &mut impl LogHarness) {
    let log = harness.open();
    assert_eq!((log.tail(), log.durable(), log.epoch(), log.first()), (0, 0, 0, 1));
    assert_eq!(log.read(1, Lsn::MAX).unwrap().count(), 0);
    assert!(log.has_room());
    log.confirm().unwrap();
    log.trim(100).unwrap();
    assert_eq!(log.first(), 1, "there was nothing to trim");
    assert_eq!(log.seal(7).unwrap(), 0);
    assert_eq!(log.epoch(), 7);
}

/// What was appended is read back, any part of it.
pub fn reads_back(harness: &mut impl LogHarness) {
    let log = harness.open();
    append(harness, &*log, 1, 200);
    assert_records(&*log, 1, 200);
    assert_records(&*log, 77, 200);
    assert_records(&*log, 201, 200);
    let part: Vec<Lsn> = log.read(50, 60).unwrap().map(|item| item.unwrap().0).collect();
    assert_eq!(part, (50..=60).collect::<Vec<_>>());
    assert_eq!(log.read(60, 50).unwrap().count(), 0);
}

/// A closed log has everything, and its epoch, when it is opened again.
pub fn survives_reopening(harness: &mut impl LogHarness) {
    let mut last = 0;
    for round in 1..5 {
        let log = harness.open();
        assert_eq!((log.tail(), log.durable(), log.epoch()), (last, last, round - 1));
        assert_eq!(log.seal(round).unwrap(), last);
        append(harness, &*log, last + 1, 50);
        last += 50;
        assert_records(&*log, 1, last);
        log.close().unwrap();
    }
}

/// What was durable is there after a crash, and the log goes on after it.
pub fn survives_a_crash(harness: &mut impl LogHarness) {
    let mut log = harness.open();
    for round in 0..5 {
        log.seal(round + 1).unwrap();
        append(harness, &*log, log.tail() + 1, 30);
        let durable = log.durable();
        log = harness.reopen_after_crash(log);
        assert_eq!(log.tail(), durable);
        assert_eq!(log.durable(), log.tail(), "what was read back is durable");
        assert_eq!(log.epoch(), round + 1);
        assert_records(&*log, 1, durable);
    }
}

/// Records of one call follow each other, whatever their number; no call with none of them changes anything.
pub fn positions_are_contiguous(harness: &mut impl LogHarness) {
    let log = harness.open();
    let mut next = 1;
    for count in [1, 3, 0, 7, 20] {
        log.append(0, next, &mut (next..next + count).map(record).collect()).unwrap();
        next += count;
        assert_eq!(log.tail(), next - 1);
    }
    harness.settle(&*log);
    log.seal(1).unwrap();
    assert_records(&*log, 1, next - 1);
}

/// A wrong expected position queues nothing.
pub fn wrong_position_is_refused(harness: &mut impl LogHarness) {
    let log = harness.open();
    append(harness, &*log, 1, 3);
    for expected in [0, 1, 3, 5, Lsn::MAX] {
        let refused = log.append(0, expected, &mut vec![record(expected % 100)]);
        assert_eq!(refused, Err(LogError::Position { expected, next: 4 }));
    }
    append(harness, &*log, 4, 1);
    assert_records(&*log, 1, 4);
}

/// After a seal only the new epoch writes, and what the old one had queued is durable.
pub fn old_epoch_is_fenced(harness: &mut impl LogHarness) {
    let log = harness.open();
    log.seal(3).unwrap();
    assert_eq!(log.append(2, 1, &mut vec![record(1)]), Err(LogError::Fenced { given: 2, sealed: 3 }));
    assert_eq!(log.append(4, 1, &mut vec![record(1)]), Err(LogError::Fenced { given: 4, sealed: 3 }));
    log.append(3, 1, &mut (1..=10).map(record).collect()).unwrap();
    assert_eq!(log.seal(5).unwrap(), 10, "the seal takes in what was queued");
    assert_eq!(log.durable(), 10);
    assert_eq!(log.append(3, 11, &mut vec![record(11)]), Err(LogError::Fenced { given: 3, sealed: 5 }));
    for old in [0, 4, 5] {
        assert_eq!(log.seal(old), Err(LogError::Fenced { given: old, sealed: 5 }));
    }
    append(harness, &*log, 11, 1);
    assert_records(&*log, 1, 11);
}

/// The longest record goes in, one byte more does not.
pub fn too_long_a_record_is_refused(harness: &mut impl LogHarness) {
    let log = harness.open();
    let limit = log.limits().record_bytes_max;
    let long = |bytes| LogRecord { partition: 0, bytes: vec![1; bytes] };
    let mut kept = vec![record(1), long(limit + 1)];
    let refused = log.append(0, 1, &mut kept);
    assert_eq!(kept.len(), 2, "what was refused is still the caller's");
    assert_eq!(refused, Err(LogError::RecordTooLarge { bytes: limit + 1, limit }));
    assert_eq!(log.tail(), 0, "all or nothing");
    log.append(0, 1, &mut vec![long(limit)]).unwrap();
    log.seal(1).unwrap();
    assert_eq!(log.read(1, 1).unwrap().next().unwrap().unwrap().1, long(limit));
}

/// Pipelined appends: the watermark only moves forward, never beyond the tail, and reaches it.
pub fn watermark_moves_in_order(harness: &mut impl LogHarness) {
    let log = harness.open();
    let watcher = Watcher::new(&*log);
    append(harness, &*log, 1, 100);
    let moves: Vec<Lsn> = watcher.reported().into_iter().map(Result::unwrap).collect();
    assert!(moves.is_sorted_by(|before, after| before < after), "{moves:?}");
    // The report follows the move, so the last one may still be on its way.
    assert!(moves.iter().all(|position| (1..=100).contains(position)), "{moves:?}");
    assert_eq!(log.durable(), 100);
}

/// Of many writers that want the same position exactly one gets it.
pub fn many_writers(harness: &mut impl LogHarness) {
    let log = harness.open();
    let won: Vec<Lsn> = std::thread::scope(|scope| {
        let write = || {
            let fits = |position: &Lsn| log.append(0, *position, &mut vec![record(*position)]).is_ok();
            (1..=100).filter(fits).collect::<Vec<_>>()
        };
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(write)).collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let mut sorted = won.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=log.tail()).collect::<Vec<_>>(), "every position was given once");
    harness.settle(&*log);
    let tail = log.seal(1).unwrap();
    assert_records(&*log, 1, tail);
}

/// A trim gives up nothing at or above its bound, and what is gone is said to be gone.
pub fn trim_keeps_the_rest(harness: &mut impl LogHarness) {
    let log = harness.open();
    append(harness, &*log, 1, 400);
    let mut first = 1;
    for below in [1, 150, 100, 400, 401, 1000] {
        log.trim(below).unwrap();
        assert!(log.first() >= first && log.first() <= below.min(401).max(first), "first {}", log.first());
        first = log.first();
        assert_records(&*log, first, 400);
        if first > 1 {
            assert!(matches!(log.read(first - 1, 400), Err(LogError::Trimmed { .. })));
        }
    }
    append(harness, &*log, 401, 10);
    let log = harness.reopen_after_crash(log);
    assert!(log.first() >= first);
    assert_records(&*log, log.first(), 410);
}

/// A reader under a trim sees the original records or an error, never others.
pub fn trim_against_a_reader(harness: &mut impl LogHarness) {
    let log = harness.open();
    append(harness, &*log, 1, 300);
    let mut reader = log.read(1, 300).unwrap();
    let head: Vec<Lsn> = reader.by_ref().take(10).map(|item| item.unwrap().0).collect();
    assert_eq!(head, (1..=10).collect::<Vec<_>>());
    log.trim(300).unwrap();
    // Enough to write over whatever was recycled.
    append(harness, &*log, 301, 600);
    for (expected, item) in (11..=300).zip(reader.by_ref()) {
        match item {
            Ok((position, read)) => assert!((position, &read) == (expected, &record(expected)), "{position}"),
            Err(error) => {
                assert!(matches!(error, LogError::Trimmed { .. }), "{error}");
                assert!(reader.next().is_none(), "an error ends the iteration");
                return;
            }
        }
    }
}

/// After closing nothing is accepted; closing twice is no error.
pub fn closed_log_refuses(harness: &mut impl LogHarness) {
    let log = harness.open();
    append(harness, &*log, 1, 5);
    log.close().unwrap();
    assert_eq!(log.append(0, 6, &mut vec![record(6)]), Err(LogError::Closed));
    log.close().unwrap();
    assert_eq!(log.durable(), 5);
}
