//! `cargo xtask test`: everything that has to hold, in stages. A stage that fails does not stop those that do not need
//! it; the summary at the end names each.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{shell, sim, tidy};

/// Each stage and its limit in seconds, far above what it takes: on two quiet cores the whole stays below half an hour.
const STAGES: &[(&str, u64)] = &[
    ("tidy", 60),
    ("fmt", 60),
    ("clippy", 1200),
    ("fault", 1800),
    ("build", 900),
    ("unit", 1800),
    ("interleave", 900),
    ("sim", 900),
    ("python", 600),
    ("e2e", 2400),
];

/// Builds what is run: the binary, the simulator, and the examples in Rust.
const BUILD: [&str; 5] = ["build", "--release", "--workspace", "--bins", "--examples"];

/// The tests whose names contain `interleave`, built with the feature of that name.
const INTERLEAVE: [&str; 10] =
    ["test", "--release", "-p", "store", "-p", "runtime", "--features", "runtime/interleave", "--lib", "interleave"];

/// How a stage ended.
enum Outcome {
    Passed,
    Failed(String),
}

/// Runs the chosen stages, all without a choice.
pub(crate) fn run(chosen: &[String]) -> Result<bool> {
    let stages = selection(chosen)?;
    let mut report = Vec::new();
    for (stage, limit) in stages {
        println!("\n=== {stage}");
        let began = Instant::now();
        let (outcome, closing) = run_stage(stage, Duration::from_secs(limit))?;
        report.push((stage, outcome, closing, began.elapsed()));
    }
    println!("\n=== summary");
    let mut ok = true;
    for (stage, outcome, closing, took) in report {
        let shown = match outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Failed(reason) => {
                ok = false;
                format!("FAILED: {reason}")
            }
        };
        println!("{stage:<8} {:>5.0} s  {shown}", took.as_secs_f64());
        for line in closing {
            println!("           {line}");
        }
    }
    println!("{}", if ok { "all passed" } else { "FAILED" });
    Ok(ok)
}

/// The stages with these names, in the order of [`STAGES`].
fn selection(chosen: &[String]) -> Result<Vec<(&'static str, u64)>> {
    let mut names = Vec::new();
    for name in chosen {
        match name.as_str() {
            "rust" => names.extend(["tidy", "fmt", "clippy", "unit"]),
            "examples" => return Ok(vec![("examples", 300)]),
            name if STAGES.iter().any(|(stage, _)| *stage == name) => names.push(name),
            name => bail!(
                "no stage {name}; there are {}",
                STAGES.iter().map(|(stage, _)| *stage).collect::<Vec<_>>().join(" ")
            ),
        }
    }
    Ok(STAGES.iter().copied().filter(|(stage, _)| names.is_empty() || names.contains(stage)).collect())
}

fn run_stage(stage: &str, limit: Duration) -> Result<(Outcome, Vec<String>)> {
    let command = match stage {
        "tidy" => {
            let clean = tidy::run(&shell::root())?;
            let outcome = if clean { Outcome::Passed } else { Outcome::Failed("see above".to_owned()) };
            return Ok((outcome, Vec::new()));
        }
        "sim" => {
            let passed = sim::bounded()?;
            let outcome = if passed { Outcome::Passed } else { Outcome::Failed("see above".to_owned()) };
            return Ok((outcome, Vec::new()));
        }
        "fmt" => shell::cargo(&["fmt", "--all", "--check"]),
        "clippy" => shell::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        // One profile and always the whole workspace, so that a fresh machine compiles each dependency once: a package
        // alone would want other features of them.
        "unit" => shell::cargo(&["test", "--release", "--workspace", "--no-fail-fast"]),
        "build" => shell::cargo(&BUILD),
        "fault" => shell::cargo(&[&BUILD[..], &["--features", "sostenuto/fault-points"]].concat()),
        // Threads and queues in every kind of order. Both packages at once, as their dependencies have other features than
        // those of the workspace and are compiled anew for this.
        "interleave" => shell::cargo(&INTERLEAVE),
        "python" => python(&["-m", "unittest", "discover", "-s", "python/tests"]),
        "e2e" => python(&["tests/run.py"]),
        "examples" => python(&["-m", "unittest", "discover", "-s", "tests", "-p", "test_run.py", "-v"]),
        other => bail!("stage {other} has no command"),
    };
    let ended = shell::run(command, limit)?;
    if ended.ok && stage == "fault" {
        keep_fault_binary()?;
    }
    let outcome = match (ended.ok, ended.late) {
        (true, _) => Outcome::Passed,
        (false, true) => Outcome::Failed(format!("not done within {} s", limit.as_secs())),
        (false, false) => Outcome::Failed("see above".to_owned()),
    };
    Ok((outcome, ended.closing))
}

/// The build without the feature comes next and overwrites it.
fn keep_fault_binary() -> Result<()> {
    let kept = shell::target().join("fault");
    std::fs::create_dir_all(kept.join("examples"))?;
    for program in ["sostenuto", "examples/hotel", "examples/bank", "examples/agency"] {
        let built = shell::target().join("release").join(program);
        std::fs::copy(&built, kept.join(program)).with_context(|| format!("keeping {}", built.display()))?;
    }
    Ok(())
}

/// Python with the paths that the tests look at.
pub(crate) fn python(arguments: &[&str]) -> Command {
    let mut command = shell::program(&std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned()), arguments);
    command.env("PYTHONPATH", shell::root().join("python")).env("PYTHONDONTWRITEBYTECODE", "1");
    for (name, place) in [("SOSTENUTO_BIN", "release/sostenuto"), ("SOSTENUTO_FAULT_BIN", "fault/sostenuto")] {
        if std::env::var_os(name).is_none() {
            command.env(name, shell::target().join(place));
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::selection;

    fn names(chosen: &[&str]) -> Vec<&'static str> {
        let chosen: Vec<String> = chosen.iter().map(|name| (*name).to_owned()).collect();
        selection(&chosen).expect("known").into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn stages_are_chosen_in_their_order() {
        assert_eq!(names(&["e2e", "build"]), ["build", "e2e"]);
        assert_eq!(names(&["rust"]), ["tidy", "fmt", "clippy", "unit"]);
        assert_eq!(names(&[]).len(), super::STAGES.len());
        assert!(selection(&["nothing".to_owned()]).is_err());
    }
}
