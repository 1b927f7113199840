//! What ends a method without a value: an exception, as it travels between services in any language.

use std::any::type_name;
use std::fmt;

use protocol::{Value, msgpack};

/// Class of an aborted transaction's exception.
pub(crate) const ABORTED: &str = "sostenuto.Aborted";
/// Class of a cancellation.
pub(crate) const CANCELLED: &str = "asyncio.exceptions.CancelledError";
/// Class of a time limit's exception.
pub(crate) const TIMED_OUT: &str = "builtins.TimeoutError";
/// Class of a misuse of transactions.
pub(crate) const TRANSACTION: &str = "sostenuto.TransactionError";
/// Class of values that cannot be stored or sent.
pub(crate) const NOT_STORABLE: &str = "sostenuto.NotStorable";
/// Class of arguments that a method does not take.
pub(crate) const TYPE_ERROR: &str = "builtins.TypeError";
/// Class of a panic.
pub(crate) const PANIC: &str = "rust.Panic";

/// The result of a method or call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An exception: a class, a message, and where it was raised.
///
/// Every [`std::error::Error`] becomes one by `?`: its class is its type's path (`shop.SoldOut` for `shop::SoldOut`),
/// its message what it displays, with its sources as notes. Over a call it arrives as this type again; a Python caller
/// gets the exception class of that name if it has one, else `CallError`.
#[derive(Clone, PartialEq)]
pub struct Error(Box<Parts>);

/// What it is made of; apart, so that results stay small.
#[derive(Clone, Default, PartialEq)]
struct Parts {
    class: String,
    args: Vec<Value>,
    attributes: Vec<(Value, Value)>,
    notes: Vec<String>,
    traceback: String,
    message: String,
}

impl Error {
    /// An exception of this class (`shop.SoldOut`).
    pub fn new(class: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let args = vec![Value::Str(message.clone())];
        Self(Box::new(Parts { class: class.into(), args, message, ..Parts::default() }))
    }

    /// The qualified class.
    pub fn class(&self) -> &str {
        &self.0.class
    }

    /// The class without its module.
    pub fn kind(&self) -> &str {
        self.0.class.rsplit('.').next().unwrap_or(&self.0.class)
    }

    /// The text of the exception.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it was raised, if that is known.
    pub fn traceback(&self) -> &str {
        &self.0.traceback
    }

    /// Further remarks.
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// The same with a remark.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.0.notes.push(note.into());
        self
    }

    /// A transaction was aborted, by [`crate::abort`] or because a part of it was.
    pub fn is_aborted(&self) -> bool {
        self.0.class == ABORTED
    }

    /// The invocation was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.class == CANCELLED
    }

    /// A [`crate::timeout`] has passed.
    pub fn is_timeout(&self) -> bool {
        self.0.class == TIMED_OUT
    }

    pub(crate) fn with_traceback(mut self, text: String) -> Self {
        self.0.traceback = text;
        self
    }

    /// The exception's value: `(class, args, attributes, notes, traceback, message)`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let text = |text: &str| Value::Str(text.to_owned());
        let tuple = |args: &[Value]| {
            Value::Tuple(vec![
                text(&self.0.class),
                Value::Tuple(args.to_vec()),
                Value::Dict(self.0.attributes.clone()),
                Value::List(self.0.notes.iter().map(|note| text(note)).collect()),
                text(&self.0.traceback),
                text(&self.0.message),
            ])
        };
        // Arguments that came in a value one level less deep may be nested too deeply here.
        msgpack::encode(&tuple(&self.0.args))
            .or_else(|_| msgpack::encode(&tuple(&[text(&self.0.message)])))
            .unwrap_or_else(|_| protocol::message::Exception::encode(&self.0.class, &self.0.message))
    }

    /// Reads an exception's value; what is not one becomes an exception that says so.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let text = |value: &Value| match value {
            Value::Str(text) => text.clone(),
            _ => String::new(),
        };
        let Ok(Value::Tuple(parts)) = msgpack::decode(bytes) else {
            return Self::new("sostenuto.CallError", "an exception that cannot be read");
        };
        let [class, Value::Tuple(args), attributes, notes, traceback, message] = parts.as_slice() else {
            return Self::new("sostenuto.CallError", "an exception that cannot be read");
        };
        Self(Box::new(Parts {
            class: text(class),
            args: args.clone(),
            attributes: if let Value::Dict(entries) = attributes { entries.clone() } else { Vec::new() },
            notes: if let Value::List(notes) = notes { notes.iter().map(text).collect() } else { Vec::new() },
            traceback: text(traceback),
            message: text(message),
        }))
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut made = Self::new(class_of::<E>(), error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            made.0.notes.push(format!("caused by: {cause}"));
            source = cause.source();
        }
        made
    }
}

/// `shop.SoldOut` for `shop::SoldOut<'_, T>`.
fn class_of<E>() -> String {
    let name = type_name::<E>();
    let plain = name.split('<').next().unwrap_or(name);
    plain.replace("::", ".")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.message.is_empty() {
            f.write_str(self.kind())
        } else {
            write!(f, "{}: {}", self.kind(), self.0.message)
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        for note in &self.0.notes {
            write!(f, "\n{note}")?;
        }
        if self.0.traceback.is_empty() { Ok(()) } else { write!(f, "\n{}", self.0.traceback) }
    }
}
