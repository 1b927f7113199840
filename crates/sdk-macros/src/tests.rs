//! What is accepted, and what is made of it. What is refused, and what is told then, stands in the SDK's `spec/`, where
//! the compiler runs the macros.

use proc_macro2::TokenStream;
use quote::quote;

use crate::{client, methods, state, task};

/// What is made of a text that is accepted.
fn accepted(made: TokenStream) -> String {
    let made = made.to_string();
    assert!(!made.contains("compile_error"), "{made}");
    made
}

#[test]
fn services_without_fields_and_entities_with_and_without_a_key_are_accepted() {
    let hotel = || {
        quote!(
            struct Hotel;
        )
    };
    accepted(state::service(TokenStream::new(), hotel()));
    assert!(accepted(state::entity(TokenStream::new(), hotel())).contains("Type :: Str"));
    assert!(accepted(state::entity(quote!(key = Uuid), hotel())).contains("Type :: Uuid"));
}

#[test]
fn helpers_may_be_anything() {
    let item = quote! {
        impl Hotel {
            fn pick<'a, T>(&self, items: &'a [T]) -> &'a T { &items[0] }
            pub fn new() -> Self { unreachable!() }
        }
    };
    accepted(methods::methods(TokenStream::new(), item));
}

#[test]
fn a_refused_method_leaves_the_others() {
    let item = quote! {
        impl Hotel {
            pub fn left(&self, name: &str) -> u32 { 1 }
            pub fn take(&mut self) -> u32 { 1 }
        }
    };
    let made = methods::methods(TokenStream::new(), item).to_string();
    assert!(made.contains("compile_error"), "{made}");
    assert!(made.contains("\"take\" =>") && !made.contains("\"left\" =>"), "{made}");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let mut refusals = crate::refusals::Refusals::default();
    refusals.refuse(&quote!(one), "one");
    refusals.refuse(&quote!(two), "two");
    assert_eq!(refusals.texts(), ["one", "two"]);
}

#[test]
fn clients_have_methods_of_any_colour() {
    let item = quote!(
        pub trait Hotel {
            async fn book(&self, name: String) -> Result<bool>;
            fn left(&self) -> u32;
        }
    );
    let made = accepted(client::client(TokenStream::new(), item));
    assert!(made.contains("Call < bool >") && made.contains("Call < u32 >"), "{made}");
}

#[test]
fn initial_values_are_told_apart_from_other_attributes() {
    let made = accepted(state::service(
        TokenStream::new(),
        quote!(
            struct Shop {
                #[initial(5)]
                #[allow(dead_code)]
                left: Value<u32>,
                sold: Counter,
            }
        ),
    ));
    assert!(made.contains("begin_with (5)") && !made.contains("# [initial"), "{made}");
    assert!(made.contains("# [allow (dead_code)]"), "{made}");
}

#[test]
fn options_of_tasks_become_a_policy() {
    let made = |arguments| {
        accepted(task::task(
            arguments,
            quote!(
                fn pay() {}
            ),
        ))
    };
    let all = made(quote!(retries = 3, timeout = 0.5, backoff = LATER, pure));
    assert!(all.contains("retries : 3") && all.contains("from_secs_f64 (0.5f64)"), "{all}");
    assert!(all.contains("backoff : LATER") && all.contains("pure : true"), "{all}");
    assert!(made(quote!(timeout = None)).contains("timeout : :: core :: option :: Option :: None"));
}
