//! Texts and JSON of requests as stored values.

use protocol::json::{self, Form};
use protocol::manifest::{Manifest, Method};
use protocol::msgpack;
use protocol::problem::Code;
use protocol::schema::Type;
use protocol::worker::ValueBytes;

use crate::limits::KEY_BYTES_MAX;
use crate::problem::{ArgumentProblem, Problem};

/// The key of an entity in an address.
pub(crate) fn entity_key(manifest: &Manifest, text: &str, ty: &Type) -> Result<ValueBytes, Problem> {
    if text.len() > KEY_BYTES_MAX {
        let detail = format!("The key has {} bytes; at most {KEY_BYTES_MAX} are allowed.", text.len());
        return Err(Problem::new(Code::BadKey, detail));
    }
    key(manifest, text, ty)
}

/// Keys of a dict field that `text` in an address can mean, the likeliest first: several if the type is not known.
pub(crate) fn entry_keys(manifest: &Manifest, text: &str, ty: &Type) -> Result<Vec<ValueBytes>, Problem> {
    let mut keys = vec![key(manifest, text, ty)?];
    if *ty == Type::Any
        && let Ok(parsed) = json::parse(text.as_bytes())
        && let Ok(value) = json::read_untyped(&parsed)
        && let Ok(bytes) = msgpack::encode(&value)
    {
        keys.push(bytes);
    }
    Ok(keys)
}

fn key(manifest: &Manifest, text: &str, ty: &Type) -> Result<ValueBytes, Problem> {
    let bad = |what: String| Problem::new(Code::BadKey, format!("The key in the address does not fit: {what}."));
    let value = json::read_key(text, ty, &manifest.records).map_err(|problem| bad(problem.to_string()))?;
    msgpack::encode(&value).map_err(|cause| bad(cause.to_string()))
}

/// The arguments of a call. No body at all stands for no arguments.
pub(crate) fn arguments(manifest: &Manifest, method: &Method, body: &[u8], form: Form) -> Result<ValueBytes, Problem> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"[]" } else { body };
    let parsed = json::parse(body).map_err(|error| malformed(body, &error))?;
    json::bind_args(&method.parameters, &manifest.records, &parsed, form).map_err(|problems| {
        let arguments = problems.into_iter().map(|p| ArgumentProblem { name: p.parameter, problem: p.problem });
        misfit(method, arguments.collect())
    })
}

fn malformed(body: &[u8], error: &json::ParseError) -> Problem {
    let before = &body[..error.offset.min(body.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = 1 + String::from_utf8_lossy(&before[line_start..]).chars().count();
    let detail = format!("The body is not JSON: {} at line {line}, column {column}.", error.what);
    Problem::new(Code::MalformedJson, detail)
}

fn misfit(method: &Method, arguments: Vec<ArgumentProblem>) -> Problem {
    let told: Vec<String> = arguments
        .iter()
        .map(|a| if a.name.is_empty() { a.problem.clone() } else { format!("`{}` {}", a.name, a.problem) })
        .collect();
    let detail = format!("The arguments do not fit `{}`: {}.", signature(method), told.join("; "));
    Problem::arguments(detail, arguments)
}

/// A method as Python would declare it, without `self`.
pub fn signature(method: &Method) -> String {
    use protocol::manifest::ParameterKind::{KeywordOnly, Normal, PositionalOnly, VarKeyword, VarPositional};
    let mut parts: Vec<String> = Vec::new();
    let mut previous = None;
    for parameter in &method.parameters {
        if previous == Some(PositionalOnly) && parameter.kind != PositionalOnly {
            parts.push("/".into());
        }
        if parameter.kind == KeywordOnly && !matches!(previous, Some(KeywordOnly | VarPositional)) {
            parts.push("*".into());
        }
        let stars = match parameter.kind {
            Normal | PositionalOnly | KeywordOnly => "",
            VarPositional => "*",
            VarKeyword => "**",
        };
        let ty = match &parameter.ty {
            Type::Any => String::new(),
            ty => format!(": {}", json::type_name(ty)),
        };
        let default = if parameter.default { " = …" } else { "" };
        parts.push(format!("{stars}{}{ty}{default}", parameter.name));
        previous = Some(parameter.kind);
    }
    if previous == Some(PositionalOnly) {
        parts.push("/".into());
    }
    let returns = match &method.returns {
        Type::Any => String::new(),
        ty => format!(" -> {}", json::type_name(ty)),
    };
    format!("{}({}){returns}", method.name, parts.join(", "))
}

/// A stored value as JSON text.
pub(crate) fn to_json(bytes: &[u8], form: Form) -> Result<String, Problem> {
    json::write_msgpack(bytes, form)
        .map_err(|cause| Problem::new(Code::Internal, format!("A value cannot be read: {cause}.")))
}
