//! `cargo xtask bench`: builds for release and runs the load generator with the caller's options.

use std::time::Duration;

use anyhow::Result;

use crate::shell;

const BUILD_TIME_MAX: Duration = Duration::from_secs(1800);
const RUN_TIME_MAX: Duration = Duration::from_secs(3600);

/// Builds and measures.
pub(crate) fn run(options: &[String]) -> Result<bool> {
    let build = shell::cargo(&["build", "--release", "-p", "sostenuto", "-p", "bench"]);
    if !shell::run(build, BUILD_TIME_MAX)?.ok {
        return Ok(false);
    }
    let release = shell::target().join("release");
    let mut bench = shell::program(&release.join("bench").to_string_lossy(), &[]);
    bench.arg("--binary").arg(release.join("sostenuto")).args(options);
    Ok(shell::run(bench, RUN_TIME_MAX)?.ok)
}
