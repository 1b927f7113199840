//! The bytes of one batch: a header of 80 bytes, then the records, then zeros up to a multiple of 8.
//!
//! Knows no files. All numbers are little-endian:
//!
//! | at | field | |
//! |---|---|---|
//! | 0 | magic | `SBAT` |
//! | 4 | count | records in this batch; 0 for a covering one |
//! | 8 | length | bytes of the records with their framing |
//! | 12 | version | of this format, 1 |
//! | 16 | log id | drawn when the log was made |
//! | 24 | generation | of the segment; recycling gives a new one |
//! | 32 | position | of the first record, or of the next one if there is none |
//! | 40 | sequence | number of this batch, contiguous from 1 over the whole log |
//! | 48 | durable | sequence of the last batch known durable when this one was written |
//! | 56 | epoch | of the owner |
//! | 64 | body sum | xxh3 of the records |
//! | 72 | header sum | xxh3 of the 72 bytes before |
//!
//! Both sums are seeded with log id, generation and position: a batch that stands where it was not written for, or
//! that a recycled segment has kept, is not valid. `durable` counts batches and not records, so that it also vouches
//! for a batch without records. The header has its own sum so that a later batch whose end is torn can still testify
//! that an earlier one was acknowledged.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::{
    log::{LogRecord, Lsn},
    planted::{self, Bug},
};

/// Length of a header.
pub(super) const HEADER_BYTES: usize = 80;
/// Batches start at multiples of this.
pub(super) const ALIGN: usize = 8;
/// Framing of one record: partition and length.
pub(super) const FRAME_BYTES: usize = 6;
/// Version of the batch format.
pub(super) const VERSION: u32 = 1;

const MAGIC: [u8; 4] = *b"SBAT";

/// A record inside a body: its partition and its bytes.
pub(super) type Framed<'a> = (u16, &'a [u8]);

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) count: u32,
    pub(super) length: u32,
    pub(super) log_id: u64,
    pub(super) generation: u64,
    pub(super) position: Lsn,
    pub(super) sequence: u64,
    pub(super) durable: u64,
    pub(super) epoch: u64,
    body_sum: u64,
}

impl Header {
    /// Bytes from the start of this batch to the earliest start of the next one.
    pub(super) fn extent(&self) -> usize {
        (HEADER_BYTES + self.length as usize).next_multiple_of(ALIGN)
    }

    /// The position after the last record.
    pub(super) fn next_position(&self) -> Lsn {
        self.position + Lsn::from(self.count)
    }
}

/// Identity and place of a batch to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) log_id: u64,
    pub(super) generation: u64,
    pub(super) position: Lsn,
    pub(super) sequence: u64,
    pub(super) durable: u64,
    pub(super) epoch: u64,
}

/// Bytes that a record takes in a batch.
pub(super) fn framed(record: &LogRecord) -> usize {
    FRAME_BYTES + record.bytes.len()
}

/// Starts a batch in `buffer`: room for the header.
pub(super) fn begin(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(HEADER_BYTES, 0);
}

/// Adds a record to the batch.
pub(super) fn push(buffer: &mut Vec<u8>, record: &LogRecord) {
    let len = u32::try_from(record.bytes.len()).expect("a record is bounded by RECORD_BYTES_MAX");
    buffer.extend_from_slice(&record.partition.to_le_bytes());
    buffer.extend_from_slice(&len.to_le_bytes());
    buffer.extend_from_slice(&record.bytes);
}

/// Ends the batch: fills in the header and pads to the alignment.
pub(super) fn finish(buffer: &mut Vec<u8>, place: Place, count: usize) {
    let length = buffer.len() - HEADER_BYTES;
    let seed = seed(place.log_id, place.generation, place.position);
    let body_sum = xxh3_64_with_seed(&buffer[HEADER_BYTES..], seed);
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&u32::try_from(count).expect("a batch is bounded by BATCH_BYTES_MAX").to_le_bytes());
    header.extend_from_slice(&u32::try_from(length).expect("a batch is bounded by BATCH_BYTES_MAX").to_le_bytes());
    header.extend_from_slice(&VERSION.to_le_bytes());
    for field in [place.log_id, place.generation, place.position, place.sequence, place.durable, place.epoch, body_sum]
    {
        header.extend_from_slice(&field.to_le_bytes());
    }
    let header_sum = xxh3_64_with_seed(&header, seed);
    header.extend_from_slice(&header_sum.to_le_bytes());
    assert_eq!(header.len(), HEADER_BYTES, "the header has a fixed length");
    buffer[..HEADER_BYTES].copy_from_slice(&header);
    buffer.resize(buffer.len().next_multiple_of(ALIGN), 0);
}

/// Reads a header that belongs to this log and this generation; `None` if there is no intact one.
pub(super) fn header(bytes: &[u8], log_id: u64, generation: u64) -> Option<Header> {
    let bytes = bytes.get(..HEADER_BYTES)?;
    if bytes[..4] != MAGIC || u64_at(bytes, 16) != log_id || u64_at(bytes, 24) != generation {
        return None;
    }
    let header = Header {
        count: u32_at(bytes, 4),
        length: u32_at(bytes, 8),
        log_id,
        generation,
        position: u64_at(bytes, 32),
        sequence: u64_at(bytes, 40),
        durable: u64_at(bytes, 48),
        epoch: u64_at(bytes, 56),
        body_sum: u64_at(bytes, 64),
    };
    let sum = xxh3_64_with_seed(&bytes[..72], seed(log_id, generation, header.position));
    (sum == u64_at(bytes, 72) && u32_at(bytes, 12) == VERSION).then_some(header)
}

/// Is this the body that the header was written for?
pub(super) fn body_matches(header: &Header, body: &[u8]) -> bool {
    if planted::is(Bug::TornBatch) {
        return true;
    }
    let seed = seed(header.log_id, header.generation, header.position);
    body.len() == header.length as usize && xxh3_64_with_seed(body, seed) == header.body_sum
}

/// Splits a body that matches its header into `(partition, bytes)`; `None` if the framing does not add up.
pub(super) fn records<'a>(header: &Header, body: &'a [u8]) -> Option<Vec<Framed<'a>>> {
    let mut records = Vec::with_capacity(header.count as usize);
    let mut rest = body;
    while !rest.is_empty() {
        let (frame, after) = rest.split_at_checked(FRAME_BYTES)?;
        let partition = u16::from_le_bytes([frame[0], frame[1]]);
        let (bytes, after) = after.split_at_checked(u32_at(frame, 2) as usize)?;
        records.push((partition, bytes));
        rest = after;
    }
    (records.len() == header.count as usize).then_some(records)
}

fn seed(log_id: u64, generation: u64, position: Lsn) -> u64 {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&log_id.to_le_bytes());
    bytes[8..16].copy_from_slice(&generation.to_le_bytes());
    bytes[16..].copy_from_slice(&position.to_le_bytes());
    xxh3_64(&bytes)
}

/// The little-endian number at `at`, which the caller has checked to be there.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}

/// The little-endian number at `at`, which the caller has checked to be there.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(place: Place, records: &[LogRecord]) -> Vec<u8> {
        let mut buffer = Vec::new();
        begin(&mut buffer);
        records.iter().for_each(|record| push(&mut buffer, record));
        finish(&mut buffer, place, records.len());
        buffer
    }

    const PLACE: Place = Place { log_id: 7, generation: 3, position: 10, sequence: 4, durable: 3, epoch: 2 };

    #[test]
    fn reads_back_what_was_written() {
        let records = [
            LogRecord { partition: 5, bytes: b"one".to_vec() },
            LogRecord { partition: 65535, bytes: Vec::new() },
            LogRecord { partition: 0, bytes: vec![9; 100] },
        ];
        let bytes = batch(PLACE, &records);
        let header = header(&bytes, 7, 3).unwrap();
        assert_eq!((header.count, header.position, header.next_position()), (3, 10, 13));
        assert_eq!(header.extent(), bytes.len());
        let body = &bytes[HEADER_BYTES..HEADER_BYTES + header.length as usize];
        assert!(body_matches(&header, body));
        let read: Vec<LogRecord> = super::records(&header, body)
            .unwrap()
            .into_iter()
            .map(|(partition, bytes)| LogRecord { partition, bytes: bytes.to_vec() })
            .collect();
        assert_eq!(read, records);
    }

    #[test]
    fn the_format_does_not_drift() {
        let bytes = batch(PLACE, &[LogRecord { partition: 258, bytes: b"ab".to_vec() }]);
        let golden = "534241540100000008000000010000000700000000000000030000000000000\
                      00a000000000000000400000000000000030000000000000002000000000000\
                      00";
        let hex: String = bytes[..64].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden);
        assert_eq!(bytes[HEADER_BYTES..], [2, 1, 2, 0, 0, 0, b'a', b'b']);
    }

    #[test]
    fn is_not_valid_elsewhere() {
        let bytes = batch(PLACE, &[]);
        assert!(header(&bytes, 7, 3).is_some());
        assert!(header(&bytes, 8, 3).is_none(), "another log");
        assert!(header(&bytes, 7, 4).is_none(), "another generation");
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let bytes = batch(PLACE, &[LogRecord { partition: 1, bytes: b"record".to_vec() }]);
        let length = HEADER_BYTES + FRAME_BYTES + 6;
        for bit in 0..length * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let intact =
                header(&damaged, 7, 3).is_some_and(|header| body_matches(&header, &damaged[HEADER_BYTES..length]));
            assert!(!intact, "bit {bit}");
        }
    }
}
