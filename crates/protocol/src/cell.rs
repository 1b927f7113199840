//! Cells and the keys under which a partition's state is stored. Every key begins with the slot that it belongs to,
//! so that a split or a move of slots is a range; rows of the partition itself use the reserved slot 0xFFFF.

use minicbor::{Decode, Encode};

use crate::ids::{InvocationId, Slot, Stamp};

/// Identity of one cell: (field, entity, dict key). Field numbers come from the durable catalogue and are unique over
/// all services; entity and dict keys are canonical ([`crate::key`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct CellKey {
    /// Slot: of the entity's key, else of the dict key, else of the service's name.
    #[n(0)]
    pub slot: Slot,
    /// Number of the field in the catalogue.
    #[n(1)]
    pub field: u32,
    /// Canonical entity key.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub entity: Option<Vec<u8>>,
    /// Canonical dict key; `None` for a scalar field (or, as a lock's name, for a dict field's membership).
    #[cbor(n(3), with = "minicbor::bytes")]
    pub key: Option<Vec<u8>>,
}

/// What is stored under a cell's key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct CellRow {
    /// The value, canonical msgpack.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub value: Vec<u8>,
    /// The dict key as first inserted, canonical msgpack; kept for iteration.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: Option<Vec<u8>>,
    /// When the cell was inserted; iteration sorts by it.
    #[n(2)]
    pub inserted: Stamp,
    /// When it was last written.
    #[n(3)]
    pub written: Stamp,
    /// Number of writes since insertion.
    #[n(4)]
    pub updates: u32,
    /// Which object the cell holds: changed by whoever assigns another one, kept by changes in place. 0: the first one.
    #[n(5)]
    pub incarnation: u64,
}

/// Slot of rows that belong to the partition itself.
pub const PARTITION_SLOT: u16 = 0xffff;

/// Kinds of rows; the byte after the slot. Append-only.
pub mod kind {
    /// [`super::CellRow`].
    pub const CELL: u8 = 1;
    /// [`crate::record::InvocationRow`] of an unfinished invocation.
    pub const INVOCATION: u8 = 2;
    /// [`crate::record::StatusRow`].
    pub const STATUS: u8 = 3;
    /// [`crate::record::JournalRow`].
    pub const JOURNAL: u8 = 4;
    /// [`crate::record::DoneRow`] of a finished invocation whose result is kept.
    pub const DONE: u8 = 5;
    /// [`crate::record::DedupRow`].
    pub const DEDUP: u8 = 6;
    /// [`crate::worker::Delivered`]: the result of a task that no journal has yet; the position follows the invocation.
    pub const TASK_RESULT: u8 = 7;
    /// Outgoing message (partition row): peer, sequence number.
    pub const OUTBOX: u8 = 16;
    /// [`crate::record::InboxRow`] (partition row): peer.
    pub const INBOX: u8 = 17;
    /// [`crate::record::PreparedRow`] (partition row).
    pub const PREPARED: u8 = 18;
    /// [`crate::record::DecisionRow`] (partition row).
    pub const DECISION: u8 = 19;
    /// [`crate::record::CatalogueRow`] (partition row).
    pub const CATALOGUE: u8 = 20;
    /// [`crate::record::MetaRow`] (partition row).
    pub const META: u8 = 21;
    /// Retention index (partition row): bucket, invocation.
    pub const EXPIRY: u8 = 22;

    /// Rows that their partition has in memory too, as long as they are there: only recovery reads them.
    pub fn is_mirrored(kind: u8) -> bool {
        let of_invocations = matches!(kind, INVOCATION | STATUS | JOURNAL | TASK_RESULT);
        of_invocations || matches!(kind, OUTBOX | INBOX | PREPARED | DECISION | CATALOGUE | META)
    }
}

/// The kind of the row with this key.
pub fn kind_of(key: &[u8]) -> u8 {
    key.get(2).copied().unwrap_or_default()
}

fn prefix(slot: u16, kind: u8) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    key.extend_from_slice(&slot.to_be_bytes());
    key.push(kind);
    key
}

/// Prefix of all rows of the partition of this kind.
pub fn partition_prefix(kind: u8) -> Vec<u8> {
    prefix(PARTITION_SLOT, kind)
}

/// Key of a partition row.
pub fn partition_row(kind: u8, suffix: &[u8]) -> Vec<u8> {
    let mut key = partition_prefix(kind);
    key.extend_from_slice(suffix);
    key
}

/// Key of a row of an invocation.
pub fn invocation_row(kind: u8, id: InvocationId) -> Vec<u8> {
    let mut key = prefix(id.slot().0, kind);
    key.extend_from_slice(&id.0);
    key
}

/// Key of one journal row.
pub fn journal_row(id: InvocationId, index: u64) -> Vec<u8> {
    let mut key = invocation_row(kind::JOURNAL, id);
    key.extend_from_slice(&index.to_be_bytes());
    key
}

/// Key of the row of a task's result.
pub fn task_result_row(id: InvocationId, position: &str) -> Vec<u8> {
    let mut key = invocation_row(kind::TASK_RESULT, id);
    key.extend_from_slice(position.as_bytes());
    key
}

/// Key of a deduplication row: slot of the routing, and the digest of scope and `Idempotency-Key`.
pub fn dedup_row(slot: Slot, digest: &[u8; 16]) -> Vec<u8> {
    let mut key = prefix(slot.0, kind::DEDUP);
    key.extend_from_slice(digest);
    key
}

impl CellKey {
    /// Prefix of the rows of all cells of `field` (of `entity`) in `slot`.
    pub fn field_prefix(slot: Slot, field: u32, entity: Option<&[u8]>) -> Vec<u8> {
        let mut key = prefix(slot.0, kind::CELL);
        key.extend_from_slice(&field.to_be_bytes());
        match entity {
            None => key.push(0),
            Some(entity) => {
                key.push(1);
                key.extend_from_slice(&(entity.len() as u32).to_be_bytes());
                key.extend_from_slice(entity);
            }
        }
        key
    }

    /// The key under which this cell's row is stored.
    pub fn row(&self) -> Vec<u8> {
        let mut key = Self::field_prefix(self.slot, self.field, self.entity.as_deref());
        match &self.key {
            None => key.push(0),
            Some(bytes) => {
                key.push(1);
                key.extend_from_slice(bytes);
            }
        }
        key
    }

    /// The cell whose row is stored under `row`; `None` if it is not a cell's row.
    pub fn from_row(row: &[u8]) -> Option<Self> {
        let (slot, rest) = row.split_at_checked(2)?;
        let slot = Slot(u16::from_be_bytes([slot[0], slot[1]]));
        let rest = rest.strip_prefix(&[kind::CELL])?;
        let (field, rest) = rest.split_at_checked(4)?;
        let field = u32::from_be_bytes(field.try_into().ok()?);
        let (has_entity, mut rest) = rest.split_first()?;
        let mut entity = None;
        if *has_entity == 1 {
            let (len, tail) = rest.split_at_checked(4)?;
            let (bytes, tail) = tail.split_at_checked(u32::from_be_bytes(len.try_into().ok()?) as usize)?;
            entity = Some(bytes.to_vec());
            rest = tail;
        }
        let (has_key, rest) = rest.split_first()?;
        let key = (*has_key == 1).then(|| rest.to_vec());
        Some(Self { slot, field, entity, key })
    }
}
