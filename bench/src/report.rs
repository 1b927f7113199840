//! The figures and how they are printed: a Markdown table, a line as soon as it is known, and JSON at the end.
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use crate::load::Seen;

/// Figures of one cell.
pub(crate) struct Figures {
    name: &'static str,
    subject: String,
    clients: usize,
    requests: u64,
    seconds: f64,
    p50_us: u32,
    p99_us: u32,
    p999_us: u32,
    pub(crate) costs: Option<Costs>,
}

/// What the requests of a cell cost the server. `None`: it has no such counter.
pub(crate) struct Costs {
    pub(crate) syncs: Option<f64>,
    pub(crate) log_bytes: Option<f64>,
    /// Written to disks, by the whole machine.
    pub(crate) disk_bytes: f64,
    pub(crate) cpu_seconds: f64,
    /// The same by the names of threads.
    pub(crate) threads: BTreeMap<String, f64>,
    /// Held at the end, not per request.
    pub(crate) memory_bytes: u64,
}

impl Figures {
    /// Without costs.
    pub(crate) fn of_seen(name: &'static str, subject: &str, clients: usize, seen: &Seen) -> Self {
        Self {
            name,
            subject: subject.to_owned(),
            clients,
            requests: seen.latencies.len() as u64,
            seconds: seen.measured.as_secs_f64(),
            p50_us: quantile(&seen.latencies, 0.5),
            p99_us: quantile(&seen.latencies, 0.99),
            p999_us: quantile(&seen.latencies, 0.999),
            costs: None,
        }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    fn per_request(&self, total: f64) -> f64 {
        total / (self.requests.max(1) as f64)
    }

    fn line(&self) -> String {
        let [mut syncs, mut bytes, mut disk, mut cpu, mut memory] = std::array::from_fn(|_| "–".to_owned());
        if let Some(costs) = &self.costs {
            syncs = costs.syncs.map_or(syncs, |count| format!("{:.3}", self.per_request(count)));
            bytes = costs.log_bytes.map_or(bytes, |count| format!("{:.0}", self.per_request(count)));
            disk = format!("{:.0}", self.per_request(costs.disk_bytes));
            memory = mib(costs.memory_bytes);
            cpu = format!("{:.0}", self.per_request(costs.cpu_seconds) * 1e6);
        }
        format!(
            "| {} | {} | {} | {:.0} | {} | {} | {} | {syncs} | {bytes} | {disk} | {cpu} | {memory} |",
            self.name,
            self.subject,
            self.clients,
            self.per_second(),
            ms(self.p50_us),
            ms(self.p99_us),
            ms(self.p999_us)
        )
    }

    fn json(&self) -> Value {
        json!({
            "workload": self.name,
            "subject": self.subject,
            "clients": self.clients,
            "requests": self.requests,
            "requests_per_second": self.per_second(),
            "p50_us": self.p50_us,
            "p99_us": self.p99_us,
            "p999_us": self.p999_us,
            "syncs": self.costs.as_ref().and_then(|costs| costs.syncs),
            "log_bytes": self.costs.as_ref().and_then(|costs| costs.log_bytes),
            "disk_bytes": self.costs.as_ref().map(|costs| costs.disk_bytes),
            "memory_bytes": self.costs.as_ref().map(|costs| costs.memory_bytes),
            "cpu_seconds_by_thread": self.costs.as_ref().map(|costs| &costs.threads),
            "cpu_seconds": self.costs.as_ref().map(|costs| costs.cpu_seconds),
        })
    }
}

/// A table of named columns, printed line by line.
pub(crate) struct Table(usize);

impl Table {
    /// Prints a title and the head.
    pub(crate) fn begin(title: &str, columns: &[&str]) -> Self {
        println!("\n{title}\n\n| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
        Self(columns.len())
    }

    /// Prints a line.
    pub(crate) fn line(&self, values: &[String]) {
        assert_eq!(values.len(), self.0, "a value for each column");
        println!("| {} |", values.join(" | "));
    }
}

/// Microseconds as milliseconds.
pub(crate) fn ms(us: u32) -> String {
    format!("{:.2}", f64::from(us) / 1000.0)
}

/// Mebibytes.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / f64::from(1 << 20))
}

/// The value below which this share of the ascending values lies.
pub(crate) fn quantile(ascending: &[u32], share: f64) -> u32 {
    let last = ascending.len().saturating_sub(1);
    ascending.get((last as f64 * share).round() as usize).copied().unwrap_or(0)
}

/// All figures of a run.
pub(crate) struct Report(Vec<Figures>);

impl Report {
    /// Prints the head of the table.
    pub(crate) fn begin() -> Self {
        println!(
            "| workload | services | clients | requests/s | p50 ms | p99 ms | p99.9 ms | syncs/req | log B/req | disk B/req \
             | CPU µs/req | MiB |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
        Self(Vec::new())
    }

    /// Prints a cell.
    pub(crate) fn add(&mut self, figures: Figures) {
        println!("{}", figures.line());
        self.0.push(figures);
    }

    /// Prints which threads the CPU of each cell went to.
    pub(crate) fn threads(&self) {
        for one in &self.0 {
            let Some(costs) = &one.costs else { continue };
            let mut threads: Vec<_> = costs.threads.iter().collect();
            threads.sort_by(|a, b| b.1.total_cmp(a.1));
            let shown = threads.iter().map(|(name, seconds)| format!("{name} {:.1}", one.per_request(**seconds) * 1e6));
            let shown = shown.collect::<Vec<_>>().join(", ");
            println!("{} of {}, {} clients, CPU µs/req: {shown}", one.name, one.subject, one.clients);
        }
    }

    /// Prints how many requests each of these workloads answered for one of another, with as many clients.
    pub(crate) fn shares(&self, pairs: &[(&str, &str)]) {
        for (name, base) in pairs {
            for one in self.0.iter().filter(|figures| figures.name == *name) {
                let same = |other: &&Figures| {
                    (other.name, other.clients, &other.subject) == (*base, one.clients, &one.subject)
                };
                if let Some(other) = self.0.iter().find(same) {
                    let ratio = one.per_second() / other.per_second();
                    println!("{name} / {base}, {} clients: {ratio:.2} of the requests/s", one.clients);
                }
            }
        }
    }

    /// Prints our throughput and median latency as multiples of a peer's, in the mean of all rounds.
    pub(crate) fn ratios(&self, ours: &str, peer: &str) {
        let cells: BTreeSet<(&str, usize)> = self.0.iter().map(|one| (one.name, one.clients)).collect();
        for (name, clients) in cells {
            let mean = |subject: &str, value: fn(&Figures) -> f64| {
                let same = |one: &&Figures| (one.name, one.clients, one.subject.as_str()) == (name, clients, subject);
                let values: Vec<f64> = self.0.iter().filter(same).map(value).collect();
                (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
            };
            let p50 = |one: &Figures| f64::from(one.p50_us);
            if let (Some(rate), Some(base)) = (mean(ours, Figures::per_second), mean(peer, Figures::per_second))
                && let (Some(latency), Some(longer)) = (mean(ours, p50), mean(peer, p50))
            {
                let (rate, latency) = (rate / base, longer / latency);
                println!(
                    "{name}, {clients} clients: {rate:.1} times the requests/s of {peer}, 1/{latency:.1} of its p50"
                );
            }
        }
    }

    /// All cells.
    pub(crate) fn json(&self) -> String {
        format!("{:#}\n", Value::Array(self.0.iter().map(Figures::json).collect()))
    }
}

/// Prints the head of the table of restarts.
pub(crate) fn begin_restarts() {
    println!("| services | first start ms | MiB at rest | restart after kill -9 under load ms |");
    println!("|---|---|---|---|");
}

/// Prints a line of it.
pub(crate) fn add_restart(subject: &str, (restart, first, memory): (Duration, Duration, u64)) {
    let (restart, first) = (restart.as_secs_f64() * 1e3, first.as_secs_f64() * 1e3);
    println!("| {subject} | {first:.0} | {} | {restart:.0} |", mib(memory));
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_of_few_values() {
        assert_eq!(quantile(&[], 0.5), 0);
        assert_eq!(quantile(&[7], 0.999), 7);
        let values: Vec<u32> = (0..=1000).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99), quantile(&values, 0.999)), (500, 990, 999));
    }
}
