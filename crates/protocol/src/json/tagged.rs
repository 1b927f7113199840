//! The tagged form of JSON to values, exactly.

use serde_json::{Map, Value as Json};

use super::problem::{Mismatch, Problem, shown};
use super::typed::{distinct, distinct_keys};
use super::untyped::{array, untyped};
use super::{base64, text};
use crate::key::iso;
use crate::key::number::parse_decimal;
use crate::limits::DEPTH_MAX;
use crate::msgpack;
use crate::value::Value;

/// The value of a tagged form.
///
/// | value | tagged form |
/// |---|---|
/// | `None`, `bool`, `str`, `list`, `int` (no fraction, no exponent), finite `float` | as in JSON |
/// | `dict` with `str` keys that do not begin with `$` | object |
/// | any other `dict` | `{"$dict": [[key, value], …]}` |
/// | other floats | `{"$float": "NaN"}`, `"Infinity"`, `"-Infinity"`, or the bits of another NaN: `"0xfff8000000000000"` |
/// | `bytes` | `{"$bytes": base64}` |
/// | `tuple`, `set`, `frozenset` | `{"$tuple": […]}`, `{"$set": […]}`, `{"$frozenset": […]}` |
/// | `complex` | `{"$complex": [real, imag]}` |
/// | `Decimal`, `UUID` | `{"$decimal": text}`, `{"$uuid": text}` |
/// | datetime family | `{"$datetime": iso}`, `{"$date": iso}`, `{"$time": iso}`, `{"$timedelta": [days, seconds, microseconds]}` |
/// | dataclass, enum member | `{"$record": [name, {field: value, …}]}`, `{"$enum": [name, value]}` |
pub fn read_tagged(json: &Json) -> Result<Value, Problem> {
    tagged(json, 0)
}

pub(super) fn tagged(json: &Json, depth: usize) -> Result<Value, Problem> {
    match json {
        Json::Array(_) | Json::Object(_) if depth == DEPTH_MAX => Err(Problem::too_deep()),
        Json::Array(items) => list(items, depth + 1).map(Value::List),
        Json::Object(members) if members.keys().any(|name| name.starts_with('$')) => {
            let mut members = members.iter();
            match (members.next(), members.next()) {
                (Some((tag, content)), None) => {
                    of_tag(tag, content, json, depth).map_err(|problem| problem.at_name(tag))
                }
                _ => Err(unknown(json)),
            }
        }
        Json::Object(members) => {
            let entries = fields(members, depth + 1)?;
            Ok(Value::Dict(entries.into_iter().map(|(name, value)| (Value::Str(name), value)).collect()))
        }
        _ => untyped(json, depth),
    }
}

fn of_tag(tag: &str, content: &Json, whole: &Json, depth: usize) -> Result<Value, Problem> {
    match (tag, content) {
        ("$float", Json::String(text)) => float(text).map(Value::Float),
        ("$bytes", Json::String(text)) => base64::decode(text).map(Value::Bytes),
        ("$decimal", Json::String(text)) => parse_decimal(text).map(|_| Value::Decimal(text.clone())),
        ("$uuid", Json::String(text)) => text::parse_uuid(text).map(Value::Uuid),
        ("$datetime", Json::String(text)) => iso::date_time(text).map(|_| Value::DateTime(text.clone())),
        ("$date", Json::String(text)) => iso::date(text).map(|_| Value::Date(text.clone())),
        ("$time", Json::String(text)) => iso::time(text).map(|_| Value::Time(text.clone())),
        ("$timedelta", Json::Array(parts)) => delta(parts),
        ("$complex", Json::Array(parts)) => complex(parts, depth),
        (
            "$float" | "$bytes" | "$decimal" | "$uuid" | "$datetime" | "$date" | "$time" | "$timedelta" | "$complex",
            _,
        ) => None,
        _ => return container(tag, content, whole, depth + 1),
    }
    .ok_or_else(|| Problem::expected(format!("what {tag} holds"), content))
}

fn container(tag: &str, content: &Json, whole: &Json, depth: usize) -> Result<Value, Problem> {
    match (tag, content) {
        ("$tuple", Json::Array(items)) => list(items, depth).map(Value::Tuple),
        ("$set", Json::Array(items)) => distinct(list(items, depth)?).map(Value::Set),
        ("$frozenset", Json::Array(items)) => distinct(list(items, depth)?).map(Value::FrozenSet),
        ("$dict", Json::Array(pairs)) => array(pairs, |pair| match pair.as_array().map(Vec::as_slice) {
            Some([key, value]) => Ok((tagged(key, depth)?, tagged(value, depth)?)),
            _ => Err(Problem::expected("[key, value]", pair)),
        })
        .and_then(distinct_keys)
        .map(Value::Dict),
        ("$record", Json::Array(parts)) => match parts.as_slice() {
            [Json::String(name), Json::Object(members)] => Ok(Value::Record(name.clone(), fields(members, depth)?)),
            _ => Err(Problem::expected("[name, {field: value, …}]", content)),
        },
        ("$enum", Json::Array(parts)) => match parts.as_slice() {
            [Json::String(name), member] => Ok(Value::Enum(name.clone(), Box::new(tagged(member, depth)?))),
            _ => Err(Problem::expected("[name, value]", content)),
        },
        ("$tuple" | "$set" | "$frozenset" | "$dict" | "$record" | "$enum", _) => {
            Err(Problem::expected("an array", content))
        }
        _ => Err(unknown(whole)),
    }
}

fn unknown(json: &Json) -> Problem {
    Problem::here(Mismatch::Tag { got: shown(json) })
}

fn list(items: &[Json], depth: usize) -> Result<Vec<Value>, Problem> {
    array(items, |item| tagged(item, depth))
}

fn fields(members: &Map<String, Json>, depth: usize) -> Result<Vec<(String, Value)>, Problem> {
    let fields = members.iter().map(|(name, member)| {
        let value = tagged(member, depth).map_err(|problem| problem.at_name(name))?;
        Ok((name.clone(), value))
    });
    fields.collect()
}

fn float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => {
            let value = f64::from_bits(u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?);
            value.is_nan().then_some(value)
        }
    }
}

fn delta(parts: &[Json]) -> Option<Value> {
    let [days, seconds, micros] = parts else { return None };
    let (days, seconds, micros) = (days.as_i64()?, seconds.as_i64()?, micros.as_i64()?);
    msgpack::is_normal_delta(days, seconds, micros).then_some(Value::TimeDelta(days, seconds, micros))
}

fn complex(parts: &[Json], depth: usize) -> Option<Value> {
    let [re, im] = parts else { return None };
    match (tagged(re, depth).ok()?, tagged(im, depth).ok()?) {
        (Value::Float(re), Value::Float(im)) => Some(Value::Complex(re, im)),
        _ => None,
    }
}
