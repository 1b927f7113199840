//! Bounds of one partition, and what happens at each.

/// Strikes of one method of one root after which it is parked.
pub(crate) const STRIKES_MAX: u32 = 3;
/// Steps in one journal; beyond, the invocation is parked with advice.
pub(crate) const JOURNAL_STEPS_MAX: usize = 1_000_000;
/// Dead attempts remembered, so that late messages of theirs are refused; the oldest is forgotten first.
pub(crate) const DEAD_ATTEMPTS_MAX: usize = 65_536;
/// Own messages known to be logged elsewhere that wait for a record to ride on; beyond, a record of their own is made.
pub(crate) const ACKNOWLEDGED_MAX: usize = 1_024;
/// For how long they may wait, in microseconds.
pub(crate) const ACKNOWLEDGE_DELAY: u64 = 1_000_000;
/// Bytes of cells kept in memory, unless [`crate::Config`] says otherwise; beyond, those that no step uses are dropped and
/// loaded again when needed.
pub(crate) const CELLS_BYTES_DEFAULT: usize = 64 * 1024 * 1024;
/// Cells that are looked at in one go to be dropped; the next input goes on.
pub(crate) const CELLS_TRIMMED_MAX: usize = 256;
/// Hops of a probe for circles of turns; a longer chain is not searched.
pub(crate) const PROBE_HOPS_MAX: u32 = 1_000;
/// Results forgotten per record.
pub(crate) const FORGET_BATCH_MAX: usize = 256;
/// Period of the retention sweep, in microseconds.
pub(crate) const FORGET_PERIOD: u64 = 1_000_000;
/// Tasks of one partition that the runtime is given at once; further ones wait here, in order.
pub(crate) const TASKS_IN_FLIGHT_MAX: usize = 1_000;
/// Elements of a list argument whose cells are foreseen; of a longer one none is, the step fetches what it needs.
pub(crate) const KEYS_FORESEEN_MAX: usize = 256;
/// Bytes of results that one step is handed; what is over goes to a step of its own, so that the record fits.
pub(crate) const DELIVERED_BYTES_MAX: usize = 96 * 1024;
/// Bytes of steps without record at which the next suspension makes one.
pub(crate) const UNLOGGED_BYTES_SOON: usize = 96 * 1024;
/// Invocations that are run ahead behind one step; further ones wait.
pub(crate) const AHEAD_MAX: usize = 63;
/// Bytes of their arguments; who is over them waits.
pub(crate) const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Calls, sends, tasks and sleeps that one step starts and its invocation waits for; beyond, it fails.
pub(crate) const OPERATIONS_MAX: usize = 10_000;
