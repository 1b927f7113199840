//! Opening the state: can it be used with this log, and if not, what can it be rebuilt from?
//!
//! A rebuilt state is made in a folder of its own and takes its place when it is complete, so a crash in between only
//! means doing it again. The rest, from the state's positions to the end of the log, is replayed by the engine.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    DataDirOptions, OpenError, REBUILD_FILE, Recovery, STATE_DAMAGED_FOLDER, STATE_FOLDER, STATE_NEW_FOLDER,
    StateOrigin, failed,
    full_copy::{CopyError, FullCopy},
    sync_folder,
};
use crate::{
    blob::Blob,
    file_log::FileLog,
    fjall_state::{FjallOpenError, FjallState},
    log::{Log, Lsn},
    state::{State, StateError},
};

/// The state and what is known about it.
pub(super) struct Opened {
    pub(super) state: Arc<dyn State>,
    pub(super) recovery: Recovery,
    pub(super) last_copy: Option<Lsn>,
}

/// Opens the state, rebuilds it if it is of no use, refuses if nothing covers it.
pub(super) fn open_state(
    path: &Path,
    partitions: u16,
    options: &DataDirOptions,
    log: &FileLog,
    blob: &dyn Blob,
) -> Result<Opened, OpenError> {
    remove_folder(&path.join(STATE_NEW_FOLDER))?;
    let copy = FullCopy::newest(blob);
    if let Ok(Some(copy)) = &copy {
        refuse_if_ahead(&path.join("blob"), copy.highest(), log)?;
    }
    let last_copy = copy.as_ref().ok().and_then(|copy| copy.as_ref().map(FullCopy::position));
    let rebuild = Rebuild { path, partitions, options, log, blob };
    let (state, origin) = match rebuild.usable()? {
        Ok(state) => (state, StateOrigin::Opened),
        Err(reason) => rebuild.run(copy, reason)?,
    };
    let replay_from = replay_from(&state).map_err(|error| blocked(path, &error))?;
    if let Some(furthest) = replay_from.iter().max() {
        refuse_if_ahead(&path.join(STATE_FOLDER), furthest - 1, log)?;
    }
    let recovery = Recovery { replay_from, tail: log.tail(), state: origin };
    Ok(Opened { state: Arc::new(state), recovery, last_copy })
}

struct Rebuild<'a> {
    path: &'a Path,
    partitions: u16,
    options: &'a DataDirOptions,
    log: &'a FileLog,
    blob: &'a dyn Blob,
}

impl Rebuild<'_> {
    /// The state as it is, or the reason why it is of no use.
    fn usable(&self) -> Result<Result<FjallState, String>, OpenError> {
        if self.path.join(REBUILD_FILE).exists() {
            return Ok(Err("it was found damaged earlier".to_owned()));
        }
        let state = match self.open(STATE_FOLDER) {
            Ok(state) => state,
            Err(FjallOpenError::Damaged(reason)) => return Ok(Err(format!("it does not open: {reason}"))),
            Err(FjallOpenError::Blocked(message)) => {
                return Err(OpenError::StateBlocked { path: self.path.join(STATE_FOLDER), message });
            }
        };
        let replay_from = match replay_from(&state) {
            Ok(replay_from) => replay_from,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let first = self.log.first();
        let uncovered = (0_u16..).zip(replay_from).find(|(_, from)| *from < first);
        Ok(match uncovered {
            None => Ok(state),
            Some((partition, from)) => {
                Err(format!("partition {partition} needs the log from position {from}, but it starts at {first}"))
            }
        })
    }

    fn run(
        &self,
        copy: Result<Option<FullCopy>, CopyError>,
        reason: String,
    ) -> Result<(FjallState, StateOrigin), OpenError> {
        let from_copy = match copy {
            Ok(None) => Err("there is no full copy".to_owned()),
            Ok(Some(copy)) => self.build(Some(&copy))?.map(|()| copy.position()),
            Err(error) => Err(format!("the full copy cannot be read: {error}")),
        };
        let origin = match from_copy {
            Ok(position) => StateOrigin::FullCopy { position, reason },
            Err(_) if self.log.first() == 1 => {
                // Without a copy there is nothing that could be unreadable.
                let _ = self.build(None)?;
                StateOrigin::Log { reason }
            }
            Err(detail) => {
                let detail = format!("{detail}, and the log starts at position {}", self.log.first());
                return Err(OpenError::StateLost { path: self.path.join(STATE_FOLDER), reason, detail });
            }
        };
        self.replace()?;
        let state = self.open(STATE_FOLDER).map_err(|error| blocked(self.path, &error))?;
        Ok((state, origin))
    }

    /// Makes `state.new`, empty or from a copy. `Ok(Err)`: this copy is of no use.
    fn build(&self, copy: Option<&FullCopy>) -> Result<Result<(), String>, OpenError> {
        let folder = self.path.join(STATE_NEW_FOLDER);
        remove_folder(&folder)?;
        let state = self.open(STATE_NEW_FOLDER).map_err(|error| blocked(self.path, &error))?;
        if let Some(copy) = copy {
            if copy.position() + 1 < self.log.first() {
                return Ok(Err(format!("the full copy ends at position {}", copy.position())));
            }
            match copy.restore(self.blob, &state) {
                Ok(()) => {}
                Err(CopyError::State(error)) => return Err(blocked(self.path, &error)),
                Err(error) => return Ok(Err(format!("the full copy cannot be read: {error}"))),
            }
        }
        state.checkpoint().map_err(|error| blocked(self.path, &error))?;
        Ok(Ok(()))
    }

    /// Puts `state.new` in the place of the state, which is kept as `state.damaged`.
    fn replace(&self) -> Result<(), OpenError> {
        let (state, damaged) = (self.path.join(STATE_FOLDER), self.path.join(STATE_DAMAGED_FOLDER));
        remove_folder(&damaged)?;
        if state.exists() {
            fs::rename(&state, &damaged).map_err(failed("renaming", &state))?;
        }
        let new = self.path.join(STATE_NEW_FOLDER);
        fs::rename(&new, &state).map_err(failed("renaming", &new))?;
        sync_folder(self.path)?;
        let marker = self.path.join(REBUILD_FILE);
        match fs::remove_file(&marker) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("removing", &marker)(error)),
            _ => Ok(()),
        }
    }

    fn open(&self, folder: &str) -> Result<FjallState, FjallOpenError> {
        FjallState::open(&self.path.join(folder), self.partitions, self.options.state)
    }
}

/// The first position that each partition lacks.
fn replay_from(state: &FjallState) -> Result<Vec<Lsn>, StateError> {
    (0..state.partitions()).map(|partition| Ok(state.applied(partition)? + 1)).collect()
}

/// Nothing may know of a record that the log does not have: state and copies follow the log.
fn refuse_if_ahead(path: &Path, position: Lsn, log: &FileLog) -> Result<(), OpenError> {
    let tail = log.tail();
    if position <= tail {
        return Ok(());
    }
    Err(OpenError::LogBehind { path: path.to_path_buf(), position, tail })
}

fn blocked(path: &Path, error: &dyn std::error::Error) -> OpenError {
    OpenError::StateBlocked { path: path.join(STATE_FOLDER), message: error.to_string() }
}

/// Removes a folder with all it holds, if it is there.
pub(super) fn remove_folder(folder: &PathBuf) -> Result<(), OpenError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("removing", folder)(error)),
        _ => Ok(()),
    }
}
