//! Types in Python's spelling.

use crate::schema::Type;

/// The type as a Python annotation: `list[str]`, `int | None`, `shop.models.Room`.
pub fn type_name(ty: &Type) -> String {
    let mut out = String::new();
    put(ty, &mut out);
    out
}

fn put(ty: &Type, out: &mut String) {
    match ty {
        Type::Any => out.push_str("Any"),
        Type::None => out.push_str("None"),
        Type::Bool => out.push_str("bool"),
        Type::Int => out.push_str("int"),
        Type::Float => out.push_str("float"),
        Type::Str => out.push_str("str"),
        Type::Bytes => out.push_str("bytes"),
        Type::Decimal => out.push_str("Decimal"),
        Type::DateTime => out.push_str("datetime"),
        Type::Date => out.push_str("date"),
        Type::Time => out.push_str("time"),
        Type::TimeDelta => out.push_str("timedelta"),
        Type::Uuid => out.push_str("UUID"),
        Type::Record(name) => out.push_str(name),
        Type::List(item) => generic("list", &[item], "", out),
        Type::Dict(key, value) => generic("dict", &[key, value], "", out),
        Type::Set(item) => generic("set", &[item], "", out),
        Type::FrozenSet(item) => generic("frozenset", &[item], "", out),
        Type::TupleOf(item) => generic("tuple", &[item], ", ...", out),
        Type::Tuple(items) if items.is_empty() => out.push_str("tuple[()]"),
        Type::Tuple(items) => {
            out.push_str("tuple[");
            joined(items.iter(), ", ", out);
            out.push(']');
        }
        Type::Union(members) => joined(members.iter(), " | ", out),
    }
}

/// `name[items…]`, or the bare name if nothing is known about the items.
fn generic(name: &str, items: &[&Type], tail: &str, out: &mut String) {
    out.push_str(name);
    if items.iter().all(|item| **item == Type::Any) {
        return;
    }
    out.push('[');
    joined(items.iter().copied(), ", ", out);
    out.push_str(tail);
    out.push(']');
}

fn joined<'a>(types: impl Iterator<Item = &'a Type>, separator: &str, out: &mut String) {
    for (i, ty) in types.enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        put(ty, out);
    }
}
