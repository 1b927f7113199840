//! Every backend against the conformance suite.

use std::{path::PathBuf, sync::Arc};

use store::{
    Blob, DataDir, DataDirOptions, Log, State, StateMemory,
    conformance::{self, log::LogHarness, state::StateHarness},
    disk::{Disk, RealDisk},
    faulty::{FaultyDisk, Survivors},
    file_blob::FileBlob,
    file_log::{Allocate, FileLog, FileLogOptions},
    memory::{MemoryBlob, MemoryLog, MemoryState, Watermark},
};

fn options(allocate: Allocate) -> FileLogOptions {
    FileLogOptions { segment_bytes: 16 * 1024, allocate, ..FileLogOptions::default() }
}

struct Files {
    folder: tempfile::TempDir,
    allocate: Allocate,
}

impl LogHarness for Files {
    fn open(&mut self) -> Arc<dyn Log> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(self.folder.path().to_path_buf()));
        Arc::new(FileLog::open(disk, options(self.allocate)).unwrap())
    }

    fn reopen_after_crash(&mut self, vanished: Arc<dyn Log>) -> Arc<dyn Log> {
        // Files as they are now, in a place where the old owner cannot write.
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let entry = entry.unwrap();
            // A segment under construction may get its name, or go, while we look.
            drop(std::fs::copy(entry.path(), copy.path().join(entry.file_name())));
        }
        drop(vanished);
        self.folder = copy;
        self.open()
    }
}

struct Simulated {
    disk: FaultyDisk,
}

impl LogHarness for Simulated {
    fn open(&mut self) -> Arc<dyn Log> {
        Arc::new(FileLog::open(Arc::new(self.disk.clone()), options(Allocate::Background)).unwrap())
    }

    fn reopen_after_crash(&mut self, vanished: Arc<dyn Log>) -> Arc<dyn Log> {
        self.disk = self.disk.crash(Survivors::None);
        drop(vanished);
        self.open()
    }
}

struct Memory {
    log: Option<Arc<MemoryLog>>,
    watermark: Watermark,
}

impl LogHarness for Memory {
    fn open(&mut self) -> Arc<dyn Log> {
        let log = match self.log.take() {
            Some(log) => log.crash(0),
            None => MemoryLog::new(self.watermark),
        };
        let log = Arc::new(log);
        self.log = Some(Arc::clone(&log));
        log
    }

    fn reopen_after_crash(&mut self, _vanished: Arc<dyn Log>) -> Arc<dyn Log> {
        self.open()
    }

    fn settle(&mut self, log: &dyn Log) {
        if let Some(memory) = &self.log {
            memory.advance(log.tail());
        }
    }
}

#[test]
fn log_in_files() {
    for allocate in [Allocate::Background, Allocate::Inline] {
        conformance::log::all(|| Files { folder: tempfile::tempdir().unwrap(), allocate });
    }
}

#[test]
fn log_on_a_simulated_disk() {
    conformance::log::all(|| Simulated { disk: FaultyDisk::new() });
}

#[test]
fn log_in_memory() {
    for watermark in [Watermark::Immediate, Watermark::Manual] {
        conformance::log::all(|| Memory { log: None, watermark });
    }
}

struct Fjall {
    folder: tempfile::TempDir,
}

impl Fjall {
    fn dir(&self) -> DataDir {
        let state = StateMemory { cache_bytes: 1 << 20, ..StateMemory::default() };
        let options = DataDirOptions { log: options(Allocate::Inline), state, ..DataDirOptions::default() };
        DataDir::open_with(self.folder.path(), conformance::state::PARTITIONS, options).unwrap()
    }
}

impl StateHarness for Fjall {
    fn open(&mut self) -> Arc<dyn State> {
        let dir = self.dir();
        // Positions of the suite have to be in the log: a state ahead of its log does not open.
        let log = dir.log();
        if log.tail() == 0 {
            conformance::log::append(
                &mut Files { folder: tempfile::tempdir().unwrap(), allocate: Allocate::Inline },
                &*log,
                1,
                300,
            );
        }
        dir.state()
    }

    fn reopen_after_crash(&mut self, vanished: Arc<dyn State>) -> Arc<dyn State> {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path().to_path_buf(), copy.path().to_path_buf());
        drop(vanished);
        self.folder = copy;
        self.open()
    }
}

fn copy_folder(from: PathBuf, to: PathBuf) {
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(entry.path(), target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn state_in_fjall() {
    conformance::state::all(|| Fjall { folder: tempfile::tempdir().unwrap() });
}

struct MemoryStates {
    state: Option<Arc<MemoryState>>,
}

impl StateHarness for MemoryStates {
    fn open(&mut self) -> Arc<dyn State> {
        let state = match self.state.take() {
            Some(state) => state.crash(),
            None => MemoryState::new(conformance::state::PARTITIONS),
        };
        let state = Arc::new(state);
        self.state = Some(Arc::clone(&state));
        state
    }

    fn reopen_after_crash(&mut self, _vanished: Arc<dyn State>) -> Arc<dyn State> {
        self.open()
    }
}

#[test]
fn state_in_memory() {
    conformance::state::all(|| MemoryStates { state: None });
}

#[test]
fn blobs() {
    conformance::blob::all(|| Arc::new(MemoryBlob::new()) as Arc<dyn Blob>);
    conformance::blob::all(|| Arc::new(FileBlob::new(Arc::new(FaultyDisk::new()))));
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut next = folders.iter();
    conformance::blob::all(|| {
        Arc::new(FileBlob::new(Arc::new(RealDisk::new(next.next().unwrap().path().to_path_buf()))))
    });
}
