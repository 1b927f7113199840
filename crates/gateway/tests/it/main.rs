//! The front door over real sockets, before a node that only pretends.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod calls;
mod control;
mod fake;
mod fuzz;
mod http;
mod robust;
