//! Acknowledged records are damaged or missing: the log refuses to open and says where.

use store::{Log, LogError, disk::Disk, faulty::FaultyDisk};

use crate::support::{SEGMENT, append_many, append_one, assert_records, difference, open, segments, try_open};

const BYTES: usize = 200;

fn refused(disk: &FaultyDisk) -> (String, u64, String) {
    match try_open(disk) {
        Err(LogError::Damaged { file, offset, detail }) => (file, offset, detail),
        Err(other) => panic!("another error: {other}"),
        Ok(log) => panic!("opened with tail {}", log.tail()),
    }
}

/// Flips each byte of the batch that the next append writes, after `more` has gone on.
fn flip_everywhere(disk: &FaultyDisk, more: impl FnOnce(store::file_log::FileLog)) {
    let log = open(disk);
    append_many(&log, 5, BYTES);
    let before = disk.duplicate();
    append_one(&log, BYTES).unwrap();
    let (name, from, to) = difference(&before, disk);
    more(log);
    for at in from..to {
        let image = disk.duplicate();
        let mut content = image.content(&name).unwrap();
        content[at] ^= 0x10;
        image.overwrite(&name, content);
        let (file, offset, detail) = refused(&image);
        assert_eq!((&file, offset), (&name, from as u64), "byte {at}");
        assert!(detail.contains("record 6 and on") && detail.contains("acknowledged"), "{detail}");
        // Refusing changes nothing: after repair everything is there.
        image.overwrite(&name, disk.content(&name).unwrap());
        open(&image);
    }
}

#[test]
fn a_flipped_byte_before_other_batches() {
    flip_everywhere(&FaultyDisk::new(), |log| append_many(&log, 3, BYTES));
}

#[test]
fn a_flipped_byte_in_the_last_batch_that_is_covered() {
    flip_everywhere(&FaultyDisk::new(), |log| log.close().unwrap());
}

#[test]
fn a_flipped_byte_in_an_older_segment() {
    flip_everywhere(&FaultyDisk::new(), |log| append_many(&log, 200, BYTES));
}

#[test]
fn a_batch_after_a_damaged_cover_is_not_cut() {
    // The covering batch has no records; the one after it has acknowledged ones.
    let disk = FaultyDisk::new();
    let log = open(&disk);
    append_many(&log, 3, BYTES);
    let before = disk.duplicate();
    log.close().unwrap();
    drop(log);
    let (name, from, _) = difference(&before, &disk);
    append_many(&open(&disk), 1, BYTES);
    let mut content = disk.content(&name).unwrap();
    content[from] ^= 1;
    disk.overwrite(&name, content);
    assert_eq!(refused(&disk).1, from as u64);
}

#[test]
fn damage_before_a_torn_tail_is_seen() {
    let disk = FaultyDisk::new();
    let log = open(&disk);
    append_many(&log, 3, BYTES);
    let before = disk.duplicate();
    append_one(&log, BYTES).unwrap();
    let (name, damaged_at, _) = difference(&before, &disk);
    let before = disk.duplicate();
    append_one(&log, BYTES).unwrap();
    let (_, _, torn_end) = difference(&before, &disk);
    let mut content = disk.content(&name).unwrap();
    content[damaged_at + 100] ^= 1;
    content[torn_end - 1] ^= 1;
    disk.overwrite(&name, content);
    assert_eq!(refused(&disk).1, damaged_at as u64);
}

#[test]
fn a_missing_segment() {
    let disk = FaultyDisk::new();
    append_many(&open(&disk), 120, BYTES);
    let all = segments(&disk);
    assert!(all.len() >= 5);
    for missing in &all[..all.len() - 2] {
        let image = disk.duplicate();
        image.remove(missing).unwrap();
        let (file, _, detail) = refused(&image);
        assert_eq!(&file, missing);
        assert!(detail.contains("missing"), "{detail}");
    }
}

#[test]
fn a_missing_first_segment_after_a_trim() {
    let disk = FaultyDisk::new();
    let log = open(&disk);
    append_many(&log, 120, BYTES);
    log.trim(60).unwrap();
    assert!(log.first() > 1);
    drop(log);
    let first = segments(&disk)[0].clone();
    disk.remove(&first).unwrap();
    assert_eq!(refused(&disk).0, first);
}

#[test]
fn a_truncated_segment() {
    let disk = FaultyDisk::new();
    append_many(&open(&disk), 120, BYTES);
    for name in segments(&disk) {
        for len in [0, 1000, SEGMENT as usize - 1] {
            let image = disk.duplicate();
            image.overwrite(&name, disk.content(&name).unwrap()[..len].to_vec());
            let (file, offset, detail) = refused(&image);
            assert_eq!((&file, offset), (&name, len as u64));
            assert!(detail.contains(&format!("{len} bytes instead of {SEGMENT}")), "{detail}");
        }
    }
}

#[test]
fn a_missing_or_damaged_meta() {
    let disk = FaultyDisk::new();
    append_many(&open(&disk), 3, BYTES);
    let image = disk.duplicate();
    image.remove("meta").unwrap();
    let (file, _, detail) = refused(&image);
    assert!(file == "meta" && detail.contains("missing"), "{file}: {detail}");
    let mut content = disk.content("meta").unwrap();
    content[30] ^= 1;
    disk.overwrite("meta", content);
    assert_eq!(refused(&disk).0, "meta");
}

#[test]
fn an_older_meta_is_refused() {
    let disk = FaultyDisk::new();
    let log = open(&disk);
    let old = disk.content("meta").unwrap();
    log.seal(1).unwrap();
    append_many(&log, 3, BYTES);
    drop(log);
    disk.overwrite("meta", old);
    assert!(refused(&disk).2.contains("epoch 1 was never sealed"));
}

#[test]
fn a_read_sees_damage_that_came_after_opening() {
    let disk = FaultyDisk::new();
    let log = open(&disk);
    append_many(&log, 3, BYTES);
    let before = disk.duplicate();
    append_one(&log, BYTES).unwrap();
    let (name, from, _) = difference(&before, &disk);
    append_one(&log, BYTES).unwrap();
    let intact = disk.content(&name).unwrap();
    for at in [from + 10, from + 150] {
        let mut content = intact.clone();
        content[at] ^= 1;
        disk.overwrite(&name, content);
        let read: Vec<_> = log.read(1, 5).unwrap().collect();
        assert!(read[..3].iter().all(Result::is_ok));
        assert!(matches!(&read[3], Err(LogError::Damaged { file, .. }) if *file == name), "{:?}", read[3]);
        assert_eq!(read.len(), 4, "an error ends the iteration");
    }
    disk.overwrite(&name, intact);
    assert_records(&log, 5, BYTES);
}
