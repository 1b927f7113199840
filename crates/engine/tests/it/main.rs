//! The engine's tests: partitions in a world of logs, links, workers and clients, ruled by one seed.
#![allow(clippy::type_complexity, reason = "rows are pairs of bytes")]
#![allow(clippy::explicit_auto_deref, reason = "a choice among texts is a reference to one of them")]
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, helpers of tests too")]
#![expect(clippy::print_stderr, reason = "a failing seed says how to run it alone")]
#![allow(unreachable_pub, reason = "one binary")]

mod ahead;
mod bank;
mod basics;
mod booking;
mod checks;
mod control;
mod entities;
mod keys;
mod restart;
mod seeds;
mod tasks;
mod transactions;
#[allow(dead_code, reason = "the language of tests is larger than what the present ones say")]
mod world;
