//! A partition's rows at this moment: the overlay over the state.

use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};

use engine::RowValue;
use protocol::{PartitionId, Position};
use store::{State, StateError};

use super::overlay::{Newest, Part};

/// Reads one partition and remembers the newest position that an answer rests on.
pub(crate) struct View<'a> {
    state: &'a dyn State,
    overlay: &'a Part,
    partition: PartitionId,
    newest: Position,
}

impl<'a> View<'a> {
    pub(crate) fn new(state: &'a dyn State, overlay: &'a Part, partition: PartitionId) -> Self {
        Self { state, overlay, partition, newest: Position(0) }
    }

    /// What was read so far must not leave the log's durability domain before this position is durable.
    pub(crate) fn newest(&self) -> Position {
        self.newest
    }

    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.overlay.get(key) {
            Some(version) => {
                self.newest = self.newest.max(version.position);
                Ok(version.value.as_ref().map(RowValue::encode))
            }
            None => self.state.get(self.partition.0, key),
        }
    }

    /// Calls `row` for each row of `[from, to)` in ascending order until it breaks.
    pub(crate) fn scan(
        &mut self,
        from: &[u8],
        to: &[u8],
        mut row: impl FnMut(Vec<u8>, Vec<u8>) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        if from >= to {
            return Ok(());
        }
        let mut stored = self.state.range(self.partition.0, from, Some(to))?.peekable();
        let mut fresh = self.overlay.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))).peekable();
        loop {
            let Some((key, value)) = next(&mut stored, &mut fresh, &mut self.newest)? else { return Ok(()) };
            if let Some(value) = value
                && row(key, value).is_break()
            {
                return Ok(());
            }
        }
    }
}

type Merged = Option<(Vec<u8>, Option<Vec<u8>>)>;

/// The next row of both in ascending order; a fresh one hides the stored one with its key.
fn next<'a>(
    stored: &mut Peekable<impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StateError>>>,
    fresh: &mut Peekable<impl Iterator<Item = (&'a Vec<u8>, &'a Newest)>>,
    newest: &mut Position,
) -> Result<Merged, StateError> {
    if let Some(Err(error)) = stored.peek() {
        return Err(error.clone());
    }
    let first_stored = stored.peek().and_then(|entry| entry.as_ref().ok()).map(|(key, _)| key);
    let take_stored = match (first_stored, fresh.peek()) {
        (None, None) => return Ok(None),
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (Some(old), Some((new, _))) => old < *new,
    };
    if take_stored {
        let entry = stored.next().transpose()?;
        return Ok(entry.map(|(key, value)| (key, Some(value))));
    }
    let Some((key, version)) = fresh.next() else { return Ok(None) };
    stored.next_if(|entry| entry.as_ref().is_ok_and(|(old, _)| old == key)).transpose()?;
    *newest = (*newest).max(version.position);
    Ok(Some((key.clone(), version.value.as_ref().map(RowValue::encode))))
}

#[cfg(test)]
mod tests {
    use engine::RowChange;
    use store::memory::MemoryState;

    use super::*;
    use crate::rows::{Overlay, Row};

    fn fixture() -> (MemoryState, Overlay) {
        let state = MemoryState::new(1);
        let put = |key: &[u8]| (key.to_vec(), Some(b"old".to_vec()));
        state.apply(0, 1, &[put(b"a"), put(b"c"), put(b"e"), put(b"g")]).unwrap();
        let mut overlay = Overlay::new(1);
        for (position, key, value) in [(2, b"b", Some("new")), (3, b"c", Some("new")), (4, b"e", None)] {
            let change = value.map_or(RowChange::Delete, |text| RowChange::Put(RowValue::Bytes(text.into())));
            overlay.put(Row::new(Position(position), PartitionId(0), key.to_vec(), change));
        }
        (state, overlay)
    }

    fn keys(view: &mut View<'_>, from: &[u8], to: &[u8]) -> String {
        let mut text = String::new();
        let collect = |key: Vec<u8>, value: Vec<u8>| {
            text.push_str(&format!("{}={} ", String::from_utf8_lossy(&key), String::from_utf8_lossy(&value)));
            ControlFlow::Continue(())
        };
        view.scan(from, to, collect).unwrap();
        text
    }

    #[test]
    fn a_scan_merges_and_hides_what_is_deleted() {
        let (state, overlay) = fixture();
        let mut view = View::new(&state, overlay.part(PartitionId(0)), PartitionId(0));
        assert_eq!(keys(&mut view, b"a", b"z"), "a=old b=new c=new g=old ");
        assert_eq!(view.newest(), Position(4));
        assert_eq!(keys(&mut view, b"b", b"c"), "b=new ");
        assert_eq!(keys(&mut view, b"z", b"a"), "");
    }

    #[test]
    fn a_read_says_what_it_rests_on() {
        let (state, overlay) = fixture();
        let mut view = View::new(&state, overlay.part(PartitionId(0)), PartitionId(0));
        assert_eq!(view.get(b"a").unwrap().as_deref(), Some(b"old".as_slice()));
        assert_eq!(view.newest(), Position(0));
        assert_eq!(view.get(b"c").unwrap().as_deref(), Some(b"new".as_slice()));
        assert_eq!(view.newest(), Position(3));
        assert_eq!(view.get(b"e").unwrap(), None);
        assert_eq!(view.newest(), Position(4));
    }
}
