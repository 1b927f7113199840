//! What can be stored and sent, by the types alone.

use std::future::Future;

use protocol::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::operation::Call;
use crate::service::{Args, Invoked};
use crate::task::{Task, TaskFunction, Work};
use crate::value;

/// A type of values that fields hold: any owned type that has both traits of serde.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored or sent",
    label = "it has not both traits of serde",
    note = "write `#[derive(serde::Serialize, serde::Deserialize)]` before each type of yours in it; types of other \
            crates may have them with their feature `serde`"
)]
pub trait Storable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Storable for T {}

/// The same, of what a signature names. The macros use such a type only through this trait, which has no others above
/// it, so that the compiler tells of it once, where it is written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored or sent",
    label = "it has not both traits of serde",
    note = "write `#[derive(serde::Serialize, serde::Deserialize)]` before each type of yours in it; types of other \
            crates may have them with their feature `serde`"
)]
pub trait Travels: Sized {
    /// A method's or task's next argument.
    fn take(args: &mut Args, name: &str, default: bool) -> Result<Self>;

    /// An argument of a call.
    fn argument(&self, what: &str) -> Result<Value>;

    /// What an entity's key is stored as.
    fn key(&self, what: &str) -> Result<Vec<u8>>;

    /// The result of a method that is no `async fn`.
    fn done(result: Result<Self>) -> Invoked;

    /// A method that is an `async fn`.
    fn future(body: impl Future<Output = Result<Self>> + Send + 'static) -> Invoked;

    /// One try of a task that is no `async fn`.
    fn plain_work(name: &'static str, body: impl FnOnce() -> Result<Self> + Send + 'static) -> Work;

    /// One try of a task that is an `async fn`.
    fn future_work(name: &'static str, body: impl Future<Output = Result<Self>> + Send + 'static) -> Work;

    /// A call whose result is of this type.
    fn call(service: &str, key: Option<Result<Vec<u8>>>, method: &str, args: Vec<Result<Value>>) -> Call<Self> {
        Call::new(service, key, method, args)
    }

    /// A task whose result is of this type.
    fn task<F: TaskFunction>(args: Vec<Result<Value>>) -> Task<Self> {
        Task::of::<F>(args)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Travels for T {
    fn take(args: &mut Args, name: &str, default: bool) -> Result<Self> {
        args.take(name, default)
    }

    fn argument(&self, what: &str) -> Result<Value> {
        value::to_value(self).map_err(|mismatch| value::not_storable(what, &mismatch))
    }

    fn key(&self, what: &str) -> Result<Vec<u8>> {
        value::encode(self).map_err(|mismatch| value::not_storable(what, &mismatch))
    }

    fn done(result: Result<Self>) -> Invoked {
        Invoked::done(result)
    }

    fn future(body: impl Future<Output = Result<Self>> + Send + 'static) -> Invoked {
        Invoked::future(body)
    }

    fn plain_work(name: &'static str, body: impl FnOnce() -> Result<Self> + Send + 'static) -> Work {
        Work::plain(name, body)
    }

    fn future_work(name: &'static str, body: impl Future<Output = Result<Self>> + Send + 'static) -> Work {
        Work::future(name, body)
    }
}
