//! `cargo xtask bench`: builds for release, installs the peer that is asked for, and runs the load generator with the
//! caller's options.

use std::time::Duration;

use anyhow::Result;

use crate::shell;

const BUILD_TIME_MAX: Duration = Duration::from_secs(1800);
const RUN_TIME_MAX: Duration = Duration::from_secs(7200);

/// Builds and measures.
pub(crate) fn run(options: &[String]) -> Result<bool> {
    let build = shell::cargo(&["build", "--release", "-p", "sostenuto", "-p", "bench"]);
    if !shell::run(build, BUILD_TIME_MAX)?.ok {
        return Ok(false);
    }
    if options.iter().any(|option| option.starts_with("--peer")) && !install_restate()? {
        return Ok(false);
    }
    let release = shell::target().join("release");
    let mut bench = shell::program(&release.join("bench").to_string_lossy(), &[]);
    bench.arg("--binary").arg(release.join("sostenuto")).arg("--services").arg(release.join("bench-services"));
    bench.arg("--peers").arg(shell::target().join("peers")).args(options);
    Ok(shell::run(bench, RUN_TIME_MAX)?.ok)
}

/// From the registries of npm, PyPI and crates.io, once.
fn install_restate() -> Result<bool> {
    let folder = shell::target().join("peers/restate");
    let install = shell::program("bench/peers/restate/install.sh", &[&folder.to_string_lossy()]);
    Ok(shell::run(install, BUILD_TIME_MAX)?.ok)
}
