//! Blobs as files of one flat directory: the name, escaped, is the file name. A value is written aside and renamed.

use std::{
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    blob::{Blob, BlobError},
    disk::{self, Disk},
    limits::BLOB_NAME_BYTES_MAX,
};

/// No escaped name starts with a dot, so this is never a blob.
const SCRATCH_FILE: &str = ".new";

/// Blobs in the files of one directory.
pub struct FileBlob {
    disk: Arc<dyn Disk>,
    /// One writer at a time: they share the scratch file, and `put_if_absent` looks before it writes.
    writer: Mutex<()>,
}

impl FileBlob {
    /// Uses a directory that nobody else writes to.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, writer: Mutex::new(()) }
    }

    fn names(&self) -> io::Result<impl Iterator<Item = String>> {
        Ok(self.disk.list()?.into_iter().filter_map(|file| unescape(&file)))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), BlobError> {
        disk::write_whole(&*self.disk, &escape(name)?, SCRATCH_FILE, bytes).map_err(failed(name, "writing"))
    }
}

impl Blob for FileBlob {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BlobError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(name, bytes)
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool, BlobError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.names().map_err(failed(name, "listing"))?.any(|taken| taken == name) {
            return Ok(false);
        }
        self.write(name, bytes)?;
        Ok(true)
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BlobError> {
        match disk::read_whole(&*self.disk, &escape(name)?) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(name, "reading")(error)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        let names = self.names().map_err(failed(prefix, "listing"))?;
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), BlobError> {
        match self.disk.remove(&escape(name)?) {
            Ok(()) => self.disk.sync_dir().map_err(failed(name, "removing")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(name, "removing")(error)),
        }
    }
}

fn failed(name: &str, operation: &'static str) -> impl Fn(io::Error) -> BlobError {
    move |error| BlobError::Io { name: name.to_owned(), operation, kind: error.kind(), message: error.to_string() }
}

/// The file name of a blob: everything but letters, digits, `-`, `_` and inner dots as `%XX`.
pub(crate) fn escape(name: &str) -> Result<String, BlobError> {
    let mut file = String::with_capacity(name.len());
    for byte in name.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || byte == b'.' && !file.is_empty();
        if plain {
            file.push(char::from(byte));
        } else {
            write!(file, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    let fits = !file.is_empty() && file.len() <= BLOB_NAME_BYTES_MAX;
    fits.then_some(file).ok_or_else(|| BlobError::Name { name: name.to_owned(), limit: BLOB_NAME_BYTES_MAX })
}

/// The blob of a file name; `None` if it is not one of ours.
fn unescape(file: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(file.len());
    let mut rest = file.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    // Only the spelling that `escape` gives is a blob: this also leaves out the scratch file.
    (escape(&name).ok()? == file).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_both_ways() {
        for name in ["a", "full/000/part-1", "ümlaut %2F", ".hidden", "a.b", "../x"] {
            let file = escape(name).unwrap();
            assert!(!file.contains('/') && !file.starts_with('.'), "{file}");
            assert_eq!(unescape(&file).as_deref(), Some(name));
        }
        assert_eq!(unescape(SCRATCH_FILE), None);
        assert!(escape("").is_err());
        assert!(escape(&"x".repeat(201)).is_err());
    }
}
