//! The shipped binary `sostenuto`. Everything is in the library of the same name.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: sostenuto::Allocator = sostenuto::Allocator;

fn main() -> ExitCode {
    sostenuto::command_line()
}
