//! Virtual time: one steady clock for all, and wall clocks that may be set wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protocol::Micros;
use runtime::Clock;

/// When the simulated world begins.
pub const BEGINNING: Micros = 1_700_000_000_000_000;

/// Microseconds since the beginning.
#[derive(Clone, Debug)]
pub struct Time {
    now: Arc<AtomicU64>,
    /// Only differences to it are ever seen.
    base: Instant,
}

impl Time {
    pub fn beginning() -> Self {
        Self { now: Arc::default(), base: Instant::now() }
    }

    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub fn advance(&self, to: u64) {
        self.now.fetch_max(to, Ordering::Relaxed);
    }
}

/// The clocks of one node.
#[derive(Debug)]
pub struct NodeClock {
    time: Time,
    wrong_by: AtomicI64,
}

impl NodeClock {
    pub fn new(time: &Time) -> Self {
        Self { time: time.clone(), wrong_by: AtomicI64::new(0) }
    }

    /// Sets the wall clock wrong.
    pub fn jump(&self, micros: i64) {
        self.wrong_by.store(micros, Ordering::Relaxed);
    }
}

impl Clock for NodeClock {
    fn wall(&self) -> Micros {
        (BEGINNING + self.time.now()).saturating_add_signed(self.wrong_by.load(Ordering::Relaxed))
    }

    fn steady(&self) -> Instant {
        self.time.base + Duration::from_micros(self.time.now())
    }
}
