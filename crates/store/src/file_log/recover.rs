//! Opening a log: finds its end, cuts what was never acknowledged, refuses what is damaged.
//!
//! Batches are read in order as long as each one is intact and the one that must come next. At the first place where
//! that fails, the rest of this segment and all later ones are searched for an intact header of their generation that
//! says that the missing batch was durable. If there is one, acknowledged records are damaged: refuse. Else the tail
//! was never acknowledged: it is overwritten with zeros, so that nothing of it can be taken for valid later, and
//! synced, so that what was read here stays true after the next crash.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use super::{
    batch::{self, ALIGN, Framed, HEADER_BYTES, Header},
    meta::Meta,
    segments::{self, Ahead, Files, SCRATCH_FILE, Segment, file_name, generation_of},
};
use crate::{
    disk::{Disk, DiskFile},
    limits::ZERO_CHUNK_BYTES,
    log::{LogError, Lsn},
};

/// An open log's files and where it goes on.
pub(super) struct Recovered {
    pub(super) files: Files,
    pub(super) cursor: Cursor,
    /// Where the next batch goes in the current segment.
    pub(super) offset: u64,
    /// The last record of each partition that is still in the log.
    pub(super) last_of: HashMap<u16, Lsn>,
}

/// What must come next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    pub(super) position: Lsn,
    pub(super) sequence: u64,
}

/// Bytes that are passed over together when they are zeros.
const BLOCK_BYTES: usize = 4096;

/// A segment file before its content is known.
struct Candidate {
    generation: u64,
    name: String,
    file: Arc<dyn DiskFile>,
}

/// Reads the whole log, cuts the torn tail, gives trimmed segments a new generation.
pub(super) fn recover(disk: &dyn Disk, meta: &Meta) -> Result<Recovered, LogError> {
    remove_scratch(disk)?;
    let (stale, kept) = candidates(disk, meta)?;
    let mut scan = Scan::new(meta);
    let mut tail = 0;
    for (index, candidate) in kept.iter().enumerate() {
        let bytes = read(candidate, meta.segment_bytes)?;
        if index > 0 && !scan.continues_in(&bytes, candidate.generation) {
            break;
        }
        scan.segment(&bytes, candidate)?;
        tail = index;
    }
    let torn = search_behind(&scan, &kept, tail, meta)?;
    cut(&torn, &kept, tail, meta)?;
    let mut recovered = scan.finish(kept, tail);
    for Candidate { generation, file, .. } in stale {
        recovered.files.retire(disk, generation, file, false)?;
    }
    Ok(recovered)
}

/// Are there segments with content? A log without its `meta` may only be made anew if there are none.
pub(super) fn any_content(disk: &dyn Disk) -> Result<Option<String>, LogError> {
    for (_, name) in segment_names(disk)? {
        let bytes = crate::disk::read_whole(disk, &name).map_err(|error| LogError::io("reading", &name, &error))?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The segment files by generation.
pub(super) fn segment_names(disk: &dyn Disk) -> Result<BTreeMap<u64, String>, LogError> {
    let names = disk.list().map_err(|error| LogError::io("listing", "log", &error))?;
    Ok(names.into_iter().filter_map(|name| Some((generation_of(&name)?, name))).collect())
}

fn remove_scratch(disk: &dyn Disk) -> Result<(), LogError> {
    let names = disk.list().map_err(|error| LogError::io("listing", "log", &error))?;
    if names.iter().any(|name| name == SCRATCH_FILE) {
        disk.remove(SCRATCH_FILE).map_err(|error| LogError::io("removing", SCRATCH_FILE, &error))?;
    }
    Ok(())
}

/// Splits the segments into trimmed ones and kept ones, and checks that no kept one is missing or short.
fn candidates(disk: &dyn Disk, meta: &Meta) -> Result<(Vec<Candidate>, Vec<Candidate>), LogError> {
    let mut stale = Vec::new();
    let mut kept = Vec::new();
    for (generation, name) in segment_names(disk)? {
        let file = disk.open(&name).map_err(|error| LogError::io("opening", &name, &error))?;
        let candidate = Candidate { generation, name, file };
        if generation < meta.start_generation {
            stale.push(candidate);
            continue;
        }
        let missing = meta.start_generation + kept.len() as u64;
        if generation != missing {
            return Err(missing_segment(missing));
        }
        check_length(&candidate, meta.segment_bytes)?;
        kept.push(candidate);
    }
    if kept.is_empty() {
        return Err(missing_segment(meta.start_generation));
    }
    // A stale file of another length cannot be used again.
    stale.retain(|candidate| check_length(candidate, meta.segment_bytes).is_ok());
    Ok((stale, kept))
}

fn missing_segment(generation: u64) -> LogError {
    let detail = "the file is missing, and the log needs it".to_owned();
    LogError::Damaged { file: file_name(generation), offset: 0, detail }
}

fn check_length(candidate: &Candidate, expected: u64) -> Result<(), LogError> {
    let len = candidate.file.len().map_err(|error| LogError::io("measuring", &candidate.name, &error))?;
    if len == expected {
        return Ok(());
    }
    let detail = format!("the file has {len} bytes instead of {expected}");
    Err(LogError::Damaged { file: candidate.name.clone(), offset: len.min(expected), detail })
}

/// The bytes of a segment; none if all are zeros, as in one that was never used.
fn read(candidate: &Candidate, bytes: u64) -> Result<Vec<u8>, LogError> {
    let len = usize::try_from(bytes).expect("a segment is bounded by SEGMENT_BYTES_MAX");
    let failed = |error: std::io::Error| LogError::io("reading", &candidate.name, &error);
    let mut chunk = vec![0; ZERO_CHUNK_BYTES.min(len)];
    let mut used = Vec::new();
    for at in (0..len).step_by(ZERO_CHUNK_BYTES) {
        let chunk = &mut chunk[..ZERO_CHUNK_BYTES.min(len - at)];
        candidate.file.read_at(at as u64, chunk).map_err(failed)?;
        if used.is_empty() && is_zero(chunk) {
            continue;
        }
        if used.is_empty() {
            used.reserve_exact(len);
            used.resize(at, 0);
        }
        used.extend_from_slice(chunk);
    }
    Ok(used)
}

/// The state of reading forward.
struct Scan<'a> {
    meta: &'a Meta,
    cursor: Cursor,
    offset: usize,
    starts: Vec<Cursor>,
    last_of: HashMap<u16, Lsn>,
}

impl<'a> Scan<'a> {
    fn new(meta: &'a Meta) -> Self {
        let cursor = Cursor { position: meta.start_position, sequence: meta.start_sequence };
        Self { meta, cursor, offset: 0, starts: Vec::new(), last_of: HashMap::new() }
    }

    /// Does the next segment begin with the batch that must come next?
    fn continues_in(&self, bytes: &[u8], generation: u64) -> bool {
        self.next_batch(bytes, 0, generation).is_some()
    }

    fn segment(&mut self, bytes: &[u8], candidate: &Candidate) -> Result<(), LogError> {
        self.starts.push(self.cursor);
        self.offset = 0;
        while let Some((header, records)) = self.next_batch(bytes, self.offset, candidate.generation) {
            if header.epoch > self.meta.epoch {
                let detail = format!("epoch {} was never sealed: the file `meta` is an older one", header.epoch);
                return Err(LogError::Damaged { file: candidate.name.clone(), offset: self.offset as u64, detail });
            }
            for (position, (partition, _)) in (header.position..).zip(records) {
                self.last_of.insert(partition, position);
            }
            self.cursor = Cursor { position: header.next_position(), sequence: header.sequence + 1 };
            self.offset += header.extent();
        }
        Ok(())
    }

    /// The batch at `offset`, if it is intact and the one that must come next.
    fn next_batch<'b>(&self, bytes: &'b [u8], offset: usize, generation: u64) -> Option<(Header, Vec<Framed<'b>>)> {
        let bytes = bytes.get(offset..)?;
        let header = batch::header(bytes, self.meta.log_id, generation)?;
        let body = bytes.get(HEADER_BYTES..HEADER_BYTES + header.length as usize)?;
        let next = header.position == self.cursor.position && header.sequence == self.cursor.sequence;
        if !next || !batch::body_matches(&header, body) {
            return None;
        }
        let records = batch::records(&header, body)?;
        Some((header, records))
    }

    fn finish(self, kept: Vec<Candidate>, tail: usize) -> Recovered {
        let generation_next = kept.last().expect("a log has a segment").generation + 1;
        let mut files = Files { live: VecDeque::new(), ahead: VecDeque::new(), generation_next, broken: false };
        for (index, Candidate { generation, file, .. }) in kept.into_iter().enumerate() {
            if index <= tail {
                let Cursor { position: first, sequence } = self.starts[index];
                files.live.push_back(Arc::new(Segment { generation, first, sequence, file }));
            } else {
                files.ahead.push_back(Ahead { generation, file });
            }
        }
        Recovered { files, cursor: self.cursor, offset: self.offset as u64, last_of: self.last_of }
    }
}

/// Searches everything after the end. Refuses if a batch there says that the one missing at the end was durable; else
/// returns what has to be overwritten: a segment's index and where to begin.
fn search_behind(
    scan: &Scan<'_>,
    kept: &[Candidate],
    tail: usize,
    meta: &Meta,
) -> Result<Vec<(usize, usize)>, LogError> {
    let mut torn = Vec::new();
    for (index, candidate) in kept.iter().enumerate().skip(tail) {
        let bytes = read(candidate, meta.segment_bytes)?;
        let from = if index == tail { scan.offset } else { 0 };
        let mut found = headers(&bytes, from, candidate.generation, meta).peekable();
        let has_batches = found.peek().is_some();
        if let Some((at, header)) = found.find(|(_, header)| header.durable >= scan.cursor.sequence) {
            let detail = format!(
                "batch {} (record {} and on) is not intact, but batch {} at byte {at} of {} says it was acknowledged",
                scan.cursor.sequence, scan.cursor.position, header.sequence, candidate.name,
            );
            return Err(LogError::Damaged { file: kept[tail].name.clone(), offset: scan.offset as u64, detail });
        }
        if has_batches || index == tail && !is_zero(&bytes[from..]) {
            torn.push((index, from));
        }
    }
    Ok(torn)
}

/// All intact headers of the generation from `from` on, wherever they stand.
fn headers<'a>(
    bytes: &'a [u8],
    from: usize,
    generation: u64,
    meta: &'a Meta,
) -> impl Iterator<Item = (usize, Header)> + 'a {
    // Most of a segment is often zeros still, which are passed over far faster than looked at.
    let blocks = (from..bytes.len()).step_by(BLOCK_BYTES).map(move |at| (at, BLOCK_BYTES.min(bytes.len() - at)));
    blocks
        .filter(|&(at, len)| !is_zero(&bytes[at..at + len]))
        .flat_map(|(at, len)| (at..at + len).step_by(ALIGN))
        .filter_map(move |at| Some((at, batch::header(&bytes[at..], meta.log_id, generation)?)))
}

/// Without a branch for each byte, so that the compiler takes many at a time.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(BLOCK_BYTES).all(|block| block.iter().fold(0, |seen, byte| seen | byte) == 0)
}

/// Overwrites what is torn and makes everything before it durable.
fn cut(torn: &[(usize, usize)], kept: &[Candidate], tail: usize, meta: &Meta) -> Result<(), LogError> {
    for (index, from) in torn {
        let Candidate { name, file, .. } = &kept[*index];
        segments::zero(&**file, *from as u64, meta.segment_bytes)
            .and_then(|()| file.sync())
            .map_err(|error| LogError::io("cutting", name, &error))?;
    }
    // Also an untorn tail was perhaps never synced: the process may have died between its write and its sync.
    kept[tail].file.sync().map_err(|error| LogError::io("syncing", &kept[tail].name, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faulty::FaultyDisk, file_log::batch::Place, log::LogRecord};

    const META: Meta =
        Meta { log_id: 1, segment_bytes: 4096, epoch: 0, start_generation: 1, start_position: 1, start_sequence: 1 };

    /// A batch of one record, as long as all others.
    fn batch_bytes(generation: u64, sequence: u64, durable: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        batch::begin(&mut bytes);
        batch::push(&mut bytes, &LogRecord { partition: 0, bytes: vec![9; 50] });
        batch::finish(&mut bytes, Place { log_id: 1, generation, position: sequence, sequence, durable, epoch: 0 }, 1);
        bytes
    }

    /// A disk with two segments; the first one has these batches after each other.
    fn disk(batches: &[Vec<u8>]) -> FaultyDisk {
        let disk = FaultyDisk::new();
        for generation in [1, 2] {
            let name = file_name(generation);
            disk.create(&name).unwrap();
            disk.overwrite(&name, vec![0; 4096]);
        }
        let mut content = batches.concat();
        content.resize(4096, 0);
        disk.overwrite(&file_name(1), content);
        disk
    }

    fn torn(mut batch: Vec<u8>) -> Vec<u8> {
        batch[100] ^= 1;
        batch
    }

    /// What stands behind a cut must not come back when the place is written again.
    ///
    /// The committer syncs each batch before the next, so it leaves no such disk; one that pipelines would.
    #[test]
    fn nothing_behind_a_cut_comes_back() {
        let disk = disk(&[batch_bytes(1, 1, 0), torn(batch_bytes(1, 2, 1)), batch_bytes(1, 3, 1)]);
        let recovered = recover(&disk, &META).unwrap();
        assert_eq!(recovered.cursor.sequence, 2);
        let file = disk.open(&file_name(1)).unwrap();
        file.write_at(recovered.offset, &batch_bytes(1, 2, 1)).unwrap();
        let recovered = recover(&disk, &META).unwrap();
        assert_eq!(recovered.cursor.sequence, 3, "batch 3 was cut and was never written again");
    }

    #[test]
    fn a_later_segment_behind_a_cut_does_not_come_back() {
        let disk = disk(&[batch_bytes(1, 1, 0), torn(batch_bytes(1, 2, 1))]);
        let second = disk.open(&file_name(2)).unwrap();
        second.write_at(0, &batch_bytes(2, 3, 1)).unwrap();
        let recovered = recover(&disk, &META).unwrap();
        assert_eq!((recovered.cursor.sequence, recovered.files.ahead.len()), (2, 1));
        assert!(disk.content(&file_name(2)).unwrap().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_witness_in_a_later_segment_refuses() {
        let disk = disk(&[batch_bytes(1, 1, 0), torn(batch_bytes(1, 2, 1))]);
        let second = disk.open(&file_name(2)).unwrap();
        // Not at the start and itself torn: its header is intact and says enough.
        second.write_at(1024, &torn(batch_bytes(2, 4, 3))).unwrap();
        let refused = recover(&disk, &META).err();
        assert!(matches!(refused, Some(LogError::Damaged { offset: 136, .. })), "{refused:?}");
    }

    /// In a recycled segment batches of an older generation are neither records nor witnesses.
    #[test]
    fn an_older_generation_does_not_count() {
        let stale = [batch_bytes(0, 2, 1), batch_bytes(0, 3, 2), batch_bytes(0, 4, 3)].concat();
        let disk = disk(&[batch_bytes(1, 1, 0), stale]);
        let recovered = recover(&disk, &META).unwrap();
        assert_eq!((recovered.cursor.sequence, recovered.offset), (2, 136));
    }
}
