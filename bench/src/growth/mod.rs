//! Curves: one size is made ten times larger again and again while all else stays, and each line says what an operation
//! costs then. CPU, records and bytes for an operation hardly depend on what else the machine does; rates and latencies do.
//!
//! Each measurement runs the real binary on an empty data directory and checks what is stored at the end.

mod idle;
mod long;
mod services;
mod state;
mod tables;
mod values;
mod windows;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::{
    load::{Load, Seen},
    metrics::{self, Counters},
    process::Usage,
    subject::{Ours, Places, Running as _},
};

/// One curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Curve {
    /// Stored cells: additions and reads of random ones, memory, disk, restart.
    State,
    /// Suspended invocations: memory, CPU while idle, other requests beside them, restart.
    Idle,
    /// Calls in sequence of one invocation.
    Journal,
    /// The same, with a `kill -9` in the middle.
    Replay,
    /// Tasks in sequence of one invocation.
    Tasks,
    /// Tasks side by side.
    Fan,
    /// Elements of a list, with a call in the middle of the iteration over them.
    Iterate,
    /// Entries of a dict field, the same.
    Rows,
    /// Cells that one step writes and nobody foresees.
    Touch,
    /// Entries of a dict field of which the number is asked.
    Count,
    /// Bytes of values that others write meanwhile.
    Values,
    /// Entries of a dict that is one value.
    Tables,
    /// Services of an application.
    Services,
    /// Partitions.
    Partitions,
    /// Requests since the last checkpoint: restart after `kill -9`.
    Restart,
    /// Seconds of load, with and without a checkpoint.
    Checkpoint,
}

impl Curve {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 16] = [
        Self::State,
        Self::Idle,
        Self::Journal,
        Self::Replay,
        Self::Tasks,
        Self::Fan,
        Self::Iterate,
        Self::Rows,
        Self::Touch,
        Self::Count,
        Self::Values,
        Self::Tables,
        Self::Services,
        Self::Partitions,
        Self::Restart,
        Self::Checkpoint,
    ];
}

/// What all curves are measured with.
pub(crate) struct Growth {
    pub(crate) places: Places,
    pub(crate) load: Load,
    /// Instead of each curve's own.
    pub(crate) sizes: Vec<u64>,
}

impl Growth {
    fn sizes(&self, own: &[u64]) -> Vec<u64> {
        if self.sizes.is_empty() { own.to_vec() } else { self.sizes.clone() }
    }

    /// The application of this folder.
    fn python(&self) -> Result<Ours> {
        Ours::python(&self.places, &self.places.apps.join("growth"), &[])
    }
}

/// Measures curves and prints a table for each.
pub(crate) fn measure(growth: &Growth, curves: &[Curve]) -> Result<()> {
    for curve in curves {
        let measured = match curve {
            Curve::State => state::measure(growth),
            Curve::Idle => idle::measure(growth),
            Curve::Journal => long::measure(growth, long::Kind::Calls),
            Curve::Replay => long::replay(growth),
            Curve::Tasks => long::measure(growth, long::Kind::Tasks),
            Curve::Fan => long::measure(growth, long::Kind::Fan),
            Curve::Iterate => long::measure(growth, long::Kind::Iterate),
            Curve::Rows => long::measure(growth, long::Kind::Rows),
            Curve::Touch => long::measure(growth, long::Kind::Touch),
            Curve::Count => long::measure(growth, long::Kind::Count),
            Curve::Values => values::measure(growth),
            Curve::Tables => tables::measure(growth),
            Curve::Services => services::services(growth),
            Curve::Partitions => services::partitions(growth),
            Curve::Restart => windows::restart(growth),
            Curve::Checkpoint => windows::checkpoint(growth),
        };
        measured.with_context(|| format!("{curve:?}"))?;
    }
    Ok(())
}

/// What a total is for each request that was measured.
fn each(total: f64, seen: &Seen) -> String {
    format!("{:.0}", total / seen.latencies.len().max(1) as f64)
}

/// Counters and use of a server at one moment.
struct Moment {
    counters: Counters,
    usage: Usage,
    at: std::time::Instant,
}

impl Moment {
    fn of(server: &Ours) -> Result<Self> {
        let (counters, usage) = (server.counters()?, Usage::of(&server.processes())?);
        Ok(Self { counters, usage, at: std::time::Instant::now() })
    }

    /// Microseconds of CPU since an earlier one.
    fn cpu_us(&self, before: &Self) -> f64 {
        (self.usage.cpu_seconds - before.usage.cpu_seconds) * 1e6
    }

    fn growth(&self, before: &Self, name: &str) -> f64 {
        metrics::growth(&before.counters, &self.counters, name).unwrap_or_default()
    }

    fn seconds(&self, before: &Self) -> f64 {
        (self.at - before.at).as_secs_f64()
    }
}
