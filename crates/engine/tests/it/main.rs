//! The engine's tests: partitions in a world of logs, links, workers and clients, ruled by one seed.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking, helpers of tests too")]
#![expect(clippy::print_stderr, reason = "a failing seed says how to run it alone")]
#![allow(unreachable_pub, reason = "one binary")]

mod bank;
mod basics;
mod booking;
mod checks;
mod entities;
mod history;
mod program;
mod rng;
mod seeds;
mod worker;
mod world;
