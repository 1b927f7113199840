//! Values that a worker process keeps, so that the server sends a name in place of a large value.
//!
//! A name stands for content, not for a cell, and what it stands for never changes: so it does not matter who wrote a
//! value, or whether what wrote it came to nothing. The server decides what is kept; a worker gives up what it is told to.
//! Names of the server are even, those of the worker odd.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Builder;

/// What the server knows of the values that one worker keeps. Of these it keeps the bytes as well, and the ones that were
/// not used for the longest time go first.
#[derive(Debug)]
pub struct Resident {
    bytes_min: usize,
    bytes_max: usize,
    bytes: usize,
    entries: HashMap<Arc<[u8]>, Entry, Xxh3Builder>,
    /// By when they were last used.
    used: BTreeMap<u64, Arc<[u8]>>,
    clock: u64,
    next: u64,
    /// Names that the worker has not been told to give up.
    forgotten: Vec<u64>,
    /// Values that are first sent in the frame that is being written.
    sent: Vec<Arc<[u8]>>,
    /// This frame has a name in it.
    names: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    name: u64,
    used: u64,
}

/// How a value is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// As it is.
    Plain,
    /// With a name, under which it is kept.
    New(u64),
    /// By its name.
    Named(u64),
}

impl Resident {
    /// Values of at least `bytes_min` bytes are kept, and at most `bytes_max` bytes of them.
    pub fn new(bytes_min: usize, bytes_max: usize) -> Self {
        Self {
            bytes_min,
            bytes_max,
            bytes: 0,
            entries: HashMap::default(),
            used: BTreeMap::new(),
            clock: 0,
            next: 0,
            forgotten: Vec::new(),
            sent: Vec::new(),
            names: false,
        }
    }

    /// Nothing is kept.
    pub fn none() -> Self {
        Self::new(usize::MAX, 0)
    }

    fn keeps(&self, value: &[u8]) -> bool {
        (self.bytes_min..=self.bytes_max).contains(&value.len())
    }

    /// How this value goes into the frame that is being written.
    pub(super) fn send(&mut self, value: &[u8]) -> Sent {
        if !self.keeps(value) {
            return Sent::Plain;
        }
        self.names = true;
        if let Some(name) = self.touch(value) {
            return Sent::Named(name);
        }
        let name = self.next;
        self.next += 2;
        let value = self.insert(value, name);
        self.sent.push(value);
        Sent::New(name)
    }

    /// The worker keeps this value under this name.
    pub(super) fn written(&mut self, value: &[u8], name: u64) {
        if !self.keeps(value) {
            return self.forgotten.push(name);
        }
        self.remove(value);
        self.insert(value, name);
    }

    /// The name of a value, which counts as used now.
    fn touch(&mut self, value: &[u8]) -> Option<u64> {
        let entry = self.entries.get_mut(value)?;
        let value = self.used.remove(&entry.used)?;
        self.clock += 1;
        entry.used = self.clock;
        self.used.insert(self.clock, value);
        Some(entry.name)
    }

    fn insert(&mut self, value: &[u8], name: u64) -> Arc<[u8]> {
        let value: Arc<[u8]> = value.into();
        self.clock += 1;
        self.bytes += value.len();
        self.entries.insert(Arc::clone(&value), Entry { name, used: self.clock });
        self.used.insert(self.clock, Arc::clone(&value));
        while self.bytes > self.bytes_max
            && let Some((_, oldest)) = self.used.first_key_value()
        {
            let oldest = Arc::clone(oldest);
            self.remove(&oldest);
        }
        value
    }

    fn remove(&mut self, value: &[u8]) {
        if let Some(Entry { name, used }) = self.entries.remove(value) {
            self.used.remove(&used);
            self.bytes -= value.len();
            self.forgotten.push(name);
        }
    }

    /// What the worker must be told at the end of the frame: names that it gives up. `None`: nothing, and the frame names
    /// nothing either.
    pub(super) fn news(&self) -> Option<&[u64]> {
        (self.names || !self.forgotten.is_empty()).then_some(&self.forgotten)
    }

    /// The frame was written.
    pub(super) fn frame_ends(&mut self) {
        self.forgotten.clear();
        self.sent.clear();
        self.names = false;
    }

    /// The frame could not be written: the worker has nothing of what is new in it.
    pub(super) fn frame_fails(&mut self) {
        for value in std::mem::take(&mut self.sent) {
            self.remove(&value);
        }
        self.names = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(number: u8) -> Vec<u8> {
        vec![number; 10]
    }

    #[test]
    fn a_value_is_sent_once_and_named_then() {
        let mut resident = Resident::new(10, 30);
        assert_eq!(resident.send(&[1; 9]), Sent::Plain);
        assert_eq!(resident.send(&[1; 31]), Sent::Plain);
        assert_eq!(resident.news(), None);
        assert_eq!(resident.send(&value(1)), Sent::New(0));
        assert_eq!(resident.send(&value(1)), Sent::Named(0));
        assert_eq!(resident.news(), Some([].as_slice()));
        resident.frame_ends();
        assert_eq!(resident.news(), None);
        assert_eq!(resident.send(&value(1)), Sent::Named(0));
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes() {
        let mut resident = Resident::new(10, 30);
        for number in 0..3 {
            resident.send(&value(number));
        }
        resident.send(&value(0));
        resident.written(&value(3), 1);
        assert_eq!(resident.news(), Some([2].as_slice()));
        resident.frame_ends();
        assert_eq!(resident.send(&value(0)), Sent::Named(0));
        assert_eq!(resident.send(&value(3)), Sent::Named(1));
        assert_eq!(resident.send(&value(1)), Sent::New(6));
        assert_eq!(resident.news(), Some([4].as_slice()));
        assert_eq!((resident.bytes, resident.entries.len(), resident.used.len()), (30, 3, 3));
    }

    #[test]
    fn what_a_worker_wrote_takes_the_place_of_what_it_was_sent() {
        let mut resident = Resident::new(10, 30);
        resident.send(&value(1));
        resident.frame_ends();
        resident.written(&value(1), 5);
        // Not kept here, so not there.
        resident.written(&[0; 31], 7);
        assert_eq!(resident.news(), Some([0, 7].as_slice()));
        assert_eq!(resident.send(&value(1)), Sent::Named(5));
    }

    #[test]
    fn what_is_new_in_a_frame_that_fails_was_not_sent() {
        let mut resident = Resident::new(10, 20);
        resident.send(&value(1));
        resident.frame_ends();
        resident.send(&value(1));
        resident.send(&value(2));
        resident.send(&value(3));
        resident.frame_fails();
        // The first one had to go for the others, and the worker has not heard of that.
        assert_eq!(resident.send(&value(1)), Sent::New(6));
        assert_eq!(resident.news(), Some([0, 2, 4].as_slice()));
    }
}
