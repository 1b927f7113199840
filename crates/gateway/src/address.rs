//! Which method an address names: `/{Service}/{method}` or `/{Entity}/{key}/{method}`, each with or without `/send`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use protocol::manifest::{Manifest, Method, Service};
use protocol::problem::Code;

use crate::near::near;
use crate::problem::Problem;

/// What a call's address says.
#[derive(Debug)]
pub(crate) struct Address<'m> {
    pub(crate) service: &'m Service,
    /// Text of the entity's key.
    pub(crate) key: Option<String>,
    pub(crate) method: &'m Method,
    /// With the suffix `/send`.
    pub(crate) send: bool,
}

/// Finds the method that a path names.
pub(crate) fn resolve<'m>(manifest: &'m Manifest, path: &str) -> Result<Address<'m>, Problem> {
    let segments = segments(path)?;
    let Some((name, rest)) = segments.split_first() else { return Err(nowhere(path)) };
    if name == "_" {
        return Err(Problem::new(Code::UnknownAddress, format!("The control API has no `{path}`; see `/_/`.")));
    }
    if rest.is_empty() {
        return Err(nowhere(path));
    }
    let service = service(manifest, name)?;
    match (&service.entity_key, rest) {
        (None, [name]) => target(service, None, name, false),
        (None, [name, send]) if send == "send" => target(service, None, name, true),
        (None, _) => Err(wrong_shape(service)),
        (Some(_), [key, name]) => target(service, Some(key), name, false),
        (Some(_), [key, name, send]) if send == "send" => target(service, Some(key), name, true),
        (Some(_), _) => Err(wrong_shape(service)),
    }
}

/// The service with this name.
pub(crate) fn service<'m>(manifest: &'m Manifest, name: &str) -> Result<&'m Service, Problem> {
    manifest.service(name).ok_or_else(|| {
        let near = near(name, manifest.services.iter().map(|s| s.name.as_str()));
        Problem::new(Code::UnknownService, format!("There is no service `{name}`")).near(near)
    })
}

/// The decoded segments of a path.
pub(crate) fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, Problem> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/')
        .map(|segment| {
            percent_decode_str(segment)
                .decode_utf8()
                .map_err(|_| Problem::new(Code::BadRequest, format!("`{segment}` in the address is not UTF-8 text.")))
        })
        .collect()
}

fn target<'m>(service: &'m Service, key: Option<&str>, name: &str, send: bool) -> Result<Address<'m>, Problem> {
    let method =
        service.method(name).filter(|method| method.public).ok_or_else(|| unknown_method(service, key, name))?;
    Ok(Address { service, key: key.map(str::to_owned), method, send })
}

fn unknown_method(service: &Service, key: Option<&str>, name: &str) -> Problem {
    let public = || service.methods.iter().filter(|method| method.public).map(|method| method.name.as_str());
    if let Some(key) = key
        && name == "send"
        && public().any(|method| method == key)
    {
        return wrong_shape(service);
    }
    let detail = format!("`{}` has no public method `{name}`", service.name);
    Problem::new(Code::UnknownMethod, detail).near(near(name, public()))
}

fn wrong_shape(service: &Service) -> Problem {
    let name = &service.name;
    let detail = match service.entity_key {
        None => format!("`{name}` is a service: its methods are at `/{name}/{{method}}`, without a key."),
        Some(_) => format!("`{name}` is an entity: its methods are at `/{name}/{{key}}/{{method}}`."),
    };
    Problem::new(Code::UnknownAddress, detail)
}

fn nowhere(path: &str) -> Problem {
    let detail =
        format!("Nothing is at `{path}`: calls go to `/{{Service}}/{{method}}` or `/{{Entity}}/{{key}}/{{method}}`.");
    Problem::new(Code::UnknownAddress, detail)
}
