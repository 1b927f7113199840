//! The integration tests of the store: backends against the conformance suite, crashes, damage, full disks.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking, helpers of tests too")]

mod conformance;
mod crashes;
mod damage;
mod data_dir;
mod failures;
mod full_disk;
mod support;
mod torn_tail;
