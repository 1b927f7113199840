//! Types as annotations state them: enough to convert and check JSON arguments, and to know which values are mutable.

use minicbor::{Decode, Encode};

/// A type annotation. What we do not understand is [`Type::Any`], never an error.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub enum Type {
    /// No annotation, `Any`, `object`, or one that we do not model.
    #[default]
    #[n(0)]
    Any,
    /// `None`.
    #[n(1)]
    None,
    /// `bool`.
    #[n(2)]
    Bool,
    /// `int`.
    #[n(3)]
    Int,
    /// `float` (accepts ints, as Python's typing does).
    #[n(4)]
    Float,
    /// `str`.
    #[n(5)]
    Str,
    /// `bytes` (base64 in JSON).
    #[n(6)]
    Bytes,
    /// `list[T]`.
    #[n(7)]
    List(#[n(0)] Box<Type>),
    /// `dict[K, V]`.
    #[n(8)]
    Dict(#[n(0)] Box<Type>, #[n(1)] Box<Type>),
    /// `tuple[A, B]`.
    #[n(9)]
    Tuple(#[n(0)] Vec<Type>),
    /// `tuple[T, ...]`.
    #[n(10)]
    TupleOf(#[n(0)] Box<Type>),
    /// `set[T]`.
    #[n(11)]
    Set(#[n(0)] Box<Type>),
    /// `frozenset[T]`.
    #[n(12)]
    FrozenSet(#[n(0)] Box<Type>),
    /// `Optional`, `Union`, `A | B`.
    #[n(13)]
    Union(#[n(0)] Vec<Type>),
    /// `Decimal`.
    #[n(14)]
    Decimal,
    /// `datetime.datetime` (ISO 8601 text in JSON).
    #[n(15)]
    DateTime,
    /// `datetime.date`.
    #[n(16)]
    Date,
    /// `datetime.time`.
    #[n(17)]
    Time,
    /// `datetime.timedelta` (seconds in JSON).
    #[n(18)]
    TimeDelta,
    /// `uuid.UUID`.
    #[n(19)]
    Uuid,
    /// A dataclass or enum of the application, by registered name (`module.Class`).
    #[n(20)]
    Record(#[n(0)] String),
}
