//! The HTTP front door: calls of methods, the control API under `/_/`, problem documents, OpenAPI.
//!
//! It checks a request against the manifest, hands it to the node through [`Backend`] and writes the answer. It keeps
//! no state about invocations and decides nothing about them. Every error that leaves is a problem document whose code
//! stands in the one table, [`protocol::problem`], and has a page, [`pages`].

pub mod backend;
pub mod headers;
pub mod limits;
pub mod pages;

mod address;
mod body;
mod calls;
mod control;
mod counters;
mod gateway;
mod near;
mod openapi;
mod problem;
mod query;
mod reply;
mod server;
mod values;

pub use backend::Backend;
pub use gateway::Gateway;
pub use limits::Limits;
pub use openapi::{example_body, example_path, route};
pub use server::serve;
pub use values::signature;
