//! What each log was given, kept outside of the system under test: the truth that recovery and replies are compared with.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::cell::CellKey;
use protocol::ids::{AttemptId, PartitionId};
use protocol::record::{self, Body, CellWrite, Record};
use store::file_log::FileLog;
use store::log::{DurableCallback, LogIter};
use store::{Log, LogError, LogLimits, LogRecord, LogStats, Lsn};

use crate::program::decode_version;

/// A record of a log.
#[derive(Clone, Debug)]
pub struct Entry {
    pub partition: PartitionId,
    pub bytes: Vec<u8>,
    pub record: Arc<Record>,
    /// When it was appended.
    pub at: u64,
}

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Committed by the record at this position.
    Committed(Lsn),
    /// Promised by the record at this position; the home of the attempt decides.
    Promised(Lsn, AttemptId),
}

/// The records of one log, those included that it has trimmed.
#[derive(Debug, Default)]
pub struct Chronicle {
    entries: Vec<Entry>,
    /// The highest position that the log has called durable.
    announced: Lsn,
    stands: HashMap<i64, Stands>,
    decided: HashMap<AttemptId, Lsn>,
    /// Every version that was ever logged, or would have been but for a crash.
    ever: HashSet<i64>,
    /// Cells whose deletion a crash has taken. What is not there has no version.
    lost_deletions: HashSet<CellKey>,
    /// Records that were ever logged.
    pub records: u64,
    /// The present, in microseconds of the simulation.
    pub now: u64,
}

/// Shared by a log's watcher and the world.
pub type Shared = Arc<Mutex<Chronicle>>;

pub fn lock(chronicle: &Mutex<Chronicle>) -> MutexGuard<'_, Chronicle> {
    chronicle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chronicle {
    /// Records with their positions.
    pub fn entries(&self) -> impl Iterator<Item = (Lsn, &Entry)> {
        (1..).zip(&self.entries)
    }

    pub fn tail(&self) -> Lsn {
        self.entries.len() as Lsn
    }

    pub fn announced(&self) -> Lsn {
        self.announced
    }

    fn announce(&mut self, durable: Lsn) {
        self.announced = self.announced.max(durable);
    }

    /// Where a version stands in this log, if it does.
    pub fn stands(&self, version: i64) -> Option<Stands> {
        self.stands.get(&version).copied()
    }

    /// Was this version ever logged here, or would it have been but for a crash?
    pub fn ever(&self, version: i64) -> bool {
        self.ever.contains(&version)
    }

    /// Cells that user code may have seen absent because of a deletion that a crash has taken.
    pub fn lost_deletions(&self) -> impl Iterator<Item = &CellKey> {
        self.lost_deletions.iter()
    }

    /// Position of the decision to commit an attempt.
    pub fn decided(&self, attempt: AttemptId) -> Option<Lsn> {
        self.decided.get(&attempt).copied()
    }

    fn push(&mut self, logged: &LogRecord) {
        let record = decoded(logged);
        let (partition, bytes) = (PartitionId(logged.partition), logged.bytes.clone());
        self.entries.push(Entry { partition, bytes, record: Arc::new(record), at: self.now });
        self.records += 1;
        self.place(self.tail());
    }

    fn place(&mut self, position: Lsn) {
        let record = Arc::clone(&self.entries[position as usize - 1].record);
        match &record.body {
            Body::Step(step) => {
                for version in versions(&step.writes) {
                    self.ever.insert(version);
                    self.stands.insert(version, Stands::Committed(position));
                }
                if let Some(commit) = &step.commit {
                    self.decided.insert(commit.attempt, position);
                }
            }
            Body::Prepared(row) => {
                for version in versions(&row.writes) {
                    self.ever.insert(version);
                    self.stands.insert(version, Stands::Promised(position, row.attempt));
                }
            }
            Body::Nothing
            | Body::Deploy(_)
            | Body::Accept(_)
            | Body::Resolved(_)
            | Body::Status(_)
            | Body::Forget(_)
            | Body::TaskResult(_) => {}
        }
    }

    /// A crash takes records that waited for room in the log.
    pub fn takes(&mut self, unlogged: &[LogRecord]) {
        unlogged.iter().for_each(|logged| self.loses(&decoded(logged)));
    }

    fn loses(&mut self, record: &Record) {
        let writes = match &record.body {
            Body::Step(step) => &step.writes[..],
            Body::Prepared(row) => &row.writes,
            _ => &[],
        };
        self.ever.extend(versions(writes));
        let deleted = writes.iter().filter(|write| write.put.is_none());
        self.lost_deletions.extend(deleted.map(|write| write.cell.clone()));
    }

    /// Compares what a log has after its recovery with what it was given, and forgets what it has lost.
    pub fn recovered(&mut self, log: &FileLog) -> Result<(), String> {
        let tail = log.tail();
        if tail < self.announced {
            return Err(format!("the log was durable up to {}, and recovered only {tail}", self.announced));
        }
        if tail > self.tail() {
            return Err(format!("the log was given {} records, and recovered {tail}", self.tail()));
        }
        let read = log.read(log.first(), tail).map_err(|error| error.to_string())?;
        for found in read {
            let (position, logged) = found.map_err(|error| error.to_string())?;
            let entry = &self.entries[position as usize - 1];
            if entry.partition.0 != logged.partition || entry.bytes != logged.bytes {
                return Err(format!("record {position} is not the one that was appended"));
            }
        }
        let lost: Vec<Entry> = self.entries.drain(tail as usize..).collect();
        lost.iter().for_each(|entry| self.loses(&entry.record));
        self.announced = tail;
        self.stands.clear();
        self.decided.clear();
        (1..=tail).for_each(|position| self.place(position));
        Ok(())
    }
}

fn decoded(logged: &LogRecord) -> Record {
    record::decode(&logged.bytes, "record").expect("a driver appends records")
}

/// The versions that writes carry.
pub fn versions(writes: &[CellWrite]) -> impl Iterator<Item = i64> {
    let puts = writes.iter().filter_map(|write| write.put.as_ref());
    puts.map(|put| decode_version(&put.value).1).filter(|version| *version > 0)
}

/// A log whose records are remembered.
pub struct Watched {
    log: Arc<FileLog>,
    chronicle: Shared,
}

impl Watched {
    pub fn new(log: &Arc<FileLog>, chronicle: &Shared) -> Self {
        Self { log: Arc::clone(log), chronicle: Arc::clone(chronicle) }
    }
}

impl Log for Watched {
    fn append(&self, epoch: u64, expected: Lsn, records: &mut Vec<LogRecord>) -> Result<(), LogError> {
        let given = records.clone();
        self.log.append(epoch, expected, records)?;
        let mut chronicle = lock(&self.chronicle);
        assert_eq!(expected, chronicle.tail() + 1, "the chronicle has what the log has");
        given.iter().for_each(|record| chronicle.push(record));
        Ok(())
    }

    fn durable(&self) -> Lsn {
        let durable = self.log.durable();
        lock(&self.chronicle).announce(durable);
        durable
    }

    fn on_durable(&self, mut callback: DurableCallback) {
        let chronicle = Arc::clone(&self.chronicle);
        self.log.on_durable(Box::new(move |moved| {
            if let Ok(durable) = &moved {
                lock(&chronicle).announce(*durable);
            }
            callback(moved);
        }));
    }

    fn seal(&self, new_epoch: u64) -> Result<Lsn, LogError> {
        self.log.seal(new_epoch)
    }

    fn confirm(&self) -> Result<(), LogError> {
        self.log.confirm()
    }

    fn tail(&self) -> Lsn {
        self.log.tail()
    }

    fn epoch(&self) -> u64 {
        self.log.epoch()
    }

    fn first(&self) -> Lsn {
        self.log.first()
    }

    fn read(&self, from: Lsn, upto: Lsn) -> Result<LogIter<'_>, LogError> {
        self.log.read(from, upto)
    }

    fn trim(&self, below: Lsn) -> Result<(), LogError> {
        self.log.trim(below)
    }

    fn limits(&self) -> LogLimits {
        self.log.limits()
    }

    fn stats(&self) -> LogStats {
        self.log.stats()
    }

    fn has_room(&self) -> bool {
        self.log.has_room()
    }

    fn close(&self) -> Result<(), LogError> {
        self.log.close()
    }
}
