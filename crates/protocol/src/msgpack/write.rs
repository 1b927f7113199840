//! Canonical msgpack tokens, appended to a buffer: shortest forms, floats always 64 bits. What a token means is decided
//! in [`super`] and in [`crate::marshal`], which both write through here.

use num_bigint::BigInt;

use super::{INT_BYTES_MAX, Unencodable, code};

/// Room that [`begin_ext`] leaves for a header; most extension values need exactly this.
const EXT_HEADER_GUESS: usize = 3;

pub(crate) fn nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

pub(crate) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
    match value {
        0.. => uint(out, value as u64),
        -32..0 => out.push(value as u8),
        -0x80..-32 => put(out, 0xd0, &(value as i8).to_be_bytes()),
        -0x8000..-0x80 => put(out, 0xd1, &(value as i16).to_be_bytes()),
        -0x8000_0000..-0x8000 => put(out, 0xd2, &(value as i32).to_be_bytes()),
        _ => put(out, 0xd3, &value.to_be_bytes()),
    }
}

pub(crate) fn uint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x100 => put(out, 0xcc, &[value as u8]),
        0x100..0x1_0000 => put(out, 0xcd, &(value as u16).to_be_bytes()),
        0x1_0000..0x1_0000_0000 => put(out, 0xce, &(value as u32).to_be_bytes()),
        _ => put(out, 0xcf, &value.to_be_bytes()),
    }
}

pub(crate) fn big(out: &mut Vec<u8>, value: &BigInt) -> Result<(), Unencodable> {
    if let Ok(small) = i64::try_from(value) {
        int(out, small);
    } else if let Ok(unsigned) = u64::try_from(value) {
        uint(out, unsigned);
    } else {
        let bytes = value.to_signed_bytes_be();
        if bytes.len() > INT_BYTES_MAX {
            return Err(Unencodable::IntTooLarge);
        }
        ext(out, code::BIG_INT, &bytes)?;
    }
    Ok(())
}

pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    put(out, 0xcb, &value.to_bits().to_be_bytes());
}

pub(crate) fn str(out: &mut Vec<u8>, text: &str) -> Result<(), Unencodable> {
    match length(text.len())? {
        len @ 0..32 => out.push(0xa0 | len as u8),
        len @ 32..0x100 => put(out, 0xd9, &[len as u8]),
        len => sized(out, 0xda, len),
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

pub(crate) fn bin(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Unencodable> {
    match length(bytes.len())? {
        len @ 0..0x100 => put(out, 0xc4, &[len as u8]),
        len => sized(out, 0xc5, len),
    }
    out.extend_from_slice(bytes);
    Ok(())
}

pub(crate) fn array(out: &mut Vec<u8>, len: usize) -> Result<(), Unencodable> {
    match length(len)? {
        len @ 0..16 => out.push(0x90 | len as u8),
        len => sized(out, 0xdc, len),
    }
    Ok(())
}

pub(crate) fn map(out: &mut Vec<u8>, len: usize) -> Result<(), Unencodable> {
    match length(len)? {
        len @ 0..16 => out.push(0x80 | len as u8),
        len => sized(out, 0xde, len),
    }
    Ok(())
}

/// Puts a map header in the place of the byte at `start`, when the number of entries is known only now.
pub(crate) fn map_before(out: &mut Vec<u8>, start: usize, len: usize) -> Result<(), Unencodable> {
    if len < 16 {
        out[start] = 0x80 | len as u8;
        return Ok(());
    }
    let mut header = Vec::with_capacity(5);
    map(&mut header, len)?;
    out.splice(start..=start, header);
    Ok(())
}

/// An extension value whose payload is there.
pub(crate) fn ext(out: &mut Vec<u8>, code: u8, payload: &[u8]) -> Result<(), Unencodable> {
    let start = begin_ext(out);
    out.extend_from_slice(payload);
    end_ext(out, start, code)
}

/// Starts an extension value; its payload is what is written until [`end_ext`].
pub(crate) fn begin_ext(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; EXT_HEADER_GUESS]);
    start
}

/// Ends the extension value that began at `start`.
pub(crate) fn end_ext(out: &mut Vec<u8>, start: usize, code: u8) -> Result<(), Unencodable> {
    let payload = start + EXT_HEADER_GUESS;
    let len = length(out.len() - payload)?;
    match len {
        1 | 2 | 4 | 8 | 16 => {
            out[start] = 0xd4 + len.trailing_zeros() as u8;
            out[start + 1] = code;
            out.copy_within(payload.., start + 2);
            out.truncate(start + 2 + len as usize);
        }
        0..0x100 => out[start..payload].copy_from_slice(&[0xc7, len as u8, code]),
        _ => {
            let mut header = Vec::with_capacity(6);
            sized(&mut header, 0xc8, len);
            header.push(code);
            out.splice(start..payload, header);
        }
    }
    Ok(())
}

/// Sorts elements that lie one after the other from `start` on; `ends` are their ends.
pub(crate) fn sort_elements(out: &mut [u8], start: usize, ends: &[usize]) {
    let mut elements = Vec::with_capacity(ends.len());
    let mut from = start;
    for &end in ends {
        elements.push(&out[from..end]);
        from = end;
    }
    if elements.is_sorted() {
        return;
    }
    elements.sort_unstable();
    let sorted = elements.concat();
    out[start..from].copy_from_slice(&sorted);
}

fn put(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

/// A header with a length of 16 bits, or of 32 bits under the next tag.
fn sized(out: &mut Vec<u8>, tag: u8, len: u32) {
    match u16::try_from(len) {
        Ok(short) => put(out, tag, &short.to_be_bytes()),
        Err(_) => put(out, tag + 1, &len.to_be_bytes()),
    }
}

fn length(len: usize) -> Result<u32, Unencodable> {
    u32::try_from(len).map_err(|_| Unencodable::TooLong)
}
