//! One cell of the report: one workload with one number of clients on a fresh server.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;

use crate::{
    client::{Client, closed_loop},
    metrics::{self, Counters},
    process::Server,
    report::{Costs, Figures},
    workload::Workload,
};

/// What all cells share.
pub(crate) struct Plan {
    pub(crate) binary: PathBuf,
    pub(crate) examples: PathBuf,
    pub(crate) apps: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) workers: usize,
    pub(crate) warm: Duration,
    pub(crate) measured: Duration,
    pub(crate) keys: bool,
}

/// The server's costs at one moment.
struct Sample {
    counters: Counters,
    cpu_seconds: f64,
}

/// Measures and verifies.
pub(crate) fn measure(plan: &Plan, workload: Workload, clients: usize) -> Result<Figures> {
    let server = Server::start(plan, &workload.folder(&plan.examples, &plan.apps))?;
    let mut control = Client::connect(server.address, false)?;
    workload.set_up(&mut control)?;
    let mut samples = Vec::new();
    let next = |client, number| workload.request(client, number);
    let seen = closed_loop(server.address, clients, (plan.warm, plan.measured), plan.keys, &next, || {
        samples.push(Sample { counters: server.counters()?, cpu_seconds: server.cpu_seconds()? });
        Ok(())
    })?;
    workload.verify(&mut control, &seen)?;
    let mut figures = Figures::of_seen(workload.name(), clients, &seen);
    if let [before, after] = samples.as_slice() {
        figures.costs = Some(Costs {
            syncs: metrics::growth(&before.counters, &after.counters, metrics::SYNCS),
            log_bytes: metrics::growth(&before.counters, &after.counters, metrics::LOG_BYTES),
            cpu_seconds: after.cpu_seconds - before.cpu_seconds,
        });
    }
    Ok(figures)
}
