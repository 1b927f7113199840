//! What crosses a process or a disk: ids, values, cell keys, records, worker messages, the manifest, HTTP types.
//!
//! Every byte that Sostenuto stores or sends is written and read here, by types with explicit, append-only tags and
//! golden vectors. It is not a home for behaviour: deciding anything belongs to the crate that owns the decision.
#![deny(missing_docs)]

pub mod api;
pub mod cell;
pub mod ids;
pub mod json;
pub mod key;
pub mod limits;
pub mod list;
pub mod manifest;
pub mod marshal;
pub mod message;
pub mod msgpack;
pub mod problem;
pub mod record;
pub mod schema;
mod shared;
pub mod value;
pub mod worker;

pub use ids::{AttemptId, DeploymentId, InvocationId, Micros, PartitionId, Position, RunNumber, Slot};
pub use value::Value;
