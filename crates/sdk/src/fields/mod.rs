//! Persistent fields. Reading takes `&self`, changing takes `&mut self`, so a method's receiver says whether it may
//! write. Values go in and out as copies; what is to be changed in place is lent by a guard that writes it back.

mod counter;
mod list;
mod map;
mod scalar;

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use counter::Counter;
pub use list::List;
pub use map::Map;
pub use scalar::Value;

use crate::cells::FieldIndex;
use crate::describe::Member;
use crate::run;
use crate::value;

/// What a service's struct is made of: fields and clients.
///
/// An entity is called by its key, so its client is a member as [`Entities`](crate::Entities). This does not compile:
///
/// ```compile_fail
/// extern crate sdk as sostenuto;
/// use sostenuto::prelude::*;
///
/// #[client(key = String)]
/// trait Account {
///     fn deposit(&self, amount: i64) -> i64;
/// }
///
/// #[service]
/// pub struct Bank {
///     account: AccountClient,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a member of a service",
    label = "neither a field that persists nor the client of a service",
    note = "fields are `Map`, `List`, `Value` and `Counter`; other services are members by their clients, like `HotelClient`",
    note = "entities are members as `Entities<AccountClient>`: `self.accounts.at(key)`"
)]
pub trait Part: Sized {
    /// What it is, for the manifest.
    fn describe() -> Member;

    /// Of one instance; `index` is its place in the struct.
    fn open(index: u16) -> Self;
}

/// A field that begins with a value of this type: `#[initial(5)] left: Value<u32>`.
///
/// A client is no field, and has none. This does not compile:
///
/// ```compile_fail
/// extern crate sdk as sostenuto;
/// use sostenuto::prelude::*;
///
/// #[client]
/// trait Mailer {
///     fn mail(&self, to: String) -> bool;
/// }
///
/// #[service]
/// pub struct Shop {
///     #[initial(5)]
///     mailer: MailerClient,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot begin with this value",
    label = "an `#[initial(…)]` of another type",
    note = "a `Value<T>` begins with a `T`, a `Counter` with an `i64`, a `List<T>` with a `Vec<T>`, a `Map<K, V>` with \
            `[(key, value), …].into()`"
)]
pub trait Initial<V: Serialize>: Part {
    /// What it is, with this in the place of its usual beginning.
    ///
    /// # Panics
    ///
    /// If the value cannot be stored: when the program starts, before anything is served.
    fn begin_with(value: V) -> Member {
        beginning_with(Self::describe(), &value)
    }
}

fn beginning_with<V: Serialize>(mut member: Member, value: &V) -> Member {
    if let Member::Field { initial, .. } = &mut member {
        *initial = value::encode(value).unwrap_or_else(|mismatch| panic!("#[initial(…)]: {mismatch}"));
    }
    member
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
    place: Place,
    value: T,
    /// The field is lent; and guards do not go to other threads, so that methods that hold one over an `await` do not
    /// compile.
    of: PhantomData<(&'a mut (), *const ())>,
}

/// Where a lent value is written back.
enum Place {
    /// The cell of this key, or the field's only one.
    Cell(Option<Vec<u8>>),
    /// The element of a list with this index.
    Element(usize),
}

impl<T: Serialize> Lent<'_, T> {
    fn new(field: FieldIndex, key: Option<Vec<u8>>, value: T) -> Self {
        Self { field, place: Place::Cell(key), value, of: PhantomData }
    }

    fn of_element(field: FieldIndex, index: usize, value: T) -> Self {
        Self { field, place: Place::Element(index), value, of: PhantomData }
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
        // A run that is over is unwound: nothing may panic here.
        if !run::is_alive() {
            return;
        }
        match &self.place {
            Place::Cell(key) => store(self.field, key.as_deref(), &self.value),
            Place::Element(index) => match value::to_value(&self.value) {
                Ok(value) => list::put_element(self.field, *index, value),
                Err(mismatch) => not_storable(self.field, "an element of ", &mismatch),
            },
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
    run::fail(value::not_storable(&format!("{what}{}", name_of(field)), mismatch));
}

/// `Service.field`, for messages.
fn name_of(field: FieldIndex) -> String {
    run::with("a persistent field", |run| format!("{}.{}", run.service.name, run.service.name_of(field)))
}

/// A stored value as its type; if it is of another, the method ends with an error that says so.
fn load<T: DeserializeOwned>(field: FieldIndex, bytes: &[u8]) -> T {
    match value::decode(bytes) {
        Ok(value) => value,
        Err(mismatch) => panic!("{} holds a value of another type: {mismatch}", name_of(field)),
    }
}
