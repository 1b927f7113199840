//! The attributes of the Rust SDK: they turn a struct and its methods into a service, and say what each method does
//! with its fields, as far as its text tells.
//!
//! - [`state`]: `#[service]` and `#[entity]` on a struct. [`methods`](mod@methods): `#[methods]` on its `impl` block.
//! - [`client`](mod@client): `#[client]` on a trait, for services that are written elsewhere.
//! - [`task`](mod@task): `#[task]` on a function with outside effects.
//! - [`uses`] reads method bodies; [`types`] maps types.

mod client;
mod methods;
mod state;
mod task;
mod types;
mod uses;

#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes a struct a service: its fields persist (`Map`, `Value`, `Counter`), or are clients of other services.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(state::service(arguments.into(), item.into()))
}

/// Makes a struct an entity: `#[entity(key = String)]`. There is one state for each key, and its operations run one at
/// a time. `self.key()` is the key; `Account::at("ann")` calls one.
#[proc_macro_attribute]
pub fn entity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(state::entity(arguments.into(), item.into()))
}

/// Makes the `pub` methods of an `impl` block callable; the others are helpers.
#[proc_macro_attribute]
pub fn methods(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(methods::methods(arguments.into(), item.into()))
}

/// Makes a trait a client of a service that is written elsewhere: `#[client] trait Hotel` gives `HotelClient`;
/// `#[client(key = String)]` one of an entity.
#[proc_macro_attribute]
pub fn client(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(client::client(arguments.into(), item.into()))
}

/// Makes a function a task: `#[task(retries = 3, timeout = 10, backoff = 0.5, backoff_max = 60, pure)]`, each of which may
/// be left out. Times are numbers of seconds or `Duration`s; `timeout = None` is no limit. The function may do anything
/// that has an effect outside. A method that awaits it gets its result, which is recorded once; the application has to
/// know it: `.task::<charge>()`.
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(task::task(arguments.into(), item.into()))
}

fn finish(made: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    made.unwrap_or_else(|error| error.into_compile_error()).into()
}
