//! The shipped binary `sostenuto`. Everything is in the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    sostenuto::command_line()
}
