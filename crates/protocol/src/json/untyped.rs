//! JSON to a value without a type: what Python's `json.loads` would give.

use num_bigint::BigInt;
use serde_json::Value as Json;

use super::problem::Problem;
use crate::limits::DEPTH_MAX;
use crate::msgpack::{self, INT_BYTES_MAX};
use crate::value::Value;

/// Decimal digits of the largest integer, roughly; more are not even converted.
const DIGITS_MAX: usize = INT_BYTES_MAX * 241 / 100;

/// The value that JSON shows: numbers without fraction and exponent are ints, objects dicts with `str` keys.
pub fn read_untyped(json: &Json) -> Result<Value, Problem> {
    untyped(json, 0)
}

pub(super) fn untyped(json: &Json, depth: usize) -> Result<Value, Problem> {
    match json {
        Json::Null => Ok(Value::None),
        Json::Bool(value) => Ok(Value::Bool(*value)),
        Json::Number(number) if is_int(number.as_str()) => int(json, number.as_str()),
        Json::Number(number) => float(json, number.as_str()).map(Value::Float),
        Json::String(text) => Ok(Value::Str(text.clone())),
        Json::Array(_) | Json::Object(_) if depth == DEPTH_MAX => Err(Problem::too_deep()),
        Json::Array(items) => array(items, |item| untyped(item, depth + 1)).map(Value::List),
        Json::Object(members) => {
            let entries = members.iter().map(|(name, member)| {
                let value = untyped(member, depth + 1).map_err(|problem| problem.at_name(name))?;
                Ok((Value::Str(name.clone()), value))
            });
            entries.collect::<Result<_, _>>().map(Value::Dict)
        }
    }
}

/// The items of an array, each read by `item`.
pub(super) fn array<T>(items: &[Json], mut item: impl FnMut(&Json) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
    let items = items.iter().enumerate();
    items.map(|(index, json)| item(json).map_err(|problem| problem.at_index(index))).collect()
}

/// True for a number without fraction and exponent.
pub(super) fn is_int(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

/// The int of a number for which [`is_int`] is true.
pub(super) fn int(json: &Json, number: &str) -> Result<Value, Problem> {
    if let Ok(small) = number.parse() {
        return Ok(Value::Int(small));
    }
    if number.len() > DIGITS_MAX {
        return Err(Problem::range("int", json));
    }
    number.parse::<BigInt>().map(msgpack::normal).map_err(|_| Problem::expected("int", json))
}

/// The nearest float, unless that is infinite.
pub(super) fn float(json: &Json, number: &str) -> Result<f64, Problem> {
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Problem::range("float", json)),
    }
}
