//! Random work, random faults, random crashes: what was acknowledged survives, in order, whatever else is lost.
//!
//! A failing seed is printed by the assertion. The batches depend on when the committer wakes, so a seed fixes the
//! faults and the work but not every byte.

use std::collections::BTreeMap;

use store::{
    Log, LogError, LogRecord, Lsn,
    conformance::log::Watcher,
    faulty::{Fault, FaultyDisk, Random, Survivors},
    file_log::FileLog,
};

use crate::support::try_open;

const SEEDS: u64 = 400;
const LIVES: usize = 8;

/// What the log must hold.
#[derive(Default)]
struct Model {
    records: BTreeMap<Lsn, LogRecord>,
    acknowledged: Lsn,
    first: Lsn,
    /// The lowest position that no trim was asked to give up.
    kept: Lsn,
    epoch: u64,
    written: u64,
}

#[test]
fn acknowledged_records_survive() {
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let mut model = Model { kept: 1, ..Model::default() };
        let mut disk = FaultyDisk::new();
        for _ in 0..LIVES {
            disk = live(disk, &mut model, &mut random, seed);
        }
    }
}

/// One life of a server: open, check, work, crash.
fn live(disk: FaultyDisk, model: &mut Model, random: &mut Random, seed: u64) -> FaultyDisk {
    if random.below(4) == 0 {
        // Also while opening.
        disk.fail_at(disk.operations() + random.below(12) as u64, Fault::Crash);
    }
    match try_open(&disk) {
        Ok(log) => {
            let opened = model.check(&log, seed);
            if random.below(3) > 0 {
                disk.fail_at(disk.operations() + random.below(60) as u64, fault(random));
            }
            // A failure ends the work as it ends a server.
            let _ = opened.and_then(|()| model.work(&log, random));
            model.acknowledged = model.acknowledged.max(log.durable());
            let after = disk.crash(survivors(random));
            drop(log);
            after
        }
        Err(error) => {
            assert!(error.to_string().contains("injected"), "seed {seed}: {error}");
            disk.crash(survivors(random))
        }
    }
}

fn fault(random: &mut Random) -> Fault {
    match random.below(4) {
        0 => Fault::Error(std::io::ErrorKind::StorageFull),
        1 => Fault::Torn(random.below(3000)),
        _ => Fault::Crash,
    }
}

fn survivors(random: &mut Random) -> Survivors {
    match random.below(6) {
        0 => Survivors::None,
        1 => Survivors::All,
        2 => Survivors::Process,
        _ => Survivors::Seeded(random.next_u64()),
    }
}

impl Model {
    /// Everything acknowledged is there, what else is there was appended, and from now on it counts as acknowledged.
    ///
    /// The crash that was meant for opening may come only now; then nothing is known.
    fn check(&mut self, log: &FileLog, seed: u64) -> Result<(), LogError> {
        let (first, tail) = (log.first(), log.tail());
        assert!(tail >= self.acknowledged, "seed {seed}: {tail} is less than {}", self.acknowledged);
        assert!(
            first >= self.first && first <= self.kept,
            "seed {seed}: {first} not in {}..={}",
            self.first,
            self.kept
        );
        assert!(log.epoch() >= self.epoch, "seed {seed}: epoch went back");
        assert_eq!(log.durable(), tail);
        let mut expected = first;
        for item in log.read(first, Lsn::MAX)? {
            let (position, record) = match item {
                Err(error) if error.to_string().contains("injected") => return Err(error),
                item => item.unwrap(),
            };
            assert_eq!(position, expected, "seed {seed}: contiguous");
            assert!(self.records.get(&position) == Some(&record), "seed {seed}: record {position}");
            expected += 1;
        }
        assert_eq!(expected, tail + 1, "seed {seed}: up to the tail");
        self.records.retain(|position, _| *position <= tail);
        self.acknowledged = tail;
        self.first = first;
        Ok(())
    }

    fn work(&mut self, log: &FileLog, random: &mut Random) -> Result<(), LogError> {
        let watcher = Watcher::new(log);
        self.seal(log)?;
        for _ in 0..random.below(40) {
            match random.below(20) {
                0 => self.trim(log, random)?,
                1 => self.seal(log)?,
                2 => return log.close(),
                3..9 => watcher.wait(log, log.tail())?,
                _ => match self.append(log, random) {
                    Ok(()) => {}
                    Err(LogError::Full { .. }) => watcher.wait(log, log.tail())?,
                    Err(error) => return Err(error),
                },
            }
            self.acknowledged = self.acknowledged.max(log.durable());
        }
        Ok(())
    }

    fn append(&mut self, log: &FileLog, random: &mut Random) -> Result<(), LogError> {
        let next = log.tail() + 1;
        let records: Vec<LogRecord> = (0..1 + random.below(6)).map(|_| self.record(random)).collect();
        log.append(log.epoch(), next, &mut records.clone())?;
        self.records.extend((next..).zip(records));
        Ok(())
    }

    fn record(&mut self, random: &mut Random) -> LogRecord {
        self.written += 1;
        let mut bytes = self.written.to_le_bytes().to_vec();
        bytes.resize(8 + random.below(700), u8::try_from(random.below(256)).unwrap());
        LogRecord { partition: u16::try_from(random.below(4)).unwrap(), bytes }
    }

    fn seal(&mut self, log: &FileLog) -> Result<(), LogError> {
        let epoch = log.epoch() + 1;
        self.acknowledged = self.acknowledged.max(log.seal(epoch)?);
        self.epoch = epoch;
        Ok(())
    }

    fn trim(&mut self, log: &FileLog, random: &mut Random) -> Result<(), LogError> {
        let span = usize::try_from(log.durable() + 1 - log.first()).unwrap();
        let below = log.first() + random.below(span + 1) as Lsn;
        self.kept = self.kept.max(below);
        log.trim(below)
    }
}
