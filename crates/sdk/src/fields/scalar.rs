//! A field that is one cell.

use std::marker::PhantomData;

use protocol::manifest::FieldKind;
use serde::de::DeserializeOwned;

use super::{Initial, Lent, Part, load, store};
use crate::cells::FieldIndex;
use crate::describe::Member;
use crate::run;
use crate::storable::Storable;
use crate::value;

/// A persistent value; at first `T::default()`, or what `#[initial(…)]` says.
#[derive(Debug)]
pub struct Value<T> {
    field: FieldIndex,
    of: PhantomData<fn() -> T>,
}

impl<T: Storable> Value<T> {
    /// A copy of the value.
    pub fn get(&self) -> T {
        held(self.field)
    }

    /// Stores another value.
    pub fn set(&mut self, value: T) {
        store(self.field, None, &value);
    }

    /// Stores another value and returns the one that it replaces.
    pub fn replace(&mut self, value: T) -> T {
        let old = self.get();
        self.set(value);
        old
    }

    /// Lends the value, to be changed in place.
    pub fn get_mut(&mut self) -> Lent<'_, T> {
        Lent::new(self.field, None, self.get())
    }
}

/// What the cell of a field holds, or its initial value.
pub(super) fn held<T: DeserializeOwned>(field: FieldIndex) -> T {
    let bytes = run::read(field, None, |held| held.map(<[u8]>::to_vec));
    load(field, &bytes.unwrap_or_else(|| run::initial(field)))
}

impl<T: Storable + Default> Part for Value<T> {
    fn describe() -> Member {
        // A default that cannot be stored fails when it is first stored.
        let initial = value::encode(&T::default()).unwrap_or_else(|_| protocol::msgpack::NONE.to_vec());
        Member::Field { kind: FieldKind::Scalar, initial, reads: &["get"], wholes: &[], scans: &[] }
    }

    fn open(index: u16) -> Self {
        Self { field: index, of: PhantomData }
    }
}

impl<T: Storable + Default> Initial<T> for Value<T> {}
