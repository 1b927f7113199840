//! Blobs in a map.

use std::{collections::BTreeMap, sync::Mutex};

use super::lock;
use crate::{
    blob::{Blob, BlobError},
    file_blob::escape,
};

/// Blobs in memory. Names are checked as the file backend does.
#[derive(Default)]
pub struct MemoryBlob {
    values: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryBlob {
    /// Without any blob.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Blob for MemoryBlob {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BlobError> {
        escape(name)?;
        lock(&self.values).insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool, BlobError> {
        escape(name)?;
        let mut values = lock(&self.values);
        if values.contains_key(name) {
            return Ok(false);
        }
        values.insert(name.to_owned(), bytes.to_vec());
        Ok(true)
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BlobError> {
        escape(name)?;
        Ok(lock(&self.values).get(name).cloned())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        Ok(lock(&self.values).keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<(), BlobError> {
        escape(name)?;
        lock(&self.values).remove(name);
        Ok(())
    }
}
