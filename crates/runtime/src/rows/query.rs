//! Answers the engine's questions ([`engine::Query`]) from a view, and scans one kind of rows over many slots.

use std::ops::{ControlFlow, Range};

use engine::Query;
use protocol::cell::{CellKey, kind};
use protocol::ids::SLOTS;
use protocol::{PartitionId, Slot};
use store::StateError;

use super::View;

/// Rows that answer a question.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// In ascending order of keys.
    pub(crate) rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// A scan went over its bound.
    pub(crate) cut: bool,
}

/// Answers `query` for a partition that owns `slots`.
pub(crate) fn answer(view: &mut View<'_>, slots: Range<u16>, query: &Query) -> Result<Rows, StateError> {
    match query {
        Query::Rows(keys) => rows(view, keys),
        Query::Field { slot, field, entity, bytes_max } => {
            let slots = slot.map_or(slots, |slot| slot.0..slot.0 + 1);
            field_rows(view, slots, *field, entity.as_deref(), *bytes_max)
        }
        Query::Range { from, to, rows_max } => range(view, from, to, *rows_max),
    }
}

/// The slots of a partition when `partitions` share them in equal ranges, as [`Slot::partition`] has it.
pub(crate) fn slots_of(partition: PartitionId, partitions: u16) -> Range<u16> {
    let first = |p: u16| (u32::from(p) * u32::from(SLOTS)).div_ceil(u32::from(partitions)) as u16;
    first(partition.0)..first(partition.0 + 1)
}

/// The first key after all that begin with `prefix`.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&0xff) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// First key of a slot's rows of `kind`.
pub(crate) fn slot_kind(slot: u16, kind: u8) -> Vec<u8> {
    let [high, low] = slot.to_be_bytes();
    vec![high, low, kind]
}

/// Calls `row` for the rows of `bounds(slot)` of each slot, in order. Slots without rows are jumped over: what is
/// found in the gap says how far, and where nothing is found the next gap is twice as wide.
pub(crate) fn skip_scan(
    view: &mut View<'_>,
    slots: Range<u16>,
    bounds: impl Fn(u16) -> (Vec<u8>, Vec<u8>),
    mut row: impl FnMut(Vec<u8>, Vec<u8>) -> ControlFlow<()>,
) -> Result<(), StateError> {
    let (mut slot, mut window) = (slots.start, 1_u16);
    while slot < slots.end {
        let (from, to) = bounds(slot);
        let window_end = slot.saturating_add(window).min(slots.end);
        let (mut beyond, mut stopped) = (None, false);
        view.scan(&from, &window_end.to_be_bytes(), |key, value| {
            if key >= to {
                beyond = Some(u16::from_be_bytes([key[0], key[1]]));
                return ControlFlow::Break(());
            }
            let flow = row(key, value);
            stopped = flow.is_break();
            flow
        })?;
        if stopped {
            return Ok(());
        }
        (slot, window) = match beyond {
            None => (window_end, window.saturating_mul(2)),
            Some(found) if found == slot => (slot + 1, 1),
            Some(found) => (found, 1),
        };
    }
    Ok(())
}

fn rows(view: &mut View<'_>, keys: &[Vec<u8>]) -> Result<Rows, StateError> {
    let mut keys: Vec<&Vec<u8>> = keys.iter().collect();
    keys.sort();
    keys.dedup();
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        if let Some(value) = view.get(key)? {
            rows.push((key.clone(), value));
        }
    }
    Ok(Rows { rows, cut: false })
}

/// All cells of a dict field in `slots`, at most `bytes_max` of them.
pub(crate) fn field_rows(
    view: &mut View<'_>,
    slots: Range<u16>,
    field: u32,
    entity: Option<&[u8]>,
    bytes_max: usize,
) -> Result<Rows, StateError> {
    let bounds = |slot| {
        let prefix = CellKey::field_prefix(Slot(slot), field, entity);
        let end = after_prefix(&prefix);
        (prefix, end)
    };
    let (mut found, mut bytes) = (Rows::default(), 0);
    skip_scan(view, slots, bounds, |key, value| {
        bytes += key.len() + value.len();
        if bytes > bytes_max {
            found.cut = true;
            return ControlFlow::Break(());
        }
        found.rows.push((key, value));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn range(view: &mut View<'_>, from: &[u8], to: &[u8], rows_max: usize) -> Result<Rows, StateError> {
    let mut found = Rows::default();
    view.scan(from, to, |key, value| {
        if found.rows.len() == rows_max {
            found.cut = true;
            return ControlFlow::Break(());
        }
        found.rows.push((key, value));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Bounds of the rows of unfinished invocations in a slot, for recovery.
pub(crate) fn unfinished(slot: u16) -> (Vec<u8>, Vec<u8>) {
    const { assert!(kind::INVOCATION < kind::STATUS && kind::STATUS < kind::JOURNAL && kind::JOURNAL < kind::DONE) };
    (slot_kind(slot, kind::INVOCATION), slot_kind(slot, kind::DONE))
}

/// Bounds of the results of tasks that no journal has yet, for recovery.
pub(crate) fn task_results(slot: u16) -> (Vec<u8>, Vec<u8>) {
    (slot_kind(slot, kind::TASK_RESULT), slot_kind(slot, kind::TASK_RESULT + 1))
}

/// Bounds of the rows of finished invocations in a slot.
pub(crate) fn finished(slot: u16) -> (Vec<u8>, Vec<u8>) {
    (slot_kind(slot, kind::DONE), slot_kind(slot, kind::DONE + 1))
}

#[cfg(test)]
mod tests {
    use store::State;
    use store::memory::MemoryState;

    use super::*;
    use crate::rows::Overlay;

    #[test]
    fn slots_agree_with_the_ids() {
        for partitions in [1, 2, 3, 4, 7, 64, 1000] {
            let mut next = 0;
            for partition in (0..partitions).map(PartitionId) {
                let slots = slots_of(partition, partitions);
                assert_eq!(slots.start, next);
                assert!(slots.clone().all(|slot| Slot(slot).partition(partitions) == partition));
                next = slots.end;
            }
            assert_eq!(next, SLOTS);
        }
    }

    #[test]
    fn a_field_is_found_in_all_its_slots_and_cut_at_its_bound() {
        let state = MemoryState::new(1);
        let cell = |slot, field, key: &[u8]| CellKey { slot: Slot(slot), field, entity: None, key: Some(key.into()) };
        let mut writes = Vec::new();
        for slot in [0, 1, 5, 6, 700, 4095] {
            for field in [1, 2, 3] {
                writes.push((cell(slot, field, &slot.to_be_bytes()).row(), Some(vec![field as u8])));
            }
        }
        state.apply(0, 1, &writes).unwrap();
        let overlay = Overlay::new(1);
        let mut view = View::new(&state, overlay.part(PartitionId(0)), PartitionId(0));
        let whole = |bytes_max| Query::Field { slot: None, field: 2, entity: None, bytes_max };
        let found = answer(&mut view, 0..SLOTS, &whole(1 << 20)).unwrap();
        assert_eq!(found.rows.len(), 6);
        assert!(!found.cut && found.rows.iter().all(|(_, value)| value == &[2]));
        assert!(found.rows.is_sorted());
        let cut = answer(&mut view, 0..SLOTS, &whole(30)).unwrap();
        assert!(cut.cut && cut.rows.len() == 2, "{cut:?}");
    }

    #[test]
    fn the_end_of_a_prefix() {
        assert_eq!(after_prefix(&[1, 2]), [1, 3]);
        assert_eq!(after_prefix(&[1, 0xff, 0xff]), [2]);
    }
}
