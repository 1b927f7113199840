//! `cargo xtask sim`: builds the simulator and runs seeds; with `--planted`, one that has bugs on purpose; with
//! `--coverage`, one that tells which code it has reached.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::shell;

const LIMIT: Duration = Duration::from_secs(7200);

/// Crates whose code the simulator is to reach.
const COVERED: [&str; 3] = ["engine", "runtime", "store"];

pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    if let Some(at) = arguments.iter().position(|argument| argument == "--coverage") {
        return coverage(&[&arguments[..at], &arguments[at + 1..]].concat());
    }
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

/// Runs seeds in a build that counts, and prints how much of each file of the crates under test was reached.
fn coverage(arguments: &[String]) -> Result<bool> {
    let [profdata, cov] = [tool("llvm-profdata")?, tool("llvm-cov")?];
    let target = shell::target().join("coverage");
    let profiles = target.join("profiles");
    if profiles.exists() {
        std::fs::remove_dir_all(&profiles).context("removing older profiles")?;
    }
    let mut build = shell::cargo(&["build", "--release", "-p", "sim"]);
    // Its own folder: other flags build everything anew.
    build.env("RUSTFLAGS", "-C instrument-coverage").env("CARGO_TARGET_DIR", &target);
    if !shell::run(build, LIMIT)?.ok {
        return Ok(false);
    }
    let sim = text(&target.join("release/sim"));
    let mut seeds = shell::program(&sim, &[]);
    match arguments {
        [] => seeds.args(["--seeds", "1000"]),
        given => seeds.args(given),
    };
    seeds.env("LLVM_PROFILE_FILE", profiles.join("%p.profraw"));
    let passed = shell::run(seeds, LIMIT)?.ok;
    let merged = text(&target.join("sim.profdata"));
    let merge = shell::program(&profdata, &["merge", "--sparse", &text(&profiles), "-o", &merged]);
    if !shell::run(merge, LIMIT)?.ok {
        return Ok(false);
    }
    let mut report = shell::program(&cov, &["report", &sim, "--instr-profile", &merged, "--show-region-summary=false"]);
    report.args(COVERED.iter().map(|name| shell::root().join("crates").join(name).join("src")));
    Ok(passed && shell::run(report, LIMIT)?.ok)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A tool of the toolchain's own LLVM: others do not read what its compiler writes.
fn tool(name: &str) -> Result<String> {
    let printed = |arguments: &[&str]| -> Result<String> {
        let output = shell::program("rustc", arguments).output().context("asking rustc")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let sysroot = PathBuf::from(printed(&["--print", "sysroot"])?.trim());
    let version = printed(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc tells no host")?;
    let path = sysroot.join("lib/rustlib").join(host).join("bin").join(name);
    if !path.exists() {
        bail!("there is no {}: `rustup component add llvm-tools` installs it", path.display());
    }
    Ok(text(&path))
}
