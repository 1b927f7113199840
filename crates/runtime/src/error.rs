//! Why a node does not start, and why a running one ends.

use std::io;
use std::path::PathBuf;

use protocol::PartitionId;
use protocol::record::BadBytes;
use protocol::worker::FrameError;
use store::{LogError, OpenError, StateError};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(&'static str),
    /// The data directory does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log cannot be read or taken over.
    #[error("the log cannot be used: {0}")]
    Log(#[from] LogError),
    /// The state cannot be read or written.
    #[error("the state cannot be used: {0}")]
    State(#[from] StateError),
    /// A stored row or record is not what it should be.
    #[error("partition {partition}: {source}")]
    BadBytes {
        /// Whose it is.
        partition: PartitionId,
        /// What is wrong.
        source: BadBytes,
    },
    /// The application's modules raised an exception while they were loaded.
    #[error("the application does not load:\n{traceback}")]
    Application {
        /// Class and message.
        summary: String,
        /// The user's traceback.
        traceback: String,
    },
    /// Workers die before they have loaded the application.
    #[error("workers do not start: {cause}\n{output}")]
    Workers {
        /// How the last one ended.
        cause: String,
        /// The end of what it wrote.
        output: String,
    },
    /// The application cannot be sent to workers.
    #[error("the application cannot be sent to workers: {0}")]
    Init(#[from] FrameError),
    /// The system refused.
    #[error("{operation} {path}: {source}", path = path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A bug: the driver ended without saying why.
    #[error("the driver ended while starting; this is a bug, its panic message says more")]
    Driver,
}

impl StartError {
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }
}

/// Why a running node ended by itself. What was acknowledged is durable; a new start recovers it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The log failed.
    #[error("{0}")]
    Log(#[from] LogError),
    /// The state failed.
    #[error("{0}")]
    State(#[from] StateError),
    /// Steps that do not end have taken too many threads.
    #[error("{0}")]
    Threads(String),
    /// A bug: the driver panicked.
    #[error("the driver ended without saying why; this is a bug, its panic message says more")]
    Driver,
}
