//! JSON documents of the control API (`/_/…`), shared by gateway and command line.

use serde::{Deserialize, Serialize};

use crate::ids::Micros;
use crate::json::{self, Form};
use crate::key::iso;
use crate::msgpack;
use crate::value::Value;

/// States of an invocation as the API names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Taken in, not begun.
    Accepted,
    /// A step runs or is about to.
    Running,
    /// Waits, see [`Waiting`].
    Waiting,
    /// Stopped until an operator acts.
    Parked,
    /// Ended with a value.
    Completed,
    /// Ended with an exception.
    Failed,
    /// Ended by cancellation.
    Cancelled,
}

/// What an invocation waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// `lock`, `turn`, `call`, `task`, `sleep`, `worker`, `commit`, `retry`, `resume`; `restart` where there are several nodes.
    pub reason: String,
    /// What exactly: a cell, a child's id and method, a time.
    #[serde(rename = "for")]
    pub what: String,
    /// For how long, in milliseconds.
    pub age_ms: u64,
    /// What an operator can do about it.
    pub action: String,
}

/// An invocation in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// Id.
    pub id: String,
    /// Service or entity.
    pub service: String,
    /// Entity key, as JSON text would show it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Method.
    pub method: String,
    /// State.
    pub state: State,
    /// Since it was accepted, in milliseconds.
    pub age_ms: u64,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub waiting: Option<Waiting>,
}

/// A page of invocations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocations {
    /// The page.
    pub invocations: Vec<Invocation>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// One invocation in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// As in a list.
    #[serde(flatten)]
    pub invocation: Invocation,
    /// Who called it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<String>,
    /// Its home partition.
    pub partition: u16,
    /// Finished steps, oldest first.
    pub journal: Vec<JournalEntry>,
    /// Attempts of its current step or transaction, and failed runs.
    pub attempts: u64,
    /// Tasks that it has asked for and that have no result: `position: name, attempt 1 of 4, runs`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tasks: Vec<String>,
    /// Why it is parked, both sides of a departure, the last failed run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// A finished step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Index from 0.
    pub step: u64,
    /// Microseconds since the epoch.
    pub clock: u64,
    /// Positions of delivered results, in order.
    pub delivered: Vec<String>,
    /// Operations: `position: text`.
    pub operations: Vec<String>,
    /// Cells read.
    pub reads: u64,
}

/// An entity's key (msgpack) as people read and write it.
pub fn key_text(encoded: &[u8]) -> String {
    match msgpack::decode(encoded) {
        Ok(Value::Str(text)) => text,
        Ok(value) => json::write(&value, Form::Natural).unwrap_or_default().trim_matches('"').to_owned(),
        Err(_) => "?".into(),
    }
}

/// A time as people read it: `2026-01-31T23:59:00Z`.
pub fn time_text(time: Micros) -> String {
    iso::utc(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_without_quotes() {
        let shown = |value: Value| key_text(&msgpack::encode(&value).unwrap());
        assert_eq!(shown(Value::Str("al \"b\"".into())), "al \"b\"");
        assert_eq!(shown(Value::Int(7.into())), "7");
        assert_eq!(shown(Value::Uuid([0x11; 16])), "11111111-1111-1111-1111-111111111111");
    }

    #[test]
    fn times_agree_with_the_calendar() {
        const DAY: u64 = 86_400_000_000;
        assert_eq!(time_text(951_782_399_999_999), "2000-02-28T23:59:59Z");
        assert_eq!(time_text(951_782_400_000_000), "2000-02-29T00:00:00Z");
        let epoch = iso::date("1970-01-01").unwrap();
        for day in 0..80_000 {
            let text = time_text(day * DAY);
            assert_eq!(iso::date(&text[..10]).map(|found| found - epoch), Some(day as i64), "{text}");
        }
    }
}
