//! One invocation that does more and more: what each step, task, element or cell of it costs.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Growth, Moment};
use crate::{
    http::{Client, Request},
    process::Usage,
    report::{Table, mib},
    subject::Running as _,
};

const SIZES: [u64; 3] = [100, 1_000, 10_000];
const TIME_MAX: Duration = Duration::from_secs(600);
/// Elements or entries that one call adds: what they take has to fit into a record.
const ADD_MAX: u64 = 4_000;
const POLL: Duration = Duration::from_millis(5);

/// What the invocation has many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Calls,
    Tasks,
    Fan,
    Iterate,
    Rows,
    Touch,
    Count,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::Calls => "Journal: calls in sequence of one invocation in Python",
            Self::Tasks => "Journal: pure tasks in sequence of one invocation in Python",
            Self::Fan => "Pure tasks side by side of one invocation in Python",
            Self::Iterate => "Elements of a list, with a call in the middle of the iteration over them",
            Self::Rows => "Entries of a dict field, with a call in the middle of the iteration over them",
            Self::Touch => "Cells that one step writes and nobody foresees",
            Self::Count => "`len` of a dict field with so many entries",
        }
    }

    fn sizes(self) -> &'static [u64] {
        match self {
            Self::Iterate | Self::Rows | Self::Touch | Self::Fan => &[10, 100, 1_000],
            Self::Calls | Self::Tasks | Self::Count => &SIZES,
        }
    }

    /// What has to be there before.
    fn prepare(self, client: &mut Client, size: u64) -> Result<()> {
        match self {
            Self::Calls | Self::Tasks | Self::Fan | Self::Touch => {}
            Self::Iterate => {
                for first in (0..size).step_by(ADD_MAX as usize) {
                    client.call("/Long/name", format!("[{first},{}]", ADD_MAX.min(size - first)))?;
                }
            }
            Self::Rows | Self::Count => {
                for first in (0..size).step_by(ADD_MAX as usize) {
                    client.call("/Long/touch", format!("[{},{first}]", ADD_MAX.min(size - first)))?;
                }
            }
        }
        Ok(())
    }

    /// The call, and its result.
    fn call(self, size: u64) -> (Request, u64) {
        let triangle = |count: u64| count * (count + 1) / 2;
        match self {
            Self::Calls => (Request::new("/Long/calls", format!(r#"["j",{size}]"#)), triangle(size)),
            Self::Tasks => (Request::new("/Long/tasks", format!("[{size}]")), triangle(size - 1)),
            Self::Fan => (Request::new("/Long/fan", format!("[{size}]")), triangle(size - 1)),
            Self::Iterate => (Request::new("/Long/iterate", r#"["j"]"#), size),
            Self::Rows => (Request::new("/Long/iterate_rows", r#"["j"]"#), size),
            Self::Touch => (Request::new("/Long/touch", format!("[{size}]")), size),
            Self::Count => (Request::new("/Long/rows_count", "[]"), size),
        }
    }

    /// Checks what is stored then.
    fn verify(self, client: &mut Client, size: u64) -> Result<()> {
        match self {
            Self::Calls | Self::Iterate | Self::Rows => {
                let count = client.call("/Tally/j/get", "[]")?;
                ensure!(count == size, "{count} of {size} calls counted");
            }
            Self::Touch => {
                let last = client.call("/Long/row", format!("[{}]", size - 1))?;
                ensure!(last == size - 1, "the last cell holds {last}");
            }
            Self::Tasks | Self::Fan | Self::Count => {}
        }
        Ok(())
    }
}

/// Prints the table.
pub(crate) fn measure(growth: &Growth, kind: Kind) -> Result<()> {
    let table = Table::begin(
        kind.title(),
        &["number", "ms", "CPU µs each", "log B each", "records each", "steps each", "fetches each", "MiB"],
    );
    for size in growth.sizes(kind.sizes()) {
        let server = growth.python()?;
        let mut client = server.client()?.patient(TIME_MAX)?;
        kind.prepare(&mut client, size)?;
        let before = Moment::of(&server)?;
        let (request, expected) = kind.call(size);
        let began = Instant::now();
        let result = client.call(&request.path, request.body)?;
        let took = began.elapsed();
        let after = Moment::of(&server)?;
        ensure!(result == expected, "{result} instead of {expected}");
        kind.verify(&mut client, size)?;
        let each = |name: &str| format!("{:.2}", after.growth(&before, name) / size as f64);
        table.line(&[
            size.to_string(),
            format!("{:.1}", took.as_secs_f64() * 1e3),
            format!("{:.0}", after.cpu_us(&before) / size as f64),
            each("sostenuto_record_bytes_total"),
            each("sostenuto_records_total"),
            each("sostenuto_steps_total"),
            each("sostenuto_fetches_total"),
            mib(after.usage.memory_bytes),
        ]);
    }
    Ok(())
}

/// Kills the server in the middle of an invocation's calls, and prints what its journal costs then.
pub(crate) fn replay(growth: &Growth) -> Result<()> {
    let table = Table::begin(
        "Journal and `kill -9`: the server is killed when half of the calls are done",
        &[
            "calls",
            "before s",
            "until the first answer ms",
            "until the next call ms",
            "after s",
            "CPU µs of the rest",
            "MiB",
        ],
    );
    for size in growth.sizes(&SIZES) {
        let mut server = growth.python()?;
        let began = Instant::now();
        let id = sent(&mut server.client()?, &format!(r#"["j",{size}]"#))?;
        let half = reaches(&mut server.client()?, size / 2)?;
        let before = began.elapsed();
        let killed = Instant::now();
        server.restart()?;
        let answered = killed.elapsed();
        let mut client = server.client()?.patient(TIME_MAX)?;
        reaches(&mut client, half + 1)?;
        let went_on = killed.elapsed();
        let result = outcome(&mut client, &id)?;
        let after = killed.elapsed();
        let usage = Usage::of(&server.processes())?;
        ensure!(result == size * (size + 1) / 2, "{result} instead of {}", size * (size + 1) / 2);
        let count = client.call("/Tally/j/get", "[]")?;
        ensure!(count == size, "{count} of {size} calls counted");
        table.line(&[
            size.to_string(),
            format!("{:.2}", before.as_secs_f64()),
            answered.as_millis().to_string(),
            went_on.as_millis().to_string(),
            format!("{:.2}", after.as_secs_f64()),
            format!("{:.0}", usage.cpu_seconds * 1e6 / (size - half).max(1) as f64),
            mib(usage.memory_bytes),
        ]);
    }
    Ok(())
}

/// Starts the calls; the id of their invocation.
fn sent(client: &mut Client, args: &str) -> Result<String> {
    let accepted = client.post(&Request::new("/Long/calls/send", args))?;
    ensure!(accepted.status == 202, "{} {}", accepted.status, accepted.body);
    let accepted: Value = serde_json::from_str(&accepted.body)?;
    Ok(accepted["id"].as_str().context("no id")?.to_owned())
}

/// Waits until so many calls are counted; how many there are then.
fn reaches(client: &mut Client, calls: u64) -> Result<u64> {
    let began = Instant::now();
    loop {
        let counted = client.call("/Tally/j/get", "[]")?.as_u64().context("no number")?;
        if counted >= calls {
            return Ok(counted);
        }
        ensure!(began.elapsed() < TIME_MAX, "only {counted} of {calls} calls");
        thread::sleep(POLL);
    }
}

/// Waits for a result.
fn outcome(client: &mut Client, id: &str) -> Result<Value> {
    let began = Instant::now();
    loop {
        let answer = client.get(&format!("/_/invocations/{id}/result?wait=60s"))?;
        if answer.status == 200 {
            return Ok(serde_json::from_str(&answer.body)?);
        }
        ensure!(answer.status == 202 && began.elapsed() < TIME_MAX, "{} {}", answer.status, answer.body);
    }
}
