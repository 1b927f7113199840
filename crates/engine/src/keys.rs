//! Keys that the arguments of a call tell before the method runs: where it is routed, which cells it is given at once. What
//! is computed is what Python would compute, or nothing; a key that is not used costs a lock, one that is missing a fetch.

use protocol::manifest::{KeyExpr, Method, ParameterKind};
use protocol::{Value, list, msgpack};

use crate::limits::KEYS_FORESEEN_MAX;

/// The encoded key that an expression gives; `None` if it cannot be known before the method runs, or is not one key.
pub(crate) fn evaluate(expression: &KeyExpr, method: &Method, args: &[u8]) -> Option<Vec<u8>> {
    match expression {
        KeyExpr::Constant(encoded) => Some(encoded.clone()),
        KeyExpr::Each(..) => None,
        _ => encoded(&Arguments::of(method, args)?.value(expression, None)?),
    }
}

/// All the encoded keys that an expression gives, none if there are too many.
pub(crate) fn evaluate_all(expression: &KeyExpr, method: &Method, args: &[u8]) -> Vec<Vec<u8>> {
    let KeyExpr::Each(collection, key) = expression else {
        return evaluate(expression, method, args).into_iter().collect();
    };
    let Some(arguments) = Arguments::of(method, args) else { return Vec::new() };
    let elements = match arguments.value(collection, None) {
        Some(Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items)) => items,
        Some(Value::Dict(items)) => items.into_iter().map(|(key, _)| key).collect(),
        _ => return Vec::new(),
    };
    if elements.len() > KEYS_FORESEEN_MAX {
        return Vec::new();
    }
    elements.iter().filter_map(|element| encoded(&arguments.value(key, Some(element))?)).collect()
}

fn encoded(key: &Value) -> Option<Vec<u8>> {
    msgpack::encode(key).ok()
}

/// The arguments of a call.
struct Arguments<'m> {
    method: &'m Method,
    positional: Vec<Value>,
    named: Vec<(String, Value)>,
}

impl<'m> Arguments<'m> {
    fn of(method: &'m Method, args: &[u8]) -> Option<Self> {
        let (positional, named) = msgpack::decode_args(args).ok()?;
        Some(Self { method, positional, named })
    }

    /// What an argument is; a default is known to the worker alone.
    fn argument(&self, index: u32) -> Option<Value> {
        let parameter = self.method.parameters.get(index as usize)?;
        if matches!(parameter.kind, ParameterKind::Normal | ParameterKind::PositionalOnly)
            && let Some(value) = self.positional.get(index as usize)
        {
            return Some(value.clone());
        }
        self.named.iter().find(|(given, _)| *given == parameter.name).map(|(_, value)| value.clone())
    }

    fn value(&self, expression: &KeyExpr, element: Option<&Value>) -> Option<Value> {
        let all = |keys: &[KeyExpr]| keys.iter().map(|key| self.value(key, element)).collect::<Option<Vec<_>>>();
        Some(match expression {
            KeyExpr::Constant(bytes) => msgpack::decode(bytes).ok()?,
            KeyExpr::Parameter(index) => self.argument(*index)?,
            KeyExpr::Item(index, name) => part(self.argument(*index)?, name)?,
            KeyExpr::Part(of, name) => part(self.value(of, element)?, name)?,
            KeyExpr::Str(index) => Value::Str(text(self.argument(*index)?)?),
            KeyExpr::Text(of) => Value::Str(text(self.value(of, element)?)?),
            KeyExpr::Join(parts) => Value::Str(all(parts)?.into_iter().map(text).collect::<Option<String>>()?),
            KeyExpr::Concat(parts) => {
                let only_text = |value| match value {
                    Value::Str(text) => Some(text),
                    _ => None,
                };
                Value::Str(all(parts)?.into_iter().map(only_text).collect::<Option<String>>()?)
            }
            KeyExpr::Tuple(items) => Value::Tuple(all(items)?),
            KeyExpr::Chunk(index) => match self.argument(*index)? {
                Value::Int(number) => Value::Int(list::chunk_of(number)?),
                _ => return None,
            },
            KeyExpr::Element => element?.clone(),
            KeyExpr::Each(..) => return None,
        })
    }
}

/// `value["name"]` of a dict, `value.name` of a dataclass.
fn part(value: Value, name: &str) -> Option<Value> {
    match value {
        Value::Dict(items) => items.into_iter().find(|(k, _)| matches!(k, Value::Str(k) if k == name)).map(|(_, v)| v),
        Value::Record(_, fields) => fields.into_iter().find(|(k, _)| k == name).map(|(_, v)| v),
        _ => None,
    }
}

/// `str(value)`, where that is the same in every Python.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Str(text) => Some(text),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use protocol::manifest::Parameter;

    use super::*;

    fn string(text: &str) -> Value {
        Value::Str(text.to_owned())
    }

    fn constant(text: &str) -> KeyExpr {
        KeyExpr::Constant(msgpack::encode(&string(text)).unwrap())
    }

    /// The keys that `f(a, b)` gives for these arguments.
    fn keys(expression: &KeyExpr, a: Value, b: Value) -> Vec<Value> {
        let parameter = |name: &str| Parameter { name: name.to_owned(), ..Parameter::default() };
        let method = Method { parameters: vec![parameter("a"), parameter("b")], ..Method::default() };
        let args = msgpack::encode_args(&[a], &[("b".to_owned(), b)]).unwrap();
        evaluate_all(expression, &method, &args).iter().map(|key| msgpack::decode(key).unwrap()).collect()
    }

    #[test]
    fn texts_are_joined_as_python_does() {
        let join = KeyExpr::Join(vec![KeyExpr::Parameter(0), constant(":"), KeyExpr::Parameter(1)]);
        assert_eq!(keys(&join, string("ann"), Value::Int(-7)), [string("ann:-7")]);
        for other in [Value::Bool(true), Value::Float(1.0), Value::None, Value::List(Vec::new())] {
            assert_eq!(keys(&join, string("ann"), other), []);
        }
        let concat = KeyExpr::Concat(vec![KeyExpr::Parameter(0), KeyExpr::Parameter(1)]);
        assert_eq!(keys(&concat, string("a"), string("b")), [string("ab")]);
        assert_eq!(keys(&concat, Value::Int(1), Value::Int(2)), []);
        let tuple = KeyExpr::Tuple(vec![KeyExpr::Text(Box::new(KeyExpr::Parameter(1))), KeyExpr::Parameter(0)]);
        assert_eq!(keys(&tuple, Value::Int(1), Value::Int(2)), [Value::Tuple(vec![string("2"), Value::Int(1)])]);
    }

    #[test]
    fn each_element_has_its_key() {
        let item = KeyExpr::Part(Box::new(KeyExpr::Element), "id".to_owned());
        let key = KeyExpr::Join(vec![KeyExpr::Parameter(1), constant("/"), item]);
        let each = KeyExpr::Each(Box::new(KeyExpr::Parameter(0)), Box::new(key));
        let order = |id| Value::Dict(vec![(string("id"), id)]);
        let orders = Value::List(vec![order(Value::Int(5)), string("no order"), order(string("x"))]);
        assert_eq!(keys(&each, orders, string("ann")), [string("ann/5"), string("ann/x")]);
        assert_eq!(keys(&each, string("text"), string("ann")), []);
        let plain = KeyExpr::Each(Box::new(KeyExpr::Parameter(0)), Box::new(KeyExpr::Element));
        let many = |count| Value::List(vec![Value::Int(1); count]);
        assert_eq!(keys(&plain, many(KEYS_FORESEEN_MAX), Value::None).len(), KEYS_FORESEEN_MAX);
        assert_eq!(keys(&plain, many(KEYS_FORESEEN_MAX + 1), Value::None), []);
    }
}
