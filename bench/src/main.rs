//! The load generator: starts the release binary on an empty data directory, loads it with a canonical workload from a
//! number of clients, verifies what is stored at the end, and prints one line for each cell.
//!
//! Closed loop: each client has one keep-alive connection and sends the next request when it has the answer; with
//! `--half`, also an open loop at half of that rate. Load and server share the machine, so beside each number of clients
//! stands what the same clients get from an HTTP server that does nothing (`echo`). With `--peer` a peer has its turn
//! after ours, several rounds, and ratios close the report. Compare only figures of one run.

mod cell;
mod compile;
mod echo;
mod growth;
mod http;
mod load;
mod metrics;
mod peer;
mod process;
mod report;
mod start;
mod subject;
mod workload;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::{
    growth::{Curve, Growth},
    load::{Load, Pace},
    report::Report,
    subject::{Places, Subject},
    workload::{Language, Workload},
};

/// Clients while something grows: enough for batches, few enough that latencies say something.
const GROWTH_CLIENTS_MAX: usize = 64;

/// Measures requests per second, latency, syncs, bytes, CPU and memory of the canonical workloads.
#[derive(Parser)]
struct Options {
    /// What to measure.
    #[arg(value_enum, default_values_t = [What::Load])]
    what: Vec<What>,
    /// The binary to measure.
    #[arg(long, default_value = "target/release/sostenuto")]
    binary: PathBuf,
    /// The program with the workloads in Rust.
    #[arg(long, default_value = "target/release/bench-services")]
    services: PathBuf,
    /// Interpreter of our Python services [default: python3].
    #[arg(long)]
    python: Option<PathBuf>,
    /// Folder that holds the Python library.
    #[arg(long, default_value = "python")]
    library: PathBuf,
    /// Folder of the applications in Python.
    #[arg(long, default_value = "bench/apps")]
    apps: PathBuf,
    /// Folder of the installed peers.
    #[arg(long, default_value = "target/peers")]
    peers: PathBuf,
    /// A peer that has its turn after ours.
    #[arg(long, value_enum)]
    peer: Option<Peer>,
    /// How many turns each has, if there is a peer.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Workloads, in order.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Workload::ALL)]
    workloads: Vec<Workload>,
    /// Languages of the services.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Language::Python, Language::Rust])]
    languages: Vec<Language>,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256])]
    clients: Vec<usize>,
    /// Seconds that count.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Seconds before, that do not.
    #[arg(long, default_value_t = 1)]
    warm: u64,
    /// Workers of the server.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Memory of the server for state, as it takes it.
    #[arg(long)]
    memory: Option<String>,
    /// Coroutines that the workers of the server keep.
    #[arg(long)]
    coroutines: Option<usize>,
    /// Send an `Idempotency-Key` with each request.
    #[arg(long)]
    keys: bool,
    /// Also measure with requests that come at half of each rate reached, answered or not.
    #[arg(long)]
    half: bool,
    /// Also print which threads the CPU went to.
    #[arg(long)]
    threads: bool,
    /// Folder for data directories; on the disk to be measured.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Curves of `growth`.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Curve::ALL)]
    curves: Vec<Curve>,
    /// Sizes to measure instead of each curve's own.
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<u64>,
    /// Also write the figures as JSON.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The workloads, over HTTP.
    Load,
    /// First start, memory at rest, and restart after `kill -9` under load.
    Restart,
    /// `check` of applications of several sizes.
    Compile,
    /// Loading an application into a worker, with and without kept code.
    Start,
    /// What changes when there is more: cells, sleepers, steps, bytes, services, partitions.
    Growth,
    /// Not a measurement: be the server that does nothing.
    #[value(hide = true)]
    Echo,
}

/// Someone to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// Restate, with a service in the same language.
    Restate,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.what == [What::Echo] {
        return echo::main();
    }
    ensure!(options.binary.exists(), "{} is not there: cargo build --release", options.binary.display());
    for what in &options.what {
        match what {
            What::Load => load(&options)?,
            What::Restart => restart(&options)?,
            What::Compile => compile::measure(&options.binary, &options.scratch())?,
            What::Start => start::measure(&options.binary, &options.scratch(), &options.library)?,
            What::Growth => growth::measure(&options.growth(), &options.curves)?,
            What::Echo => {}
        }
    }
    Ok(())
}

impl Options {
    fn scratch(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(std::env::temp_dir)
    }

    fn places(&self) -> Places {
        Places {
            binary: self.binary.clone(),
            services: self.services.clone(),
            python: self.python.clone(),
            apps: self.apps.clone(),
            peers: self.peers.clone(),
            data: self.scratch(),
            workers: self.workers,
            memory: self.memory.clone(),
            coroutines: self.coroutines,
        }
    }

    fn load(&self, clients: usize) -> Load {
        let (warm, measured) = (Duration::from_secs(self.warm), Duration::from_secs(self.seconds));
        Load { clients, pace: Pace::Closed, warm, measured, keys: self.keys, each_max: None }
    }

    fn growth(&self) -> Growth {
        let clients = self.clients.iter().copied().max().unwrap_or(1).min(GROWTH_CLIENTS_MAX);
        Growth { places: self.places(), load: self.load(clients), sizes: self.sizes.clone() }
    }

    /// Whose turn it is, one after another.
    fn turns(&self, language: Language, workload: Option<Workload>) -> Vec<Subject> {
        let ours = workload.is_none_or(|workload| workload.is_in(language));
        let ours = ours.then_some(Subject::Ours(language));
        match self.peer {
            Some(Peer::Restate) if workload.is_none_or(peer::has) => {
                ours.into_iter().chain([Subject::Restate(language)]).collect::<Vec<_>>().repeat(self.rounds)
            }
            _ => ours.into_iter().collect(),
        }
    }
}

fn load(options: &Options) -> Result<()> {
    let places = options.places();
    let mut report = Report::begin();
    for &clients in &options.clients {
        report.add(echo::measure(options.load(clients)).context("echo")?);
        for &workload in &options.workloads {
            for &language in &options.languages {
                for subject in options.turns(language, Some(workload)) {
                    let told = || format!("{} of {} with {clients} clients", workload.name(), subject.name());
                    let figures =
                        cell::measure(&places, subject, workload, options.load(clients)).with_context(told)?;
                    let half = options.half.then(|| {
                        cell::measure_half(&places, subject, workload, options.load(clients), &figures)
                            .with_context(told)
                    });
                    report.add(figures);
                    if let Some(figures) = half.transpose()? {
                        report.add(figures);
                    }
                }
            }
        }
    }
    let pairs =
        options.workloads.iter().filter_map(|workload| Some((workload.name(), workload.compared_with()?.name())));
    report.shares(&pairs.collect::<Vec<_>>());
    if options.threads {
        report.threads();
    }
    if options.peer.is_some() {
        for &language in &options.languages {
            report.ratios(&Subject::Ours(language).name(), &Subject::Restate(language).name());
        }
    }
    if let Some(path) = &options.out {
        std::fs::write(path, report.json()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn restart(options: &Options) -> Result<()> {
    let places = options.places();
    report::begin_restarts();
    for &language in &options.languages {
        for subject in options.turns(language, None) {
            let load = options.load(options.clients.iter().copied().max().unwrap_or(1));
            let figures = cell::restart(&places, subject, load).with_context(|| subject.name())?;
            report::add_restart(&subject.name(), figures);
        }
    }
    Ok(())
}
