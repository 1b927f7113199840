//! The log in memory. Its watermark moves by itself or only when it is told to.

use std::sync::Mutex;

use super::lock;
use crate::{
    limits::{QUEUE_BYTES_MAX, RECORD_BYTES_MAX},
    log::{DurableCallback, Log, LogError, LogIter, LogLimits, LogRecord, LogStats, Lsn, Space},
};

/// When records become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watermark {
    /// Before `append` returns.
    Immediate,
    /// When [`MemoryLog::advance`] says so.
    Manual,
}

/// A log in memory.
///
/// Callbacks run in the thread that moves the watermark, without any lock of the log held, one at a time.
pub struct MemoryLog {
    inner: Mutex<Inner>,
    callbacks: Mutex<Vec<DurableCallback>>,
    watermark: Watermark,
}

#[derive(Clone)]
struct Inner {
    /// Position of the first record of `records`.
    first: Lsn,
    records: Vec<LogRecord>,
    durable: Lsn,
    epoch: u64,
    failure: Option<LogError>,
    space: Space,
    batches: u64,
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new(watermark: Watermark) -> Self {
        let inner = Inner {
            first: 1,
            records: Vec::new(),
            durable: 0,
            epoch: 0,
            failure: None,
            space: Space::Ready,
            batches: 0,
        };
        Self::with(inner, watermark)
    }

    /// Moves the watermark to `to`, at most to the tail.
    pub fn advance(&self, to: Lsn) {
        let moved = {
            let mut inner = lock(&self.inner);
            let to = to.min(inner.tail());
            let moves = inner.failure.is_none() && to > inner.durable;
            if moves {
                inner.durable = to;
                inner.batches += 1;
            }
            moves.then_some(to)
        };
        if let Some(durable) = moved {
            for callback in lock(&self.callbacks).iter_mut() {
                callback(Ok(durable));
            }
        }
    }

    /// Fails the log, as a failed sync would.
    pub fn fail(&self, message: &str) {
        let failure = LogError::Failed { operation: "syncing", file: "memory".to_owned(), message: message.to_owned() };
        let first = lock(&self.inner).failure.replace(failure.clone()).is_none();
        if first {
            for mut callback in lock(&self.callbacks).drain(..) {
                callback(Err(failure.clone()));
            }
        }
    }

    /// Says whether there is room: a full disk, one that fails, or one that has space again.
    pub fn set_space(&self, space: Space) {
        lock(&self.inner).space = space;
    }

    /// The log after a crash that kept the records up to `keep` (at least what was durable, at most the tail).
    #[must_use]
    pub fn crash(&self, keep: Lsn) -> Self {
        let mut inner = lock(&self.inner).clone();
        let keep = keep.clamp(inner.durable, inner.tail());
        inner.records.truncate(inner.index(keep + 1));
        inner.durable = keep;
        inner.failure = None;
        Self::with(inner, self.watermark)
    }

    fn with(inner: Inner, watermark: Watermark) -> Self {
        Self { inner: Mutex::new(inner), callbacks: Mutex::default(), watermark }
    }
}

impl Inner {
    fn tail(&self) -> Lsn {
        self.first - 1 + self.records.len() as Lsn
    }

    fn index(&self, position: Lsn) -> usize {
        usize::try_from(position - self.first).expect("records fit into memory")
    }

    fn open(&self) -> Result<(), LogError> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn push(&mut self, epoch: u64, expected: Lsn, records: &mut Vec<LogRecord>) -> Result<(), LogError> {
        self.open()?;
        if epoch != self.epoch {
            return Err(LogError::Fenced { given: epoch, sealed: self.epoch });
        }
        let next = self.tail() + 1;
        if expected != next {
            return Err(LogError::Position { expected, next });
        }
        if let Some(record) = records.iter().find(|record| record.bytes.len() > RECORD_BYTES_MAX) {
            return Err(LogError::RecordTooLarge { bytes: record.bytes.len(), limit: RECORD_BYTES_MAX });
        }
        self.records.append(records);
        Ok(())
    }
}

impl Log for MemoryLog {
    fn append(&self, epoch: u64, expected: Lsn, records: &mut Vec<LogRecord>) -> Result<(), LogError> {
        lock(&self.inner).push(epoch, expected, records)?;
        if self.watermark == Watermark::Immediate {
            self.advance(self.tail());
        }
        Ok(())
    }

    fn durable(&self) -> Lsn {
        lock(&self.inner).durable
    }

    fn on_durable(&self, mut callback: DurableCallback) {
        let failure = lock(&self.inner).failure.clone();
        match failure {
            Some(failure) => callback(Err(failure)),
            None => lock(&self.callbacks).push(callback),
        }
    }

    fn seal(&self, new_epoch: u64) -> Result<Lsn, LogError> {
        let tail = {
            let mut inner = lock(&self.inner);
            inner.open()?;
            if new_epoch <= inner.epoch {
                return Err(LogError::Fenced { given: new_epoch, sealed: inner.epoch });
            }
            inner.epoch = new_epoch;
            inner.tail()
        };
        // A seal waits for what is queued; here it can only be made durable.
        self.advance(tail);
        Ok(tail)
    }

    fn confirm(&self) -> Result<(), LogError> {
        lock(&self.inner).open()
    }

    fn tail(&self) -> Lsn {
        lock(&self.inner).tail()
    }

    fn epoch(&self) -> u64 {
        lock(&self.inner).epoch
    }

    fn first(&self) -> Lsn {
        lock(&self.inner).first
    }

    fn read(&self, from: Lsn, upto: Lsn) -> Result<LogIter<'_>, LogError> {
        let inner = lock(&self.inner);
        let from = from.max(1);
        if from < inner.first {
            return Err(LogError::Trimmed { from, first: inner.first });
        }
        let upto = upto.min(inner.durable);
        if from > upto {
            return Ok(Box::new(std::iter::empty()));
        }
        let records = inner.records[inner.index(from)..inner.index(upto + 1)].to_vec();
        Ok(Box::new((from..).zip(records).map(Ok)))
    }

    fn trim(&self, below: Lsn) -> Result<(), LogError> {
        let mut inner = lock(&self.inner);
        let below = below.min(inner.durable + 1);
        if below > inner.first {
            let gone = inner.index(below);
            inner.records.drain(..gone);
            inner.first = below;
        }
        Ok(())
    }

    fn limits(&self) -> LogLimits {
        LogLimits { record_bytes_max: RECORD_BYTES_MAX, queue_bytes_max: QUEUE_BYTES_MAX, shares_sync: true }
    }

    fn stats(&self) -> LogStats {
        let inner = lock(&self.inner);
        LogStats {
            batches: inner.batches,
            syncs: inner.batches,
            bytes: inner.records.iter().map(|record| record.bytes.len() as u64).sum(),
            records: inner.durable,
            segments: 1,
            segments_ahead: 0,
            space: inner.space,
        }
    }

    fn has_room(&self) -> bool {
        let inner = lock(&self.inner);
        inner.space == Space::Ready && inner.failure.is_none()
    }

    fn close(&self) -> Result<(), LogError> {
        self.advance(self.tail());
        let mut inner = lock(&self.inner);
        match &inner.failure {
            None | Some(LogError::Closed) => {
                inner.failure = Some(LogError::Closed);
                Ok(())
            }
            Some(failure) => Err(failure.clone()),
        }
    }
}
