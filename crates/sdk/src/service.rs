//! What the macros make of a struct and its methods.

use std::future::Future;
use std::pin::Pin;

use protocol::manifest::Service as ManifestService;
use protocol::schema::Type;
use protocol::{Value, msgpack};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::describe::{Description, Member, MethodFacts};
use crate::error::{Error, Result, TYPE_ERROR};
use crate::run;
use crate::value;

/// The state of a service or entity: implemented by `#[service]` and `#[entity]` on a struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has methods of a service, but is none",
    label = "a struct without `#[service]` or `#[entity]`",
    note = "write `#[service]` or `#[entity(key = String)]` before `struct {Self}`"
)]
pub trait State: Sized + Send + 'static {
    /// Public name.
    const NAME: &'static str;

    /// Type of an entity's key.
    fn entity_key() -> Option<Type>;

    /// Fields and clients.
    fn members() -> Vec<(&'static str, Member)>;

    /// An instance for one invocation.
    fn open() -> Self;
}

/// The methods of a service or entity: implemented by `#[methods]` on an `impl` block.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no service",
    label = "not a struct with `#[service]` or `#[entity]`, and `#[methods]` on its `impl` block",
    note = "a service without methods has an empty block: `#[methods] impl {Self} {{}}`"
)]
pub trait Service: State {
    /// All methods of the block.
    fn methods() -> Vec<MethodFacts>;

    /// Runs a method, or begins to; `None` if there is none of this name.
    fn dispatch(self, method: &str, args: Args) -> Option<Invoked>;

    /// The service as the manifest tells the rest of the system.
    fn manifest() -> ManifestService {
        describe::<Self>().service()
    }
}

pub(crate) fn describe<S: Service>() -> Description {
    Description { name: S::NAME, entity_key: S::entity_key(), members: S::members(), methods: S::methods() }
}

/// A method that was begun.
pub enum Invoked {
    /// It waits for nothing: this is its result.
    Done(Result<Vec<u8>>),
    /// It is to be polled.
    Future(Pin<Box<dyn Future<Output = Result<Vec<u8>>> + Send>>),
}

impl Invoked {
    /// The result of a method that is no `async fn`.
    pub fn done<T: Serialize>(result: Result<T>) -> Self {
        Self::Done(result.and_then(|value| encode_result(&value)))
    }

    /// A method that is an `async fn`.
    pub fn future<T: Serialize>(future: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self::Future(Box::pin(async move { encode_result(&future.await?) }))
    }
}

fn encode_result<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    value::encode(value).map_err(|mismatch| {
        let target = run::with("a result", |run| run.target.clone());
        value::not_storable(&format!("the result of {target}"), &mismatch)
    })
}

/// The arguments of a call.
pub struct Args {
    positional: std::vec::IntoIter<Value>,
    named: Vec<(String, Value)>,
    /// Name of the task whose they are; without it they are the running method's.
    task: Option<String>,
}

impl Args {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let (positional, named) = msgpack::decode_args(bytes)?;
        Ok(Self { positional: positional.into_iter(), named, task: None })
    }

    pub(crate) fn of_task(name: &str, bytes: &[u8]) -> Result<Self> {
        Ok(Self { task: Some(format!("task {name}")), ..Self::decode(bytes)? })
    }

    fn wrong(&self, text: &str) -> Error {
        let target = self.task.clone().unwrap_or_else(|| run::with("an argument", |run| run.target.clone()));
        Error::new(TYPE_ERROR, format!("{target}() {text}"))
    }

    /// The next parameter's argument.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str, default: bool) -> Result<T> {
        let named = self.named.iter().position(|(given, _)| given == name);
        let argument = match (self.positional.next(), named) {
            (Some(_), Some(_)) => return Err(self.wrong(&format!("got multiple values for argument '{name}'"))),
            (Some(value), None) => value,
            (None, Some(index)) => self.named.swap_remove(index).1,
            (None, None) if default => Value::None,
            (None, None) => return Err(self.wrong(&format!("missing 1 required argument: '{name}'"))),
        };
        value::from_value(argument).map_err(|mismatch| self.wrong(&format!("argument '{name}': {mismatch}")))
    }

    /// Nothing may be left.
    pub fn finish(mut self) -> Result<()> {
        if let Some((name, _)) = self.named.first() {
            return Err(self.wrong(&format!("got an unexpected argument '{name}'")));
        }
        match self.positional.next() {
            Some(_) => Err(self.wrong("got too many arguments")),
            None => Ok(()),
        }
    }
}

/// A result as the method's signature has it, seen by the macros.
pub trait IntoResult<T> {
    /// With this crate's error.
    fn into_result(self) -> Result<T>;
}

impl<T, E: Raised> IntoResult<T> for std::result::Result<T, E> {
    fn into_result(self) -> Result<T> {
        self.map_err(Raised::raised)
    }
}

/// What a method or task can end with in the place of a value.
#[diagnostic::on_unimplemented(
    message = "a method or task cannot end with the error `{Self}`",
    label = "its error is no `std::error::Error`",
    note = "return `Result<T>` of the prelude, and `?` makes its error of each `std::error::Error`; of a text `Error::new(\"shop.SoldOut\", text)` makes one"
)]
pub trait Raised {
    /// As an exception.
    fn raised(self) -> Error;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Error>> Raised for E {
    fn raised(self) -> Error {
        self.into()
    }
}

/// The key of the entity whose method runs.
///
/// # Panics
///
/// If the method is not an entity's.
pub fn entity_key<K: DeserializeOwned>() -> K {
    let key = run::with("key()", |run| run.key.clone()).expect("only an entity has a key");
    match value::decode(&key) {
        Ok(key) => key,
        Err(mismatch) => panic!("the entity's key is of another type: {mismatch}"),
    }
}
