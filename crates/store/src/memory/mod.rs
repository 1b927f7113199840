//! The three backends in memory, for tests of what stands above: nothing survives the process.
//!
//! The log can be told when its records become durable, and both log and state can be crashed.

mod blob;
mod log;
mod state;

pub use self::{
    blob::MemoryBlob,
    log::{MemoryLog, Watermark},
    state::MemoryState,
};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. All updates are single steps, so a panic elsewhere has left nothing half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
