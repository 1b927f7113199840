//! Cell keys: canonical bytes that are equal exactly if Python counts the keys as one dict entry.
//!
//! Not for reading back: the key as first inserted is stored beside the value. The bytes of one key are never a prefix
//! of another's, so they may be the end of a storage key; their order means nothing.
//!
//! - Numbers of every type (bool, int, float, Decimal, complex without imaginary part) are compared exactly: one form
//!   for `1`, `True`, `1.0`, `Decimal("1.0")`. NaN, which equals nothing, is refused.
//! - `str` and `bytes` differ; tuples compare in order; frozensets are sorted.
//! - Aware datetimes and times count as instants, naive ones as what they show; `fold` is ignored, as Python does.
//! - Enum members and dataclasses compare by registered name and content. (`IntEnum` and `StrEnum` members cannot be
//!   told from others here: they count as members, not as their values.)
//! - Lists, dicts and sets are refused, as in Python.

pub(crate) mod iso;
pub(crate) mod number;

use crate::limits::DEPTH_MAX;
use crate::msgpack;
use crate::value::Value;

/// The longest canonical key; stores hold keys up to 64 KiB with their prefixes.
pub const KEY_BYTES_MAX: usize = 32 * 1024;

/// What a key's bytes begin with. Append only.
mod tag {
    pub(super) const NONE: u8 = 1;
    /// An integer of 64 bits.
    pub(super) const INT: u8 = 2;
    /// Any other finite number.
    pub(super) const NUMBER: u8 = 3;
    pub(super) const INFINITY: u8 = 4;
    pub(super) const MINUS_INFINITY: u8 = 5;
    pub(super) const COMPLEX: u8 = 6;
    pub(super) const STR: u8 = 7;
    pub(super) const BYTES: u8 = 8;
    pub(super) const TUPLE: u8 = 9;
    pub(super) const FROZEN_SET: u8 = 10;
    pub(super) const DATE_TIME_AWARE: u8 = 11;
    pub(super) const DATE_TIME_NAIVE: u8 = 12;
    pub(super) const DATE: u8 = 13;
    pub(super) const TIME_AWARE: u8 = 14;
    pub(super) const TIME_NAIVE: u8 = 15;
    pub(super) const TIME_DELTA: u8 = 16;
    pub(super) const UUID: u8 = 17;
    pub(super) const ENUM: u8 = 18;
    pub(super) const RECORD: u8 = 19;
}

/// A value that cannot be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Python would not take it either.
    #[error("unhashable type: '{kind}'")]
    Unhashable {
        /// Name of its type.
        kind: &'static str,
    },
    /// NaN.
    #[error("NaN cannot be a key: it is not equal to itself")]
    NaN,
    /// A text that its type would not give.
    #[error("{text:?} is no {kind}")]
    Malformed {
        /// Name of the type.
        kind: &'static str,
        /// The text.
        text: String,
    },
    /// Too long.
    #[error("the key is too large (its canonical form may have {KEY_BYTES_MAX} bytes)")]
    TooLarge,
    /// Nested too deep.
    #[error("the key is nested deeper than {DEPTH_MAX} containers")]
    TooDeep,
    /// An enum member's value has no encoding.
    #[error(transparent)]
    Unencodable(#[from] msgpack::Unencodable),
    /// The bytes to take the key from are no value.
    #[error(transparent)]
    Msgpack(#[from] msgpack::Error),
}

/// The canonical bytes of a key.
pub fn canonical(value: &Value) -> Result<Vec<u8>, KeyError> {
    let mut out = Vec::with_capacity(32);
    put(value, &mut out, 0)?;
    Ok(out)
}

/// The canonical bytes of a key that is given as msgpack.
pub fn canonical_of_msgpack(bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
    canonical(&msgpack::decode(bytes)?)
}

fn put(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), KeyError> {
    match value {
        Value::None => out.push(tag::NONE),
        Value::Bool(value) => number::put_int(i64::from(*value), out),
        Value::Int(value) => number::put_int(*value, out),
        Value::BigInt(value) => number::put_big(value, out)?,
        Value::Float(value) => number::put_float(*value, out)?,
        Value::Decimal(text) => number::put_decimal(text, out)?,
        Value::Complex(re, im) if *im == 0.0 => number::put_float(*re, out)?,
        Value::Complex(re, im) => {
            out.push(tag::COMPLEX);
            number::put_float(*re, out)?;
            number::put_float(*im, out)?;
        }
        Value::Str(text) => put_bytes(tag::STR, text.as_bytes(), out)?,
        Value::Bytes(bytes) => put_bytes(tag::BYTES, bytes, out)?,
        Value::DateTime(text) => put_date_time(text, out)?,
        Value::Date(text) => {
            let days = iso::date(text).ok_or_else(|| malformed("date", text))?;
            out.push(tag::DATE);
            put_signed(i128::from(days), out);
        }
        Value::Time(text) => put_time(text, out)?,
        Value::TimeDelta(days, seconds, micros) => {
            out.push(tag::TIME_DELTA);
            let seconds = i128::from(*days) * 86_400 + i128::from(*seconds);
            put_signed(seconds * 1_000_000 + i128::from(*micros), out);
        }
        Value::Uuid(bytes) => {
            out.push(tag::UUID);
            out.extend_from_slice(bytes);
        }
        Value::Tuple(_) | Value::FrozenSet(_) | Value::Record(..) | Value::Enum(..) if depth == DEPTH_MAX => {
            return Err(KeyError::TooDeep);
        }
        Value::Tuple(items) => {
            put_length(tag::TUPLE, items.len(), out);
            items.iter().try_for_each(|item| put(item, out, depth + 1))?;
        }
        Value::FrozenSet(items) => put_set(items, out, depth + 1)?,
        Value::Record(name, fields) => put_record(name, fields, out, depth + 1)?,
        Value::Enum(name, member) => {
            put_bytes(tag::ENUM, name.as_bytes(), out)?;
            // A member is one object, whose value has one encoding; it need not be hashable.
            let member = msgpack::encode(member)?;
            put_unsigned(member.len() as u128, out);
            out.extend_from_slice(&member);
        }
        Value::List(_) => return Err(KeyError::Unhashable { kind: "list" }),
        Value::Dict(_) => return Err(KeyError::Unhashable { kind: "dict" }),
        Value::Set(_) => return Err(KeyError::Unhashable { kind: "set" }),
    }
    if out.len() > KEY_BYTES_MAX { Err(KeyError::TooLarge) } else { Ok(()) }
}

fn put_set(items: &[Value], out: &mut Vec<u8>, depth: usize) -> Result<(), KeyError> {
    let mut elements = Vec::new();
    let mut len = 0;
    for item in items {
        let mut element = Vec::new();
        put(item, &mut element, depth)?;
        len += element.len();
        if len > KEY_BYTES_MAX {
            return Err(KeyError::TooLarge);
        }
        elements.push(element);
    }
    elements.sort_unstable();
    elements.dedup();
    put_length(tag::FROZEN_SET, elements.len(), out);
    elements.iter().for_each(|element| out.extend_from_slice(element));
    Ok(())
}

fn put_record(name: &str, fields: &[(String, Value)], out: &mut Vec<u8>, depth: usize) -> Result<(), KeyError> {
    put_bytes(tag::RECORD, name.as_bytes(), out)?;
    put_unsigned(fields.len() as u128, out);
    fields.iter().try_for_each(|(field, value)| {
        put_bytes(tag::STR, field.as_bytes(), out)?;
        put(value, out, depth)
    })
}

fn put_date_time(text: &str, out: &mut Vec<u8>) -> Result<(), KeyError> {
    let (days, time) = iso::date_time(text).ok_or_else(|| malformed("datetime", text))?;
    let micros = i128::from(days) * i128::from(iso::DAY_MICROS) + i128::from(time.micros);
    put_instant([tag::DATE_TIME_NAIVE, tag::DATE_TIME_AWARE], micros, time.offset, out);
    Ok(())
}

fn put_time(text: &str, out: &mut Vec<u8>) -> Result<(), KeyError> {
    let time = iso::time(text).ok_or_else(|| malformed("time", text))?;
    put_instant([tag::TIME_NAIVE, tag::TIME_AWARE], i128::from(time.micros), time.offset, out);
    Ok(())
}

fn put_instant([naive, aware]: [u8; 2], micros: i128, offset: Option<i64>, out: &mut Vec<u8>) {
    out.push(if offset.is_some() { aware } else { naive });
    put_signed(micros - i128::from(offset.unwrap_or(0)), out);
}

fn malformed(kind: &'static str, text: &str) -> KeyError {
    KeyError::Malformed { kind, text: text.chars().take(60).collect() }
}

fn put_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), KeyError> {
    if bytes.len() > KEY_BYTES_MAX {
        return Err(KeyError::TooLarge);
    }
    put_length(tag, bytes.len(), out);
    out.extend_from_slice(bytes);
    Ok(())
}

fn put_length(tag: u8, len: usize, out: &mut Vec<u8>) {
    out.push(tag);
    put_unsigned(len as u128, out);
}

/// Seven bits a byte, the lowest first; the last byte is below 128.
fn put_unsigned(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Signs alternate: 0, -1, 1, -2, ….
fn put_signed(value: i128, out: &mut Vec<u8>) {
    put_unsigned(((value << 1) ^ (value >> 127)) as u128, out);
}
