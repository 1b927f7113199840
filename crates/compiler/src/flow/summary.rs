//! What callers must know of a function: its effects on fields, arguments and captured objects.

use std::collections::{BTreeMap, BTreeSet};

use protocol::manifest::KeyExpr;

use super::value::{Level, Source, Val};

/// Cells of a field, with keys in terms of the function's own parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cells {
    Scalar,
    /// What a list field is found by; all of it if it is short.
    Header,
    /// The chunk of a list field with the element at this index.
    Chunk(Key),
    Entry(Key),
    Whole,
}

/// A key in terms of the function's own parameters, `self` counted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    Param(usize),
    Constant(Vec<u8>),
    /// An item or field of another.
    Part(Box<Key>, String),
    /// `str(…)` of another.
    Text(Box<Key>),
    /// An f-string.
    Join(Vec<Key>),
    /// Texts that are added.
    Concat(Vec<Key>),
    Tuple(Vec<Key>),
    /// A key for each element of a collection.
    Each(Box<Key>, Box<Key>),
    /// The element.
    Element,
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
    /// Objects that it stores in a field, and whether as the whole of it.
    pub(crate) publishes: BTreeMap<Source, BTreeMap<usize, bool>>,
    /// What its result may refer to, and whether to the whole of it.
    pub(crate) returns: BTreeMap<Source, (Level, bool)>,
    /// What it returns was taken before a transaction ended.
    pub(crate) returns_old: bool,
    /// Cells that it touches before it suspends, whatever its branches do.
    pub(crate) first: Vec<(usize, Cells)>,
    /// Keys of dict fields that it uses anywhere, in order.
    pub(crate) keys: Vec<Key>,
}

impl Key {
    /// The chunk of a list field, if the key is an index of it that an argument gives.
    pub(crate) fn chunk(&self) -> Option<KeyExpr> {
        match (self, self.expr()?) {
            (Self::Param(_), KeyExpr::Parameter(index)) => Some(KeyExpr::Chunk(index)),
            _ => None,
        }
    }

    /// As the manifest writes it; parameters there do not count `self`.
    pub(crate) fn expr(&self) -> Option<KeyExpr> {
        let all = |keys: &[Self]| keys.iter().map(Self::expr).collect::<Option<Vec<_>>>();
        Some(match self {
            Self::Param(index) => KeyExpr::Parameter(index.checked_sub(1)? as u32),
            Self::Constant(bytes) => KeyExpr::Constant(bytes.clone()),
            Self::Part(of, name) => match of.expr()? {
                KeyExpr::Parameter(index) => KeyExpr::Item(index, name.clone()),
                of => KeyExpr::Part(Box::new(of), name.clone()),
            },
            Self::Text(of) => match of.expr()? {
                KeyExpr::Parameter(index) => KeyExpr::Str(index),
                of => KeyExpr::Text(Box::new(of)),
            },
            Self::Join(parts) => KeyExpr::Join(all(parts)?),
            Self::Concat(parts) => KeyExpr::Concat(all(parts)?),
            Self::Tuple(items) => KeyExpr::Tuple(all(items)?),
            Self::Each(elements, key) => KeyExpr::Each(Box::new(elements.expr()?), Box::new(key.expr()?)),
            Self::Element => KeyExpr::Element,
        })
    }

    /// It stands for a key for each element of a collection.
    pub(crate) fn is_each(&self) -> bool {
        matches!(self, Self::Each(..))
    }

    /// The parameters that it is made of.
    pub(crate) fn params(&self) -> Vec<usize> {
        match self {
            Self::Param(index) => vec![*index],
            Self::Constant(_) | Self::Element => Vec::new(),
            Self::Part(of, _) | Self::Text(of) => of.params(),
            Self::Join(keys) | Self::Concat(keys) | Self::Tuple(keys) => keys.iter().flat_map(Self::params).collect(),
            Self::Each(elements, key) => [elements.params(), key.params()].concat(),
        }
    }

    /// The same key in terms of a caller, whose arguments are given by `argument`.
    pub(crate) fn seen_by(&self, argument: &dyn Fn(usize) -> Option<Self>) -> Option<Self> {
        let mut elements = None;
        let key = self.substituted(argument, &mut elements)?;
        Some(match elements {
            // A loop in a loop.
            Some(_) if key.is_each() => return None,
            Some(elements) => Self::Each(Box::new(elements), Box::new(key)),
            None => key,
        })
    }

    /// An argument may be a key for each element: what is made of it is one, too, of a single collection.
    fn substituted(&self, argument: &dyn Fn(usize) -> Option<Self>, elements: &mut Option<Self>) -> Option<Self> {
        let mut one = |key: &Self| key.substituted(argument, elements);
        Some(match self {
            Self::Param(index) => match argument(*index)? {
                Self::Each(of, key) => {
                    if elements.as_ref().is_some_and(|known| *known != *of) {
                        return None;
                    }
                    *elements = Some(*of);
                    *key
                }
                key => key,
            },
            Self::Constant(_) | Self::Element => self.clone(),
            Self::Part(of, name) => Self::Part(Box::new(one(of)?), name.clone()),
            Self::Text(of) => Self::Text(Box::new(one(of)?)),
            Self::Join(keys) => Self::Join(keys.iter().map(one).collect::<Option<_>>()?),
            Self::Concat(keys) => Self::Concat(keys.iter().map(one).collect::<Option<_>>()?),
            Self::Tuple(keys) => Self::Tuple(keys.iter().map(one).collect::<Option<_>>()?),
            Self::Each(of, key) => Self::Each(Box::new(one(of)?), Box::new(one(key)?)),
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
            let (level, whole) = self.returns.entry(*source).or_insert((borrow.level, borrow.whole));
            *level = borrow.level.join(*level);
            *whole |= borrow.whole;
        }
    }

    pub(crate) fn key(&mut self, key: Key) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }
}
