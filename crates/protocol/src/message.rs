//! Messages between partitions, and what calls and exceptions look like when they travel.
//!
//! Two kinds: *durable* ones stand in the sender's outbox (they carry a sequence number, are sent again after a
//! restart and are taken in once); all others are volatile: a crash of either side loses them, and the protocol
//! treats that as the death of the attempt or asks again.

use minicbor::{Decode, Encode};

use crate::cell::CellKey;
use crate::ids::{Age, AttemptId, InvocationId, Micros, PartitionId, Position};
use crate::record::CellWrite;
use crate::worker::Outcome;

/// A call of a method: what an invocation is made from.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Call {
    /// Service or entity.
    #[n(0)]
    pub service: String,
    /// Entity key, canonical msgpack.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: Option<Vec<u8>>,
    /// Method.
    #[n(2)]
    pub method: String,
    /// A tuple `([positional…], {name: value})`, canonical msgpack.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub args: Vec<u8>,
    /// Seed of everything random in it.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub seed: [u8; 32],
    /// When the call was made.
    #[n(5)]
    pub accepted: Micros,
    /// Age of the root.
    #[n(6)]
    pub age: Age,
    /// Who waits for the result.
    #[n(7)]
    pub parent: Option<Parent>,
    /// Turns that the chain of callers holds, outermost first.
    #[n(8)]
    pub chain: Vec<Turn>,
}

/// Who waits for a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Parent {
    /// The calling invocation.
    #[n(0)]
    pub invocation: InvocationId,
    /// Program position of the call.
    #[n(1)]
    pub position: String,
}

/// A turn that an operation of an entity holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Turn {
    /// Name of the turn: the entity's service number and key.
    #[n(0)]
    pub cell: CellKey,
    /// The operation that holds it.
    #[n(1)]
    pub holder: InvocationId,
}

/// A message between two partitions.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Message {
    /// A partition began a new epoch: attempts of its older epochs that are not prepared are dead.
    #[n(0)]
    Hello {
        /// The epoch.
        #[n(0)]
        epoch: u64,
        /// The receiver's epoch, if the sender has heard of it; else 0.
        #[n(1)]
        heard: u64,
    },
    /// A message of the sender's outbox.
    #[n(1)]
    Durable {
        /// Its sequence number.
        #[n(0)]
        seq: u64,
        /// Everything below is settled.
        #[n(1)]
        floor: u64,
        /// Body.
        #[n(2)]
        body: DurableBody,
    },
    /// The receiver has logged these (or needs no record of them).
    #[n(2)]
    Acknowledge {
        /// Sequence numbers.
        #[n(0)]
        seqs: Vec<u64>,
    },
    /// The result of a call that left no record at the callee.
    #[n(3)]
    Result {
        /// The result.
        #[n(0)]
        result: CallResult,
        /// Newest position that it rests on, in the same log.
        #[n(1)]
        newest: Position,
    },
    /// Ask for cells on behalf of an attempt.
    #[n(4)]
    Lock(#[n(0)] LockRequest),
    /// All cells are granted.
    #[n(5)]
    Granted {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
        /// The invocation whose step asked.
        #[n(1)]
        step: InvocationId,
        /// Contents: of single cells, and of whole fields.
        #[n(2)]
        cells: Vec<(CellKey, Option<GrantedCell>)>,
        /// Contents of whole fields: membership name and entries.
        #[n(3)]
        wholes: Vec<(CellKey, Vec<(CellKey, GrantedCell)>)>,
        /// Newest position among the versions.
        #[n(4)]
        newest: Position,
    },
    /// An attempt must die: a conflicting one goes first.
    #[n(6)]
    Died {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
        /// The invocation whose step asked.
        #[n(1)]
        step: InvocationId,
        /// What it asked for.
        #[n(2)]
        wants: Vec<(CellKey, LockMode)>,
    },
    /// Those that a dead attempt waits for have ended here.
    #[n(7)]
    BlockersGone {
        /// The dead attempt.
        #[n(0)]
        attempt: AttemptId,
    },
    /// The end of a step that holds cells of the receiver: its writes go to the attempt's overlay.
    #[n(8)]
    Stash {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
        /// The invocation whose step ended.
        #[n(1)]
        step: InvocationId,
        /// Writes to the receiver's cells.
        #[n(2)]
        writes: Vec<CellWrite>,
    },
    /// The answer to [`Message::Stash`].
    #[n(9)]
    Stashed {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
        /// The invocation.
        #[n(1)]
        step: InvocationId,
        /// The attempt is known and not frozen.
        #[n(2)]
        stands: bool,
    },
    /// A call inside a transaction.
    #[n(10)]
    Inner(#[n(0)] InnerCall),
    /// The result of a call inside a transaction.
    #[n(11)]
    InnerResult(#[n(0)] InnerResult),
    /// Promise to commit, or say that the locks still stand.
    #[n(12)]
    Prepare {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
    },
    /// The answer to [`Message::Prepare`].
    #[n(13)]
    PrepareAnswer {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
        /// How it stands.
        #[n(1)]
        vote: Vote,
        /// Newest position among the versions that it read here.
        #[n(2)]
        newest: Position,
    },
    /// The outcome of a prepared attempt.
    #[n(14)]
    Decide {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
        /// `Some(time)` commits.
        #[n(1)]
        committed: Option<u64>,
    },
    /// The outcome is logged.
    #[n(15)]
    Decided {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
    },
    /// A prepared participant asks for the outcome.
    #[n(16)]
    AskDecision {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
    },
    /// First round of an abort: grant nothing more, drop calls, evict coroutines.
    #[n(17)]
    Freeze {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
    },
    /// The answer to [`Message::Freeze`].
    #[n(18)]
    Frozen {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
        /// False if the attempt was known here no longer, so what it read may not be one state.
        #[n(1)]
        stood: bool,
        /// Newest position among the versions that it read here.
        #[n(2)]
        newest: Position,
    },
    /// Second round of an abort, or the end of an attempt that wrote nothing here: let go of the locks.
    #[n(19)]
    Release {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
    },
    /// A part of a transaction cannot go on; the whole attempt dies.
    #[n(20)]
    Doom {
        /// The attempt.
        #[n(0)]
        attempt: AttemptId,
        /// Why.
        #[n(1)]
        reason: DoomReason,
    },
    /// Who does `target` wait for? Follows a possible circle of turns.
    #[n(21)]
    Probe(#[n(0)] Probe),
    /// The receiver's waiting operation is the one of a circle that gives way.
    #[n(22)]
    Deadlock {
        /// The operation.
        #[n(0)]
        operation: InvocationId,
        /// The circle, for people.
        #[n(1)]
        cycle: Vec<String>,
    },
    /// Attempts of the sender's older epochs, and those of its current one that began before it heard of the receiver's,
    /// are frozen everywhere.
    #[n(23)]
    Quiet {
        /// The sender's epoch.
        #[n(0)]
        epoch: u64,
        /// The receiver's epoch that it has heard of.
        #[n(1)]
        heard: u64,
    },
}

/// Bodies of durable messages.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum DurableBody {
    /// A call (with a parent) or a send (without).
    #[n(0)]
    Call {
        /// Id of the invocation to make.
        #[n(0)]
        id: InvocationId,
        /// The call.
        #[n(1)]
        call: Call,
    },
    /// The result of a call.
    #[n(1)]
    Result(#[n(0)] CallResult),
    /// Cancel an invocation.
    #[n(2)]
    Cancel {
        /// Which.
        #[n(0)]
        id: InvocationId,
    },
}

/// The result of a call.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct CallResult {
    /// The callee.
    #[n(0)]
    pub child: InvocationId,
    /// Who waits for it.
    #[n(1)]
    pub parent: Parent,
    /// The result.
    #[n(2)]
    pub outcome: Outcome,
}

/// Lock modes: of cells (shared, exclusive) and, by intention, of a dict field's membership (Gray et al., 1976).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum LockMode {
    /// Reads some entries of the field.
    #[n(0)]
    IntentionShared,
    /// Writes, inserts or deletes some entries of the field.
    #[n(1)]
    IntentionExclusive,
    /// Reads the cell, or the whole field.
    #[n(2)]
    Shared,
    /// Writes the cell, or the whole field.
    #[n(3)]
    Exclusive,
}

/// A request for cells of one partition, all in one go.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct LockRequest {
    /// The attempt.
    #[n(0)]
    pub attempt: AttemptId,
    /// Its age.
    #[n(1)]
    pub age: Age,
    /// The invocation whose step asks.
    #[n(2)]
    pub step: InvocationId,
    /// The attempt holds something already.
    #[n(3)]
    pub holds: bool,
    /// What it wants.
    #[n(4)]
    pub wants: Vec<(CellKey, LockMode)>,
    /// Home of the attempt.
    #[n(5)]
    pub home: PartitionId,
    /// Part of a transaction: locks are retained at the step's end.
    #[n(6)]
    pub transaction: bool,
}

/// A granted cell's content.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct GrantedCell {
    /// The stored row, encoded.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub row: Vec<u8>,
}

/// A call inside a transaction.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct InnerCall {
    /// The attempt.
    #[n(0)]
    pub attempt: AttemptId,
    /// Home of the attempt.
    #[n(1)]
    pub home: PartitionId,
    /// Id of the child.
    #[n(2)]
    pub id: InvocationId,
    /// The call.
    #[n(3)]
    pub call: Call,
    /// The attempt may hold cells already, or ask for others at the same time.
    #[n(4)]
    pub holds: bool,
}

/// The result of a call inside a transaction.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct InnerResult {
    /// The attempt.
    #[n(0)]
    pub attempt: AttemptId,
    /// The result.
    #[n(1)]
    pub result: CallResult,
    /// Partitions on which the call, with all that it called, holds cells.
    #[n(2)]
    pub participants: Vec<PartitionId>,
    /// A joined part aborted: the exception.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub doom: Option<Vec<u8>>,
}

/// A participant's answer to *prepare*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Vote {
    /// Logged, with writes.
    #[n(0)]
    Prepared,
    /// No writes; the locks stand.
    #[n(1)]
    Stands,
    /// The attempt is unknown here, or frozen.
    #[n(2)]
    Refused,
    /// Its writes and messages here are over a record's limit.
    #[n(3)]
    TooLarge,
}

/// Why an attempt dies.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum DoomReason {
    /// A lock conflict; [`Message::BlockersGone`] follows.
    #[n(0)]
    Conflict {
        /// What the step wanted.
        #[n(0)]
        wants: Vec<(CellKey, LockMode)>,
        /// Where.
        #[n(1)]
        partition: PartitionId,
    },
    /// A worker died with a part of it.
    #[n(1)]
    WorkerLost,
    /// A part of it killed its workers again and again, or departed from its journal: park the root.
    #[n(2)]
    Poison(#[n(0)] String),
}

/// A probe along waiting operations (Chandy, Misra and Haas, 1983).
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Probe {
    /// The waiting operation that began it.
    #[n(0)]
    pub initiator: InvocationId,
    /// Who is asked.
    #[n(1)]
    pub target: InvocationId,
    /// Waiting operations passed so far: age of the chain, operation, text.
    #[n(2)]
    pub path: Vec<(Age, InvocationId, String)>,
    /// Hops left.
    #[n(3)]
    pub hops: u32,
}

/// An exception as it travels: encoded as a tuple value of these six, see [`Exception::from_value`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exception {
    /// Qualified class: `builtins.ValueError`, `app.SoldOut`.
    pub class: String,
    /// `str(exception)`.
    pub message: String,
    /// Traceback text at the user's lines.
    pub traceback: String,
}

impl Exception {
    /// The encoded tuple `(class, args, attributes, notes, traceback, message)` of an exception made by the server.
    pub fn encode(class: &str, message: &str) -> Vec<u8> {
        use crate::Value;
        let text = |s: &str| Value::Str(s.to_owned());
        let tuple = Value::Tuple(vec![
            text(class),
            Value::Tuple(vec![text(message)]),
            Value::Dict(vec![]),
            Value::List(vec![]),
            text(""),
            text(message),
        ]);
        crate::msgpack::encode(&tuple).expect("a tuple of texts can be encoded")
    }

    /// Reads an exception's value; what is not one becomes an exception that says so.
    pub fn from_value(bytes: &[u8]) -> Self {
        use crate::Value;
        let text = |value: Option<&Value>| match value {
            Some(Value::Str(s)) => s.clone(),
            _ => String::new(),
        };
        match crate::msgpack::decode(bytes) {
            Ok(Value::Tuple(items)) => {
                Self { class: text(items.first()), message: text(items.get(5)), traceback: text(items.get(4)) }
            }
            _ => Self {
                class: "sostenuto.CallError".into(),
                message: "unreadable exception".into(),
                traceback: String::new(),
            },
        }
    }
}
