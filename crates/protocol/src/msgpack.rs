//! Values as canonical msgpack: the stored form, and what the engine compares and hashes.
//!
//! Canonical means: shortest forms, floats always 64 bits, sets sorted by encoded element, dicts in insertion order. An
//! integer is an `int` of msgpack from -2⁶³ to 2⁶⁴-1 and an extension value beyond. Extension codes are in [`code`];
//! they are never given another meaning. Decoding accepts longer forms and unsorted sets of other encoders (encode again
//! to get the canonical bytes) and refuses everything else that is not exactly one value.
//!
//! Containers may be nested [`DEPTH_MAX`] deep; each of list, tuple, dict, set, frozenset, record and enum is one level.

pub(crate) mod read;
pub(crate) mod write;

use num_bigint::BigInt;

use crate::limits::DEPTH_MAX;
use crate::value::Value;
use read::{Reader, Token};

/// The largest integer, in bytes of its two's complement form (some 157,000 decimal digits).
pub const INT_BYTES_MAX: usize = 64 * 1024;

/// `None`.
pub const NONE: &[u8] = &[0xc0];

/// No arguments: `([], {})`.
pub const NO_ARGS: &[u8] = &[0xc7, 3, code::TUPLE, 0x92, 0x90, 0x80];

/// Vectors are not allocated ahead beyond this many elements, whatever a header claims.
const CAPACITY_MAX: usize = 1024;

/// Extension codes.
pub mod code {
    /// `tuple`: an array.
    pub const TUPLE: u8 = 1;
    /// `set`: an array, sorted by encoded element.
    pub const SET: u8 = 2;
    /// `frozenset`: likewise.
    pub const FROZEN_SET: u8 = 3;
    /// `Decimal`: text.
    pub const DECIMAL: u8 = 4;
    /// `datetime`: ISO 8601 text.
    pub const DATE_TIME: u8 = 5;
    /// `timedelta`: an array of days, seconds, microseconds.
    pub const TIME_DELTA: u8 = 6;
    /// `UUID`: 16 bytes.
    pub const UUID: u8 = 7;
    /// `int` outside -2⁶³ … 2⁶⁴-1: two's complement, big endian, as short as possible.
    pub const BIG_INT: u8 = 8;
    /// A dataclass: an array of its name and a map of its fields.
    pub const RECORD: u8 = 9;
    /// An enum member: an array of the enum's name and the member's value.
    pub const ENUM: u8 = 10;
    /// `complex`: two big-endian 64-bit floats.
    pub const COMPLEX: u8 = 11;
    /// `date`: ISO 8601 text.
    pub const DATE: u8 = 12;
    /// `time`: ISO 8601 text.
    pub const TIME: u8 = 13;
}

/// A value that has no encoding, here or in [`crate::marshal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unencodable {
    /// Nested too deep.
    #[error("the value is nested deeper than {DEPTH_MAX} containers")]
    TooDeep,
    /// An integer is too large.
    #[error("the value contains an int of more than {INT_BYTES_MAX} bytes")]
    IntTooLarge,
    /// A string or container is too long.
    #[error("the value contains a string or container that is too long")]
    TooLong,
    /// A timedelta's parts are not normalised as Python's are.
    #[error("the value contains a timedelta that Python would not make")]
    Delta,
}

/// Bytes that are not one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end too early.
    #[error("msgpack ends within a value at byte {offset}")]
    Truncated {
        /// Where they end.
        offset: usize,
    },
    /// Something follows the value.
    #[error("msgpack has bytes after the value from byte {offset} on")]
    Trailing {
        /// Where it begins.
        offset: usize,
    },
    /// A text is not UTF-8.
    #[error("msgpack holds a text at byte {offset} that is not UTF-8")]
    Utf8 {
        /// Where the text begins.
        offset: usize,
    },
    /// A byte that begins no value.
    #[error("msgpack holds byte {byte:#04x} at byte {offset}, which begins no value")]
    Byte {
        /// The byte.
        byte: u8,
        /// Where it is.
        offset: usize,
    },
    /// An extension code that is not registered.
    #[error("msgpack holds extension {code} at byte {offset}, which is not registered")]
    Extension {
        /// The code.
        code: u8,
        /// Where its payload begins.
        offset: usize,
    },
    /// An extension's payload is malformed.
    #[error("msgpack holds a malformed payload of extension {code} at byte {offset}")]
    Payload {
        /// The code.
        code: u8,
        /// Where the payload begins.
        offset: usize,
    },
    /// Not the tuple `([…], {…})` of arguments.
    #[error("msgpack does not hold arguments: a tuple of a list and a dict with str keys")]
    Args,
    /// Nested too deep.
    #[error("msgpack is nested deeper than {DEPTH_MAX} containers at byte {offset}")]
    TooDeep {
        /// Where the container begins that is one too many.
        offset: usize,
    },
}

/// Positional and named arguments.
pub type Args = (Vec<Value>, Vec<(String, Value)>);

/// The canonical bytes of a value.
pub fn encode(value: &Value) -> Result<Vec<u8>, Unencodable> {
    let mut out = Vec::with_capacity(64);
    encode_into(value, &mut out)?;
    Ok(out)
}

/// Appends the canonical bytes of a value.
pub fn encode_into(value: &Value, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    put(value, out, 0)
}

/// The value of these bytes.
pub fn decode(bytes: &[u8]) -> Result<Value, Error> {
    let mut reader = Reader::new(bytes);
    let value = get(&mut reader, 0)?;
    reader.finish()?;
    Ok(value)
}

/// The tuple `([positional…], {name: value})`, in which arguments travel.
pub fn encode_args(positional: &[Value], named: &[(String, Value)]) -> Result<Vec<u8>, Unencodable> {
    let mut out = Vec::with_capacity(64);
    let start = write::begin_ext(&mut out);
    write::array(&mut out, 2)?;
    write::array(&mut out, positional.len())?;
    positional.iter().try_for_each(|value| put(value, &mut out, 2))?;
    put_fields(named, &mut out, 2)?;
    write::end_ext(&mut out, start, code::TUPLE)?;
    Ok(out)
}

/// The reverse of [`encode_args`].
pub fn decode_args(bytes: &[u8]) -> Result<Args, Error> {
    let Value::Tuple(pair) = decode(bytes)? else { return Err(Error::Args) };
    let Ok([Value::List(positional), Value::Dict(entries)]) = <[Value; 2]>::try_from(pair) else {
        return Err(Error::Args);
    };
    let named = entries.into_iter().map(|(key, value)| match key {
        Value::Str(name) => Ok((name, value)),
        _ => Err(Error::Args),
    });
    Ok((positional, named.collect::<Result<_, _>>()?))
}

/// True for parts that `timedelta` itself would hold.
pub(crate) fn is_normal_delta(days: i64, seconds: i64, micros: i64) -> bool {
    (-999_999_999..=999_999_999).contains(&days) && (0..86_400).contains(&seconds) && (0..1_000_000).contains(&micros)
}

fn put(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), Unencodable> {
    match value {
        Value::None => write::nil(out),
        Value::Bool(value) => write::boolean(out, *value),
        Value::Int(value) => write::int(out, *value),
        Value::BigInt(value) => write::big(out, value)?,
        Value::Float(value) => write::float(out, *value),
        Value::Str(text) => write::str(out, text)?,
        Value::Bytes(bytes) => write::bin(out, bytes)?,
        Value::Decimal(text) => write::ext(out, code::DECIMAL, text.as_bytes())?,
        Value::DateTime(text) => write::ext(out, code::DATE_TIME, text.as_bytes())?,
        Value::Date(text) => write::ext(out, code::DATE, text.as_bytes())?,
        Value::Time(text) => write::ext(out, code::TIME, text.as_bytes())?,
        Value::Uuid(bytes) => write::ext(out, code::UUID, bytes)?,
        Value::Complex(re, im) => {
            let start = write::begin_ext(out);
            out.extend_from_slice(&re.to_bits().to_be_bytes());
            out.extend_from_slice(&im.to_bits().to_be_bytes());
            write::end_ext(out, start, code::COMPLEX)?;
        }
        Value::TimeDelta(days, seconds, micros) => put_delta(*days, *seconds, *micros, out)?,
        Value::List(_)
        | Value::Tuple(_)
        | Value::Dict(_)
        | Value::Set(_)
        | Value::FrozenSet(_)
        | Value::Record(..)
        | Value::Enum(..) => {
            if depth == DEPTH_MAX {
                return Err(Unencodable::TooDeep);
            }
            put_container(value, out, depth + 1)?;
        }
    }
    Ok(())
}

fn put_container(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), Unencodable> {
    let (code, items) = match value {
        Value::List(items) => {
            write::array(out, items.len())?;
            return items.iter().try_for_each(|item| put(item, out, depth));
        }
        Value::Dict(entries) => {
            write::map(out, entries.len())?;
            return entries.iter().try_for_each(|(key, value)| {
                put(key, out, depth)?;
                put(value, out, depth)
            });
        }
        Value::Tuple(items) => (code::TUPLE, items),
        Value::Set(items) => (code::SET, items),
        Value::FrozenSet(items) => (code::FROZEN_SET, items),
        Value::Record(name, fields) => {
            let start = begin_named(name, out)?;
            put_fields(fields, out, depth)?;
            return write::end_ext(out, start, code::RECORD);
        }
        Value::Enum(name, value) => {
            let start = begin_named(name, out)?;
            put(value, out, depth)?;
            return write::end_ext(out, start, code::ENUM);
        }
        scalar => return put(scalar, out, depth),
    };
    put_items(code, items, out, depth)
}

fn put_items(code: u8, items: &[Value], out: &mut Vec<u8>, depth: usize) -> Result<(), Unencodable> {
    let start = write::begin_ext(out);
    write::array(out, items.len())?;
    let first = out.len();
    if code == code::TUPLE {
        items.iter().try_for_each(|item| put(item, out, depth))?;
    } else {
        let mut ends = Vec::with_capacity(items.len());
        for item in items {
            put(item, out, depth)?;
            ends.push(out.len());
        }
        write::sort_elements(out, first, &ends);
    }
    write::end_ext(out, start, code)
}

fn begin_named(name: &str, out: &mut Vec<u8>) -> Result<usize, Unencodable> {
    let start = write::begin_ext(out);
    write::array(out, 2)?;
    write::str(out, name)?;
    Ok(start)
}

fn put_fields(fields: &[(String, Value)], out: &mut Vec<u8>, depth: usize) -> Result<(), Unencodable> {
    write::map(out, fields.len())?;
    fields.iter().try_for_each(|(name, value)| {
        write::str(out, name)?;
        put(value, out, depth)
    })
}

fn put_delta(days: i64, seconds: i64, micros: i64, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    if !is_normal_delta(days, seconds, micros) {
        return Err(Unencodable::Delta);
    }
    let start = write::begin_ext(out);
    write::array(out, 3)?;
    [days, seconds, micros].into_iter().for_each(|part| write::int(out, part));
    write::end_ext(out, start, code::TIME_DELTA)
}

fn get(reader: &mut Reader<'_>, depth: usize) -> Result<Value, Error> {
    let offset = reader.offset();
    Ok(match reader.token()? {
        Token::Nil => Value::None,
        Token::Bool(value) => Value::Bool(value),
        Token::Int(value) => Value::Int(value),
        Token::Uint(value) => Value::BigInt(BigInt::from(value)),
        Token::Float(value) => Value::Float(value),
        Token::Str(text) => Value::Str(text.to_owned()),
        Token::Bin(bytes) => Value::Bytes(bytes.to_vec()),
        Token::Array(len) => Value::List(get_items(reader, len, deeper(depth, offset)?)?),
        Token::Map(len) => Value::Dict(get_entries(reader, len, deeper(depth, offset)?)?),
        Token::Ext(code, offset, payload) => get_ext(code, payload, offset, depth)?,
    })
}

/// One level down, unless that is one too many.
pub(crate) fn deeper(depth: usize, offset: usize) -> Result<usize, Error> {
    if depth == DEPTH_MAX { Err(Error::TooDeep { offset }) } else { Ok(depth + 1) }
}

fn get_items(reader: &mut Reader<'_>, len: usize, depth: usize) -> Result<Vec<Value>, Error> {
    let mut items = Vec::with_capacity(len.min(CAPACITY_MAX));
    for _ in 0..len {
        items.push(get(reader, depth)?);
    }
    Ok(items)
}

fn get_entries(reader: &mut Reader<'_>, len: usize, depth: usize) -> Result<Vec<(Value, Value)>, Error> {
    let mut entries = Vec::with_capacity(len.min(CAPACITY_MAX));
    for _ in 0..len {
        entries.push((get(reader, depth)?, get(reader, depth)?));
    }
    Ok(entries)
}

fn get_ext(code: u8, payload: &[u8], offset: usize, depth: usize) -> Result<Value, Error> {
    let text = || read::text(payload, offset).map(str::to_owned);
    Ok(match code {
        code::TUPLE => Value::Tuple(get_sequence(code, payload, offset, depth)?),
        code::SET => Value::Set(get_sequence(code, payload, offset, depth)?),
        code::FROZEN_SET => Value::FrozenSet(get_sequence(code, payload, offset, depth)?),
        code::DECIMAL => Value::Decimal(text()?),
        code::DATE_TIME => Value::DateTime(text()?),
        code::DATE => Value::Date(text()?),
        code::TIME => Value::Time(text()?),
        code::UUID => Value::Uuid(read::uuid(payload, offset)?),
        code::TIME_DELTA => {
            let (days, seconds, micros) = read::time_delta(payload, offset)?;
            Value::TimeDelta(days, seconds, micros)
        }
        code::BIG_INT => normal(read::big(payload, offset)?),
        code::COMPLEX => {
            let (re, im) = read::complex(payload, offset)?;
            Value::Complex(re, im)
        }
        code::RECORD => get_record(payload, offset, depth)?,
        code::ENUM => {
            let (mut reader, name) = read::named(code, payload, offset)?;
            let value = get(&mut reader, deeper(depth, offset)?)?;
            reader.finish()?;
            Value::Enum(name.to_owned(), Box::new(value))
        }
        _ => return Err(Error::Extension { code, offset }),
    })
}

fn get_sequence(code: u8, payload: &[u8], offset: usize, depth: usize) -> Result<Vec<Value>, Error> {
    let (mut reader, len) = read::sequence(code, payload, offset)?;
    let items = get_items(&mut reader, len, deeper(depth, offset)?)?;
    reader.finish()?;
    Ok(items)
}

fn get_record(payload: &[u8], offset: usize, depth: usize) -> Result<Value, Error> {
    let bad = Error::Payload { code: code::RECORD, offset };
    let (mut reader, name) = read::named(code::RECORD, payload, offset)?;
    let Token::Map(len) = reader.token()? else { return Err(bad) };
    let depth = deeper(depth, offset)?;
    let mut fields = Vec::with_capacity(len.min(CAPACITY_MAX));
    for _ in 0..len {
        let Token::Str(field) = reader.token()? else { return Err(bad) };
        fields.push((field.to_owned(), get(&mut reader, depth)?));
    }
    reader.finish()?;
    Ok(Value::Record(name.to_owned(), fields))
}

/// An integer in the variant that its size asks for.
pub(crate) fn normal(value: BigInt) -> Value {
    i64::try_from(&value).map_or(Value::BigInt(value), Value::Int)
}
