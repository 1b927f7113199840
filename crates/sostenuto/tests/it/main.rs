//! The built binary, as a person uses it: exit codes and what is printed where.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod client;
mod compile;
mod run;
mod tool;
