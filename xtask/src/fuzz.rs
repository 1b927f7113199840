//! `cargo xtask fuzz`: mutated sources for the compiler, for as long as it is asked. The mutations are a test of the
//! compiler; without this they are few and always the same. `--stdlib`: the standard library as it is, instead.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// Building, and the last text.
const MARGIN: Duration = Duration::from_secs(900);

/// Runs it; false if it found something.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    if arguments == ["--stdlib"] {
        return standard_library();
    }
    let (mut seconds, mut seed) = (60, None);
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().with_context(|| format!("{option} needs a number"))?;
        let number: u64 = value.parse().with_context(|| format!("{option}: {value} is no number"))?;
        match option.as_str() {
            "--seconds" => seconds = number,
            "--seed" => seed = Some(number),
            other => bail!("no option {other}; there are --seconds, --seed, and --stdlib alone"),
        }
    }
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    let test = ["test", "--release", "-p", "compiler", "--test", "it", "fuzz::", "--", "--nocapture"];
    let mut command = shell::cargo(&test);
    command.env("SOSTENUTO_FUZZ_SECONDS", seconds.to_string()).env("SOSTENUTO_FUZZ_SEED", seed.to_string());
    Ok(shell::run(command, Duration::from_secs(seconds) + MARGIN)?.ok)
}

/// All files of CPython's standard library, and how long they took.
fn standard_library() -> Result<bool> {
    let test = ["test", "--release", "-p", "compiler", "--test", "it", "stdlib::", "--", "--nocapture"];
    Ok(shell::run(shell::cargo(&test), MARGIN)?.ok)
}
