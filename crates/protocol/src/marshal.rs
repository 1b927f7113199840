//! Values in Python's `marshal` format, version 2: the form of worker frames ([`crate::worker`]).
//!
//! Native types are byte for byte what `marshal.dumps(value, 2)` of CPython 3.11 writes. Kinds that `marshal` lacks are
//! tuples that begin with `Ellipsis`, which no stored value contains, and the code of [`crate::msgpack::code`]:
//!
//! | kind | tuple |
//! |---|---|
//! | `Decimal` | `(..., 4, "1.10")` |
//! | `datetime` | `(..., 5, iso)`, with `;1` appended if `fold` is set |
//! | `timedelta` | `(..., 6, days, seconds, microseconds)` |
//! | `UUID` | `(..., 7, 16 bytes)` |
//! | dataclass | `(..., 9, name, ((field, value), …))` |
//! | enum member | `(..., 10, name, value)` |
//! | `date` | `(..., 12, iso)` |
//! | `time` | `(..., 13, iso)` |
//!
//! Translation to and from canonical msgpack goes straight from bytes to bytes: no tree is built for what the engine
//! does not look at. The worker is not trusted: what it sends is read by a bounded parser that knows plain data only.

pub(crate) mod read;
pub(crate) mod write;

use crate::limits::DEPTH_MAX;
use crate::msgpack::{self, Unencodable, code};
use crate::value::Value;
use msgpack::read as packed;
use msgpack::write as pack;
use read::{Reader, Token};

/// Bytes that are not one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end too early.
    #[error("marshal ends within a value at byte {offset}")]
    Truncated {
        /// Where they end.
        offset: usize,
    },
    /// Something follows the value.
    #[error("marshal has bytes after the value from byte {offset} on")]
    Trailing {
        /// Where it begins.
        offset: usize,
    },
    /// A type byte of something that is not plain data.
    #[error("marshal holds type byte {byte:#04x} ({:?}) at byte {offset}, which is not plain data", *byte as char)]
    Type {
        /// The byte.
        byte: u8,
        /// Where it is.
        offset: usize,
    },
    /// A token that does not belong where it stands: `...` or the end of a dict.
    #[error("marshal holds an ellipsis or end of a dict at byte {offset}, where a value belongs")]
    Misplaced {
        /// Where it is.
        offset: usize,
    },
    /// A tuple that begins with `...` but is no registered extension.
    #[error("marshal holds a malformed extension value at byte {offset}")]
    Extension {
        /// Where the tuple begins.
        offset: usize,
    },
    /// A negative length.
    #[error("marshal holds a negative length at byte {offset}")]
    Length {
        /// Where it is.
        offset: usize,
    },
    /// A long whose digits Python would not write.
    #[error("marshal holds a malformed int at byte {offset}")]
    Digits {
        /// Where it begins.
        offset: usize,
    },
    /// An integer is too large.
    #[error("marshal holds an int of more than {} bytes at byte {offset}", msgpack::INT_BYTES_MAX)]
    IntTooLarge {
        /// Where it begins.
        offset: usize,
    },
    /// A text holds a lone surrogate.
    #[error("marshal holds a str with a lone surrogate at byte {offset}, which is not text and cannot be stored")]
    Surrogate {
        /// Where the surrogate is.
        offset: usize,
    },
    /// A text is not UTF-8.
    #[error("marshal holds a str at byte {offset} that is not UTF-8")]
    Utf8 {
        /// Where the first bad byte is.
        offset: usize,
    },
    /// Nested too deep.
    #[error("marshal is nested deeper than {DEPTH_MAX} containers at byte {offset}")]
    TooDeep {
        /// Where the container begins that is one too many.
        offset: usize,
    },
    /// A value without a msgpack form.
    #[error(transparent)]
    Unencodable(#[from] Unencodable),
}

/// A value that cannot be written as marshal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// It has no encoding.
    #[error(transparent)]
    Unencodable(#[from] Unencodable),
    /// The msgpack bytes to translate are not a value.
    #[error(transparent)]
    Msgpack(#[from] msgpack::Error),
}

/// The marshal bytes of a value.
pub fn encode(value: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(64);
    from_msgpack(&msgpack::encode(value)?, &mut out)?;
    Ok(out)
}

/// The value of these marshal bytes.
pub fn decode(bytes: &[u8]) -> Result<Value, Error> {
    let mut packed = Vec::with_capacity(bytes.len());
    to_msgpack(bytes, &mut packed)?;
    Ok(msgpack::decode(&packed).expect("what to_msgpack writes is a value"))
}

/// Translates marshal bytes and appends their canonical msgpack.
pub fn to_msgpack(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut reader = Reader::new(bytes);
    read_value(&mut reader, out)?;
    reader.finish()
}

/// Translates one value at the reader's position.
pub(crate) fn read_value(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    translate(reader, out, 0)
}

/// Translates canonical msgpack and appends its marshal bytes.
pub fn from_msgpack(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut reader = packed::Reader::new(bytes);
    translate_back(&mut reader, out, 0)?;
    Ok(reader.finish()?)
}

fn translate(reader: &mut Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Error> {
    let offset = reader.offset();
    match reader.token()? {
        Token::None => pack::nil(out),
        Token::Bool(value) => pack::boolean(out, value),
        Token::Int(value) => pack::int(out, value),
        Token::Long(long) => pack::big(out, &long.big())?,
        Token::Float(value) => pack::float(out, value),
        Token::Complex(re, im) => put_complex(out, re, im)?,
        Token::Str(bytes) => pack::str(out, read::text(bytes, reader)?)?,
        Token::Bytes(bytes) => pack::bin(out, bytes)?,
        Token::List(len) => {
            pack::array(out, len)?;
            let depth = deeper(depth, offset)?;
            (0..len).try_for_each(|_| translate(reader, out, depth))?;
        }
        Token::Tuple(len) if len > 0 && reader.at_ellipsis() => translate_extension(reader, out, len, offset, depth)?,
        Token::Tuple(len) => {
            let start = pack::begin_ext(out);
            pack::array(out, len)?;
            let depth = deeper(depth, offset)?;
            (0..len).try_for_each(|_| translate(reader, out, depth))?;
            pack::end_ext(out, start, code::TUPLE)?;
        }
        Token::Dict => translate_dict(reader, out, deeper(depth, offset)?)?,
        Token::Set(len) => translate_set(code::SET, reader, out, len, deeper(depth, offset)?)?,
        Token::FrozenSet(len) => translate_set(code::FROZEN_SET, reader, out, len, deeper(depth, offset)?)?,
        Token::Ellipsis | Token::End => return Err(Error::Misplaced { offset }),
    }
    Ok(())
}

fn deeper(depth: usize, offset: usize) -> Result<usize, Error> {
    if depth == DEPTH_MAX { Err(Error::TooDeep { offset }) } else { Ok(depth + 1) }
}

fn put_complex(out: &mut Vec<u8>, re: f64, im: f64) -> Result<(), Unencodable> {
    let mut payload = [0; 16];
    payload[..8].copy_from_slice(&re.to_bits().to_be_bytes());
    payload[8..].copy_from_slice(&im.to_bits().to_be_bytes());
    pack::ext(out, code::COMPLEX, &payload)
}

fn translate_dict(reader: &mut Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Error> {
    let start = out.len();
    out.push(0);
    let mut len = 0;
    while !reader.take_end() {
        translate(reader, out, depth)?;
        translate(reader, out, depth)?;
        len += 1;
    }
    Ok(pack::map_before(out, start, len)?)
}

fn translate_set(code: u8, reader: &mut Reader<'_>, out: &mut Vec<u8>, len: usize, depth: usize) -> Result<(), Error> {
    let start = pack::begin_ext(out);
    pack::array(out, len)?;
    let first = out.len();
    let mut ends = Vec::new();
    for _ in 0..len {
        translate(reader, out, depth)?;
        ends.push(out.len());
    }
    pack::sort_elements(out, first, &ends);
    Ok(pack::end_ext(out, start, code)?)
}

/// A tuple of `len` items at `offset`, of which `...` is next.
fn translate_extension(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    len: usize,
    offset: usize,
    depth: usize,
) -> Result<(), Error> {
    let bad = Error::Extension { offset };
    let Token::Ellipsis = reader.token()? else { return Err(bad) };
    if len < 3 {
        return Err(bad);
    }
    let Token::Int(code) = reader.token()? else { return Err(bad) };
    let code = u8::try_from(code).map_err(|_| bad)?;
    let start = pack::begin_ext(out);
    match (code, len) {
        (code::DECIMAL | code::DATE_TIME | code::DATE | code::TIME, 3) => {
            let Token::Str(bytes) = reader.token()? else { return Err(bad) };
            out.extend_from_slice(read::text(bytes, reader)?.as_bytes());
        }
        (code::UUID, 3) => {
            let Token::Bytes(bytes) = reader.token()? else { return Err(bad) };
            out.extend_from_slice(<&[u8; 16]>::try_from(bytes).map_err(|_| bad)?);
        }
        (code::TIME_DELTA, 5) => translate_delta(reader, out, bad)?,
        (code::RECORD, 4) => {
            translate_name(reader, out, bad)?;
            translate_fields(reader, out, bad, deeper(depth, offset)?)?;
        }
        (code::ENUM, 4) => {
            translate_name(reader, out, bad)?;
            translate(reader, out, deeper(depth, offset)?)?;
        }
        _ => return Err(bad),
    }
    Ok(pack::end_ext(out, start, code)?)
}

fn translate_delta(reader: &mut Reader<'_>, out: &mut Vec<u8>, bad: Error) -> Result<(), Error> {
    let (Token::Int(days), Token::Int(seconds), Token::Int(micros)) =
        (reader.token()?, reader.token()?, reader.token()?)
    else {
        return Err(bad);
    };
    if !msgpack::is_normal_delta(days, seconds, micros) {
        return Err(bad);
    }
    pack::array(out, 3)?;
    [days, seconds, micros].into_iter().for_each(|part| pack::int(out, part));
    Ok(())
}

/// The name of a record or enum, as the first of an array of two.
fn translate_name(reader: &mut Reader<'_>, out: &mut Vec<u8>, bad: Error) -> Result<(), Error> {
    let Token::Str(name) = reader.token()? else { return Err(bad) };
    pack::array(out, 2)?;
    Ok(pack::str(out, read::text(name, reader)?)?)
}

fn translate_fields(reader: &mut Reader<'_>, out: &mut Vec<u8>, bad: Error, depth: usize) -> Result<(), Error> {
    let Token::Tuple(len) = reader.token()? else { return Err(bad) };
    pack::map(out, len)?;
    for _ in 0..len {
        let Token::Tuple(2) = reader.token()? else { return Err(bad) };
        let Token::Str(field) = reader.token()? else { return Err(bad) };
        pack::str(out, read::text(field, reader)?)?;
        translate(reader, out, depth)?;
    }
    Ok(())
}

fn translate_back(reader: &mut packed::Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), EncodeError> {
    let offset = reader.offset();
    match reader.token()? {
        packed::Token::Nil => write::none(out),
        packed::Token::Bool(value) => write::boolean(out, value),
        packed::Token::Int(value) => write::int(out, value),
        packed::Token::Uint(value) => write::uint(out, value),
        packed::Token::Float(value) => write::float(out, value),
        packed::Token::Str(text) => write::str(out, text)?,
        packed::Token::Bin(bytes) => write::bytes(out, bytes)?,
        packed::Token::Array(len) => {
            write::list(out, len)?;
            let depth = msgpack::deeper(depth, offset)?;
            (0..len).try_for_each(|_| translate_back(reader, out, depth))?;
        }
        packed::Token::Map(len) => {
            write::begin_dict(out);
            let depth = msgpack::deeper(depth, offset)?;
            (0..2 * len).try_for_each(|_| translate_back(reader, out, depth))?;
            write::end_dict(out);
        }
        packed::Token::Ext(code, offset, payload) => extension_back(code, payload, offset, out, depth)?,
    }
    Ok(())
}

fn extension_back(code: u8, payload: &[u8], offset: usize, out: &mut Vec<u8>, depth: usize) -> Result<(), EncodeError> {
    match code {
        code::TUPLE | code::SET | code::FROZEN_SET => return sequence_back(code, payload, offset, out, depth),
        code::RECORD => return record_back(payload, offset, out, depth),
        code::ENUM => {
            let (mut reader, name) = packed::named(code, payload, offset)?;
            write::extension(out, code, 2)?;
            write::str(out, name)?;
            translate_back(&mut reader, out, msgpack::deeper(depth, offset)?)?;
            reader.finish()?;
        }
        code::DECIMAL | code::DATE_TIME | code::DATE | code::TIME => {
            write::extension(out, code, 1)?;
            write::str(out, packed::text(payload, offset)?)?;
        }
        code::UUID => {
            write::extension(out, code, 1)?;
            write::bytes(out, &packed::uuid(payload, offset)?)?;
        }
        code::TIME_DELTA => {
            let (days, seconds, micros) = packed::time_delta(payload, offset)?;
            write::extension(out, code, 3)?;
            [days, seconds, micros].into_iter().for_each(|part| write::int(out, part));
        }
        code::COMPLEX => {
            let (re, im) = packed::complex(payload, offset)?;
            write::complex(out, re, im);
        }
        code::BIG_INT => match msgpack::normal(packed::big(payload, offset)?) {
            Value::Int(small) => write::int(out, small),
            Value::BigInt(big) => write::big(out, &big)?,
            _ => return Err(msgpack::Error::Payload { code, offset }.into()),
        },
        _ => return Err(msgpack::Error::Extension { code, offset }.into()),
    }
    Ok(())
}

fn sequence_back(code: u8, payload: &[u8], offset: usize, out: &mut Vec<u8>, depth: usize) -> Result<(), EncodeError> {
    let (mut reader, len) = packed::sequence(code, payload, offset)?;
    let depth = msgpack::deeper(depth, offset)?;
    if code == code::TUPLE {
        write::tuple(out, len)?;
        (0..len).try_for_each(|_| translate_back(&mut reader, out, depth))?;
    } else {
        write::set(out, code == code::FROZEN_SET, len)?;
        let first = out.len();
        let mut ends = Vec::new();
        for _ in 0..len {
            translate_back(&mut reader, out, depth)?;
            ends.push(out.len());
        }
        pack::sort_elements(out, first, &ends);
    }
    Ok(reader.finish()?)
}

fn record_back(payload: &[u8], offset: usize, out: &mut Vec<u8>, depth: usize) -> Result<(), EncodeError> {
    let bad = msgpack::Error::Payload { code: code::RECORD, offset };
    let (mut reader, name) = packed::named(code::RECORD, payload, offset)?;
    let packed::Token::Map(len) = reader.token()? else { return Err(bad.into()) };
    let depth = msgpack::deeper(depth, offset)?;
    write::extension(out, code::RECORD, 2)?;
    write::str(out, name)?;
    write::tuple(out, len)?;
    for _ in 0..len {
        let packed::Token::Str(field) = reader.token()? else { return Err(bad.into()) };
        write::tuple(out, 2)?;
        write::str(out, field)?;
        translate_back(&mut reader, out, depth)?;
    }
    Ok(reader.finish()?)
}
