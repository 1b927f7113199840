//! The log and the state of a node: in a data directory, or in memory.

use std::path::Path;
use std::sync::Arc;

use store::memory::{MemoryLog, MemoryState, Watermark};
use store::{Claim, DataDir, DataDirOptions, Log, State, StateMemory};

use crate::error::StartError;

/// Storage of one node: one log for all its partitions.
#[derive(Clone)]
pub(crate) struct Backends {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) state: Arc<dyn State>,
    /// Maintenance, if there is a directory.
    pub(crate) data_dir: Option<Arc<DataDir>>,
}

/// Storage that is ours and not open yet.
pub(crate) struct Claimed {
    data_dir: Option<Claim>,
    partitions: u16,
}

impl Claimed {
    /// Opens it, which may take long.
    pub(crate) fn open(self, state: StateMemory) -> Result<Backends, StartError> {
        let Some(claim) = self.data_dir else {
            return Ok(Backends::memory(Arc::new(MemoryLog::new(Watermark::Immediate)), self.partitions));
        };
        let data_dir = Arc::new(claim.open(DataDirOptions { state, ..DataDirOptions::default() })?);
        Ok(Backends { log: data_dir.log(), state: data_dir.state(), data_dir: Some(data_dir) })
    }
}

impl Backends {
    /// Makes sure that nobody else uses the directory.
    pub(crate) fn claim(path: Option<&Path>, partitions: u16) -> Result<Claimed, StartError> {
        let data_dir = path.map(|path| Claim::take(path, partitions)).transpose()?;
        Ok(Claimed { data_dir, partitions })
    }

    pub(crate) fn memory(log: Arc<MemoryLog>, partitions: u16) -> Self {
        Self { log, state: Arc::new(MemoryState::new(partitions)), data_dir: None }
    }
}
