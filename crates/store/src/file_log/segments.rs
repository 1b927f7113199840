//! The segment files: their names, how they are made ahead, taken into use and recycled.
//!
//! Generations are contiguous from the first kept segment to the last one made ahead, so a missing file is noticed.
//! Every rename is synced before the next one for the same reason. What is inside a segment is not known here.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    disk::{Disk, DiskFile},
    limits::{SEGMENTS_AHEAD_MAX, ZERO_CHUNK_BYTES},
    log::{LogError, Lsn},
};

/// A segment under construction; it gets its real name when it is complete.
pub(super) const SCRATCH_FILE: &str = "new.segment";

/// The file name of a generation.
pub(super) fn file_name(generation: u64) -> String {
    format!("{generation:020}.segment")
}

/// The generation of a file name; `None` if the file is no segment.
pub(super) fn generation_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".segment")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

/// A segment that holds records, or is the next to do so.
pub(super) struct Segment {
    pub(super) generation: u64,
    /// Position and batch that it starts with.
    pub(super) first: Lsn,
    pub(super) sequence: u64,
    pub(super) file: Arc<dyn DiskFile>,
}

/// A segment made ahead.
pub(super) struct Ahead {
    pub(super) generation: u64,
    pub(super) file: Arc<dyn DiskFile>,
}

/// All segments, oldest first.
pub(super) struct Files {
    /// Those in use; never empty, the last one is the current one.
    pub(super) live: VecDeque<Arc<Segment>>,
    pub(super) ahead: VecDeque<Ahead>,
    pub(super) generation_next: u64,
    /// A rename may or may not have become durable: no segment may be added any more.
    pub(super) broken: bool,
}

impl Files {
    /// The next segment made ahead becomes the current one; `None` if there is none.
    pub(super) fn rotate(&mut self, first: Lsn, sequence: u64) -> Option<Arc<Segment>> {
        let Ahead { generation, file } = self.ahead.pop_front()?;
        let segment = Arc::new(Segment { generation, first, sequence, file });
        self.live.push_back(Arc::clone(&segment));
        Some(segment)
    }

    /// Gives a complete file the next generation.
    pub(super) fn adopt(&mut self, disk: &dyn Disk, from: &str, file: Arc<dyn DiskFile>) -> Result<(), LogError> {
        let generation = self.generation_next;
        let name = file_name(generation);
        disk.rename(from, &name).map_err(|error| LogError::io("renaming", from, &error))?;
        if let Err(error) = disk.sync_dir() {
            self.broken = true;
            return Err(LogError::io("syncing the name of", &name, &error));
        }
        self.generation_next += 1;
        self.ahead.push_back(Ahead { generation, file });
        Ok(())
    }

    /// Uses the file of a segment that is no longer needed again, or gives it back.
    ///
    /// `shared`: a reader still holds it, so its content must stay. Unlinked files stay readable.
    pub(super) fn retire(
        &mut self,
        disk: &dyn Disk,
        generation: u64,
        file: Arc<dyn DiskFile>,
        shared: bool,
    ) -> Result<(), LogError> {
        let name = file_name(generation);
        if shared || self.broken || self.ahead.len() >= SEGMENTS_AHEAD_MAX {
            return disk.remove(&name).map_err(|error| LogError::io("removing", &name, &error));
        }
        self.adopt(disk, &name, file)
    }
}

/// Makes a file of zeros, written and synced, under the scratch name.
pub(super) fn make_zeroed(disk: &dyn Disk, bytes: u64) -> Result<Arc<dyn DiskFile>, LogError> {
    let error = |error: std::io::Error| LogError::io("allocating", SCRATCH_FILE, &error);
    let file = disk.create(SCRATCH_FILE).map_err(error)?;
    let filled = zero(&*file, 0, bytes).and_then(|()| file.sync());
    if let Err(cause) = filled {
        // Gives the space back; one that stays is removed at the next start.
        let _ = disk.remove(SCRATCH_FILE);
        return Err(error(cause));
    }
    Ok(file)
}

/// Writes zeros over `from..to`, unsynced.
pub(super) fn zero(file: &dyn DiskFile, from: u64, to: u64) -> std::io::Result<()> {
    let zeros = vec![0; ZERO_CHUNK_BYTES];
    let mut at = from;
    while at < to {
        let len = (to - at).min(ZERO_CHUNK_BYTES as u64);
        file.write_at(at, &zeros[..usize::try_from(len).expect("a chunk fits into memory")])?;
        at += len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_and_read_back() {
        assert_eq!(generation_of(&file_name(42)), Some(42));
        assert!(file_name(9) < file_name(10));
        assert_eq!(generation_of("new.segment"), None);
        assert_eq!(generation_of("meta"), None);
        assert_eq!(generation_of("0000000000000000004x.segment"), None);
    }
}
