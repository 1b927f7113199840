//! Persistent fields. Reading takes `&self`, changing takes `&mut self`, so a method's receiver says whether it may
//! write. Values go in and out as copies; what is to be changed in place is lent by a guard that writes it back.

mod counter;
mod map;
mod scalar;

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use counter::Counter;
pub use map::Map;
pub use scalar::Value;

use crate::cells::FieldIndex;
use crate::describe::Member;
use crate::run;
use crate::value;

/// What a service's struct is made of: fields and clients.
pub trait Part: Sized {
    /// What it is, for the manifest.
    fn describe() -> Member;

    /// Of one instance; `index` is its place in the struct.
    fn open(index: u16) -> Self;
}

/// A value of a cell, to be changed in place; written back when it is dropped.
///
/// It cannot be held while the method waits: others may change the cell meanwhile. This does not compile:
///
/// ```compile_fail
/// extern crate sdk as sostenuto;
/// use sostenuto::prelude::*;
///
/// #[service]
/// pub struct Clock {
///     alarms: Map<String, u32>,
/// }
///
/// #[methods]
/// impl Clock {
///     pub async fn ring(&mut self, name: String) -> Result<()> {
///         let mut alarm = self.alarms.get_or_insert(name, 0);
///         sleep(std::time::Duration::from_secs(1)).await?;
///         *alarm += 1;
///         Ok(())
///     }
/// }
/// ```
///
/// With the guard dropped before the wait it does:
///
/// ```
/// extern crate sdk as sostenuto;
/// use sostenuto::prelude::*;
///
/// #[service]
/// pub struct Clock {
///     alarms: Map<String, u32>,
/// }
///
/// #[methods]
/// impl Clock {
///     pub async fn ring(&mut self, name: String) -> Result<()> {
///         *self.alarms.get_or_insert(name, 0) += 1;
///         sleep(std::time::Duration::from_secs(1)).await?;
///         Ok(())
///     }
/// }
/// ```
///
/// A method that takes `&self` cannot write:
///
/// ```compile_fail
/// extern crate sdk as sostenuto;
/// use sostenuto::prelude::*;
///
/// #[service]
/// pub struct Clock {
///     alarms: Map<String, u32>,
/// }
///
/// #[methods]
/// impl Clock {
///     pub fn set(&self, name: String) {
///         self.alarms.insert(name, 1);
///     }
/// }
/// ```
pub struct Lent<'a, T: Serialize> {
    field: FieldIndex,
    key: Option<Vec<u8>>,
    value: T,
    /// The field is lent; and guards do not go to other threads, so that methods that hold one over an `await` do not
    /// compile.
    of: PhantomData<(&'a mut (), *const ())>,
}

impl<T: Serialize> Lent<'_, T> {
    fn new(field: FieldIndex, key: Option<Vec<u8>>, value: T) -> Self {
        Self { field, key, value, of: PhantomData }
    }
}

impl<T: Serialize> Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> DerefMut for Lent<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Serialize> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        if run::is_running() {
            store(self.field, self.key.as_deref(), &self.value);
        }
    }
}

impl<T: Serialize + fmt::Debug> fmt::Debug for Lent<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Writes a value; one that cannot be stored ends the invocation, of whose step nothing remains.
fn store<T: Serialize + ?Sized>(field: FieldIndex, key: Option<&[u8]>, value: &T) {
    match value::encode(value) {
        Ok(bytes) => run::write(field, key, Some(bytes)),
        Err(mismatch) => not_storable(field, "", &mismatch),
    }
}

/// The bytes of a key, or nothing, and the invocation ends.
fn key_bytes<K: Serialize + ?Sized>(field: FieldIndex, key: &K) -> Option<Vec<u8>> {
    let encoded = value::encode(key);
    let checked = encoded.and_then(|bytes| match protocol::key::canonical_of_msgpack(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(value::Mismatch(error.to_string())),
    });
    checked.map_err(|mismatch| not_storable(field, "a key of ", &mismatch)).ok()
}

fn not_storable(field: FieldIndex, what: &str, mismatch: &value::Mismatch) {
    let name = run::with("a persistent field", |run| format!("{}.{}", run.service.name, run.service.name_of(field)));
    run::fail(value::not_storable(&format!("{what}{name}"), mismatch));
}

/// A stored value as its type; if it is of another, the method ends with an error that says so.
fn load<T: DeserializeOwned>(field: FieldIndex, bytes: &[u8]) -> Option<T> {
    match value::decode(bytes) {
        Ok(value) => Some(value),
        Err(mismatch) => {
            let name =
                run::with("a persistent field", |run| format!("{}.{}", run.service.name, run.service.name_of(field)));
            panic!("{name} holds a value of another type: {mismatch}");
        }
    }
}
