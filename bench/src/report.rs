//! The figures and how they are printed: a Markdown table, a line as soon as it is known, and JSON at the end.
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use serde_json::{Value, json};

use crate::client::Seen;

/// Figures of one cell.
pub(crate) struct Figures {
    name: &'static str,
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
    pub(crate) cpu_seconds: f64,
}

impl Figures {
    /// Without costs.
    pub(crate) fn of_seen(name: &'static str, clients: usize, seen: &Seen) -> Self {
        Self {
            name,
            clients,
            requests: seen.latencies.len() as u64,
            seconds: seen.measured.as_secs_f64(),
            p50_us: quantile(&seen.latencies, 0.5),
            p99_us: quantile(&seen.latencies, 0.99),
            p999_us: quantile(&seen.latencies, 0.999),
            costs: None,
        }
    }

    fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    fn per_request(&self, total: f64) -> f64 {
        total / (self.requests.max(1) as f64)
    }

    fn line(&self) -> String {
        let ms = |us: u32| format!("{:.2}", f64::from(us) / 1000.0);
        let (mut syncs, mut bytes, mut cpu) = ("–".to_owned(), "–".to_owned(), "–".to_owned());
        if let Some(costs) = &self.costs {
            syncs = costs.syncs.map_or(syncs, |count| format!("{:.3}", self.per_request(count)));
            bytes = costs.log_bytes.map_or(bytes, |count| format!("{:.0}", self.per_request(count)));
            cpu = format!("{:.0}", self.per_request(costs.cpu_seconds) * 1e6);
        }
        format!(
            "| {} | {} | {:.0} | {} | {} | {} | {syncs} | {bytes} | {cpu} |",
            self.name,
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
            "clients": self.clients,
            "requests": self.requests,
            "requests_per_second": self.per_second(),
            "p50_us": self.p50_us,
            "p99_us": self.p99_us,
            "p999_us": self.p999_us,
            "syncs": self.costs.as_ref().and_then(|costs| costs.syncs),
            "log_bytes": self.costs.as_ref().and_then(|costs| costs.log_bytes),
            "cpu_seconds": self.costs.as_ref().map(|costs| costs.cpu_seconds),
        })
    }
}

/// The value below which this share of the ascending values lies.
fn quantile(ascending: &[u32], share: f64) -> u32 {
    let last = ascending.len().saturating_sub(1);
    ascending.get((last as f64 * share).round() as usize).copied().unwrap_or(0)
}

/// All figures of a run.
pub(crate) struct Report(Vec<Figures>);

impl Report {
    /// Prints the head of the table.
    pub(crate) fn begin() -> Self {
        println!(
            "| workload | clients | requests/s | p50 ms | p99 ms | p99.9 ms | syncs/req | log B/req | CPU µs/req |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        Self(Vec::new())
    }

    /// Prints a cell.
    pub(crate) fn add(&mut self, figures: Figures) {
        println!("{}", figures.line());
        self.0.push(figures);
    }

    /// Prints how many requests one workload answered for each of another, with as many clients.
    pub(crate) fn ratios(&self, pairs: &[(&str, &str)]) {
        for (name, base) in pairs {
            for one in self.0.iter().filter(|figures| figures.name == *name) {
                let other = self.0.iter().find(|figures| figures.name == *base && figures.clients == one.clients);
                if let Some(other) = other {
                    let ratio = one.per_second() / other.per_second();
                    println!("{name} / {base}, {} clients: {ratio:.2} of the requests/s", one.clients);
                }
            }
        }
    }

    /// All cells.
    pub(crate) fn json(&self) -> String {
        format!("{:#}\n", Value::Array(self.0.iter().map(Figures::json).collect()))
    }
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
