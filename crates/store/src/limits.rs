//! Every bound of this crate, with what happens when it is reached. Not configuration: what a user may set is an
//! option of the type it belongs to, with one of these as its default.

use std::time::Duration;

/// Longest record of a log, in bytes. A longer one is refused by `append` (`LogError::RecordTooLarge`).
pub const RECORD_BYTES_MAX: usize = 512 * 1024;

/// Bytes queued for the committer, records and their framing. At the bound `append` does not block: it returns
/// `LogError::Full`, queues nothing and takes no position; the caller tries again when the watermark has moved.
/// The space that is allocated ahead is a bound of its own, which answers alike: with default segments this one is lower.
pub const QUEUE_BYTES_MAX: usize = 24 * 1024 * 1024;

/// Records queued for the committer; the same answer as for [`QUEUE_BYTES_MAX`].
pub const QUEUE_RECORDS_MAX: usize = 1 << 20;

/// Payload of one batch, so of one write and one sync. What is queued beyond it goes into the next batch.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Size of a log segment unless the options say otherwise.
pub const SEGMENT_BYTES_DEFAULT: u64 = 16 * 1024 * 1024;

/// Smallest segment that the options may ask for.
pub const SEGMENT_BYTES_MIN: u64 = 4 * 1024;

/// Largest segment: recovery reads one whole segment into memory.
pub const SEGMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Empty segments kept ready. With fewer than one, `has_room` is false and admission stops.
pub const SEGMENTS_AHEAD: usize = 2;

/// Recycled segments kept ready at most; what a trim frees beyond it is given back to the file system.
pub const SEGMENTS_AHEAD_MAX: usize = 20;

/// Bytes of zeros written at a time when a segment is made.
pub const ZERO_CHUNK_BYTES: usize = 1024 * 1024;

/// After this long without a new record an empty batch covers the last acknowledged one; a failed allocation is
/// tried again at the same pace.
pub const IDLE_COVER: Duration = Duration::from_secs(1);

/// Longest key of a state entry.
pub const STATE_KEY_BYTES_MAX: usize = 60 * 1024;

/// Longest name of a blob; also after escaping it has to fit into a file name.
pub const BLOB_NAME_BYTES_MAX: usize = 200;

/// Chunk of a full copy: a chunk is closed when it has grown to this size. Each is synced by itself, and the log's sync may
/// wait for that.
pub const COPY_CHUNK_BYTES: usize = 2 * 1024 * 1024;

/// Log written since the last full copy before the next one, unless the state is larger.
pub const COPY_LOG_BYTES: u64 = 256 * 1024 * 1024;

/// Writes of one batch while the state is rebuilt from a full copy.
pub const REBUILD_BATCH_WRITES: usize = 4096;

/// A table of the state: as many writes of one partition go into a new one, and merging makes such again. A table is
/// synced when it is whole, and the log's sync waits for that: larger ones are merged less often, but hold up replies on a
/// slow disk.
pub const STATE_TABLE_BYTES: u64 = 2 * 1024 * 1024;

/// Memtables of one partition that wait to become tables; with more, writes wait.
pub const STATE_MEMTABLES_MAX: usize = 3;

/// Tables of one partition that overlap each other; with more, writes wait until they are merged.
pub const STATE_NEW_TABLES_MAX: usize = 24;

/// How often whoever waits for a table looks whether it is there.
pub const STATE_POLL: Duration = Duration::from_millis(1);

/// The state store's own journals, which only hold what earlier versions wrote.
pub const STATE_JOURNAL_BYTES: u64 = 128 * 1024 * 1024;

/// Cache of the state store unless the options say otherwise.
pub const STATE_CACHE_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
