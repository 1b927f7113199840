//! Appends a round's records and follows the log's watermark.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use protocol::Position;
use store::{Log, LogError};

use super::{Driver, Event};
use crate::error::NodeError;
use crate::limits;
use crate::rows::writer::Batch;
use crate::shared::{add, set};

/// At most one word about the watermark is on its way to the driver.
#[derive(Debug, Default)]
pub(crate) struct BatchSent(AtomicBool);

impl BatchSent {
    /// The driver has heard of the watermark and looks at it now.
    pub(super) fn heard(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn is_first(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// Wakes the driver whenever the watermark moves, and when the log fails.
pub(crate) fn watch_log(log: &dyn Log, events: Sender<Event>) -> Arc<BatchSent> {
    let sent = Arc::new(BatchSent::default());
    let watching = Arc::clone(&sent);
    log.on_durable(Box::new(move |result| {
        let event = match result {
            Ok(_) if !watching.is_first() => return,
            Ok(_) => Event::Durable,
            Err(LogError::Closed) => return,
            Err(error) => Event::LogFailed(error),
        };
        // A driver that has ended recovers from the log at its next start.
        let _ = events.send(event);
    }));
    sent
}

impl Driver {
    /// Appends the records of this round as one batch.
    pub(super) fn append(&mut self) -> Result<(), NodeError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let (records, bytes) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.batch_bytes));
        let count = records.len() as u64;
        let first = self.next.0 - count;
        self.make_way(bytes)?;
        self.parts.faults.before_append();
        self.append_records(first, records)?;
        self.parts.faults.after_append(Position(self.next.0 - 1), &*self.parts.backends.log);
        self.in_log.push_back((Position(self.next.0 - 1), bytes));
        self.in_log_bytes += bytes;
        let counters = &self.parts.shared.counters;
        add(&counters.appends, 1);
        add(&counters.records, count);
        add(&counters.record_bytes, bytes as u64);
        set(&counters.appended, self.next.0 - 1);
        Ok(())
    }

    /// Waits while the log's queue is too full for so many bytes more: nothing is lost by waiting, as clients are
    /// answered `unavailable` meanwhile.
    fn make_way(&mut self, bytes: usize) -> Result<(), NodeError> {
        // Half of it leaves room for the log's own framing.
        let room = self.parts.backends.log.limits().queue_bytes_max / 2;
        while self.in_log_bytes > 0 && self.in_log_bytes + bytes > room {
            thread::sleep(limits::APPEND_RETRY / 10);
            self.parts.backends.log.confirm()?;
            let durable = Position(self.parts.backends.log.durable());
            settle(&mut self.in_log, &mut self.in_log_bytes, durable);
        }
        Ok(())
    }

    /// The partitions have applied these records already, so they must get into the log. While it has no room, they
    /// are kept and tried again.
    fn append_records(&self, first: u64, records: Vec<store::LogRecord>) -> Result<(), NodeError> {
        let (log, epoch) = (&self.parts.backends.log, self.parts.epoch);
        if log.has_room() {
            return Ok(log.append(epoch, first, records)?);
        }
        loop {
            match log.append(epoch, first, records.clone()) {
                Ok(()) => return Ok(()),
                Err(LogError::NoSpace { .. } | LogError::Full { .. }) if self.may_wait() => {
                    thread::sleep(limits::APPEND_RETRY);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A node that is told to end does not wait for room on the disk.
    fn may_wait(&self) -> bool {
        self.parts.shared.phase() == crate::shared::Phase::Open
    }

    /// Does what the present watermark allows.
    pub(super) fn follow(&mut self) -> Result<(), NodeError> {
        let durable = Position(self.parts.backends.log.durable());
        if durable <= self.durable {
            return Ok(());
        }
        assert!(durable < self.next, "the log cannot hold records that were never appended");
        self.durable = durable;
        settle(&mut self.in_log, &mut self.in_log_bytes, durable);
        self.release();
        let rows = self.overlay.take(durable);
        if !rows.is_empty() {
            self.parts.writer.write(Batch { durable, rows, advance: false });
        }
        Ok(())
    }

    pub(super) fn release(&mut self) {
        self.held.release(self.durable);
        while let Some(entry) = self.tasks_held.first_entry()
            && entry.key().0 <= self.durable
        {
            let ((_, partition, _), start) = entry.remove_entry();
            self.parts.tasks.start(partition, start);
        }
    }
}

/// What is durable no longer takes room in the log's queue.
fn settle(in_log: &mut VecDeque<(Position, usize)>, in_log_bytes: &mut usize, durable: Position) {
    while let Some(&(position, bytes)) = in_log.front()
        && position <= durable
    {
        in_log.pop_front();
        *in_log_bytes -= bytes;
    }
}
