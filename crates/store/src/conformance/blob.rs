//! What every blob store has to do.

use std::sync::Arc;

use crate::blob::{Blob, BlobError};

/// All rules; `open` gives an empty place each time.
pub fn all(mut open: impl FnMut() -> Arc<dyn Blob>) {
    reads_back(&*open());
    put_if_absent_is_conditional(&*open());
    lists_by_prefix(&*open());
    bad_names_are_refused(&*open());
}

/// What was put is there, until it is replaced or deleted.
pub fn reads_back(blob: &dyn Blob) {
    assert_eq!(blob.get("a/b"), Ok(None));
    for bytes in [b"one".to_vec(), Vec::new(), vec![7; 100_000]] {
        blob.put("a/b", &bytes).unwrap();
        assert_eq!(blob.get("a/b"), Ok(Some(bytes)));
    }
    blob.delete("a/b").unwrap();
    blob.delete("a/b").unwrap();
    assert_eq!(blob.get("a/b"), Ok(None));
}

/// Of many who want a name exactly one gets it.
pub fn put_if_absent_is_conditional(blob: &dyn Blob) {
    let winners: Vec<u8> = std::thread::scope(|scope| {
        let writers: Vec<_> =
            (0..8_u8).map(|id| scope.spawn(move || blob.put_if_absent("name", &[id]).unwrap().then_some(id))).collect();
        writers.into_iter().filter_map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(winners.len(), 1);
    assert_eq!(blob.get("name"), Ok(Some(winners)));
}

/// Lists are ascending and follow the prefix to the letter.
pub fn lists_by_prefix(blob: &dyn Blob) {
    for name in ["full/2/b", "full/10/a", "full", "other/ü %", "full/2/a"] {
        blob.put(name, b"").unwrap();
    }
    assert_eq!(blob.list("full/").unwrap(), ["full/10/a", "full/2/a", "full/2/b"]);
    assert_eq!(blob.list("full/2/").unwrap(), ["full/2/a", "full/2/b"]);
    assert_eq!(blob.list("").unwrap().len(), 5);
    assert_eq!(blob.list("o").unwrap(), ["other/ü %"]);
}

/// Names that no backend could keep are refused, and only those.
pub fn bad_names_are_refused(blob: &dyn Blob) {
    for name in ["", &"x".repeat(1000)] {
        assert!(matches!(blob.put(name, b""), Err(BlobError::Name { .. })));
        assert!(matches!(blob.get(name), Err(BlobError::Name { .. })));
    }
    for name in ["..", "../up", ".hidden", "sp ace", "a//b", "C:\\x"] {
        blob.put(name, name.as_bytes()).unwrap();
        assert_eq!(blob.get(name), Ok(Some(name.as_bytes().to_vec())));
    }
}
