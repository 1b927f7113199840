//! Records (inputs to a partition, as logged) and the rows that applying them leaves in the partition's state.
//!
//! A record states outcomes: applying one makes no choice and reads no configuration, clock or manifest. Tags are
//! explicit and append-only; a change of meaning is a new version in [`Record`].

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;

use minicbor::{Decode, Encode};

use crate::cell::CellKey;
use crate::ids::{Age, AttemptId, DeploymentId, InvocationId, Micros, PartitionId, Slot, Stamp};
use crate::message::{Call, DurableBody};
use crate::worker::{Delivered, Held, Outcome, Slice, TaskCall};

/// One record of one partition, version 1 of its meaning.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Record {
    /// Version of the meaning: 1.
    #[n(0)]
    pub version: u16,
    /// Messages of other partitions that this record takes in.
    #[n(1)]
    pub accepts: Vec<Accepted>,
    /// Own messages that their receivers have logged: peer and sequence number.
    #[n(2)]
    pub acknowledged: Vec<(PartitionId, u64)>,
    /// Decisions that all participants have logged.
    #[n(3)]
    pub settled: Vec<AttemptId>,
    /// What happened.
    #[n(4)]
    pub body: Body,
}

/// A message taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Accepted {
    /// Sender.
    #[n(0)]
    pub from: PartitionId,
    /// Its sequence number.
    #[n(1)]
    pub seq: u64,
    /// Everything below this is settled at the sender.
    #[n(2)]
    pub floor: u64,
}

/// What a record states.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Body {
    /// Only the header matters.
    #[n(0)]
    Nothing,
    /// A deployment became current.
    #[n(1)]
    Deploy(#[n(0)] Deploy),
    /// An invocation was accepted without having run.
    #[n(2)]
    Accept(#[cbor(n(0), with = "crate::shared::one")] Arc<InvocationRow>),
    /// Steps of an invocation committed.
    #[n(3)]
    Step(#[n(0)] Box<Step>),
    /// A participant promises to commit these writes if the home decides so.
    #[n(4)]
    Prepared(#[n(0)] PreparedRow),
    /// The outcome of a prepared attempt.
    #[n(5)]
    Resolved(#[n(0)] Resolved),
    /// The status of an invocation changed: parked, resumed, cancellation asked for.
    #[n(6)]
    Status(#[n(0)] StatusChange),
    /// Results past their retention are forgotten.
    #[n(7)]
    Forget(#[n(0)] Vec<Forgotten>),
    /// A task of an unfinished invocation has its result, which is kept until a step's journal has it.
    #[n(8)]
    TaskResult(#[n(0)] TaskResult),
}

/// The result of a task.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct TaskResult {
    /// The invocation that asked for it.
    #[n(0)]
    pub invocation: InvocationId,
    /// Position of the operation, and the result.
    #[n(1)]
    pub result: Delivered,
}

/// A deployment.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Deploy {
    /// Which.
    #[n(0)]
    pub deployment: DeploymentId,
    /// Numbers of fields and services that are new: service, field (empty for the service itself), number.
    #[n(1)]
    pub catalogue: Vec<(String, String, u32)>,
    /// Initial entries of new dict fields, this partition's share.
    #[n(2)]
    pub seeds: Vec<CellWrite>,
    /// Stamp of the seeds.
    #[n(3)]
    pub time: u64,
}

/// One or more finished steps of an invocation, committed together.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Step {
    /// The invocation.
    #[n(0)]
    pub invocation: InvocationId,
    /// Its accepting part, if this is its first record.
    #[cbor(n(1), with = "crate::shared::option")]
    pub accept: Option<Arc<InvocationRow>>,
    /// Journal steps to append. Empty for the last step.
    #[cbor(n(2), with = "crate::shared::list")]
    pub journal: Vec<Arc<JournalRow>>,
    /// Writes to cells of this partition.
    #[n(3)]
    pub writes: Vec<CellWrite>,
    /// Durable messages that leave: receiver and body; sequence numbers follow from the order.
    #[n(4)]
    pub messages: Vec<(PartitionId, DurableBody)>,
    /// Operations whose results were consumed by these steps.
    #[n(5)]
    pub consumed: Vec<String>,
    /// Hybrid time of the commit decision.
    #[n(6)]
    pub time: u64,
    /// Other partitions that prepared writes of this attempt and must be told.
    #[n(7)]
    pub commit: Option<Commit>,
    /// Set when the invocation ended.
    #[n(8)]
    pub done: Option<Done>,
}

/// The decision of a commit over several partitions.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Commit {
    /// The attempt.
    #[n(0)]
    pub attempt: AttemptId,
    /// Participants with writes, other than the home.
    #[n(1)]
    pub participants: Vec<PartitionId>,
}

/// The end of an invocation.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Done {
    /// Its result.
    #[n(0)]
    pub outcome: Outcome,
    /// When it ended.
    #[n(1)]
    pub at: Micros,
    /// Until when the result is kept, if it is.
    #[n(2)]
    pub keep_until: Option<Micros>,
    /// Ended by cancellation.
    #[n(3)]
    pub cancelled: bool,
}

/// A write to a cell. Everything is decided except the stamp's time, which is the record's.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct CellWrite {
    /// The cell.
    #[n(0)]
    pub cell: CellKey,
    /// The new content; `None` deletes.
    #[n(1)]
    pub put: Option<CellPut>,
}

/// New content of a cell.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct CellPut {
    /// Value, canonical msgpack.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub value: Vec<u8>,
    /// Dict key as first inserted.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: Option<Vec<u8>>,
    /// Kept insertion stamp; `None` for a new entry.
    #[n(2)]
    pub inserted: Option<Stamp>,
    /// Writes since insertion.
    #[n(3)]
    pub updates: u32,
    /// Counter of the stamp.
    #[n(4)]
    pub counter: u32,
    /// Which object the cell holds, see [`crate::cell::CellRow`].
    #[n(5)]
    pub incarnation: u64,
}

/// Writes promised by a participant.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct PreparedRow {
    /// The attempt.
    #[n(0)]
    pub attempt: AttemptId,
    /// Its home.
    #[n(1)]
    pub home: PartitionId,
    /// Writes to cells of this partition.
    #[n(2)]
    pub writes: Vec<CellWrite>,
    /// One-way calls that leave if it commits.
    #[n(3)]
    pub messages: Vec<(PartitionId, DurableBody)>,
    /// Age of the root, for the locks that are taken again after a restart.
    #[n(4)]
    pub age: Age,
}

/// The outcome of a prepared attempt.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Resolved {
    /// The attempt.
    #[n(0)]
    pub attempt: AttemptId,
    /// `Some(time of the decision)` commits, `None` aborts.
    #[n(1)]
    pub committed: Option<u64>,
}

/// A decision that participants may still ask for.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct DecisionRow {
    /// Participants to tell.
    #[n(0)]
    pub participants: Vec<PartitionId>,
    /// Hybrid time of the decision.
    #[n(1)]
    pub time: u64,
}

/// The immutable part of an invocation.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct InvocationRow {
    /// Id.
    #[n(0)]
    pub id: InvocationId,
    /// What is called, by whom, with what.
    #[n(1)]
    pub call: Call,
    /// Where a client's `Idempotency-Key` is remembered.
    #[n(2)]
    pub dedup: Option<Dedup>,
    /// Keep the result after the end (`send`, or a key was given).
    #[n(3)]
    pub keep_result: bool,
    /// Deployment under which it was accepted.
    #[n(4)]
    pub deployment: DeploymentId,
    /// Digest of the method under that deployment.
    #[n(5)]
    pub method_digest: u64,
}

/// Scope and digest of an `Idempotency-Key`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Dedup {
    /// Slot of the routing.
    #[n(0)]
    pub slot: Slot,
    /// Digest of service, method, routing key and the client's key.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub scope: [u8; 16],
    /// Digest of the arguments.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub arguments: [u8; 16],
}

/// What is remembered of an `Idempotency-Key`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct DedupRow {
    /// The invocation.
    #[n(0)]
    pub id: InvocationId,
    /// Digest of its arguments.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub arguments: [u8; 16],
}

/// The changing part of an invocation.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct StatusRow {
    /// Why it is parked. Tag 0 was the number of journal rows.
    #[n(1)]
    pub parked: Option<Parked>,
    /// Cancellation was asked for.
    #[n(2)]
    pub cancel: bool,
}

/// Why an invocation is parked.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Parked {
    /// The reason, for people.
    #[n(0)]
    pub reason: String,
    /// Since when.
    #[n(1)]
    pub at: Micros,
}

/// A change of status.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct StatusChange {
    /// The invocation.
    #[n(0)]
    pub invocation: InvocationId,
    /// Its accepting part, if this is its first record.
    #[cbor(n(1), with = "crate::shared::option")]
    pub accept: Option<Arc<InvocationRow>>,
    /// Parked or not from now on.
    #[n(2)]
    pub parked: Option<Parked>,
    /// Cancellation asked for.
    #[n(3)]
    pub cancel: bool,
}

/// A finished invocation whose result is kept.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct DoneRow {
    /// Service or entity.
    #[n(0)]
    pub service: String,
    /// Entity key, canonical msgpack.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: Option<Vec<u8>>,
    /// Method.
    #[n(2)]
    pub method: String,
    /// When it was accepted.
    #[n(3)]
    pub accepted: Micros,
    /// How it ended.
    #[n(4)]
    pub done: Done,
    /// Its key, to be forgotten with it.
    #[n(5)]
    pub dedup: Option<Dedup>,
}

/// A result to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Forgotten {
    /// The invocation.
    #[n(0)]
    pub id: InvocationId,
    /// Its retention index: the time until which it was kept.
    #[n(1)]
    pub keep_until: Micros,
    /// Its key.
    #[n(2)]
    pub dedup: Option<Dedup>,
}

/// One finished step of an unfinished invocation.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct JournalRow {
    /// Its clock.
    #[n(0)]
    pub clock: Micros,
    /// What user code read.
    #[n(1)]
    pub reads: Slice,
    /// What was delivered, in order.
    #[n(2)]
    pub delivered: Vec<Delivered>,
    /// What it asked for.
    #[n(3)]
    pub ops: Vec<OpRow>,
    /// If it suspended: wake when all of `waits` are there.
    #[n(4)]
    pub wait_all: bool,
    /// Positions that it waits for.
    #[n(5)]
    pub waits: Vec<String>,
    /// What it holds meanwhile.
    #[n(6)]
    pub held: Held,
}

/// An operation in a journal.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct OpRow {
    /// Program position.
    #[n(0)]
    pub position: String,
    /// What.
    #[n(1)]
    pub kind: OpRowKind,
}

/// Kinds of journalled operations.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum OpRowKind {
    /// A call; the result arrives from the child's home.
    #[n(0)]
    Call {
        /// The child.
        #[n(0)]
        child: InvocationId,
        /// `Service.method`.
        #[n(1)]
        target: String,
    },
    /// A one-way call.
    #[n(1)]
    Send {
        /// `Service.method`.
        #[n(0)]
        target: String,
    },
    /// A sleep until this time.
    #[n(2)]
    Sleep(#[n(0)] Micros),
    /// The beginning of a transaction.
    #[n(3)]
    Begin,
    /// Its commit; the exception if a joined part doomed it.
    #[n(4)]
    Commit(#[cbor(n(0), with = "minicbor::bytes")] Option<Vec<u8>>),
    /// Its abort by the program.
    #[n(5)]
    Rollback,
    /// A task.
    #[n(6)]
    Task(#[n(0)] TaskCall),
    /// The operation at this position was cancelled by the program.
    #[n(7)]
    Cancel(#[n(0)] String),
}

impl OpRow {
    /// The text that a replay is compared with.
    pub fn text(&self) -> String {
        match &self.kind {
            OpRowKind::Call { target, .. } => format!("call {target}"),
            OpRowKind::Send { target } => format!("send {target}"),
            OpRowKind::Sleep(_) => "sleep".into(),
            OpRowKind::Begin => "begin".into(),
            OpRowKind::Commit(_) => "commit".into(),
            OpRowKind::Rollback => "rollback".into(),
            OpRowKind::Task(task) => format!("task {}", task.function),
            OpRowKind::Cancel(position) => format!("cancel {position}"),
        }
    }
}

/// What a partition remembers of messages from one sender.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct InboxRow {
    /// All below are taken in or settled.
    #[n(0)]
    pub below: u64,
    /// Taken in above it, ascending.
    #[n(1)]
    pub above: Vec<u64>,
}

/// Numbers of services and fields.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct CatalogueRow {
    /// Service, field (empty for the service itself), number.
    #[n(0)]
    pub entries: Vec<(String, String, u32)>,
    /// The current deployment.
    #[n(1)]
    pub deployment: DeploymentId,
}

/// Counters of a partition.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct MetaRow {
    /// Next sequence number per receiver.
    #[n(0)]
    pub next_seq: Vec<u64>,
    /// Largest hybrid time seen.
    #[n(1)]
    pub time: u64,
}

/// Bytes that are not what they should be.
#[derive(Debug, thiserror::Error)]
#[error("a stored {what} cannot be read: {source}")]
pub struct BadBytes {
    what: &'static str,
    #[source]
    source: minicbor::decode::Error,
}

thread_local! {
    /// Room to write into, so that what comes of it is allocated once and no larger than it is.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Like minicbor's own writer to a `Vec`, but inlined: most of what is written is a head of one or two bytes.
struct Bytes<'a>(&'a mut Vec<u8>);

impl minicbor::encode::Write for Bytes<'_> {
    type Error = Infallible;

    #[inline(always)]
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        match bytes {
            [head] => self.0.push(*head),
            bytes => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }
}

/// More room than this is not kept.
const ROOM_MAX: usize = 64 * 1024;

/// Writes `value` with its explicit tags.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    ROOM.with_borrow_mut(|room| {
        room.clear();
        minicbor::encode(value, Bytes(room)).expect("writing to memory does not fail");
        if room.len() > ROOM_MAX { std::mem::take(room) } else { room.as_slice().to_vec() }
    })
}

/// Reads what [`encode`] wrote; `what` names it in the error.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8], what: &'static str) -> Result<T, BadBytes> {
    minicbor::decode(bytes).map_err(|source| BadBytes { what, source })
}
