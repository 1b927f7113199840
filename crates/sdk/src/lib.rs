//! Services in Rust. A service is a struct whose fields persist by themselves and whose methods run exactly once:
//!
//! ```ignore
//! use sostenuto::prelude::*;
//!
//! #[service]
//! struct Hotel {
//!     rooms: Map<String, u32>,
//! }
//!
//! #[methods]
//! impl Hotel {
//!     pub fn reserve(&mut self, hotel: String) -> bool {
//!         match self.rooms.get_mut(&hotel) {
//!             Some(mut rooms) if *rooms > 0 => {
//!                 *rooms -= 1;
//!                 true
//!             }
//!             _ => false,
//!         }
//!     }
//! }
//! ```
//!
//! The code between two awaits of calls is a step: all of it happens or none. `&self` methods only read. A method that
//! calls, sleeps or runs a transaction is an `async fn`; other methods are plain functions, whose fields are there.
//!
//! - [`fields`]: what persists. [`Entities`]: entities as members. [`Call`], [`transaction`], [`sleep`], [`join`], [`timeout`]: what a method waits for.
//! - [`task`](macro@task): functions with outside effects, whose results are recorded.
//! - [`now`], [`uuid4`], [`random_bytes`]: time and chance, the same on every replay.
//! - [`Application`] collects services; [`Worker`] runs them, driven by a server or a simulator.
//!
//! This crate knows neither processes nor sockets.
#![deny(missing_docs)]

#[cfg(panic = "abort")]
compile_error!("services are unwound when a cell cannot be had at once: panic = \"abort\" cannot be used");

mod application;
mod cells;
mod chance;
mod client;
mod combine;
mod describe;
mod error;
pub mod fields;
mod operation;
#[doc(hidden)]
pub mod output;
mod run;
mod service;
mod shelf;
mod storable;
mod task;
mod transaction;
pub mod value;
mod worker;

pub use application::Application;
pub use chance::{now, random_bytes, random_f64, random_u64, uuid4};
pub use client::{Client, Entities, EntityClient, Stated};
pub use combine::{Join, join, join_all, timeout};
pub use error::{Error, Result};
pub use operation::{Call, sleep};
pub use run::Host;
pub use sdk_macros::{client, entity, methods, service, task};
pub use service::{Service, State};
pub use shelf::{Shelf, WentOn};
pub use storable::Storable;
pub use task::{Ended, Interrupted, Policy, Task, TaskFunction, TaskOutput, Work, WorkFuture};
pub use transaction::{abort, transaction};
pub use worker::Worker;

/// What services use.
pub mod prelude {
    pub use crate::client::Entities;
    pub use crate::fields::{Counter, List, Map, Value};
    pub use crate::value::{Any, Bytes, Date, DateTime, Decimal, Set, Uuid};
    pub use crate::{
        Application, Error, Result, abort, client, entity, join, join_all, methods, now, random_bytes, random_f64,
        random_u64, service, sleep, task, timeout, transaction, uuid4,
    };
}

/// For the macros only; nothing here is stable.
#[doc(hidden)]
pub mod macros {
    pub use protocol::schema::Type;

    pub use crate::client::{Client, EntityClient, Stated};
    pub use crate::describe::{KeyFact, Member, MethodFacts, Use};
    pub use crate::fields::{Initial, Part};
    pub use crate::service::{Args, IntoResult, Invoked, entity_key};
    pub use crate::storable::Travels;
    pub use crate::task::{Policy, TaskFunction, Work};
}
