//! A number that counts.

use protocol::manifest::FieldKind;

use super::scalar::held;
use super::{Initial, Part, store};
use crate::cells::FieldIndex;
use crate::describe::Member;
use crate::value;

/// A persistent number, at first 0, or what `#[initial(…)]` says.
#[derive(Debug)]
pub struct Counter {
    field: FieldIndex,
}

impl Counter {
    /// The number.
    pub fn get(&self) -> i64 {
        held(self.field)
    }

    /// Adds to it, and returns the sum.
    ///
    /// # Panics
    ///
    /// If the sum does not fit 64 bits, which ends the invocation.
    pub fn add(&mut self, more: i64) -> i64 {
        let sum = self.get().checked_add(more).expect("a counter overflows 64 bits");
        store(self.field, None, &sum);
        sum
    }
}

impl Part for Counter {
    fn describe() -> Member {
        let initial = value::encode(&0).unwrap_or_default();
        Member::Field { kind: FieldKind::Scalar, initial, reads: &["get"], wholes: &[], scans: &[] }
    }

    fn open(index: u16) -> Self {
        Self { field: index }
    }
}

impl Initial<i64> for Counter {}
