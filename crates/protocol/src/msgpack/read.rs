//! Tokens of msgpack bytes, borrowed. Lengths are checked against what is there before anything is allocated. What a
//! token means is decided in [`super`] and in [`crate::marshal`], which both read through here.

use num_bigint::BigInt;

use super::{Error, INT_BYTES_MAX, code};

/// One token; the elements of an array or map follow it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX` only.
    Uint(u64),
    Float(f64),
    Str(&'a str),
    Bin(&'a [u8]),
    Array(usize),
    Map(usize),
    /// Code, offset of the payload, payload.
    Ext(u8, usize, &'a [u8]),
}

/// A position in msgpack bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Offset of `bytes` in the whole, for messages.
    base: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, base: 0 }
    }

    /// A reader of an extension's payload, which lies at `offset` of the whole.
    pub(crate) fn within(payload: &'a [u8], offset: usize) -> Self {
        Self { bytes: payload, at: 0, base: offset }
    }

    /// Offset in the whole.
    pub(crate) fn offset(&self) -> usize {
        self.base + self.at
    }

    /// Refuses bytes after the value.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(Error::Trailing { offset: self.offset() }) }
    }

    pub(crate) fn token(&mut self) -> Result<Token<'a>, Error> {
        let offset = self.offset();
        let [tag] = self.array::<1>()?;
        Ok(match tag {
            0x00..=0x7f => Token::Int(i64::from(tag)),
            0x80..=0x8f => self.count(usize::from(tag & 0x0f), 2).map(Token::Map)?,
            0x90..=0x9f => self.count(usize::from(tag & 0x0f), 1).map(Token::Array)?,
            0xa0..=0xbf => self.str(usize::from(tag & 0x1f))?,
            0xc0 => Token::Nil,
            0xc1 => return Err(Error::Byte { byte: tag, offset }),
            0xc2 | 0xc3 => Token::Bool(tag == 0xc3),
            0xc4..=0xc6 => self.length(tag - 0xc4).and_then(|len| self.take(len)).map(Token::Bin)?,
            0xc7..=0xc9 => self.length(tag - 0xc7).and_then(|len| self.ext(len))?,
            0xca => Token::Float(f64::from(f32::from_be_bytes(self.array()?))),
            0xcb => Token::Float(f64::from_bits(u64::from_be_bytes(self.array()?))),
            0xcc => Token::Int(i64::from(u8::from_be_bytes(self.array()?))),
            0xcd => Token::Int(i64::from(u16::from_be_bytes(self.array()?))),
            0xce => Token::Int(i64::from(u32::from_be_bytes(self.array()?))),
            0xcf => uint(u64::from_be_bytes(self.array()?)),
            0xd0 => Token::Int(i64::from(i8::from_be_bytes(self.array()?))),
            0xd1 => Token::Int(i64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => Token::Int(i64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => Token::Int(i64::from_be_bytes(self.array()?)),
            0xd4..=0xd8 => self.ext(1 << (tag - 0xd4))?,
            0xd9..=0xdb => self.length(tag - 0xd9).and_then(|len| self.str(len))?,
            0xdc | 0xdd => self.length(tag - 0xdc + 1).and_then(|len| self.count(len, 1)).map(Token::Array)?,
            0xde | 0xdf => self.length(tag - 0xde + 1).and_then(|len| self.count(len, 2)).map(Token::Map)?,
            0xe0..=0xff => Token::Int(i64::from(tag as i8)),
        })
    }

    /// A length of 1, 2 or 4 bytes.
    fn length(&mut self, width: u8) -> Result<usize, Error> {
        Ok(match width {
            0 => usize::from(u8::from_be_bytes(self.array()?)),
            1 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    /// A number of elements, each of at least `bytes_min` bytes, which must be there.
    fn count(&self, len: usize, bytes_min: usize) -> Result<usize, Error> {
        if len > (self.bytes.len() - self.at) / bytes_min {
            return Err(Error::Truncated { offset: self.base + self.bytes.len() });
        }
        Ok(len)
    }

    fn str(&mut self, len: usize) -> Result<Token<'a>, Error> {
        let offset = self.offset();
        std::str::from_utf8(self.take(len)?).map(Token::Str).map_err(|_| Error::Utf8 { offset })
    }

    fn ext(&mut self, len: usize) -> Result<Token<'a>, Error> {
        let [code] = self.array::<1>()?;
        let offset = self.offset();
        Ok(Token::Ext(code, offset, self.take(len)?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..len) else {
            return Err(Error::Truncated { offset: self.base + self.bytes.len() });
        };
        self.at += len;
        Ok(taken)
    }
}

fn uint(value: u64) -> Token<'static> {
    i64::try_from(value).map_or(Token::Uint(value), Token::Int)
}

/// The payload of [`code::BIG_INT`].
pub(crate) fn big(payload: &[u8], offset: usize) -> Result<BigInt, Error> {
    if payload.is_empty() || payload.len() > INT_BYTES_MAX {
        return Err(Error::Payload { code: code::BIG_INT, offset });
    }
    Ok(BigInt::from_signed_bytes_be(payload))
}

/// A payload that is text.
pub(crate) fn text(payload: &[u8], offset: usize) -> Result<&str, Error> {
    std::str::from_utf8(payload).map_err(|_| Error::Utf8 { offset })
}

/// The payload of [`code::UUID`].
pub(crate) fn uuid(payload: &[u8], offset: usize) -> Result<[u8; 16], Error> {
    payload.try_into().map_err(|_| Error::Payload { code: code::UUID, offset })
}

/// The payload of [`code::COMPLEX`].
pub(crate) fn complex(payload: &[u8], offset: usize) -> Result<(f64, f64), Error> {
    let (halves, rest) = payload.as_chunks::<8>();
    let ([re, im], []) = (halves, rest) else {
        return Err(Error::Payload { code: code::COMPLEX, offset });
    };
    Ok((f64::from_be_bytes(*re), f64::from_be_bytes(*im)))
}

/// The payload of [`code::TIME_DELTA`].
pub(crate) fn time_delta(payload: &[u8], offset: usize) -> Result<(i64, i64, i64), Error> {
    let bad = Error::Payload { code: code::TIME_DELTA, offset };
    let mut reader = Reader::within(payload, offset);
    if reader.token()? != Token::Array(3) {
        return Err(bad);
    }
    let (Token::Int(days), Token::Int(seconds), Token::Int(micros)) =
        (reader.token()?, reader.token()?, reader.token()?)
    else {
        return Err(bad);
    };
    reader.finish()?;
    if !super::is_normal_delta(days, seconds, micros) {
        return Err(bad);
    }
    Ok((days, seconds, micros))
}

/// The beginning of a payload that is an array: the reader behind the header, and the number of elements.
pub(crate) fn sequence(code: u8, payload: &[u8], offset: usize) -> Result<(Reader<'_>, usize), Error> {
    let mut reader = Reader::within(payload, offset);
    match reader.token()? {
        Token::Array(len) => Ok((reader, len)),
        _ => Err(Error::Payload { code, offset }),
    }
}

/// The beginning of the payload of [`code::RECORD`] or [`code::ENUM`]: an array of a name and one value.
pub(crate) fn named(code: u8, payload: &[u8], offset: usize) -> Result<(Reader<'_>, &str), Error> {
    let (mut reader, len) = sequence(code, payload, offset)?;
    match reader.token()? {
        Token::Str(name) if len == 2 => Ok((reader, name)),
        _ => Err(Error::Payload { code, offset }),
    }
}
