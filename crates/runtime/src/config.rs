//! What a node is told by its user.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::sink::{NoSink, Sink};
use crate::worker::native::Native;

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
            round_inputs_max: limits::ROUND_INPUTS_MAX,
            state_delay: limits::STATE_DELAY,
            sink: Arc::new(NoSink),
        }
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
