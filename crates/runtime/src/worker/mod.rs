//! Workers: CPython processes, and threads of this one, that run user code.
//!
//! - [`package`] writes the embedded Python package to where workers find it.
//! - [`template`] is the process that the others are forked from.
//! - [`process`] starts one process and speaks with it: a socket pair, a thread that reads, one that writes what [`outbox`]
//!   could not send at once.
//! - [`strike`] reads which run a dead worker was in.
//! - [`tasks`] decides which task worker runs which task.
//! - [`native`] runs services of this process in threads, [`native_tasks`] its tasks and, ahead, what goes on with them.
//! - [`pools`] and [`task_pools`] are the pools of all languages; [`pace`] tells both how soon a worker will be done.
//! - [`pool`] decides which worker runs what, and what a death means. It is the driver's and does no input or output
//!   itself, except through [`Link`].
//!
//! Nothing here knows what a step does.

pub(crate) mod native;
pub(crate) mod native_tasks;
mod outbox;
mod pace;
pub(crate) mod package;
#[cfg(test)]
mod played;
pub(crate) mod pool;
pub(crate) mod pools;
pub(crate) mod process;
pub(crate) mod strike;
pub(crate) mod task_pools;
pub(crate) mod tasks;
pub(crate) mod template;

use std::fmt;

use protocol::worker::{Delivered, FromWorker, StepEnd, ToWorker};
use protocol::{InvocationId, RunNumber};

/// Number of a worker process of this node, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u64);

/// What a worker's threads report.
#[derive(Debug)]
pub enum WorkerEvent {
    /// Messages of one frame.
    Said(WorkerId, Vec<FromWorker>),
    /// The same of a task worker, which has gone on with the invocation that waits for what it says.
    WentOn(Box<WentOn>, WorkerId, Vec<FromWorker>),
    /// The process has ended; nothing more comes from it.
    Gone(WorkerId, Death),
}

/// A step of a suspended invocation that ran before it was asked for, in the thread of the task that it waited for. Whoever
/// drops it rejects it: then nobody has the invocation in hand any more.
pub struct WentOn {
    /// Whose step it is.
    pub invocation: InvocationId,
    /// The run that had suspended it.
    pub after: RunNumber,
    /// What was handed to it. It was shipped nothing, and did not look at the clock.
    pub delivered: Delivered,
    /// It waits again.
    pub suspended: bool,
    /// Takes it over as this run: what it did. If the invocation waits again, its worker has it again.
    pub accept: Box<dyn FnOnce(RunNumber) -> Box<StepEnd> + Send>,
}

impl fmt::Debug for WentOn {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:?} after {:?} with {:?}", self.invocation, self.after, self.delivered)
    }
}

/// How a process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Death {
    /// `was killed by signal 9`, `exited with status 3`.
    pub cause: String,
    /// The end of its raw output.
    pub output: String,
    /// The strike word: the run that it was in, as numbered by the node; 0 for none, `None` if it cannot be read.
    pub word: Option<u64>,
}

/// A worker as the pool holds it. Dropping it closes its connection, upon which it ends by itself.
pub trait Link: Send + Sync {
    /// Queues messages; they travel in one frame with whatever else is ready.
    fn send(&self, messages: Vec<ToWorker>);
    /// The same, and another worker of the same pool is sent something right after this, so nobody need be woken yet.
    fn send_with_others(&self, messages: Vec<ToWorker>) {
        self.send(messages);
    }
    /// The strike word now.
    fn word(&self) -> Option<u64>;
    /// Ends the process at once; [`WorkerEvent::Gone`] follows, and names this reason.
    fn kill(&self, reason: &str);
    /// Notices a process that ended although its socket is still held open by somebody.
    fn check(&self);
}

/// Starts workers.
pub trait Launch: Send {
    /// Starts one. It reports `Ready` when it has loaded the application.
    fn launch(&mut self, worker: WorkerId) -> std::io::Result<Box<dyn Link>>;
}
