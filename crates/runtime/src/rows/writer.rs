//! The thread that writes durable rows to the state, so that the driver never waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{SendError, TryRecvError};

use protocol::Position;
use store::{State, StateError};

use super::Row;
use crate::planted::{self, Bug};
use crate::sync::mpsc::{Receiver, Sender, channel};
use crate::sync::thread::{Builder, JoinHandle};

/// Rows to write, all those up to `durable` that were not handed over before.
pub(crate) struct Batch {
    pub(crate) durable: Position,
    pub(crate) rows: Vec<Row>,
    /// Say of the other partitions too that they have come to `durable`.
    pub(crate) advance: bool,
}

/// Handed-over batches are written in order and come back when the state has them.
pub(crate) struct Writer {
    batches: Option<Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// `done` is called in the writer's thread after each write; after an error nothing more is written.
    pub(crate) fn start(
        state: Arc<dyn State>,
        done: impl FnMut(Result<Vec<Row>, StateError>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (batches, incoming) = channel();
        let thread = Builder::new().name("state-writer".into()).spawn(move || run(&*state, &incoming, done))?;
        Ok(Self { batches: Some(batches), thread: Some(thread) })
    }

    /// One without a thread: what is handed over is written when the caller of [`StateWriter::step`] wants it.
    pub(crate) fn stepped(
        state: Arc<dyn State>,
        done: impl FnMut(Result<Vec<Row>, StateError>) + Send + 'static,
    ) -> (Self, StateWriter) {
        let (batches, incoming) = channel();
        let writer = StateWriter { state, incoming, done: Box::new(done), failed: false };
        (Self { batches: Some(batches), thread: None }, writer)
    }

    /// Does nothing after the writer has failed: its error is on the way.
    pub(crate) fn write(&self, batch: Batch) {
        if let Some(Err(SendError(batch))) = self.batches.as_ref().map(|batches| batches.send(batch)) {
            drop(batch);
        }
    }

    /// Waits until everything handed over is written.
    pub(crate) fn finish(&mut self) {
        drop(self.batches.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the writer was reported by its message that never came.
            let _ = thread.join();
        }
    }
}

/// Writes to the state in the caller's thread.
pub(crate) struct StateWriter {
    state: Arc<dyn State>,
    incoming: Receiver<Batch>,
    done: Box<dyn FnMut(Result<Vec<Row>, StateError>) + Send>,
    failed: bool,
}

impl StateWriter {
    /// Writes what has been handed over; false if that was nothing.
    pub(crate) fn step(&mut self) -> bool {
        let first = if self.failed { Err(TryRecvError::Empty) } else { self.incoming.try_recv() };
        let Ok(first) = first else { return false };
        self.failed = !write(&*self.state, first, &self.incoming, &mut self.done);
        true
    }
}

fn run(state: &dyn State, batches: &Receiver<Batch>, mut done: impl FnMut(Result<Vec<Row>, StateError>)) {
    while let Ok(batch) = batches.recv() {
        if !write(state, batch, batches, &mut done) {
            return;
        }
    }
}

/// Writes a batch together with those that wait behind it; false if that failed.
fn write(
    state: &dyn State,
    mut batch: Batch,
    batches: &Receiver<Batch>,
    done: &mut impl FnMut(Result<Vec<Row>, StateError>),
) -> bool {
    for more in batches.try_iter() {
        batch.durable = more.durable;
        batch.rows.extend(more.rows);
        batch.advance |= more.advance;
    }
    let result = apply(state, batch.durable, &batch.rows, batch.advance);
    let written = result.is_ok();
    done(result.map(|()| batch.rows));
    written
}

/// Writes the newest version of each row.
pub(crate) fn apply(state: &dyn State, durable: Position, rows: &[Row], advance: bool) -> Result<(), StateError> {
    let mut newest: Vec<HashMap<&[u8], &Option<Vec<u8>>>> = vec![HashMap::new(); usize::from(state.partitions())];
    for row in rows.iter().filter(|row| row.value.is_some() || !planted::is(Bug::DeletionKept)) {
        newest[usize::from(row.partition.0)].insert(&row.key, &row.value);
    }
    for (partition, rows) in (0..).zip(newest) {
        if rows.is_empty() {
            if advance {
                state.advance(partition, durable.0)?;
            }
            continue;
        }
        let mut writes: Vec<_> = rows.into_iter().map(|(key, value)| (key.to_vec(), value.clone())).collect();
        writes.sort_unstable();
        state.apply(partition, durable.0, &writes)?;
    }
    Ok(())
}
