//! Reading a range of records from the segments. Holds the segments it needs, so a trim cannot change them.

use std::{collections::VecDeque, sync::Arc, vec};

use super::{
    batch::{self, HEADER_BYTES, Header},
    segments::{Segment, file_name},
};
use crate::log::{LogError, LogRecord, Lsn};

/// Iterates over `next..=upto`. Ends after the first error.
pub(super) struct Reader {
    log_id: u64,
    segment_bytes: u64,
    /// The segments of the range, in order; the first one is being read.
    segments: VecDeque<Arc<Segment>>,
    offset: u64,
    /// The position that the batch at `offset` must start with.
    position: Lsn,
    /// The next record to hand out.
    next: Lsn,
    upto: Lsn,
    batch: vec::IntoIter<LogRecord>,
    failed: bool,
}

impl Reader {
    pub(super) fn new(log_id: u64, segment_bytes: u64, segments: VecDeque<Arc<Segment>>, from: Lsn, upto: Lsn) -> Self {
        let position = segments.front().map_or(from, |segment| segment.first);
        let batch = Vec::new().into_iter();
        Self { log_id, segment_bytes, segments, offset: 0, position, next: from, upto, batch, failed: false }
    }

    /// Loads the batch that holds `next`.
    fn load(&mut self) -> Result<(), LogError> {
        while let Some(segment) = self.segments.front().map(Arc::clone) {
            let Some(header) = self.header(&segment)? else {
                self.next_segment(&segment)?;
                continue;
            };
            let offset = self.offset;
            self.offset += header.extent() as u64;
            self.position = header.next_position();
            if self.position > self.next {
                let skipped = usize::try_from(self.next - header.position).expect("a batch fits into memory");
                let mut records = self.body(&segment, offset, &header)?.into_iter();
                records.by_ref().take(skipped).for_each(drop);
                self.batch = records;
                return Ok(());
            }
        }
        Err(LogError::Damaged { file: "log".to_owned(), offset: 0, detail: format!("record {} is missing", self.next) })
    }

    /// The header at the present place; `None` at the end of the segment.
    fn header(&self, segment: &Segment) -> Result<Option<Header>, LogError> {
        if self.offset + HEADER_BYTES as u64 > self.segment_bytes {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES];
        read(segment, self.offset, &mut bytes)?;
        let header = batch::header(&bytes, self.log_id, segment.generation);
        Ok(header.filter(|header| header.position == self.position))
    }

    fn next_segment(&mut self, ended: &Segment) -> Result<(), LogError> {
        self.segments.pop_front();
        match self.segments.front() {
            Some(next) if next.first == self.position => {
                self.offset = 0;
                Ok(())
            }
            _ => Err(self.damaged(ended, self.offset)),
        }
    }

    fn body(&self, segment: &Segment, offset: u64, header: &Header) -> Result<Vec<LogRecord>, LogError> {
        let mut body = vec![0; header.length as usize];
        read(segment, offset + HEADER_BYTES as u64, &mut body)?;
        if !batch::body_matches(header, &body) {
            return Err(self.damaged(segment, offset));
        }
        let records = batch::records(header, &body).ok_or_else(|| self.damaged(segment, offset))?;
        Ok(records.into_iter().map(|(partition, bytes)| LogRecord { partition, bytes: bytes.to_vec() }).collect())
    }

    fn damaged(&self, segment: &Segment, offset: u64) -> LogError {
        let detail = format!("the batch with record {} is not intact", self.next);
        LogError::Damaged { file: file_name(segment.generation), offset, detail }
    }
}

fn read(segment: &Segment, offset: u64, buffer: &mut [u8]) -> Result<(), LogError> {
    segment
        .file
        .read_at(offset, buffer)
        .map_err(|error| LogError::io("reading", &file_name(segment.generation), &error))
}

impl Iterator for Reader {
    type Item = Result<(Lsn, LogRecord), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.next > self.upto {
            return None;
        }
        loop {
            if let Some(record) = self.batch.next() {
                let position = self.next;
                self.next += 1;
                return Some(Ok((position, record)));
            }
            if let Err(error) = self.load() {
                self.failed = true;
                return Some(Err(error));
            }
        }
    }
}
