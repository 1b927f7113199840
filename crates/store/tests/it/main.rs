//! The integration tests of the store: backends against the conformance suite, crashes, damage, full disks.

mod conformance;
mod data_dir;
