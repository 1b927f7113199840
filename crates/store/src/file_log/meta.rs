//! The log's small file `meta`: what cannot be read from the segments. Replaced as a whole, never changed in place.
//!
//! It holds the log's id and segment size, the sealed epoch, and where the log starts since the last trim; with the
//! start a missing first segment is noticed.

use xxhash_rust::xxh3::xxh3_64;

use super::batch::{u32_at, u64_at};
use crate::{
    disk::{self, Disk},
    log::{LogError, Lsn},
};

/// Name of the file.
pub(super) const META_FILE: &str = "meta";
const META_SCRATCH: &str = "meta.new";
const MAGIC: [u8; 8] = *b"SOSTLOG\0";
const VERSION: u32 = 1;
const META_BYTES: usize = 72;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) log_id: u64,
    pub(super) segment_bytes: u64,
    pub(super) epoch: u64,
    /// Generation of the first segment that is kept, and the position and batch it starts with.
    pub(super) start_generation: u64,
    pub(super) start_position: Lsn,
    pub(super) start_sequence: u64,
}

impl Meta {
    /// Replaces the file. Durable on return.
    pub(super) fn store(&self, disk: &dyn Disk) -> Result<(), LogError> {
        disk::write_whole(disk, META_FILE, META_SCRATCH, &self.encode())
            .map_err(|error| LogError::io("writing", META_FILE, &error))
    }

    /// Reads the file.
    pub(super) fn load(disk: &dyn Disk) -> Result<Self, LogError> {
        let bytes = disk::read_whole(disk, META_FILE).map_err(|error| LogError::io("reading", META_FILE, &error))?;
        Self::decode(&bytes)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(META_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for field in [
            self.log_id,
            self.segment_bytes,
            self.epoch,
            self.start_generation,
            self.start_position,
            self.start_sequence,
        ] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        if bytes.len() < 12 || bytes[..8] != MAGIC {
            return Err(damaged("this is not the file of a log"));
        }
        let version = u32_at(bytes, 8);
        if version > VERSION {
            return Err(LogError::Version { file: META_FILE.to_owned(), found: version, known: VERSION });
        }
        let body = META_BYTES - 8;
        if bytes.len() != META_BYTES || u64_at(bytes, body) != xxh3_64(&bytes[..body]) {
            return Err(damaged("its checksum does not match"));
        }
        Ok(Self {
            log_id: u64_at(bytes, 16),
            segment_bytes: u64_at(bytes, 24),
            epoch: u64_at(bytes, 32),
            start_generation: u64_at(bytes, 40),
            start_position: u64_at(bytes, 48),
            start_sequence: u64_at(bytes, 56),
        })
    }
}

fn damaged(detail: &str) -> LogError {
    LogError::Damaged { file: META_FILE.to_owned(), offset: 0, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_sees_damage() {
        let meta =
            Meta { log_id: 1, segment_bytes: 2, epoch: 3, start_generation: 4, start_position: 5, start_sequence: 6 };
        let bytes = meta.encode();
        assert_eq!(bytes.len(), META_BYTES);
        assert_eq!(Meta::decode(&bytes), Ok(meta));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Meta::decode(&damaged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn refuses_a_newer_format() {
        let mut bytes =
            Meta { log_id: 1, segment_bytes: 2, epoch: 3, start_generation: 4, start_position: 5, start_sequence: 6 }
                .encode();
        bytes[8] = 2;
        assert!(matches!(Meta::decode(&bytes), Err(LogError::Version { found: 2, known: 1, .. })));
    }
}
