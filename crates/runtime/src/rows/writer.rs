//! The thread that writes durable rows to the state, so that the driver never waits for it.

use std::sync::Arc;
use std::sync::mpsc::{SendError, TryRecvError};

use engine::RowChange;
use protocol::{PartitionId, Position};
use store::{State, StateError};

use super::Row;
use crate::planted::{self, Bug};
use crate::sync::mpsc::{Receiver, Sender, channel};
use crate::sync::thread::{Builder, JoinHandle};

/// Rows to write, all those up to `durable` that were not handed over before, in order of their positions.
pub(crate) struct Batch {
    pub(crate) durable: Position,
    pub(crate) rows: Arc<Vec<Row>>,
    /// Say of the other partitions too that they have come to `durable`.
    pub(crate) advance: bool,
}

/// Handed-over batches are written in order; whoever handed them over hears how many more the state has.
pub(crate) struct Writer {
    batches: Option<Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// `done` is called in the writer's thread after each write; after an error nothing more is written.
    pub(crate) fn start(
        state: Arc<dyn State>,
        done: impl FnMut(Result<usize, StateError>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (batches, incoming) = channel();
        let thread = Builder::new().name("state-writer".into()).spawn(move || run(&*state, &incoming, done))?;
        Ok(Self { batches: Some(batches), thread: Some(thread) })
    }

    /// One without a thread: what is handed over is written when the caller of [`StateWriter::step`] wants it.
    pub(crate) fn stepped(
        state: Arc<dyn State>,
        done: impl FnMut(Result<usize, StateError>) + Send + 'static,
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
    done: Box<dyn FnMut(Result<usize, StateError>) + Send>,
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

fn run(state: &dyn State, batches: &Receiver<Batch>, mut done: impl FnMut(Result<usize, StateError>)) {
    while let Ok(batch) = batches.recv() {
        if !write(state, batch, batches, &mut done) {
            return;
        }
    }
}

/// Writes a batch together with those that wait behind it; false if that failed.
fn write(
    state: &dyn State,
    first: Batch,
    batches: &Receiver<Batch>,
    done: &mut impl FnMut(Result<usize, StateError>),
) -> bool {
    let (mut durable, mut advance) = (first.durable, first.advance);
    let mut rows = vec![first.rows];
    for more in batches.try_iter() {
        durable = more.durable;
        advance |= more.advance;
        rows.push(more.rows);
    }
    let result = apply(state, durable, rows.iter().flat_map(|rows| rows.iter()), advance);
    let written = result.is_ok();
    done(result.map(|()| rows.len()));
    written
}

/// Writes the newest version of each row; they come in order of their positions. Of a row that came and went nothing is
/// written.
pub(crate) fn apply<'a>(
    state: &dyn State,
    durable: Position,
    rows: impl Iterator<Item = &'a Row>,
    advance: bool,
) -> Result<(), StateError> {
    let is_kept = |row: &&Row| !matches!(row.change, RowChange::Delete) || !planted::is(Bug::DeletionKept);
    let mut rows: Vec<&Row> = rows.filter(is_kept).collect();
    // Stable: versions of a row stay in their order.
    rows.sort_by(|one, other| (one.partition, &one.key).cmp(&(other.partition, &other.key)));
    let mut parts = rows.chunk_by(|one, other| one.partition == other.partition).peekable();
    for partition in (0..state.partitions()).map(PartitionId) {
        let rows = parts.next_if(|rows| rows[0].partition == partition).unwrap_or_default();
        let writes: Vec<_> = rows.chunk_by(|one, other| one.key == other.key).filter_map(newest).collect();
        if !writes.is_empty() {
            state.apply(partition.0, durable.0, &writes)?;
        } else if advance {
            state.advance(partition.0, durable.0)?;
        }
    }
    Ok(())
}

/// What all versions of a row come to.
fn newest(versions: &[&Row]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let (first, last) = (versions.first()?, versions.last()?);
    let came_and_went = matches!((&first.change, &last.change), (RowChange::Insert(_), RowChange::Delete));
    (!came_and_went).then(|| (last.key.clone(), last.change.encode()))
}

#[cfg(test)]
mod tests {
    use engine::RowValue;
    use store::memory::MemoryState;

    use super::*;

    #[test]
    fn of_a_row_that_came_and_went_nothing_is_written() {
        let value = |text: &str| RowValue::Bytes(text.into());
        let row = |position, partition, key: &str, change| {
            let (position, partition) = (Position(position), PartitionId(partition));
            Row::new(position, partition, key.into(), change)
        };
        let state = MemoryState::new(2);
        state.apply(0, 1, &[(b"old".to_vec(), Some(vec![1])), (b"again".to_vec(), Some(vec![1]))]).unwrap();
        let rows = [
            row(2, 0, "brief", RowChange::Insert(value("a"))),
            row(2, 0, "old", RowChange::Put(value("b"))),
            row(3, 0, "again", RowChange::Delete),
            row(4, 0, "again", RowChange::Insert(value("c"))),
            row(4, 0, "stays", RowChange::Insert(value("d"))),
            row(5, 0, "brief", RowChange::Put(value("e"))),
            row(6, 0, "brief", RowChange::Delete),
            row(6, 0, "old", RowChange::Delete),
            row(7, 0, "again", RowChange::Delete),
            row(8, 1, "brief", RowChange::Insert(value("f"))),
        ];
        assert_eq!(newest(&[&rows[0], &rows[5], &rows[6]]), None);
        assert_eq!(newest(&[&rows[1], &rows[7]]), Some((b"old".to_vec(), None)));
        assert_eq!(newest(&[&rows[2], &rows[3], &rows[8]]), Some((b"again".to_vec(), None)));
        apply(&state, Position(8), rows.iter(), false).unwrap();
        let get = |partition, key: &str| state.get(partition, key.as_bytes()).unwrap();
        assert_eq!([get(0, "brief"), get(0, "old"), get(0, "again")], [None, None, None]);
        assert_eq!((get(0, "stays"), get(1, "brief")), (Some(b"d".to_vec()), Some(b"f".to_vec())));
    }
}
