//! Tests of the protocol through its public functions; those that compare with CPython run `python3`.

mod frames;
mod key;
mod marshal;
mod msgpack;
mod python;
mod strategy;
