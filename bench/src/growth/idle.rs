//! Suspended invocations: what one holds, what none of them costs, and what is the matter when all wake up.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, ensure};

use super::{Growth, Moment, each, state::Random};
use crate::{
    cell,
    http::Request,
    load::{Load, Traffic},
    process::Usage,
    report::{Table, mib, ms, quantile},
    subject::Running as _,
};

const SIZES: [u64; 3] = [100, 1_000, 10_000];
const CLIENTS: u64 = 32;
/// Names under which sleepers count themselves.
const NAMES: u64 = 1_000;
const IDLE: Duration = Duration::from_secs(3);
const TIME_MAX: Duration = Duration::from_secs(1800);
/// Sleepers that are started in a second, at least; they sleep until all are there and everything is measured.
const STARTS_PER_SECOND: u64 = 1_000;
const POLL: Duration = Duration::from_millis(100);

/// Prints the table.
pub(crate) fn measure(growth: &Growth) -> Result<()> {
    let table = Table::begin(
        "Suspended invocations: sleepers in Python; additions to 1,000 counters beside them",
        &[
            "sleepers",
            "start CPU µs",
            "KiB each",
            "idle CPU %",
            "add CPU µs",
            "add p50 ms",
            "add p99 ms",
            "restart ms",
            "KiB each then",
            "idle CPU % then",
            "all awake s",
            "wake CPU µs",
            "MiB after",
        ],
    );
    for sleepers in growth.sizes(&SIZES) {
        let mut server = growth.python()?;
        let others = Random { cells: 1_000, method: "add", args: "[1]" };
        cell::measured(&server, Load { measured: Duration::from_secs(1), ..growth.load }, &others)?;
        let empty = Usage::of(&server.processes())?.memory_bytes;
        let clients = (1..=CLIENTS).rev().find(|clients| sleepers % clients == 0).unwrap_or(1);
        ensure!(sleepers % clients == 0, "as many sleepers for each of {clients} clients");
        let rest = growth.load.warm + growth.load.measured + 2 * IDLE + Duration::from_secs(10);
        let until = now() + sleepers as f64 / STARTS_PER_SECOND as f64 + rest.as_secs_f64();
        let load = Load::counted(usize::try_from(clients)?, sleepers / clients, TIME_MAX);
        let (_, starting) = cell::measured(&server, load, &Naps { clients, until })?;
        let idle = idle_share(&server)?;
        let kib_each = |memory: u64| format!("{:.1}", (memory.saturating_sub(empty)) as f64 / 1024.0 / sleepers as f64);
        let held = kib_each(Usage::of(&server.processes())?.memory_bytes);
        let (add, adding) = cell::measured(&server, growth.load, &others)?;
        let killed = Instant::now();
        server.restart()?;
        let restart = killed.elapsed();
        let idle_then = idle_share(&server)?;
        let held_then = kib_each(Usage::of(&server.processes())?.memory_bytes);
        ensure!(now() < until, "they wake up before everything is measured: it took too long to start them");
        ensure!(server.client()?.call("/Sleepers/awake", "[]")? == 0, "some woke up early");
        thread::sleep(Duration::from_secs_f64((until - now()).max(0.0)));
        let (seconds, wake_us) = wake(&server, sleepers)?;
        table.line(&[
            sleepers.to_string(),
            format!("{:.0}", starting.cpu_seconds * 1e6 / sleepers as f64),
            held,
            format!("{:.1}", idle * 100.0),
            each(adding.cpu_seconds * 1e6, &add),
            ms(quantile(&add.latencies, 0.5)),
            ms(quantile(&add.latencies, 0.99)),
            restart.as_millis().to_string(),
            held_then,
            format!("{:.1}", idle_then * 100.0),
            format!("{seconds:.1}"),
            format!("{:.0}", wake_us / sleepers as f64),
            mib(Usage::of(&server.processes())?.memory_bytes),
        ]);
    }
    Ok(())
}

/// CPU seconds for a second in which nobody asks for anything.
fn idle_share(server: &crate::subject::Ours) -> Result<f64> {
    // What the last requests left to do is done first.
    thread::sleep(IDLE / 3);
    let before = Moment::of(server)?;
    thread::sleep(IDLE);
    let after = Moment::of(server)?;
    Ok(after.cpu_us(&before) / 1e6 / after.seconds(&before))
}

/// Waits until all are awake: seconds and microseconds of CPU.
fn wake(server: &crate::subject::Ours, sleepers: u64) -> Result<(f64, f64)> {
    let before = Moment::of(server)?;
    // Whoever reads the whole field waits for all that were there before.
    let mut client = server.client()?.patient(TIME_MAX)?;
    loop {
        let awake = client.call("/Sleepers/awake", "[]")?;
        let moment = Moment::of(server)?;
        ensure!(awake.as_u64() <= Some(sleepers), "{awake} of {sleepers} woke up");
        if awake == sleepers {
            return Ok((moment.seconds(&before), moment.cpu_us(&before)));
        }
        ensure!(before.at.elapsed() < TIME_MAX, "only {awake} of {sleepers} woke up");
        thread::sleep(POLL);
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Sleepers, each accepted at once.
struct Naps {
    clients: u64,
    until: f64,
}

impl Traffic for Naps {
    fn request(&self, connection: usize, number: u64) -> Request {
        let name = (number * self.clients + connection as u64) % NAMES;
        Request::new("/Sleepers/nap/send", format!(r#"["n{name}",{}]"#, self.until))
    }

    fn accepts(&self, _: usize, _: u64, _: &str) -> bool {
        true
    }
}
