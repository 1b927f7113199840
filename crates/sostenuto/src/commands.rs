//! The commands, one file each.

mod call;
mod check;
mod explain;
mod invocations;
mod problem;
pub(crate) mod run;
mod state;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::out;
use sdk::Application;

/// Runs one command.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { global, command } = cli;
    match command {
        Command::Run(options) => run::run(&options.app, &options.serve, Application::new(), global.json),
        Command::Check(options) => check::check(&options, &global),
        Command::Call(options) => call::call(&options, &global),
        Command::Invocations(command) => invocations::run(&command, &global),
        Command::State(command) => state::run(&command, &global),
        Command::Explain { code: Some(code), list: false } => explain::explain(&code),
        Command::Explain { .. } => Ok(explain::list()),
        Command::Version => {
            out::line(concat!("sostenuto ", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
    }
}
