//! What the driver and the handles of a node share: counters and the few facts that admission looks at.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use protocol::manifest::Manifest;
use store::Log;

use crate::backends::Backends;
use crate::config::NodeConfig;
use crate::entropy::Entropy;
use crate::held::Held;
use crate::limits;
use crate::sync::{AtomicU8, AtomicUsize};

/// Shared by the driver and all handles of a node.
pub(crate) struct Shared {
    pub(crate) manifest: Arc<Manifest>,
    /// A handle must not keep the data directory locked when the driver has let go of it.
    log: Weak<dyn Log>,
    pub(crate) partitions: u16,
    pub(crate) entropy: Mutex<Entropy>,
    pub(crate) counters: Counters,
    /// What waits for the watermark.
    pub(crate) held: Arc<Held>,
    /// Inputs that the driver handles before it appends their records.
    pub(crate) round_inputs_max: usize,
    /// How long durable rows may wait to be written to the state together.
    pub(crate) state_delay: Duration,
    /// Bytes of rows that may wait for the log or the state.
    pub(crate) overlay_bytes_max: usize,
    /// Bytes that unfinished invocations may take.
    pub(crate) unfinished_bytes_max: usize,
    /// Requests on their way to the driver.
    pub(crate) requests_queued: AtomicUsize,
    /// The state is too far behind.
    pub(crate) overloaded: AtomicBool,
    /// Unfinished invocations take more than they may.
    pub(crate) crowded: AtomicBool,
    /// The data directory, if there is one.
    data_dir: Option<PathBuf>,
    next_token: AtomicU64,
    phase: AtomicU8,
}

/// Life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Takes calls.
    Open,
    /// Takes no new ones.
    Closing,
    /// The driver has ended.
    Ended,
}

/// Numbers that the driver counts, for operators.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) steps: AtomicU64,
    pub(crate) fetches: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) record_bytes: AtomicU64,
    pub(crate) rounds: AtomicU64,
    pub(crate) appends: AtomicU64,
    pub(crate) workers_ready: AtomicU64,
    pub(crate) worker_starts: AtomicU64,
    pub(crate) worker_deaths: AtomicU64,
    pub(crate) runs: AtomicU64,
    pub(crate) runs_queued: AtomicU64,
    pub(crate) coroutines: AtomicU64,
    pub(crate) overlay_bytes: AtomicU64,
    pub(crate) overlay_rows: AtomicU64,
    pub(crate) unfinished_bytes: AtomicU64,
    pub(crate) appended: AtomicU64,
    pub(crate) durable: AtomicU64,
    pub(crate) checkpoint: AtomicU64,
}

impl Shared {
    pub(crate) fn new(manifest: Arc<Manifest>, backends: &Backends, config: &NodeConfig, entropy: Entropy) -> Self {
        Self {
            manifest,
            log: Arc::downgrade(&backends.log),
            partitions: config.partitions,
            entropy: Mutex::new(entropy),
            counters: Counters::default(),
            held: Arc::default(),
            round_inputs_max: config.round_inputs_max,
            state_delay: config.state_delay,
            overlay_bytes_max: config.overlay_bytes_max(),
            unfinished_bytes_max: usize::try_from(config.memory).unwrap_or(usize::MAX),
            requests_queued: AtomicUsize::new(0),
            overloaded: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            data_dir: config.data_dir.clone(),
            next_token: AtomicU64::new(1),
            phase: AtomicU8::new(0),
        }
    }

    /// The log, while the driver has it.
    pub(crate) fn log(&self) -> Option<Arc<dyn Log>> {
        self.log.upgrade()
    }

    /// Is there space for new work: in the log, which allocates ahead, and on the disk for the state?
    pub(crate) fn has_room(&self) -> bool {
        let log = self.log().is_none_or(|log| log.has_room());
        // A disk that does not say how full it is shows its errors itself.
        let free = self.data_dir.as_ref().and_then(|path| rustix::fs::statvfs(path).ok());
        log && free.is_none_or(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= limits::DISK_FREE_MIN)
    }

    pub(crate) fn token(&self) -> engine::Token {
        self.next_token.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Closing,
            _ => Phase::Ended,
        }
    }

    /// A node only grows older.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }
}

/// Sets a gauge that only the driver writes.
pub(crate) fn set(gauge: &AtomicU64, value: impl TryInto<u64>) {
    gauge.store(value.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Raises a counter.
pub(crate) fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}
