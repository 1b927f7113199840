//! Every bound of this crate, with what happens when it is reached. What a user may set is in [`crate::NodeConfig`].

use std::time::Duration;

/// Requests of clients that wait for the driver; beyond, a request is answered `unavailable` at once. The other
/// producers of the driver's queue are bounded by what they answer: workers by their runs in flight, the log and the
/// state writer by one message each.
pub const REQUESTS_QUEUED_MAX: usize = 16 * 1024;

/// Inputs that the driver handles before it appends their records and flushes what they cause.
pub const ROUND_INPUTS_MAX: usize = 2048;

/// Bytes of records that end a round early: the log takes them in one batch.
pub const ROUND_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Items that a turn of a partition keeps room for.
pub const TURN_ROOM_MAX: usize = 256;

/// Memory for state unless [`crate::NodeConfig::memory`] says otherwise.
pub const MEMORY_DEFAULT: u64 = 1024 * 1024 * 1024;

/// With less, the node does not start: what waits for the state comes in portions of [`STATE_DELAY_BYTES`].
pub const MEMORY_MIN: u64 = 64 * 1024 * 1024;

/// Writes that a partition of the state keeps before they go into a table, at least: with many partitions these may exceed
/// their part of the memory.
pub const STATE_MEMTABLE_BYTES_MIN: u64 = 256 * 1024;

/// Steps that a worker has been sent and has not ended; further ones wait in the driver, where admission bounds them. Who
/// follows a step goes with it, so it may be exceeded by [`engine::Config::ahead_max`].
pub const RUNS_IN_FLIGHT_MAX: usize = 64;

/// Ends of steps that leave a thread together: the driver goes on with them while further steps run. (A process: 32.)
pub const ENDS_TOGETHER_MAX: usize = 16;

/// So long a worker may be expected to take for what it has been sent, and still gets more while others have nothing to do.
pub const EXPECTED_WAIT_MAX: Duration = Duration::from_millis(1);

/// Runs that take longer go to whoever has the fewest: a frame of its own costs little beside them.
pub const SHORT_RUN_MAX: Duration = Duration::from_micros(100);

/// A worker that has said nothing for so long while it had something to do gets nothing more while others have less.
pub const SILENT_MAX: Duration = Duration::from_millis(3);

/// Bytes of messages, about, that whoever has them to say sends to a worker process at once; longer ones are encoded and
/// written by a thread of the process, so that they delay nothing else.
pub const SENT_AT_ONCE_MAX: usize = 32 * 1024;

/// Suspended coroutines that workers keep unless [`crate::NodeConfig::coroutines_max`] says otherwise: in Python some 3 KiB
/// each, and what they refer to.
pub const COROUTINES_MAX_DEFAULT: usize = 100_000;

/// Coroutines that are gone and still named in the order of those that are there.
pub const SUSPENDED_GONE_MAX: usize = 1024;

/// Bytes of cells that a step in Rust was shipped which are kept, in case another one comes to follow it.
pub const SHIPPED_BYTES_KEPT_MAX: usize = 4 * 1024;

/// For how long steps on a worker may follow each other since the last of them came, as others wait behind them; further
/// ones are dropped and come again.
pub const FOLLOWED_FOR_MAX: Duration = Duration::from_millis(5);

/// Tasks that a task worker runs at once; further ones wait in the driver, in order.
pub const TASKS_PER_WORKER_MAX: usize = 64;

/// Threads that run tasks of Rust services, one at a time each; further tasks wait in the driver, in order.
pub const TASK_THREADS_MAX: usize = 64;

/// Threads in tasks of Rust services that were given up and have not returned; with so many no further one is started,
/// so tasks may have to wait until some have returned.
pub const TASK_THREADS_LOST_MAX: usize = 64;

/// A thread of a task that goes on for longer with who waits for it is given up, and a worker runs that step.
pub const GOES_ON_FOR_MAX: Duration = Duration::from_millis(250);

/// Bytes of what one try of a task in Rust prints that are shown.
pub const TASK_OUTPUT_BYTES_MAX: u64 = 64 * 1024;

/// Pause before a task worker is started again after one could not be started.
pub const TASK_LAUNCH_WAIT: Duration = Duration::from_secs(1);

/// A cancelled task that has not ended by then is ended with its process.
pub const TASK_STOP_WAIT: Duration = Duration::from_secs(5);

/// At most so long after a task was sent, its time limit begins to run.
pub const TASK_SENT_WAIT: Duration = Duration::from_millis(10);

/// What the worker gets on top of an `async def` task's time limit to end it by itself.
pub const TASK_GRACE: Duration = Duration::from_secs(1);

/// A task that has lost its process to others' time limits this often runs alone.
pub const TASK_DISPLACED_MAX: u32 = 2;

/// A task whose process has died this often while nothing else ran there fails with `TaskLost`.
pub const TASK_DEATHS_MAX: u32 = 3;

/// Workers that may die one after the other before any of them has loaded the application; then the node does not
/// start (later: goes on trying, with [`WORKER_BACKOFF_MAX`] between).
pub const WORKER_STARTS_FAILED_MAX: u32 = 3;

/// Pause before a worker is started again after one has died while starting; doubles with each.
pub const WORKER_BACKOFF_MIN: Duration = Duration::from_millis(100);

/// Longest such pause.
pub const WORKER_BACKOFF_MAX: Duration = Duration::from_secs(10);

/// A worker that has not loaded the application by then is ended.
pub const WORKER_START_TIMEOUT: Duration = Duration::from_secs(60);

/// Threads of Rust services that may be in steps over their time limit, given up by the server; with one more the node
/// ends. It is more than twice the strikes after which a method is parked, so each life of a process parks some.
pub const THREADS_LOST_MAX: usize = 8;

/// Pace at which busy workers are looked at: step time limit, processes that ended without closing their socket.
pub const WORKER_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// A process whose socket is closed gets this long to end by itself, so that its exit status says why.
pub const WORKER_EXIT_WAIT: Duration = Duration::from_secs(2);

/// Bytes of a worker's raw output that are kept to explain its death while starting.
pub const WORKER_OUTPUT_TAIL_BYTES: usize = 8 * 1024;

/// A value of a cell of at least so many bytes stays in the worker that it was sent to, or that wrote it, and is named when
/// it is sent there again: below it a name saves nothing.
pub const RESIDENT_BYTES_MIN: usize = 1024;

/// Bytes of such values in one worker, and as many in the server for each worker; the objects that the worker has decoded of
/// them take about ten times as much. The ones that were not used for the longest time go first.
pub const RESIDENT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Longest line of a worker's raw output; a longer one is shown in pieces.
pub const WORKER_OUTPUT_LINE_BYTES: usize = 16 * 1024;

/// At shutdown running steps get this long to end; what has not ended is run again after the next start.
pub const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// Rows of a page of invocations.
pub const PAGE_ROWS_MAX: usize = 1000;

/// Rows of finished invocations that one page may look at; beyond, the page ends early with a cursor.
pub const PAGE_SCAN_ROWS_MAX: usize = 20_000;

/// Durable rows wait so long to be written to the state together: of a row that changes often only its newest version is
/// written, and of what comes and goes with an invocation only that it is gone. Recovery reads that much more of the log.
pub const STATE_DELAY: Duration = Duration::from_millis(100);

/// Bytes of durable rows that end this wait early.
pub const STATE_DELAY_BYTES: usize = 8 * 1024 * 1024;

/// Writes of one batch while recovery writes replayed rows to the state.
pub const REPLAY_BATCH_WRITES: usize = 4096;

/// Pause before an append is tried again that the log could not take, unless the watermark moves before.
pub const APPEND_RETRY: Duration = Duration::from_millis(50);

/// Longest sleep of the driver when nothing is to do.
pub const IDLE_WAIT: Duration = Duration::from_secs(1);

/// Time between two rounds of maintenance (checkpoint, trim) while there is something to maintain.
pub const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);

/// Bytes of records after which maintenance does not wait for its interval.
pub const MAINTENANCE_BYTES: u64 = 64 * 1024 * 1024;

/// Records after which it does not either: after `kill -9` those since the last checkpoint are replayed, at some
/// 5 µs each.
pub const MAINTENANCE_RECORDS: u64 = 100_000;

/// Free bytes on the data directory's disk below which new work is refused (`disk_full`): what is under way can still
/// be written to the state then, which unlike the log does not have its space allocated ahead.
pub const DISK_FREE_MIN: u64 = 32 * 1024 * 1024;
