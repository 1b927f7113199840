//! One node: the driver that feeds the partitions, group commit, worker processes, timers, recovery.
//!
//! Here the outside world begins: threads, processes, files, the clock. Deciding what happens is the engine's business;
//! keeping bytes is the store's. How the parts relate:
//!
//! - [`Node`] puts everything together; [`NodeHandle`] is what callers (the gateway) have of it.
//! - `driver` is one thread that owns all partitions and works in rounds.
//! - `rows` is what the partitions have stored, with what is not stored yet on top.
//! - `worker` runs user code in CPython processes, or in threads if it is Rust.
//! - [`stepped`] is a node without threads, whose owner decides when anything happens.
//! - `recovery` brings partitions back from what is stored.
//!
//! There is no asynchronous code but in [`NodeHandle`]: the driver never waits for anything but its queue.

mod api;
mod backends;
mod clock;
mod config;
mod driver;
mod entropy;
mod error;
mod faults;
mod handle;
mod held;
pub mod limits;
mod maintenance;
pub mod metrics;
mod network;
mod node;
pub mod planted;
mod recovery;
mod rows;
mod shared;
mod sink;
pub mod stepped;
mod sync;
mod worker;

#[cfg(test)]
#[cfg(feature = "interleave")]
mod interleave;
#[cfg(test)]
#[cfg(not(feature = "interleave"))]
mod tests;

pub use api::{Answer, Call, Page, Place, Refusal};
pub use clock::Clock;
pub use config::NodeConfig;
pub use engine::Reply;
pub use error::{NodeError, StartError};
pub use handle::NodeHandle;
pub use metrics::{Health, Metric};
pub use network::Network;
pub use node::Node;
pub use sink::{NoSink, Sink, WriteSink};
pub use worker::WentOn;
pub use worker::native::{Fetch, Native, NativeWorker, TaskTies};
