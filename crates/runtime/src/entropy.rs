//! Randomness for ids and seeds. The engine gets all its randomness from here, with its inputs.

use std::fs::File;
use std::io::{self, Read};

const BUFFER_BYTES: usize = 4096;

/// Random bytes, read ahead.
pub(crate) struct Entropy {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
}

impl Entropy {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self::from(Box::new(File::open("/dev/urandom")?)))
    }

    /// What `source` gives.
    pub(crate) fn from(source: Box<dyn Read + Send>) -> Self {
        Self { source, buffer: Vec::new() }
    }

    /// `N` bytes that were never given out before.
    pub(crate) fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        const { assert!(N <= BUFFER_BYTES) };
        if self.buffer.len() < N {
            self.buffer.resize(BUFFER_BYTES, 0);
            if let Err(error) = self.source.read_exact(&mut self.buffer) {
                self.buffer.clear();
                return Err(error);
            }
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.buffer[self.buffer.len() - N..]);
        self.buffer.truncate(self.buffer.len() - N);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_the_same_bytes() {
        let mut entropy = Entropy::open().unwrap();
        let mut seen = std::collections::HashSet::new();
        assert!((0..1000).all(|_| seen.insert(entropy.take::<16>().unwrap())));
    }
}
