//! Where an invocation lives: from service, key, method and arguments to its id, whose slot names the home.

use protocol::ids::{InvocationId, SLOTS, Slot, digest};
use protocol::manifest::{FieldKind, Manifest, Method, Service};
use protocol::record::Dedup;

use crate::deployment::{canonical, service_slot};
use crate::keys;

/// Why a call cannot be routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteError {
    /// No such service.
    UnknownService,
    /// No such method.
    UnknownMethod,
    /// An entity was called without a key, or a service with one.
    KeyMismatch,
    /// The key cannot be one.
    BadKey(String),
}

/// The id of a client's call: in the slot of its routing key, else in one that its `Idempotency-Key` decides (so that
/// a request sent again finds its first), else anywhere.
pub fn route(
    manifest: &Manifest,
    service: &str,
    key: Option<&[u8]>,
    method: &str,
    args: &[u8],
    idempotency_key: Option<&str>,
    entropy: [u8; 16],
) -> Result<InvocationId, RouteError> {
    let service = manifest.service(service).ok_or(RouteError::UnknownService)?;
    let method = service.method(method).ok_or(RouteError::UnknownMethod)?;
    if service.entity_key.is_some() != key.is_some() {
        return Err(RouteError::KeyMismatch);
    }
    let slot = slot(service, key, method, args)?.unwrap_or_else(|| match idempotency_key {
        Some(text) => Slot::of(text.as_bytes()),
        None => Slot(u16::from_be_bytes([entropy[0], entropy[1]]) % SLOTS),
    });
    Ok(InvocationId::new(slot, entropy))
}

/// The slot that a call's key decides, if any.
pub(crate) fn slot(
    service: &Service,
    key: Option<&[u8]>,
    method: &Method,
    args: &[u8],
) -> Result<Option<Slot>, RouteError> {
    if let Some(encoded) = key {
        let canonical = canonical(encoded).map_err(|bad| RouteError::BadKey(bad.0))?;
        return Ok(Some(Slot::of(&canonical)));
    }
    if let Some(expression) = &method.route {
        // A key that cannot be computed or hashed fails in the method, where Python would raise.
        let encoded = keys::evaluate(expression, method, args);
        return Ok(encoded.and_then(|key| canonical(&key).ok()).map(|canonical| Slot::of(&canonical)));
    }
    let in_one_slot = !method.modes.is_empty()
        && method.modes.iter().all(|(name, _)| service.field(name).is_some_and(|f| f.kind != FieldKind::Dict));
    Ok(in_one_slot.then(|| service_slot(&service.name)))
}

/// Where a client's `Idempotency-Key` is remembered: scoped by service, method and routing key.
pub(crate) fn dedup(
    id: InvocationId,
    service: &str,
    key: Option<&[u8]>,
    method: &str,
    text: &str,
    args: &[u8],
) -> Dedup {
    let scope = digest(&[service.as_bytes(), key.unwrap_or_default(), method.as_bytes(), text.as_bytes()]);
    Dedup { slot: id.slot(), scope, arguments: digest(&[args]) }
}
