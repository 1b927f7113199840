//! Tests of the protocol through its public functions; those that compare with CPython run `python3`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod bind;
mod frames;
mod json;
mod key;
mod marshal;
mod msgpack;
mod python;
mod records;
mod strategy;
