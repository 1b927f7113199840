//! Rows that the state does not have yet. A row stays until the state has it, so that a reader who asks the overlay
//! first never sees an older state.

use std::collections::{BTreeMap, VecDeque};

use protocol::{PartitionId, Position};

use crate::planted::{self, Bug};

/// A changed row on its way to the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Position of the record that changed it.
    pub(crate) position: Position,
    pub(crate) partition: PartitionId,
    pub(crate) key: Vec<u8>,
    /// `None` deletes.
    pub(crate) value: Option<Vec<u8>>,
}

/// The newest version of a row.
#[derive(Debug)]
pub(crate) struct Newest {
    pub(crate) position: Position,
    pub(crate) value: Option<Vec<u8>>,
}

/// Newest versions of one partition, in order of keys.
pub(crate) type Part = BTreeMap<Vec<u8>, Newest>;

/// Rows of all partitions of a log that the state does not have yet.
#[derive(Debug)]
pub(crate) struct Overlay {
    parts: Vec<Part>,
    /// In order of positions, until they are handed to the state's writer.
    queue: VecDeque<Row>,
    /// Of the queue and of what the writer has.
    bytes: usize,
    /// Of the queue.
    queued_bytes: usize,
}

impl Overlay {
    pub(crate) fn new(partitions: u16) -> Self {
        Self {
            parts: (0..partitions).map(|_| Part::new()).collect(),
            queue: VecDeque::new(),
            bytes: 0,
            queued_bytes: 0,
        }
    }

    pub(crate) fn part(&self, partition: PartitionId) -> &Part {
        &self.parts[usize::from(partition.0)]
    }

    /// Bytes that wait for the log or the state.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Rows that wait for the log or the state, counted once for each record that changed them.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Bytes that have not been handed to the state's writer.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Is there a row for the state's writer?
    pub(crate) fn has(&self, durable: Position) -> bool {
        self.queue.front().is_some_and(|row| row.position <= durable)
    }

    /// Positions come in ascending order.
    pub(crate) fn put(&mut self, row: Row) {
        debug_assert!(self.queue.back().is_none_or(|last| last.position <= row.position));
        self.bytes += bytes(&row);
        self.queued_bytes += bytes(&row);
        let newest = Newest { position: row.position, value: row.value.clone() };
        self.parts[usize::from(row.partition.0)].insert(row.key.clone(), newest);
        self.queue.push_back(row);
    }

    /// Takes the rows up to `durable` to hand them to the state's writer. They stay visible until [`Self::applied`].
    pub(crate) fn take(&mut self, durable: Position) -> Vec<Row> {
        let count = self.queue.partition_point(|row| row.position <= durable);
        let rows: Vec<Row> = self.queue.drain(..count).collect();
        self.queued_bytes -= rows.iter().map(bytes).sum::<usize>();
        rows
    }

    /// The state has these rows.
    pub(crate) fn applied(&mut self, rows: &[Row]) {
        for row in rows {
            self.bytes -= bytes(row);
            let part = &mut self.parts[usize::from(row.partition.0)];
            let careless = planted::is(Bug::OverlayDropped);
            if part.get(&row.key).is_some_and(|newest| newest.position == row.position || careless) {
                part.remove(&row.key);
            }
        }
    }
}

/// Room that a row takes, its copy in the ordered map included.
fn bytes(row: &Row) -> usize {
    const OVERHEAD: usize = 96;
    2 * (row.key.len() + row.value.as_ref().map_or(0, Vec::len)) + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(position: u64, key: &[u8], value: &[u8]) -> Row {
        Row { position: Position(position), partition: PartitionId(0), key: key.into(), value: Some(value.into()) }
    }

    #[test]
    fn a_row_stays_until_its_newest_version_is_applied() {
        let mut overlay = Overlay::new(1);
        overlay.put(row(1, b"a", b"1"));
        overlay.put(row(2, b"a", b"2"));
        let first = overlay.take(Position(1));
        assert_eq!(first, [row(1, b"a", b"1")]);
        overlay.applied(&first);
        let part = overlay.part(PartitionId(0));
        assert_eq!(part[b"a".as_slice()].value.as_deref(), Some(b"2".as_slice()));
        let second = overlay.take(Position(2));
        overlay.applied(&second);
        assert!(overlay.part(PartitionId(0)).is_empty());
        assert_eq!(overlay.bytes(), 0);
    }
}
