//! The simulator's command: many seeds, or one with its trace. `cargo xtask sim` runs it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that reports to people")]

use std::process::ExitCode;
use std::time::Duration;

use sim::check::judge;
use sim::history::History;
use sim::seeds::{self, Outcome, Seeds};
use sim::workload::Workload;

const USAGE: &str = "\
usage: cargo xtask sim [OPTION…]
       cargo xtask sim judge FILE…      judge histories, see sim/src/history.rs
       cargo xtask sim --exhaustive [OPTION…]

  --seeds N         run so many seeds; 1,000 unless told otherwise
  --seed S          the first of them; without --seeds, only this one, with its trace
  --seconds N       stop after so long
  --workload NAME   only this one: bank, random, registers, errands, booking, wide, lists, visits or
                    glances
  --failures N      stop when so many seeds have failed; 1 unless told otherwise
  --planted NAME    look for a planted bug, or for all of them, with at most --seeds seeds each, or 2,000 (only in a
                    build with the feature `planted`: cargo xtask sim --planted all)
  --history FILE    write what the clients of a single seed of registers saw
  --judge NAME      only what this checker finds counts
";

struct Options {
    seeds: Option<u64>,
    seed: Option<u64>,
    seconds: u64,
    workload: Option<Workload>,
    failures: usize,
    planted: Option<String>,
    judge: Option<String>,
    history: Option<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("judge", files)) = words.split_first().map(|(word, files)| (word.as_str(), files)) {
        return judge(files);
    }
    if let Some(("--exhaustive", options)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        std::panic::set_hook(Box::new(|_| {}));
        let passed = sim::exhaustive::command(options, &mut |line| println!("{line}"));
        return if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let options = match parse() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("sim: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // A panic is reported with its seed; a replay of that seed shows its place.
    if options.seed.is_none() || options.seeds.is_some() || options.planted.is_some() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    if let Some(name) = &options.planted {
        return planted(name, &options);
    }
    match (options.seeds, options.seed) {
        (None, Some(seed)) => replay(seed, &options),
        (seeds, seed) => many(seed.unwrap_or(0), seeds.unwrap_or(1_000), &options),
    }
}

fn parse() -> Result<Options, String> {
    let mut options = Options {
        seeds: None,
        seed: None,
        seconds: 3_600,
        workload: None,
        failures: 1,
        planted: None,
        judge: None,
        history: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} {value}: not a number"));
        match name.as_str() {
            "--seeds" => options.seeds = Some(number()?),
            "--seed" => options.seed = Some(number()?),
            "--seconds" => options.seconds = number()?,
            "--failures" => options.failures = number()? as usize,
            "--history" => options.history = Some(value),
            "--judge" => options.judge = Some(value),
            "--planted" => options.planted = Some(value),
            "--workload" => {
                let workload = Workload::parse(&value).ok_or(format!("there is no workload {value}"))?;
                options.workload = Some(workload);
            }
            other => return Err(format!("there is no option {other}")),
        }
    }
    Ok(options)
}

/// Judges the histories in files.
fn judge(files: &[String]) -> ExitCode {
    if files.is_empty() {
        eprintln!("sim: judge needs a file\n\n{USAGE}");
        return ExitCode::from(2);
    }
    for file in files {
        let history = std::fs::read_to_string(file).map_err(|error| error.to_string());
        let history = match history.and_then(|text| History::parse(&text)) {
            Ok(history) => history,
            Err(problem) => {
                eprintln!("sim: {file}: {problem}");
                return ExitCode::from(2);
            }
        };
        match judge::judge(&history) {
            Ok(requests) => println!("{file}: {requests} requests: once, linear, serial, loss, progress"),
            Err(violation) => {
                println!("{file}: {}: {}", violation.checker, violation.text);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn replay(seed: u64, options: &Options) -> ExitCode {
    let outcome = seeds::run_judged(seed, options.workload, true, options.judge.as_deref());
    println!("{}", outcome.trace.as_deref().unwrap_or_default());
    if let Some(file) = &options.history
        && let Err(error) = std::fs::write(file, outcome.history.text())
    {
        eprintln!("sim: {file}: {error}");
        return ExitCode::from(2);
    }
    println!("seed {seed}: {} events, {} records, {} restarts", outcome.events, outcome.records, outcome.restarts);
    report(&outcome)
}

fn report(outcome: &Outcome) -> ExitCode {
    match &outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("seed {} ({}): {}: {}", outcome.seed, outcome.workload.name(), violation.checker, violation.text);
            ExitCode::FAILURE
        }
    }
}

fn many(first: u64, count: u64, options: &Options) -> ExitCode {
    let limit = Duration::from_secs(options.seconds);
    let (workload, failures_max) = (options.workload, options.failures.max(1));
    let tally = seeds::run_many(&Seeds { first, count, workload, failures_max, limit });
    let seconds = tally.took.as_secs_f64();
    println!(
        "{} seeds from {first} on in {seconds:.1} s: {} events ({:.0} a second), {} records, {} restarts, {:.0} s simulated",
        tally.seeds,
        tally.events,
        tally.events as f64 / seconds,
        tally.records,
        tally.restarts,
        tally.simulated as f64 / 1e6,
    );
    print!("{}", tally.counts.table());
    for failure in &tally.failures {
        report(failure);
        let workload = options.workload.map(|workload| format!(" --workload {}", workload.name())).unwrap_or_default();
        println!("  replay: cargo xtask sim --seed {}{workload}", failure.seed);
    }
    if tally.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(feature = "planted")]
fn planted(name: &str, options: &Options) -> ExitCode {
    let name = (name != "all").then_some(name);
    if let Some(seed) = options.seed
        && let Some((bug, _)) =
            name.and_then(|name| sim::planted::all().into_iter().find(|(bug, _)| format!("{bug:?}").contains(name)))
    {
        sim::planted::plant(Some(bug));
        return replay(seed, options);
    }
    let (count, limit) = (options.seeds.unwrap_or(2_000), Duration::from_secs(options.seconds));
    let seeds = Seeds { first: 0, count, workload: options.workload, failures_max: 1, limit };
    let finds = sim::planted::find_all(name, options.judge.as_deref(), &seeds);
    println!("{}", sim::planted::table(&finds));
    let missed = finds.iter().filter(|find| find.found.is_none()).count();
    println!("{} searches, {missed} found nothing", finds.len());
    if missed == 0 && !finds.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(feature = "planted"))]
fn planted(_: &str, _: &Options) -> ExitCode {
    eprintln!("sim: no bugs are planted in this build; cargo xtask sim --planted all makes one that has them");
    ExitCode::from(2)
}
