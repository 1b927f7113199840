//! One partition as a pure state machine.
//!
//! No `async`, clock, randomness, thread, file or socket: `now` and ids come in with inputs. Two layers: the
//! *scheduler* (volatile: queues, running steps and their locks, coroutines, attempts) takes inputs and proposes
//! records; the *state* (durable) changes only by applying a record. Live execution and recovery apply alike; only the
//! driver acts on effects.
mod io;

pub use io::{Effect, Input, Listed, Query, Reply, Submit, Token, Turn};
