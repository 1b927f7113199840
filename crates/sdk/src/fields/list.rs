//! A field that is a list in chunks, stored as `protocol::list` says: its ends and its elements cost the same at any
//! length.

use std::marker::PhantomData;
use std::ops::Range;

use protocol::list::{self, CHUNK_LEN, HEADER_KEY, Header};
use protocol::manifest::FieldKind;
use protocol::{Value, msgpack};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Initial, Lent, Part, beginning_with, name_of, not_storable};
use crate::cells::FieldIndex;
use crate::describe::Member;
use crate::run;
use crate::storable::Storable;
use crate::value;

/// More chunks than this are fetched together with the whole list.
const SINGLY_MAX: i64 = 4;

/// A persistent list. `push`, `pop`, `get`, `set`, `len` and what is done at its beginning touch one or two cells
/// however long it is; `insert` and `remove` elsewhere rewrite what follows; `iter` and `clear` take all of it.
#[derive(Debug)]
pub struct List<T> {
    field: FieldIndex,
    of: PhantomData<fn() -> T>,
}

impl<T: Storable> List<T> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        usize::try_from(header(self.field).len()).unwrap_or_default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the element at an index.
    pub fn get(&self, index: usize) -> Option<T> {
        let header = header(self.field);
        let (number, place) = header.place(i64::try_from(index).ok()?)?;
        chunk(self.field, &header, number).into_iter().nth(place).map(|value| self.load(value))
    }

    /// A copy of the first element.
    pub fn first(&self) -> Option<T> {
        self.get(0)
    }

    /// A copy of the last element.
    pub fn last(&self) -> Option<T> {
        self.get(self.len().checked_sub(1)?)
    }

    /// Copies of all elements in order. Reads the whole list.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<T> {
        let header = header(self.field);
        let values = from_chunk(self.field, &header, header.chunks().start);
        let field = self.field;
        values.into_iter().map(move |value| load(field, value))
    }

    /// Adds an element at the end.
    pub fn push(&mut self, value: T) {
        self.extend([value]);
    }

    /// Adds elements at the end.
    pub fn extend(&mut self, values: impl IntoIterator<Item = T>) {
        let values: Option<Vec<_>> = values.into_iter().map(|value| stored(self.field, &value)).collect();
        let Some(values) = values.filter(|values| !values.is_empty()) else { return };
        let mut header = header(self.field);
        let mut elements = std::mem::take(&mut header.tail);
        elements.extend(values);
        rewrite(self.field, &header, header.tail_chunk, elements);
    }

    /// Takes the last element out.
    pub fn pop(&mut self) -> Option<T> {
        let mut header = header(self.field);
        if header.is_empty() {
            return None;
        }
        if header.tail.is_empty() {
            let number = header.tail_chunk - 1;
            header.tail = chunk(self.field, &header, number);
            header.tail_chunk = number;
            run::write(self.field, Some(&key(number)), None);
        }
        let value = header.tail.pop()?;
        put_header(self.field, header);
        Some(self.load(value))
    }

    /// Stores another element in the place of the one at an index.
    ///
    /// # Panics
    ///
    /// Beyond the end.
    pub fn set(&mut self, index: usize, value: T) {
        if let Some(value) = stored(self.field, &value) {
            put_element(self.field, index, value);
        }
    }

    /// Lends the element at an index, to be changed in place.
    pub fn get_mut(&mut self, index: usize) -> Option<Lent<'_, T>> {
        let value = self.get(index)?;
        Some(Lent::of_element(self.field, index, value))
    }

    /// Puts an element before the one at an index, or at the end. What follows is rewritten, unless it is put at the
    /// beginning.
    ///
    /// # Panics
    ///
    /// Beyond the end.
    pub fn insert(&mut self, index: usize, value: T) {
        let mut header = header(self.field);
        let len = usize::try_from(header.len()).unwrap_or_default();
        assert!(index <= len, "insert at {index} into a list of {len} elements");
        if index == len {
            return self.push(value);
        }
        let Some(value) = stored(self.field, &value) else { return };
        if index == 0 && !header.chunks().is_empty() {
            let number = (header.start - 1).div_euclid(CHUNK_LEN);
            let mut elements = match header.start.rem_euclid(CHUNK_LEN) {
                0 => Vec::new(),
                _ => chunk(self.field, &header, number),
            };
            elements.insert(0, value);
            put_chunk(self.field, number, elements);
            header.start -= 1;
            return put_header(self.field, header);
        }
        self.rewrite_from(&header, index, |elements, place| elements.insert(place, value));
    }

    /// Takes out the element at an index. What follows is rewritten, unless it is the first.
    ///
    /// # Panics
    ///
    /// Beyond the end.
    pub fn remove(&mut self, index: usize) -> T {
        let mut header = header(self.field);
        let len = usize::try_from(header.len()).unwrap_or_default();
        assert!(index < len, "remove at {index} from a list of {len} elements");
        if index == 0 && !header.chunks().is_empty() {
            let number = header.chunks().start;
            let mut elements = chunk(self.field, &header, number);
            let value = elements.remove(0);
            match elements.is_empty() {
                true => run::write(self.field, Some(&key(number)), None),
                false => put_chunk(self.field, number, elements),
            }
            header.start += 1;
            put_header(self.field, header);
            return self.load(value);
        }
        let mut removed = None;
        self.rewrite_from(&header, index, |elements, place| removed = Some(elements.remove(place)));
        self.load(removed.expect("the index is within the list"))
    }

    /// Keeps the first `len` elements.
    pub fn truncate(&mut self, len: usize) {
        let header = header(self.field);
        if len == 0 {
            return self.clear();
        }
        if i64::try_from(len).is_ok_and(|len| len < header.len()) {
            self.rewrite_from(&header, len, Vec::truncate);
        }
    }

    /// Takes all elements out.
    pub fn clear(&mut self) {
        let header = header(self.field);
        need(self.field, header.chunks());
        forget(self.field, header.chunks());
        put_header(self.field, Header::default());
    }

    /// Changes the elements from the chunk on that has the one at an index, whose place there is told.
    fn rewrite_from(&self, header: &Header, index: usize, change: impl FnOnce(&mut Vec<Value>, usize)) {
        let place = i64::try_from(index).ok().and_then(|index| header.place(index));
        let Some((number, place)) = place else { return };
        let mut elements = from_chunk(self.field, header, number);
        change(&mut elements, place);
        rewrite(self.field, header, number, elements);
    }

    fn load(&self, value: Value) -> T {
        load(self.field, value)
    }
}

/// A stored element as its type; if it is of another, the method ends with an error that says so.
fn load<T: DeserializeOwned>(field: FieldIndex, value: Value) -> T {
    match value::from_value(value) {
        Ok(value) => value,
        Err(mismatch) => panic!("{} holds an element of another type: {mismatch}", name_of(field)),
    }
}

/// The stored form of an element; without one the invocation ends.
fn stored<T: Serialize>(field: FieldIndex, value: &T) -> Option<Value> {
    value::to_value(value).map_err(|mismatch| not_storable(field, "an element of ", &mismatch)).ok()
}

/// Stores another element at an index.
pub(super) fn put_element(field: FieldIndex, index: usize, value: Value) {
    let mut header = header(field);
    let place = i64::try_from(index).ok().and_then(|index| header.place(index));
    let Some((number, place)) = place else { panic!("set at {index} in a list of {} elements", header.len()) };
    if number == header.tail_chunk {
        header.tail[place] = value;
        return put_header(field, header);
    }
    let mut elements = chunk(field, &header, number);
    elements[place] = value;
    put_chunk(field, number, elements);
}

fn key(number: i64) -> Vec<u8> {
    msgpack::encode(&Value::Int(number)).expect("an integer can be encoded")
}

fn header(field: FieldIndex) -> Header {
    let found = run::read(field, Some(&HEADER_KEY), |held| match held {
        Some(bytes) => Header::decode(bytes),
        None => list::elements(&run::initial(field)).map(|tail| Header { tail, ..Header::default() }),
    });
    found.unwrap_or_else(|| panic!("{} holds no list", name_of(field)))
}

/// The elements of a chunk that exists.
fn chunk(field: FieldIndex, header: &Header, number: i64) -> Vec<Value> {
    if number == header.tail_chunk {
        return header.tail.clone();
    }
    let held = run::read(field, Some(&key(number)), |held| held.and_then(list::elements));
    held.unwrap_or_else(|| panic!("{} lacks a part of its list", name_of(field)))
}

/// All elements from the beginning of a chunk on.
fn from_chunk(field: FieldIndex, header: &Header, first: i64) -> Vec<Value> {
    need(field, first..header.tail_chunk);
    (first..=header.tail_chunk).flat_map(|number| chunk(field, header, number)).collect()
}

/// Gets cells that will be used at once, if they are many.
fn need(field: FieldIndex, numbers: Range<i64>) {
    if numbers.end - numbers.start > SINGLY_MAX {
        run::scan(field);
    }
}

fn put(field: FieldIndex, key: &[u8], value: &Value) {
    match msgpack::encode(value) {
        Ok(bytes) => run::write(field, Some(key), Some(bytes)),
        Err(error) => not_storable(field, "", &value::Mismatch(error.to_string())),
    }
}

fn put_header(field: FieldIndex, header: Header) {
    // An empty list begins anew.
    let Header { start, tail_chunk, tail } = if header.is_empty() { Header::default() } else { header };
    put(field, &HEADER_KEY, &Value::List(vec![Value::Int(start), Value::Int(tail_chunk), Value::List(tail)]));
}

/// Writes a chunk that is a cell of its own, whose lock is taken by looking at it.
fn put_chunk(field: FieldIndex, number: i64, elements: Vec<Value>) {
    run::read(field, Some(&key(number)), |_| ());
    put(field, &key(number), &Value::List(elements));
}

fn forget(field: FieldIndex, numbers: Range<i64>) {
    for number in numbers {
        run::read(field, Some(&key(number)), |_| ());
        run::write(field, Some(&key(number)), None);
    }
}

/// Makes these all elements from the beginning of a chunk on.
fn rewrite(field: FieldIndex, header: &Header, first: i64, mut elements: Vec<Value>) {
    let mut number = first;
    let mut position = header.start.max(first * CHUNK_LEN);
    loop {
        let room = usize::try_from((number + 1) * CHUNK_LEN - position).unwrap_or_default();
        if elements.len() <= room {
            break;
        }
        let rest = elements.split_off(room);
        put_chunk(field, number, std::mem::replace(&mut elements, rest));
        number += 1;
        position = number * CHUNK_LEN;
    }
    forget(field, number..header.tail_chunk);
    put_header(field, Header { start: header.start, tail_chunk: number, tail: elements });
}

impl<T: Storable> Part for List<T> {
    fn describe() -> Member {
        Member::Field {
            kind: FieldKind::List,
            // An empty list.
            initial: vec![0x90],
            reads: &["len", "is_empty", "get", "first", "last"],
            wholes: &["iter"],
            scans: &["iter"],
        }
    }

    fn open(index: u16) -> Self {
        Self { field: index, of: PhantomData }
    }
}

impl<T: Storable> Initial<Vec<T>> for List<T> {
    fn begin_with(value: Vec<T>) -> Member {
        let max = CHUNK_LEN as usize;
        assert!(value.len() <= max, "#[initial(…)]: a list begins with at most {max} elements; add others in a method");
        beginning_with(Self::describe(), &value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_encoded_as_described() {
        let Member::Field { initial, .. } = List::<u8>::describe() else { panic!("a field") };
        assert_eq!(initial, msgpack::encode(&Value::List(Vec::new())).unwrap());
    }
}
