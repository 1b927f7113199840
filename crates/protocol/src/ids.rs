//! Identities: slots, partitions, invocations, attempts, positions. Nothing here allocates ids; they are derived
//! from inputs, so that a replay derives the same ones.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};

/// Microseconds since the Unix epoch.
pub type Micros = u64;

/// Number of slots that the key space is divided into; partitions own contiguous ranges of them.
pub const SLOTS: u16 = 4096;

/// Where a key lives: hash(canonical key) modulo [`SLOTS`], whatever the service and field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Slot(#[n(0)] pub u16);

impl Slot {
    /// The slot of a canonical key (see [`crate::key`]).
    pub fn of(canonical: &[u8]) -> Self {
        Self((xxhash_rust::xxh3::xxh3_64(canonical) % u64::from(SLOTS)) as u16)
    }

    /// The partition that owns this slot when `partitions` share the slots in equal ranges.
    pub fn partition(self, partitions: u16) -> PartitionId {
        PartitionId((u32::from(self.0) * u32::from(partitions) / u32::from(SLOTS)) as u16)
    }
}

/// Number of a partition, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct PartitionId(#[n(0)] pub u16);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Position of a record in its log, contiguous from 1; 0 means "nothing".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Position(#[n(0)] pub u64);

/// Number of one execution of a step on a worker; unique within a partition's epoch. Ends of older runs are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct RunNumber(#[n(0)] pub u64);

/// Identity of one call. The first two bytes are its slot (big endian), so that its home partition is known from the
/// id alone; the rest is a digest or random.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct InvocationId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

/// The order of the bytes, compared as one number: ordered maps of invocations are on every path.
impl Ord for InvocationId {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for InvocationId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl InvocationId {
    /// An id in `slot` from 16 bytes of entropy.
    pub fn new(slot: Slot, entropy: [u8; 16]) -> Self {
        let mut bytes = entropy;
        bytes[..2].copy_from_slice(&slot.0.to_be_bytes());
        Self(bytes)
    }

    /// The id of the child that `parent` calls at `position` in transaction attempt `attempt` (if any).
    ///
    /// `slot` is the slot of the child's routing key, or `None` for a method without one: then the digest decides.
    pub fn child(parent: Self, attempt: Option<AttemptId>, position: &str, slot: Option<Slot>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"child\0");
        hasher.update(&parent.0);
        if let Some(attempt) = attempt {
            hasher.update(&attempt.owner.0);
            hasher.update(&attempt.epoch.to_be_bytes());
            hasher.update(&attempt.counter.to_be_bytes());
        }
        hasher.update(b"\0");
        hasher.update(position.as_bytes());
        let digest = hasher.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        let slot = slot.unwrap_or_else(|| Slot(u16::from_be_bytes([bytes[0], bytes[1]]) % SLOTS));
        Self::new(slot, bytes)
    }

    /// The slot that decides this invocation's home.
    pub fn slot(self) -> Slot {
        Slot(u16::from_be_bytes([self.0[0], self.0[1]]) % SLOTS)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every answer has one: digit by digit through the formatter it took as long as finding the method.
        let mut text = *b"inv_00000000000000000000000000000000";
        for (digits, byte) in text[4..].chunks_exact_mut(2).zip(self.0) {
            digits.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        f.write_str(std::str::from_utf8(&text).expect("digits are text"))
    }
}

impl fmt::Debug for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an invocation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an invocation id is `inv_` and 32 hexadecimal digits")]
pub struct BadInvocationId;

impl FromStr for InvocationId {
    type Err = BadInvocationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("inv_").ok_or(BadInvocationId)?;
        if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadInvocationId);
        }
        let mut bytes = [0; 16];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).map_err(|_| BadInvocationId)?;
        }
        Ok(Self(bytes))
    }
}

/// One try of a step or transaction. Locks belong to it; it is never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct AttemptId {
    /// The invocation that runs the step or began the transaction; its slot names the coordinating home.
    #[n(0)]
    pub owner: InvocationId,
    /// Epoch of the home when the attempt began.
    #[n(1)]
    pub epoch: u64,
    /// Counts the attempts of the home within the epoch.
    #[n(2)]
    pub counter: u64,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.owner, self.epoch, self.counter)
    }
}

/// Age of a root invocation: the same for all its steps, children and attempts. Smaller is older.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Age {
    /// Time at which the root was accepted.
    #[n(0)]
    pub accepted: Micros,
    /// The root; breaks ties.
    #[n(1)]
    pub root: InvocationId,
}

/// Identity of a deployment: a digest of its manifest, lowered methods and sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct DeploymentId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// When and where in a step a write was decided; the same on all partitions of a commit. Orders dict iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Stamp {
    /// Hybrid time of the commit decision: at least the clock, and larger than any stamp the home has seen.
    #[n(0)]
    pub time: u64,
    /// Counter of the write within the step.
    #[n(1)]
    pub counter: u32,
}

/// A 128-bit digest of parts, each told apart by its length.
pub fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    bytes
}

/// The seed of a child: derived, so that a replay of the parent derives the same.
pub fn child_seed(parent: &[u8; 32], child: InvocationId) -> [u8; 32] {
    *blake3::keyed_hash(parent, &child.0).as_bytes()
}
