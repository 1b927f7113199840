//! `#[service]` and `#[entity]`: a struct of persistent fields and clients.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{Field, Fields, Ident, ItemStruct, Token, Type, Visibility};

use crate::refusals::{self, Refusals};
use crate::{client, types};

/// `#[service]`.
pub(crate) fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut refusals = Refusals::default();
    if !arguments.is_empty() {
        let text = "`#[service]` takes nothing; what has a key is an entity: `#[entity(key = String)]`";
        refusals.refuse(&arguments, text);
    }
    state(item, None, refusals)
}

/// `#[entity(key = String)]`; without a key's type it is `String`.
pub(crate) fn entity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut refusals = Refusals::default();
    let key = refusals.take(key_argument(arguments)).flatten();
    state(item, Some(key.unwrap_or_else(|| syn::parse_quote!(::std::string::String))), refusals)
}

/// The type in `key = Type`, if there is one.
pub(crate) fn key_argument(arguments: TokenStream) -> syn::Result<Option<Type>> {
    if arguments.is_empty() {
        return Ok(None);
    }
    let parser = |input: syn::parse::ParseStream<'_>| {
        let name: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok((name, input.parse::<Type>()?))
    };
    let ty = match parser.parse2(arguments.clone()) {
        Ok((name, ty)) if name == "key" => ty,
        Ok(_) | Err(_) => {
            let text = "an entity has a key and nothing else: `key = String`";
            return Err(syn::Error::new_spanned(arguments, text));
        }
    };
    let known = ["String", "i64", "u64", "i32", "u32", "Uuid"];
    match known.iter().any(|name| types::is_named(&ty, name)) {
        true => Ok(Some(ty)),
        false => Err(syn::Error::new_spanned(ty, "the key of an entity is a String, an integer or a Uuid")),
    }
}

fn state(item: TokenStream, key: Option<Type>, refusals: Refusals) -> TokenStream {
    match syn::parse2(item.clone()) {
        Ok(parsed) => expand(&parsed, key.as_ref(), refusals),
        Err(error) => refusals.misplaced(
            &item,
            &error,
            "a service is a `struct`: its fields are what persists, its methods stand in its `impl`",
        ),
    }
}

fn expand(item: &ItemStruct, key: Option<&Type>, mut refusals: Refusals) -> TokenStream {
    if !item.generics.params.is_empty() {
        refusals.refuse(&item.generics, "a service has no generics: its state is stored by its name");
        let item = without_initial(item);
        return quote!(#item #refusals);
    }
    let none = syn::punctuated::Punctuated::new();
    let fields = match &item.fields {
        Fields::Named(fields) => &fields.named,
        Fields::Unit => &none,
        Fields::Unnamed(fields) => {
            refusals.refuse(fields, "fields are stored by name: give them names, like `{ rooms: Map<String, u32> }`");
            &none
        }
    };
    let name = &item.ident;
    let public = name.to_string();
    let names: Vec<_> = fields.iter().filter_map(|field| field.ident.as_ref()).collect();
    let texts: Vec<_> = names.iter().map(|name| name.to_string()).collect();
    let kinds: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let indices = 0..u16::try_from(names.len()).unwrap_or(u16::MAX);
    let is_twice = |(index, text): (usize, &String)| texts.iter().take(index).any(|other| other == text);
    let open = match &item.fields {
        Fields::Unit => quote!(Self),
        // The compiler tells what is wrong with the struct.
        Fields::Named(_) if texts.iter().enumerate().any(is_twice) => quote!(::core::unreachable!()),
        Fields::Named(_) => quote!(Self { #(#names: <#kinds as ::sostenuto::macros::Part>::open(#indices)),* }),
        Fields::Unnamed(_) => quote!(::core::unreachable!()),
    };
    let members: Vec<_> =
        fields.iter().zip(&texts).map(|(field, text)| member(field, text, key.is_some(), &mut refusals)).collect();
    let item = without_initial(item);
    let schema = key_schema(key);
    let vis = &item.vis;
    let own_key = key.map(|key| own_key(vis, name, key));
    let client = client::declare(vis, name, key, &quote!(::core::option::Option::None));
    quote! {
        #item

        #refusals

        impl ::sostenuto::State for #name {
            const NAME: &'static str = #public;

            fn entity_key() -> ::core::option::Option<::sostenuto::macros::Type> {
                #schema
            }

            fn members() -> ::std::vec::Vec<(&'static str, ::sostenuto::macros::Member)> {
                ::std::vec![#((#texts, #members)),*]
            }

            fn open() -> Self {
                #open
            }
        }

        #own_key
        #client
    }
}

/// The expression of an entity's key type, or of its absence.
pub(crate) fn key_schema(key: Option<&Type>) -> TokenStream {
    match key.map(types::schema) {
        None => quote!(::core::option::Option::None),
        Some(schema) => quote!(::core::option::Option::Some(#schema)),
    }
}

/// The expression that describes a member: `#[initial(value)]` says what a field begins with.
fn member(field: &Field, name: &str, of_entity: bool, refusals: &mut Refusals) -> TokenStream {
    let kind = &field.ty;
    refusals.take(refusals::check_keys(kind));
    let mut told = field.attrs.iter().filter(|attribute| attribute.path().is_ident("initial"));
    let (initial, second) = (told.next(), told.next());
    if let Some(second) = second {
        refusals.refuse(second, format!("`{name}` has an initial value already"));
    }
    let value = initial.and_then(|initial| {
        if of_entity && types::is_named(kind, "Map") {
            let text = "the map of an entity begins empty: its entries would be made for keys that nobody has used";
            refusals.refuse(initial, text);
            return None;
        }
        let value = initial.parse_args::<syn::Expr>();
        refusals
            .take(value.map_err(|_| syn::Error::new_spanned(initial, "a field begins with a value: `#[initial(5)]`")))
    });
    match value {
        Some(value) => quote!(<#kind as ::sostenuto::macros::Initial<_>>::begin_with(#value)),
        None => quote!(<#kind as ::sostenuto::macros::Part>::describe()),
    }
}

fn without_initial(item: &ItemStruct) -> ItemStruct {
    let mut item = item.clone();
    for field in &mut item.fields {
        field.attrs.retain(|attribute| !attribute.path().is_ident("initial"));
    }
    item
}

/// What an entity knows of its key, and how one is called.
fn own_key(vis: &Visibility, name: &Ident, key: &Type) -> TokenStream {
    let client = client::client_name(name);
    quote! {
        impl #name {
            /// The key of this entity.
            #[allow(dead_code)]
            #vis fn key(&self) -> #key {
                ::sostenuto::macros::entity_key()
            }

            /// A client of the entity with this key.
            #[allow(dead_code)]
            #vis fn at(key: impl ::core::convert::Into<#key>) -> #client {
                #client::at(::core::convert::Into::<#key>::into(key))
            }
        }
    }
}
