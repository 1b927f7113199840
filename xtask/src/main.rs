//! Every chore of the project: `cargo xtask test|tidy|bench|sim|differential`. CI calls the same verbs. Not shipped.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that reports to people")]

mod bench;
mod differential;
mod fuzz;
mod shell;
mod sim;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [STAGE…]   check everything, or only these stages:
                  tidy fmt clippy unit interleave sim build fault python e2e
                  (rust: tidy fmt clippy unit; examples: the end-to-end tests of the examples)
  tidy            the rules that no other tool checks
  differential [--programs N] [--seed S] [--killed]
                  random services as plain Python and compiled, in all ways, 10,000 unless told otherwise;
                  or on the real server, which is killed meanwhile
  fuzz [--seconds N] [--seed S]
                  compile mutated sources for so long; a failure names the text
  fuzz --stdlib   compile all of the standard library, and say how long it took
  sim [--seeds N] [--seed S] [--workload NAME] [--planted all] [--coverage]
                  seeds of the simulator; a single --seed prints its trace; --planted looks for bugs planted on purpose;
                  --coverage prints which code the seeds have reached
  sim --exhaustive [--configuration NAME] [--path A.B.C] [--planted all]
                  every state of small configurations of locks and commit (docs/protocol.md)
  bench [OPTION…] build for release and measure; options are the load generator's, see --help
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("xtask: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command; false if it found something wrong.
fn run(arguments: &[String]) -> Result<bool> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{USAGE}");
        return Ok(false);
    };
    match command.as_str() {
        "test" => test::run(rest),
        "tidy" => tidy::run(&shell::root()),
        "bench" => bench::run(rest),
        "differential" => differential::run(rest),
        "fuzz" => fuzz::run(rest),
        "sim" => sim::run(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(true)
        }
        other => anyhow::bail!("no command {other}\n\n{USAGE}"),
    }
}
