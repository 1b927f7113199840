//! One partition as a pure state machine.
//!
//! No `async`, clock, randomness, thread, file or socket: `now` and ids come in with inputs. Two layers: the
//! *scheduler* (volatile: queues, running steps and their locks, coroutines, attempts) takes inputs and proposes
//! records; the *state* (durable) changes only by applying a record. Live execution and recovery apply alike; only the
//! driver acts on effects.
//!
//! The way of an invocation: [`admit`] takes it in, [`begin`] gets its cells and starts a step, [`end`] turns the
//! step's end into a record, [`results`] wakes it; [`ahead`] runs first steps that wait for the same cells as a group.
//! [`transaction`] is the home of attempts over many steps, [`participant`] the other side, [`restart`] what a restart of
//! either means; [`locks`], [`turns`] and [`deadlock`] decide who may go first; [`control`] is for operators and failures.

mod admit;
mod ahead;
mod begin;
mod cells;
mod config;
mod control;
mod deadlock;
mod deployment;
mod end;
mod fingerprint;
mod inspect;
mod io;
mod keys;
mod limits;
mod live;
mod locks;
mod participant;
mod partition;
pub mod planted;
mod restart;
mod results;
pub mod routing;
mod rows;
mod sizes;
mod state;
mod sweep;
mod tasks;
mod transaction;
mod turns;

pub use config::Config;
pub use deployment::Deployment;
pub use fingerprint::Canonical;
pub use io::{Effect, Input, Listed, Query, Reply, Submit, TaskStart, Token, Turn};
pub use partition::Partition;
pub use rows::{RowChange, RowValue};
