//! What callers of a node say and hear. Bytes of values are canonical msgpack.

use engine::Reply;
use protocol::InvocationId;
use protocol::api::State;
use protocol::problem::Code;
use protocol::worker::ValueBytes;

/// An answer about an invocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The invocation; `None` if there is none.
    pub invocation: Option<InvocationId>,
    /// What became of it.
    pub reply: Reply,
}

impl Answer {
    pub(crate) fn problem(invocation: Option<InvocationId>, code: Code, detail: impl Into<String>) -> Self {
        Self { invocation, reply: Reply::Problem { code, detail: detail.into() } }
    }
}

/// A question that cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Code.
    pub code: Code,
    /// Detail for people.
    pub detail: String,
}

impl Refusal {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// A call, checked against the manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
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
    /// Answer when accepted, not with the result.
    pub send: bool,
}

/// Which invocations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only those in one of these states; empty: all.
    pub states: Vec<State>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A place in the state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Service or entity.
    pub service: String,
    /// Entity key.
    pub key: Option<ValueBytes>,
    /// Field.
    pub field: String,
    /// Key of an entry of a dict field; without one the whole field is meant.
    pub entry: Option<ValueBytes>,
}
