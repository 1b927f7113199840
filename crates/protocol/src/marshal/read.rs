//! Tokens of marshal version 2, borrowed. Only the type bytes of plain data are known: code objects, references and
//! everything else are refused here. Lengths are checked against what is there before anything is allocated.

use num_bigint::{BigInt, BigUint, Sign};

use super::Error;
use super::write::{DIGIT_BITS, DIGIT_MAX};
use crate::msgpack::INT_BYTES_MAX;

/// One token; the elements of a container follow it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    None,
    Bool(bool),
    Ellipsis,
    Int(i64),
    /// Beyond 64 bits.
    Long(Long<'a>),
    Float(f64),
    Complex(f64, f64),
    /// Not yet checked to be UTF-8, see [`text`].
    Str(&'a [u8]),
    Bytes(&'a [u8]),
    Tuple(usize),
    List(usize),
    /// Keys and values until [`Token::End`].
    Dict,
    End,
    Set(usize),
    FrozenSet(usize),
}

/// The digits of an integer beyond 64 bits, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Long<'a> {
    negative: bool,
    digits: &'a [[u8; 2]],
}

/// A position in marshal bytes.
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

    /// A reader of a `bytes` object's content, which ends at the position of `outer`.
    pub(crate) fn within(content: &'a [u8], outer: &Self) -> Self {
        Self { bytes: content, at: 0, base: outer.offset() - content.len() }
    }

    /// Offset in the whole.
    pub(crate) fn offset(&self) -> usize {
        self.base + self.at
    }

    /// Refuses bytes after the value.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(Error::Trailing { offset: self.offset() }) }
    }

    /// True if the next token is `...`.
    pub(crate) fn at_ellipsis(&self) -> bool {
        self.bytes.get(self.at) == Some(&b'.')
    }

    /// Takes the end of a dict, if it is next.
    pub(crate) fn take_end(&mut self) -> bool {
        let found = self.bytes.get(self.at) == Some(&b'0');
        self.at += usize::from(found);
        found
    }

    pub(crate) fn token(&mut self) -> Result<Token<'a>, Error> {
        let offset = self.offset();
        let [kind] = self.array::<1>()?;
        Ok(match kind {
            b'N' => Token::None,
            b'F' => Token::Bool(false),
            b'T' => Token::Bool(true),
            b'.' => Token::Ellipsis,
            b'i' => Token::Int(i64::from(i32::from_le_bytes(self.array()?))),
            b'l' => self.long(offset)?,
            b'g' => Token::Float(f64::from_bits(u64::from_le_bytes(self.array()?))),
            b'y' => Token::Complex(
                f64::from_bits(u64::from_le_bytes(self.array()?)),
                f64::from_bits(u64::from_le_bytes(self.array()?)),
            ),
            b'u' => self.length().and_then(|len| self.take(len)).map(Token::Str)?,
            b's' => self.length().and_then(|len| self.take(len)).map(Token::Bytes)?,
            b'(' => self.count().map(Token::Tuple)?,
            b'[' => self.count().map(Token::List)?,
            b'{' => Token::Dict,
            b'0' => Token::End,
            b'<' => self.count().map(Token::Set)?,
            b'>' => self.count().map(Token::FrozenSet)?,
            _ => return Err(Error::Type { byte: kind, offset }),
        })
    }

    fn long(&mut self, offset: usize) -> Result<Token<'a>, Error> {
        let count = i32::from_le_bytes(self.array()?);
        let len = count.unsigned_abs() as usize;
        if len > (INT_BYTES_MAX * 8).div_ceil(DIGIT_BITS as usize) {
            return Err(Error::IntTooLarge { offset });
        }
        let (digits, _) = self.take(len * 2)?.as_chunks::<2>();
        let is_zero_led = digits.last() == Some(&[0, 0]);
        if is_zero_led || digits.iter().any(|&digit| u16::from_le_bytes(digit) > DIGIT_MAX) {
            return Err(Error::Digits { offset });
        }
        let long = Long { negative: count < 0, digits };
        Ok(long.small().map_or(Token::Long(long), Token::Int))
    }

    fn length(&mut self) -> Result<usize, Error> {
        let offset = self.offset();
        usize::try_from(i32::from_le_bytes(self.array()?)).map_err(|_| Error::Length { offset })
    }

    /// A number of elements, each of at least one byte, which must be there.
    fn count(&mut self) -> Result<usize, Error> {
        let len = self.length()?;
        if len > self.bytes.len() - self.at {
            return Err(Error::Truncated { offset: self.base + self.bytes.len() });
        }
        Ok(len)
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

impl Long<'_> {
    /// The value, if it fits 64 bits.
    fn small(&self) -> Option<i64> {
        if self.digits.len() > 5 {
            return None;
        }
        let magnitude = self
            .digits
            .iter()
            .rev()
            .fold(0_i128, |sum, &digit| (sum << DIGIT_BITS) | i128::from(u16::from_le_bytes(digit)));
        i64::try_from(if self.negative { -magnitude } else { magnitude }).ok()
    }

    /// The value.
    pub(crate) fn big(&self) -> BigInt {
        let mut words = Vec::with_capacity(self.digits.len() / 2 + 1);
        let (mut window, mut filled) = (0_u64, 0);
        for &digit in self.digits {
            window |= u64::from(u16::from_le_bytes(digit)) << filled;
            filled += DIGIT_BITS;
            if filled >= u32::BITS {
                words.push(window as u32);
                window >>= u32::BITS;
                filled -= u32::BITS;
            }
        }
        words.push(window as u32);
        let sign = if self.negative { Sign::Minus } else { Sign::Plus };
        BigInt::from_biguint(sign, BigUint::new(words))
    }
}

/// The text of a [`Token::Str`] that `reader` has just read.
pub(crate) fn text<'a>(bytes: &'a [u8], reader: &Reader<'a>) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let bad = error.valid_up_to();
        let offset = reader.offset() - bytes.len() + bad;
        match bytes[bad..] {
            [0xed, 0xa0..=0xbf, ..] => Error::Surrogate { offset },
            _ => Error::Utf8 { offset },
        }
    })
}
