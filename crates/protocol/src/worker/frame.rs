//! The outermost layer of frames: their length, and the stream that they arrive in.

use super::FrameError;
use crate::limits::FRAME_BYTES_MAX;

/// Bytes of the length before a frame.
pub(super) const PREFIX_LEN: usize = 4;

/// A buffer that has grown beyond this is given back when it is empty.
const KEEP_CAPACITY_MAX: usize = 1024 * 1024;

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// What lies before this has been taken.
    start: usize,
}

impl FrameReader {
    /// A reader at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends what has arrived. Call [`Self::pop`] until it gives `None` before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
            if self.buffer.is_empty() && self.buffer.capacity() > KEEP_CAPACITY_MAX {
                self.buffer = Vec::new();
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next complete frame, without its length. An error is final: the stream cannot be read on.
    pub fn pop(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let rest = &self.buffer[self.start..];
        let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX_LEN>() else { return Ok(None) };
        let len = u32::from_le_bytes(*prefix) as usize;
        if len > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge { len });
        }
        let Some(frame) = rest.get(..len) else { return Ok(None) };
        self.start += PREFIX_LEN + len;
        Ok(Some(frame))
    }

    /// True if the stream may end here: no part of a frame is waiting for the rest.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }
}

/// Leaves room for the length.
pub(super) fn begin() -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(&[0; PREFIX_LEN]);
    out
}

/// Fills in the length.
pub(super) fn end(mut out: Vec<u8>) -> Result<Vec<u8>, FrameError> {
    let len = out.len() - PREFIX_LEN;
    match u32::try_from(len) {
        Ok(prefix) if len <= FRAME_BYTES_MAX => out[..PREFIX_LEN].copy_from_slice(&prefix.to_le_bytes()),
        _ => return Err(FrameError::TooLarge { len }),
    }
    Ok(out)
}
