//! What waits for the committer, and the promises made about it: positions, epoch, space, watermark.
//!
//! Every answer of `append` is decided here under one lock, without touching a file.

use std::{
    collections::VecDeque,
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use super::{
    Allocate, LastOf,
    batch::{ALIGN, HEADER_BYTES, framed},
    lock,
    meta::Meta,
    recover::Cursor,
};
use crate::{
    limits::{QUEUE_BYTES_MAX, QUEUE_RECORDS_MAX, RECORD_BYTES_MAX, SEGMENTS_AHEAD},
    log::{LogError, LogRecord, Lsn, Space},
    planted::{self, Bug},
    sync::{AtomicU64, Condvar, Mutex, MutexGuard},
};

/// Most a record can cost beyond its framed bytes: a batch of its own with padding, and the batch that covers it.
const RECORD_OVERHEAD: usize = 2 * HEADER_BYTES + ALIGN;

pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// The committer waits here.
    work: Condvar,
    /// Callers wait here for the watermark or for space.
    changed: Condvar,
    /// The allocator waits here.
    demand: Condvar,
    /// May `push` wait for a segment? Not if the committer makes them itself.
    allocates_in_background: bool,
    durable: AtomicU64,
    segment_bytes: u64,
}

struct Inner {
    waiting: VecDeque<LogRecord>,
    /// Bytes that the waiting records, and those being written, may cost.
    promised: usize,
    records: usize,
    epoch: u64,
    sealing: bool,
    tail: Lsn,
    last_of: LastOf,
    /// Bytes left in the current segment.
    left: u64,
    ahead: usize,
    space: Space,
    failure: Option<LogError>,
    closing: bool,
}

/// What the committer is to do next.
pub(super) enum Work {
    Commit(VecDeque<LogRecord>, u64),
    /// Nothing came for a while.
    Idle(u64),
    /// Close; everything queued has been committed.
    Close(u64),
    /// The log has failed elsewhere.
    Failed,
}

impl Queue {
    pub(super) fn new(
        meta: &Meta,
        cursor: Cursor,
        offset: u64,
        ahead: usize,
        last_of: LastOf,
        allocate: Allocate,
    ) -> Self {
        let tail = cursor.position - 1;
        let inner = Inner {
            waiting: VecDeque::new(),
            promised: 0,
            records: 0,
            epoch: meta.epoch,
            sealing: false,
            tail,
            last_of,
            left: meta.segment_bytes - offset,
            ahead,
            space: Space::Ready,
            failure: None,
            closing: false,
        };
        Self {
            inner: Mutex::new(inner),
            work: Condvar::new(),
            changed: Condvar::new(),
            demand: Condvar::new(),
            allocates_in_background: allocate == Allocate::Background,
            durable: AtomicU64::new(tail),
            segment_bytes: meta.segment_bytes,
        }
    }

    // ---- callers ----

    pub(super) fn push(&self, epoch: u64, expected: Lsn, records: &mut Vec<LogRecord>) -> Result<(), LogError> {
        let cost = self.cost(records)?;
        let mut inner = lock(&self.inner);
        loop {
            inner.check(epoch, expected)?;
            if inner.promised + cost > self.queue_bytes_max() || inner.records + records.len() > QUEUE_RECORDS_MAX {
                return Err(LogError::Full { queued: inner.promised });
            }
            let available = self.available(&inner);
            if cost as u64 <= available {
                break;
            }
            if !self.segment_is_coming(&inner) {
                // More space comes with the watermark: what waits was promised the worst case.
                if inner.space == Space::Ready {
                    return Err(LogError::Full { queued: inner.promised });
                }
                return Err(LogError::NoSpace { needed: cost as u64, available });
            }
            // The next segment is being made; that ends with space or with the knowledge that there is none.
            inner = wait(&self.changed, inner);
        }
        inner.take_in(records, cost);
        drop(inner);
        self.work.notify_one();
        Ok(())
    }

    pub(super) fn durable(&self) -> Lsn {
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn tail(&self) -> Lsn {
        lock(&self.inner).tail
    }

    pub(super) fn epoch(&self) -> u64 {
        lock(&self.inner).epoch
    }

    pub(super) fn last_of(&self, partition: u16) -> Lsn {
        lock(&self.inner).last_of.get(&partition).copied().unwrap_or(0)
    }

    pub(super) fn failure(&self) -> Option<LogError> {
        lock(&self.inner).failure.clone()
    }

    pub(super) fn space(&self) -> Space {
        lock(&self.inner).space
    }

    /// Room while allocating goes well, or as long as a whole segment is left for what is under way.
    pub(super) fn has_room(&self) -> bool {
        let inner = lock(&self.inner);
        inner.failure.is_none()
            && (inner.space == Space::Ready || self.available(&inner) >= self.usable(self.segment_bytes))
    }

    /// A quarter of a segment at most, so that little is lost at a segment's end.
    pub(super) fn record_bytes_max(&self) -> usize {
        let quarter = usize::try_from(self.segment_bytes / 4).unwrap_or(usize::MAX);
        RECORD_BYTES_MAX.min(quarter)
    }

    /// What is queued has to fit into the segments made ahead, whatever is left of the current one.
    pub(super) fn queue_bytes_max(&self) -> usize {
        let ahead = self.usable(self.segment_bytes) * SEGMENTS_AHEAD as u64;
        QUEUE_BYTES_MAX.min(usize::try_from(ahead).unwrap_or(usize::MAX))
    }

    /// Refuses appends of the old epoch and waits until everything queued is durable.
    pub(super) fn begin_seal(&self, new_epoch: u64) -> Result<Lsn, LogError> {
        let mut inner = lock(&self.inner);
        loop {
            inner.check_open()?;
            if new_epoch <= inner.epoch || inner.sealing {
                return Err(LogError::Fenced { given: new_epoch, sealed: inner.epoch });
            }
            if self.durable() == inner.tail {
                inner.sealing = true;
                return Ok(inner.tail);
            }
            inner = wait(&self.changed, inner);
        }
    }

    pub(super) fn end_seal(&self, new_epoch: u64) {
        let mut inner = lock(&self.inner);
        inner.epoch = new_epoch;
        inner.sealing = false;
    }

    pub(super) fn close(&self) {
        lock(&self.inner).closing = true;
        self.wake_all();
    }

    /// Remembers the first failure; `false` if there was one before.
    pub(super) fn fail(&self, failure: LogError) -> bool {
        let mut inner = lock(&self.inner);
        let first = inner.failure.is_none();
        inner.failure.get_or_insert(failure);
        drop(inner);
        self.wake_all();
        first
    }

    fn wake_all(&self) {
        self.work.notify_all();
        self.changed.notify_all();
        self.demand.notify_all();
    }

    // ---- committer ----

    /// Waits for work. `uncovered`: the last batch is not covered yet, so do not wait longer than `idle`.
    pub(super) fn next(&self, uncovered: bool, idle: Duration) -> Work {
        let mut inner = lock(&self.inner);
        loop {
            if let Some(work) = inner.work() {
                return work;
            }
            if planted::is(Bug::SleepsUnaware) {
                drop(inner);
                inner = lock(&self.inner);
            }
            if !uncovered {
                inner = wait(&self.work, inner);
                continue;
            }
            let (guard, timeout) = self.work.wait_timeout(inner, idle).unwrap_or_else(PoisonError::into_inner);
            inner = guard;
            if timeout.timed_out() && !inner.has_work() {
                return Work::Idle(inner.epoch);
            }
        }
    }

    /// What is to be done now.
    pub(super) fn poll(&self) -> Option<Work> {
        lock(&self.inner).work()
    }

    /// Is anything to be done, or has the log failed?
    pub(super) fn has_work(&self) -> bool {
        let inner = lock(&self.inner);
        inner.failure.is_some() || !inner.waiting.is_empty()
    }

    /// A batch of `records` records, promised `cost` bytes, is durable up to `durable`.
    ///
    /// After a failure elsewhere the watermark stays where it is.
    pub(super) fn committed(&self, durable: Lsn, records: usize, cost: usize, left: u64) -> Result<(), LogError> {
        let mut inner = lock(&self.inner);
        if let Some(failure) = &inner.failure {
            return Err(failure.clone());
        }
        let before = self.durable.swap(durable, Ordering::AcqRel);
        assert!(before <= durable && durable <= inner.tail, "the watermark moves forward, up to the tail");
        inner.promised -= cost;
        inner.records -= records;
        inner.left = left;
        drop(inner);
        self.changed.notify_all();
        Ok(())
    }

    /// Bytes that were promised for a record.
    pub(super) fn promise(record: &LogRecord) -> usize {
        framed(record) + RECORD_OVERHEAD
    }

    /// The current segment was left for one made ahead. Called under the lock of the files.
    pub(super) fn rotated(&self, left: u64, ahead: usize) {
        let mut inner = lock(&self.inner);
        inner.left = left;
        inner.ahead = ahead;
        drop(inner);
        self.demand.notify_one();
        self.changed.notify_all();
    }

    // ---- allocator ----

    /// So many segments are ready. Called under the lock of the files, so that the number is never an older one.
    pub(super) fn set_ahead(&self, ahead: usize) {
        let mut inner = lock(&self.inner);
        inner.ahead = ahead;
        if ahead > 0 {
            inner.space = Space::Ready;
        }
        drop(inner);
        self.changed.notify_all();
    }

    /// An attempt to make a segment failed.
    pub(super) fn allocation_failed(&self, space: Space) {
        let mut inner = lock(&self.inner);
        // A trim may have recycled enough while the attempt was failing.
        if inner.ahead < SEGMENTS_AHEAD {
            inner.space = space;
        }
        drop(inner);
        self.changed.notify_all();
    }

    /// Waits until a segment is wanted; `false` when the log ends. After a failed attempt waits `pace` first.
    pub(super) fn wait_for_demand(&self, pace: Duration) -> bool {
        let mut inner = lock(&self.inner);
        let mut rested = false;
        while !inner.closing && inner.failure.is_none() {
            if inner.ahead >= SEGMENTS_AHEAD {
                inner = wait(&self.demand, inner);
            } else if inner.space == Space::Ready || rested {
                return true;
            } else {
                let (guard, timeout) = self.demand.wait_timeout(inner, pace).unwrap_or_else(PoisonError::into_inner);
                inner = guard;
                rested = timeout.timed_out();
            }
        }
        false
    }

    pub(super) fn wants_segment(&self) -> bool {
        lock(&self.inner).ahead < SEGMENTS_AHEAD
    }

    // ---- accounting ----

    fn segment_is_coming(&self, inner: &Inner) -> bool {
        self.allocates_in_background && inner.space == Space::Ready && inner.ahead < SEGMENTS_AHEAD
    }

    /// The most that the records can take on disk.
    fn cost(&self, records: &[LogRecord]) -> Result<usize, LogError> {
        let limit = self.record_bytes_max();
        if let Some(bytes) = records.iter().map(|record| record.bytes.len()).find(|bytes| *bytes > limit) {
            return Err(LogError::RecordTooLarge { bytes, limit });
        }
        let cost = records.iter().map(Self::promise).sum();
        let limit = self.queue_bytes_max();
        if cost > limit || records.len() > QUEUE_RECORDS_MAX {
            return Err(LogError::AppendTooLarge { bytes: cost, records: records.len(), limit });
        }
        Ok(cost)
    }

    /// Bytes that are allocated and not promised, less what may be lost at the ends of segments.
    fn available(&self, inner: &Inner) -> u64 {
        let ahead = self.usable(self.segment_bytes) * inner.ahead as u64;
        (self.usable(inner.left) + ahead).saturating_sub(inner.promised as u64)
    }

    fn usable(&self, bytes: u64) -> u64 {
        let lost = self.record_bytes_max() + super::batch::FRAME_BYTES + RECORD_OVERHEAD + HEADER_BYTES;
        bytes.saturating_sub(lost as u64)
    }
}

impl Inner {
    fn work(&mut self) -> Option<Work> {
        if self.failure.is_some() {
            return Some(Work::Failed);
        }
        if !self.waiting.is_empty() {
            return Some(Work::Commit(std::mem::take(&mut self.waiting), self.epoch));
        }
        self.closing.then_some(Work::Close(self.epoch))
    }

    fn has_work(&self) -> bool {
        self.failure.is_some() || !self.waiting.is_empty() || self.closing
    }

    fn check_open(&self) -> Result<(), LogError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.closing { Err(LogError::Closed) } else { Ok(()) }
    }

    fn check(&self, epoch: u64, expected: Lsn) -> Result<(), LogError> {
        self.check_open()?;
        if epoch != self.epoch || self.sealing {
            return Err(LogError::Fenced { given: epoch, sealed: self.epoch });
        }
        let next = self.tail + 1;
        if expected == next { Ok(()) } else { Err(LogError::Position { expected, next }) }
    }

    fn take_in(&mut self, records: &mut Vec<LogRecord>, cost: usize) {
        self.promised += cost;
        self.records += records.len();
        for record in records.drain(..) {
            self.tail += 1;
            self.last_of.insert(record.partition, self.tail);
            self.waiting.push_back(record);
        }
    }
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
