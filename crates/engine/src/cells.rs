//! Cells of one partition that are resident in memory, each with the position of its last write.
//!
//! A cache over the state and the overlay of records that are not durable yet: whatever is dropped here can be loaded
//! again. Only the position of a version is not stored elsewhere, so it outlives the version in `floor`.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::cell::{CellKey, CellRow};
use protocol::ids::Position;

use crate::limits::CELLS_RESIDENT_MAX;
use crate::planted::{self, Bug};

/// A version of a cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version {
    /// Content; `None` if the cell is absent.
    pub(crate) row: Option<Arc<CellRow>>,
    /// Record that wrote it; a floor if it was loaded. A deletion is a version too.
    pub(crate) position: Position,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct CellCache {
    versions: BTreeMap<CellKey, Version>,
    floor: Position,
}

impl CellCache {
    pub(crate) fn get(&self, cell: &CellKey) -> Option<&Version> {
        self.versions.get(cell)
    }

    /// A version that a record wrote.
    pub(crate) fn written(&mut self, cell: CellKey, row: Option<Arc<CellRow>>, position: Position) {
        if planted::is(Bug::StaleCell) && self.versions.contains_key(&cell) {
            return;
        }
        self.versions.insert(cell, Version { row, position });
    }

    /// A version that was loaded; never replaces one that is here.
    pub(crate) fn loaded(&mut self, cell: CellKey, row: Option<Arc<CellRow>>) {
        let position = self.floor;
        self.versions.entry(cell).or_insert(Version { row, position });
    }

    /// Versions that a record after `durable` wrote.
    pub(crate) fn newer(&self, durable: Position) -> Vec<(&CellKey, Position)> {
        let written = self.versions.iter().map(|(cell, version)| (cell, version.position));
        written.filter(|(_, position)| *position > durable).collect()
    }

    /// Drop versions beyond the bound, but for those that `in_use` names.
    pub(crate) fn trim(&mut self, in_use: impl Fn(&CellKey) -> bool) {
        if self.versions.len() <= CELLS_RESIDENT_MAX {
            return;
        }
        let floor = &mut self.floor;
        self.versions.retain(|cell, version| {
            let keep = in_use(cell);
            if !keep {
                *floor = (*floor).max(version.position);
            }
            keep
        });
    }
}
