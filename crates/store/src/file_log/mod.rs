//! The log in files: zero-filled segments that are recycled, one committer thread with group commit for all partitions.
//!
//! `append` only queues; the committer takes everything queued, writes it as one batch, syncs once and moves the
//! watermark. The parts: `batch` and `meta` are the bytes, `segments` the files, `recover` opens them, `read`
//! reads ranges, `committer` and `allocator` are the two threads, `queue` is what they share with the callers; `stepped` is a log
//! without threads, whose owner decides when the two do something.
//! Assumed of the disk: a sync that returns success is true, and writing a sector leaves either its old or its new
//! bytes.

mod allocator;
pub(crate) mod batch;
mod committer;
mod meta;
mod queue;
mod read;
mod recover;
mod segments;
mod stepped;

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use self::{
    committer::Committer,
    meta::{META_FILE, Meta},
    queue::Queue,
    recover::Recovered,
    segments::{Files, Segment},
};
use crate::{
    disk::Disk,
    limits,
    log::{DurableCallback, Log, LogError, LogIter, LogLimits, LogRecord, LogStats, Lsn},
    planted::{self, Bug},
    sync::{Mutex, MutexGuard, thread},
};

pub use self::stepped::Did;

/// When the next segments are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocate {
    /// In a thread of their own.
    Background,
    /// By the committer, between commits: every run does the same operations in the same order. For tests.
    Inline,
}

/// What may be chosen for a file log.
#[derive(Debug, Clone)]
pub struct FileLogOptions {
    /// Size of a segment; fixed when the log is made, later ignored.
    pub segment_bytes: u64,
    /// When the next segments are made.
    pub allocate: Allocate,
    /// After this long without a record an empty batch covers the last one.
    pub idle_cover: Duration,
    /// Identity of a new log; drawn if `None`.
    pub log_id: Option<u64>,
}

impl Default for FileLogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: limits::SEGMENT_BYTES_DEFAULT,
            allocate: Allocate::Background,
            idle_cover: limits::IDLE_COVER,
            log_id: None,
        }
    }
}

/// A log in the files of one directory.
pub struct FileLog {
    shared: Arc<Shared>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    /// The committer of a log without threads.
    stepped: Mutex<Option<Committer>>,
}

/// What callers, committer and allocator share.
struct Shared {
    disk: Arc<dyn Disk>,
    options: FileLogOptions,
    log_id: u64,
    segment_bytes: u64,
    queue: Queue,
    files: Mutex<Files>,
    meta: Mutex<Meta>,
    callbacks: Mutex<Vec<DurableCallback>>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    batches: AtomicU64,
    syncs: AtomicU64,
    bytes: AtomicU64,
    records: AtomicU64,
}

/// Locks a mutex. A thread that panicked while holding it had broken no invariant: all updates are single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FileLog {
    /// Opens the log of a directory, or makes a new one in an empty directory.
    ///
    /// Everything that was read back is durable when this returns. The caller makes sure that nobody else uses the
    /// directory.
    pub fn open(disk: Arc<dyn Disk>, options: FileLogOptions) -> Result<Self, LogError> {
        let meta = load_or_create(&*disk, &options)?;
        let recovered = recover::recover(&*disk, &meta)?;
        Self::start(disk, options, meta, recovered)
    }

    /// The last record of a partition that is still in the log, queued ones included; 0 if there is none.
    #[must_use]
    pub fn last_of(&self, partition: u16) -> Lsn {
        self.shared.queue.last_of(partition)
    }

    /// Bytes of the segments that hold records after `position`; an upper bound of the log written since.
    #[must_use]
    pub fn bytes_after(&self, position: Lsn) -> u64 {
        let files = lock(&self.shared.files);
        let before = files.live.iter().skip(1).filter(|segment| segment.first <= position + 1).count();
        (files.live.len() - before) as u64 * self.shared.segment_bytes
    }

    fn start(disk: Arc<dyn Disk>, options: FileLogOptions, meta: Meta, recovered: Recovered) -> Result<Self, LogError> {
        let (shared, committer) = assemble(disk, options, meta, recovered);
        let threads = Mutex::new(spawn(&shared, committer)?);
        Ok(Self { shared, threads, stepped: Mutex::new(None) })
    }

    /// Ends the threads; `Err` if the log has failed.
    fn join(&self) -> Result<(), LogError> {
        self.shared.queue.close();
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            // A panic of the thread has been reported by the panic hook; the watermark simply does not move any more.
            let _ = thread.join();
        }
        self.shared.queue.failure().map_or(Ok(()), Err)
    }

    fn segments_of(&self, from: Lsn, upto: Lsn) -> Result<VecDeque<Arc<Segment>>, LogError> {
        let files = lock(&self.shared.files);
        let first = files.live.front().expect("a log has a current segment").first;
        if from < first {
            return Err(LogError::Trimmed { from, first });
        }
        let begin = files.live.iter().rposition(|segment| segment.first <= from).unwrap_or_default();
        Ok(files.live.iter().skip(begin).take_while(|segment| segment.first <= upto).map(Arc::clone).collect())
    }
}

impl Drop for FileLog {
    fn drop(&mut self) {
        // The error has been reported to the callbacks.
        let _ = self.join();
    }
}

impl Log for FileLog {
    fn append(&self, epoch: u64, expected: Lsn, records: &mut Vec<LogRecord>) -> Result<(), LogError> {
        self.shared.queue.push(epoch, expected, records)
    }

    fn durable(&self) -> Lsn {
        self.shared.queue.durable()
    }

    fn on_durable(&self, mut callback: DurableCallback) {
        let mut callbacks = lock(&self.shared.callbacks);
        match self.shared.queue.failure() {
            Some(failure) => callback(Err(failure)),
            None => callbacks.push(callback),
        }
    }

    fn seal(&self, new_epoch: u64) -> Result<Lsn, LogError> {
        let tail = self.shared.queue.begin_seal(new_epoch)?;
        let mut meta = lock(&self.shared.meta);
        let sealed = Meta { epoch: new_epoch, ..meta.clone() };
        if let Err(error) = sealed.store(&*self.shared.disk) {
            // Which epoch the disk holds is not known any more.
            let failure = error.into_failure();
            self.shared.fail(failure.clone());
            return Err(failure);
        }
        *meta = sealed;
        self.shared.queue.end_seal(new_epoch);
        Ok(tail)
    }

    fn confirm(&self) -> Result<(), LogError> {
        // The owner of the directory holds its lock for as long as the log is open.
        self.shared.queue.failure().map_or(Ok(()), Err)
    }

    fn tail(&self) -> Lsn {
        self.shared.queue.tail()
    }

    fn epoch(&self) -> u64 {
        self.shared.queue.epoch()
    }

    fn first(&self) -> Lsn {
        lock(&self.shared.files).live.front().expect("a log has a current segment").first
    }

    fn read(&self, from: Lsn, upto: Lsn) -> Result<LogIter<'_>, LogError> {
        let upto = upto.min(self.durable());
        let from = from.max(1);
        let segments = self.segments_of(from, upto)?;
        Ok(Box::new(read::Reader::new(self.shared.log_id, self.shared.segment_bytes, segments, from, upto)))
    }

    fn trim(&self, below: Lsn) -> Result<(), LogError> {
        // Only durable records can be given up: the segments of later ones are still being written.
        let ahead = planted::is(Bug::TrimAhead);
        let below = if ahead { self.durable() + 1 } else { below.min(self.durable() + 1) };
        let mut meta = lock(&self.shared.meta);
        let Some(start) = self.shared.start_after_trim(below) else { return Ok(()) };
        let trimmed = Meta {
            start_generation: start.generation,
            start_position: start.first,
            start_sequence: start.sequence,
            ..meta.clone()
        };
        // First the start, then the files: a crash in between leaves files that are known to be of no use.
        trimmed.store(&*self.shared.disk)?;
        *meta = trimmed;
        self.shared.retire_before(start.generation)
    }

    fn limits(&self) -> LogLimits {
        LogLimits {
            record_bytes_max: self.shared.queue.record_bytes_max(),
            queue_bytes_max: self.shared.queue.queue_bytes_max(),
            shares_sync: true,
        }
    }

    fn stats(&self) -> LogStats {
        let counters = &self.shared.counters;
        let files = lock(&self.shared.files);
        LogStats {
            batches: counters.batches.load(Ordering::Relaxed),
            syncs: counters.syncs.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
            records: counters.records.load(Ordering::Relaxed),
            segments: files.live.len(),
            segments_ahead: files.ahead.len(),
            space: self.shared.queue.space(),
        }
    }

    fn has_room(&self) -> bool {
        self.shared.queue.has_room()
    }

    fn close(&self) -> Result<(), LogError> {
        self.finish_steps();
        self.join()
    }
}

impl Shared {
    /// Ends the log: nothing more becomes durable, everyone is told once.
    fn fail(&self, failure: LogError) {
        let mut callbacks = lock(&self.callbacks);
        if self.queue.fail(failure.clone()) {
            for mut callback in callbacks.drain(..) {
                callback(Err(failure.clone()));
            }
        }
    }

    /// The first segment that has to stay; `None` if nothing can go.
    fn start_after_trim(&self, below: Lsn) -> Option<Arc<Segment>> {
        let files = lock(&self.files);
        let last = files.live.iter().rposition(|segment| segment.first <= below)?;
        (last > 0).then(|| Arc::clone(&files.live[last]))
    }

    fn retire_before(&self, generation: u64) -> Result<(), LogError> {
        let mut files = lock(&self.files);
        let mut result = Ok(());
        while files.live.front().is_some_and(|segment| segment.generation < generation) {
            let segment = files.live.pop_front().expect("checked by the loop");
            let shared = Arc::strong_count(&segment) > 1;
            let retired = files.retire(&*self.disk, segment.generation, Arc::clone(&segment.file), shared);
            result = result.and(retired);
        }
        self.queue.set_ahead(files.ahead.len());
        result
    }
}

fn assemble(
    disk: Arc<dyn Disk>,
    options: FileLogOptions,
    meta: Meta,
    recovered: Recovered,
) -> (Arc<Shared>, Committer) {
    let Recovered { files, cursor, offset, last_of } = recovered;
    let current = Arc::clone(files.live.back().expect("a log has a current segment"));
    let queue = Queue::new(&meta, cursor, offset, files.ahead.len(), last_of, options.allocate);
    let shared = Arc::new(Shared {
        disk,
        log_id: meta.log_id,
        segment_bytes: meta.segment_bytes,
        queue,
        files: Mutex::new(files),
        meta: Mutex::new(meta),
        callbacks: Mutex::default(),
        counters: Counters::default(),
        options,
    });
    let committer = Committer::new(Arc::clone(&shared), current, offset, cursor);
    (shared, committer)
}

fn spawn(shared: &Arc<Shared>, mut committer: Committer) -> Result<Vec<thread::JoinHandle<()>>, LogError> {
    let mut threads = Vec::new();
    let spawned = thread::Builder::new().name("log-commit".to_owned()).spawn(move || committer.run_guarded());
    threads.push(spawned.map_err(|error| LogError::io("starting the committer", "log", &error))?);
    if shared.options.allocate == Allocate::Background {
        let shared = Arc::clone(shared);
        let spawned =
            thread::Builder::new().name("log-allocate".to_owned()).spawn(move || allocator::run_guarded(&shared));
        threads.push(spawned.map_err(|error| LogError::io("starting the allocator", "log", &error))?);
    }
    Ok(threads)
}

fn load_or_create(disk: &dyn Disk, options: &FileLogOptions) -> Result<Meta, LogError> {
    let names = disk.list().map_err(|error| LogError::io("listing", "log", &error))?;
    if names.iter().any(|name| name == META_FILE) {
        return Meta::load(disk);
    }
    if let Some(segment) = recover::any_content(disk)? {
        let detail = format!("the file is missing although {segment} has content");
        return Err(LogError::Damaged { file: META_FILE.to_owned(), offset: 0, detail });
    }
    create(disk, options)
}

/// Makes the first segment, and `meta` last: without it the rest is known to be an unfinished beginning.
fn create(disk: &dyn Disk, options: &FileLogOptions) -> Result<Meta, LogError> {
    for name in recover::segment_names(disk)?.into_values() {
        disk.remove(&name).map_err(|error| LogError::io("removing", &name, &error))?;
    }
    let segment_bytes = options
        .segment_bytes
        .clamp(limits::SEGMENT_BYTES_MIN, limits::SEGMENT_BYTES_MAX)
        .next_multiple_of(limits::SEGMENT_BYTES_MIN);
    let file = segments::make_zeroed(disk, segment_bytes)?;
    let mut files = Files { live: VecDeque::new(), ahead: VecDeque::new(), generation_next: 1, broken: false };
    files.adopt(disk, segments::SCRATCH_FILE, file)?;
    let meta = Meta {
        log_id: options.log_id.unwrap_or_else(|| RandomState::new().hash_one(std::process::id())),
        segment_bytes,
        epoch: 0,
        start_generation: 1,
        start_position: 1,
        start_sequence: 1,
    };
    meta.store(disk)?;
    Ok(meta)
}

/// The last positions of the partitions, as recovery hands them to the queue.
type LastOf = HashMap<u16, Lsn>;
