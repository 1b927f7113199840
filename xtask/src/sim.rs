//! `cargo xtask sim`: builds the simulator and runs seeds; with `--planted`, one that has bugs on purpose.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use anyhow::Result;

use crate::shell;

const LIMIT: Duration = Duration::from_secs(7200);

pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let mut command = shell::cargo(&["run", "--release", "--quiet", "-p", "sim"]);
    if arguments.iter().any(|argument| argument == "--planted") {
        command.args(["--features", "planted"]);
    }
    command.arg("--").args(arguments);
    Ok(shell::run(command, LIMIT)?.ok)
}

/// What `cargo xtask test sim` runs: the first seeds, then some that nobody has run before. The stage `build` made the
/// program, with the rest of the workspace.
pub(crate) fn bounded() -> Result<bool> {
    let fresh = RandomState::new().hash_one("seed") >> 20;
    let known = simulate("--seeds 2000 --seconds 40")?;
    let new = simulate(&format!("--seed {fresh} --seeds 2000 --seconds 30"))?;
    Ok(known && new)
}

fn simulate(arguments: &str) -> Result<bool> {
    let program = shell::target().join("release/sim");
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    Ok(shell::run(shell::program(&program.to_string_lossy(), &arguments), LIMIT)?.ok)
}
