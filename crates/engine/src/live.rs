//! An unfinished invocation as the scheduler sees it: where it stands, what it waits for, what it has learned. All of
//! it is volatile; a restart rebuilds it from [`crate::state`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::cell::{CellKey, CellRow};
use protocol::ids::{AttemptId, InvocationId, Micros, PartitionId, Position, RunNumber};
use protocol::message::LockMode;
use protocol::record::{Accepted, CellWrite, InvocationRow, JournalRow, Parked};
use protocol::worker::{Delivered, Outcome, StepEnd, TaskCall};

use crate::ahead::Ahead;
use crate::deployment::Cells;
use crate::io::Token;
use crate::sizes;

/// An unfinished invocation at its home.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(crate) row: Arc<InvocationRow>,
    pub(crate) cells: Cells,
    /// A record of it is logged.
    pub(crate) logged: bool,
    /// The message that brought it, to be taken in with its first record.
    pub(crate) source: Option<Accepted>,
    /// Runs inside a caller's transaction.
    pub(crate) inner: Option<Inner>,
    /// Finished steps; the first `journal_logged` are durable.
    pub(crate) journal: Vec<Arc<JournalRow>>,
    pub(crate) journal_logged: usize,
    /// Bytes of reads and results since the last record.
    pub(crate) unlogged_bytes: usize,
    /// Operations without result.
    pub(crate) pending: BTreeMap<String, Pending>,
    /// Results not yet delivered, in order of arrival.
    pub(crate) ready: Vec<Ready>,
    /// Messages whose content is in the journal but not yet in a record.
    pub(crate) consumed: Vec<Accepted>,
    /// Calls whose results were consumed but not yet logged.
    pub(crate) answered: Vec<InvocationId>,
    /// Of the last suspension; the positions in ascending order, each once.
    pub(crate) wait_all: bool,
    pub(crate) waits: Vec<String>,
    /// A worker holds its coroutine.
    pub(crate) resident: bool,
    pub(crate) phase: Phase,
    /// Since when it is in this phase.
    pub(crate) since: Micros,
    /// The transaction that it runs.
    pub(crate) transaction: Option<Transaction>,
    pub(crate) step: Option<Box<StepContext>>,
    /// A run of its first step ahead of its turn.
    pub(crate) ahead: Option<Box<Ahead>>,
    /// Cells that a run needed though they were not foreseen; for the next run of the same step.
    pub(crate) learned: BTreeMap<(PartitionId, CellKey), Want>,
    /// Clients that wait for the result.
    pub(crate) clients: Vec<Token>,
    /// It holds its entity's turn.
    pub(crate) turn: TurnState,
    pub(crate) cancel: Cancel,
    pub(crate) parked: Option<Parked>,
    /// Newest position among all versions read so far that no record of its own covers.
    pub(crate) newest: Position,
    /// Output of user code, shown when its step is durable.
    pub(crate) output: Vec<(u8, String)>,
    pub(crate) attempts: u64,
    pub(crate) clock: Micros,
    pub(crate) note: Option<String>,
    /// A joined part aborted.
    pub(crate) doom: Option<Vec<u8>>,
    /// Partitions on which its calls inside the transaction hold cells.
    pub(crate) participants: BTreeSet<PartitionId>,
}

impl Live {
    /// About what it takes without its journal, with all that the scheduler keeps of it: a sleeping one takes some 5 KiB in
    /// all (docs/growth.md).
    pub(crate) fn bytes(&self) -> usize {
        const OVERHEAD: usize = 4096;
        OVERHEAD + sizes::call(&self.row.call)
    }

    /// Does a worker hold its coroutine, or run a step of it?
    pub(crate) fn is_with_worker(&self) -> bool {
        self.resident || self.ahead.is_some() || self.step.as_ref().is_some_and(|step| step.run.is_some())
    }

    /// Waits for what this step waits for.
    pub(crate) fn await_what(&mut self, step: &JournalRow) {
        self.wait_all = step.wait_all;
        self.waits.clone_from(&step.waits);
        self.waits.sort_unstable();
        self.waits.dedup();
    }

    /// Is there what the coroutine waits for? Asked at each result, so it must not look at all of many: only when
    /// there are as many results as it waits for can they be all.
    pub(crate) fn has_enough(&self) -> bool {
        let is_awaited = |ready: &&Ready| self.waits.binary_search(&ready.delivered.position).is_ok();
        let raised = |ready: &&Ready| matches!(ready.delivered.result, Outcome::Exception(_));
        if !self.wait_all {
            return self.ready.iter().any(|ready| is_awaited(&ready));
        }
        if self.ready.iter().filter(raised).any(|ready| is_awaited(&ready)) {
            return true;
        }
        if self.ready.len() < self.waits.len() {
            return false;
        }
        let answered: BTreeSet<&str> =
            self.ready.iter().filter(is_awaited).map(|ready| ready.delivered.position.as_str()).collect();
        answered.len() == self.waits.len()
    }
}

/// Membership in a caller's transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inner {
    pub(crate) attempt: AttemptId,
    pub(crate) home: PartitionId,
    /// The attempt may hold cells already.
    pub(crate) holds: bool,
}

/// Cancellation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cancel {
    #[default]
    No,
    /// To be delivered at the next suspension.
    Asked,
    Delivered,
}

/// An entity's turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum TurnState {
    /// Needs none.
    #[default]
    None,
    /// Needs this turn and does not have it yet.
    Wanted(CellKey),
    /// Has it, as the outermost operation.
    Held(CellKey),
    /// Has entered a turn that its chain of callers holds.
    Reentered(CellKey),
}

/// Where an invocation stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing is under way; the next step may begin.
    #[default]
    Idle,
    /// Waits for its entity's turn.
    Turn,
    /// Waits for cells of this partition.
    Acquiring(PartitionId),
    /// A worker runs its step.
    Running,
    /// Its coroutine waits for results.
    Suspended,
    /// Other partitions take the step's writes into the attempt.
    Stashing(BTreeSet<PartitionId>),
    /// Other partitions promise to commit.
    Preparing(Preparing),
    /// The attempt dies or is given up: other partitions freeze it.
    Freezing(Freezing),
    /// The attempt died; those it died to have not ended yet on this partition.
    Died(PartitionId, AttemptId),
    /// Stopped until an operator acts.
    Parked,
}

/// A commit under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preparing {
    pub(crate) awaiting: BTreeSet<PartitionId>,
    pub(crate) writers: Vec<PartitionId>,
    pub(crate) readers: Vec<PartitionId>,
}

/// An abort under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Freezing {
    pub(crate) awaiting: BTreeSet<PartitionId>,
    pub(crate) then: AfterFreeze,
    /// Locks stood everywhere until now.
    pub(crate) stood: bool,
}

/// What follows when an attempt is frozen everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AfterFreeze {
    /// The program asked for the abort.
    Rollback,
    /// A joined part aborted: the commit delivers this exception.
    Doomed(Vec<u8>),
    /// Run the body again at once.
    Retry,
    /// Run it again when those it died to have ended on this partition.
    RetryAfter(PartitionId),
    /// Stop it.
    Park(String),
    /// End it with this exception.
    Fail(Vec<u8>),
    /// End it without running code.
    Kill,
}

/// A transaction that an invocation runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) attempt: AttemptId,
    /// Position of the operation that began it.
    pub(crate) begin: String,
    /// Journal length at its beginning.
    pub(crate) base: usize,
    /// Partitions on which it holds cells.
    pub(crate) participants: BTreeSet<PartitionId>,
    /// It holds something.
    pub(crate) holds: bool,
    /// Cells that earlier attempts died for: asked for first.
    pub(crate) learned: BTreeMap<(PartitionId, CellKey), LockMode>,
    /// Newest position that it read.
    pub(crate) newest: Position,
    /// Partitions on which those that the attempt died to have ended.
    pub(crate) blockers_gone: BTreeSet<PartitionId>,
    /// Results of earlier calls that arrived before it began; delivered with its beginning in each attempt.
    pub(crate) outside: Vec<Ready>,
    /// Length of the buffered output at its beginning.
    pub(crate) output: usize,
}

/// An operation without result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// A call: the child, what it is for people, made inside the transaction.
    Call { child: InvocationId, target: String, inner: bool },
    /// A sleep.
    Sleep(Micros),
    /// A task.
    Task(PendingTask),
    /// The beginning of a transaction.
    Begin,
    /// Its commit.
    Commit,
    /// Its abort by the program.
    Rollback,
}

/// A task without result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingTask {
    pub(crate) call: Arc<TaskCall>,
    /// Tries that have begun and failed.
    pub(crate) failed: u32,
    /// How the last of them failed, for people.
    pub(crate) error: String,
    pub(crate) phase: TaskPhase,
    /// The record that asked for it.
    pub(crate) after: Position,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskPhase {
    /// Waits here for others to end.
    Waiting,
    /// The runtime has it.
    Handed(RunNumber),
    /// A task worker runs it.
    Running(RunNumber),
    /// The next try begins at this time.
    Backoff(Micros),
}

/// A result that can be delivered.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) delivered: Delivered,
    /// The durable message that brought it.
    pub(crate) source: Option<Accepted>,
    /// The call that it answers.
    pub(crate) child: Option<InvocationId>,
    /// Newest position that it rests on without a record of its own.
    pub(crate) newest: Position,
    /// Of a task, and in no record yet: the step that it begins records it.
    pub(crate) unrecorded: bool,
}

impl Ready {
    /// A result of our own: no message brought it, and it rests on nothing.
    pub(crate) fn own(position: &str, result: Outcome) -> Self {
        let delivered = Delivered { position: position.to_owned(), result };
        Self { delivered, source: None, child: None, newest: Position::default(), unrecorded: false }
    }
}

/// A cell that a step wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) mode: LockMode,
    /// Dict key as asked for.
    pub(crate) key: Option<Vec<u8>>,
    /// The whole dict field; the cell is its membership.
    pub(crate) whole: bool,
}

/// A step from the moment it asks for cells to the moment its end is dealt with.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepContext {
    pub(crate) attempt: AttemptId,
    /// Cells wanted, by partition, not yet asked for.
    pub(crate) wants: BTreeMap<PartitionId, BTreeMap<CellKey, Want>>,
    /// All wants, for what is shipped and for what is learned.
    pub(crate) keys: BTreeMap<(PartitionId, CellKey), Want>,
    /// Contents granted.
    pub(crate) cells: BTreeMap<CellKey, Option<Arc<CellRow>>>,
    /// Whole fields granted: membership, entries over all partitions.
    pub(crate) wholes: BTreeMap<CellKey, BTreeMap<CellKey, Arc<CellRow>>>,
    /// Partitions other than the home that granted something.
    pub(crate) remote: BTreeSet<PartitionId>,
    pub(crate) delivered: Vec<Ready>,
    pub(crate) clock: Micros,
    pub(crate) run: Option<RunNumber>,
    /// Who runs ahead on what it leaves.
    pub(crate) next: Option<InvocationId>,
    pub(crate) newest: Position,
    /// The end, while other partitions take part in it.
    pub(crate) end: Option<Box<StepEnd>>,
    /// The journal step made from it.
    pub(crate) journal: Option<JournalRow>,
    /// Writes to cells of the home.
    pub(crate) local: Vec<CellWrite>,
}
