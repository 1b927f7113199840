//! One cell of the report: one workload on one subject, freshly started, with one number of clients.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{
    load::{Load, Pace, Seen, Traffic},
    metrics::{self, Counters},
    process::Usage,
    report::{Costs, Figures},
    subject::{Places, Running, Subject},
    workload::Workload,
};

/// Connections of an open loop: enough that what is due is sent at once.
const OPEN_CLIENTS: usize = 256;

/// What is used at one moment.
struct Sample {
    counters: Counters,
    usage: Usage,
}

/// Measures and verifies.
pub(crate) fn measure(places: &Places, subject: Subject, workload: Workload, load: Load) -> Result<Figures> {
    let running = subject.start(places, workload)?;
    running.set_up(workload)?;
    let load = Load { keys: load.keys || workload.has_keys(), ..load };
    let (seen, costs) = measured(running.as_ref(), load, running.traffic(workload).as_ref())?;
    running.verify(workload, &seen)?;
    let mut figures = Figures::of_seen(workload.name(), &load.shown(&subject.name()), load.clients, &seen);
    figures.costs = Some(costs);
    Ok(figures)
}

/// What a load sees, and what its measured time costs the server.
pub(crate) fn measured(running: &dyn Running, load: Load, traffic: &dyn Traffic) -> Result<(Seen, Costs)> {
    let processes = running.processes();
    let mut samples = Vec::new();
    let seen = load.run(running.address(), traffic, || {
        samples.push(Sample { counters: running.counters()?, usage: Usage::of(&processes)? });
        Ok(())
    })?;
    let [before, after] = samples.as_slice() else { bail!("a load has a beginning and an end") };
    let costs = Costs {
        syncs: metrics::growth(&before.counters, &after.counters, metrics::SYNCS),
        log_bytes: metrics::growth(&before.counters, &after.counters, metrics::LOG_BYTES),
        disk_bytes: (after.usage.disk_bytes - before.usage.disk_bytes) as f64,
        cpu_seconds: after.usage.cpu_seconds - before.usage.cpu_seconds,
        threads: metrics::all_growth(&before.usage.threads, &after.usage.threads),
        memory_bytes: after.usage.memory_bytes,
    };
    Ok((seen, costs))
}

/// Measures with requests that come at half the rate of a measurement before, whether or not others are answered.
pub(crate) fn measure_half(
    places: &Places,
    subject: Subject,
    workload: Workload,
    load: Load,
    saturated: &Figures,
) -> Result<Figures> {
    let pace = Pace::Open((saturated.per_second() / 2.0).max(1.0));
    measure(places, subject, workload, Load { clients: OPEN_CLIENTS, pace, ..load })
}

/// How long a server that was killed under load takes until it answers again, and what it holds at rest after its
/// first start: (restart, first start, memory in bytes).
pub(crate) fn restart(places: &Places, subject: Subject, load: Load) -> Result<(Duration, Duration, u64)> {
    let workload = Workload::Counter;
    let began = std::time::Instant::now();
    let mut running = subject.start(places, workload)?;
    let first = began.elapsed();
    let memory = Usage::of(&running.processes())?.memory_bytes;
    load.run(running.address(), running.traffic(workload).as_ref(), || Ok(()))?;
    let began = std::time::Instant::now();
    running.restart()?;
    Ok((began.elapsed(), first, memory))
}
