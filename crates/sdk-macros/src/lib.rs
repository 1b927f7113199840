//! The attributes of the Rust SDK: they turn a struct and its methods into a service, and say what each method does
//! with its fields, as far as its text tells.
//!
//! - [`state`]: `#[service]` and `#[entity]` on a struct. [`methods`](mod@methods): `#[methods]` on its `impl` block.
//! - [`client`](mod@client): `#[client]` on a trait, for services that are written elsewhere.
//! - [`task`](mod@task): `#[task]` on a function with outside effects.
//! - [`refusals`]: what is told of a text that is no service. [`uses`] reads method bodies; [`types`] maps types.

mod client;
mod methods;
mod refusals;
mod state;
mod task;
mod types;
mod uses;

#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes a struct a service: its fields persist (`Map`, `List`, `Value`, `Counter`), or are clients of other services
/// (`HotelClient`) and of entities (`Entities<AccountClient>`).
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    state::service(arguments.into(), item.into()).into()
}

/// Makes a struct an entity: `#[entity(key = String)]`. There is one state for each key, and its operations run one at
/// a time. `self.key()` is the key; `Account::at("ann")` calls one.
#[proc_macro_attribute]
pub fn entity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    state::entity(arguments.into(), item.into()).into()
}

/// Makes the `pub` methods of an `impl` block callable; the others are helpers.
#[proc_macro_attribute]
pub fn methods(arguments: TokenStream, item: TokenStream) -> TokenStream {
    methods::methods(arguments.into(), item.into()).into()
}

/// Makes a trait a client of a service that is written elsewhere: `#[client] trait Hotel` gives `HotelClient`;
/// `#[client(key = String)]` one of an entity. What it states is compared with the service before anything is served, if
/// the client is a member of a service, or if the application is told: `.client::<HotelClient>()`.
#[proc_macro_attribute]
pub fn client(arguments: TokenStream, item: TokenStream) -> TokenStream {
    client::client(arguments.into(), item.into()).into()
}

/// Makes a function a task: `#[task(retries = 3, timeout = 10, backoff = 0.5, backoff_max = 60, pure)]`, each of which may
/// be left out. Times are numbers of seconds or `Duration`s; `timeout = None` is no limit. The function may do anything
/// that has an effect outside. A method that awaits it gets its result, which is recorded once; the application has to
/// know it: `.task::<charge>()`.
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    task::task(arguments.into(), item.into()).into()
}
