//! Cost of an operation against the number of stored cells.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{Growth, each};
use crate::{
    cell,
    http::Request,
    load::{Load, Traffic},
    process::Usage,
    report::{Costs, Table, mib, ms, quantile},
    subject::{Ours, Running as _},
    workload::Draw,
};

const SIZES: [u64; 3] = [1_000, 10_000, 100_000];
/// Clients that fill and read all.
const CLIENTS: u64 = 64;
/// Filling and reading all takes no longer.
const ALL_TIME_MAX: Duration = Duration::from_secs(1800);

/// Prints the table.
pub(crate) fn measure(growth: &Growth) -> Result<()> {
    let table = Table::begin(
        "Stored cells: counters in Rust, additions to random ones, then reads of random ones",
        &[
            "cells",
            "fill CPU µs",
            "add CPU µs",
            "add log B",
            "add disk B",
            "add p50 ms",
            "add p99 ms",
            "add p99.9 ms",
            "get CPU µs",
            "get p99 ms",
            "MiB",
            "disk MiB",
            "restart ms",
            "MiB then",
            "first reads CPU µs",
        ],
    );
    for cells in growth.sizes(&SIZES) {
        let mut server = Ours::rust(&growth.places, &[])?;
        let (_, fill) = every(&server, cells, "add", "[1]")?;
        let (add, adding) = cell::measured(&server, growth.load, &Random { cells, method: "add", args: "[1]" })?;
        let (get, getting) = cell::measured(&server, growth.load, &Random { cells, method: "get", args: "[]" })?;
        let (memory, disk) = (Usage::of(&server.processes())?.memory_bytes, server.stored_bytes());
        let killed = Instant::now();
        server.restart()?;
        let (restart, then) = (killed.elapsed(), Usage::of(&server.processes())?.memory_bytes);
        let (total, reading) = every(&server, cells, "get", "[]")?;
        ensure!(total == cells + add.answers, "{} additions, {total} counted", cells + add.answers);
        let of_all = |costs: &Costs| format!("{:.1}", costs.cpu_seconds * 1e6 / cells as f64);
        table.line(&[
            cells.to_string(),
            of_all(&fill),
            each(adding.cpu_seconds * 1e6, &add),
            each(adding.log_bytes.unwrap_or_default(), &add),
            each(adding.disk_bytes, &add),
            ms(quantile(&add.latencies, 0.5)),
            ms(quantile(&add.latencies, 0.99)),
            ms(quantile(&add.latencies, 0.999)),
            each(getting.cpu_seconds * 1e6, &get),
            ms(quantile(&get.latencies, 0.99)),
            mib(memory),
            mib(disk),
            restart.as_millis().to_string(),
            mib(then),
            of_all(&reading),
        ]);
    }
    Ok(())
}

/// Calls a method of each cell once: the sum of the answers, and what it costs.
pub(crate) fn every(server: &Ours, cells: u64, method: &'static str, args: &'static str) -> Result<(u64, Costs)> {
    let clients = CLIENTS.min(cells);
    let all = Every { cells, clients, method, args, sum: Cell::new(0) };
    let load = Load::counted(usize::try_from(clients)?, cells.div_ceil(clients), ALL_TIME_MAX);
    let (_, costs) = cell::measured(server, load, &all)?;
    Ok((all.sum.get(), costs))
}

/// Each cell once, in an order that is not that of the keys.
struct Every {
    cells: u64,
    clients: u64,
    method: &'static str,
    args: &'static str,
    sum: Cell<u64>,
}

impl Traffic for Every {
    fn request(&self, connection: usize, number: u64) -> Request {
        let cell = number * self.clients + connection as u64;
        // The last round of requests has fewer cells than clients.
        if cell >= self.cells {
            return Request::new("/Bench/noop", "[]");
        }
        Request::new(format!("/Tally/t{cell}/{}", self.method), self.args)
    }

    fn accepts(&self, _: usize, _: u64, body: &str) -> bool {
        let counted = body.parse::<u64>();
        self.sum.set(self.sum.get() + counted.as_ref().copied().unwrap_or_default());
        counted.is_ok() || body == "null"
    }
}

/// Random cells.
pub(crate) struct Random {
    pub(crate) cells: u64,
    pub(crate) method: &'static str,
    pub(crate) args: &'static str,
}

impl Traffic for Random {
    fn request(&self, connection: usize, number: u64) -> Request {
        let cell = Draw::new(connection as u64, number).below(self.cells);
        Request::new(format!("/Tally/t{cell}/{}", self.method), self.args)
    }

    fn accepts(&self, _: usize, _: u64, body: &str) -> bool {
        body.parse::<u64>().is_ok()
    }
}
