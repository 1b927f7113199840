//! More services in an application, more partitions in a node: start, memory, and what a call costs.

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{Growth, Moment, each};
use crate::{
    cell,
    http::Request,
    load::Traffic,
    process::{Folder, Usage},
    report::{Table, mib, ms, quantile},
    subject::{Ours, Running as _},
    workload::{Draw, Workload},
};

const SERVICES: [u64; 3] = [1, 10, 100];
const SERVICES_PER_MODULE: u64 = 10;
const PARTITIONS: [u64; 4] = [1, 4, 16, 64];
/// Without requests, to see what is done nevertheless.
const IDLE: Duration = Duration::from_secs(2);

/// Prints the table of services.
pub(crate) fn services(growth: &Growth) -> Result<()> {
    let table = Table::begin(
        "Services of an application in Python, additions to a random one",
        &["services", "first start ms", "restart ms", "add CPU µs", "add p50 ms", "add p99 ms", "MiB"],
    );
    for count in growth.sizes(&SERVICES) {
        let app = Folder::make(&growth.places.data)?;
        write_services(&app, count)?;
        let began = Instant::now();
        let mut server = Ours::python(&growth.places, app.path(), &[])?;
        let first = began.elapsed();
        let (seen, costs) = cell::measured(&server, growth.load, &Any(count))?;
        let mut client = server.client()?;
        let total = (0..count).try_fold(0, |sum, n| {
            Ok::<_, anyhow::Error>(sum + client.call(&format!("/Service{n}/get"), "[]")?.as_u64().unwrap_or_default())
        })?;
        ensure!(total == seen.answers, "{} additions, {total} counted", seen.answers);
        let killed = Instant::now();
        server.restart()?;
        table.line(&[
            count.to_string(),
            first.as_millis().to_string(),
            killed.elapsed().as_millis().to_string(),
            each(costs.cpu_seconds * 1e6, &seen),
            ms(quantile(&seen.latencies, 0.5)),
            ms(quantile(&seen.latencies, 0.99)),
            mib(costs.memory_bytes),
        ]);
    }
    Ok(())
}

fn write_services(app: &Folder, count: u64) -> Result<()> {
    for first in (0..count).step_by(SERVICES_PER_MODULE as usize) {
        let mut text = String::from("from sostenuto import Persistent, service\n");
        for n in first..count.min(first + SERVICES_PER_MODULE) {
            write!(text, "\n\n@service\nclass Service{n}:\n    total: Persistent[int] = 0\n\n")?;
            write!(text, "    def add(self, amount: int) -> int:\n        self.total += amount\n")?;
            write!(text, "        return self.total\n\n    def get(self) -> int:\n        return self.total\n")?;
        }
        fs::write(app.path().join(format!("module{first}.py")), text)?;
    }
    Ok(())
}

/// Additions to a random one of so many services.
struct Any(u64);

impl Traffic for Any {
    fn request(&self, connection: usize, number: u64) -> Request {
        let service = Draw::new(connection as u64, number).below(self.0);
        Request::new(format!("/Service{service}/add"), "[1]")
    }

    fn accepts(&self, _: usize, _: u64, body: &str) -> bool {
        body.parse::<u64>().is_ok()
    }
}

/// Prints the table of partitions.
pub(crate) fn partitions(growth: &Growth) -> Result<()> {
    let table = Table::begin(
        "Partitions: counters and transfers in Rust",
        &[
            "partitions",
            "first start ms",
            "idle CPU %",
            "add CPU µs",
            "add p99 ms",
            "transfer CPU µs",
            "transfer log B",
            "transfer p99 ms",
            "MiB",
            "disk MiB",
        ],
    );
    for count in growth.sizes(&PARTITIONS) {
        let began = Instant::now();
        let server = Ours::rust(&growth.places, &["--partitions".to_owned(), count.to_string()])?;
        let first = began.elapsed();
        let before = Moment::of(&server)?;
        std::thread::sleep(IDLE);
        let idle = Moment::of(&server)?;
        let mut figures = Vec::new();
        for workload in [Workload::Counter, Workload::Transfer] {
            server.set_up(workload)?;
            let (seen, costs) = cell::measured(&server, growth.load, &workload)?;
            server.verify(workload, &seen)?;
            let log = costs.log_bytes.map_or_else(String::new, |bytes| each(bytes, &seen));
            figures.push((each(costs.cpu_seconds * 1e6, &seen), log, ms(quantile(&seen.latencies, 0.99))));
        }
        let [(add, _, add_p99), (transfer, log, transfer_p99)] = figures.as_slice() else { continue };
        table.line(&[
            count.to_string(),
            first.as_millis().to_string(),
            format!("{:.1}", idle.cpu_us(&before) / 1e4 / idle.seconds(&before)),
            add.clone(),
            add_p99.clone(),
            transfer.clone(),
            log.clone(),
            transfer_p99.clone(),
            mib(Usage::of(&server.processes())?.memory_bytes),
            mib(server.stored_bytes()),
        ]);
    }
    Ok(())
}
