//! Rows that the state does not have yet. A row stays until the state has it, so that a reader who asks the overlay
//! first never sees an older state. Rows that their partition has in memory nobody asks for: they only wait.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use engine::{RowChange, RowValue};
use protocol::cell::{kind, kind_of};
use protocol::{PartitionId, Position};

use crate::planted::{self, Bug};

/// A changed row on its way to the state.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Position of the record that changed it.
    pub(crate) position: Position,
    pub(crate) partition: PartitionId,
    pub(crate) key: Vec<u8>,
    pub(crate) change: RowChange,
    /// About the room that it takes, its copy in the ordered map included.
    bytes: usize,
}

impl Row {
    pub(crate) fn new(position: Position, partition: PartitionId, key: Vec<u8>, change: RowChange) -> Self {
        const OVERHEAD: usize = 96;
        let bytes = 2 * (key.len() + change.value().map_or(0, RowValue::size)) + OVERHEAD;
        Self { position, partition, key, change, bytes }
    }
}

/// The newest version of a row; no value if it is gone.
#[derive(Debug)]
pub(crate) struct Newest {
    pub(crate) position: Position,
    pub(crate) value: Option<RowValue>,
}

/// Newest versions of one partition's rows that are asked for, in order of keys.
pub(crate) type Part = BTreeMap<Vec<u8>, Newest>;

/// Rows of all partitions of a log that the state does not have yet.
#[derive(Debug)]
pub(crate) struct Overlay {
    parts: Vec<Part>,
    /// In order of positions, until they are handed to the state's writer.
    queue: VecDeque<Row>,
    /// What the writer has, in order.
    handed: VecDeque<Arc<Vec<Row>>>,
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
            handed: VecDeque::new(),
            bytes: 0,
            queued_bytes: 0,
        }
    }

    /// The partition's rows that are asked for.
    pub(crate) fn part(&self, partition: PartitionId) -> &Part {
        &self.parts[usize::from(partition.0)]
    }

    /// All changes of the partition's rows that nobody asks for, in order.
    pub(crate) fn mirrored(&self, partition: PartitionId) -> impl Iterator<Item = &Row> {
        let all = self.handed.iter().flat_map(|rows| rows.iter()).chain(&self.queue);
        all.filter(move |row| row.partition == partition && kind::is_mirrored(kind_of(&row.key)))
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
        self.bytes += row.bytes;
        self.queued_bytes += row.bytes;
        if !kind::is_mirrored(kind_of(&row.key)) {
            let newest = Newest { position: row.position, value: row.change.value().cloned() };
            self.parts[usize::from(row.partition.0)].insert(row.key.clone(), newest);
        }
        self.queue.push_back(row);
    }

    /// Takes the rows up to `durable` to hand them to the state's writer. They stay visible until [`Self::applied`].
    pub(crate) fn take(&mut self, durable: Position) -> Arc<Vec<Row>> {
        let count = self.queue.partition_point(|row| row.position <= durable);
        let rows: Vec<Row> = self.queue.drain(..count).collect();
        self.queued_bytes -= rows.iter().map(|row| row.bytes).sum::<usize>();
        let rows = Arc::new(rows);
        self.handed.push_back(Arc::clone(&rows));
        rows
    }

    /// The state has what was taken first, so many times.
    pub(crate) fn applied(&mut self, times: usize) {
        for rows in self.handed.drain(..times) {
            for row in rows.iter() {
                self.bytes -= row.bytes;
                if kind::is_mirrored(kind_of(&row.key)) {
                    continue;
                }
                let part = &mut self.parts[usize::from(row.partition.0)];
                let careless = planted::is(Bug::OverlayDropped);
                if part.get(&row.key).is_some_and(|newest| newest.position == row.position || careless) {
                    part.remove(&row.key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::cell::partition_row;

    use super::*;

    fn row(position: u64, key: &[u8], value: &[u8]) -> Row {
        let change = RowChange::Put(RowValue::Bytes(value.into()));
        Row::new(Position(position), PartitionId(0), key.into(), change)
    }

    #[test]
    fn a_row_stays_until_its_newest_version_is_applied() {
        let key = partition_row(kind::EXPIRY, b"a");
        let mut overlay = Overlay::new(1);
        overlay.put(row(1, &key, b"1"));
        overlay.put(row(2, &key, b"2"));
        assert_eq!(overlay.take(Position(1)).iter().map(|row| row.position.0).collect::<Vec<_>>(), [1]);
        overlay.applied(1);
        let part = overlay.part(PartitionId(0));
        assert_eq!(part[&key].value.as_ref().map(RowValue::encode), Some(b"2".to_vec()));
        overlay.take(Position(2));
        overlay.applied(1);
        assert!(overlay.part(PartitionId(0)).is_empty());
        assert_eq!(overlay.bytes(), 0);
    }

    #[test]
    fn rows_that_nobody_asks_for_only_wait() {
        let mut overlay = Overlay::new(1);
        overlay.put(row(1, &partition_row(kind::OUTBOX, b"a"), b"1"));
        assert!(overlay.part(PartitionId(0)).is_empty());
        assert_eq!(overlay.mirrored(PartitionId(0)).count(), 1);
        assert_eq!(overlay.take(Position(1)).len(), 1);
        overlay.applied(1);
        assert_eq!((overlay.bytes(), overlay.mirrored(PartitionId(0)).count()), (0, 0));
    }
}
