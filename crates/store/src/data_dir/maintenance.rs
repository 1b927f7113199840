//! Keeping the log short: checkpoint, full copy when it is due, trim. Runs beside the work, in a thread of the caller.
//!
//! The log may go up to the older of the lowest checkpoint of its partitions and the last full copy. So a state that
//! does not open can always be rebuilt.

use std::sync::PoisonError;

use super::{
    DataDir, STATE_DAMAGED_FOLDER,
    full_copy::{CopyError, FullCopy},
    recovery::remove_folder,
};
use crate::{
    log::{Log, LogError, Lsn},
    state::StateError,
};

/// What one round of maintenance did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maintenance {
    /// Every partition is synced at least up to here.
    pub checkpoint: Lsn,
    /// Position of the last full copy, if there is one.
    pub full_copy: Option<Lsn>,
    /// Was it made in this round?
    pub copied: bool,
    /// The first position that the log still has.
    pub log_first: Lsn,
}

/// What can go wrong with maintenance. Nothing is lost; the log only stays longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaintenanceError {
    /// The log could not be trimmed.
    #[error("log: {0}")]
    Log(#[from] LogError),
    /// The state could not be synced or read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The full copy could not be made.
    #[error("full copy: {0}")]
    FullCopy(#[from] CopyError),
}

impl DataDir {
    /// Syncs the state, makes a full copy if one is due, and recycles the log up to the older of both.
    pub fn checkpoint_and_trim(&self) -> Result<Maintenance, MaintenanceError> {
        let mut last_copy = self.last_copy.lock().unwrap_or_else(PoisonError::into_inner);
        let checkpoint = self.checkpoint()?;
        let copied = self.copy_is_due(*last_copy)? && self.copy(checkpoint, &mut last_copy)?;
        if let Some(copy) = *last_copy {
            self.log.trim(copy.min(checkpoint) + 1)?;
        }
        Ok(Maintenance { checkpoint, full_copy: *last_copy, copied, log_first: self.log.first() })
    }

    /// Makes a full copy now. Returns its position; 0 if there is nothing to copy.
    pub fn full_copy(&self) -> Result<Lsn, MaintenanceError> {
        let mut last_copy = self.last_copy.lock().unwrap_or_else(PoisonError::into_inner);
        let checkpoint = self.checkpoint()?;
        self.copy(checkpoint, &mut last_copy)?;
        Ok(last_copy.unwrap_or(0))
    }

    /// Syncs the state. Returns a position that every partition has reached durably.
    fn checkpoint(&self) -> Result<Lsn, MaintenanceError> {
        self.advance_idle_partitions()?;
        let mut lowest = Lsn::MAX;
        for partition in 0..self.state.partitions() {
            lowest = lowest.min(self.state.applied(partition)?);
        }
        self.state.checkpoint()?;
        Ok(lowest)
    }

    /// A partition without unapplied records has come as far as the log, although no record says so.
    fn advance_idle_partitions(&self) -> Result<(), MaintenanceError> {
        for partition in 0..self.state.partitions() {
            // In this order: a record that is queued after the first line lies beyond `durable`.
            let durable = self.log.durable();
            if self.log.last_of(partition) <= self.state.applied(partition)? {
                self.state.advance(partition, durable)?;
            }
        }
        Ok(())
    }

    fn copy_is_due(&self, last_copy: Option<Lsn>) -> Result<bool, MaintenanceError> {
        let written = self.log.bytes_after(last_copy.unwrap_or(0));
        Ok(written > self.options.copy_log_bytes.max(self.state.size_bytes()?))
    }

    /// Returns whether there was anything to copy.
    fn copy(&self, position: Lsn, last_copy: &mut Option<Lsn>) -> Result<bool, MaintenanceError> {
        if position == 0 || *last_copy == Some(position) {
            return Ok(false);
        }
        let written = FullCopy::write(&*self.state, &*self.blob, position, self.options.copy_chunk_bytes);
        if let Err(error) = written {
            // On a full disk the chunks would be in the way; those that stay go with the next copy.
            let _ = FullCopy::remove(&*self.blob, position);
            return Err(error.into());
        }
        *last_copy = Some(position);
        FullCopy::remove_others(&*self.blob, position)?;
        // The damaged state was kept for a look at it; a failure to remove it costs only space.
        let _ = remove_folder(&self.path.join(STATE_DAMAGED_FOLDER));
        Ok(true)
    }
}
