//! `#[methods]`: how the methods of an `impl` block are called, and what they do.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Expr, ImplItem, ImplItemFn, ItemImpl, Lit, Meta, Signature, Type, Visibility};

use crate::refusals::Refusals;
use crate::{client, types, uses};

/// `#[methods]`.
pub(crate) fn methods(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut refusals = Refusals::default();
    if !arguments.is_empty() {
        refusals.refuse(&arguments, "`#[methods]` takes nothing: `&self` methods read, `&mut self` methods may write");
    }
    match syn::parse2(item.clone()) {
        Ok(parsed) => expand(parsed, refusals),
        Err(error) => {
            refusals.misplaced(&item, &error, "`#[methods]` stands on the `impl` block of a service's struct")
        }
    }
}

fn expand(mut item: ItemImpl, mut refusals: Refusals) -> TokenStream {
    let Some(name) = refusals.take(own_name(&item)) else { return quote!(#item #refusals) };
    let own = item.items.iter_mut().filter_map(|item| match item {
        ImplItem::Fn(function) if function.sig.receiver().is_some() => Some(function),
        _ => None,
    });
    for function in own {
        make_async(function, &mut refusals);
    }
    let functions = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function) if function.sig.receiver().is_some() => Some(function),
        _ => None,
    });
    let functions: Vec<_> = functions.collect();
    let mut public: Vec<&ImplItemFn> = Vec::new();
    for function in functions.iter().filter(|function| is_public(function)) {
        let is_checked = refusals.take(check(&function.sig)).is_some();
        // The compiler tells of a second one.
        if is_checked && public.iter().all(|other| other.sig.ident != function.sig.ident) {
            public.push(function);
        }
    }
    let helpers = functions.iter().filter(|function| !is_public(function)).copied();
    let facts: Vec<_> = public.iter().copied().chain(helpers).map(facts).collect();
    let arms = public.iter().map(|function| arm(function));
    let arguments = Ident::new("arguments", Span::mixed_site());
    let client_name = client::client_name(&name);
    let calls = public.iter().map(|function| client::method(&function.vis, &function.sig));
    quote! {
        #item

        #refusals

        impl ::sostenuto::Service for #name {
            fn methods() -> ::std::vec::Vec<::sostenuto::macros::MethodFacts> {
                ::std::vec![#(#facts),*]
            }

            #[allow(unused_mut, unused_variables)]
            fn dispatch(
                mut self,
                method: &str,
                mut #arguments: ::sostenuto::macros::Args,
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
    }
}

/// The name of the struct whose methods these are.
fn own_name(item: &ItemImpl) -> syn::Result<Ident> {
    if let Some((_, path, _)) = &item.trait_ {
        let text =
            "`#[methods]` stands on the struct's own `impl` block: methods of a trait cannot be called from outside";
        return Err(syn::Error::new_spanned(path, text));
    }
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &item.generics,
            "a service has no generics: its state is stored by its name",
        ));
    }
    let Type::Path(path) = &*item.self_ty else {
        return Err(syn::Error::new_spanned(
            &item.self_ty,
            "`#[methods]` stands on the `impl` block of a service's struct",
        ));
    };
    let name = path.path.get_ident().cloned();
    name.ok_or_else(|| syn::Error::new_spanned(path, "name the struct without a path, in the module that has it"))
}

fn is_public(function: &ImplItemFn) -> bool {
    matches!(function.vis, Visibility::Public(_))
}

/// A method that waits is an `async fn`: one that is not is told, and read as if it were.
fn make_async(function: &mut ImplItemFn, refusals: &mut Refusals) {
    if function.sig.asyncness.is_none()
        && let Some(waits) = uses::first_wait(&function.block)
    {
        let name = &function.sig.ident;
        refusals.refuse(&waits, format!("`{name}` waits here, so it has to be an `async fn`"));
        function.sig.asyncness = Some(Default::default());
    }
}

/// What callers could not use.
fn check(signature: &Signature) -> syn::Result<()> {
    let refuse = |what: &dyn quote::ToTokens, text: &str| Err(syn::Error::new_spanned(what, text));
    if signature.ident == "send" {
        return refuse(&signature.ident, "`send` is no name for a callable method: it is a suffix of addresses");
    }
    if signature.ident == "key" || signature.ident == "at" {
        return refuse(&signature.ident, "`key` and `at` are methods of every entity: take another name");
    }
    let receiver =
        signature.receiver().filter(|receiver| receiver.reference.is_none() || receiver.colon_token.is_some());
    if let Some(receiver) = receiver {
        return refuse(receiver, "take `&self` to read the fields, `&mut self` to change them");
    }
    client::travels(signature, "a callable method")
}

/// The expression of `macros::MethodFacts`.
fn facts(function: &ImplItemFn) -> TokenStream {
    let signature = &function.sig;
    let public = is_public(function);
    let parameters = if public { client::parameters(signature) } else { Vec::new() };
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
    quote! {
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
    }
}

/// The arm of `dispatch` for a method.
fn arm(function: &ImplItemFn) -> TokenStream {
    let ident = &function.sig.ident;
    let name = ident.to_string();
    let parameters = client::parameters(&function.sig);
    let idents = parameters.iter().map(|(name, _)| name);
    // A parameter may have the same name.
    let arguments = Ident::new("arguments", Span::mixed_site());
    let takes = parameters.iter().map(|(parameter, ty)| client::take(&arguments, parameter, ty));
    let awaited = function.sig.asyncness.map(|_| quote!(.await));
    let result = client::result(&function.sig, &quote!(self.#ident(#(#idents),*) #awaited));
    let returned = client::returned(&function.sig);
    // What is wrong with the future is told where the method is.
    let invoked = match &function.sig.asyncness {
        Some(_) => {
            quote_spanned!(ident.span()=> <#returned as ::sostenuto::macros::Travels>::future(async move { #result }))
        }
        None => quote!(<#returned as ::sostenuto::macros::Travels>::done(#result)),
    };
    let idents: Vec<_> = parameters.iter().map(|(name, _)| name).collect();
    quote! {
        #name => {
            let taken = (|| {
                #(#takes)*
                #arguments.finish()?;
                ::sostenuto::Result::Ok((#(#idents,)*))
            })();
            ::core::option::Option::Some(match taken {
                ::core::result::Result::Ok((#(#idents,)*)) => #invoked,
                ::core::result::Result::Err(error) => {
                    ::sostenuto::macros::Invoked::Done(::core::result::Result::Err(error))
                }
            })
        }
    }
}

/// Line in its file; unknown in tests, which run outside of the compiler.
pub(crate) fn line(ident: &syn::Ident) -> u32 {
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
