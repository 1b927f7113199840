//! Typed clients: one method for each method of the service, which gives a call that is made when it is awaited.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{FnArg, Ident, ItemTrait, Pat, ReturnType, Signature, TraitItem, Type, Visibility};

use crate::{state, types};

/// `#[client]` on a trait.
pub(crate) fn client(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let key = state::key_argument(arguments)?;
    let item: ItemTrait = syn::parse2(item)?;
    let methods = item.items.iter().map(|item| match item {
        TraitItem::Fn(function) if function.default.is_none() => {
            parameters(&function.sig)?;
            Ok(method(&Visibility::Public(Default::default()), &function.sig))
        }
        other => Err(syn::Error::new_spanned(other, "a client's trait has methods without bodies")),
    });
    let methods = methods.collect::<syn::Result<Vec<_>>>()?;
    let docs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let name = client_name(&item.ident);
    let made = declare(&item.vis, &item.ident, key.as_ref());
    Ok(quote! {
        #(#docs)*
        #made
        impl #name {
            #(#methods)*
        }
    })
}

/// What the client of a service is called.
pub(crate) fn client_name(service: &Ident) -> Ident {
    format_ident!("{service}Client")
}

/// The client's struct, without its methods.
pub(crate) fn declare(vis: &Visibility, service: &Ident, key: Option<&Type>) -> TokenStream {
    let (client, name) = (client_name(service), service.to_string());
    let doc = format!("Calls `{name}`.");
    let made = match key {
        None => of_service(vis, &client, &name),
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

        #made
    }
}

fn of_service(vis: &Visibility, client: &Ident, name: &str) -> TokenStream {
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
                ::sostenuto::macros::Member::Client { service: #name }
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
                Self { key: ::core::option::Option::Some(::sostenuto::macros::key_argument(#what, &key)) }
            }
        }
    }
}

/// The client's method for a method of the service.
pub(crate) fn method(vis: &Visibility, signature: &Signature) -> TokenStream {
    let (ident, name) = (&signature.ident, signature.ident.to_string());
    // The signature was checked before.
    let parameters = parameters(signature).unwrap_or_default();
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
            ::sostenuto::Call::new(Self::SERVICE, self.key.clone(), #name, arguments)
        }
    }
}

/// The stored value of an argument as it was given.
pub(crate) fn taken(name: &Ident, ty: &Type) -> TokenStream {
    let (what, convert) = (format!("argument {name}"), conversion(ty, name));
    quote!(::sostenuto::macros::argument::<#ty>(#what, &#convert))
}

/// Names and types of the parameters behind `self`.
pub(crate) fn parameters(signature: &Signature) -> syn::Result<Vec<(Ident, Type)>> {
    let mut found = Vec::new();
    for argument in &signature.inputs {
        let FnArg::Typed(typed) = argument else { continue };
        let Pat::Ident(pattern) = &*typed.pat else {
            return Err(syn::Error::new_spanned(&typed.pat, "a parameter of a callable method is a plain name"));
        };
        match &*typed.ty {
            Type::Reference(reference) => {
                let text = "arguments are made anew for each call: take an owned value, like `String` for `&str`";
                return Err(syn::Error::new_spanned(reference, text));
            }
            Type::ImplTrait(ty) => {
                return Err(syn::Error::new_spanned(ty, "a callable method's parameters have types that are known"));
            }
            ty => found.push((pattern.ident.clone(), ty.clone())),
        }
    }
    Ok(found)
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
