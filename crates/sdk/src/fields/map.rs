//! A field that is one cell for each key.

use std::borrow::Borrow;
use std::marker::PhantomData;

use protocol::manifest::FieldKind;
use serde::Serialize;

use super::{Initial, Lent, Part, key_bytes, load, store};
use crate::cells::FieldIndex;
use crate::describe::Member;
use crate::run;
use crate::storable::Storable;

/// A persistent map that keeps the order of insertion. Each entry is locked and placed by itself; what takes the map as
/// a whole (`len`, `iter`, `clear`) takes all of it, and is bounded.
#[derive(Debug)]
pub struct Map<K, V> {
    field: FieldIndex,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Map<K, V>
where
    K: Storable,
    V: Storable,
{
    /// A copy of the value of a key.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        let key = key_bytes(self.field, key)?;
        run::read(self.field, Some(&key), |held| held.map(|bytes| load(self.field, bytes)))
    }

    /// Whether there is an entry.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        key_bytes(self.field, key).is_some_and(|key| run::read(self.field, Some(&key), |held| held.is_some()))
    }

    /// Stores an entry in the place of one with the same key, if there is one.
    pub fn insert(&mut self, key: K, value: V) {
        if let Some(key) = key_bytes(self.field, &key) {
            store(self.field, Some(&key), &value);
        }
    }

    /// Lends the value of a key, to be changed in place.
    pub fn get_mut<Q>(&mut self, key: &Q) -> Option<Lent<'_, V>>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        let value = self.get(key)?;
        Some(Lent::new(self.field, key_bytes(self.field, key), value))
    }

    /// Lends the value of a key, to be changed in place; inserts `new` first if there is none.
    pub fn get_or_insert(&mut self, key: K, new: V) -> Lent<'_, V> {
        let key = key_bytes(self.field, &key);
        let held = run::read(self.field, key.as_deref(), |held| held.map(|bytes| load(self.field, bytes)));
        Lent::new(self.field, key, held.unwrap_or(new))
    }

    /// Takes an entry out.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        let value = self.get(key)?;
        run::write(self.field, Some(&key_bytes(self.field, key)?), None);
        Some(value)
    }

    /// The number of entries. Reads the whole map.
    pub fn len(&self) -> usize {
        run::scan(self.field).len()
    }

    /// Whether there are none. Reads the whole map.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries in order of insertion. Reads the whole map.
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + use<K, V> {
        let field = self.field;
        run::scan(field).into_iter().map(move |(key, value)| (load(field, &key), load(field, &value)))
    }

    /// All keys in order of insertion. Reads the whole map.
    pub fn keys(&self) -> impl Iterator<Item = K> + use<K, V> {
        let field = self.field;
        run::scan(field).into_iter().map(move |(key, _)| load(field, &key))
    }

    /// All values in order of insertion. Reads the whole map.
    pub fn values(&self) -> impl Iterator<Item = V> + use<K, V> {
        let field = self.field;
        run::scan(field).into_iter().map(move |(_, value)| load(field, &value))
    }

    /// Takes all entries out.
    pub fn clear(&mut self) {
        for (key, _) in run::scan(self.field) {
            run::write(self.field, Some(&key), None);
        }
    }
}

impl<K, V> Part for Map<K, V>
where
    K: Storable,
    V: Storable,
{
    fn describe() -> Member {
        Member::Field {
            kind: FieldKind::Dict,
            // An empty dict.
            initial: vec![0x80],
            reads: &["get", "contains_key"],
            wholes: &["len", "is_empty", "iter", "keys", "values", "clear"],
            scans: &["len", "is_empty", "iter", "keys", "values"],
        }
    }

    fn open(index: u16) -> Self {
        Self { field: index, of: PhantomData }
    }
}

impl<K, V> Initial<Entries<K, V>> for Map<K, V>
where
    K: Storable,
    V: Storable,
{
}

/// Entries that a map begins with: `#[initial([("tea", 3), ("ale", 5)].into())]`. Only a service's can.
#[derive(Clone, Debug)]
pub struct Entries<K, V>(Vec<(K, V)>);

impl<K, V, Q: Into<K>, const N: usize> From<[(Q, V); N]> for Entries<K, V> {
    fn from(entries: [(Q, V); N]) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl<K: Serialize, V: Serialize> Serialize for Entries<K, V> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}
