//! `#[methods]`: how the methods of an `impl` block are called, and what they do.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Expr, ImplItem, ImplItemFn, ItemImpl, Lit, Meta, ReturnType, Signature, Type, Visibility};

use crate::{client, types, uses};

/// `#[methods]`.
pub(crate) fn methods(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(syn::Error::new_spanned(arguments, "#[methods] takes nothing"));
    }
    let item: ItemImpl = syn::parse2(item)?;
    if let Some((_, path, _)) = &item.trait_ {
        return Err(syn::Error::new_spanned(path, "#[methods] stands on the struct's own `impl` block"));
    }
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(&item.generics, "a service has no generics"));
    }
    let Type::Path(path) = &*item.self_ty else {
        return Err(syn::Error::new_spanned(&item.self_ty, "#[methods] stands on the `impl` block of a struct"));
    };
    let Some(name) = path.path.get_ident() else {
        return Err(syn::Error::new_spanned(path, "name the struct without a path"));
    };
    let functions = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function) if function.sig.receiver().is_some() => Some(function),
        _ => None,
    });
    let functions: Vec<_> = functions.collect();
    let is_public = |function: &&&ImplItemFn| matches!(function.vis, Visibility::Public(_));
    let public: Vec<_> = functions.iter().filter(is_public).copied().collect();
    for function in &public {
        check(&function.sig)?;
    }
    let facts = functions.iter().map(|function| facts(function)).collect::<syn::Result<Vec<_>>>()?;
    let arms = public.iter().map(|function| arm(function)).collect::<syn::Result<Vec<_>>>()?;
    let client_name = client::client_name(name);
    let calls = public.iter().map(|function| client::method(&function.vis, &function.sig));
    Ok(quote! {
        #item

        impl ::sostenuto::Service for #name {
            fn methods() -> ::std::vec::Vec<::sostenuto::macros::MethodFacts> {
                ::std::vec![#(#facts),*]
            }

            #[allow(unused_mut, unused_variables)]
            fn dispatch(
                mut self,
                method: &str,
                mut arguments: ::sostenuto::macros::Args,
            ) -> ::core::option::Option<::sostenuto::macros::Invoked> {
                match method {
                    #(#arms)*
                    _ => ::core::option::Option::None,
                }
            }
        }

        impl #client_name {
            #(#calls)*
        }
    })
}

/// What callers could not use.
fn check(signature: &Signature) -> syn::Result<()> {
    let refuse = |what: &dyn quote::ToTokens, text: &str| Err(syn::Error::new_spanned(what, text));
    if signature.ident == "send" {
        return refuse(&signature.ident, "`send` is no name for a callable method: it is a suffix of addresses");
    }
    if signature.ident == "key" || signature.ident == "at" {
        return refuse(&signature.ident, "`key` and `at` are methods of every entity");
    }
    if !signature.generics.params.is_empty() {
        return refuse(&signature.generics, "a callable method has no generics: its arguments come from outside");
    }
    if let Some(unsafety) = &signature.unsafety {
        return refuse(unsafety, "a callable method is not unsafe: anybody can call it");
    }
    let receiver = signature.receiver().filter(|receiver| receiver.reference.is_none());
    if let Some(receiver) = receiver {
        return refuse(receiver, "take `&self` to read the fields, `&mut self` to change them");
    }
    if let ReturnType::Type(_, ty) = &signature.output
        && let Type::Reference(reference) = &**ty
    {
        return refuse(reference, "results travel: return an owned value");
    }
    client::parameters(signature).map(drop)
}

/// The expression of `macros::MethodFacts`.
fn facts(function: &ImplItemFn) -> syn::Result<TokenStream> {
    let signature = &function.sig;
    let public = matches!(function.vis, Visibility::Public(_));
    let parameters = if public { client::parameters(signature)? } else { Vec::new() };
    let names: Vec<_> = parameters.iter().map(|(name, _)| name.to_string()).collect();
    let schemas = parameters.iter().map(|(_, ty)| types::schema(ty));
    let defaults = parameters.iter().map(|(_, ty)| types::is_named(ty, "Option"));
    let uses::Uses { uses, helpers, opaque, sends } = uses::read(&function.block, &names);
    let name = signature.ident.to_string();
    let is_async = signature.asyncness.is_some();
    let mutable = signature.receiver().is_some_and(|receiver| receiver.mutability.is_some());
    let returns = types::schema(&client::returned(signature));
    let doc = first_line(&function.attrs);
    let line = line(&signature.ident);
    let digest = digest(&quote!(#function).to_string());
    Ok(quote! {
        ::sostenuto::macros::MethodFacts {
            name: #name,
            public: #public,
            is_async: #is_async,
            mutable: #mutable,
            parameters: ::std::vec![#((#names, #schemas, #defaults)),*],
            returns: #returns,
            doc: #doc,
            line: #line,
            uses: &[#(#uses),*],
            helpers: &[#(#helpers),*],
            opaque: #opaque,
            sends: #sends,
            digest: #digest,
        }
    })
}

/// The arm of `dispatch` for a method.
fn arm(function: &ImplItemFn) -> syn::Result<TokenStream> {
    let ident = &function.sig.ident;
    let name = ident.to_string();
    let parameters = client::parameters(&function.sig)?;
    let idents: Vec<_> = parameters.iter().map(|(name, _)| name).collect();
    let kinds: Vec<_> = parameters.iter().map(|(_, ty)| ty).collect();
    let texts = idents.iter().map(|name| name.to_string());
    let defaults = kinds.iter().map(|ty| types::is_named(ty, "Option"));
    let awaited = function.sig.asyncness.map(|_| quote!(.await));
    let call = quote!(self.#ident(#(#idents),*) #awaited);
    let is_result = matches!(&function.sig.output, ReturnType::Type(_, ty) if types::is_named(ty, "Result"));
    let result = match is_result {
        true => quote!(::sostenuto::macros::IntoResult::into_result(#call)),
        false => quote!(::sostenuto::Result::Ok(#call)),
    };
    let invoked = match &function.sig.asyncness {
        Some(_) => quote!(::sostenuto::macros::Invoked::future(async move { #result })),
        None => quote!(::sostenuto::macros::Invoked::done(#result)),
    };
    Ok(quote! {
        #name => {
            let taken = (|| {
                #(let #idents: #kinds = arguments.take(#texts, #defaults)?;)*
                arguments.finish()?;
                ::sostenuto::Result::Ok((#(#idents,)*))
            })();
            ::core::option::Option::Some(match taken {
                ::core::result::Result::Ok((#(#idents,)*)) => #invoked,
                ::core::result::Result::Err(error) => {
                    ::sostenuto::macros::Invoked::Done(::core::result::Result::Err(error))
                }
            })
        }
    })
}

/// Line in its file; unknown in tests, which run outside of the compiler.
fn line(ident: &syn::Ident) -> u32 {
    let known = proc_macro::is_available().then(|| ident.span().unwrap().line());
    known.and_then(|line| u32::try_from(line).ok()).unwrap_or_default()
}

fn first_line(attributes: &[Attribute]) -> String {
    let line = attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    line.unwrap_or_default().trim().to_owned()
}

/// FNV-1a: says whether a method's text is the same as in another build.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
