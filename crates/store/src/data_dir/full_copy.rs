//! Full copies: the state of all partitions as blobs, in chunks of bounded size. The manifest is written last, so a
//! copy without one does not count, and removed first.
//!
//! Each partition is copied at a position of its own; the copy's position is one that none of them is below. A chunk is a sequence
//! of `key length, value length, key, value`; its length and sum stand in the manifest.

use std::{thread, time::Instant};

use xxhash_rust::xxh3::xxh3_64;

use crate::{
    blob::{Blob, BlobError},
    file_log::batch::{u32_at, u64_at},
    limits::REBUILD_BATCH_WRITES,
    log::Lsn,
    state::{Entry, State, StateError, Write},
};

const PREFIX: &str = "full/";
const MANIFEST: &str = "manifest";
const MAGIC: [u8; 8] = *b"SOSTCOPY";
const VERSION: u32 = 1;

/// A complete copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FullCopy {
    /// No partition of the copy is below; also its folder among the blobs.
    position: Lsn,
    parts: Vec<CopiedPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CopiedPart {
    applied: Lsn,
    chunks: Vec<Chunk>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chunk {
    len: u64,
    sum: u64,
}

/// What can go wrong with a full copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// Reading or writing a blob failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Reading or writing the state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A blob of the copy is missing or not what was written.
    #[error("blob {name} is damaged: {detail}")]
    Damaged {
        /// The blob.
        name: String,
        /// What is wrong.
        detail: &'static str,
    },
    /// The copy was written by a newer version.
    #[error("blob {name} has format {found}, this version knows up to {known}")]
    Version {
        /// The manifest.
        name: String,
        /// Its version.
        found: u32,
        /// The newest known one.
        known: u32,
    },
}

impl FullCopy {
    /// The position up to which it stands for the log of every partition.
    pub(super) fn position(&self) -> Lsn {
        self.position
    }

    /// The highest position that any of its partitions has.
    pub(super) fn highest(&self) -> Lsn {
        self.parts.iter().map(|part| part.applied).max().unwrap_or(0)
    }

    /// The newest complete copy.
    pub(super) fn newest(blob: &dyn Blob) -> Result<Option<Self>, CopyError> {
        // Names sort by position.
        let names = blob.list(PREFIX)?;
        let Some(name) = names.iter().rfind(|name| is_manifest(name)) else { return Ok(None) };
        let bytes = blob.get(name)?.ok_or_else(|| damaged(name, "it is missing"))?;
        Self::decode(name, &bytes).map(Some)
    }

    /// Copies the whole state. No partition may be below `position`, and there must be no copy of that position yet.
    pub(super) fn write(
        state: &dyn State,
        blob: &dyn Blob,
        position: Lsn,
        chunk_bytes: usize,
    ) -> Result<(), CopyError> {
        let mut parts = Vec::new();
        for partition in 0..state.partitions() {
            parts.push(write_part(state, blob, position, partition, chunk_bytes)?);
        }
        let copy = Self { position, parts };
        blob.put(&manifest_name(position), &copy.encode())?;
        Ok(())
    }

    /// Removes all other copies, and chunks without a manifest.
    pub(super) fn remove_others(blob: &dyn Blob, keep: Lsn) -> Result<(), CopyError> {
        let kept = folder(keep);
        let names = blob.list(PREFIX)?;
        Self::delete(blob, names.into_iter().filter(|name| !name.starts_with(&kept)).collect())
    }

    /// Removes the copy of a position.
    pub(super) fn remove(blob: &dyn Blob, position: Lsn) -> Result<(), CopyError> {
        Self::delete(blob, blob.list(&folder(position))?)
    }

    /// Manifests first: a copy without all its chunks must not count.
    fn delete(blob: &dyn Blob, mut names: Vec<String>) -> Result<(), CopyError> {
        names.sort_by_key(|name| !is_manifest(name));
        for name in names {
            blob.delete(&name)?;
        }
        Ok(())
    }

    /// Writes the copy into an empty state.
    pub(super) fn restore(&self, blob: &dyn Blob, state: &dyn State) -> Result<(), CopyError> {
        for (partition, part) in (0..).zip(&self.parts) {
            for (number, chunk) in part.chunks.iter().enumerate() {
                restore_chunk(&chunk_name(self.position, partition, number), *chunk, blob, state, partition)?;
            }
            state.advance(partition, part.applied)?;
        }
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.position.to_le_bytes());
        push_len(&mut bytes, self.parts.len());
        for part in &self.parts {
            bytes.extend_from_slice(&part.applied.to_le_bytes());
            push_len(&mut bytes, part.chunks.len());
            for chunk in &part.chunks {
                bytes.extend_from_slice(&chunk.len.to_le_bytes());
                bytes.extend_from_slice(&chunk.sum.to_le_bytes());
            }
        }
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    fn decode(name: &str, bytes: &[u8]) -> Result<Self, CopyError> {
        if bytes.len() < 24 || bytes[..8] != MAGIC {
            return Err(damaged(name, "it is no manifest"));
        }
        let found = u32_at(bytes, 8);
        if found > VERSION {
            return Err(CopyError::Version { name: name.to_owned(), found, known: VERSION });
        }
        let (body, sum) = bytes.split_at(bytes.len() - 8);
        if u64_at(sum, 0) != xxh3_64(body) {
            return Err(damaged(name, "its checksum does not match"));
        }
        decode_parts(&body[12..]).ok_or_else(|| damaged(name, "it ends too early"))
    }
}

fn decode_parts(bytes: &[u8]) -> Option<FullCopy> {
    let mut rest = Bytes(bytes);
    let position = rest.u64()?;
    let mut parts = Vec::new();
    for _ in 0..rest.u32()? {
        let applied = rest.u64()?;
        let mut chunks = Vec::new();
        for _ in 0..rest.u32()? {
            chunks.push(Chunk { len: rest.u64()?, sum: rest.u64()? });
        }
        parts.push(CopiedPart { applied, chunks });
    }
    Some(FullCopy { position, parts })
}

/// Bytes that are taken from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32_at(self.take(4)?, 0))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64_at(self.take(8)?, 0))
    }
}

fn write_part(
    state: &dyn State,
    blob: &dyn Blob,
    position: Lsn,
    partition: u16,
    chunk_bytes: usize,
) -> Result<CopiedPart, CopyError> {
    let snapshot = state.snapshot(partition)?;
    assert!(snapshot.applied >= position, "partition {partition} is below the position of the copy");
    let mut part = CopiedPart { applied: snapshot.applied, chunks: Vec::new() };
    let mut bytes = Vec::new();
    for entry in snapshot.entries {
        push_entry(&mut bytes, &entry?);
        if bytes.len() >= chunk_bytes {
            part.put_chunk(blob, position, partition, &mut bytes)?;
        }
    }
    if !bytes.is_empty() {
        part.put_chunk(blob, position, partition, &mut bytes)?;
    }
    Ok(part)
}

impl CopiedPart {
    fn put_chunk(
        &mut self,
        blob: &dyn Blob,
        position: Lsn,
        partition: u16,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CopyError> {
        let began = Instant::now();
        blob.put(&chunk_name(position, partition, self.chunks.len()), bytes)?;
        // As long again the disk is the log's alone.
        thread::sleep(began.elapsed());
        self.chunks.push(Chunk { len: bytes.len() as u64, sum: xxh3_64(bytes) });
        bytes.clear();
        Ok(())
    }
}

fn restore_chunk(
    name: &str,
    chunk: Chunk,
    blob: &dyn Blob,
    state: &dyn State,
    partition: u16,
) -> Result<(), CopyError> {
    let bytes = blob.get(name)?.ok_or_else(|| damaged(name, "it is missing"))?;
    if bytes.len() as u64 != chunk.len || xxh3_64(&bytes) != chunk.sum {
        return Err(damaged(name, "its checksum does not match"));
    }
    let mut rest = Bytes(&bytes);
    while !rest.0.is_empty() {
        let mut writes: Vec<Write> = Vec::new();
        while writes.len() < REBUILD_BATCH_WRITES && !rest.0.is_empty() {
            let (key, value) = take_entry(&mut rest).ok_or_else(|| damaged(name, "it ends too early"))?;
            writes.push((key, Some(value)));
        }
        // Position 0 until the partition is complete: half a copy must not look like a state.
        state.apply(partition, 0, &writes)?;
    }
    Ok(())
}

fn push_entry(bytes: &mut Vec<u8>, (key, value): &Entry) {
    push_len(bytes, key.len());
    push_len(bytes, value.len());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
}

fn take_entry(rest: &mut Bytes<'_>) -> Option<Entry> {
    let (key_len, value_len) = (rest.u32()?, rest.u32()?);
    Some((rest.take(key_len as usize)?.to_vec(), rest.take(value_len as usize)?.to_vec()))
}

fn push_len(bytes: &mut Vec<u8>, len: usize) {
    bytes.extend_from_slice(&u32::try_from(len).expect("lengths of one entry fit into 32 bits").to_le_bytes());
}

/// What the names of a copy's blobs start with; they sort by position.
fn folder(position: Lsn) -> String {
    format!("{PREFIX}{position:020}/")
}

fn manifest_name(position: Lsn) -> String {
    format!("{}{MANIFEST}", folder(position))
}

fn is_manifest(name: &str) -> bool {
    name.rsplit('/').next() == Some(MANIFEST)
}

fn chunk_name(position: Lsn, partition: u16, number: usize) -> String {
    format!("{}{partition:05}-{number:06}", folder(position))
}

fn damaged(name: &str, detail: &'static str) -> CopyError {
    CopyError::Damaged { name: name.to_owned(), detail }
}
