//! Rust types as the server knows types, to check and convert JSON. What it does not know is checked when the method
//! takes it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{GenericArgument, PathArguments, Type, TypePath};

/// The expression of a `protocol` type.
pub(crate) fn schema(ty: &Type) -> TokenStream {
    let of = |variant: &str| {
        let variant = syn::Ident::new(variant, proc_macro2::Span::call_site());
        quote!(::sostenuto::macros::Type::#variant)
    };
    match ty {
        Type::Tuple(tuple) if tuple.elems.is_empty() => of("None"),
        Type::Tuple(tuple) => {
            let (items, variant) = (tuple.elems.iter().map(schema), of("Tuple"));
            quote!(#variant(::std::vec![#(#items),*]))
        }
        Type::Array(array) => boxed(&of("TupleOf"), &[&array.elem]),
        Type::Path(path) => match path.path.segments.last() {
            Some(segment) => {
                let name = segment.ident.to_string();
                named(&name, &arguments(&segment.arguments), of)
            }
            None => of("Any"),
        },
        _ => of("Any"),
    }
}

fn named(name: &str, arguments: &[&Type], of: impl Fn(&str) -> TokenStream) -> TokenStream {
    match (name, arguments) {
        ("String" | "char", []) => of("Str"),
        ("bool", []) => of("Bool"),
        ("i8" | "i16" | "i32" | "i64" | "i128" | "isize", []) => of("Int"),
        ("u8" | "u16" | "u32" | "u64" | "u128" | "usize", []) => of("Int"),
        ("f32" | "f64", []) => of("Float"),
        ("Uuid", []) => of("Uuid"),
        ("Decimal", []) => of("Decimal"),
        ("DateTime", []) => of("DateTime"),
        ("Date", []) => of("Date"),
        ("Bytes", []) => of("Bytes"),
        ("Vec" | "VecDeque" | "HashSet" | "BTreeSet", [item]) => boxed(&of("List"), &[item]),
        ("Set", [item]) => boxed(&of("Set"), &[item]),
        ("HashMap" | "BTreeMap", [key, value]) => boxed(&of("Dict"), &[key, value]),
        ("Box" | "Arc" | "Rc", [inner]) => schema(inner),
        ("Option", [inner]) => {
            let (inner, none, union) = (schema(inner), of("None"), of("Union"));
            quote!(#union(::std::vec![#inner, #none]))
        }
        _ => of("Any"),
    }
}

fn boxed(variant: &TokenStream, items: &[&Type]) -> TokenStream {
    let items = items.iter().map(|item| schema(item));
    quote!(#variant(#(::std::boxed::Box::new(#items)),*))
}

fn arguments(arguments: &PathArguments) -> Vec<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return Vec::new() };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

/// The last name of a path, and the types that it has in angle brackets.
pub(crate) fn named_with(path: &TypePath) -> Option<(String, Vec<&Type>)> {
    let segment = path.path.segments.last()?;
    Some((segment.ident.to_string(), arguments(&segment.arguments)))
}

/// Whether a type is a path that ends with this name.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == name))
}

/// What a `Result` holds; `None` if the type is another.
pub(crate) fn result_of(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == "Result")?;
    arguments(&segment.arguments).first().map(|ty| (*ty).clone())
}
