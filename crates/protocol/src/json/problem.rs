//! What is wrong with a JSON value, and where.

use std::fmt;

use serde_json::Value as Json;

use super::write::quote;

/// Values are shown up to this many characters.
const SHOWN_MAX: usize = 40;

/// A JSON value that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// Where in the value: `.clients[2]`; empty for the value itself.
    pub path: String,
    /// What is wrong there.
    pub what: Mismatch,
}

/// Why a JSON value does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It has another type, or another form than its type asks for.
    #[error("expected {expected}, got {got}")]
    Type {
        /// The type in Python's spelling, with the form in JSON where that says more.
        expected: String,
        /// What came, shortened.
        got: String,
    },
    /// A dataclass lacks a field.
    #[error("{record} lacks the field `{field}`")]
    MissingField {
        /// The dataclass.
        record: String,
        /// The field.
        field: String,
    },
    /// A dataclass has no such field.
    #[error("{record} has no field `{field}`")]
    UnknownField {
        /// The dataclass.
        record: String,
        /// The name that came.
        field: String,
    },
    /// Two names of an object are one key of the dict.
    #[error("two names are the same dict key")]
    SameKey,
    /// An element of a set, or a key, that Python would not take.
    #[error("{0}")]
    Key(#[from] crate::key::KeyError),
    /// A number that its type cannot hold.
    #[error("the number {got} is out of range for {expected}")]
    Range {
        /// The type.
        expected: String,
        /// The number, shortened.
        got: String,
    },
    /// An object with a `$` name that is no tag.
    #[error("no such tag: {got} (a dict with names that begin with `$` is written {{\"$dict\": [[key, value], …]}})")]
    Tag {
        /// What came, shortened.
        got: String,
    },
    /// Nested too deep.
    #[error("nested deeper than {} containers", crate::limits::DEPTH_MAX)]
    TooDeep,
    /// A type with unions offers too many ways to read the value.
    #[error("there are too many ways to read this as its type")]
    Ambiguous,
}

impl Problem {
    pub(super) fn here(what: Mismatch) -> Self {
        Self { path: String::new(), what }
    }

    pub(super) fn expected(expected: impl Into<String>, json: &Json) -> Self {
        Self::here(Mismatch::Type { expected: expected.into(), got: shown(json) })
    }

    pub(super) fn range(expected: impl Into<String>, json: &Json) -> Self {
        Self::here(Mismatch::Range { expected: expected.into(), got: shortened(&json.to_string()) })
    }

    pub(super) fn too_deep() -> Self {
        Self::here(Mismatch::TooDeep)
    }

    /// The problem seen from the array around it.
    pub(super) fn at_index(mut self, index: usize) -> Self {
        self.path.insert_str(0, &format!("[{index}]"));
        self
    }

    /// The problem seen from the object around it.
    pub(super) fn at_name(mut self, name: &str) -> Self {
        let is_plain = !name.is_empty() && name.chars().all(|c| c == '_' || c.is_alphanumeric());
        let step = if is_plain { format!(".{}", shortened(name)) } else { format!("[{}]", quote(&shortened(name))) };
        self.path.insert_str(0, &step);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { self.what.fmt(f) } else { write!(f, "`{}`: {}", self.path, self.what) }
    }
}

/// Kind and beginning of a JSON value, in Python's words.
pub(super) fn shown(json: &Json) -> String {
    match json {
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "bool True".to_owned(),
        Json::Bool(false) => "bool False".to_owned(),
        Json::Number(number) => {
            let text = number.as_str();
            format!("{} {}", if super::untyped::is_int(text) { "int" } else { "float" }, shortened(text))
        }
        Json::String(text) => format!("str {}", quote(&shortened(text))),
        Json::Array(items) => format!("list of {}", counted(items.len(), "item")),
        Json::Object(members) => match members.keys().next() {
            Some(name) => format!("dict of {}, first {}", counted(members.len(), "entry"), quote(&shortened(name))),
            None => "dict of 0 entries".to_owned(),
        },
    }
}

fn counted(count: usize, word: &str) -> String {
    match (count, word.strip_suffix('y')) {
        (1, _) => format!("1 {word}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {word}s"),
    }
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
