//! Large values beside small ones: do those who write a few bytes wait for those who write many?

use std::thread;

use anyhow::{Result, anyhow, ensure};

use super::{Growth, state::Random};
use crate::{
    cell,
    http::Request,
    load::{Load, Traffic},
    report::{Table, mib, ms, quantile},
    subject::Running as _,
};

/// Bytes; with 0 nobody writes large ones.
const SIZES: [u64; 4] = [0, 1_000, 10_000, 100_000];
const LARGE_CLIENTS: usize = 2;
const SMALL_CLIENTS: usize = 16;
const PAGES: u64 = 16;
const TALLIES: u64 = 1_000;

/// Prints the table.
pub(crate) fn measure(growth: &Growth) -> Result<()> {
    let table = Table::begin(
        "Values: 2 clients put large ones, 16 add to 1,000 counters; Python",
        &[
            "bytes",
            "large/s",
            "large p50 ms",
            "large p99 ms",
            "small/s",
            "small p50 ms",
            "small p99 ms",
            "small p99.9 ms",
            "MiB",
        ],
    );
    for bytes in growth.sizes(&SIZES) {
        let server = growth.python()?;
        let address = server.address();
        let texts = Texts(format!("[\"{}\"]", "x".repeat(usize::try_from(bytes)?)));
        let tallies = Random { cells: TALLIES, method: "add", args: "[1]" };
        let small = Load { clients: SMALL_CLIENTS, ..growth.load };
        let clients = if bytes == 0 { 0 } else { LARGE_CLIENTS };
        let large = Load { clients, ..growth.load };
        let (large, (small, costs)) = thread::scope(|scope| -> Result<_> {
            let large = scope.spawn(|| large.run(address, &texts, || Ok(())));
            let small = cell::measured(&server, small, &tallies)?;
            Ok((large.join().map_err(|_| anyhow!("the writer of large values panicked"))??, small))
        })?;
        let mut client = server.client()?;
        let mut sum = |path: &dyn Fn(u64) -> String, count: u64| -> Result<u64> {
            (0..count).try_fold(0, |sum, n| Ok(sum + client.call(&path(n), "[]")?.as_u64().unwrap_or_default()))
        };
        let edits = sum(&|n| format!("/Page/p{n}/edited"), PAGES)?;
        ensure!(edits == large.answers, "{} large values put, {edits} counted", large.answers);
        let total = sum(&|n| format!("/Tally/t{n}/get"), TALLIES)?;
        ensure!(total == small.answers, "{} additions, {total} counted", small.answers);
        let rate =
            |seen: &crate::load::Seen| format!("{:.0}", seen.latencies.len() as f64 / seen.measured.as_secs_f64());
        table.line(&[
            bytes.to_string(),
            rate(&large),
            ms(quantile(&large.latencies, 0.5)),
            ms(quantile(&large.latencies, 0.99)),
            rate(&small),
            ms(quantile(&small.latencies, 0.5)),
            ms(quantile(&small.latencies, 0.99)),
            ms(quantile(&small.latencies, 0.999)),
            mib(costs.memory_bytes),
        ]);
    }
    Ok(())
}

/// Puts the same text everywhere; holds the arguments.
struct Texts(String);

impl Traffic for Texts {
    fn request(&self, connection: usize, number: u64) -> Request {
        let page = (number * LARGE_CLIENTS as u64 + connection as u64) % PAGES;
        Request::new(format!("/Page/p{page}/put"), self.0.as_str())
    }

    fn accepts(&self, _: usize, _: u64, body: &str) -> bool {
        body.parse::<u64>().is_ok()
    }
}
