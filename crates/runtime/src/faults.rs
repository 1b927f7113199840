//! Crashes on purpose, for tests only: nothing of it is compiled in without the feature `fault-points`.
//!
//! `SOSTENUTO_CRASH_AT_APPEND=n` aborts the process at the n-th append to the log: `SOSTENUTO_CRASH_PHASE` `before` it,
//! `after` it was handed to the log, or when it is `durable` but nothing has left yet. `SOSTENUTO_EVICT=1` drops every
//! coroutine when it suspends. `SOSTENUTO_RESIDENT_BYTES_MIN=n`: workers keep values of so many bytes already.

#[cfg(feature = "fault-points")]
pub(crate) use active::{Faults, resident_bytes_min};
#[cfg(not(feature = "fault-points"))]
pub(crate) use inactive::{Faults, resident_bytes_min};

#[cfg(not(feature = "fault-points"))]
mod inactive {
    use protocol::Position;
    use store::Log;

    use crate::held::Held;

    pub(crate) fn resident_bytes_min() -> usize {
        crate::limits::RESIDENT_BYTES_MIN
    }

    /// No faults.
    pub(crate) struct Faults;

    impl Faults {
        pub(crate) fn from_environment() -> Self {
            Self
        }

        pub(crate) fn evict(&self) -> bool {
            false
        }

        pub(crate) fn before_append(&mut self, _: &Held) {}

        pub(crate) fn after_append(&self, _: Position, _: &dyn Log) {}
    }
}

#[cfg(feature = "fault-points")]
mod active {
    use std::env::var;
    use std::thread;
    use std::time::Duration;

    use protocol::Position;
    use store::Log;

    use crate::held::Held;

    pub(crate) fn resident_bytes_min() -> usize {
        let told = var("SOSTENUTO_RESIDENT_BYTES_MIN").ok().and_then(|number| number.parse().ok());
        told.unwrap_or(crate::limits::RESIDENT_BYTES_MIN)
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Phase {
        Before,
        After,
        Durable,
    }

    /// What the environment asks for.
    pub(crate) struct Faults {
        crash_at: Option<(u64, Phase)>,
        appends: u64,
        evict: bool,
    }

    impl Faults {
        pub(crate) fn from_environment() -> Self {
            let phase = match var("SOSTENUTO_CRASH_PHASE").as_deref() {
                Ok("after") => Phase::After,
                Ok("durable") => Phase::Durable,
                _ => Phase::Before,
            };
            let crash_at = var("SOSTENUTO_CRASH_AT_APPEND").ok().and_then(|number| number.parse().ok());
            Self {
                crash_at: crash_at.map(|number| (number, phase)),
                appends: 0,
                evict: var("SOSTENUTO_EVICT").is_ok_and(|value| value == "1"),
            }
        }

        pub(crate) fn evict(&self) -> bool {
            self.evict
        }

        pub(crate) fn before_append(&mut self, held: &Held) {
            self.appends += 1;
            if self.is_now(Phase::Durable) {
                // Nothing leaves that rests on the append.
                held.freeze();
            }
            if self.is_now(Phase::Before) {
                std::process::abort();
            }
        }

        pub(crate) fn after_append(&self, last: Position, log: &dyn Log) {
            if self.is_now(Phase::After) {
                std::process::abort();
            }
            if self.is_now(Phase::Durable) {
                while log.durable() < last.0 && log.confirm().is_ok() {
                    thread::sleep(Duration::from_micros(100));
                }
                std::process::abort();
            }
        }

        fn is_now(&self, phase: Phase) -> bool {
            self.crash_at == Some((self.appends, phase))
        }
    }
}
