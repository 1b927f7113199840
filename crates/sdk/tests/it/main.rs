//! Services, run step by step by a test in the place of the server.

#![allow(unreachable_pub, reason = "methods of services are `pub`, also in a test")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

extern crate sdk as sostenuto;

mod fields;
mod flow;
mod initial;
mod lists;
mod manifest;
mod replay;
mod server;
mod shelf;
mod spec;
mod tasks;
