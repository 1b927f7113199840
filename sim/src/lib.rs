//! The simulator: one seed rules clock, network, disks, workers, clients and crashes, and checkers judge what happened.
//!
//! What runs here is what runs in production: the engine, the driver with its overlay, worker pools and recovery, the
//! file log with its committer and allocator. What is played instead: sockets, processes and threads, the state store
//! (any prefix of its batches since the last checkpoint survives a crash), and Python, in whose place scripted services
//! run. How the parts relate:
//!
//! - [`plan`] is what a seed decides beforehand, [`world`] is what then happens.
//! - [`program`] is a language of scripted services and [`coroutine`] runs it as a worker would; [`workload`] has the
//!   services and what clients want of them.
//! - [`recorder`] sees what user code saw, [`chronicle`] what logs were given: the evidence of [`check`].
//! - [`native`] has tasks that are written in Rust, which the SDK runs.
//! - [`happenings`] counts what really went wrong.
//! - [`history`] is what clients saw, as a file; the end-to-end tests of the real binary write it too.
//! - [`exhaustive`] walks through all states of small configurations of the engine's lock and commit core.
//! - [`seeds`] runs many seeds; `planted` (a feature) shows that checkers find bugs.
#![allow(missing_docs, reason = "names of a test bed")]

// What the SDK's attributes make names the crate that programs use.
extern crate sdk as sostenuto;

pub mod check;
pub mod chronicle;
pub mod coroutine;
pub mod exhaustive;
pub mod happenings;
pub mod history;
pub mod native;
pub mod plan;
#[cfg(feature = "planted")]
pub mod planted;
pub mod program;
pub mod recorder;
pub mod rng;
pub mod seeds;
pub mod workload;
pub mod world;
