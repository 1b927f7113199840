//! The manifest, indexed for the scheduler, and the numbers that the catalogue gives to services and fields.
//! Never read while a record is applied.

use std::sync::Arc;

use protocol::cell::CellKey;
use protocol::ids::{PartitionId, Slot};
use protocol::manifest::{FieldKind, Manifest, Method, Mode, Service};
use protocol::record::CatalogueRow;
use protocol::{Value, key, msgpack};
use rustc_hash::FxHashMap;

/// A compiled application as the engine uses it.
#[derive(Debug)]
pub struct Deployment {
    manifest: Arc<Manifest>,
}

impl Deployment {
    /// Indexes a manifest.
    pub fn new(manifest: Arc<Manifest>) -> Self {
        Self { manifest }
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn method(&self, service: &str, method: &str) -> Option<(&Service, &Method)> {
        let service = self.manifest.service(service)?;
        Some((service, service.method(method)?))
    }
}

/// Numbers of services and fields of one catalogue, in both directions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    /// By service and field, so that a look-up makes no key.
    by_name: FxHashMap<String, FxHashMap<String, u32>>,
    by_number: FxHashMap<u32, Numbering>,
}

/// What has a number.
#[derive(Clone, Debug)]
struct Numbering {
    service: String,
    /// Empty for the service itself.
    field: String,
    /// What the field is in this deployment, if it is in it.
    kind: Option<FieldKind>,
}

impl Numbers {
    pub(crate) fn new(catalogue: &CatalogueRow, manifest: &Manifest) -> Self {
        let mut numbers = Self::default();
        for (service, field, number) in &catalogue.entries {
            numbers.by_name.entry(service.clone()).or_default().insert(field.clone(), *number);
            let kind = manifest.service(service).and_then(|service| service.field(field)).map(|field| field.kind);
            let numbering = Numbering { service: service.clone(), field: field.clone(), kind };
            numbers.by_number.insert(*number, numbering);
        }
        numbers
    }

    pub(crate) fn number(&self, service: &str, field: &str) -> Option<u32> {
        self.by_name.get(service)?.get(field).copied()
    }

    /// Service and field (empty for the service itself) of a number.
    pub(crate) fn name(&self, number: u32) -> Option<(&str, &str)> {
        self.by_number.get(&number).map(|numbering| (numbering.service.as_str(), numbering.field.as_str()))
    }

    /// What the field with this number is in this deployment.
    pub(crate) fn kind(&self, number: u32) -> Option<FieldKind> {
        self.by_number.get(&number)?.kind
    }

    /// Numbers for everything in `manifest` that has none, following the largest in use.
    pub(crate) fn missing(&self, manifest: &Manifest) -> Vec<(String, String, u32)> {
        let mut next = self.by_number.keys().max().map_or(1, |number| number + 1);
        let mut missing = Vec::new();
        for service in &manifest.services {
            let names = std::iter::once("").chain(service.fields.iter().map(|field| field.name.as_str()));
            for field in names {
                if self.number(&service.name, field).is_none() {
                    missing.push((service.name.clone(), field.to_owned(), next));
                    next += 1;
                }
            }
        }
        missing
    }
}

/// Why a key cannot name a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadKey(pub(crate) String);

/// Canonical form of an encoded key.
pub(crate) fn canonical(encoded: &[u8]) -> Result<Vec<u8>, BadKey> {
    let value = msgpack::decode(encoded).map_err(|error| BadKey(error.to_string()))?;
    key::canonical(&value).map_err(|error| BadKey(error.to_string()))
}

/// Slot of a service's scalar cells: that of its name.
pub(crate) fn service_slot(service: &str) -> Slot {
    let canonical = key::canonical(&Value::Str(service.to_owned())).unwrap_or_default();
    Slot::of(&canonical)
}

/// A field by its number, and where its cells lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbered {
    pub(crate) number: u32,
    /// All its cells lie in one slot, that of the service's name or of the entity: a scalar field or a list.
    pub(crate) together: bool,
}

/// Where the cells of one invocation's `self` live.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    /// Slot and canonical key of the entity.
    pub(crate) entity: Option<(Slot, Vec<u8>)>,
    /// Slot of scalar cells of a service.
    pub(crate) scalar: Slot,
}

impl Cells {
    pub(crate) fn new(service: &str, entity_key: Option<&[u8]>) -> Result<Self, BadKey> {
        let entity = match entity_key {
            None => None,
            Some(encoded) => {
                let canonical = canonical(encoded)?;
                Some((Slot::of(&canonical), canonical))
            }
        };
        Ok(Self { entity, scalar: service_slot(service) })
    }

    /// The cell of a scalar field, or of the entry of another field with this encoded key.
    pub(crate) fn cell(&self, field: Numbered, encoded_key: Option<&[u8]>) -> Result<CellKey, BadKey> {
        let key = encoded_key.map(canonical).transpose()?;
        let slot = match (&self.entity, &key) {
            (Some((slot, _)), _) => *slot,
            (None, Some(canonical)) if !field.together => Slot::of(canonical),
            (None, _) => self.scalar,
        };
        Ok(CellKey { slot, field: field.number, entity: self.entity.as_ref().map(|(_, key)| key.clone()), key })
    }

    /// The membership lock of a field with entries; one of this name on each partition that may hold some.
    pub(crate) fn membership(&self, field: Numbered) -> CellKey {
        let (slot, entity) = match &self.entity {
            Some((slot, key)) => (*slot, Some(key.clone())),
            None if field.together => (self.scalar, None),
            None => (Slot(0), None),
        };
        CellKey { slot, field: field.number, entity, key: None }
    }

    /// Partitions that may hold entries of a field.
    pub(crate) fn share(&self, field: Numbered, partitions: u16) -> Vec<PartitionId> {
        match &self.entity {
            Some((slot, _)) => vec![slot.partition(partitions)],
            None if field.together => vec![self.scalar.partition(partitions)],
            None => (0..partitions).map(PartitionId).collect(),
        }
    }
}

/// How a method locks the cells of a field; exclusive if the compiler did not say.
pub(crate) fn mode_of(method: &Method, field: &str) -> Mode {
    if method.read_only {
        return Mode::Shared;
    }
    method.modes.iter().find(|(name, _)| name == field).map_or(Mode::Exclusive, |(_, mode)| *mode)
}

/// Does it have cells with keys, and so a membership?
pub(crate) fn has_entries(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Dict | FieldKind::List)
}
