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
};
use crate::{
    limits::BATCH_BYTES_MAX,
    log::{LogError, LogRecord, Lsn},
};

/// Writes are filled up with zeros to this boundary: overwriting a whole page needs no read of its old content.
const PAGE_BYTES: u64 = 4096;

pub(super) struct Committer {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    offset: u64,
    next: Cursor,
    buffer: Vec<u8>,
    /// The last batch is not covered by a later one yet.
    uncovered: bool,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, segment: Arc<Segment>, offset: u64, next: Cursor) -> Self {
        // What recovery found at the end was perhaps never acknowledged before, but it is now.
        let uncovered = offset > 0;
        Self { shared, segment, offset, next, buffer: Vec::new(), uncovered }
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
            match self.shared.queue.next(self.uncovered, self.shared.options.idle_cover) {
                Work::Commit(records, epoch) => self.commit(records, epoch)?,
                Work::Idle(epoch) => self.cover(epoch)?,
                Work::Close(epoch) if self.uncovered => self.cover(epoch)?,
                Work::Close(_) | Work::Failed => return Ok(()),
            }
        }
    }

    /// Everything that was queued, in as few batches as fit.
    fn commit(&mut self, mut records: VecDeque<LogRecord>, epoch: u64) -> Result<(), LogError> {
        while !records.is_empty() {
            let (count, cost) = self.fill(&mut records);
            if count == 0 {
                self.rotate()?;
                continue;
            }
            self.write(count, epoch)?;
            let left = self.left();
            self.shared.queue.committed(self.next.position - 1, count, cost, left)?;
            self.uncovered = true;
            self.report();
            self.allocate_inline();
        }
        Ok(())
    }

    /// Moves records into the buffer as long as they fit into one batch of the current segment.
    fn fill(&mut self, records: &mut VecDeque<LogRecord>) -> (usize, usize) {
        let room = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let limit = room.min(HEADER_BYTES + BATCH_BYTES_MAX);
        batch::begin(&mut self.buffer);
        let (mut count, mut cost) = (0, 0);
        while let Some(record) = records.front() {
            if self.buffer.len() + batch::framed(record) > limit {
                break;
            }
            batch::push(&mut self.buffer, record);
            cost += Queue::promise(record);
            count += 1;
            records.pop_front();
        }
        (count, cost)
    }

    /// An empty batch that says that everything before it is durable.
    fn cover(&mut self, epoch: u64) -> Result<(), LogError> {
        if self.left() < HEADER_BYTES as u64 {
            self.rotate()?;
        }
        batch::begin(&mut self.buffer);
        self.write(0, epoch)?;
        self.uncovered = false;
        Ok(())
    }

    fn write(&mut self, count: usize, epoch: u64) -> Result<(), LogError> {
        let Cursor { position, sequence } = self.next;
        let place = Place {
            log_id: self.shared.log_id,
            generation: self.segment.generation,
            position,
            sequence,
            durable: sequence - 1,
            epoch,
        };
        batch::finish(&mut self.buffer, place, count);
        let extent = self.buffer.len() as u64;
        let end = (self.offset + extent).next_multiple_of(PAGE_BYTES).min(self.shared.segment_bytes);
        self.buffer.resize(usize::try_from(end - self.offset).expect("a batch fits into memory"), 0);

        let name = |operation| move |error| LogError::io(operation, &file_name(place.generation), &error);
        self.segment.file.write_at(self.offset, &self.buffer).map_err(name("writing"))?;
        self.segment.file.sync().map_err(name("syncing"))?;

        self.offset += extent;
        self.next = Cursor { position: position + count as Lsn, sequence: sequence + 1 };
        let counters = &self.shared.counters;
        counters.batches.fetch_add(1, Ordering::Relaxed);
        counters.syncs.fetch_add(1, Ordering::Relaxed);
        counters.bytes.fetch_add(extent, Ordering::Relaxed);
        counters.records.fetch_add(count as u64, Ordering::Relaxed);
        Ok(())
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
