//! Cells of one partition that are resident in memory, each with the position of its last write.
//!
//! A cache over the state and the overlay of records that are not durable yet: whatever is dropped here can be loaded
//! again. Only the position of a version is not stored elsewhere, so it outlives the version in `floor`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

use protocol::cell::{CellKey, CellRow};
use protocol::ids::Position;

use crate::limits::CELLS_TRIMMED_MAX;
use crate::planted::{self, Bug};

/// A version of a cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version {
    /// Content; `None` if the cell is absent.
    pub(crate) row: Option<Arc<CellRow>>,
    /// Record that wrote it; a floor if it was loaded. A deletion is a version too.
    pub(crate) position: Position,
}

#[derive(Clone, Debug)]
pub(crate) struct CellCache {
    versions: BTreeMap<CellKey, Version>,
    /// Room that they take.
    bytes: usize,
    /// Room that they may take.
    bytes_max: usize,
    floor: Position,
    /// The last one that was looked at to be dropped.
    hand: Option<CellKey>,
}

impl CellCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { versions: BTreeMap::new(), bytes: 0, bytes_max, floor: Position::default(), hand: None }
    }

    pub(crate) fn get(&self, cell: &CellKey) -> Option<&Version> {
        self.versions.get(cell)
    }

    /// A version that a record wrote.
    pub(crate) fn written(&mut self, cell: CellKey, row: Option<Arc<CellRow>>, position: Position) {
        if planted::is(Bug::StaleCell) && self.versions.contains_key(&cell) {
            return;
        }
        self.bytes += bytes(&cell, row.as_deref());
        let empty = bytes(&cell, None);
        if let Some(before) = self.versions.insert(cell, Version { row, position }) {
            self.bytes -= empty + before.row.as_deref().map_or(0, row_bytes);
        }
    }

    /// A version that was loaded; never replaces one that is here.
    pub(crate) fn loaded(&mut self, cell: CellKey, row: Option<Arc<CellRow>>) {
        let position = self.floor;
        if let Entry::Vacant(entry) = self.versions.entry(cell) {
            self.bytes += bytes(entry.key(), row.as_deref());
            entry.insert(Version { row, position });
        }
    }

    /// Versions that a record after `durable` wrote.
    pub(crate) fn newer(&self, durable: Position) -> Vec<(&CellKey, Position)> {
        let written = self.versions.iter().map(|(cell, version)| (cell, version.position));
        written.filter(|(_, position)| *position > durable).collect()
    }

    /// Drops versions beyond the bound, but for those that `in_use` names: a few at a time, one after the other in a
    /// circle, so that it never takes long and most of what is used stays.
    pub(crate) fn trim(&mut self, in_use: impl Fn(&CellKey) -> bool) {
        for _ in 0..CELLS_TRIMMED_MAX {
            if self.bytes <= self.bytes_max {
                return;
            }
            let after = self.hand.take().map_or(Bound::Unbounded, Bound::Excluded);
            let Some((cell, _)) = self.versions.range((after, Bound::Unbounded)).next() else { continue };
            let cell = cell.clone();
            if !in_use(&cell)
                && let Some(version) = self.versions.remove(&cell)
            {
                self.bytes -= bytes(&cell, version.row.as_deref());
                self.floor = self.floor.max(version.position);
            }
            self.hand = Some(cell);
        }
    }
}

/// Room that a version takes, what holds it together included.
fn bytes(cell: &CellKey, row: Option<&CellRow>) -> usize {
    const OVERHEAD: usize = 160;
    let part = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
    OVERHEAD + part(&cell.entity) + part(&cell.key) + row.map_or(0, row_bytes)
}

fn row_bytes(row: &CellRow) -> usize {
    const OVERHEAD: usize = 128;
    OVERHEAD + row.value.len() + row.key.as_ref().map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(number: usize) -> CellKey {
        CellKey { key: Some(number.to_be_bytes().to_vec()), ..CellKey::default() }
    }

    fn row(value_bytes: usize) -> Option<Arc<CellRow>> {
        Some(Arc::new(CellRow { value: vec![0; value_bytes], ..CellRow::default() }))
    }

    const CELLS: usize = 10_000;

    #[test]
    fn what_is_dropped_is_little_and_not_in_use() {
        let mut cells = CellCache::new(CELLS * bytes(&cell(0), row(8).as_deref()));
        for number in 0..2 * CELLS {
            cells.written(cell(number), row(8), Position(number as u64));
            let before = cells.versions.len();
            cells.trim(|cell| cell.key.as_ref().is_some_and(|key| key.ends_with(&[7])));
            assert!(cells.versions.len() <= CELLS && before - cells.versions.len() <= 1);
        }
        assert!((0..CELLS - 7).step_by(256).all(|number| cells.get(&cell(number + 7)).is_some()));
        assert!(cells.get(&cell(0)).is_none());
        assert!(cells.floor > Position(0));
    }

    #[test]
    fn large_values_do_not_take_more_room_than_small_ones() {
        const VALUE_BYTES: usize = 200_000;
        let fits = 300;
        let mut cells = CellCache::new(fits * bytes(&cell(0), row(VALUE_BYTES).as_deref()));
        for number in 0..2_000 {
            // The second half is written again, as large as before.
            for _ in 0..1 + number / 1_000 {
                cells.written(cell(number), row(VALUE_BYTES), Position(1));
            }
            cells.loaded(cell(number), row(VALUE_BYTES));
            cells.trim(|_| false);
            assert!(cells.bytes <= cells.bytes_max);
        }
        let room: usize = cells.versions.iter().map(|(cell, version)| bytes(cell, version.row.as_deref())).sum();
        assert_eq!(room, cells.bytes);
        assert_eq!(cells.versions.len(), fits);
    }
}
