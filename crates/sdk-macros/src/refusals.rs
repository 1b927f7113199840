//! What is wrong with the text that an attribute stands on: all of it at once, and beside what can be made of the rest,
//! so that nobody has to read what only follows from it.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::visit::{self, Visit};
use syn::{Item, Type, TypePath};

use crate::types;

#[derive(Debug, Default)]
pub(crate) struct Refusals(Option<syn::Error>);

impl Refusals {
    pub(crate) fn refuse(&mut self, what: &dyn ToTokens, text: impl Display) {
        self.add(syn::Error::new_spanned(what, text));
    }

    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// The value, or nothing and the reason is noted.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// What the attribute stands on is not what it should be: the item as it is, with the reason.
    pub(crate) fn misplaced(mut self, item: &TokenStream, error: &syn::Error, text: &str) -> TokenStream {
        match syn::parse2::<Item>(item.clone()) {
            Ok(_) => self.add(syn::Error::new(error.span(), text)),
            // It is nothing at all.
            Err(error) => self.add(error),
        }
        quote!(#item #self)
    }

    #[cfg(test)]
    pub(crate) fn texts(self) -> Vec<String> {
        self.0.into_iter().flatten().map(|error| error.to_string()).collect()
    }
}

impl ToTokens for Refusals {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        if let Some(errors) = &self.0 {
            tokens.extend(errors.to_compile_error());
        }
    }
}

/// What of a type cannot travel, by its text; other types are judged by their traits.
#[derive(Default)]
struct Bound<'ast> {
    found: Option<&'ast Type>,
}

impl<'ast> Visit<'ast> for Bound<'ast> {
    fn visit_type(&mut self, ty: &'ast Type) {
        if matches!(ty, Type::Reference(_) | Type::ImplTrait(_)) {
            self.found.get_or_insert(ty);
        } else {
            visit::visit_type(self, ty);
        }
    }
}

/// What cannot be a key, by its text; other types are judged by their values when they are stored.
#[derive(Default)]
struct Keys<'ast> {
    found: Option<&'ast Type>,
}

impl<'ast> Visit<'ast> for Keys<'ast> {
    fn visit_type_path(&mut self, path: &'ast TypePath) {
        if let Some((name, [key, ..])) = types::named_with(path).as_ref().map(|(name, of)| (name.as_str(), &of[..]))
            && ["Map", "HashMap", "BTreeMap", "Set"].contains(&name)
            && is_no_key(key)
        {
            self.found.get_or_insert(key);
        }
        visit::visit_type_path(self, path);
    }
}

fn is_no_key(ty: &Type) -> bool {
    const NONE: [&str; 9] = ["Vec", "VecDeque", "HashMap", "BTreeMap", "HashSet", "BTreeSet", "Map", "List", "Set"];
    match ty {
        Type::Tuple(tuple) => tuple.elems.iter().any(is_no_key),
        Type::Array(array) => is_no_key(&array.elem),
        Type::Path(path) => types::named_with(path).is_some_and(|(name, of)| match name.as_str() {
            "Option" | "Box" => of.into_iter().any(is_no_key),
            name => NONE.contains(&name),
        }),
        _ => false,
    }
}

/// Refuses keys of maps that Python has not, wherever they are in a type.
pub(crate) fn check_keys(ty: &Type) -> syn::Result<()> {
    let mut keys = Keys::default();
    keys.visit_type(ty);
    let Some(key) = keys.found else { return Ok(()) };
    let text = "Python finds nothing by a list, set or dict: a key is a text, a number, or a tuple or array of these";
    Err(syn::Error::new_spanned(key, text))
}

/// A reference or `impl Trait` in a type.
pub(crate) fn not_owned(ty: &Type) -> Option<&Type> {
    let mut bound = Bound::default();
    bound.visit_type(ty);
    bound.found
}
