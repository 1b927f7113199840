//! Answers to operators about what is stored: invocations and fields. Each answer comes with the newest position that
//! it rests on, before whose durability it must not leave.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use engine::Listed;
use protocol::api::{Description, Invocation, Invocations, State, key_text};
use protocol::cell::{self, CellKey, CellRow, kind};
use protocol::ids::{SLOTS, Stamp};
use protocol::limits::SCAN_BYTES_MAX;
use protocol::list::{self, HEADER_KEY, Header};
use protocol::manifest::{Field, FieldKind, Service};
use protocol::problem::Code;
use protocol::record::{DoneRow, decode};
use protocol::worker::{Outcome, ValueBytes};
use protocol::{InvocationId, Micros, Position, Slot, Value, key, msgpack};
use store::StateError;

use super::Driver;
use crate::api::{Place, Refusal};
use crate::limits;
use crate::rows::query::{self, finished, skip_scan, slots_of};

type Found<T> = Result<(Position, T), StateError>;

impl Driver {
    /// The row of a finished invocation.
    pub(super) fn done_row(&self, id: InvocationId) -> Found<Option<DoneRow>> {
        let mut view = self.view(self.home(id));
        let row = view.get(&cell::invocation_row(kind::DONE, id))?;
        Ok((view.newest(), row.and_then(|bytes| decode(&bytes, "result").ok())))
    }

    /// A page in order of ids. Partitions own ranges of slots, so their rows follow each other in that order.
    pub(super) fn list(&self, states: &[State], after: Option<InvocationId>, limit: usize) -> Found<Invocations> {
        let wanted = |invocation: &Invocation| states.is_empty() || states.contains(&invocation.state);
        let mut page = BTreeMap::new();
        for partition in &self.parts.partitions {
            let unfinished = partition.list(self.now).into_iter();
            let unfinished = unfinished.filter(|listed| after.is_none_or(|after| listed.id > after));
            page.extend(unfinished.filter(|l| wanted(&l.invocation)).map(|Listed { invocation, id }| (id, invocation)));
        }
        let (newest, scanned_to) = self.list_finished(after, limit, wanted, &mut page)?;
        if let Some(scanned_to) = scanned_to {
            page.retain(|id, _| *id <= scanned_to);
        }
        let more = page.len() > limit || scanned_to.is_some();
        let kept: Vec<_> = page.into_iter().take(limit).collect();
        let last = kept.last().map(|(id, _)| *id).filter(|_| kept.len() == limit).or(scanned_to);
        let next = last.filter(|_| more).map(|id| id.to_string());
        Ok((newest, Invocations { invocations: kept.into_iter().map(|(_, invocation)| invocation).collect(), next }))
    }

    /// Adds finished invocations to a page, up to one more than `limit`. The second result is the id at which the
    /// scan ended early, if it did.
    fn list_finished(
        &self,
        after: Option<InvocationId>,
        limit: usize,
        wanted: impl Fn(&Invocation) -> bool,
        page: &mut BTreeMap<InvocationId, Invocation>,
    ) -> Found<Option<InvocationId>> {
        let (mut newest, mut found, mut scanned, mut ended_at) = (Position(0), 0, 0, None);
        let from = after.map(|id| cell::invocation_row(kind::DONE, id));
        let first_slot = after.map_or(0, |id| id.slot().0);
        for partition in self.partition_ids() {
            let slots = slots_of(partition, self.parts.shared.partitions);
            let mut view = self.view(partition);
            let slots = slots.start.max(first_slot)..slots.end;
            skip_scan(&mut view, slots, finished, |row_key, bytes| {
                let Some(id) = id_of(&row_key).filter(|_| from.as_ref().is_none_or(|from| row_key > *from)) else {
                    return ControlFlow::Continue(());
                };
                scanned += 1;
                let row = decode::<DoneRow>(&bytes, "result").ok();
                if let Some(invocation) = row.map(|row| done_invocation(id, &row, self.now)).filter(&wanted) {
                    page.insert(id, invocation);
                    found += 1;
                }
                if found > limit || scanned >= limits::PAGE_SCAN_ROWS_MAX {
                    ended_at = Some(id);
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            newest = newest.max(view.newest());
            if ended_at.is_some() {
                break;
            }
        }
        Ok((newest, ended_at))
    }

    pub(super) fn describe(&self, id: InvocationId) -> Found<Option<Description>> {
        let home = self.home(id);
        let live = self.index_of(home).and_then(|index| self.parts.partitions[index].describe(id, self.now));
        if let Some(description) = live {
            return Ok((Position(0), Some(description)));
        }
        let (newest, row) = self.done_row(id)?;
        let description = row.map(|row| Description {
            invocation: done_invocation(id, &row, self.now),
            parent: None,
            partition: home.0,
            journal: Vec::new(),
            attempts: 0,
            tasks: Vec::new(),
            note: None,
        });
        Ok((newest, description))
    }

    /// The value at a place.
    pub(super) fn stored(&self, place: &Place) -> Found<Result<ValueBytes, Refusal>> {
        match self.resolve(place) {
            Err(refusal) => Ok((Position(0), Err(refusal))),
            Ok(Resolved::Cell(cell, initial)) => self.stored_cell(&cell, initial),
            Ok(Resolved::Whole(number, entity)) => self.stored_field(number, entity.as_ref()),
            Ok(Resolved::List(list, None)) => self.stored_list(&list),
            Ok(Resolved::List(list, Some(index))) => self.stored_element(&list, index),
        }
    }

    fn resolve(&self, place: &Place) -> Result<Resolved, Refusal> {
        let manifest = &self.parts.shared.manifest;
        let unknown = |what: String| Refusal::new(Code::UnknownState, what);
        let service =
            manifest.service(&place.service).ok_or_else(|| unknown(format!("no service {}", place.service)))?;
        let field = service
            .field(&place.field)
            .ok_or_else(|| unknown(format!("{} has no field {}", place.service, place.field)))?;
        let number = self.field_number(service, field).ok_or_else(|| unknown("the field has no number yet".into()))?;
        if service.entity_key.is_some() != place.key.is_some() {
            return Err(unknown(format!("{} is addressed with a key if and only if it is an entity", service.name)));
        }
        let entity = place.key.as_deref().map(canonical).transpose()?;
        let entry = place.entry.as_deref().map(canonical).transpose()?;
        match (field.kind, entry) {
            (FieldKind::Scalar, Some(_)) => Err(unknown(format!("{} is not a dict, it has no entries", field.name))),
            (FieldKind::Scalar, None) => {
                let slot = entity.as_deref().map_or_else(|| service_slot(&service.name), Slot::of);
                Ok(Resolved::Cell(CellKey { slot, field: number, entity, key: None }, Some(field.initial.clone())))
            }
            (FieldKind::Dict, Some(entry)) => {
                let slot = Slot::of(entity.as_deref().unwrap_or(&entry));
                Ok(Resolved::Cell(CellKey { slot, field: number, entity, key: Some(entry) }, None))
            }
            (FieldKind::Dict, None) => Ok(Resolved::Whole(number, entity)),
            (FieldKind::List, entry) => {
                let slot = entity.as_deref().map_or_else(|| service_slot(&service.name), Slot::of);
                let index = place.entry.as_deref().filter(|_| entry.is_some()).map(list_index).transpose()?;
                Ok(Resolved::List(StoredList { slot, number, entity, initial: field.initial.clone() }, index))
            }
        }
    }

    fn field_number(&self, service: &Service, field: &Field) -> Option<u32> {
        let entries = &self.parts.partitions[0].catalogue().entries;
        let found = entries.iter().find(|(of, name, _)| *of == service.name && *name == field.name);
        found.map(|(_, _, number)| *number)
    }

    /// A cell's value; a scalar field that was never written has its initial one.
    fn stored_cell(&self, cell: &CellKey, initial: Option<ValueBytes>) -> Found<Result<ValueBytes, Refusal>> {
        let mut view = self.view(cell.slot.partition(self.parts.shared.partitions));
        let row = view.get(&cell.row())?;
        let value = row.and_then(|bytes| decode::<CellRow>(&bytes, "cell").ok()).map(|row| row.value).or(initial);
        Ok((view.newest(), value.ok_or_else(|| Refusal::new(Code::UnknownState, "nothing is stored there"))))
    }

    /// A list field as a list.
    fn stored_list(&self, list: &StoredList) -> Found<Result<ValueBytes, Refusal>> {
        let mut view = self.view(list.slot.partition(self.parts.shared.partitions));
        let slots = list.slot.0..list.slot.0 + 1;
        let found = query::field_rows(&mut view, slots, list.number, list.entity.as_deref(), SCAN_BYTES_MAX)?;
        let newest = view.newest();
        if found.cut {
            let detail = format!("the field has more than {SCAN_BYTES_MAX} bytes; ask for single elements");
            return Ok((newest, Err(Refusal::new(Code::BadRequest, detail))));
        }
        let rows = found.rows.iter().filter_map(|(_, row)| decode::<CellRow>(row, "cell").ok());
        let mut cells: BTreeMap<Vec<u8>, ValueBytes> = rows.filter_map(|row| Some((row.key?, row.value))).collect();
        let Some(header) = cells.remove(HEADER_KEY.as_slice()).and_then(|bytes| Header::decode(&bytes)) else {
            return Ok((newest, Ok(list.initial.clone())));
        };
        let mut elements = Vec::new();
        for chunk in header.chunks() {
            let key = msgpack::encode(&Value::Int(chunk)).unwrap_or_default();
            elements.extend(cells.get(&key).and_then(|bytes| list::elements(bytes)).unwrap_or_default());
        }
        elements.extend(header.tail);
        let encoded = msgpack::encode(&Value::List(elements));
        Ok((newest, encoded.map_err(|error| Refusal::new(Code::BadRequest, error.to_string()))))
    }

    /// The element of a list field at an index.
    fn stored_element(&self, list: &StoredList, index: i64) -> Found<Result<ValueBytes, Refusal>> {
        let mut view = self.view(list.slot.partition(self.parts.shared.partitions));
        let mut value = |key: &Value| -> Result<Option<ValueBytes>, StateError> {
            let row = view.get(&list.cell(key).row())?;
            Ok(row.and_then(|bytes| decode::<CellRow>(&bytes, "cell").ok()).map(|row| row.value))
        };
        let header = value(&Value::None)?.and_then(|bytes| Header::decode(&bytes));
        let header = header.unwrap_or_else(|| match msgpack::decode(&list.initial) {
            Ok(Value::List(tail)) => Header { tail, ..Header::default() },
            _ => Header::default(),
        });
        let found = match header.place(index) {
            None => None,
            Some((chunk, place)) if chunk >= header.tail_chunk => header.tail.get(place).cloned(),
            Some((chunk, place)) => {
                let elements = value(&Value::Int(chunk))?.and_then(|bytes| list::elements(&bytes));
                elements.and_then(|elements| elements.into_iter().nth(place))
            }
        };
        let encoded = found.and_then(|value| msgpack::encode(&value).ok());
        Ok((view.newest(), encoded.ok_or_else(|| no_element(index))))
    }

    /// All entries of a dict field, in the order of iteration.
    fn stored_field(&self, number: u32, entity: Option<&Vec<u8>>) -> Found<Result<ValueBytes, Refusal>> {
        let slot = entity.map(|key| Slot::of(key));
        let slots = slot.map_or(0..SLOTS, |slot| slot.0..slot.0 + 1);
        let (mut newest, mut entries, mut bytes_left) = (Position(0), Vec::new(), SCAN_BYTES_MAX);
        for partition in self.partition_ids() {
            let own = slots_of(partition, self.parts.shared.partitions);
            let own = own.start.max(slots.start)..own.end.min(slots.end);
            let mut view = self.view(partition);
            let found = query::field_rows(&mut view, own, number, entity.map(Vec::as_slice), bytes_left)?;
            newest = newest.max(view.newest());
            if found.cut {
                let detail = format!("the field has more than {SCAN_BYTES_MAX} bytes; ask for single entries");
                return Ok((newest, Err(Refusal::new(Code::BadRequest, detail))));
            }
            for (key, row) in found.rows {
                bytes_left = bytes_left.saturating_sub(key.len() + row.len());
                entries.extend(entry(&row));
            }
        }
        entries.sort_by_key(|(inserted, _)| *inserted);
        let dict = Value::Dict(entries.into_iter().map(|(_, entry)| entry).collect());
        let encoded = msgpack::encode(&dict);
        Ok((newest, encoded.map_err(|error| Refusal::new(Code::BadRequest, error.to_string()))))
    }
}

/// Where a place is.
enum Resolved {
    /// One cell, and its value if nothing was ever written.
    Cell(CellKey, Option<ValueBytes>),
    /// All entries of the dict field with this number, of an entity.
    Whole(u32, Option<Vec<u8>>),
    /// A list field, or the element of it at an index.
    List(StoredList, Option<i64>),
}

/// Where a list field is.
struct StoredList {
    slot: Slot,
    number: u32,
    entity: Option<Vec<u8>>,
    /// What it holds if nothing was ever written.
    initial: ValueBytes,
}

impl StoredList {
    /// The cell of its header (`None`) or of a chunk.
    fn cell(&self, key: &Value) -> CellKey {
        let key = key::canonical(key).expect("None and numbers are keys");
        CellKey { slot: self.slot, field: self.number, entity: self.entity.clone(), key: Some(key) }
    }
}

fn list_index(encoded: &[u8]) -> Result<i64, Refusal> {
    match msgpack::decode(encoded) {
        Ok(Value::Int(index)) => Ok(index),
        _ => Err(Refusal::new(Code::BadKey, "an element of a list has a whole number as its index")),
    }
}

fn no_element(index: i64) -> Refusal {
    Refusal::new(Code::UnknownState, format!("the list has no element {index}"))
}

/// A stored entry with what it is sorted by.
fn entry(row: &[u8]) -> Option<(Stamp, (Value, Value))> {
    let row: CellRow = decode(row, "cell").ok()?;
    let key = msgpack::decode(&row.key?).ok()?;
    Some((row.inserted, (key, msgpack::decode(&row.value).ok()?)))
}

fn canonical(encoded: &[u8]) -> Result<Vec<u8>, Refusal> {
    key::canonical_of_msgpack(encoded).map_err(|error| Refusal::new(Code::BadKey, error.to_string()))
}

/// Slot of a service's scalar fields: that of its name.
fn service_slot(service: &str) -> Slot {
    Slot::of(&key::canonical(&Value::Str(service.to_owned())).unwrap_or_default())
}

fn id_of(row_key: &[u8]) -> Option<InvocationId> {
    row_key.get(3..).and_then(|id| id.try_into().ok()).map(InvocationId)
}

fn done_invocation(id: InvocationId, row: &DoneRow, now: Micros) -> Invocation {
    let state = match (&row.done.outcome, row.done.cancelled) {
        (_, true) => State::Cancelled,
        (Outcome::Value(_), false) => State::Completed,
        (Outcome::Exception(_), false) => State::Failed,
    };
    Invocation {
        id: id.to_string(),
        service: row.service.clone(),
        key: row.key.as_deref().map(key_text),
        method: row.method.clone(),
        state,
        age_ms: now.saturating_sub(row.accepted) / 1000,
        waiting: None,
    }
}
