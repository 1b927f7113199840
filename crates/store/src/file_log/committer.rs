//! The committer: the only thread that writes records. One write and one sync per batch.
//!
//! Not here: deciding whether a record may be queued (`queue`), and making segments (`allocator`).

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

use super::{
    Allocate, Shared, allocator,
    batch::{self, HEADER_BYTES, Place},
    lock,
    queue::{Queue, Work},
    recover::Cursor,
    segments::{Segment, file_name},
    stepped::Did,
};
use crate::{
    limits::BATCH_BYTES_MAX,
    log::{LogError, LogRecord, Lsn},
    planted::{self, Bug},
};

/// Writes are filled up with zeros to this boundary: overwriting a whole page needs no read of its old content.
const PAGE_BYTES: u64 = 4096;

pub(super) struct Committer {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    offset: u64,
    next: Cursor,
    buffer: Vec<u8>,
    /// Records that were taken from the queue and not written yet, and the epoch to write them with.
    taken: VecDeque<LogRecord>,
    epoch: u64,
    /// A batch that was written and not synced yet.
    written: Option<Written>,
    /// The last batch is not covered by a later one yet.
    uncovered: bool,
}

/// A batch that is not durable yet.
struct Written {
    count: usize,
    /// Bytes that the queue had promised for it.
    cost: usize,
    extent: u64,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, segment: Arc<Segment>, offset: u64, next: Cursor) -> Self {
        // What recovery found at the end was perhaps never acknowledged before, but it is now.
        let uncovered = offset > 0;
        let (buffer, taken) = (Vec::new(), VecDeque::new());
        Self { shared, segment, offset, next, buffer, taken, epoch: 0, written: None, uncovered }
    }

    /// Runs until the log is closed or fails. A panic, also of a callback, is a failure: callers must not wait forever.
    pub(super) fn run_guarded(&mut self) {
        if catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            let message = "the committer panicked".to_owned();
            self.shared.fail(LogError::Failed { operation: "committing", file: "log".to_owned(), message });
        }
    }

    fn run(&mut self) {
        if let Err(error) = self.work() {
            self.shared.fail(error.into_failure());
        }
    }

    fn work(&mut self) -> Result<(), LogError> {
        loop {
            self.allocate_inline();
            if self.is_busy() {
                self.go_on()?;
                continue;
            }
            match self.shared.queue.next(self.uncovered, self.shared.options.idle_cover) {
                Work::Commit(records, epoch) => self.take(records, epoch),
                Work::Idle(epoch) => self.cover(epoch)?,
                Work::Close(epoch) if self.uncovered => self.cover(epoch)?,
                Work::Close(_) | Work::Failed => return Ok(()),
            }
        }
    }

    /// One write or one sync, without waiting for work.
    pub(super) fn step_now(&mut self) -> Result<Did, LogError> {
        if !self.is_busy() {
            match self.shared.queue.poll() {
                Some(Work::Commit(records, epoch)) => self.take(records, epoch),
                Some(Work::Failed) => return Ok(Did::Failed),
                Some(Work::Idle(_) | Work::Close(_)) | None => return Ok(Did::Nothing),
            }
        }
        let syncs = self.written.is_some();
        self.go_on()?;
        Ok(if syncs { Did::Synced } else { Did::Wrote })
    }

    /// Writes a covering batch if there is nothing else to do.
    pub(super) fn cover_now(&mut self) -> Result<Did, LogError> {
        if self.is_busy() || !self.uncovered || self.shared.queue.has_work() {
            return Ok(Did::Nothing);
        }
        self.cover(self.shared.queue.epoch())?;
        Ok(Did::Wrote)
    }

    fn is_busy(&self) -> bool {
        self.written.is_some() || !self.taken.is_empty()
    }

    fn take(&mut self, records: VecDeque<LogRecord>, epoch: u64) {
        assert!(self.taken.is_empty(), "what was taken is written first");
        self.taken = records;
        self.epoch = epoch;
    }

    /// Syncs the batch that was written, or writes the next one of what was taken: in as few batches as fit.
    fn go_on(&mut self) -> Result<(), LogError> {
        if let Some(written) = self.written.take() {
            return self.sync(&written);
        }
        loop {
            let (count, cost) = self.fill();
            if count > 0 {
                return self.write(count, cost);
            }
            self.rotate()?;
        }
    }

    /// Moves records into the buffer as long as they fit into one batch of the current segment.
    fn fill(&mut self) -> (usize, usize) {
        let room = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let limit = room.min(HEADER_BYTES + BATCH_BYTES_MAX);
        batch::begin(&mut self.buffer);
        let (mut count, mut cost) = (0, 0);
        while let Some(record) = self.taken.front() {
            if self.buffer.len() + batch::framed(record) > limit {
                break;
            }
            batch::push(&mut self.buffer, record);
            cost += Queue::promise(record);
            count += 1;
            self.taken.pop_front();
        }
        (count, cost)
    }

    /// An empty batch that says that everything before it is durable.
    fn cover(&mut self, epoch: u64) -> Result<(), LogError> {
        if self.left() < HEADER_BYTES as u64 {
            self.rotate()?;
        }
        batch::begin(&mut self.buffer);
        self.epoch = epoch;
        self.write(0, 0)
    }

    fn write(&mut self, count: usize, cost: usize) -> Result<(), LogError> {
        let Cursor { position, sequence } = self.next;
        let place = Place {
            log_id: self.shared.log_id,
            generation: self.segment.generation,
            position,
            sequence,
            durable: sequence - 1,
            epoch: self.epoch,
        };
        batch::finish(&mut self.buffer, place, count);
        let extent = self.buffer.len() as u64;
        let end = (self.offset + extent).next_multiple_of(PAGE_BYTES).min(self.shared.segment_bytes);
        self.buffer.resize(usize::try_from(end - self.offset).expect("a batch fits into memory"), 0);
        self.segment.file.write_at(self.offset, &self.buffer).map_err(|error| self.failed("writing", &error))?;
        self.written = Some(Written { count, cost, extent });
        Ok(())
    }

    fn sync(&mut self, written: &Written) -> Result<(), LogError> {
        if !planted::is(Bug::WatermarkBeforeSync) {
            self.segment.file.sync().map_err(|error| self.failed("syncing", &error))?;
        }
        let Written { count, cost, extent } = *written;
        self.offset += extent;
        self.next = Cursor { position: self.next.position + count as Lsn, sequence: self.next.sequence + 1 };
        let counters = &self.shared.counters;
        counters.batches.fetch_add(1, Ordering::Relaxed);
        counters.syncs.fetch_add(1, Ordering::Relaxed);
        counters.bytes.fetch_add(extent, Ordering::Relaxed);
        counters.records.fetch_add(count as u64, Ordering::Relaxed);
        self.uncovered = count > 0;
        if count == 0 {
            return Ok(());
        }
        self.shared.queue.committed(self.next.position - 1, count, cost, self.left())?;
        self.report();
        Ok(())
    }

    fn failed(&self, operation: &'static str, error: &std::io::Error) -> LogError {
        LogError::io(operation, &file_name(self.segment.generation), error)
    }

    fn rotate(&mut self) -> Result<(), LogError> {
        let mut files = lock(&self.shared.files);
        let Some(segment) = files.rotate(self.next.position, self.next.sequence) else {
            // The queue accepts only what has space, so this is a mistake in its accounting.
            let message = "no segment is left although space was promised".to_owned();
            return Err(LogError::Failed { operation: "rotating", file: "log".to_owned(), message });
        };
        self.segment = segment;
        self.offset = 0;
        self.shared.queue.rotated(self.shared.segment_bytes, files.ahead.len());
        Ok(())
    }

    fn left(&self) -> u64 {
        self.shared.segment_bytes - self.offset
    }

    fn report(&self) {
        let durable = self.next.position - 1;
        for callback in lock(&self.shared.callbacks).iter_mut() {
            callback(Ok(durable));
        }
    }

    fn allocate_inline(&self) {
        if self.shared.options.allocate == Allocate::Inline {
            while self.shared.queue.wants_segment() && allocator::make_one(&self.shared) {}
        }
    }
}
