//! Typed clients: one method for each method of the service, which gives a call that is made when it is awaited.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{FnArg, Ident, ItemTrait, Pat, ReturnType, Signature, TraitItem, Type, Visibility};

use crate::refusals::{self, Refusals};
use crate::{methods, state, types};

/// `#[client]` on a trait.
pub(crate) fn client(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut refusals = Refusals::default();
    let with_key = !arguments.is_empty();
    let key = refusals.take(state::key_argument(arguments)).flatten();
    // A key that is refused is one nevertheless.
    let key = key.or_else(|| with_key.then(|| syn::parse_quote!(::std::string::String)));
    let item: ItemTrait = match syn::parse2(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            return refusals.misplaced(
                &item,
                &error,
                "`#[client]` stands on a `trait` with the methods that are called",
            );
        }
    };
    if !item.generics.params.is_empty() {
        refusals.refuse(&item.generics, "a client has no generics: it names one service");
    }
    if !item.supertraits.is_empty() {
        refusals.refuse(&item.supertraits, "a client's trait has no other traits above it");
    }
    let mut signatures: Vec<&Signature> = Vec::new();
    for stated in &item.items {
        if let Some(signature) = refusals.take(stated_method(stated)) {
            match signatures.iter().any(|other| other.ident == signature.ident) {
                true => refusals.refuse(&signature.ident, format!("`{}` is there twice", signature.ident)),
                false => signatures.push(signature),
            }
        }
    }
    let methods = signatures.iter().map(|signature| method(&Visibility::Public(Default::default()), signature));
    let docs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let name = client_name(&item.ident);
    let made = declare(&item.vis, &item.ident, key.as_ref(), &stated(&item.ident, key.as_ref(), &signatures));
    quote! {
        #refusals
        #(#docs)*
        #made
        impl #name {
            #(#methods)*
        }
    }
}

/// The expression of an `Option<macros::Stated>`.
fn stated(name: &Ident, key: Option<&Type>, signatures: &[&Signature]) -> TokenStream {
    let methods = signatures.iter().map(|signature| {
        let (name, line) = (signature.ident.to_string(), methods::line(&signature.ident));
        let parameters = parameters(signature);
        let names = parameters.iter().map(|(name, _)| name.to_string());
        let schemas = parameters.iter().map(|(_, ty)| types::schema(ty));
        let returns = types::schema(&returned(signature));
        quote! {
            ::sostenuto::macros::MethodFacts {
                name: #name,
                parameters: ::std::vec![#((#names, #schemas, false)),*],
                returns: #returns,
                line: #line,
                ..::core::default::Default::default()
            }
        }
    });
    let (name, key) = (name.to_string(), state::key_schema(key));
    quote! {
        ::core::option::Option::Some(::sostenuto::macros::Stated::new(
            #name,
            ::core::file!(),
            #key,
            ::std::vec![#(#methods),*],
        ))
    }
}

/// A method as it can be called.
fn stated_method(item: &TraitItem) -> syn::Result<&Signature> {
    let TraitItem::Fn(function) = item else {
        return Err(syn::Error::new_spanned(item, "a client's trait has methods and nothing else"));
    };
    if let Some(body) = &function.default {
        let text = "a client's trait has methods without bodies: what they do is written elsewhere";
        return Err(syn::Error::new_spanned(body, text));
    }
    let signature = &function.sig;
    if ["new", "at", "send"].iter().any(|name| signature.ident == name) {
        let text = "`new`, `at` and `send` are of every client: rename the method where it is written";
        return Err(syn::Error::new_spanned(&signature.ident, text));
    }
    match signature.receiver() {
        None => Err(syn::Error::new_spanned(signature, "a client calls methods: write `&self` first")),
        Some(receiver) if receiver.reference.is_none() || receiver.colon_token.is_some() => {
            Err(syn::Error::new_spanned(receiver, "a client stays when it has called: take `&self`"))
        }
        Some(_) => travels(signature, "a callable method").map(|()| signature),
    }
}

/// What the client of a service is called.
pub(crate) fn client_name(service: &Ident) -> Ident {
    format_ident!("{}Client", service)
}

/// The client's struct, without its methods. `stated` is what a trait says of them, if there is one.
pub(crate) fn declare(vis: &Visibility, service: &Ident, key: Option<&Type>, stated: &TokenStream) -> TokenStream {
    let (client, name) = (client_name(service), service.to_string());
    let doc = format!("Calls `{name}`.");
    let made = match key {
        None => of_service(vis, &client),
        Some(key) => of_entity(vis, &client, &name, key),
    };
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        #vis struct #client {
            key: ::core::option::Option<::sostenuto::Result<::std::vec::Vec<u8>>>,
        }

        impl #client {
            const SERVICE: &'static str = #name;
        }

        impl ::sostenuto::macros::Client for #client {
            const SERVICE: &'static str = #name;

            fn stated() -> ::core::option::Option<::sostenuto::macros::Stated> {
                #stated
            }
        }

        #made
    }
}

fn of_service(vis: &Visibility, client: &Ident) -> TokenStream {
    quote! {
        impl #client {
            /// A client.
            #[allow(dead_code)]
            #vis fn new() -> Self {
                Self { key: ::core::option::Option::None }
            }
        }

        impl ::core::default::Default for #client {
            fn default() -> Self {
                Self::new()
            }
        }

        impl ::sostenuto::macros::Part for #client {
            fn describe() -> ::sostenuto::macros::Member {
                ::sostenuto::macros::Member::Client {
                    service: Self::SERVICE,
                    stated: <Self as ::sostenuto::macros::Client>::stated(),
                }
            }

            fn open(_: u16) -> Self {
                Self::new()
            }
        }
    }
}

fn of_entity(vis: &Visibility, client: &Ident, name: &str, key: &Type) -> TokenStream {
    let argument = parameter_type(key);
    let convert = conversion(key, &format_ident!("key"));
    let what = format!("the key of {name}");
    quote! {
        impl #client {
            /// A client of the entity with this key.
            #[allow(dead_code)]
            #vis fn at(key: #argument) -> Self {
                let key: #key = #convert;
                Self { key: ::core::option::Option::Some(<#key as ::sostenuto::macros::Travels>::key(&key, #what)) }
            }
        }

        impl ::sostenuto::macros::EntityClient for #client {
            type Key = #key;

            fn with_key(key: #key) -> Self {
                Self::at(key)
            }
        }
    }
}

/// The client's method for a method of the service, whose signature was checked before.
pub(crate) fn method(vis: &Visibility, signature: &Signature) -> TokenStream {
    let (ident, name) = (&signature.ident, signature.ident.to_string());
    let parameters = parameters(signature);
    let declared = parameters.iter().map(|(name, ty)| {
        let ty = parameter_type(ty);
        quote!(#name: #ty)
    });
    let taken = parameters.iter().map(|(name, ty)| taken(name, ty));
    let returns = returned(signature);
    let doc = format!("Calls `{name}`, when it is awaited.");
    quote! {
        #[doc = #doc]
        #[allow(dead_code)]
        #vis fn #ident(&self, #(#declared),*) -> ::sostenuto::Call<#returns> {
            let arguments = ::std::vec![#(#taken),*];
            <#returns as ::sostenuto::macros::Travels>::call(Self::SERVICE, self.key.clone(), #name, arguments)
        }
    }
}

/// The stored value of an argument as it was given.
pub(crate) fn taken(name: &Ident, ty: &Type) -> TokenStream {
    let (what, convert) = (format!("argument {name}"), conversion(ty, name));
    quote!(<#ty as ::sostenuto::macros::Travels>::argument(&#convert, #what))
}

/// A statement that takes the next argument.
pub(crate) fn take(arguments: &Ident, parameter: &Ident, ty: &Type) -> TokenStream {
    let (text, default) = (parameter.to_string(), types::is_named(ty, "Option"));
    quote!(let #parameter: #ty = <#ty as ::sostenuto::macros::Travels>::take(&mut #arguments, #text, #default)?;)
}

/// What comes of a body, as a `Result` of the SDK.
pub(crate) fn result(signature: &Signature, body: &TokenStream) -> TokenStream {
    match &signature.output {
        ReturnType::Type(_, ty) if types::is_named(ty, "Result") => {
            quote!(<#ty as ::sostenuto::macros::IntoResult<_>>::into_result(#body))
        }
        ReturnType::Type(..) | ReturnType::Default => quote!(::sostenuto::Result::Ok(#body)),
    }
}

/// Whether arguments and results can be sent, as far as the text tells. `what` is what has the signature.
pub(crate) fn travels(signature: &Signature, what: &str) -> syn::Result<()> {
    let refuse = |what: &dyn quote::ToTokens, text: &str| Err(syn::Error::new_spanned(what, text));
    if !signature.generics.params.is_empty() {
        return refuse(&signature.generics, &format!("{what} has no generics: its arguments come from outside"));
    }
    if let Some(unsafety) = &signature.unsafety {
        return refuse(unsafety, &format!("{what} is not unsafe: anybody can ask for it"));
    }
    for argument in &signature.inputs {
        let FnArg::Typed(typed) = argument else { continue };
        if !matches!(&*typed.pat, Pat::Ident(_)) {
            return refuse(&typed.pat, &format!("a parameter of {what} is a plain name: callers may give it by name"));
        }
        match refusals::not_owned(&typed.ty) {
            Some(ty @ Type::Reference(_)) => {
                return refuse(
                    ty,
                    "arguments are made anew for each call: take an owned value, like `String` for `&str`",
                );
            }
            Some(ty) => return refuse(ty, &format!("{what} takes types that are known, like `String`")),
            None => refusals::check_keys(&typed.ty)?,
        }
    }
    let ReturnType::Type(_, ty) = &signature.output else { return Ok(()) };
    match refusals::not_owned(ty) {
        Some(ty @ Type::Reference(_)) => refuse(ty, "results travel: return an owned value, like `String` for `&str`"),
        Some(ty) => refuse(ty, &format!("{what} returns a type that is known, like `Vec<u32>` for an iterator")),
        None => refusals::check_keys(ty),
    }
}

/// Names and types of the parameters behind `self`.
pub(crate) fn parameters(signature: &Signature) -> Vec<(Ident, Type)> {
    let typed = signature.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let named = typed.filter_map(|typed| match &*typed.pat {
        Pat::Ident(pattern) => Some((pattern.ident.clone(), (*typed.ty).clone())),
        _ => None,
    });
    named.collect()
}

/// What a call gives, without the `Result` around it.
pub(crate) fn returned(signature: &Signature) -> Type {
    match &signature.output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, ty) => types::result_of(ty).unwrap_or_else(|| (**ty).clone()),
    }
}

/// Texts are taken in any form.
pub(crate) fn parameter_type(ty: &Type) -> TokenStream {
    if types::is_named(ty, "String") { quote!(impl ::core::convert::Into<::std::string::String>) } else { quote!(#ty) }
}

fn conversion(ty: &Type, name: &Ident) -> TokenStream {
    if types::is_named(ty, "String") { quote!(::core::convert::Into::into(#name)) } else { quote!(#name) }
}
