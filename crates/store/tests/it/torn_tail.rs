//! The last, unacknowledged batch is torn: the log opens, loses nothing acknowledged and goes on.

use std::ops::Range;

use store::{Log, faulty::FaultyDisk};

use crate::support::{append_many, append_one, assert_records, difference, open};

/// One that crosses pages, one within a page.
const SIZES: [usize; 2] = [900, 150];

/// A log whose current segment was never used before.
fn fresh(bytes: usize) -> FaultyDisk {
    let disk = FaultyDisk::new();
    append_many(&open(&disk), 9, bytes);
    reopened(disk, bytes, 9)
}

/// A log whose current segment is full of batches of older generations, as long as the ones to come.
fn recycled(bytes: usize) -> FaultyDisk {
    let disk = FaultyDisk::new();
    let log = open(&disk);
    while log.stats().segments < 5 {
        append_one(&log, bytes).unwrap();
    }
    log.trim(log.durable()).unwrap();
    let start = log.first();
    // Into the second of the recycled segments: those made ahead before the trim are used first.
    while log.stats().segments < 5 {
        append_one(&log, bytes).unwrap();
    }
    append_one(&log, bytes).unwrap();
    assert!(log.first() == start && start > 1);
    let tail = log.tail();
    drop(log);
    reopened(disk, bytes, tail)
}

fn reopened(disk: FaultyDisk, bytes: usize, tail: u64) -> FaultyDisk {
    let log = open(&disk);
    assert_eq!(log.tail(), tail);
    assert_records(&log, tail, bytes);
    drop(log);
    disk
}

/// Tears the next batch at every byte: what is not there yet is as it was before.
fn tear_everywhere(disk: &FaultyDisk, bytes: usize) {
    let log = open(disk);
    // A second batch in this session, so that the end was not just cleaned by opening.
    append_one(&log, bytes).unwrap();
    let before = disk.duplicate();
    let acknowledged = log.durable();
    append_one(&log, bytes).unwrap();
    let after = disk.duplicate();
    let (name, from, to) = difference(&before, &after);
    let complete = after.content(&name).unwrap();
    let end = batch_end(&complete, from, bytes);
    for torn in from..=to {
        goes_on(&torn_at(&before, &name, &complete, from..torn), acknowledged, torn >= end, bytes);
    }
}

/// The disk with only a part of the new bytes.
fn torn_at(before: &FaultyDisk, name: &str, complete: &[u8], part: Range<usize>) -> FaultyDisk {
    let image = before.duplicate();
    let mut content = image.content(name).unwrap();
    content[part.clone()].copy_from_slice(&complete[part]);
    image.overwrite(name, content);
    image
}

/// Where the bytes of a batch with one record end, given its first byte that is new. Zeros follow up to the page's end.
fn batch_end(content: &[u8], first_new: usize, bytes: usize) -> usize {
    let aligned = first_new / 8 * 8;
    let starts = [aligned, aligned.saturating_sub(8), aligned.saturating_sub(16), aligned.saturating_sub(24)];
    let start = starts.into_iter().find(|start| content[*start..].starts_with(b"SBAT")).unwrap();
    start + 80 + 6 + bytes
}

/// Opens the log, checks what must be there, appends and opens it once more.
fn goes_on(image: &FaultyDisk, acknowledged: u64, is_complete: bool, bytes: usize) {
    let log = open(image);
    let tail = log.tail();
    let last = acknowledged + u64::from(is_complete);
    assert!(tail == last, "tail {tail}, acknowledged {acknowledged}, complete: {is_complete}");
    assert_records(&log, tail, bytes);
    append_one(&log, bytes).unwrap();
    append_one(&log, bytes).unwrap();
    drop(log);
    let log = open(image);
    assert_eq!(log.tail(), tail + 2);
    assert_records(&log, tail + 2, bytes);
}

#[test]
fn in_a_fresh_segment() {
    for bytes in SIZES {
        tear_everywhere(&fresh(bytes), bytes);
    }
}

#[test]
fn in_a_recycled_segment() {
    for bytes in SIZES {
        tear_everywhere(&recycled(bytes), bytes);
    }
}

/// The same without the session in between: the old bytes stand directly behind the torn ones.
#[test]
fn over_the_batches_of_an_older_generation() {
    for bytes in SIZES {
        let disk = FaultyDisk::new();
        let log = open(&disk);
        while log.stats().segments < 4 {
            append_one(&log, bytes).unwrap();
        }
        log.trim(log.durable()).unwrap();
        while log.stats().segments < 4 {
            let before = disk.duplicate();
            let acknowledged = log.durable();
            append_one(&log, bytes).unwrap();
            let (name, from, to) = difference(&before, &disk);
            let complete = disk.content(&name).unwrap();
            let stale = before.content(&name).unwrap()[from..].iter().any(|byte| *byte != 0);
            let end = batch_end(&complete, from, bytes);
            // Every few bytes where old ones are behind, else seldom.
            for torn in (from..to).step_by(if stale { 29 } else { 211 }) {
                let image = torn_at(&before, &name, &complete, from..torn);
                goes_on(&image, acknowledged, torn >= end, bytes);
            }
        }
    }
}
