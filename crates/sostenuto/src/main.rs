//! The shipped binary `sostenuto`: reads the command line, runs one command, turns its end into an exit code.
//!
//! Commands live in [`commands`], one file each. Exit codes: 0 ok, 1 the call or check failed, 2 usage, 3 server
//! unreachable. Nothing is printed but through [`out`], so that a closed pipe is no panic.

mod app;
mod cli;
mod client;
mod commands;
mod out;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::client::Unreachable;

/// The call or check failed.
const FAILED: u8 = 1;
/// The command line makes no sense.
const USAGE: u8 = 2;
/// No server answers.
const UNREACHABLE: u8 = 3;

/// A command line that clap accepts but that makes no sense.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            let _ = told.print();
            return ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(USAGE));
        }
    };
    commands::run(cli).unwrap_or_else(|error| {
        out::error(&format!("error: {error:#}"));
        ExitCode::from(code(&error))
    })
}

fn code(error: &anyhow::Error) -> u8 {
    if error.is::<Unreachable>() {
        UNREACHABLE
    } else if error.is::<Usage>() {
        USAGE
    } else {
        FAILED
    }
}
