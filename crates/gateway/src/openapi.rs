//! `/_/openapi.json`: the application's methods as an OpenAPI 3.1 document, and example arguments.

use protocol::json::type_name;
use protocol::limits::DEPTH_MAX;
use protocol::manifest::{Manifest, Method, Parameter, ParameterKind, RecordType, Service};
use protocol::problem::Code;
use protocol::schema::Type;
use serde_json::{Map, Value, json};

/// Example of an entity's key.
const EXAMPLE_KEY: &str = "alice";
const EXAMPLE_UUID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// Where a method is called.
pub fn route(service: &Service, method: &Method) -> String {
    match service.entity_key {
        None => format!("/{}/{}", service.name, method.name),
        Some(_) => format!("/{}/{{key}}/{}", service.name, method.name),
    }
}

/// The route of a method with an example of a key.
pub fn example_path(service: &Service, method: &Method) -> String {
    let key = match service.entity_key {
        Some(Type::Int) => "1",
        Some(Type::Uuid) => EXAMPLE_UUID,
        _ => EXAMPLE_KEY,
    };
    route(service, method).replace("{key}", key)
}

/// Arguments for a method, as the JSON text of an array: those of its docstring, else some of the right types.
pub fn example_body(manifest: &Manifest, method: &Method) -> String {
    if let Some(example) = &method.example {
        return example.clone();
    }
    let required = |p: &&Parameter| !p.default && !variadic(p.kind);
    let keyword_only = method.parameters.iter().filter(required).any(|p| p.kind == ParameterKind::KeywordOnly);
    let arguments = method.parameters.iter().filter(required);
    let named = |p: &Parameter| named_example(&p.name, &p.ty, manifest);
    if keyword_only {
        let object: Map<String, Value> = arguments.map(|p| (p.name.clone(), named(p))).collect();
        return Value::Object(object).to_string();
    }
    Value::Array(arguments.map(named).collect()).to_string()
}

fn variadic(kind: ParameterKind) -> bool {
    matches!(kind, ParameterKind::VarPositional | ParameterKind::VarKeyword)
}

fn named_example(name: &str, ty: &Type, manifest: &Manifest) -> Value {
    match ty {
        Type::Str | Type::Any => json!(format!("{name}-1")),
        _ => example(ty, manifest, 0),
    }
}

fn example(ty: &Type, manifest: &Manifest, depth: usize) -> Value {
    let inner = |ty: &Type| example(ty, manifest, depth + 1);
    match ty {
        _ if depth > DEPTH_MAX / 10 => Value::Null,
        Type::Any | Type::Str => json!("text"),
        Type::None => Value::Null,
        Type::Bool => json!(true),
        Type::Int => json!(1),
        Type::Float => json!(1.5),
        Type::Bytes => json!("aGVsbG8="),
        Type::Decimal => json!("9.99"),
        Type::DateTime => json!("2026-01-31T12:00:00+00:00"),
        Type::Date => json!("2026-01-31"),
        Type::Time => json!("12:00:00"),
        Type::TimeDelta => json!(60),
        Type::Uuid => json!(EXAMPLE_UUID),
        Type::List(item) | Type::TupleOf(item) | Type::Set(item) | Type::FrozenSet(item) => json!([inner(item)]),
        Type::Tuple(items) => items.iter().map(inner).collect(),
        Type::Dict(key, value) => {
            let key = inner(key);
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            json!({ key: inner(value) })
        }
        Type::Union(members) => members.first().map_or(Value::Null, inner),
        Type::Record(name) => record(manifest, name).map_or(Value::Null, |record| example_record(record, inner)),
    }
}

fn example_record(record: &RecordType, inner: impl Fn(&Type) -> Value) -> Value {
    if record.is_enum {
        return record.members.first().map_or(Value::Null, |member| enum_value(&member.name, &member.value));
    }
    let required = record.fields.iter().filter(|(_, _, default)| !default);
    Value::Object(required.map(|(name, ty, _)| (name.clone(), inner(ty))).collect())
}

fn enum_value(name: &str, value: &[u8]) -> Value {
    match protocol::msgpack::decode(value) {
        Ok(protocol::Value::Int(number)) => json!(number),
        Ok(protocol::Value::Str(text)) => json!(text),
        _ => json!(name),
    }
}

fn record<'m>(manifest: &'m Manifest, name: &str) -> Option<&'m RecordType> {
    manifest.records.iter().find(|record| record.name == name)
}

/// The whole document.
pub(crate) fn document(manifest: &Manifest) -> Value {
    let mut paths = Map::new();
    for service in &manifest.services {
        for method in service.methods.iter().filter(|method| method.public) {
            let route = route(service, method);
            paths.insert(format!("{route}/send"), path(manifest, service, method, true));
            paths.insert(route, path(manifest, service, method, false));
        }
    }
    paths.sort_keys();
    let schemas: Map<String, Value> =
        manifest.records.iter().map(|record| (record.name.clone(), record_schema(record))).collect();
    let mut schemas = schemas;
    schemas.insert("Problem".into(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Sostenuto application", "version": manifest.deployment.to_string()},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": {
                "description": "A problem document (RFC 9457).",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
        },
    })
}

fn path(manifest: &Manifest, service: &Service, method: &Method, send: bool) -> Value {
    let mut parameters = vec![json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes retries safe: the same key and arguments give the recorded result.",
        "schema": {"type": "string"},
    })];
    if let Some(key) = &service.entity_key {
        parameters.push(json!({"name": "key", "in": "path", "required": true, "schema": schema(key)}));
    }
    let suffix = if send { ".send" } else { "" };
    let mut operation = json!({
        "operationId": format!("{}.{}{suffix}", service.name, method.name),
        "tags": [service.name],
        "parameters": parameters,
        "responses": {
            "default": {"$ref": "#/components/responses/Problem"},
        },
    });
    if !method.doc.is_empty() {
        operation["summary"] = json!(method.doc);
    }
    if !method.parameters.is_empty() {
        operation["requestBody"] = request_body(manifest, method);
    }
    let (status, response) = if send { ("202", accepted()) } else { ("200", done(method)) };
    operation["responses"][status] = response;
    json!({ "post": operation })
}

fn accepted() -> Value {
    let schema = json!({"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]});
    json!({
        "description": "Accepted; ask for the result at /_/invocations/{id}/result.",
        "headers": reply_headers(),
        "content": {"application/json": {"schema": schema}},
    })
}

fn done(method: &Method) -> Value {
    json!({
        "description": format!("The result: {}.", type_name(&method.returns)),
        "headers": reply_headers(),
        "content": {"application/json": {"schema": schema(&method.returns)}},
    })
}

fn reply_headers() -> Value {
    json!({
        "X-Sostenuto-Invocation": {"description": "Id of the invocation.", "schema": {"type": "string"}},
        "X-Sostenuto-Result-Expires": {
            "description": "Until when the result is kept, an HTTP date; absent if it is not.",
            "schema": {"type": "string"},
        },
    })
}

fn request_body(manifest: &Manifest, method: &Method) -> Value {
    let required = method.parameters.iter().any(|p| !p.default && !variadic(p.kind));
    let example: Value = serde_json::from_str(&example_body(manifest, method)).unwrap_or(Value::Null);
    json!({
        "required": required,
        "content": {"application/json": {
            "schema": {"oneOf": [by_name(method), by_position(method)]},
            "example": example,
        }},
    })
}

fn by_name(method: &Method) -> Value {
    let mut properties = Map::new();
    let mut required = vec![];
    let mut others = json!(false);
    for parameter in &method.parameters {
        match parameter.kind {
            ParameterKind::Normal | ParameterKind::KeywordOnly => {
                properties.insert(parameter.name.clone(), schema(&parameter.ty));
                if !parameter.default {
                    required.push(parameter.name.clone());
                }
            }
            ParameterKind::VarKeyword => others = schema(&parameter.ty),
            ParameterKind::PositionalOnly | ParameterKind::VarPositional => {}
        }
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": others})
}

fn by_position(method: &Method) -> Value {
    let positional = |p: &&Parameter| matches!(p.kind, ParameterKind::Normal | ParameterKind::PositionalOnly);
    let items: Vec<Value> = method.parameters.iter().filter(positional).map(|p| schema(&p.ty)).collect();
    let required = method.parameters.iter().filter(positional).filter(|p| !p.default).count();
    let rest = method.parameters.iter().find(|p| p.kind == ParameterKind::VarPositional);
    let rest = rest.map_or(json!(false), |p| schema(&p.ty));
    if items.is_empty() {
        return json!({"type": "array", "items": rest});
    }
    json!({"type": "array", "prefixItems": items, "minItems": required, "items": rest})
}

fn record_schema(record: &RecordType) -> Value {
    if record.is_enum {
        let values: Vec<Value> = record.members.iter().map(|m| enum_value(&m.name, &m.value)).collect();
        return json!({ "enum": values });
    }
    let properties: Map<String, Value> = record.fields.iter().map(|(name, ty, _)| (name.clone(), schema(ty))).collect();
    let required: Vec<&String> =
        record.fields.iter().filter(|(_, _, default)| !default).map(|(name, _, _)| name).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// A type as JSON Schema.
fn schema(ty: &Type) -> Value {
    match ty {
        Type::Any => json!({}),
        Type::None => json!({"type": "null"}),
        Type::Bool => json!({"type": "boolean"}),
        Type::Int => json!({"type": "integer"}),
        Type::Float => json!({"type": "number"}),
        Type::Str => json!({"type": "string"}),
        Type::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Type::List(item) | Type::TupleOf(item) => json!({"type": "array", "items": schema(item)}),
        Type::Set(item) | Type::FrozenSet(item) => {
            json!({"type": "array", "items": schema(item), "uniqueItems": true})
        }
        Type::Dict(_, value) => json!({"type": "object", "additionalProperties": schema(value)}),
        Type::Tuple(items) if items.is_empty() => json!({"type": "array", "maxItems": 0}),
        Type::Tuple(items) => {
            let schemas: Vec<Value> = items.iter().map(schema).collect();
            json!({"type": "array", "prefixItems": schemas, "minItems": items.len(), "items": false})
        }
        Type::Union(members) => json!({"anyOf": members.iter().map(schema).collect::<Vec<_>>()}),
        Type::Decimal => json!({"type": "string", "format": "decimal"}),
        Type::DateTime => json!({"type": "string", "format": "date-time"}),
        Type::Date => json!({"type": "string", "format": "date"}),
        Type::Time => json!({"type": "string", "format": "time"}),
        Type::TimeDelta => json!({"type": "number", "description": "seconds"}),
        Type::Uuid => json!({"type": "string", "format": "uuid"}),
        Type::Record(name) => json!({"$ref": format!("#/components/schemas/{name}")}),
    }
}

fn problem_schema() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string"},
            "code": {"enum": codes},
            "source": {"enum": ["ingress", "invocation"]},
            "retryable": {"type": "boolean"},
            "arguments": {"type": "array", "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "problem": {"type": "string"}},
            }},
            "exception": {"type": "object", "properties": {
                "type": {"type": "string"},
                "message": {"type": "string"},
                "traceback": {"type": "string"},
            }},
        },
        "required": ["type", "title", "status", "detail", "code", "source", "retryable"],
    })
}
