//! The values that fields, arguments and results may hold, as a tree. Encodings live beside it: [`crate::msgpack`]
//! (stored form), [`crate::marshal`] (worker frames), [`crate::json`] (HTTP), [`crate::key`] (cell keys).

use num_bigint::BigInt;

/// A Python value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `bool`.
    Bool(bool),
    /// `int` that fits 64 bits.
    Int(i64),
    /// `int` beyond 64 bits (never one that fits).
    BigInt(BigInt),
    /// `float`. Compared by bits where identity matters; see the encodings.
    Float(f64),
    /// `str`.
    Str(String),
    /// `bytes`.
    Bytes(Vec<u8>),
    /// `list`.
    List(Vec<Value>),
    /// `tuple`.
    Tuple(Vec<Value>),
    /// `dict`, in insertion order.
    Dict(Vec<(Value, Value)>),
    /// `set`; encoded sorted by encoded element.
    Set(Vec<Value>),
    /// `frozenset`; likewise.
    FrozenSet(Vec<Value>),
    /// `complex`.
    Complex(f64, f64),
    /// `decimal.Decimal`, as its text.
    Decimal(String),
    /// `datetime.datetime`, ISO 8601 as `isoformat()` gives it (with `fold` appended as `;1` if set).
    DateTime(String),
    /// `datetime.date`, ISO 8601.
    Date(String),
    /// `datetime.time`, ISO 8601.
    Time(String),
    /// `datetime.timedelta`: days, seconds, microseconds, normalised as Python does.
    TimeDelta(i64, i64, i64),
    /// `uuid.UUID`.
    Uuid([u8; 16]),
    /// A dataclass: registered name, and fields in order of definition.
    Record(String, Vec<(String, Value)>),
    /// An enum member: registered name, and the member's value.
    Enum(String, Box<Value>),
}
