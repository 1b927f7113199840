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

/// What `cargo xtask test sim` runs: the first seeds, then some that nobody has run before.
pub(crate) fn bounded() -> Result<bool> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let fresh = RandomState::new().hash_one("seed") >> 20;
    let known = run(&words("--seeds 2000 --seconds 60"))?;
    let new = run(&words(&format!("--seed {fresh} --seeds 2000 --seconds 45")))?;
    Ok(known && new)
}
