//! Sostenuto as a library: services in Rust, and a server in the program that has them.
//!
//! ```no_run
//! use sostenuto::prelude::*;
//!
//! #[service]
//! pub struct Greeter {
//!     greeted: Counter,
//! }
//!
//! #[methods]
//! impl Greeter {
//!     pub fn greet(&mut self, name: String) -> String {
//!         format!("Hello {name}, you are number {}", self.greeted.add(1))
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     sostenuto::main(Application::new().service::<Greeter>())
//! }
//! ```
//!
//! What services are written with is the [`prelude`]; [`main()`] serves them, with Python services beside them if the
//! command line names some.
//!
//! Besides, this is the code of the shipped binary: [`command_line`]. Commands live in `commands`, one file each. Exit
//! codes: 0 ok, 1 the call or check failed, 2 usage, 3 server unreachable. Nothing is printed but through `out`, so that a
//! closed pipe is no panic.

mod app;
mod cli;
mod client;
mod commands;
mod native;
mod out;
mod table;

use std::process::ExitCode;

use clap::Parser;

/// The allocator of the shipped binary. A server moves most of what it allocates from thread to thread, at which it is
/// faster than the system's; a program with services in Rust may have it too:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: sostenuto::Allocator = sostenuto::Allocator;
/// ```
pub use mimalloc::MiMalloc as Allocator;
pub use sdk::*;

use crate::cli::{Cli, Native};
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

/// Serves these services as the program's command line says, until a signal; the program's exit code.
///
/// The command line is that of `sostenuto run`; Python applications that it names are served together with them.
pub fn main(application: Application) -> ExitCode {
    exit(parsed::<Native>().map(|Native { app, serve, json }| commands::run::run(&app, &serve, application, json)))
}

/// The shipped binary: reads the command line and runs one command.
#[doc(hidden)]
pub fn command_line() -> ExitCode {
    exit(parsed::<Cli>().map(commands::run))
}

/// The command line, or the exit code if there is nothing to do.
fn parsed<T: Parser>() -> Result<T, ExitCode> {
    T::try_parse().map_err(|told| {
        // Nobody reads it if this fails.
        let _ = told.print();
        ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(USAGE))
    })
}

fn exit(result: Result<anyhow::Result<ExitCode>, ExitCode>) -> ExitCode {
    let result = match result {
        Ok(result) => result,
        Err(code) => return code,
    };
    result.unwrap_or_else(|error| {
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
