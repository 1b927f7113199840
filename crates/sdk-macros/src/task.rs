//! `#[task]`: a function with outside effects, as what methods await and as what a thread of the server runs.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, ItemFn, Lit, ReturnType, Signature, Token, Type};

use crate::{client, types};

/// `#[task(retries = …, timeout = …, backoff = …, backoff_max = …, pure)]`.
pub(crate) fn task(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let policy = policy(arguments)?;
    let item: ItemFn = syn::parse2(item)
        .map_err(|error| syn::Error::new(error.span(), "#[task] stands on a function of a module, with its body"))?;
    check(&item.sig)?;
    let function = function(&item)?;
    let (vis, ident) = (&item.vis, &item.sig.ident);
    let name = ident.to_string();
    let work = work(&item)?;
    let is_async = item.sig.asyncness.is_some();
    let doc = format!("Names the task [`{name}()`], to register it.");
    Ok(quote! {
        #function

        #[doc = #doc]
        #[allow(non_camel_case_types)]
        #vis enum #ident {}

        impl ::sostenuto::macros::TaskFunction for #ident {
            const NAME: &'static str = ::core::concat!(::core::module_path!(), ".", #name);
            const IS_ASYNC: bool = #is_async;

            fn policy() -> ::sostenuto::macros::Policy {
                #policy
            }

            #work
        }
    })
}

/// What could not be asked for from afar.
fn check(signature: &Signature) -> syn::Result<()> {
    let refuse = |what: &dyn quote::ToTokens, text: &str| Err(syn::Error::new_spanned(what, text));
    if let Some(receiver) = signature.receiver() {
        return refuse(receiver, "a task is a function of a module: it runs apart from all services, without `self`");
    }
    if !signature.generics.params.is_empty() {
        return refuse(&signature.generics, "a task has no generics: it is found by its name after a restart");
    }
    if let Some(unsafety) = &signature.unsafety {
        return refuse(unsafety, "a task is not unsafe: any method can ask for it");
    }
    if let ReturnType::Type(_, ty) = &signature.output
        && let Type::Reference(reference) = &**ty
    {
        return refuse(reference, "results travel: return an owned value");
    }
    client::parameters(signature).map(drop)
}

/// The function as methods see it.
fn function(item: &ItemFn) -> syn::Result<TokenStream> {
    let (vis, ident) = (&item.vis, &item.sig.ident);
    let docs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let parameters = client::parameters(&item.sig)?;
    let declared = parameters.iter().map(|(name, ty)| {
        let ty = client::parameter_type(ty);
        quote!(#name: #ty)
    });
    let taken = parameters.iter().map(|(name, ty)| client::taken(name, ty));
    let returns = client::returned(&item.sig);
    Ok(quote! {
        #(#docs)*
        #vis fn #ident(#(#declared),*) -> ::sostenuto::Task<#returns> {
            let arguments = ::std::vec![#(#taken),*];
            ::sostenuto::Task::of::<#ident>(arguments)
        }
    })
}

/// `TaskFunction::begin`, with the function itself in it.
fn work(item: &ItemFn) -> syn::Result<TokenStream> {
    let mut own = item.clone();
    own.attrs.retain(|attribute| !attribute.path().is_ident("doc"));
    own.vis = syn::Visibility::Inherited;
    let ident = &own.sig.ident;
    let name = ident.to_string();
    let parameters = client::parameters(&own.sig)?;
    let takes = parameters.iter().map(|(parameter, ty)| {
        let (text, default) = (parameter.to_string(), types::is_named(ty, "Option"));
        quote!(let #parameter: #ty = arguments.take(#text, #default)?;)
    });
    let idents = parameters.iter().map(|(parameter, _)| parameter);
    let awaited = own.sig.asyncness.map(|_| quote!(.await));
    let call = quote!(#ident(#(#idents),*) #awaited);
    let is_result = matches!(&own.sig.output, ReturnType::Type(_, ty) if types::is_named(ty, "Result"));
    let result = match is_result {
        true => quote!(::sostenuto::macros::IntoResult::into_result(#call)),
        false => quote!(::sostenuto::Result::Ok(#call)),
    };
    let made = match &own.sig.asyncness {
        Some(_) => quote!(future(#name, async move { #result })),
        None => quote!(plain(#name, move || #result)),
    };
    Ok(quote! {
        #[allow(unused_mut)]
        fn begin(mut arguments: ::sostenuto::macros::Args) -> ::sostenuto::Result<::sostenuto::macros::Work> {
            #own

            #(#takes)*
            arguments.finish()?;
            ::core::result::Result::Ok(::sostenuto::macros::Work::#made)
        }
    })
}

/// An option: `name = value`, or `name`.
struct Setting {
    name: Ident,
    value: Option<Expr>,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.parse()?;
        let value = if input.parse::<Option<Token![=]>>()?.is_some() { Some(input.parse()?) } else { None };
        Ok(Self { name, value })
    }
}

/// The expression of `macros::Policy`.
fn policy(arguments: TokenStream) -> syn::Result<TokenStream> {
    let settings = syn::parse::Parser::parse2(Punctuated::<Setting, Token![,]>::parse_terminated, arguments)?;
    let mut fields = Vec::new();
    let mut seen: Vec<&Ident> = Vec::new();
    for Setting { name, value } in &settings {
        if seen.contains(&name) {
            return Err(syn::Error::new_spanned(name, format!("`{name}` is there twice")));
        }
        seen.push(name);
        let value = match (name.to_string().as_str(), value) {
            ("pure", None) => quote!(true),
            ("pure", Some(value)) => quote!(#value),
            ("retries", Some(value)) => quote!(#value),
            ("timeout", Some(value)) => limit(value)?,
            ("backoff" | "backoff_max", Some(value)) => duration(value)?,
            ("retries" | "timeout" | "backoff" | "backoff_max", None) => {
                return Err(syn::Error::new_spanned(name, format!("`{name}` needs a value: `{name} = …`")));
            }
            _ => {
                let text = "a task has `retries`, `timeout`, `backoff`, `backoff_max` and `pure`";
                return Err(syn::Error::new_spanned(name, text));
            }
        };
        fields.push(quote!(#name: #value));
    }
    Ok(quote!(::sostenuto::macros::Policy { #(#fields,)* ..::core::default::Default::default() }))
}

/// A time limit, or `None`.
fn limit(value: &Expr) -> syn::Result<TokenStream> {
    if matches!(value, Expr::Path(path) if path.path.is_ident("None")) {
        return Ok(quote!(::core::option::Option::None));
    }
    if seconds(value)? == Some(0.0) {
        return Err(syn::Error::new_spanned(value, "a time limit is more than 0; without one it is `None`"));
    }
    let time = duration(value)?;
    Ok(quote!(::core::option::Option::Some(#time)))
}

fn duration(value: &Expr) -> syn::Result<TokenStream> {
    Ok(match seconds(value)? {
        Some(seconds) => quote!(::core::time::Duration::from_secs_f64(#seconds)),
        None => quote!(#value),
    })
}

/// A number of seconds, if it is written as one.
fn seconds(value: &Expr) -> syn::Result<Option<f64>> {
    let Expr::Lit(literal) = value else { return Ok(None) };
    let seconds: f64 = match &literal.lit {
        Lit::Int(number) => number.base10_parse()?,
        Lit::Float(number) => number.base10_parse()?,
        _ => return Err(syn::Error::new_spanned(value, "a time is a number of seconds, or a `Duration`")),
    };
    if seconds > 1e10 {
        return Err(syn::Error::new_spanned(value, "a time is at most ten thousand million seconds"));
    }
    Ok(Some(seconds))
}
