//! How a list field lies in cells, so that its ends and its elements cost the same at any length: a *header*
//! `[start, tail chunk, tail]` under the key `None`, and chunks of [`CHUNK_LEN`] elements under their numbers. Elements
//! have positions from `start` on, which moves when the list grows or shrinks at its beginning; chunk *n* holds those of
//! the positions from *n* · [`CHUNK_LEN`] on that exist. The last chunk is the tail, which lies in the header: a short
//! list is one cell. If methods hold elements while they wait, elements that can be changed have names, which say what
//! became of them: a chunk is then a tuple of its elements and a list of their names (`None` for the others), and the
//! header has the names of its elements at its end. The worker (`lists.py`) writes this form; who shows a field reads it
//! here.

use crate::{Value, msgpack};

/// Positions of a chunk.
pub const CHUNK_LEN: i64 = 64;

/// The header's key: `None`, as canonical msgpack.
pub const HEADER_KEY: [u8; 1] = [0xc0];

/// What a header says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// Position of the first element.
    pub start: i64,
    /// Number of the chunk whose elements are in `tail`.
    pub tail_chunk: i64,
    /// The elements of the last chunk.
    pub tail: Vec<Value>,
}

impl Header {
    /// Reads a header; `None` if it is none.
    pub fn decode(encoded: &[u8]) -> Option<Self> {
        let Ok(Value::List(parts)) = msgpack::decode(encoded) else { return None };
        let mut parts = parts.into_iter();
        let (start, tail_chunk, tail) = (parts.next()?, parts.next()?, parts.next()?);
        let (Value::Int(start), Value::Int(tail_chunk), Value::List(tail)) = (start, tail_chunk, tail) else {
            return None;
        };
        let is_one = matches!((parts.next(), parts.next()), (None | Some(Value::List(_)), None));
        is_one.then_some(Self { start, tail_chunk, tail })
    }

    /// Number of elements.
    pub fn len(&self) -> i64 {
        self.tail_chunk.saturating_mul(CHUNK_LEN).max(self.start) + self.tail.len() as i64 - self.start
    }

    /// Has the list no elements?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of the chunks that are cells of their own.
    pub fn chunks(&self) -> std::ops::Range<i64> {
        self.start.div_euclid(CHUNK_LEN).min(self.tail_chunk)..self.tail_chunk
    }

    /// Chunk and place in it of the element at an index (negative: from the end); `None` beyond the list.
    pub fn place(&self, index: i64) -> Option<(i64, usize)> {
        let index = if index < 0 { index.checked_add(self.len())? } else { index };
        if !(0..self.len()).contains(&index) {
            return None;
        }
        let position = self.start + index;
        let chunk = position.div_euclid(CHUNK_LEN);
        Some((chunk, (position - self.start.max(chunk * CHUNK_LEN)) as usize))
    }
}

/// The elements of a chunk that is a cell of its own; `None` if it is none.
pub fn elements(encoded: &[u8]) -> Option<Vec<Value>> {
    match msgpack::decode(encoded) {
        Ok(Value::List(elements)) => Some(elements),
        Ok(Value::Tuple(parts)) => match <[Value; 2]>::try_from(parts) {
            Ok([Value::List(elements), Value::List(_)]) => Some(elements),
            _ => None,
        },
        _ => None,
    }
}

/// The chunk of the element at an index, in a list that begins at 0; `None` for an index from the end.
pub fn chunk_of(index: i64) -> Option<i64> {
    (index >= 0).then_some(index / CHUNK_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_left_out() {
        let list = |items: &[i64]| Value::List(items.iter().copied().map(Value::Int).collect());
        let header = |parts: &[Value]| Header::decode(&msgpack::encode(&Value::List(parts.to_vec())).unwrap());
        let parts = [Value::Int(3), Value::Int(0), list(&[1, 2]), list(&[7, 8])];
        let plain = Some(Header { start: 3, tail_chunk: 0, tail: vec![Value::Int(1), Value::Int(2)] });
        assert_eq!((header(&parts[..3]), header(&parts)), (plain.clone(), plain));
        assert_eq!(header(&[&parts[..], &parts[..1]].concat()), None);
        assert_eq!((header(&parts[..2]), header(&[])), (None, None));
        let chunk = |value: Value| elements(&msgpack::encode(&value).unwrap());
        let plain = Some(vec![Value::Int(1), Value::Int(2)]);
        assert_eq!((chunk(list(&[1, 2])), chunk(Value::Tuple(parts[2..].to_vec()))), (plain.clone(), plain));
        assert_eq!((chunk(Value::Tuple(parts.to_vec())), chunk(Value::None)), (None, None));
    }

    #[test]
    fn places() {
        let header = Header { start: 60, tail_chunk: 2, tail: vec![Value::None; 3] };
        assert_eq!(header.len(), 4 + 64 + 3);
        assert_eq!(header.chunks(), 0..2);
        assert_eq!(header.place(0), Some((0, 0)));
        assert_eq!(header.place(4), Some((1, 0)));
        assert_eq!(header.place(68), Some((2, 0)));
        assert_eq!(header.place(-1), Some((2, 2)));
        assert_eq!(header.place(71), None);
        assert_eq!(header.place(-72), None);
        let before_zero = Header { start: -3, tail_chunk: 0, tail: vec![Value::None] };
        assert_eq!((before_zero.chunks(), before_zero.len()), (-1..0, 4));
        assert_eq!(before_zero.place(0), Some((-1, 0)));
        assert_eq!(before_zero.place(3), Some((0, 0)));
        let within_tail = Header { start: 70, tail_chunk: 1, tail: vec![Value::None] };
        assert_eq!((within_tail.chunks(), within_tail.len()), (1..1, 1));
        assert_eq!(within_tail.place(0), Some((1, 0)));
        assert!(Header { start: 70, tail_chunk: 1, tail: Vec::new() }.is_empty());
    }
}
