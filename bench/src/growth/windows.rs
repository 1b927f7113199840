//! What time does: restart after seconds of load without and with checkpoints, and seconds in which one is made.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{
    Growth, Moment,
    state::{Random, every},
};
use crate::{
    cell,
    load::Load,
    metrics::Counters,
    process::Usage,
    report::{Table, mib, ms, quantile},
    subject::{Ours, Running as _},
};

/// Seconds of load before the server is killed; a checkpoint is made after ten.
const SECONDS: [u64; 4] = [1, 2, 4, 8];
const CELLS: u64 = 1_000;
/// Cells that are there while checkpoints are made.
const STORED: [u64; 3] = [1_000, 100_000, 1_000_000];
const WINDOW: Duration = Duration::from_millis(500);
const WINDOWS: usize = 50;

const CHECKPOINT: &str = "sostenuto_checkpoint";
const APPENDED: &str = "sostenuto_log_appended";

/// Prints the table of restarts.
pub(crate) fn restart(growth: &Growth) -> Result<()> {
    let table = Table::begin(
        "Restart after `kill -9` under a load of additions to 1,000 counters in Rust",
        &[
            "seconds of load",
            "records",
            "without checkpoint",
            "log MiB",
            "disk MiB",
            "first answer ms",
            "CPU ms",
            "MiB",
        ],
    );
    for seconds in growth.sizes(&SECONDS) {
        let mut server = Ours::rust(&growth.places, &[])?;
        let load = Load { warm: Duration::ZERO, measured: Duration::from_secs(seconds), ..growth.load };
        let (seen, costs) = cell::measured(&server, load, &Random { cells: CELLS, method: "add", args: "[1]" })?;
        let counters = server.counters()?;
        let disk = server.stored_bytes();
        let killed = Instant::now();
        server.restart()?;
        server.client()?.call("/Tally/t0/get", "[]")?;
        let answered = killed.elapsed();
        let usage = Usage::of(&server.processes())?;
        let (total, _) = every(&server, CELLS, "get", "[]")?;
        ensure!(total == seen.answers, "{} additions, {total} counted", seen.answers);
        table.line(&[
            seconds.to_string(),
            format!("{:.0}", value(&counters, APPENDED)),
            format!("{:.0}", value(&counters, APPENDED) - value(&counters, CHECKPOINT)),
            mib(costs.log_bytes.unwrap_or_default() as u64),
            mib(disk),
            answered.as_millis().to_string(),
            format!("{:.0}", usage.cpu_seconds * 1e3),
            mib(usage.memory_bytes),
        ]);
    }
    Ok(())
}

fn value(counters: &Counters, name: &str) -> f64 {
    counters.get(name).copied().unwrap_or_default()
}

/// Prints the table of windows with and without a checkpoint.
pub(crate) fn checkpoint(growth: &Growth) -> Result<()> {
    let table = Table::begin(
        "Checkpoints: windows of 0.5 s of random additions in Rust, those in which one was made and the one before each, \
         and all others",
        &["cells", "windows", "number", "requests/s", "p50 ms", "p99 ms", "worst p99 ms", "max ms", "disk B each"],
    );
    for cells in growth.sizes(&STORED) {
        let server = Ours::rust(&growth.places, &[])?;
        every(&server, cells, "add", "[1]")?;
        let (windows, answers) = windows(growth, &server, cells)?;
        let (total, _) = every(&server, cells, "get", "[]")?;
        ensure!(total == cells + answers, "{} additions, {total} counted", cells + answers);
        for (name, made) in [("checkpoint", true), ("others", false)] {
            let those: Vec<&Window> = windows.iter().filter(|window| window.made == made).collect();
            let mut latencies: Vec<u32> = those.iter().flat_map(|window| window.latencies.iter().copied()).collect();
            latencies.sort_unstable();
            let worst = those.iter().map(|window| quantile(&window.latencies, 0.99)).max().unwrap_or_default();
            let (disk, seconds) = (those.iter().map(|window| window.disk_bytes).sum::<f64>(), WINDOW.as_secs_f64());
            table.line(&[
                cells.to_string(),
                name.to_owned(),
                those.len().to_string(),
                format!("{:.0}", latencies.len() as f64 / (seconds * those.len().max(1) as f64)),
                ms(quantile(&latencies, 0.5)),
                ms(quantile(&latencies, 0.99)),
                ms(worst),
                ms(latencies.last().copied().unwrap_or_default()),
                format!("{:.0}", disk / latencies.len().max(1) as f64),
            ]);
        }
    }
    Ok(())
}

/// A part of a load.
struct Window {
    latencies: Vec<u32>,
    disk_bytes: f64,
    /// Was a checkpoint made in it or in the next one?
    made: bool,
}

/// Loads for some windows; how many answers there were in all.
fn windows(growth: &Growth, server: &Ours, cells: u64) -> Result<(Vec<Window>, u64)> {
    let (mut windows, mut answers): (Vec<Window>, u64) = (Vec::new(), 0);
    let load = Load { warm: Duration::ZERO, measured: WINDOW, ..growth.load };
    let mut before = Moment::of(server)?;
    for _ in 0..WINDOWS {
        let (seen, costs) = cell::measured(server, load, &Random { cells, method: "add", args: "[1]" })?;
        let after = Moment::of(server)?;
        let made = after.growth(&before, CHECKPOINT) > 0.0;
        if let Some(last) = windows.last_mut() {
            last.made |= made;
        }
        answers += seen.answers;
        windows.push(Window { latencies: seen.latencies, disk_bytes: costs.disk_bytes, made });
        before = after;
    }
    Ok((windows, answers))
}
