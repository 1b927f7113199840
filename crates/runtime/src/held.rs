//! What may not leave before a position is durable: answers, output, tasks, messages to other nodes. In the order of
//! their positions.
//!
//! The driver puts in; the log's committer lets out, as soon as its sync is done. So nothing that leaves waits for the
//! driver's next round, and the driver is not woken for it.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use protocol::Position;

use crate::sync::{Mutex, MutexGuard};

/// Lets something out. It runs in the thread of the log, which waits for it.
pub(crate) type Release = Box<dyn FnOnce() + Send>;

/// Waits for the watermark. Bounded by admission: each entry belongs to a request or to an unfinished invocation.
#[derive(Default)]
pub(crate) struct Held(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    durable: Position,
    entries: BTreeMap<(Position, u64), Release>,
    /// Keeps the order of entries with one position.
    counter: u64,
    /// Somebody lets out what may leave: what comes now has to line up behind it.
    letting_out: bool,
    /// Nothing leaves any more.
    shut: bool,
}

impl Held {
    /// Keeps `release` until `after` is durable; at once if it is.
    pub(crate) fn until(&self, after: Position, release: Release) {
        let mut held = self.lock();
        if held.shut {
            return;
        }
        if after <= held.durable && !held.letting_out {
            drop(held);
            return release();
        }
        held.counter += 1;
        let place = (after, held.counter);
        held.entries.insert(place, release);
    }

    /// Everything up to this position is durable: lets out what rests on nothing beyond it.
    pub(crate) fn let_out(&self, durable: Position) {
        let mut held = self.lock();
        held.durable = held.durable.max(durable);
        if std::mem::replace(&mut held.letting_out, true) {
            // Whoever is at it sees the new watermark.
            return;
        }
        while let Some(release) = held.next() {
            drop(held);
            release();
            held = self.lock();
        }
        held.letting_out = false;
    }

    /// Keeps everything from now on, as if somebody were letting out and never came to an end.
    #[cfg(feature = "fault-points")]
    pub(crate) fn freeze(&self) {
        self.lock().letting_out = true;
    }

    /// Forgets everything. Nothing leaves any more.
    pub(crate) fn shut(&self) {
        let mut held = self.lock();
        held.shut = true;
        // What is dropped with them may ask for the lock.
        let entries = std::mem::take(&mut held.entries);
        drop(held);
        drop(entries);
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// What may leave next.
    fn next(&mut self) -> Option<Release> {
        let first = self.entries.first_entry()?;
        if first.key().0 > self.durable {
            return None;
        }
        Some(first.remove())
    }
}

#[cfg(test)]
mod tests;
