//! The load generator: starts the release binary on an empty data directory, loads it with a canonical workload from a
//! number of clients, verifies what is stored at the end, and prints one line for each cell.
//!
//! Closed loop: each client has one keep-alive connection and sends the next request when it has the answer. Load and
//! server share the machine, so beside each number of clients stands what the same clients get from an HTTP server
//! that does nothing (`echo`). Compare only figures of one run.

mod cell;
mod client;
mod compile;
mod echo;
mod metrics;
mod process;
mod report;
mod start;
mod workload;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::{cell::Plan, workload::Workload};

/// Measures requests per second, latency, syncs, bytes and CPU of the canonical workloads.
#[derive(Parser)]
struct Options {
    /// What to measure.
    #[arg(value_enum, default_values_t = [What::Load])]
    what: Vec<What>,
    /// The binary to measure.
    #[arg(long, default_value = "target/release/sostenuto")]
    binary: PathBuf,
    /// Folder of the example applications.
    #[arg(long, default_value = "examples")]
    examples: PathBuf,
    /// Folder that holds the Python library.
    #[arg(long, default_value = "python")]
    library: PathBuf,
    /// Folder of the benchmark's own applications.
    #[arg(long, default_value = "bench/apps")]
    apps: PathBuf,
    /// Workloads, in order.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Workload::ALL)]
    workloads: Vec<Workload>,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    clients: Vec<usize>,
    /// Seconds that count.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Seconds before, that do not.
    #[arg(long, default_value_t = 1)]
    warm: u64,
    /// Worker processes of the server.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Send an `Idempotency-Key` with each request.
    #[arg(long)]
    keys: bool,
    /// Folder for data directories; on the disk to be measured.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Also write the figures as JSON.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The workloads, over HTTP.
    Load,
    /// `check` of applications of several sizes.
    Compile,
    /// Loading an application into a worker, with and without kept code.
    Start,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.binary.exists(), "{} is not there: cargo build --release", options.binary.display());
    for what in &options.what {
        match what {
            What::Load => load(&options)?,
            What::Compile => compile::measure(&options.binary, &options.scratch())?,
            What::Start => start::measure(&options.binary, &options.scratch(), &options.library)?,
        }
    }
    Ok(())
}

impl Options {
    fn scratch(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(std::env::temp_dir)
    }
}

fn load(options: &Options) -> Result<()> {
    let plan = Plan {
        binary: options.binary.clone(),
        examples: options.examples.clone(),
        apps: options.apps.clone(),
        data: options.scratch(),
        workers: options.workers,
        warm: Duration::from_secs(options.warm),
        measured: Duration::from_secs(options.seconds),
        keys: options.keys,
    };
    let mut report = report::Report::begin();
    for &clients in &options.clients {
        report.add(echo::measure(&plan, clients).context("echo")?);
        for &workload in &options.workloads {
            let figures = cell::measure(&plan, workload, clients)
                .with_context(|| format!("{} with {clients} clients", workload.name()))?;
            report.add(figures);
        }
    }
    let pairs =
        options.workloads.iter().filter_map(|workload| Some((workload.name(), workload.compared_with()?.name())));
    report.ratios(&pairs.collect::<Vec<_>>());
    if let Some(path) = &options.out {
        std::fs::write(path, report.json()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
