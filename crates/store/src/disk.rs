//! The little of a file system that the log and the blobs use: one flat directory of files.
//!
//! It exists so that tests can put [`crate::faulty::FaultyDisk`] in place of [`RealDisk`]. It is not a virtual file
//! system: no nesting, no permissions, no append mode.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

/// A flat directory of files.
pub trait Disk: Send + Sync {
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes an empty file; one that exists is emptied.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file over whatever has the new name. Open handles stay with the file.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. Open handles stay usable.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: Send + Sync {
    /// Fills the buffer from `offset`; `UnexpectedEof` if the file ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes all bytes at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes the content durable.
    fn sync(&self) -> io::Result<()>;
    /// Cuts or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Has the file no bytes?
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A directory of the operating system.
pub struct RealDisk {
    path: PathBuf,
    /// The lock on the directory, if there is one: it is held for as long as anybody may write.
    _lock: Option<Arc<File>>,
}

impl RealDisk {
    /// Uses an existing directory that the caller alone writes to.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, _lock: None }
    }

    /// Uses an existing directory under a lock that must not be released before this is dropped.
    pub(crate) fn locked(path: PathBuf, lock: &Arc<File>) -> Self {
        Self { path, _lock: Some(Arc::clone(lock)) }
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Arc::new(RealFile { file }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(self.path.join(name))?;
        Ok(Arc::new(RealFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// Reads a whole file.
pub(crate) fn read_whole(disk: &dyn Disk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let len = usize::try_from(file.len()?).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Replaces a whole file, all of it or nothing, durable on return. `scratch` is a name that nobody else uses.
pub(crate) fn write_whole(disk: &dyn Disk, name: &str, scratch: &str, bytes: &[u8]) -> io::Result<()> {
    let written = write_scratch(disk, scratch, bytes).and_then(|()| disk.rename(scratch, name));
    if let Err(error) = written {
        // Best effort: a scratch file that stays is removed at the next start.
        let _ = disk.remove(scratch);
        return Err(error);
    }
    disk.sync_dir()
}

fn write_scratch(disk: &dyn Disk, scratch: &str, bytes: &[u8]) -> io::Result<()> {
    let file = disk.create(scratch)?;
    file.write_at(0, bytes)?;
    file.sync()
}
