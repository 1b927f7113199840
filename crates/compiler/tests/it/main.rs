//! The compiler's specification, run as tests, and what must hold for any input.

mod facts;
mod pages;
mod python;
mod robust;
mod spec;
