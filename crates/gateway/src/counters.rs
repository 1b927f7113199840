//! Numbers of the front door itself, for `/_/metrics`.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;

/// Counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: Gauge,
    pub(crate) requests: Gauge,
    pub(crate) connections_refused: AtomicU64,
    /// Answers by hundreds of the status: 1xx to 5xx.
    answers: [AtomicU64; 5],
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

/// Counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a Gauge);

impl Gauge {
    pub(crate) fn enter(&self) -> Counted<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    pub(crate) fn answered(&self, status: StatusCode) {
        if let Some(counter) = self.answers.get(usize::from(status.as_u16() / 100).wrapping_sub(1)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Prometheus text.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        let mut put = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(out, "{name}{labels} {value}");
            }
        };
        let one = |value: &AtomicU64| vec![(String::new(), value.load(Ordering::Relaxed))];
        put("sostenuto_http_connections", "gauge", "Open connections.", &one(&self.connections.0));
        put("sostenuto_http_requests_open", "gauge", "Requests being answered.", &one(&self.requests.0));
        put(
            "sostenuto_http_connections_refused_total",
            "counter",
            "Connections over the limit.",
            &one(&self.connections_refused),
        );
        let answers: Vec<(String, u64)> = (1..)
            .zip(&self.answers)
            .map(|(hundreds, count)| (format!("{{status=\"{hundreds}xx\"}}"), count.load(Ordering::Relaxed)))
            .collect();
        put("sostenuto_http_responses_total", "counter", "Answers by status.", &answers);
        out
    }
}
