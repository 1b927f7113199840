//! `#[service]` and `#[entity]`: a struct of persistent fields and clients.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{Field, Fields, Ident, ItemStruct, Token, Type, Visibility};

use crate::{client, types};

/// `#[service]`.
pub(crate) fn service(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(syn::Error::new_spanned(arguments, "#[service] takes nothing; with a key it is an #[entity]"));
    }
    expand(&syn::parse2(item)?, None)
}

/// `#[entity(key = String)]`; without a key's type it is `String`.
pub(crate) fn entity(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let key = key_argument(arguments)?.unwrap_or_else(|| syn::parse_quote!(::std::string::String));
    let known = ["String", "i64", "u64", "i32", "u32", "Uuid"];
    if !known.iter().any(|name| types::is_named(&key, name)) {
        return Err(syn::Error::new_spanned(key, "the key of an entity is a String, an integer or a Uuid"));
    }
    expand(&syn::parse2(item)?, Some(&key))
}

/// The type in `key = Type`, if there is one.
pub(crate) fn key_argument(arguments: TokenStream) -> syn::Result<Option<Type>> {
    if arguments.is_empty() {
        return Ok(None);
    }
    let parser = |input: syn::parse::ParseStream<'_>| {
        let name: syn::Ident = input.parse()?;
        if name != "key" {
            return Err(syn::Error::new(name.span(), "expected `key = Type`"));
        }
        input.parse::<Token![=]>()?;
        input.parse::<Type>()
    };
    parser.parse2(arguments).map(Some)
}

fn expand(item: &ItemStruct, key: Option<&Type>) -> syn::Result<TokenStream> {
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &item.generics,
            "a service has no generics: its state is stored by its name",
        ));
    }
    let none = syn::punctuated::Punctuated::new();
    let fields = match &item.fields {
        Fields::Named(fields) => &fields.named,
        Fields::Unit => &none,
        Fields::Unnamed(fields) => {
            return Err(syn::Error::new_spanned(fields, "fields are stored by name: give them names"));
        }
    };
    let name = &item.ident;
    let public = name.to_string();
    let names: Vec<_> = fields.iter().filter_map(|field| field.ident.as_ref()).collect();
    let texts: Vec<_> = names.iter().map(|name| name.to_string()).collect();
    let kinds: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let indices = 0..u16::try_from(names.len()).unwrap_or(u16::MAX);
    let open = match &item.fields {
        Fields::Unit => quote!(Self),
        Fields::Named(_) | Fields::Unnamed(_) => {
            quote!(Self { #(#names: <#kinds as ::sostenuto::macros::Part>::open(#indices)),* })
        }
    };
    let members = fields.iter().zip(&texts).map(|(field, text)| member(field, text, key.is_some()));
    let members = members.collect::<syn::Result<Vec<_>>>()?;
    let item = without_initial(item);
    let schema = match key.map(types::schema) {
        None => quote!(::core::option::Option::None),
        Some(schema) => quote!(::core::option::Option::Some(#schema)),
    };
    let vis = &item.vis;
    let own_key = key.map(|key| own_key(vis, name, key));
    let client = client::declare(vis, name, key);
    Ok(quote! {
        #item

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
    })
}

/// The expression that describes a member: `#[initial(value)]` says what a field begins with.
fn member(field: &Field, name: &str, of_entity: bool) -> syn::Result<TokenStream> {
    let kind = &field.ty;
    let mut told = field.attrs.iter().filter(|attribute| attribute.path().is_ident("initial"));
    let (initial, second) = (told.next(), told.next());
    if let Some(second) = second {
        return Err(syn::Error::new_spanned(second, format!("`{name}` has an initial value already")));
    }
    let Some(initial) = initial else { return Ok(quote!(<#kind as ::sostenuto::macros::Part>::describe())) };
    if of_entity && types::is_named(kind, "Map") {
        let text = "the map of an entity begins empty: its entries would be made for keys that nobody has used";
        return Err(syn::Error::new_spanned(initial, text));
    }
    let value: syn::Expr = initial.parse_args()?;
    Ok(quote!(<#kind as ::sostenuto::macros::Initial<_>>::begin_with(#value)))
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
