//! Settings of a partition. Read by the scheduler only: applying a record never looks at them.

use std::ops::Range;

use protocol::ids::{Micros, PartitionId};

use crate::limits::{AHEAD_MAX, CELLS_BYTES_DEFAULT};

/// Settings of a partition.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its number.
    pub id: PartitionId,
    /// Number of partitions.
    pub partitions: u16,
    /// Epoch of its owner; larger after each start.
    pub epoch: u64,
    /// How long results are kept after the end, in microseconds.
    pub retention: Micros,
    /// Unfinished invocations beyond which clients' calls are refused.
    pub invocations_max: usize,
    /// Bytes of cells that are kept in memory, what holds them together included; those that no step uses are dropped
    /// beyond it, and loaded again when needed.
    pub cells_bytes_max: usize,
    /// Partitions whose records are in the same log: their positions mean something here.
    pub same_log: Range<u16>,
    /// First steps that are run ahead behind one that uses the same cells; 0: none are.
    pub ahead_max: usize,
    /// Drop each coroutine when it suspends and rebuild it by replay (outside transactions): for tests.
    pub evict_at_suspension: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: PartitionId(0),
            partitions: 1,
            epoch: 1,
            retention: 24 * 3600 * 1_000_000,
            invocations_max: 100_000,
            cells_bytes_max: CELLS_BYTES_DEFAULT,
            same_log: 0..u16::MAX,
            ahead_max: AHEAD_MAX,
            evict_at_suspension: false,
        }
    }
}
