//! Queues, threads and flags of the node: those of the standard library. With the feature `interleave`, for tests only,
//! those of shuttle, which tries out in which order threads may run.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

#[cfg(feature = "interleave")]
pub(crate) use shuttle::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize},
    },
    thread,
};
#[cfg(not(feature = "interleave"))]
pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize},
        mpsc,
    },
    thread,
};

/// Waits for a message, at most so long. Where interleavings are tried out no time passes: it waits until there is one,
/// so that a wake-up which never comes is a standstill, which is found.
pub(crate) fn recv_within<T>(queue: &mpsc::Receiver<T>, wait: Duration) -> Result<T, RecvTimeoutError> {
    if cfg!(not(feature = "interleave")) {
        return queue.recv_timeout(wait);
    }
    if wait.is_zero() {
        return queue.try_recv().map_err(|_| RecvTimeoutError::Timeout);
    }
    queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
}

/// Is it so long ago? Where interleavings are tried out no time passes.
pub(crate) fn has_passed(since: Instant, time: Duration) -> bool {
    cfg!(not(feature = "interleave")) && since.elapsed() >= time
}

/// Queues whose receiver drops what is left in them when it is dropped, as in the standard library; those of shuttle keep
/// it.
#[cfg(feature = "interleave")]
pub(crate) mod mpsc {
    use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
    use std::time::Duration;

    use shuttle::sync::mpsc;
    pub(crate) use shuttle::sync::mpsc::{Sender, SyncSender};

    pub(crate) struct Receiver<T>(mpsc::Receiver<T>);

    pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = mpsc::channel();
        (sender, Receiver(receiver))
    }

    pub(crate) fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
        let (sender, receiver) = mpsc::sync_channel(bound);
        (sender, Receiver(receiver))
    }

    impl<T> Receiver<T> {
        pub(crate) fn recv(&self) -> Result<T, RecvError> {
            self.0.recv()
        }

        pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
            self.0.try_recv()
        }

        pub(crate) fn recv_timeout(&self, wait: Duration) -> Result<T, RecvTimeoutError> {
            self.0.recv_timeout(wait)
        }

        pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> + '_ {
            self.0.try_iter()
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            // Nothing else runs between the last look and the end of the receiver itself.
            while !std::thread::panicking() && self.0.try_recv().is_ok() {}
        }
    }
}
