//! `/_/state`: what the fields hold.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use protocol::json::type_name;
use protocol::manifest::{Field, FieldKind, Service};
use protocol::problem::Code;
use protocol::schema::Type;
use runtime::Place;
use serde_json::{Value, json};

use super::Shared;
use crate::address;
use crate::backend::Backend;
use crate::gateway::Gateway;
use crate::near::near;
use crate::problem::Problem;
use crate::query::Query;
use crate::{reply, values};

/// `GET /_/state`
pub(super) async fn catalogue<B: Backend>(State(gateway): Shared<B>) -> Response {
    let services: Value = gateway.backend.manifest().services.iter().map(describe).collect();
    reply::json(StatusCode::OK, json!({ "services": services }).to_string())
}

fn describe(service: &Service) -> Value {
    let fields: Value = service.fields.iter().map(describe_field).collect();
    let key = service.entity_key.as_ref().map(type_name);
    json!({"name": service.name, "entity": key.is_some(), "key": key, "fields": fields})
}

fn describe_field(field: &Field) -> Value {
    match field.kind {
        FieldKind::Scalar => json!({"name": field.name, "kind": "scalar", "type": type_name(&field.value_type)}),
        FieldKind::List => json!({"name": field.name, "kind": "list", "type": type_name(&field.value_type)}),
        FieldKind::Dict => json!({
            "name": field.name,
            "kind": "dict",
            "key": type_name(&field.key_type),
            "type": type_name(&field.value_type),
        }),
    }
}

/// `GET /_/state/{service}/{field}[/{key}]` and `GET /_/state/{entity}/{key}/{field}[/{key}]`; of a list, `key` is an index
pub(super) async fn read<B: Backend>(State(gateway): Shared<B>, uri: Uri) -> Result<Response, Problem> {
    let form = Query::of(&uri)?.form()?;
    let mut first_refusal = None;
    for place in places(&gateway, uri.path())? {
        match gateway.backend.state(place).await {
            Ok(bytes) => {
                let value = values::to_json(&bytes, form)?;
                return Ok(reply::json(StatusCode::OK, format!("{{\"value\":{value}}}")));
            }
            Err(refusal) => _ = first_refusal.get_or_insert(refusal),
        }
    }
    Err(first_refusal.map_or_else(|| unknown(uri.path()), Problem::from))
}

/// The places that a path can mean: several where the type of a key is not known, most likely first.
fn places<B: Backend>(gateway: &Arc<Gateway<B>>, path: &str) -> Result<Vec<Place>, Problem> {
    let segments = address::segments(path.strip_prefix("/_/state").unwrap_or(path))?;
    let Some((name, rest)) = segments.split_first() else { return Err(unknown(path)) };
    let manifest = gateway.backend.manifest();
    let service = address::service(manifest, name)?;
    let (key, rest) = match (&service.entity_key, rest) {
        (Some(ty), [key, rest @ ..]) => (Some(values::entity_key(manifest, key, ty)?), rest),
        (_, rest) => (None, rest),
    };
    let (field, entry) = match rest {
        [field] => (field, None),
        [field, entry] => (field, Some(entry)),
        _ => return Err(wrong_shape(service)),
    };
    let field = find(service, field)?;
    let place = |entry| Place { service: service.name.clone(), key: key.clone(), field: field.name.clone(), entry };
    match (entry, field.kind) {
        (None, _) => Ok(vec![place(None)]),
        (Some(text), FieldKind::Dict) => Ok(values::entry_keys(manifest, text, &field.key_type)?
            .into_iter()
            .map(|entry| place(Some(entry)))
            .collect()),
        (Some(text), FieldKind::List) => {
            Ok(values::entry_keys(manifest, text, &Type::Int)?.into_iter().map(|entry| place(Some(entry))).collect())
        }
        (Some(_), FieldKind::Scalar) => {
            let detail =
                format!("The field `{}.{}` is no dict or list with entries of its own.", service.name, field.name);
            Err(Problem::new(Code::UnknownState, detail))
        }
    }
}

fn find<'m>(service: &'m Service, name: &str) -> Result<&'m Field, Problem> {
    service.field(name).ok_or_else(|| {
        let near = near(name, service.fields.iter().map(|field| field.name.as_str()));
        Problem::new(Code::UnknownState, format!("`{}` has no field `{name}`", service.name)).near(near)
    })
}

fn wrong_shape(service: &Service) -> Problem {
    let name = &service.name;
    let shape = match service.entity_key {
        None => format!("`/_/state/{name}/{{field}}` or `/_/state/{name}/{{field}}/{{key}}`"),
        Some(_) => format!("`/_/state/{name}/{{key}}/{{field}}`, as `{name}` is an entity"),
    };
    Problem::new(Code::UnknownAddress, format!("State is at {shape}."))
}

fn unknown(path: &str) -> Problem {
    Problem::new(Code::UnknownState, format!("Nothing is at `{path}`."))
}
