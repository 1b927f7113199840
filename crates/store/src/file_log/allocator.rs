//! Makes segments ahead of need, so that a full disk is known before a commit could fail.
//!
//! A failed attempt leaves nothing behind and is made again later, unlike a failed write or sync of the log itself:
//! no record depends on the file yet. Only when its new name may not be durable, the log fails.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    Shared, lock,
    segments::{self, SCRATCH_FILE},
};
use crate::log::{LogError, Space};

/// The allocator's thread: until the log ends. After a panic no segment is made any more, so nobody may wait for one.
pub(super) fn run_guarded(shared: &Shared) {
    if catch_unwind(AssertUnwindSafe(|| run(shared))).is_err() {
        shared.queue.allocation_failed(Space::Failed);
    }
}

fn run(shared: &Shared) {
    while shared.queue.wait_for_demand(shared.options.idle_cover) {
        make_one(shared);
    }
}

/// Makes one segment. Returns whether that worked. A name that may not be durable is the end of the log, as it is when
/// one is trimmed: no segment may be added to it any more, so it would refuse everything for ever.
pub(super) fn make_one(shared: &Shared) -> bool {
    let Err(error) = try_make(shared) else { return true };
    shared.queue.allocation_failed(space_of(&error));
    if lock(&shared.files).broken {
        shared.fail(error.into_failure());
    }
    false
}

fn try_make(shared: &Shared) -> Result<(), LogError> {
    if lock(&shared.files).broken {
        let error = io::Error::other("an earlier rename may not be durable");
        return Err(LogError::io("allocating", SCRATCH_FILE, &error));
    }
    // Filling the file takes long; the lock is only needed to give it its name.
    let file = segments::make_zeroed(&*shared.disk, shared.segment_bytes)?;
    let mut files = lock(&shared.files);
    files.adopt(&*shared.disk, SCRATCH_FILE, file)?;
    // Under the lock of the files: the committer must not take a segment between counting and telling.
    shared.queue.set_ahead(files.ahead.len());
    Ok(())
}

fn space_of(error: &LogError) -> Space {
    match error {
        LogError::Io { kind: io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, .. } => Space::Full,
        _ => Space::Failed,
    }
}
