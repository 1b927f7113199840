//! `cargo xtask fuzz`: mutated sources for the compiler, for as long as it is asked. The mutations are a test of the
//! compiler; without this they are few and always the same.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// Building, and the last text.
const MARGIN: Duration = Duration::from_secs(900);

/// Runs it; false if it found something.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let (mut seconds, mut seed) = (60, None);
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().with_context(|| format!("{option} needs a number"))?;
        let number: u64 = value.parse().with_context(|| format!("{option}: {value} is no number"))?;
        match option.as_str() {
            "--seconds" => seconds = number,
            "--seed" => seed = Some(number),
            other => bail!("no option {other}; there are --seconds and --seed"),
        }
    }
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    let test = ["test", "--release", "-p", "compiler", "--test", "it", "fuzz::", "--", "--nocapture"];
    let mut command = shell::cargo(&test);
    command.env("SOSTENUTO_FUZZ_SECONDS", seconds.to_string()).env("SOSTENUTO_FUZZ_SEED", seed.to_string());
    Ok(shell::run(command, Duration::from_secs(seconds) + MARGIN)?.ok)
}
