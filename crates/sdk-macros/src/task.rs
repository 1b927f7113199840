//! `#[task]`: a function with outside effects, as what methods await and as what a thread of the server runs.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, ItemFn, Lit, Signature, Token};

use crate::refusals::Refusals;
use crate::{client, uses};

/// `#[task(retries = …, timeout = …, backoff = …, backoff_max = …, pure)]`.
pub(crate) fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut refusals = Refusals::default();
    let policy = policy(arguments, &mut refusals);
    let mut item: ItemFn = match syn::parse2(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            return refusals.misplaced(&item, &error, "`#[task]` stands on a function of a module, with its body");
        }
    };
    if let Some(waits) = uses::first_wait(&item.block).filter(|_| item.sig.asyncness.is_none()) {
        refusals.refuse(&waits, format!("`{}` waits here, so it has to be an `async fn`", item.sig.ident));
        item.sig.asyncness = Some(Default::default());
    }
    if refusals.take(check(&item.sig)).is_none() {
        return quote!(#item #refusals);
    }
    let (function, work) = (function(&item), work(&item));
    let (vis, ident) = (&item.vis, &item.sig.ident);
    let name = ident.to_string();
    let is_async = item.sig.asyncness.is_some();
    let doc = format!("Names the task [`{name}()`], to register it.");
    quote! {
        #refusals

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
    }
}

/// What could not be asked for from afar.
fn check(signature: &Signature) -> syn::Result<()> {
    match signature.receiver() {
        Some(receiver) => {
            let text = "a task is a function of a module: it runs apart from all services, without `self`";
            Err(syn::Error::new_spanned(receiver, text))
        }
        None => client::travels(signature, "a task"),
    }
}

/// The function as methods see it.
fn function(item: &ItemFn) -> TokenStream {
    let (vis, ident, keyword) = (&item.vis, &item.sig.ident, &item.sig.fn_token);
    let docs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let parameters = client::parameters(&item.sig);
    let declared = parameters.iter().map(|(name, ty)| {
        let ty = client::parameter_type(ty);
        quote!(#name: #ty)
    });
    let taken = parameters.iter().map(|(name, ty)| client::taken(name, ty));
    let returns = client::returned(&item.sig);
    let signature = quote_spanned!(ident.span()=> (#(#declared),*) -> ::sostenuto::Task<#returns>);
    quote! {
        #(#docs)*
        #vis #keyword #ident #signature {
            let arguments = ::std::vec![#(#taken),*];
            <#returns as ::sostenuto::macros::Travels>::task::<#ident>(arguments)
        }
    }
}

/// `TaskFunction::begin`, with the function itself in it.
fn work(item: &ItemFn) -> TokenStream {
    let mut own = item.clone();
    own.attrs.retain(|attribute| !attribute.path().is_ident("doc"));
    own.vis = syn::Visibility::Inherited;
    let ident = &own.sig.ident;
    let name = ident.to_string();
    let parameters = client::parameters(&own.sig);
    // A parameter may have the same name.
    let arguments = Ident::new("arguments", Span::mixed_site());
    let takes = parameters.iter().map(|(parameter, ty)| client::take(&arguments, parameter, ty));
    let idents = parameters.iter().map(|(parameter, _)| parameter);
    let awaited = own.sig.asyncness.map(|_| quote!(.await));
    let result = client::result(&own.sig, &quote!(#ident(#(#idents),*) #awaited));
    let returned = client::returned(&own.sig);
    // What is wrong with the future is told where the function is.
    let made = match &own.sig.asyncness {
        Some(_) => {
            quote_spanned!(ident.span()=> <#returned as ::sostenuto::macros::Travels>::future_work(#name, async move { #result }))
        }
        None => quote!(<#returned as ::sostenuto::macros::Travels>::plain_work(#name, move || #result)),
    };
    quote! {
        #[allow(unused_mut)]
        fn begin(mut #arguments: ::sostenuto::macros::Args) -> ::sostenuto::Result<::sostenuto::macros::Work> {
            #own

            #(#takes)*
            #arguments.finish()?;
            ::core::result::Result::Ok(#made)
        }
    }
}

/// The options that there are.
const OPTIONS: &str = "a task has `retries = 3`, `timeout = 10`, `backoff = 0.5`, `backoff_max = 60` and `pure`";

/// An option: `name = value`, or `name`.
struct Setting {
    name: Ident,
    value: Option<Expr>,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.parse().map_err(|error| syn::Error::new(error.span(), OPTIONS))?;
        let value = if input.parse::<Option<Token![=]>>()?.is_some() { Some(input.parse()?) } else { None };
        if !input.is_empty() && !input.peek(Token![,]) {
            return Err(input.error(OPTIONS));
        }
        Ok(Self { name, value })
    }
}

/// The expression of `macros::Policy`.
fn policy(arguments: TokenStream, refusals: &mut Refusals) -> TokenStream {
    let settings = syn::parse::Parser::parse2(Punctuated::<Setting, Token![,]>::parse_terminated, arguments);
    let mut fields = Vec::new();
    let mut seen: Vec<Ident> = Vec::new();
    for Setting { name, value } in refusals.take(settings).into_iter().flatten() {
        if seen.contains(&name) {
            refusals.refuse(&name, format!("`{name}` is there twice"));
        } else if let Some(value) = refusals.take(setting(&name, value.as_ref())) {
            fields.push(quote!(#name: #value));
        }
        seen.push(name);
    }
    quote!(::sostenuto::macros::Policy { #(#fields,)* ..::core::default::Default::default() })
}

fn setting(name: &Ident, value: Option<&Expr>) -> syn::Result<TokenStream> {
    match (name.to_string().as_str(), value) {
        ("pure", None) => Ok(quote!(true)),
        ("pure", Some(value)) => match number_or_text(value) {
            Some(_) => Err(syn::Error::new_spanned(value, "`pure` stands alone, or is `true` or `false`")),
            None => Ok(quote!(#value)),
        },
        ("retries", Some(value)) => match number_or_text(value) {
            Some(Lit::Int(_)) if matches!(value, Expr::Lit(_)) => Ok(quote!(#value)),
            Some(_) => Err(syn::Error::new_spanned(value, "`retries` is a whole number of tries, from 0 on")),
            None => Ok(quote!(#value)),
        },
        ("timeout", Some(value)) => limit(value),
        ("backoff" | "backoff_max", Some(value)) => duration(value),
        ("retries" | "timeout" | "backoff" | "backoff_max", None) => {
            Err(syn::Error::new_spanned(name, format!("`{name}` needs a value: `{name} = 10`")))
        }
        _ => Err(syn::Error::new_spanned(name, OPTIONS)),
    }
}

/// The number or text that an expression is, with a sign or without.
fn number_or_text(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(literal) if !matches!(literal.lit, Lit::Bool(_)) => Some(&literal.lit),
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Neg(_)) => number_or_text(&unary.expr),
        _ => None,
    }
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
    let refuse = |text: &str| Err(syn::Error::new_spanned(value, text));
    let seconds: f64 = match number_or_text(value) {
        Some(Lit::Int(_) | Lit::Float(_)) if matches!(value, Expr::Unary(_)) => {
            return refuse("a time is not negative");
        }
        Some(Lit::Int(number)) => number.base10_parse()?,
        Some(Lit::Float(number)) => number.base10_parse()?,
        Some(_) => return refuse("a time is a number of seconds, like `0.5`, or an expression of type `Duration`"),
        None => return Ok(None),
    };
    if seconds > 1e10 {
        return refuse("a time is at most ten thousand million seconds");
    }
    Ok(Some(seconds))
}
