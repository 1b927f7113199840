//! The time, as the driver is told it. Simulators have their own.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use protocol::Micros;

/// Two clocks that need not agree.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970. May jump.
    fn wall(&self) -> Micros;
    /// For waiting: never jumps. Only differences mean something.
    fn steady(&self) -> Instant;
}

/// The system's.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Micros {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as Micros
    }

    fn steady(&self) -> Instant {
        Instant::now()
    }
}
