//! Durable storage: the traits `Log`, `State` and `Blob`, and the backends behind them.
//!
//! This crate knows nothing of services, invocations or cells: a record is bytes with a partition, a state entry is a
//! key and a value. It is not asynchronous; the file log has one committer thread, the state store one that makes tables
//! in the time that others leave, everything else runs in the caller's thread. How the parts relate:
//!
//! - [`DataDir`] owns a data directory: lock, format version, `log/`, `state/`, `blob/`, recovery, maintenance.
//! - [`Log`] is the unit of order, durability and fencing. [`file_log`] keeps it in segments, [`memory`] in memory.
//! - [`State`] follows behind the log's durable watermark: [`fjall_state`], [`memory`].
//! - [`Blob`] holds large immutable values, among them full copies of the state: [`file_blob`], [`memory`].
//! - [`disk`] is the little of a file system that log and blob use, so that [`faulty`] can break it on purpose.
//! - [`conformance`] is the suite that every backend has to pass, also one from outside.

#![deny(missing_docs)]

mod background;
pub mod blob;
pub mod conformance;
pub mod data_dir;
pub mod disk;
pub mod faulty;
pub mod file_blob;
pub mod file_log;
pub mod fjall_state;
#[cfg(all(test, feature = "interleave"))]
mod interleave;
pub mod limits;
pub mod log;
pub mod memory;
pub mod planted;
pub mod state;
mod sync;

pub use crate::{
    background::give_way,
    blob::{Blob, BlobError},
    data_dir::{
        Claim, CloseError, CopyError, DataDir, DataDirOptions, Maintenance, MaintenanceError, OpenError, Recovery,
        StateOrigin,
    },
    fjall_state::StateMemory,
    log::{Log, LogError, LogLimits, LogRecord, LogStats, Lsn, Space},
    state::{Snapshot, State, StateError},
};
