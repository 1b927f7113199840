//! What callers must know of a function: its effects on fields, arguments and captured objects.

use std::collections::{BTreeMap, BTreeSet};

use protocol::manifest::KeyExpr;

use super::value::{Level, Source, Val};

/// Cells of a field, with keys in terms of the function's own parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cells {
    Scalar,
    Entry(Key),
    Whole,
}

/// A key in terms of the function's own parameters, `self` counted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    Param(usize),
    Item(usize, String),
    Str(usize),
    Constant(Vec<u8>),
}

/// Effects of calling a function.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) reads: BTreeSet<usize>,
    pub(crate) writes: BTreeSet<usize>,
    /// Calls, sends, sleeps, transactions.
    pub(crate) acts: bool,
    /// Objects that it changes in place, other than those of fields, and whether it changes what they hold.
    pub(crate) mutates: BTreeMap<Source, bool>,
    /// Objects that it stores in a field.
    pub(crate) publishes: BTreeMap<Source, BTreeSet<usize>>,
    /// What its result may refer to.
    pub(crate) returns: BTreeMap<Source, Level>,
    /// What it returns was taken before a transaction ended.
    pub(crate) returns_old: bool,
    /// Cells that it touches before it suspends, whatever its branches do.
    pub(crate) first: Vec<(usize, Cells)>,
    /// Keys of dict fields that it uses anywhere, in order.
    pub(crate) keys: Vec<Key>,
}

impl Key {
    /// As the manifest writes it; parameters there do not count `self`.
    pub(crate) fn expr(&self) -> Option<KeyExpr> {
        let index = |i: &usize| i.checked_sub(1).map(|i| i as u32);
        Some(match self {
            Self::Param(i) => KeyExpr::Parameter(index(i)?),
            Self::Item(i, name) => KeyExpr::Item(index(i)?, name.clone()),
            Self::Str(i) => KeyExpr::Str(index(i)?),
            Self::Constant(bytes) => KeyExpr::Constant(bytes.clone()),
        })
    }
}

impl Summary {
    /// Notes a cell that the first step touches.
    pub(crate) fn foresee(&mut self, field: usize, cells: Cells) {
        let entry = (field, cells);
        if !self.first.contains(&entry) {
            self.first.push(entry);
        }
    }

    /// Notes what the result may refer to.
    pub(crate) fn returned(&mut self, val: &Val) {
        for (source, borrow) in &val.sources {
            let level = self.returns.entry(*source).or_insert(borrow.level);
            *level = borrow.level.join(*level);
        }
    }

    pub(crate) fn key(&mut self, key: Key) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }
}
