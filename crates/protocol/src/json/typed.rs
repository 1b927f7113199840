//! JSON to values, guided by type annotations: what the type asks for is converted and checked.
//!
//! What JSON has is taken as it is, but a bool is no int, an int is also a float, and an int in JSON has neither
//! fraction nor exponent. What JSON lacks is made from what [`super::write`] shows in its natural form: bytes from base64, a
//! Decimal from a string or number, the datetime family from ISO 8601 text, a timedelta from seconds, tuples and sets
//! from arrays, dict keys from names, a dataclass from an object, an enum member from its value. Fields of a dataclass
//! that have a default may be missing: the record is then incomplete, and the worker fills it in when it makes the
//! object. A union takes the first member that fits without conversion, else the first that fits with one.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use super::names::type_name;
use super::problem::{Mismatch, Problem};
use super::text;
use super::untyped::{array, float, int, is_int, untyped};
use super::write::write;
use super::{Form, base64, parse};
use crate::key::{self, KeyError, iso};
use crate::limits::DEPTH_MAX;
use crate::manifest::RecordType;
use crate::msgpack;
use crate::schema::Type;
use crate::value::Value;

/// Attempts of unions in all, and more per node of the JSON tree; beyond, nested unions would take exponential time.
const ATTEMPTS: usize = 200_000;
const ATTEMPTS_PER_NODE: usize = 64;

/// The value of this type that JSON shows.
pub fn read_typed(json: &Json, ty: &Type, records: &[RecordType]) -> Result<Value, Problem> {
    read_typed_at(json, ty, records, 0)
}

/// The value of this type that a text shows: a dict key in JSON, or a key in an address.
pub fn read_key(text: &str, ty: &Type, records: &[RecordType]) -> Result<Value, Problem> {
    let mut reader = Reader { records, attempts_left: ATTEMPTS };
    reader.key(text, ty, Mode::Converting, 0)
}

/// Likewise, of a value that will be nested this deep.
pub(super) fn read_typed_at(json: &Json, ty: &Type, records: &[RecordType], depth: usize) -> Result<Value, Problem> {
    let mut reader = Reader { records, attempts_left: ATTEMPTS + ATTEMPTS_PER_NODE * nodes(json) };
    reader.value(json, ty, Mode::Converting, depth)
}

/// May the value be converted?
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// No: only what JSON itself has (to choose a member of a union).
    Exact,
    Converting,
}

struct Reader<'a> {
    records: &'a [RecordType],
    attempts_left: usize,
}

impl Reader<'_> {
    fn value(&mut self, json: &Json, ty: &Type, mode: Mode, depth: usize) -> Result<Value, Problem> {
        let wrong = || Problem::expected(expectation(ty), json);
        if depth >= DEPTH_MAX && (json.is_array() || json.is_object()) {
            return Err(Problem::too_deep());
        }
        match (ty, json) {
            (Type::Any, _) => untyped(json, depth),
            (Type::None, Json::Null) => Ok(Value::None),
            (Type::Bool, Json::Bool(value)) => Ok(Value::Bool(*value)),
            (Type::Int, Json::Number(number)) if is_int(number.as_str()) => int(json, number.as_str()),
            (Type::Float, Json::Number(number)) if mode == Mode::Converting || !is_int(number.as_str()) => {
                float(json, number.as_str()).map(Value::Float)
            }
            (Type::Str, Json::String(text)) => Ok(Value::Str(text.clone())),
            (Type::List(item), Json::Array(items)) => self.items(items, item, mode, depth).map(Value::List),
            (Type::Dict(key, value), Json::Object(members)) => self.dict(members, key, value, mode, depth),
            (Type::Union(members), _) => self.union(json, ty, members, mode, depth),
            (Type::Record(name), _) => self.record(json, name, mode, depth),
            (_, _) if mode == Mode::Exact => Err(wrong()),
            (Type::Tuple(types), Json::Array(items)) => self.tuple(items, types, depth).ok_or_else(wrong)?,
            (Type::TupleOf(item), Json::Array(items)) => self.items(items, item, mode, depth).map(Value::Tuple),
            (Type::Set(item), Json::Array(items)) => distinct(self.items(items, item, mode, depth)?).map(Value::Set),
            (Type::FrozenSet(item), Json::Array(items)) => {
                distinct(self.items(items, item, mode, depth)?).map(Value::FrozenSet)
            }
            (_, Json::String(text)) => from_text(ty, text).ok_or_else(wrong),
            (_, Json::Number(number)) => from_number(ty, number.as_str()).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    fn items(&mut self, items: &[Json], ty: &Type, mode: Mode, depth: usize) -> Result<Vec<Value>, Problem> {
        array(items, |item| self.value(item, ty, mode, depth + 1))
    }

    /// Nothing if the array has another length.
    fn tuple(&mut self, items: &[Json], types: &[Type], depth: usize) -> Option<Result<Value, Problem>> {
        let mut rest = types.iter();
        (items.len() == types.len()).then(|| {
            array(items, |item| self.value(item, rest.next().unwrap_or(&Type::Any), Mode::Converting, depth + 1))
                .map(Value::Tuple)
        })
    }

    fn dict(
        &mut self,
        members: &Map<String, Json>,
        key_type: &Type,
        value_type: &Type,
        mode: Mode,
        depth: usize,
    ) -> Result<Value, Problem> {
        let mut entries = Vec::with_capacity(members.len());
        let mut seen = HashSet::new();
        for (name, member) in members {
            let key = self.key(name, key_type, mode, depth + 1).map_err(|problem| problem.at_name(name))?;
            if !matches!(key, Value::Str(_)) && !seen.insert(identity(&key).map_err(|problem| problem.at_name(name))?) {
                return Err(Problem::here(Mismatch::SameKey).at_name(name));
            }
            let value = self.value(member, value_type, mode, depth + 1).map_err(|problem| problem.at_name(name))?;
            entries.push((key, value));
        }
        Ok(Value::Dict(entries))
    }

    /// A key from a name: a string if that fits its type, else what the name shows as JSON.
    fn key(&mut self, name: &str, ty: &Type, mode: Mode, depth: usize) -> Result<Value, Problem> {
        if matches!(ty, Type::Str | Type::Any) {
            return Ok(Value::Str(name.to_owned()));
        }
        let as_string = self.value(&Json::String(name.to_owned()), ty, mode, depth);
        if as_string.is_ok() || mode == Mode::Exact {
            return as_string;
        }
        match parse(name.as_bytes()) {
            Ok(Json::String(_)) | Err(_) => as_string,
            Ok(json) => self.value(&json, ty, mode, depth).or(as_string),
        }
    }

    fn union(&mut self, json: &Json, ty: &Type, members: &[Type], mode: Mode, depth: usize) -> Result<Value, Problem> {
        let modes: &[Mode] = if mode == Mode::Exact { &[Mode::Exact] } else { &[Mode::Exact, Mode::Converting] };
        // Of `T | None` only T can be meant: what is wrong within it says more than the whole type.
        let meant = members.iter().filter(|member| **member != Type::None).count();
        let mut within = None;
        for mode in modes {
            for member in members {
                let left = self.attempts_left.checked_sub(1);
                self.attempts_left = left.ok_or_else(|| Problem::here(Mismatch::Ambiguous))?;
                match self.value(json, member, *mode, depth) {
                    Err(problem) if problem.what != Mismatch::Ambiguous => {
                        within = Some(problem).filter(|problem| meant == 1 && !problem.path.is_empty()).or(within);
                    }
                    done => return done,
                }
            }
        }
        Err(within.unwrap_or_else(|| Problem::expected(type_name(ty), json)))
    }

    fn record(&mut self, json: &Json, name: &str, mode: Mode, depth: usize) -> Result<Value, Problem> {
        let records = self.records;
        let Some(record) = records.iter().find(|record| record.name == name) else { return untyped(json, depth) };
        if record.is_enum {
            return member(json, record, depth);
        }
        let Json::Object(members) = json else { return Err(Problem::expected(name, json)) };
        if let Some(field) = members.keys().find(|field| record.fields.iter().all(|(known, ..)| known != *field)) {
            let (record, field) = (name.to_owned(), super::problem::shortened(field));
            return Err(Problem::here(Mismatch::UnknownField { record, field }));
        }
        let mut fields = Vec::with_capacity(record.fields.len());
        for (field, ty, default) in &record.fields {
            match members.get(field) {
                Some(json) => {
                    let value = self.value(json, ty, mode, depth + 1).map_err(|problem| problem.at_name(field))?;
                    fields.push((field.clone(), value));
                }
                None if *default => {}
                None => {
                    let (record, field) = (name.to_owned(), field.clone());
                    return Err(Problem::here(Mismatch::MissingField { record, field }));
                }
            }
        }
        Ok(Value::Record(name.to_owned(), fields))
    }
}

/// The enum's member with this value. A value that the manifest does not know is left to the worker if some member has
/// one.
fn member(json: &Json, record: &RecordType, depth: usize) -> Result<Value, Problem> {
    let given = untyped(json, depth)?;
    let made = |value| Ok(Value::Enum(record.name.clone(), Box::new(value)));
    let values: Vec<Value> = record.members.iter().filter_map(|member| msgpack::decode(&member.value).ok()).collect();
    for value in &values {
        if is_shown_as(value, &given) {
            return made(value.clone());
        }
    }
    if values.len() < record.members.len() {
        return made(given);
    }
    let known: Vec<_> = values.iter().take(8).filter_map(|value| write(value, Form::Natural).ok()).collect();
    let more = if values.len() > known.len() { ", …" } else { "" };
    Err(Problem::expected(format!("{} ({}{more})", record.name, known.join(", ")), json))
}

/// Does JSON show this value so? Numbers count by value, but a bool is no number.
fn is_shown_as(value: &Value, given: &Value) -> bool {
    if matches!(value, Value::Bool(_)) != matches!(given, Value::Bool(_)) {
        return false;
    }
    match (key::canonical(value), key::canonical(given)) {
        (Ok(value), Ok(given)) if value == given => true,
        _ => matches!((write(value, Form::Natural), write(given, Form::Natural)), (Ok(a), Ok(b)) if a == b),
    }
}

/// A scalar that JSON lacks, from a string.
fn from_text(ty: &Type, text: &str) -> Option<Value> {
    match ty {
        Type::Float => match text {
            "NaN" => Some(Value::Float(f64::NAN)),
            "Infinity" => Some(Value::Float(f64::INFINITY)),
            "-Infinity" => Some(Value::Float(f64::NEG_INFINITY)),
            _ => None,
        },
        Type::Bytes => base64::decode(text).map(Value::Bytes),
        Type::Decimal => text::normal_decimal(text).map(Value::Decimal),
        Type::DateTime => iso::normal_date_time(text).map(Value::DateTime),
        Type::Date => iso::date(text).map(|_| Value::Date(text.to_owned())),
        Type::Time => iso::normal_time(text).map(Value::Time),
        Type::Uuid => text::parse_uuid(text).map(Value::Uuid),
        _ => None,
    }
}

/// A scalar that JSON lacks, from a number.
fn from_number(ty: &Type, number: &str) -> Option<Value> {
    match ty {
        Type::Decimal => text::normal_decimal(number).map(Value::Decimal),
        Type::TimeDelta => {
            text::parse_seconds(number).map(|(days, seconds, micros)| Value::TimeDelta(days, seconds, micros))
        }
        _ => None,
    }
}

/// The type's name, and the form in JSON where that says more.
fn expectation(ty: &Type) -> String {
    let form = match ty {
        Type::Bytes => " (base64)",
        Type::Decimal => " (a string or number)",
        Type::DateTime | Type::Date | Type::Time => " (ISO 8601)",
        Type::TimeDelta => " (seconds)",
        Type::Tuple(items) => return format!("{} (an array of {})", type_name(ty), items.len()),
        _ => "",
    };
    type_name(ty) + form
}

/// The items without those that Python counts as equal to an earlier one.
pub(super) fn distinct(items: Vec<Value>) -> Result<Vec<Value>, Problem> {
    let mut seen = HashSet::with_capacity(items.len());
    let mut kept = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        if seen.insert(identity(&item).map_err(|problem| problem.at_index(index))?) {
            kept.push(item);
        }
    }
    Ok(kept)
}

/// The entries, if all keys are different as Python counts.
pub(super) fn distinct_keys(entries: Vec<(Value, Value)>) -> Result<Vec<(Value, Value)>, Problem> {
    let mut seen = HashSet::with_capacity(entries.len());
    for (index, (key, _)) in entries.iter().enumerate() {
        if !seen.insert(identity(key).map_err(|problem| problem.at_index(index))?) {
            return Err(Problem::here(Mismatch::SameKey).at_index(index));
        }
    }
    Ok(entries)
}

/// What tells elements and keys apart within a value, where NaN and long strings are allowed.
fn identity(value: &Value) -> Result<Vec<u8>, Problem> {
    match key::canonical(value) {
        Err(error @ (KeyError::NaN | KeyError::TooLarge)) => {
            msgpack::encode(value).map_err(|_| Problem::here(Mismatch::Key(error)))
        }
        other => other.map_err(|error| Problem::here(Mismatch::Key(error))),
    }
}

fn nodes(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(nodes).sum::<usize>(),
        Json::Object(members) => 1 + members.values().map(nodes).sum::<usize>(),
        _ => 1,
    }
}
