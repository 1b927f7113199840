//! The strike word: eight bytes of a small file that a worker maps into its memory and writes the number of a run into
//! before it runs the step. It survives the process, so that a death can be laid at the right door.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The server's side of a strike word.
#[derive(Debug)]
pub(crate) struct StrikeFile {
    path: PathBuf,
    file: File,
}

impl StrikeFile {
    /// A file with the word 0, replacing one that was left behind.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        file.write_all_at(&[0; 8], 0)?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The word: little-endian, 0 for none; `None` if it cannot be read.
    pub(crate) fn read(&self) -> Option<u64> {
        let mut word = [0; 8];
        self.file.read_exact_at(&mut word, 0).ok()?;
        Some(u64::from_le_bytes(word))
    }
}

impl Drop for StrikeFile {
    fn drop(&mut self) {
        // It lies in a directory of ours that is emptied at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}
