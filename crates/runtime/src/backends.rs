//! The log and the state of a node: in a data directory, or in memory.

use std::path::Path;
use std::sync::Arc;

use store::memory::{MemoryLog, MemoryState, Watermark};
use store::{DataDir, Log, State};

use crate::error::StartError;

/// Storage of one node: one log for all its partitions.
#[derive(Clone)]
pub(crate) struct Backends {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) state: Arc<dyn State>,
    /// Maintenance, if there is a directory.
    pub(crate) data_dir: Option<Arc<DataDir>>,
}

impl Backends {
    pub(crate) fn open(path: Option<&Path>, partitions: u16) -> Result<Self, StartError> {
        let Some(path) = path else {
            return Ok(Self::memory(Arc::new(MemoryLog::new(Watermark::Immediate)), partitions));
        };
        let data_dir = Arc::new(DataDir::open(path, partitions)?);
        Ok(Self { log: data_dir.log(), state: data_dir.state(), data_dir: Some(data_dir) })
    }

    pub(crate) fn memory(log: Arc<MemoryLog>, partitions: u16) -> Self {
        Self { log, state: Arc::new(MemoryState::new(partitions)), data_dir: None }
    }
}
