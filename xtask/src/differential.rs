//! `cargo xtask differential`: builds the binary and runs random services in all ways, with the caller's options.

use std::time::Duration;

use anyhow::Result;

use crate::{shell, test};

const BUILD_TIME_MAX: Duration = Duration::from_secs(1800);
const RUN_TIME_MAX: Duration = Duration::from_secs(3600);

/// Builds and compares; 10,000 programs without another number, fewer on a server that is killed.
pub(crate) fn run(options: &[String]) -> Result<bool> {
    let build = shell::cargo(&["build", "--release", "-p", "sostenuto"]);
    if !shell::run(build, BUILD_TIME_MAX)?.ok {
        return Ok(false);
    }
    let mut command = test::python(&["-m", "differential"]);
    if !options.iter().any(|option| option.starts_with("--programs") || option == "--killed") {
        command.args(["--programs", "10000"]);
    }
    command.args(options).current_dir(shell::root().join("tests"));
    Ok(shell::run(command, RUN_TIME_MAX)?.ok)
}
