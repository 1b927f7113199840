//! The engine's one door in and one door out: inputs go in, records and effects come out. Both are closed enums.

use std::sync::Arc;

use protocol::api;
use protocol::ids::{InvocationId, Micros, PartitionId, Position, RunNumber};
use protocol::message::Message;
use protocol::problem::Code;
use protocol::record::Record;
use protocol::worker::{FromWorker, Outcome, Resume, Slice, Start, TaskCall, ValueBytes};

use crate::rows::RowChange;

/// Names a request of the gateway; the reply carries it back.
pub type Token = u64;

/// What may change a partition.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "messages are the common case and are moved, not kept")]
pub enum Input {
    /// A client's call.
    Submit(Box<Submit>),
    /// A message of a partition (also of this one).
    Message {
        /// Sender.
        from: PartitionId,
        /// Message.
        message: Message,
    },
    /// A worker speaks about a run of this partition (all of [`FromWorker`] but `Ready`).
    Worker(FromWorker),
    /// Workers died or were killed.
    WorkersLost {
        /// Runs that were on them: number, and whether it was the one that was running.
        runs: Vec<(RunNumber, bool)>,
        /// Suspended coroutines that were on them.
        suspended: Vec<InvocationId>,
        /// How they ended, for people: `worker 2 was killed by signal 9`.
        cause: String,
    },
    /// Workers hold more coroutines than they may, and this one has waited longest. It goes, unless a transaction needs it.
    Crowded {
        /// Whose it is.
        invocation: InvocationId,
    },
    /// A task worker has begun this run.
    TaskStarted {
        /// The run.
        run: RunNumber,
    },
    /// A run of a task is over.
    TaskEnded {
        /// The run.
        run: RunNumber,
        /// What came of it.
        outcome: Outcome,
        /// Another try is of no use.
        is_final: bool,
    },
    /// The answer to [`Effect::Load`].
    Loaded {
        /// Ticket of the question.
        ticket: u64,
        /// Rows found, in ascending order of keys; for [`Query::Rows`] absent ones are left out.
        rows: Vec<(Vec<u8>, Vec<u8>)>,
        /// A scan went over its bound and was cut.
        cut: bool,
    },
    /// A client waits for the result of an invocation that exists already.
    Await {
        /// Token of the reply.
        token: Token,
        /// The invocation.
        id: InvocationId,
    },
    /// The client of this token went away or gave up waiting.
    Forget {
        /// Its token.
        token: Token,
    },
    /// An operator cancels an invocation.
    Cancel {
        /// Token of the reply.
        token: Token,
        /// The invocation.
        id: InvocationId,
        /// Run no more code of it.
        kill: bool,
    },
    /// An operator lets a parked invocation go on.
    Unpark {
        /// Token of the reply.
        token: Token,
        /// The invocation.
        id: InvocationId,
    },
    /// Time went on (the driver calls at [`crate::Partition::next_wake`] at the latest).
    Tick,
}

/// A client's call, checked by the gateway against the manifest and routed by [`crate::routing::route`].
#[derive(Clone, Debug, Default)]
pub struct Submit {
    /// Token of the reply.
    pub token: Token,
    /// Id, in the slot that routing gave.
    pub id: InvocationId,
    /// 32 random bytes.
    pub seed: [u8; 32],
    /// Service or entity.
    pub service: String,
    /// Entity key.
    pub key: Option<ValueBytes>,
    /// Method.
    pub method: String,
    /// Arguments, as in [`protocol::message::Call::args`].
    pub args: ValueBytes,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Reply when accepted, not with the result.
    pub send: bool,
}

/// What a partition wants done. `after` is a position of its log: the effect must not leave the log's durability
/// domain before that position is durable.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Run a step on any worker.
    Start(Box<Start>),
    /// Go on with the suspended coroutine, on the worker that holds it.
    Resume(Resume),
    /// Drop a coroutine, if a worker holds it.
    Evict(InvocationId),
    /// Answer a fetch, at once.
    Fetched {
        /// The run that asked.
        run: RunNumber,
        /// `None`: not now.
        slice: Option<Slice>,
    },
    /// Answer a client.
    Reply {
        /// Its token.
        token: Token,
        /// What it rests on.
        after: Position,
        /// The invocation.
        invocation: InvocationId,
        /// The answer.
        reply: Reply,
    },
    /// A message to a partition (also this one). On the same log it goes at once, in order.
    Send {
        /// Receiver.
        to: PartitionId,
        /// What it rests on.
        after: Position,
        /// Message.
        message: Message,
    },
    /// Read rows of this partition: state under the overlay of records that are not durable yet.
    Load {
        /// Comes back in [`Input::Loaded`].
        ticket: u64,
        /// Which rows.
        query: Query,
    },
    /// Output of user code, to be shown once.
    Print {
        /// What it rests on.
        after: Position,
        /// The invocation.
        invocation: InvocationId,
        /// `Service.method`.
        method: String,
        /// Stream (0 stdout, 1 stderr, 2 logging) and text.
        lines: Vec<(u8, String)>,
    },
    /// Something that an operator should see in the server's log.
    Notice(String),
    /// What this invocation's step did is dropped, as it wrote cells that were not foreseen; it runs again, unless its
    /// attempt dies first.
    RunsAgain(InvocationId),
    /// Run a task once. If what runs it dies, it is run again; [`Input::TaskEnded`] says what came of it.
    StartTask(Box<TaskStart>),
    /// Nobody wants the result of this run any more; it ends, as far as that can be done.
    StopTask(RunNumber),
}

/// A task to be run.
#[derive(Clone, Debug)]
pub struct TaskStart {
    /// Comes back in [`Input::TaskEnded`].
    pub run: RunNumber,
    /// What it rests on: it begins when that is durable.
    pub after: Position,
    /// Who asked for it.
    pub invocation: InvocationId,
    /// Where in its program, if that waits for nothing else.
    pub awaited_at: Option<String>,
    /// What to run.
    pub call: Arc<TaskCall>,
}

/// Rows to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// These keys.
    Rows(Vec<Vec<u8>>),
    /// All cells of a dict field (of an entity) in this partition: for each slot that the partition owns, the rows
    /// with [`protocol::cell::CellKey::field_prefix`]; for an entity only its slot. At most `bytes_max` of them.
    Field {
        /// Slot of the entity; `None` for a service's field: all slots.
        slot: Option<protocol::Slot>,
        /// Number of the field.
        field: u32,
        /// Canonical entity key.
        entity: Option<Vec<u8>>,
        /// Bound.
        bytes_max: usize,
    },
    /// Partition rows in a range, at most `rows_max`.
    Range {
        /// From (inclusive).
        from: Vec<u8>,
        /// To (exclusive).
        to: Vec<u8>,
        /// Bound.
        rows_max: usize,
    },
}

/// Answers to clients.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The invocation's result.
    Done {
        /// Value or exception.
        outcome: Outcome,
        /// It was cancelled.
        cancelled: bool,
        /// How long the result is kept, if it is.
        keep_until: Option<Micros>,
    },
    /// A `send` was accepted, or an operator's wish was carried out.
    Accepted,
    /// It still runs (answer to an operator).
    Running,
    /// A problem.
    Problem {
        /// Code.
        code: Code,
        /// Detail for people.
        detail: String,
    },
}

/// One call of [`crate::Partition::handle`]: what goes in beside the input, and what comes out.
#[derive(Debug, Default)]
pub struct Turn {
    /// The clock.
    pub now: Micros,
    /// Position of the next record of the log. The partition raises it by one for each record that it appends.
    pub next: Position,
    /// Records to append, in order; they are applied already.
    pub records: Vec<Record>,
    /// Rows that changed: position, key, what became of it. To be kept in the overlay until the position is durable, then
    /// written to the state.
    pub writes: Vec<(Position, Vec<u8>, RowChange)>,
    /// Effects, in order.
    pub effects: Vec<Effect>,
}

/// What the API shows of a partition's unfinished invocations.
#[derive(Clone, Debug)]
pub struct Listed {
    /// As the API shows it.
    pub invocation: api::Invocation,
    /// For paging.
    pub id: InvocationId,
}
