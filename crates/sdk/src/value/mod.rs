//! Rust values as stored values, by way of serde: what `#[derive(Serialize, Deserialize)]` says of a type is how it is
//! stored, sent and shown.
//!
//! | Rust | stored as |
//! |---|---|
//! | `bool`, integers of any size, floats, `String`, `char`, `()` | bool, int, float, str, str, None |
//! | `Option<T>` | None or the value |
//! | `Vec<T>`, sets of the standard library | list |
//! | tuples, arrays, tuple structs | tuple |
//! | maps | dict; what is a list, set or dict here is no key |
//! | a struct | dict by field name |
//! | a struct renamed to a dotted name: `#[serde(rename = "shop.Room")]` | the Python dataclass of that name |
//! | an enum | its variant's name, or `{name: content}` |
//! | [`Uuid`], [`Decimal`], [`DateTime`], [`Date`], [`Set`], [`Bytes`] | what Python calls so |
//! | [`Any`] | any value |

mod de;
mod ser;
mod types;

use protocol::{Value, msgpack};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use types::{Any, Bytes, Date, DateTime, Decimal, Set, Uuid};

use crate::error::{Error, NOT_STORABLE};

/// What serde calls the newtypes that are values of their own.
mod name {
    pub(super) const ANY: &str = "$sostenuto::Any";
    pub(super) const UUID: &str = "$sostenuto::Uuid";
    pub(super) const DECIMAL: &str = "$sostenuto::Decimal";
    pub(super) const DATE_TIME: &str = "$sostenuto::DateTime";
    pub(super) const DATE: &str = "$sostenuto::Date";
    pub(super) const SET: &str = "$sostenuto::Set";
    pub(super) const BYTES: &str = "$sostenuto::Bytes";
}

/// Why a Rust value has no stored form, or a stored value is not of a Rust type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch(pub(crate) String);

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

/// The stored value of a Rust value.
pub(crate) fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, Mismatch> {
    value.serialize(ser::Serializer)
}

/// The Rust value of a stored value.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Mismatch> {
    T::deserialize(de::Deserializer(value))
}

/// The stored bytes of a Rust value.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Mismatch> {
    msgpack::encode(&to_value(value)?).map_err(|error| Mismatch(error.to_string()))
}

/// The Rust value of stored bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Mismatch> {
    from_value(msgpack::decode(bytes).map_err(|error| Mismatch(error.to_string()))?)
}

/// An exception for a value that cannot be stored or sent.
pub(crate) fn not_storable(what: &str, mismatch: &Mismatch) -> Error {
    Error::new(NOT_STORABLE, format!("{what}: {mismatch}"))
}

#[cfg(test)]
mod tests;
