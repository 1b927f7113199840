//! A log without threads: the committer and the allocator do one thing at a time, when the owner says so. For simulators,
//! which decide what happens between a write and its sync.

use std::sync::Arc;

use super::{
    Allocate, FileLog, FileLogOptions, allocator, assemble, committer::Committer, load_or_create, lock, recover,
};
use crate::{disk::Disk, log::LogError, sync::Mutex};

/// What a step of the committer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// There was nothing to do.
    Nothing,
    /// A batch was written, not synced.
    Wrote,
    /// The batch was synced and the watermark has moved.
    Synced,
    /// The log has failed.
    Failed,
}

impl FileLog {
    /// Opens a log like [`FileLog::open`], without threads. When segments are made is decided by the caller too:
    /// while there are too few, `append` answers [`LogError::Full`].
    pub fn open_stepped(disk: Arc<dyn Disk>, options: FileLogOptions) -> Result<Self, LogError> {
        let options = FileLogOptions { allocate: Allocate::Inline, ..options };
        let meta = load_or_create(&*disk, &options)?;
        let recovered = recover::recover(&*disk, &meta)?;
        let (shared, committer) = assemble(disk, options, meta, recovered);
        Ok(Self { shared, threads: Mutex::default(), stepped: Mutex::new(Some(committer)) })
    }

    /// Writes a batch of what is queued, or syncs the one that was written.
    pub fn step(&self) -> Did {
        self.with_committer(Committer::step_now)
    }

    /// Writes the empty batch that covers the last one, if nothing else is to be done and there is none yet.
    pub fn step_cover(&self) -> Did {
        self.with_committer(Committer::cover_now)
    }

    /// Makes one segment if one is wanted. Returns whether it did.
    pub fn step_allocate(&self) -> bool {
        self.wants_segment() && allocator::make_one(&self.shared)
    }

    /// Are there fewer segments ahead than there should be?
    #[must_use]
    pub fn wants_segment(&self) -> bool {
        self.shared.queue.failure().is_none() && self.shared.queue.wants_segment()
    }

    /// What is left to do before a log without threads is closed.
    pub(super) fn finish_steps(&self) {
        let busy = |did| matches!(did, Did::Wrote | Did::Synced);
        while busy(self.step()) || busy(self.step_cover()) {
            self.step_allocate();
        }
    }

    fn with_committer(&self, step: impl FnOnce(&mut Committer) -> Result<Did, LogError>) -> Did {
        let mut committer = lock(&self.stepped);
        let Some(present) = committer.as_mut() else { return Did::Nothing };
        step(present).unwrap_or_else(|error| {
            self.shared.fail(error.into_failure());
            *committer = None;
            Did::Failed
        })
    }
}
