//! What a record does to stored rows. A row's bytes are made when somebody wants them: most rows of unfinished work are gone
//! again before the state is written.

use std::sync::Arc;

use protocol::cell::CellRow;
use protocol::record::{self, InvocationRow, JournalRow};

use crate::sizes;

/// What becomes of one row.
#[derive(Clone, Debug)]
pub enum RowChange {
    /// There is no such row, and now there is one. Whoever sees it deleted before it is stored may forget both.
    Insert(RowValue),
    /// The row has this content now, whether there was one or not.
    Put(RowValue),
    /// There is no such row any more.
    Delete,
}

impl RowChange {
    /// The content, unless the row is gone.
    pub fn value(&self) -> Option<&RowValue> {
        match self {
            Self::Insert(value) | Self::Put(value) => Some(value),
            Self::Delete => None,
        }
    }

    /// The content's bytes, unless the row is gone.
    pub fn encode(&self) -> Option<Vec<u8>> {
        self.value().map(RowValue::encode)
    }
}

/// Content of a row, shared with the partition where it has it in memory.
#[derive(Clone, Debug)]
pub enum RowValue {
    /// Encoded.
    Bytes(Vec<u8>),
    /// An unfinished invocation.
    Invocation(Arc<InvocationRow>),
    /// A step of a journal.
    Journal(Arc<JournalRow>),
    /// A cell.
    Cell(Arc<CellRow>),
}

impl RowValue {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Invocation(row) => record::encode(&**row),
            Self::Journal(row) => record::encode(&**row),
            Self::Cell(row) => record::encode(&**row),
        }
    }

    /// About how many bytes it has, for bounds.
    pub fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Invocation(row) => sizes::call(&row.call),
            Self::Journal(row) => sizes::step(row),
            Self::Cell(row) => sizes::cell(row),
        }
    }
}
