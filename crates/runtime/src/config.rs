//! What a node is told by its user.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use store::StateMemory;
use store::limits::{STATE_MEMTABLES_MAX, STATE_TABLE_BYTES};

use crate::limits;
use crate::sink::{NoSink, Sink};
use crate::worker::native::Native;
use crate::worker::pool::PoolConfig;

/// Configuration of a node.
#[derive(Clone)]
pub struct NodeConfig {
    /// Data directory; `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// Number of partitions. Fixed when the data directory is made.
    pub partitions: u16,
    /// Worker processes, without the warm spare.
    pub workers: usize,
    /// Processes that run tasks, at most; they are started when tasks want them.
    pub task_workers: usize,
    /// Services that run in this process; threads of as many as there are workers.
    pub native: Option<Arc<dyn Native>>,
    /// The Python interpreter of the workers.
    pub python: PathBuf,
    /// How long results are kept.
    pub retention: Duration,
    /// Time limit of one step; a worker that is over it is killed.
    pub step_timeout: Duration,
    /// Unfinished invocations of one partition; beyond, calls are answered `too_many_invocations`.
    pub invocations_max: usize,
    /// Suspended invocations whose coroutines workers keep, of each language; beyond, the one that was suspended first is
    /// dropped, and rebuilt from its journal when it goes on. Those in transactions stay.
    pub coroutines_max: usize,
    /// Bytes of memory for state: a quarter each for cells in use, the state store's cache, what the state store has not
    /// written into tables yet, and rows that wait for the log or for it. With the last quarter full, calls are answered
    /// `unavailable` until it has shrunk; of the others the least useful goes. At least [`limits::MEMORY_MIN`]. Unfinished
    /// invocations take at most as much again; beyond, calls that leave something are answered `too_many_invocations`. Workers
    /// have memory of their own.
    pub memory: u64,
    /// Inputs that are handled before their records are appended: a larger number costs waiting, a smaller one syncs.
    pub round_inputs_max: usize,
    /// How long durable rows may wait to be written to the state together.
    pub state_delay: Duration,
    /// Where output of user code and notices go.
    pub sink: Arc<dyn Sink>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        Self {
            data_dir: None,
            partitions: 4,
            workers: cores,
            task_workers: cores,
            native: None,
            python: "python3".into(),
            retention: Duration::from_secs(24 * 3600),
            step_timeout: Duration::from_secs(10),
            invocations_max: 100_000,
            coroutines_max: limits::COROUTINES_MAX_DEFAULT,
            memory: limits::MEMORY_DEFAULT,
            round_inputs_max: limits::ROUND_INPUTS_MAX,
            state_delay: limits::STATE_DELAY,
            sink: Arc::new(NoSink),
        }
    }
}

impl NodeConfig {
    /// Of the workers of one language, which are `processes` or threads.
    pub(crate) fn pool(&self, processes: bool) -> PoolConfig {
        let Self { workers, step_timeout, coroutines_max, .. } = *self;
        PoolConfig { workers, processes, step_timeout, coroutines_max }
    }

    /// Of each partition.
    pub(crate) fn of_partitions(&self) -> engine::Config {
        engine::Config {
            partitions: self.partitions,
            retention: u64::try_from(self.retention.as_micros()).unwrap_or(u64::MAX),
            invocations_max: self.invocations_max,
            cells_bytes_max: usize::try_from(self.memory / 4).unwrap_or(usize::MAX) / usize::from(self.partitions),
            ..engine::Config::default()
        }
    }

    /// Bytes of rows that wait for the log or the state.
    pub(crate) fn overlay_bytes_max(&self) -> usize {
        usize::try_from(self.memory / 4).unwrap_or(usize::MAX)
    }

    pub(crate) fn state_memory(&self) -> StateMemory {
        // One is written to, others wait to become tables.
        let memtables = u64::from(self.partitions) * (1 + STATE_MEMTABLES_MAX as u64);
        let memtable_bytes = (self.memory / 4 / memtables).clamp(limits::STATE_MEMTABLE_BYTES_MIN, STATE_TABLE_BYTES);
        // The cache has what they leave.
        let cache_bytes = (self.memory / 2).saturating_sub(memtables * memtable_bytes).max(self.memory / 4);
        StateMemory { cache_bytes, memtable_bytes }
    }
}

impl std::fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeConfig")
            .field("data_dir", &self.data_dir)
            .field("partitions", &self.partitions)
            .field("workers", &self.workers)
            .field("python", &self.python)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_out_whole() {
        for (memory, partitions) in [(limits::MEMORY_MIN, 1), (limits::MEMORY_DEFAULT, 4), (limits::MEMORY_DEFAULT, 64)]
        {
            let config = NodeConfig { memory, partitions, ..NodeConfig::default() };
            let StateMemory { cache_bytes, memtable_bytes } = config.state_memory();
            let memtables = u64::from(partitions) * (1 + STATE_MEMTABLES_MAX as u64) * memtable_bytes;
            let cells = u64::from(partitions) * config.of_partitions().cells_bytes_max as u64;
            assert_eq!(cache_bytes + memtables + cells + config.overlay_bytes_max() as u64, memory);
        }
    }
}
