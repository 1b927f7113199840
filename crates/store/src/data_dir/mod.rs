//! A data directory: one server's log, state and blobs, opened together and kept consistent with each other.
//!
//! | entry | content |
//! |---|---|
//! | `LOCK` | locked by the server that uses the directory; holds its process id |
//! | `FORMAT` | format version and number of partitions |
//! | `log/`, `state/`, `blob/` | the three backends |
//! | `state.new/` | state that is being rebuilt; removed at the next start |
//! | `state.damaged/` | state that did not open, kept until the next full copy |
//! | `REBUILD` | the state is to be rebuilt at the next start |
//!
//! Opening decides whether the state can be used (`recovery`); maintenance keeps the log short (`maintenance`)
//! with the help of full copies in `blob/` (`full_copy`). Replaying records is the engine's business.

mod format;
mod full_copy;
mod maintenance;
mod recovery;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use crate::{
    blob::Blob,
    disk::RealDisk,
    file_blob::FileBlob,
    file_log::{FileLog, FileLogOptions},
    fjall_state::StateMemory,
    limits,
    log::{Log, LogError, Lsn},
    state::{State, StateError},
};

pub use self::{
    full_copy::CopyError,
    maintenance::{Maintenance, MaintenanceError},
};

const LOCK_FILE: &str = "LOCK";
const LOG_FOLDER: &str = "log";
const STATE_FOLDER: &str = "state";
const STATE_NEW_FOLDER: &str = "state.new";
const STATE_DAMAGED_FOLDER: &str = "state.damaged";
const BLOB_FOLDER: &str = "blob";
const REBUILD_FILE: &str = "REBUILD";

/// What may be chosen for a data directory.
#[derive(Debug, Clone)]
pub struct DataDirOptions {
    /// Of the log.
    pub log: FileLogOptions,
    /// Of the state store.
    pub state: StateMemory,
    /// Log written since the last full copy before the next one, unless the state is larger.
    pub copy_log_bytes: u64,
    /// A chunk of a full copy is closed when it has grown to this size.
    pub copy_chunk_bytes: usize,
}

impl Default for DataDirOptions {
    fn default() -> Self {
        Self {
            log: FileLogOptions::default(),
            state: StateMemory::default(),
            copy_log_bytes: limits::COPY_LOG_BYTES,
            copy_chunk_bytes: limits::COPY_CHUNK_BYTES,
        }
    }
}

/// An open data directory. The lock is held until it and everything it handed out are dropped.
pub struct DataDir {
    path: PathBuf,
    log: Arc<FileLog>,
    state: Arc<dyn State>,
    blob: Arc<dyn Blob>,
    recovery: Recovery,
    options: DataDirOptions,
    /// Position of the last full copy; held during maintenance.
    last_copy: Mutex<Option<Lsn>>,
}

/// What opening found, and from where each partition has to be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Per partition: the first position that its state lacks. Records of the partition from there on are replayed.
    pub replay_from: Vec<Lsn>,
    /// The last record of the log.
    pub tail: Lsn,
    /// Where the state came from.
    pub state: StateOrigin,
}

/// Where the state came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateOrigin {
    /// It opened as it was, or is new.
    Opened,
    /// It is rebuilt from the whole log.
    Log {
        /// Why it could not be used as it was.
        reason: String,
    },
    /// It was rebuilt from a full copy, which the log continues.
    FullCopy {
        /// The copy's position.
        position: Lsn,
        /// Why it could not be used as it was.
        reason: String,
    },
}

/// Why a data directory does not open. Each message says what is wrong with which file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another server uses it.
    #[error("{path} is in use by another server{by}; stop it first, or choose another --data directory", path = path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Which one, if known: ` (process 12)`.
        by: String,
    },
    /// It was written by a newer version.
    #[error("{path} has data format {found}, this version knows up to {known}; use the newer version", path = path.display())]
    NewerFormat {
        /// The format file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest known one.
        known: u32,
    },
    /// It was made for another number of partitions.
    #[error("{path} has {found} partitions, but --partitions {asked} was asked for; the number cannot be changed", path = path.display())]
    Partitions {
        /// The directory.
        path: PathBuf,
        /// How many it has.
        found: u16,
        /// How many were asked for.
        asked: u16,
    },
    /// It is something else than a data directory.
    #[error("{path} is not a data directory: {detail}", path = path.display())]
    NotADataDirectory {
        /// The directory, or its format file.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// The log does not open.
    #[error("the log in {path} does not open: {source}", path = path.display())]
    Log {
        /// The log's folder.
        path: PathBuf,
        /// Why not.
        source: LogError,
    },
    /// Records are missing at the end of the log.
    #[error("{path} knows of position {position}, but the log ends at {tail}: records that were acknowledged are missing", path = path.display())]
    LogBehind {
        /// The state, or the full copy, that is further.
        path: PathBuf,
        /// How far it is.
        position: Lsn,
        /// The last record of the log.
        tail: Lsn,
    },
    /// The state does not open and nothing covers it.
    #[error("{path} cannot be used ({reason}) and cannot be rebuilt: {detail}", path = path.display())]
    StateLost {
        /// The state's folder.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
        /// Why neither the log nor a full copy covers it.
        detail: String,
    },
    /// The state does not open for a reason that is no damage.
    #[error("{path} does not open: {message}", path = path.display())]
    StateBlocked {
        /// The state's folder.
        path: PathBuf,
        /// Why not.
        message: String,
    },
    /// The system refused.
    #[error("{operation} {path}: {message}", path = path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
}

/// A data directory that nobody else can open any more, and that is ours to use: what can be found out at once.
pub struct Claim {
    path: PathBuf,
    partitions: u16,
    lock: Arc<File>,
}

impl Claim {
    /// Takes the lock, after making the directory if there is none.
    pub fn take(path: impl AsRef<Path>, partitions: u16) -> Result<Self, OpenError> {
        let path = path.as_ref().to_path_buf();
        fs::create_dir_all(&path).map_err(failed("creating", &path))?;
        let lock = lock_directory(&path)?;
        format::check_or_create(&path, partitions)?;
        Ok(Self { path, partitions, lock })
    }

    /// Opens it.
    pub fn open(self, options: DataDirOptions) -> Result<DataDir, OpenError> {
        let Self { path, partitions, lock } = self;
        for folder in [LOG_FOLDER, BLOB_FOLDER] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(failed("creating", &folder))?;
        }
        sync_folder(&path)?;
        let log = open_log(&path.join(LOG_FOLDER), &lock, &options)?;
        let blob: Arc<dyn Blob> = Arc::new(FileBlob::new(Arc::new(RealDisk::locked(path.join(BLOB_FOLDER), &lock))));
        let opened = recovery::open_state(&path, partitions, &options, &log, &*blob)?;
        let last_copy = Mutex::new(opened.last_copy);
        Ok(DataDir { path, log, state: opened.state, blob, recovery: opened.recovery, options, last_copy })
    }
}

impl DataDir {
    /// Opens or makes a data directory with the default options.
    pub fn open(path: impl AsRef<Path>, partitions: u16) -> Result<Self, OpenError> {
        Self::open_with(path, partitions, DataDirOptions::default())
    }

    /// Opens or makes a data directory.
    pub fn open_with(path: impl AsRef<Path>, partitions: u16, options: DataDirOptions) -> Result<Self, OpenError> {
        Claim::take(path, partitions)?.open(options)
    }

    /// The log of all partitions.
    #[must_use]
    pub fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.log) as Arc<dyn Log>
    }

    /// The state of all partitions.
    #[must_use]
    pub fn state(&self) -> Arc<dyn State> {
        Arc::clone(&self.state)
    }

    /// The blobs.
    #[must_use]
    pub fn blob(&self) -> Arc<dyn Blob> {
        Arc::clone(&self.blob)
    }

    /// What opening found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the state be rebuilt at the next start: for a state that opens but turns out to be damaged when read.
    pub fn condemn_state(&self) -> Result<(), OpenError> {
        let marker = self.path.join(REBUILD_FILE);
        File::create(&marker).and_then(|file| file.sync_all()).map_err(failed("creating", &marker))?;
        sync_folder(&self.path)
    }

    /// Closes the log and syncs the state, so that the next start replays nothing that was applied.
    pub fn close(&self) -> Result<(), CloseError> {
        self.log.close()?;
        self.state.checkpoint()?;
        Ok(())
    }
}

/// What can go wrong when a data directory is closed. Nothing acknowledged is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// The log had failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The state could not be synced; it will be further behind at the next start.
    #[error(transparent)]
    State(#[from] StateError),
}

fn open_log(folder: &Path, lock: &Arc<File>, options: &DataDirOptions) -> Result<Arc<FileLog>, OpenError> {
    let disk = Arc::new(RealDisk::locked(folder.to_path_buf(), lock));
    let log = FileLog::open(disk, options.log.clone())
        .map_err(|source| OpenError::Log { path: folder.to_path_buf(), source })?;
    Ok(Arc::new(log))
}

/// Takes the lock that keeps a second server out, and leaves our process id in it for the message there.
fn lock_directory(path: &Path) -> Result<Arc<File>, OpenError> {
    let lock_path = path.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).open(&lock_path);
    let mut file = opened.map_err(failed("opening", &lock_path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse { path: path.to_path_buf(), by: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(failed("locking", &lock_path)(error)),
    }
    let marked = file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
    marked.map_err(failed("writing", &lock_path))?;
    Ok(Arc::new(file))
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => format!(" (process {text})"),
        _ => String::new(),
    }
}

fn sync_folder(path: &Path) -> Result<(), OpenError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(failed("syncing", path))
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_path_buf();
    move |error| OpenError::Io { operation, path: path.clone(), message: error.to_string() }
}
