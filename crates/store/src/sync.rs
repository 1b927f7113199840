//! Locks, conditions, counters and threads of whatever runs in several threads: those of the standard library. With the
//! feature `interleave`, for tests only, those of shuttle, which tries out in which order threads may run.

#[cfg(feature = "interleave")]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64},
    thread,
};
#[cfg(not(feature = "interleave"))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64},
    thread,
};
