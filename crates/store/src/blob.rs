//! The blob trait: large immutable values by name. Not a place for what changes often.

use std::io;

/// Large immutable values by name. Names are made of `/`-separated parts.
pub trait Blob: Send + Sync {
    /// Stores a value; an existing one is replaced, all of it or none. Durable on return.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BlobError>;

    /// Stores a value unless the name is taken. Returns whether it was stored.
    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool, BlobError>;

    /// The value of a name.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BlobError>;

    /// The names that start with `prefix`, in ascending order.
    fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError>;

    /// Removes a value. Nothing happens if there is none.
    fn delete(&self, name: &str) -> Result<(), BlobError>;
}

/// What can go wrong with a blob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The name is empty or too long.
    #[error("{name:?} cannot name a blob: it must have 1 to {limit} bytes, escaped ones counted three times")]
    Name {
        /// The name.
        name: String,
        /// Its greatest length.
        limit: usize,
    },
    /// The system refused.
    #[error("blob {name}: {operation}: {message}")]
    Io {
        /// The name.
        name: String,
        /// What was being done.
        operation: &'static str,
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// What the system said.
        message: String,
    },
}
