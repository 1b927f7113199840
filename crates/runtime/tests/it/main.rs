//! A node with real Python workers.
#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

mod app;
#[cfg(feature = "fault-points")]
mod crashes;
mod native;
mod persistence;
mod workers;
