//! Messages between the server and a worker process, and how they are framed.
//!
//! A frame is a 4-byte little-endian length followed by that many bytes of `marshal` version 2 (in every CPython, at C
//! speed): one list of tuples, each tuple a message whose first item is its tag. Values inside a message are nested
//! `marshal` bytes, so that the worker decodes only what user code touches and can compare what it encodes again with
//! what it was sent. The Rust side of this module speaks canonical msgpack ([`crate::msgpack`]) and translates.
//!
//! | tag | server to worker |
//! |---|---|
//! | 0 INIT | `(0, modules, services, records, options)`, see [`encode_init`] |
//! | 1 START | `(1, run, invocation, service, method, key, args, seed, flags, clock, slice, journal, delivered, follows)` |
//! | 2 RESUME | `(2, run, invocation, clock, slice, delivered)` |
//! | 3 EVICT | `(3, invocation)` |
//! | 4 FETCHED | `(4, run, slice)`, `slice` is `None` for *not now* |
//! | 5 RESIDENT | `(5, [name, …])`, see [`Resident`]: the last one of a frame with names; the worker gives these up |
//! | 20 TASK | `(20, run, function, args, timeout, flags)`, to task workers; `timeout` in microseconds or `None` |
//! | 21 STOP | `(21, run)`, to task workers: nobody wants its result any more |
//!
//! | tag | worker to server |
//! |---|---|
//! | 10 END | `(10, run, invocation, status, payload, reads, writes, ops, waits, logs, doom, held)` |
//! | 11 FETCH | `(11, run, field, key)`, `key` is `None` for a scalar field, `...` for the whole field |
//! | 12 DROPPED | `(12, run)` after *not now*, or if it cannot follow |
//! | 13 DEPARTED | `(13, run, invocation, step, expected, actual)` |
//! | 14 READY | `(14, pid, python version, problem)`; `problem` is an exception value's bytes or `None` |
//! | 15 BUSY | `(15, micros)`: processor time that it has used since it last said so; goes with the ends of steps and tasks (threads say nothing) |
//! | 24 TASK_END | `(24, run, kind, payload, final)`, from task workers; `final`: another try is of no use |
//! | 25 TASK_OUTPUT | `(25, run, stream, text)`, from task workers, at once |
//!
//! Workers are forked from a *template*, a process that has loaded the library and the code of the application. It is sent
//! INIT once; the file descriptors of a worker (its socket and its raw output) travel with FORK.
//!
//! | tag | server to template |
//! |---|---|
//! | 30 FORK | `(30, worker, options)`; `options` are added to those of INIT |
//! | 31 KILL | `(31, worker)` |
//!
//! | tag | template to server |
//! |---|---|
//! | 32 FORKED | `(32, worker, pid)` |
//! | 33 ENDED | `(33, worker, status)`, `status` as `waitpid` has it |
//!
//! `slice` is `(cells, wholes)`: `cells` a list of `(field, key, value, incarnation)` with `key` `None` for a scalar field
//! and `value` `None` for an absent cell, `(name, value)` if it is to be kept under a name, or the name of one that is
//! kept; `wholes` a list of `(field, [(key, value, incarnation), …])` in iteration order.
//! `reads` is `(cells, wholes)` with `cells` a list of `(field, key)` and `wholes` a list of fields; so is `held`: what a
//! suspended coroutine still refers to, which the next step needs.
//! `follows` is the number of a run of the same worker, or `None`: see [`Start::follows`].
//! `writes` is a list of `(field, key, value, fresh, incarnation)`: `value` `None` deletes; `fresh` is true if the entry
//! was deleted and inserted again within the step, so that it moves to the end of the iteration order; `incarnation` is
//! `None` if the cell holds the object that it held, else the name of the one that was assigned. A sixth item is the name
//! under which the worker keeps the value.
//! `delivered` is a list of `(position, kind, payload)`, kind 0 a value, 1 an exception.
//! `journal` is a list of `(clock, slice, delivered, ops)`, one per finished step, `ops` a list of `(position, text)`.
//! `ops` of END is a list of tuples `(position, kind, …)`, see [`Op`]. `waits` is `(mode, [position, …])`, mode 0 wakes
//! at any result, mode 1 when all are there or one is an exception. `logs` is a list of `(stream, text)`, stream 0
//! stdout, 1 stderr, 2 logging.
//! Values that `marshal` lacks are tuples that begin with `Ellipsis` and a code, see [`crate::marshal`].

mod decode;
mod encode;
mod follow;
mod frame;
mod resident;

use minicbor::{Decode, Encode};

use crate::ids::{InvocationId, Micros, RunNumber};
use crate::{limits, marshal};

pub use decode::{decode_from_template, decode_from_worker, decode_to_worker};
pub use encode::{InitOptions, encode_fork, encode_from_worker, encode_init, encode_kill, encode_to_worker};
pub use follow::left_by;
pub use frame::FrameReader;
pub use resident::Resident;

/// A value in canonical msgpack ([`crate::msgpack`]), the stored form. Opaque to the engine.
pub type ValueBytes = Vec<u8>;

/// What the server sends to a worker. (INIT is built from the manifest by [`encode_init`].)
#[derive(Clone, Debug, PartialEq)]
pub enum ToWorker {
    /// Run a method from its beginning: answer the journal's steps from the journal, then run the next step.
    Start(Box<Start>),
    /// Go on with a suspended coroutine.
    Resume(Resume),
    /// Forget a suspended coroutine; its `finally` blocks do not run.
    Evict(InvocationId),
    /// Answer to [`FromWorker::Fetch`]; `None`: not now, drop the step.
    Fetched {
        /// The run that asked.
        run: RunNumber,
        /// What was asked for.
        slice: Option<Slice>,
    },
    /// To a task worker: run a task once.
    Task(Box<TaskRun>),
    /// To a task worker: end a run whose result nobody wants, as far as that can be done.
    StopTask(RunNumber),
}

impl ToWorker {
    /// About how many bytes it takes in a frame.
    pub fn weight(&self) -> usize {
        const HEAD: usize = 64;
        HEAD + match self {
            Self::Start(start) => {
                let step = |step: &JournalStep| HEAD + step.reads.weight() + delivered_weight(&step.delivered);
                let journal: usize = start.journal.iter().map(step).sum();
                start.args.len() + start.slice.weight() + journal + delivered_weight(&start.delivered)
            }
            Self::Resume(resume) => resume.slice.weight() + delivered_weight(&resume.delivered),
            Self::Fetched { slice, .. } => slice.as_ref().map_or(0, Slice::weight),
            Self::Task(task) => task.args.len(),
            Self::Evict(_) | Self::StopTask(_) => 0,
        }
    }
}

fn delivered_weight(delivered: &[Delivered]) -> usize {
    let result = |one: &Delivered| match &one.result {
        Outcome::Value(payload) | Outcome::Exception(payload) => payload.len(),
    };
    delivered.iter().map(result).sum()
}

/// What the template tells the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromTemplate {
    /// A worker has begun.
    Forked {
        /// The number that the server gave it.
        worker: u64,
        /// Its process.
        pid: u32,
    },
    /// A worker has ended.
    Ended {
        /// Its number.
        worker: u64,
        /// As `waitpid` has it.
        status: i32,
    },
}

/// TASK.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskRun {
    /// Number of this execution.
    pub run: RunNumber,
    /// `module.function`.
    pub function: String,
    /// A tuple `([positional…], {name: value})`.
    pub args: ValueBytes,
    /// How long it may take.
    pub timeout: Option<Micros>,
    /// It is an `async def` (flag 2): the worker itself ends it in time.
    pub is_async: bool,
    /// Who waits for it, at which position, and for nothing else. A worker that is a process is not sent this, as it has
    /// no use for it.
    pub awaited_by: Option<(InvocationId, String)>,
}

/// START.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// Number of this execution.
    pub run: RunNumber,
    /// The invocation.
    pub invocation: InvocationId,
    /// Service or entity.
    pub service: String,
    /// Method.
    pub method: String,
    /// Entity key.
    pub key: Option<ValueBytes>,
    /// A tuple `([positional…], {name: value})`.
    pub args: ValueBytes,
    /// 32 bytes from the accepting record; uuids and random numbers derive from them.
    pub seed: [u8; 32],
    /// Runs inside a caller's transaction (flag 1).
    pub in_transaction: bool,
    /// Clock of the step to run.
    pub clock: Micros,
    /// Cells for the step to run.
    pub slice: Slice,
    /// Steps that have ended.
    pub journal: Vec<JournalStep>,
    /// Results delivered to the step to run.
    pub delivered: Vec<Delivered>,
    /// It runs ahead of its turn: on the cells that were shipped to this run, as that run leaves them. `slice` is empty.
    /// Unless the worker has just ended that run and can tell, it says [`FromWorker::Dropped`].
    pub follows: Option<RunNumber>,
}

/// RESUME.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resume {
    /// Number of this execution.
    pub run: RunNumber,
    /// The invocation.
    pub invocation: InvocationId,
    /// Clock of the step.
    pub clock: Micros,
    /// Cells for the step.
    pub slice: Slice,
    /// Results delivered to it.
    pub delivered: Vec<Delivered>,
}

/// Cells that travel with a step.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Slice {
    /// Single cells.
    #[n(0)]
    pub cells: Vec<SliceCell>,
    /// Whole dict fields: field, and entries in iteration order.
    #[cbor(n(1), with = "wholes")]
    pub wholes: Vec<(String, Vec<SliceEntry>)>,
}

impl Slice {
    /// There is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.wholes.is_empty()
    }

    fn weight(&self) -> usize {
        let cell = |cell: &SliceCell| cell.value.as_ref().map_or(0, Vec::len) + cell.key.as_ref().map_or(0, Vec::len);
        let entry = |(key, value, _): &SliceEntry| key.len() + value.len();
        let wholes = self.wholes.iter().flat_map(|(_, entries)| entries);
        self.cells.iter().map(cell).sum::<usize>() + wholes.map(entry).sum::<usize>()
    }
}

/// An entry of a whole dict field: key, value, incarnation.
pub type SliceEntry = (ValueBytes, ValueBytes, u64);

/// A cell in a [`Slice`].
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct SliceCell {
    /// Field of the method's service.
    #[n(0)]
    pub field: String,
    /// Dict key as first inserted (or as asked for); `None` for a scalar field.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: Option<ValueBytes>,
    /// Value; `None` if absent.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub value: Option<ValueBytes>,
    /// Which object it is, see [`crate::cell::CellRow`].
    #[n(3)]
    pub incarnation: u64,
}

/// What a suspended coroutine still refers to: the objects of these cells are brought up to date before it goes on.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Held {
    /// Single cells: field, and key unless scalar.
    #[n(0)]
    pub cells: Vec<HeldCell>,
    /// Dict fields that it iterates over.
    #[n(1)]
    pub wholes: Vec<String>,
}

/// A cell in [`Held`].
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct HeldCell {
    /// Field of the method's service.
    #[n(0)]
    pub field: String,
    /// Dict key; `None` for a scalar field.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: Option<ValueBytes>,
}

/// A finished step of a journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JournalStep {
    /// Its clock.
    pub clock: Micros,
    /// What user code read in it.
    pub reads: Slice,
    /// What was delivered to it, in order.
    pub delivered: Vec<Delivered>,
    /// What it asked for: position and description (`call Hotel.reserve`), compared on replay.
    pub ops: Vec<(String, String)>,
}

/// A result handed to a coroutine.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Delivered {
    /// Position of the operation that it answers. Empty: a cancellation of the invocation.
    #[n(0)]
    pub position: String,
    /// Value or exception.
    #[n(1)]
    pub result: Outcome,
}

/// A value or an exception.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Outcome {
    /// The value.
    #[n(0)]
    Value(#[cbor(n(0), with = "minicbor::bytes")] ValueBytes),
    /// An exception, see [`crate::message::Exception`].
    #[n(1)]
    Exception(#[cbor(n(0), with = "minicbor::bytes")] ValueBytes),
}

/// Entries of whole fields: keys and values as byte strings.
mod wholes {
    use minicbor::bytes::{ByteSlice, ByteVec};
    use minicbor::{Decoder, Encoder};

    use super::SliceEntry;

    type Wholes = Vec<(String, Vec<SliceEntry>)>;

    pub(super) fn encode<C, W: minicbor::encode::Write>(
        wholes: &Wholes,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(wholes.len() as u64)?;
        for (field, entries) in wholes {
            e.array(2)?.str(field)?.array(entries.len() as u64 * 3)?;
            for (key, value, incarnation) in entries {
                let (key, value) = (<&ByteSlice>::from(key.as_slice()), <&ByteSlice>::from(value.as_slice()));
                e.encode(key)?.encode(value)?.u64(*incarnation)?;
            }
        }
        Ok(())
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Wholes, minicbor::decode::Error> {
        let definite = |n: Option<u64>| n.ok_or_else(|| minicbor::decode::Error::message("indefinite array"));
        let mut wholes = Wholes::new();
        for _ in 0..definite(d.array()?)? {
            definite(d.array()?)?;
            let field = d.str()?.to_owned();
            let mut entries = Vec::new();
            for _ in 0..definite(d.array()?)? / 3 {
                entries.push((d.decode::<ByteVec>()?.into(), d.decode::<ByteVec>()?.into(), d.u64()?));
            }
            wholes.push((field, entries));
        }
        Ok(wholes)
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self::Value(vec![0xc0])
    }
}

/// What a worker sends to the server.
#[derive(Clone, Debug, PartialEq)]
pub enum FromWorker {
    /// A step has ended.
    End(Box<StepEnd>),
    /// User code wants a cell that was not shipped; the worker waits for the answer.
    Fetch {
        /// The run.
        run: RunNumber,
        /// Field of the method's service.
        field: String,
        /// Which part of it.
        what: FetchWhat,
    },
    /// The run was dropped after *not now*, or was to follow another one and could not; nothing of it remains.
    Dropped {
        /// The run.
        run: RunNumber,
    },
    /// A replay asked for something else than the journal holds.
    Departed {
        /// The run.
        run: RunNumber,
        /// The invocation.
        invocation: InvocationId,
        /// Index of the journal's step.
        step: u64,
        /// What the journal holds.
        expected: String,
        /// What the code did.
        actual: String,
    },
    /// The application is loaded.
    Ready {
        /// Process id.
        pid: u32,
        /// `3.11.7`.
        python: String,
        /// The exception that loading raised.
        problem: Option<ValueBytes>,
    },
    /// Processor time that the process has used since it last said so.
    Busy(Micros),
    /// A task has run.
    TaskEnd {
        /// The run.
        run: RunNumber,
        /// What came of it.
        outcome: Outcome,
        /// Another try is of no use.
        is_final: bool,
    },
    /// A task has written something.
    TaskOutput {
        /// The run; 0 if it cannot be told.
        run: RunNumber,
        /// Stream, as in END.
        stream: u8,
        /// Text.
        text: String,
    },
}

/// What a fetch asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum FetchWhat {
    /// The cell of a scalar field.
    Scalar,
    /// One entry of a dict field.
    Entry(ValueBytes),
    /// The whole dict field.
    Whole,
}

/// END.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepEnd {
    /// Number of the execution.
    pub run: RunNumber,
    /// The invocation.
    pub invocation: InvocationId,
    /// How the step ended.
    pub status: StepStatus,
    /// Single cells that user code read: field, and key unless scalar.
    pub reads: Vec<(String, Option<ValueBytes>)>,
    /// Whole fields that user code read.
    pub whole_reads: Vec<String>,
    /// Cells that changed, in order of insertion.
    pub writes: Vec<StepWrite>,
    /// Operations that the step started, in program order.
    pub ops: Vec<Op>,
    /// If suspended: wake only when all of `waits` are there or one is an exception.
    pub wait_all: bool,
    /// If suspended: positions that the coroutine waits for.
    pub waits: Vec<String>,
    /// Output of user code: stream, text.
    pub logs: Vec<(u8, String)>,
    /// A joined transaction was aborted in this step: the exception's bytes. The whole is doomed.
    pub doom: Option<ValueBytes>,
    /// If suspended: what the coroutine still refers to.
    pub held: Held,
}

/// How a step ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum StepStatus {
    /// The method returned this (0).
    Returned(ValueBytes),
    /// An exception ended it (1); writes before it persist.
    Raised(ValueBytes),
    /// It waits (2).
    #[default]
    Suspended,
    /// A value could not be stored (3): the invocation ends with this exception and nothing of the step persists.
    NotStorable(ValueBytes),
}

/// A changed cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepWrite {
    /// Field.
    pub field: String,
    /// Dict key; `None` for a scalar field.
    pub key: Option<ValueBytes>,
    /// New value; `None` deletes.
    pub value: Option<ValueBytes>,
    /// Deleted and inserted again.
    pub fresh: bool,
    /// Another object was assigned: its name. `None`: the cell holds the object that it held.
    pub incarnation: Option<u64>,
}

/// An operation that a step started.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Program position: branch path and counter, like `3` or `2.0.1`.
    pub position: String,
    /// What.
    pub kind: OpKind,
}

/// Kinds of operations; in frames the number in brackets follows the position.
#[derive(Clone, Debug, PartialEq)]
pub enum OpKind {
    /// `(0, service, key, method, args)`.
    Call(Target),
    /// `(1, service, key, method, args)`: one way, no result is delivered.
    Send(Target),
    /// `(2, due)`: deliver `None` at this time.
    Sleep(Micros),
    /// `(3,)`: begin a transaction.
    Begin,
    /// `(4,)`: commit it; delivers `None`, or `Aborted` if a joined part doomed it.
    Commit,
    /// `(5, exception)`: abort it because the program asked; delivers `None`.
    Rollback(ValueBytes),
    /// `(6, function, args, retries, timeout, backoff, backoff_max, flags)`: run a task; its result is delivered.
    Task(TaskCall),
    /// `(7, position)`: the call, task or sleep that was asked for there is cancelled; nothing is delivered.
    Cancel(String),
}

impl OpKind {
    /// How the journal names it, and a replay must name it again.
    pub fn text(&self) -> String {
        match self {
            Self::Call(target) => format!("call {}.{}", target.service, target.method),
            Self::Send(target) => format!("send {}.{}", target.service, target.method),
            Self::Sleep(_) => "sleep".into(),
            Self::Begin => "begin".into(),
            Self::Commit => "commit".into(),
            Self::Rollback(_) => "rollback".into(),
            Self::Task(task) => format!("task {}", task.function),
            Self::Cancel(position) => format!("cancel {position}"),
        }
    }
}

/// What the names of tasks in Rust begin with; all others are Python's.
pub const RUST_TASK: &str = "rust:";

/// A task that is asked for, with its policy. Times are microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct TaskCall {
    /// `module.function`; in Rust `rust:crate::module.function`.
    #[n(0)]
    pub function: String,
    /// A tuple `([positional…], {name: value})`.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub args: ValueBytes,
    /// Tries after the first one that failed.
    #[n(2)]
    pub retries: u32,
    /// How long one try may take.
    #[n(3)]
    pub timeout: Option<Micros>,
    /// Pause after the first try; doubles with each.
    #[n(4)]
    pub backoff: Micros,
    /// Longest pause.
    #[n(5)]
    pub backoff_max: Micros,
    /// Has no outside effect (flag 1): need not wait until what it rests on is durable.
    #[n(6)]
    pub is_pure: bool,
    /// It is an `async def` (flag 2).
    #[n(7)]
    pub is_async: bool,
}

impl TaskCall {
    /// Its name without the module, for people.
    pub fn name(&self) -> &str {
        self.function.rsplit('.').next().unwrap_or(&self.function)
    }
}

/// What is called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// Service or entity.
    pub service: String,
    /// Entity key.
    pub key: Option<ValueBytes>,
    /// Method.
    pub method: String,
    /// A tuple `([positional…], {name: value})`.
    pub args: ValueBytes,
}

/// Tags of messages, and flags.
mod tag {
    pub(super) const INIT: i64 = 0;
    pub(super) const START: i64 = 1;
    pub(super) const RESUME: i64 = 2;
    pub(super) const EVICT: i64 = 3;
    pub(super) const FETCHED: i64 = 4;
    pub(super) const RESIDENT: i64 = 5;
    pub(super) const END: i64 = 10;
    pub(super) const FETCH: i64 = 11;
    pub(super) const DROPPED: i64 = 12;
    pub(super) const DEPARTED: i64 = 13;
    pub(super) const READY: i64 = 14;
    pub(super) const BUSY: i64 = 15;
    pub(super) const TASK: i64 = 20;
    pub(super) const STOP: i64 = 21;
    pub(super) const TASK_END: i64 = 24;
    pub(super) const TASK_OUTPUT: i64 = 25;
    pub(super) const FORK: i64 = 30;
    pub(super) const KILL: i64 = 31;
    pub(super) const FORKED: i64 = 32;
    pub(super) const ENDED: i64 = 33;
    /// Of START: runs inside a caller's transaction.
    pub(super) const FLAG_IN_TRANSACTION: i64 = 1;
    /// Of a task that is asked for: it has no outside effect.
    pub(super) const FLAG_PURE: i64 = 1;
    /// Of a task that is asked for, and of TASK: it is an `async def`.
    pub(super) const FLAG_ASYNC: i64 = 2;
}

/// A frame that cannot be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than allowed.
    #[error("a frame of {len} bytes exceeds the limit of {} bytes", limits::FRAME_BYTES_MAX)]
    TooLarge {
        /// Its length.
        len: usize,
    },
    /// A value in it is malformed.
    #[error("malformed frame: {0}")]
    Marshal(#[from] marshal::Error),
    /// A value to be sent has no marshal form.
    #[error("a value cannot be sent: {0}")]
    Encode(#[from] marshal::EncodeError),
    /// Something else than the message's layout asks for.
    #[error("malformed frame: expected {expected} before byte {offset}")]
    Shape {
        /// What belongs there.
        expected: &'static str,
        /// Where what came instead ends.
        offset: usize,
    },
    /// An unknown message, or one with another number of items.
    #[error("malformed frame: no message has tag {tag} and {len} items")]
    Message {
        /// Its tag.
        tag: i64,
        /// Number of its items, with the tag.
        len: usize,
    },
    /// A service names a module that the manifest lacks.
    #[error("the manifest has no module with index {index}")]
    Module {
        /// The index.
        index: u32,
    },
}
