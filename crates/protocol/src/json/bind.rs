//! The arguments of a call from a JSON body, by Python's rules: an array passes by position, an object by name.

use serde_json::{Map, Value as Json};

use super::Form;
use super::names::type_name;
use super::problem::{Problem, shortened, shown};
use super::tagged::tagged;
use super::typed::read_typed_at;
use crate::manifest::{Parameter, ParameterKind, RecordType};
use crate::msgpack;
use crate::schema::Type;
use crate::value::Value;

/// Arguments lie in a list or dict within a tuple.
const DEPTH: usize = 2;

/// What is wrong with one argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {problem}")]
pub struct ArgumentProblem {
    /// Name of the parameter; `[3]` for an argument by position that no parameter takes; empty for the body as a whole.
    pub parameter: String,
    /// What is wrong, for people.
    pub problem: String,
}

/// The bytes of the arguments (see [`msgpack::encode_args`]) that a body gives to these parameters, or all that is wrong.
///
/// Whichever way they came, arguments of ordinary parameters are passed by position as far as the first one that is
/// left out, so that equal calls have equal bytes. Defaults are left out; the worker applies them.
pub fn bind_args(
    parameters: &[Parameter],
    records: &[RecordType],
    body: &Json,
    form: Form,
) -> Result<Vec<u8>, Vec<ArgumentProblem>> {
    let mut binder = Binder { records, form, positional: vec![], named: vec![], problems: vec![] };
    match body {
        Json::Array(items) => binder.by_position(parameters, items),
        Json::Object(members) => binder.by_name(parameters, members),
        other => binder.refuse(
            "",
            format!("the body is a JSON array (arguments by position) or object (by name), got {}", shown(other)),
        ),
    }
    if !binder.problems.is_empty() {
        return Err(binder.problems);
    }
    msgpack::encode_args(&binder.positional, &binder.named)
        .map_err(|error| vec![ArgumentProblem { parameter: String::new(), problem: error.to_string() }])
}

struct Binder<'a> {
    records: &'a [RecordType],
    form: Form,
    positional: Vec<Value>,
    named: Vec<(String, Value)>,
    problems: Vec<ArgumentProblem>,
}

impl Binder<'_> {
    fn by_position(&mut self, parameters: &[Parameter], items: &[Json]) {
        let by_position = |p: &&Parameter| matches!(p.kind, ParameterKind::Normal | ParameterKind::PositionalOnly);
        let takers: Vec<&Parameter> = parameters.iter().filter(by_position).collect();
        let rest = parameters.iter().find(|p| p.kind == ParameterKind::VarPositional);
        for (index, json) in items.iter().enumerate() {
            let value = match (takers.get(index), rest) {
                (Some(parameter), _) => self.read(json, &parameter.name, &parameter.ty),
                (None, Some(rest)) => self.read(json, &format!("{}[{}]", rest.name, index - takers.len()), &rest.ty),
                (None, None) => {
                    self.refuse(&format!("[{index}]"), too_many(takers.len()));
                    None
                }
            };
            self.positional.extend(value);
        }
        for missing in takers.iter().skip(items.len()).filter(|p| !p.default) {
            self.refuse(&missing.name, "missing".to_owned());
        }
        for missing in parameters.iter().filter(|p| p.kind == ParameterKind::KeywordOnly && !p.default) {
            self.refuse(&missing.name, "missing, and can only be passed by name (with an object as body)".to_owned());
        }
    }

    fn by_name(&mut self, parameters: &[Parameter], members: &Map<String, Json>) {
        let mut in_order = true;
        for parameter in parameters {
            match (parameter.kind, members.get(&parameter.name)) {
                (ParameterKind::VarPositional | ParameterKind::VarKeyword, _) => {}
                (ParameterKind::PositionalOnly, _) => {
                    in_order = false;
                    if !parameter.default {
                        let problem = "missing: it can only be passed by position (with an array as body)";
                        self.refuse(&parameter.name, problem.to_owned());
                    }
                }
                (_, None) => {
                    in_order = false;
                    if !parameter.default {
                        self.refuse(&parameter.name, "missing".to_owned());
                    }
                }
                (kind, Some(json)) => {
                    in_order &= kind == ParameterKind::Normal;
                    let value = self.read(json, &parameter.name, &parameter.ty);
                    match value {
                        Some(value) if in_order => self.positional.push(value),
                        value => self.named.extend(value.map(|value| (parameter.name.clone(), value))),
                    }
                }
            }
        }
        self.rest_by_name(parameters, members);
    }

    /// The names that no parameter of their own takes.
    fn rest_by_name(&mut self, parameters: &[Parameter], members: &Map<String, Json>) {
        let rest = parameters.iter().find(|p| p.kind == ParameterKind::VarKeyword);
        let taken = |p: &Parameter, name: &str| {
            matches!(p.kind, ParameterKind::Normal | ParameterKind::KeywordOnly) && p.name == name
        };
        for (name, json) in members.iter().filter(|(name, _)| !parameters.iter().any(|p| taken(p, name))) {
            match rest {
                Some(rest) => {
                    let value = self.read(json, name, &rest.ty);
                    self.named.extend(value.map(|value| (name.clone(), value)));
                }
                None if parameters.iter().any(|p| p.kind == ParameterKind::PositionalOnly && p.name == *name) => {
                    // A required one is already reported, with the same advice.
                    if parameters.iter().any(|p| p.default && p.name == *name) {
                        self.refuse(name, "can only be passed by position (with an array as body)".to_owned());
                    }
                }
                None => self.refuse(&shortened(name), "unexpected: the method has no such parameter".to_owned()),
            }
        }
    }

    fn read(&mut self, json: &Json, name: &str, ty: &Type) -> Option<Value> {
        let value = match self.form {
            Form::Natural => read_typed_at(json, ty, self.records, DEPTH),
            Form::Tagged => tagged(json, DEPTH).and_then(|value| match fits(&value, ty) {
                true => Ok(value),
                false => Err(Problem::expected(type_name(ty), json)),
            }),
        };
        value.map_err(|problem| self.refuse(name, told(&problem, name))).ok()
    }

    fn refuse(&mut self, parameter: &str, problem: String) {
        self.problems.push(ArgumentProblem { parameter: parameter.to_owned(), problem });
    }
}

fn told(problem: &Problem, name: &str) -> String {
    if problem.path.is_empty() {
        problem.what.to_string()
    } else {
        format!("`{name}{}`: {}", problem.path, problem.what)
    }
}

fn too_many(count: usize) -> String {
    match count {
        0 => "unexpected: the method takes no arguments by position".to_owned(),
        1 => "unexpected: the method takes 1 argument by position".to_owned(),
        _ => format!("unexpected: the method takes {count} arguments by position"),
    }
}

/// Is a value of exact type one of this type? What lies within a dataclass is left to the worker.
fn fits(value: &Value, ty: &Type) -> bool {
    let all = |items: &[Value], ty: &Type| items.iter().all(|item| fits(item, ty));
    match (ty, value) {
        (Type::Any, _)
        | (Type::None, Value::None)
        | (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_) | Value::BigInt(_))
        | (Type::Float, Value::Float(_) | Value::Int(_) | Value::BigInt(_))
        | (Type::Str, Value::Str(_))
        | (Type::Bytes, Value::Bytes(_))
        | (Type::Decimal, Value::Decimal(_))
        | (Type::DateTime, Value::DateTime(_))
        | (Type::Date, Value::Date(_) | Value::DateTime(_))
        | (Type::Time, Value::Time(_))
        | (Type::TimeDelta, Value::TimeDelta(..))
        | (Type::Uuid, Value::Uuid(_)) => true,
        (Type::List(ty), Value::List(items))
        | (Type::TupleOf(ty), Value::Tuple(items))
        | (Type::Set(ty), Value::Set(items))
        | (Type::FrozenSet(ty), Value::FrozenSet(items)) => all(items, ty),
        (Type::Tuple(types), Value::Tuple(items)) => {
            types.len() == items.len() && types.iter().zip(items).all(|(ty, item)| fits(item, ty))
        }
        (Type::Dict(key_type, value_type), Value::Dict(entries)) => {
            entries.iter().all(|(key, value)| fits(key, key_type) && fits(value, value_type))
        }
        (Type::Union(members), _) => members.iter().any(|member| fits(value, member)),
        (Type::Record(name), Value::Record(given, _) | Value::Enum(given, _)) => name == given,
        _ => false,
    }
}
