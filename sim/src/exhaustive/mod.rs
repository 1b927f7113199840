//! The lock and commit core walked through exhaustively: small configurations of real partitions, every order in which
//! messages, step ends, answers and crashes may come.
//!
//! - [`configurations`] lists them, [`services`] has what their requests do.
//! - [`world`] is a state and what takes it to the next one; [`stored`] its logs and [`workers`] its coroutines.
//! - [`search`] visits all states, [`judge`] judges each end.
//!
//! What is not played, because the engine is not told of it: syncs (see [`world`]), slow loads of rows, time while
//! anything else can happen. The rest of the node (driver, log, overlay) is the business of the seeded simulator.

mod command;
mod configurations;
mod judge;
#[cfg(feature = "planted")]
mod planted;
mod search;
mod services;
mod stored;
mod workers;
mod world;

pub use command::{command, row};
pub use configurations::{Configuration, all};
pub use search::{Explored, Violation, explore, replay};
pub use stored::{Found, Rows, answer};
