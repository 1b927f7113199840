//! The cells of one invocation during a step: what was shipped, what user code looked at, what it changed. Values stay
//! encoded; what leaves the step is the difference.

use std::collections::BTreeMap;

use protocol::key;
use protocol::worker::{FetchWhat, Slice, StepWrite, ValueBytes};

/// A member of a service's struct, by its place there.
pub(crate) type FieldIndex = u16;

/// Entries that this step inserts stand behind all that were there.
const INSERTED: u64 = 1 << 32;

/// What a cell of a field is called: canonical key, or nothing for a field of one cell.
type CellName = (FieldIndex, Option<Vec<u8>>);

#[derive(Clone, Debug, Default)]
struct Cell {
    /// Its key as it is stored, or as it was asked for.
    key: Option<ValueBytes>,
    base: Base,
    /// What the step made of it.
    now: Option<Now>,
    /// The step deleted what was there.
    removed: bool,
    /// Place in the order of iteration, as far as it is known.
    place: Option<u64>,
    /// User code knows what it holds.
    seen: bool,
}

/// What the store holds.
#[derive(Clone, Debug, Default, PartialEq)]
enum Base {
    #[default]
    Unknown,
    Absent,
    Present(ValueBytes),
}

#[derive(Clone, Debug, PartialEq)]
enum Now {
    Deleted,
    Holds(ValueBytes),
}

/// A field taken as a whole.
#[derive(Clone, Copy, Debug, Default)]
struct Whole {
    known: bool,
    seen: bool,
}

/// All cells that a step knows.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    cells: BTreeMap<CellName, Cell>,
    wholes: BTreeMap<FieldIndex, Whole>,
    inserted: u64,
}

/// What a step read and wrote, as END names it.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) reads: Vec<(String, Option<ValueBytes>)>,
    pub(crate) whole_reads: Vec<String>,
    pub(crate) writes: Vec<StepWrite>,
}

/// A key as the store compares it; its bytes if it cannot be one, so that the server says what is wrong with it.
fn canonical(encoded: &[u8]) -> Vec<u8> {
    key::canonical_of_msgpack(encoded).unwrap_or_else(|_| encoded.to_vec())
}

impl Cells {
    /// Takes cells from the server. `index_of` knows the fields by name.
    pub(crate) fn ship(&mut self, slice: Slice, index_of: impl Fn(&str) -> Option<FieldIndex>) {
        for shipped in slice.cells {
            let Some(field) = index_of(&shipped.field) else { continue };
            let cell = self.cells.entry((field, shipped.key.as_deref().map(canonical))).or_default();
            cell.key = shipped.key;
            if cell.base == Base::Unknown {
                cell.base = shipped.value.map_or(Base::Absent, Base::Present);
            }
        }
        for (field, entries) in slice.wholes {
            let Some(field) = index_of(&field) else { continue };
            self.wholes.entry(field).or_default().known = true;
            for (place, (key, value, _)) in entries.into_iter().enumerate() {
                let cell = self.cells.entry((field, Some(canonical(&key)))).or_default();
                cell.key = Some(key);
                cell.base = Base::Present(value);
                if !cell.removed {
                    cell.place = Some(place as u64);
                }
            }
        }
    }

    /// What must be fetched before this cell can be looked at.
    pub(crate) fn missing(&self, field: FieldIndex, key: Option<&[u8]>) -> Option<FetchWhat> {
        let cell = self.cells.get(&(field, key.map(canonical)));
        let is_known = cell.is_some_and(|cell| cell.now.is_some() || cell.base != Base::Unknown);
        let is_whole = self.wholes.get(&field).is_some_and(|whole| whole.known);
        if is_known || is_whole {
            return None;
        }
        Some(key.map_or(FetchWhat::Scalar, |key| FetchWhat::Entry(key.to_vec())))
    }

    /// Whether the field must be fetched as a whole before it can be iterated over.
    pub(crate) fn is_whole(&self, field: FieldIndex) -> bool {
        self.wholes.get(&field).is_some_and(|whole| whole.known)
    }

    /// What a cell holds now, which user code then knows.
    pub(crate) fn look(&mut self, field: FieldIndex, key: Option<&[u8]>) -> Option<&[u8]> {
        let cell = self.cells.entry((field, key.map(canonical))).or_default();
        if cell.key.is_none() {
            cell.key = key.map(<[u8]>::to_vec);
        }
        match &cell.now {
            Some(Now::Holds(value)) => Some(value),
            Some(Now::Deleted) => None,
            None => {
                cell.seen = true;
                match &cell.base {
                    Base::Present(value) => Some(value),
                    Base::Absent | Base::Unknown => None,
                }
            }
        }
    }

    /// Makes a cell hold a value.
    pub(crate) fn put(&mut self, field: FieldIndex, key: Option<&[u8]>, value: ValueBytes) {
        let cell = self.cells.entry((field, key.map(canonical))).or_default();
        if cell.key.is_none() {
            cell.key = key.map(<[u8]>::to_vec);
        }
        let was_there = match (&cell.now, &cell.base) {
            (Some(now), _) => matches!(now, Now::Holds(_)),
            (None, base) => matches!(base, Base::Present(_)),
        };
        if !was_there {
            cell.place = Some(INSERTED + self.inserted);
            self.inserted += 1;
            if cell.removed {
                cell.key = key.map(<[u8]>::to_vec);
            }
        }
        cell.now = Some(Now::Holds(value));
    }

    /// Makes a cell hold nothing.
    pub(crate) fn delete(&mut self, field: FieldIndex, key: Option<&[u8]>) {
        let cell = self.cells.entry((field, key.map(canonical))).or_default();
        if cell.key.is_none() {
            cell.key = key.map(<[u8]>::to_vec);
        }
        cell.now = Some(Now::Deleted);
        cell.removed = true;
        cell.place = None;
    }

    /// All entries of a field in order, which user code then knows.
    pub(crate) fn scan(&mut self, field: FieldIndex) -> Vec<(ValueBytes, ValueBytes)> {
        self.wholes.entry(field).or_default().seen = true;
        let mut entries: Vec<_> = self
            .cells
            .range((field, None)..(field + 1, None))
            .filter_map(|(_, cell)| {
                let value = match (&cell.now, &cell.base) {
                    (Some(Now::Holds(value)), _) | (None, Base::Present(value)) => value,
                    (Some(Now::Deleted), _) | (None, Base::Absent | Base::Unknown) => return None,
                };
                Some((cell.place, cell.key.clone()?, value.clone()))
            })
            .collect();
        entries.sort_by_key(|(place, ..)| *place);
        entries.into_iter().map(|(_, key, value)| (key, value)).collect()
    }

    /// Ends the step: what it read and changed. Nothing is known afterwards.
    pub(crate) fn finish(&mut self, name_of: impl Fn(FieldIndex) -> String) -> Changes {
        let Self { cells, wholes, .. } = std::mem::take(self);
        let mut changes = Changes::default();
        changes.whole_reads.extend(wholes.iter().filter(|(_, whole)| whole.seen).map(|(field, _)| name_of(*field)));
        let mut writes = Vec::new();
        for ((field, _), cell) in cells {
            if cell.seen && !wholes.get(&field).is_some_and(|whole| whole.seen) {
                changes.reads.push((name_of(field), cell.key.clone()));
            }
            // What was assigned before it was removed may be there although nobody has asked for it.
            let may_be_there = !matches!(cell.base, Base::Absent);
            let (value, fresh) = match (cell.now, cell.base) {
                (None, _) | (Some(Now::Deleted), Base::Absent) => continue,
                (Some(Now::Holds(value)), Base::Present(base)) if value == base && !cell.removed => continue,
                (Some(Now::Holds(value)), _) => (Some(value), cell.removed && may_be_there),
                (Some(Now::Deleted), Base::Present(_) | Base::Unknown) => (None, false),
            };
            let field = name_of(field);
            writes.push((cell.place, StepWrite { field, key: cell.key, value, fresh, incarnation: None }));
        }
        writes.sort_by_key(|(place, _)| *place);
        changes.writes = writes.into_iter().map(|(_, write)| write).collect();
        changes
    }
}
