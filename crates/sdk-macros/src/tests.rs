//! Misuse: what is refused, and what is said.

use proc_macro2::TokenStream;
use quote::quote;

use crate::{client, methods, state, task};

fn refused(made: syn::Result<TokenStream>) -> String {
    made.expect_err("this is refused").to_string()
}

fn of_methods(item: TokenStream) -> String {
    refused(methods::methods(TokenStream::new(), item))
}

#[test]
fn services_have_named_fields_and_no_generics() {
    let service = |item| refused(state::service(TokenStream::new(), item));
    assert_eq!(
        service(quote!(
            struct Hotel(Map<String, u32>);
        )),
        "fields are stored by name: give them names"
    );
    assert!(
        service(quote!(
            struct Hotel<T> {
                rooms: Map<String, T>,
            }
        ))
        .contains("no generics")
    );
    assert!(
        refused(state::service(
            quote!(key = String),
            quote!(
                struct Hotel;
            )
        ))
        .contains("#[entity]")
    );
    assert!(
        state::service(
            TokenStream::new(),
            quote!(
                struct Hotel;
            )
        )
        .is_ok()
    );
}

#[test]
fn keys_of_entities_are_plain() {
    let entity = |arguments| {
        state::entity(
            arguments,
            quote!(
                struct Account {
                    balance: Value<i64>,
                }
            ),
        )
    };
    assert!(refused(entity(quote!(key = Vec<u8>))).contains("a String, an integer or a Uuid"));
    assert_eq!(refused(entity(quote!(by = String))), "expected `key = Type`");
    assert!(entity(TokenStream::new()).is_ok());
    assert!(entity(quote!(key = Uuid)).is_ok());
}

#[test]
fn callable_methods_take_and_give_owned_values() {
    assert!(of_methods(quote!(impl Hotel { pub fn book(&mut self, name: &str) {} })).contains("take an owned value"));
    assert!(of_methods(quote!(impl Hotel { pub fn name(&self) -> &str { "" } })).contains("return an owned value"));
    assert!(of_methods(quote!(impl Hotel { pub fn book(self) {} })).contains("take `&self` to read"));
    assert!(of_methods(quote!(impl Hotel { pub fn book<T>(&self, of: T) {} })).contains("no generics"));
    assert!(of_methods(quote!(impl Hotel { pub fn book(&self, of: impl Copy) {} })).contains("types that are known"));
    assert!(of_methods(quote!(impl Hotel { pub fn book(&self, (a, b): (u8, u8)) {} })).contains("a plain name"));
    assert!(of_methods(quote!(impl Hotel { pub unsafe fn book(&self) {} })).contains("not unsafe"));
}

#[test]
fn names_that_mean_something_else_are_refused() {
    assert!(of_methods(quote!(impl Hotel { pub fn send(&self) {} })).contains("suffix of addresses"));
    assert!(of_methods(quote!(impl Hotel { pub fn key(&self) {} })).contains("methods of every entity"));
}

#[test]
fn methods_stand_on_the_own_block_of_a_struct() {
    assert!(of_methods(quote!(impl Clone for Hotel { fn clone(&self) {} })).contains("own `impl` block"));
    assert!(
        of_methods(quote!(
            impl<T> Hotel<T> {}
        ))
        .contains("no generics")
    );
    assert!(of_methods(quote!(impl inns::Hotel {})).contains("without a path"));
    assert!(refused(methods::methods(quote!(fast), quote!(impl Hotel {}))).contains("takes nothing"));
}

#[test]
fn helpers_may_be_anything() {
    let item = quote! {
        impl Hotel {
            fn pick<'a, T>(&self, items: &'a [T]) -> &'a T { &items[0] }
            pub fn new() -> Self { unreachable!() }
        }
    };
    assert!(methods::methods(TokenStream::new(), item).is_ok());
}

#[test]
fn clients_have_no_bodies() {
    let of = |item| client::client(TokenStream::new(), item);
    assert!(
        refused(of(quote!(
            trait Hotel {
                fn book(&self) {}
            }
        )))
        .contains("without bodies")
    );
    assert!(
        refused(of(quote!(
            trait Hotel {
                fn book(&self, name: &str);
            }
        )))
        .contains("take an owned value")
    );
    assert!(
        of(quote!(
            pub trait Hotel {
                async fn book(&self, name: String) -> Result<bool>;
            }
        ))
        .is_ok()
    );
}

#[test]
fn initial_values_are_told_apart_from_other_attributes() {
    let service = |item| state::service(TokenStream::new(), item).map(|made| made.to_string());
    let made = service(quote!(
        struct Shop {
            #[initial(5)]
            #[allow(dead_code)]
            left: Value<u32>,
            sold: Counter,
        }
    ));
    let made = made.expect("this is accepted");
    assert!(made.contains("begin_with (5)") && !made.contains("# [initial"), "{made}");
    assert!(made.contains("# [allow (dead_code)]"), "{made}");
    let twice = service(quote!(
        struct Shop {
            #[initial(5)]
            #[initial(6)]
            left: Value<u32>,
        }
    ));
    assert_eq!(twice.map_err(|error| error.to_string()), Err("`left` has an initial value already".to_owned()));
    let entity = state::entity(
        TokenStream::new(),
        quote!(
            struct Account {
                #[initial([("a", 1)].into())]
                by_day: Map<String, u32>,
            }
        ),
    );
    assert!(refused(entity).contains("the map of an entity begins empty"));
}

#[test]
fn tasks_are_functions_of_a_module() {
    let of = |arguments, item| refused(task::task(arguments, item));
    let plain = |item| of(TokenStream::new(), item);
    assert!(
        plain(quote!(
            fn pay(&self) {}
        ))
        .contains("a task is a function of a module")
    );
    assert!(
        plain(quote!(
            fn pay<T>(of: T) {}
        ))
        .contains("no generics")
    );
    assert!(
        plain(quote!(
            unsafe fn pay() {}
        ))
        .contains("not unsafe")
    );
    assert!(
        plain(quote!(
            fn pay(card: &str) {}
        ))
        .contains("take an owned value")
    );
    assert!(
        plain(quote!(
            fn pay(card: impl Copy) {}
        ))
        .contains("types that are known")
    );
    assert!(
        plain(quote!(
            fn pay() -> &'static str {
                ""
            }
        ))
        .contains("return an owned value")
    );
    assert!(
        plain(quote!(
            fn pay();
        ))
        .contains("with its body")
    );
    assert!(
        plain(quote!(
            struct Pay;
        ))
        .contains("stands on a function")
    );
    assert!(
        task::task(
            quote!(),
            quote!(
                async fn pay(card: String) -> Result<u8> {
                    Ok(1)
                }
            )
        )
        .is_ok()
    );
}

#[test]
fn options_of_tasks_are_checked() {
    let pay = || {
        quote!(
            fn pay() {}
        )
    };
    let of = |arguments| refused(task::task(arguments, pay()));
    assert!(of(quote!(retry = 3)).contains("a task has `retries`, `timeout`, `backoff`, `backoff_max` and `pure`"));
    assert!(of(quote!(retries = 3, retries = 4)).contains("`retries` is there twice"));
    assert!(of(quote!(timeout)).contains("`timeout` needs a value"));
    assert!(of(quote!(timeout = 0)).contains("a time limit is more than 0"));
    assert!(of(quote!(timeout = "5s")).contains("a number of seconds, or a `Duration`"));
    assert!(of(quote!(backoff = 1e300)).contains("at most"));
    let made = |arguments| task::task(arguments, pay()).expect("this is accepted").to_string();
    let all = made(quote!(retries = 3, timeout = 0.5, backoff = LATER, pure));
    assert!(all.contains("retries : 3") && all.contains("from_secs_f64 (0.5f64)"), "{all}");
    assert!(all.contains("backoff : LATER") && all.contains("pure : true"), "{all}");
    assert!(made(quote!(timeout = None)).contains("timeout : :: core :: option :: Option :: None"));
}
