//! `sostenuto state`: what the fields hold.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::problem;
use crate::cli::{Global, State};
use crate::client::{Client, segment};
use crate::table::table;
use crate::{Usage, out};

pub(super) fn run(command: &State, global: &Global) -> Result<ExitCode> {
    let client = Client::new(&global.server)?;
    let catalogue = client.get("/_/state")?;
    if !catalogue.status.is_success() {
        return Ok(problem::failed(&catalogue, global));
    }
    match command {
        State::List if global.json => out::line(catalogue.text.trim_end()),
        State::List => out::line(&listing(&catalogue.json()?)),
        State::Get { place } => {
            let path = path(place, &catalogue.json()?)?;
            let reply = client.get(&path)?;
            if !reply.status.is_success() {
                return Ok(problem::failed(&reply, global));
            }
            let document = reply.json()?;
            let value = document.get("value").unwrap_or(&Value::Null);
            out::line(&if global.json { reply.text.trim_end().to_owned() } else { value.to_string() });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listing(catalogue: &Value) -> String {
    let mut rows = vec![];
    for service in each(catalogue, "services") {
        let key = service.get("key").and_then(Value::as_str).map(|_| "/{key}").unwrap_or_default();
        for field in each(service, "fields") {
            let entry = match text(field, "kind") {
                "dict" => "[/{key}]",
                "list" => "[/{index}]",
                _ => "",
            };
            let name = format!("{}{key}/{}{entry}", text(service, "name"), text(field, "name"));
            let ty = match text(field, "kind") {
                "dict" => format!("dict[{}, {}]", text(field, "key"), text(field, "type")),
                "list" => format!("list[{}]", text(field, "type")),
                _ => text(field, "type").to_owned(),
            };
            rows.push(vec![name, ty]);
        }
    }
    if rows.is_empty() { "no persistent fields".into() } else { table(&["FIELD", "TYPE"], &rows) }
}

/// The address of a place. Keys may contain slashes: an entity's is all between its name and the field; an entry's
/// is all after a service's field, and the last part after an entity's.
fn path(place: &str, catalogue: &Value) -> Result<String> {
    let malformed =
        || Usage(format!("`{place}`: a place is `Service/field`, `Service/field/key` or `Entity/key/field`"));
    let (name, rest) = place.split_once('/').ok_or_else(malformed)?;
    let known = each(catalogue, "services").find(|known| text(known, "name") == name);
    let entity = known.filter(|known| known.get("entity").and_then(Value::as_bool).unwrap_or_default());
    let mut path = format!("/_/state/{}", segment(name));
    let Some(entity) = entity else {
        let (field, key) = rest.split_once('/').map_or((rest, None), |(field, key)| (field, Some(key)));
        path.extend([Some(field), key].into_iter().flatten().map(|part| format!("/{}", segment(part))));
        return Ok(path);
    };
    let (before, last) = rest.rsplit_once('/').ok_or_else(malformed)?;
    let is_field = |name: &str| each(entity, "fields").any(|field| text(field, "name") == name);
    let parts = match before.rsplit_once('/') {
        Some((key, field)) if is_field(field) && !is_field(last) => vec![key, field, last],
        _ => vec![before, last],
    };
    path.extend(parts.into_iter().map(|part| format!("/{}", segment(part))));
    Ok(path)
}

fn each<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_may_contain_slashes() {
        let catalogue: Value =
            serde_json::json!({"services": [{"name": "Account", "entity": true}, {"name": "Hotel"}]});
        let path = |place: &str| path(place, &catalogue).map_err(|error| error.to_string());
        assert_eq!(path("Hotel/hotels").unwrap(), "/_/state/Hotel/hotels");
        assert_eq!(path("Hotel/hotels/a/b").unwrap(), "/_/state/Hotel/hotels/a%2Fb");
        assert_eq!(path("Account/a/b/funds").unwrap(), "/_/state/Account/a%2Fb/funds");
        assert!(path("Hotel").is_err());
        assert!(path("Account/alice").is_err());
    }
}
