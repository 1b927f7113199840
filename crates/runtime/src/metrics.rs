//! A node's numbers, for operators.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shared::{Phase, Shared};

/// Whether a node takes calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// It takes calls.
    pub ready: bool,
    /// Worker processes that have loaded the application.
    pub workers: u64,
    /// The disk has room for more.
    pub has_room: bool,
    /// Records that wait for the disk.
    pub durable_lag: u64,
    /// It is shutting down, or has ended.
    pub closing: bool,
}

/// One number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name, as Prometheus wants it.
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Its value.
    pub value: u64,
}

/// All numbers as Prometheus text.
pub fn prometheus(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for Metric { name, kind, help, value } in metrics {
        // Writing to a String does not fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    text
}

pub(crate) fn health(shared: &Shared) -> Health {
    let counters = &shared.counters;
    let workers = get(&counters.workers_ready);
    let log = shared.log();
    let has_room = log.is_some() && shared.has_room();
    let closing = shared.phase() != Phase::Open;
    Health {
        ready: workers > 0 && has_room && !closing,
        workers,
        has_room,
        durable_lag: log.map_or(0, |log| get(&counters.appended).saturating_sub(log.durable())),
        closing,
    }
}

pub(crate) fn collect(shared: &Shared) -> Vec<Metric> {
    let c = &shared.counters;
    let log = shared.log().map(|log| log.stats()).unwrap_or_default();
    let queued = shared.requests_queued.load(Ordering::Relaxed) as u64;
    let lag = get(&c.appended).saturating_sub(get(&c.durable));
    let counter = |name, help, value| Metric { name, kind: "counter", help, value };
    let gauge = |name, help, value| Metric { name, kind: "gauge", help, value };
    vec![
        counter("sostenuto_requests_total", "Requests that reached the driver.", get(&c.requests)),
        counter("sostenuto_requests_refused_total", "Requests refused before the driver.", get(&c.refused)),
        counter("sostenuto_steps_total", "Steps that workers ended.", get(&c.steps)),
        counter("sostenuto_fetches_total", "Cells that steps asked for, not foreseen.", get(&c.fetches)),
        counter("sostenuto_records_total", "Records appended to the log.", get(&c.records)),
        counter("sostenuto_record_bytes_total", "Bytes of records appended to the log.", get(&c.record_bytes)),
        counter("sostenuto_rounds_total", "Rounds of the driver.", get(&c.rounds)),
        counter("sostenuto_appends_total", "Appends to the log.", get(&c.appends)),
        counter("sostenuto_log_batches_total", "Batches that the log wrote.", log.batches),
        counter("sostenuto_log_syncs_total", "Syncs of the log.", log.syncs),
        counter("sostenuto_log_bytes_total", "Bytes that the log wrote.", log.bytes),
        counter("sostenuto_worker_starts_total", "Worker processes started.", get(&c.worker_starts)),
        counter("sostenuto_worker_deaths_total", "Worker processes that ended.", get(&c.worker_deaths)),
        gauge("sostenuto_workers_ready", "Worker processes that have loaded the application.", get(&c.workers_ready)),
        gauge("sostenuto_requests_queued", "Requests on their way to the driver.", queued),
        gauge("sostenuto_runs", "Steps that workers have.", get(&c.runs)),
        gauge("sostenuto_runs_queued", "Steps that wait for a worker.", get(&c.runs_queued)),
        gauge("sostenuto_coroutines", "Suspended coroutines in workers.", get(&c.coroutines)),
        gauge("sostenuto_held", "Answers, output and tasks that wait for the disk.", shared.held.len() as u64),
        gauge("sostenuto_overlay_bytes", "Bytes of rows that the state does not have yet.", get(&c.overlay_bytes)),
        gauge("sostenuto_unfinished_bytes", "Bytes of unfinished invocations.", get(&c.unfinished_bytes)),
        gauge("sostenuto_overlay_rows", "Rows that wait for the disk.", get(&c.overlay_rows)),
        gauge("sostenuto_log_appended", "Last position appended to the log.", get(&c.appended)),
        gauge("sostenuto_log_durable", "Last durable position of the log.", get(&c.durable)),
        gauge("sostenuto_log_durable_lag", "Records that wait for the disk.", lag),
        gauge("sostenuto_log_segments", "Segments of the log.", log.segments as u64),
        gauge("sostenuto_checkpoint", "Position up to which the state is synced.", get(&c.checkpoint)),
    ]
}

fn get(value: &AtomicU64) -> u64 {
    value.load(Ordering::Relaxed)
}
