//! The suite that every backend has to pass, also one from outside. Each function is one rule; it panics where the
//! backend breaks it. Call `log::all`, `state::all` and `blob::all` from a test with a harness for the backend.
//!
//! Not here: what only one backend promises, such as torn tails of files.

#![expect(clippy::unwrap_used, reason = "a conformance test fails by panicking")]

pub mod blob;
pub mod log;
pub mod state;
