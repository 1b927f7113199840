//! Typed clients: what the macros make them of, entities as members, and what `#[client]` traits state of services that
//! are written elsewhere, to be compared with them before anything is served.

use std::fmt;
use std::marker::PhantomData;

use protocol::manifest::{Method, Parameter, Service as ManifestService};
use protocol::schema::Type;

use crate::describe::{Member, MethodFacts};
use crate::fields::Part;

/// A typed client: implemented by the macros for `HotelClient`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no client",
    label = "not what `#[client]`, `#[service]` or `#[entity]` makes",
    note = "the client of `Hotel` is `HotelClient`"
)]
pub trait Client: Sized + 'static {
    /// The service or entity that it calls.
    const SERVICE: &'static str;

    /// What a `#[client]` trait states of it; nothing of what is written in Rust, with which the compiler compares.
    #[doc(hidden)]
    fn stated() -> Option<Stated>;
}

/// The client of an entity: made for one key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the client of an entity",
    label = "not what `#[entity]` or `#[client(key = String)]` makes",
    note = "the client of the entity `Account` is `AccountClient`; that of a service is a member as it is: `hotel: HotelClient`"
)]
pub trait EntityClient: Client {
    /// The type of the key.
    type Key;

    /// A client of the entity with this key.
    #[doc(hidden)]
    fn with_key(key: Self::Key) -> Self;
}

/// All entities of a kind, as a member of a service or entity that calls them:
///
/// ```
/// extern crate sdk as sostenuto;
/// use sostenuto::prelude::*;
///
/// #[entity(key = String)]
/// pub struct Account {
///     funds: Counter,
/// }
///
/// #[methods]
/// impl Account {
///     pub fn deposit(&mut self, amount: i64) -> i64 {
///         self.funds.add(amount)
///     }
/// }
///
/// #[service]
/// pub struct Bank {
///     accounts: Entities<AccountClient>,
/// }
///
/// #[methods]
/// impl Bank {
///     pub async fn give(&self, owner: String) -> Result<i64> {
///         self.accounts.at(owner).deposit(5).await
///     }
/// }
/// ```
///
/// `Account::at(owner)` calls the same entity; a member says besides, before anything is served, that the service needs
/// it: without an entity of that name, or with another one than a `#[client(key = …)]` trait states, the program does
/// not start.
pub struct Entities<C> {
    of: PhantomData<fn() -> C>,
}

impl<C: EntityClient> Entities<C> {
    /// A client of the entity with this key.
    pub fn at(&self, key: impl Into<C::Key>) -> C {
        C::with_key(key.into())
    }
}

impl<C: EntityClient> Part for Entities<C> {
    fn describe() -> Member {
        Member::Client { service: C::SERVICE, stated: C::stated() }
    }

    fn open(_: u16) -> Self {
        Self { of: PhantomData }
    }
}

impl<C: Client> fmt::Debug for Entities<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<entities {}>", C::SERVICE)
    }
}

/// What a `#[client]` trait states of a service or entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Stated {
    /// The service, as far as it is stated.
    pub service: ManifestService,
    /// The trait's file.
    pub file: &'static str,
}

impl Stated {
    /// For the macros.
    #[doc(hidden)]
    pub fn new(name: &str, file: &'static str, key: Option<Type>, methods: Vec<MethodFacts>) -> Self {
        let methods = methods.into_iter().map(|facts| Method {
            name: facts.name.to_owned(),
            parameters: facts.parameters.into_iter().map(|(name, ty, default)| parameter(name, ty, default)).collect(),
            returns: facts.returns,
            line: facts.line,
            ..Method::default()
        });
        let service = ManifestService {
            name: name.to_owned(),
            entity_key: key,
            methods: methods.collect(),
            ..ManifestService::default()
        };
        Self { service, file }
    }
}

pub(crate) fn parameter(name: &str, ty: Type, default: bool) -> Parameter {
    Parameter { name: name.to_owned(), ty, default, ..Parameter::default() }
}
