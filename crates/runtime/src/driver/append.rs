//! Appends a round's records and follows the log's watermark.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use protocol::Position;
use store::{Log, LogError};

use super::{Driver, Event};
use crate::error::NodeError;
use crate::held::Held;
use crate::limits;
use crate::planted::{self, Bug};
use crate::rows::writer::Batch;
use crate::shared::{Phase, add, set};
use crate::sync::mpsc::Sender;

/// Lets out what is held whenever the watermark moves, and tells the driver when the log fails.
pub(crate) fn watch_log(log: &dyn Log, held: Arc<Held>, events: Sender<Event>) {
    held.let_out(Position(log.durable()));
    log.on_durable(Box::new(move |result| match result {
        Ok(durable) => held.let_out(Position(durable)),
        Err(LogError::Closed) => {}
        // A driver that has ended recovers from the log at its next start.
        Err(error) => drop(events.send(Event::LogFailed(error))),
    }));
}

impl Driver {
    /// Appends the records of this round as one batch. The partitions have applied them already, so they must get into
    /// the log: while it has no room for them they stay in the batch, and nothing else is handled. Nothing is lost by
    /// that, as clients are answered `unavailable` meanwhile.
    pub(super) fn append(&mut self) -> Result<(), NodeError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let (count, bytes) = (self.batch.len() as u64, self.batch_bytes);
        if !self.stalled {
            self.parts.faults.before_append(&self.parts.shared.held);
        }
        self.stalled = !self.try_append(self.next.0 - count)?;
        if self.stalled {
            return Ok(());
        }
        self.batch_bytes = 0;
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

    /// Tries again to append the batch that the log had no room for.
    pub(super) fn find_room(&mut self) -> Result<bool, NodeError> {
        self.follow()?;
        self.append()?;
        // Workers are not to blame for what they had to wait meanwhile.
        self.parts.pool.forgive(self.steady());
        Ok(!self.stalled)
    }

    /// False if there is no room now.
    fn try_append(&mut self, first: u64) -> Result<bool, NodeError> {
        let (log, epoch) = (&self.parts.backends.log, self.parts.epoch);
        // Half of the log's queue leaves room for its own framing.
        if self.in_log_bytes > 0 && self.in_log_bytes + self.batch_bytes > log.limits().queue_bytes_max / 2 {
            log.confirm()?;
            return Ok(false);
        }
        match log.append(epoch, first, &mut self.batch) {
            Ok(()) => Ok(true),
            Err(LogError::Full { .. }) => Ok(false),
            // A node that is told to end does not wait for room on the disk.
            Err(LogError::NoSpace { .. }) if self.parts.shared.phase() == Phase::Open => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes in the present watermark.
    pub(super) fn follow(&mut self) -> Result<(), NodeError> {
        let durable = Position(self.parts.backends.log.durable());
        if durable <= self.durable {
            return Ok(());
        }
        assert!(durable < self.next, "the log cannot hold records that were never appended");
        self.durable = durable;
        settle(&mut self.in_log, &mut self.in_log_bytes, durable);
        Ok(())
    }

    /// Hands durable rows to the state's writer, many at once.
    pub(super) fn write_rows(&mut self) {
        let Some(due) = self.rows_due() else { return };
        if self.steady() < due && self.overlay.queued_bytes() < limits::STATE_DELAY_BYTES {
            return;
        }
        if !self.overlay.has(self.durable) {
            // They wait for the log. It does not tell the driver when it has them.
            self.rows_written = self.steady();
            return;
        }
        let durable = if planted::is(Bug::StateAhead) { Position(self.next.0 - 1) } else { self.durable };
        self.hand_rows(durable, false);
    }

    /// Hands all rows up to this position to the state's writer. With `advance` it says of all partitions that they have
    /// come there, which must not be said while rows are still here.
    pub(super) fn hand_rows(&mut self, durable: Position, advance: bool) {
        self.rows_written = self.steady();
        let rows = self.overlay.take(durable);
        self.parts.writer.write(Batch { durable, rows, advance });
    }

    /// When rows that are durable by then are handed over, if there are any.
    pub(super) fn rows_due(&self) -> Option<Instant> {
        (self.overlay.queued() > 0).then(|| self.rows_written + self.parts.shared.state_delay)
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
