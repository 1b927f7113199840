//! A dict that is one value: what it costs to read one entry of it, and to change one.

use anyhow::{Result, ensure};

use super::{Growth, each};
use crate::{
    cell,
    http::Request,
    load::{Load, Traffic},
    report::{Table, ms, quantile},
};

/// Entries.
const SIZES: [u64; 4] = [1, 100, 1_000, 5_000];

/// Prints the table.
pub(crate) fn measure(growth: &Growth) -> Result<()> {
    let columns =
        ["entries", "get CPU µs", "get p50 ms", "get p99 ms", "add CPU µs", "add p50 ms", "add p99 ms", "add log B"];
    let table = Table::begin("Entries of a dict that is one value, one client; Python", &columns);
    for entries in growth.sizes(&SIZES) {
        let server = growth.python()?;
        let mut client = server.client()?;
        let filled = client.call("/Sheet/s/fill", format!("[{entries}]"))?;
        ensure!(filled == entries, "{filled} instead of {entries}");
        let load = Load { clients: 1, ..growth.load };
        let (gets, got) = cell::measured(&server, load, &Ask("get"))?;
        let (adds, added) = cell::measured(&server, load, &Ask("add"))?;
        let sum = client.call("/Sheet/s/get", "[]")?;
        ensure!(sum == adds.answers, "{} additions, {sum} counted", adds.answers);
        table.line(&[
            entries.to_string(),
            each(got.cpu_seconds * 1e6, &gets),
            ms(quantile(&gets.latencies, 0.5)),
            ms(quantile(&gets.latencies, 0.99)),
            each(added.cpu_seconds * 1e6, &adds),
            ms(quantile(&adds.latencies, 0.5)),
            ms(quantile(&adds.latencies, 0.99)),
            each(added.log_bytes.unwrap_or_default(), &adds),
        ]);
    }
    Ok(())
}

/// Calls this method, again and again.
struct Ask(&'static str);

impl Traffic for Ask {
    fn request(&self, _: usize, _: u64) -> Request {
        Request::new(format!("/Sheet/s/{}", self.0), "[]")
    }

    fn accepts(&self, _: usize, _: u64, body: &str) -> bool {
        body.parse::<u64>().is_ok()
    }
}
