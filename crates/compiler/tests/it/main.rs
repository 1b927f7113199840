//! The compiler's specification, run as tests, and what must hold for any input.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod facts;
mod fuzz;
mod pages;
mod python;
mod robust;
mod scans;
mod spec;
mod stdlib;
mod suggestions;
