//! Tokens of marshal version 2, appended to a buffer, byte for byte as CPython writes them.

use num_bigint::{BigInt, Sign};

use crate::msgpack::Unencodable;

/// Bits of a digit of a long.
pub(super) const DIGIT_BITS: u32 = 15;

/// The largest digit of a long.
pub(super) const DIGIT_MAX: u16 = 0x7fff;

pub(crate) fn none(out: &mut Vec<u8>) {
    out.push(b'N');
}

pub(crate) fn ellipsis(out: &mut Vec<u8>) {
    out.push(b'.');
}

pub(crate) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.push(if value { b'T' } else { b'F' });
}

pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
    match i32::try_from(value) {
        Ok(small) => put(out, b'i', &small.to_le_bytes()),
        Err(_) => long(out, value < 0, value.unsigned_abs()),
    }
}

pub(crate) fn uint(out: &mut Vec<u8>, value: u64) {
    match i64::try_from(value) {
        Ok(value) => int(out, value),
        Err(_) => long(out, false, value),
    }
}

/// An integer beyond 64 bits; one that fits must go through [`int`] or [`uint`].
pub(crate) fn big(out: &mut Vec<u8>, value: &BigInt) -> Result<(), Unencodable> {
    let (sign, words) = value.to_u32_digits();
    let bits = usize::try_from(value.bits()).map_err(|_| Unencodable::IntTooLarge)?;
    let digits = bits.div_ceil(DIGIT_BITS as usize);
    let count = signed(length(digits)?, sign == Sign::Minus);
    put(out, b'l', &count.to_le_bytes());
    let (mut window, mut filled, mut words) = (0_u64, 0, words.into_iter());
    for _ in 0..digits {
        if filled < DIGIT_BITS {
            window |= u64::from(words.next().unwrap_or(0)) << filled;
            filled += u32::BITS;
        }
        out.extend_from_slice(&((window as u16) & DIGIT_MAX).to_le_bytes());
        window >>= DIGIT_BITS;
        filled -= DIGIT_BITS;
    }
    Ok(())
}

pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    put(out, b'g', &value.to_bits().to_le_bytes());
}

pub(crate) fn complex(out: &mut Vec<u8>, re: f64, im: f64) {
    put(out, b'y', &re.to_bits().to_le_bytes());
    out.extend_from_slice(&im.to_bits().to_le_bytes());
}

pub(crate) fn str(out: &mut Vec<u8>, text: &str) -> Result<(), Unencodable> {
    header(out, b'u', text.len())?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Unencodable> {
    header(out, b's', bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// Starts a `bytes` object; its content is what is written until [`end_bytes`].
pub(crate) fn begin_bytes(out: &mut Vec<u8>) -> usize {
    put(out, b's', &[0; 4]);
    out.len()
}

pub(crate) fn end_bytes(out: &mut [u8], start: usize) -> Result<(), Unencodable> {
    let len = length(out.len() - start)?;
    out[start - 4..start].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

pub(crate) fn tuple(out: &mut Vec<u8>, len: usize) -> Result<(), Unencodable> {
    header(out, b'(', len)
}

pub(crate) fn list(out: &mut Vec<u8>, len: usize) -> Result<(), Unencodable> {
    header(out, b'[', len)
}

pub(crate) fn begin_dict(out: &mut Vec<u8>) {
    out.push(b'{');
}

pub(crate) fn end_dict(out: &mut Vec<u8>) {
    out.push(b'0');
}

/// The header of a set (`<`) or frozenset (`>`); elements follow, sorted by their bytes, as CPython does since 3.11.
pub(crate) fn set(out: &mut Vec<u8>, frozen: bool, len: usize) -> Result<(), Unencodable> {
    header(out, if frozen { b'>' } else { b'<' }, len)
}

/// The beginning of an extension value: a tuple of `...`, the code, and `rest` more items.
pub(crate) fn extension(out: &mut Vec<u8>, code: u8, rest: usize) -> Result<(), Unencodable> {
    tuple(out, 2 + rest)?;
    ellipsis(out);
    int(out, i64::from(code));
    Ok(())
}

fn long(out: &mut Vec<u8>, negative: bool, mut magnitude: u64) {
    let digits = (u64::BITS - magnitude.leading_zeros()).div_ceil(DIGIT_BITS);
    put(out, b'l', &signed(digits as i32, negative).to_le_bytes());
    for _ in 0..digits {
        out.extend_from_slice(&((magnitude as u16) & DIGIT_MAX).to_le_bytes());
        magnitude >>= DIGIT_BITS;
    }
}

fn signed(count: i32, negative: bool) -> i32 {
    if negative { -count } else { count }
}

fn header(out: &mut Vec<u8>, kind: u8, len: usize) -> Result<(), Unencodable> {
    put(out, kind, &length(len)?.to_le_bytes());
    Ok(())
}

fn length(len: usize) -> Result<i32, Unencodable> {
    i32::try_from(len).map_err(|_| Unencodable::TooLong)
}

fn put(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend_from_slice(bytes);
}
