//! Compares the services that `@client` classes state with those that are there, before anything is served.

use protocol::json::type_name;
use protocol::manifest::{Manifest, Method, Parameter, Service};
use protocol::schema::Type;

/// What does not fit, a line each.
pub(super) fn misfits(manifest: &Manifest) -> Vec<String> {
    manifest.expected.iter().flat_map(|stated| of_service(manifest, stated)).collect()
}

fn of_service(manifest: &Manifest, stated: &Service) -> Vec<String> {
    let path = manifest.modules.get(stated.module as usize).map_or("", |module| module.path.as_str());
    let name = &stated.name;
    let Some(found) = manifest.service(name) else {
        return vec![format!("{path}: {name} is no service of this program; start the one that has it")];
    };
    if stated.entity_key != found.entity_key {
        let kind = |key: &Option<Type>| match key {
            None => "a service".to_owned(),
            Some(key) => format!("an entity with a key of type {}", type_name(key)),
        };
        let (here, there) = (kind(&stated.entity_key), kind(&found.entity_key));
        return vec![format!("{path}: {name} is stated as {here}, but is {there}")];
    }
    let misfit = |method: &Method| {
        let why = match found.method(&method.name) {
            None => "is stated, but is no method of it".to_owned(),
            Some(found) => of_method(method, found)?,
        };
        Some(format!("{path}:{}: {name}.{} {why}", method.line, method.name))
    };
    stated.methods.iter().filter_map(misfit).collect()
}

fn of_method(stated: &Method, found: &Method) -> Option<String> {
    let alike = |(one, other): (&Parameter, &Parameter)| {
        one.name == other.name && one.default <= other.default && fits(&one.ty, &other.ty)
    };
    let (given, taken) = (&stated.parameters, &found.parameters);
    let left_out = taken.get(given.len()..).unwrap_or_default();
    let is_taken = given.len() <= taken.len() && given.iter().zip(taken).all(alike);
    if !is_taken || left_out.iter().any(|parameter| !parameter.default) {
        return Some(format!("is stated as {}, but takes {}", parameters(stated), parameters(found)));
    }
    let told =
        || format!("is stated to return {}, but returns {}", type_name(&stated.returns), type_name(&found.returns));
    (!fits(&found.returns, &stated.returns)).then(told)
}

/// Whether values of one type may be of the other, as far as the types say: only what is surely wrong is refused.
fn fits(given: &Type, wanted: &Type) -> bool {
    match (given, wanted) {
        (Type::Union(items), _) => items.iter().any(|item| fits(item, wanted)),
        (_, Type::Union(items)) => items.iter().any(|item| fits(given, item)),
        (Type::Int, Type::Float) => true,
        (one, other) => !is_simple(one) || !is_simple(other) || one == other,
    }
}

fn is_simple(ty: &Type) -> bool {
    matches!(ty, Type::None | Type::Bool | Type::Int | Type::Float | Type::Str | Type::Bytes | Type::Uuid)
}

fn parameters(method: &Method) -> String {
    let text = |parameter: &Parameter| {
        let default = if parameter.default { " = ..." } else { "" };
        format!("{}: {}{default}", parameter.name, type_name(&parameter.ty))
    };
    format!("({})", method.parameters.iter().map(text).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use protocol::manifest::Module;

    use super::*;

    fn method(name: &str, parameters: &[(&str, Type, bool)], returns: Type) -> Method {
        let parameter = |(name, ty, default): &(&str, Type, bool)| Parameter {
            name: (*name).to_owned(),
            ty: ty.clone(),
            default: *default,
            ..Parameter::default()
        };
        let parameters = parameters.iter().map(parameter).collect();
        Method { name: name.to_owned(), parameters, returns, line: 3, ..Method::default() }
    }

    fn told_of(stated: Service, found: Vec<Service>) -> String {
        let module = Module { path: "shop.py".into(), ..Module::default() };
        let manifest =
            Manifest { services: found, expected: vec![stated], modules: vec![module], ..Manifest::default() };
        misfits(&manifest).join("\n")
    }

    fn told(stated: Method, found: Method) -> String {
        let service = |method| Service { name: "Stock".into(), methods: vec![method], ..Service::default() };
        told_of(service(stated), vec![service(found)])
    }

    #[test]
    fn what_fits_is_not_told() {
        let found = || {
            let more = Type::Union(vec![Type::Int, Type::None]);
            method("take", &[("item", Type::Str, false), ("count", more, true)], Type::Int)
        };
        assert_eq!(told(found(), found()), "");
        assert_eq!(told(method("take", &[("item", Type::Any, false)], Type::Any), found()), "");
        let with_int = method("take", &[("item", Type::Str, false), ("count", Type::Int, true)], Type::Float);
        assert_eq!(told(with_int, found()), "");
    }

    #[test]
    fn what_does_not_fit_is_told_with_both_sides() {
        let both = [("item", Type::Str, false), ("count", Type::Int, false)];
        let told = |stated: Method| told(stated, method("take", &both, Type::Bool));
        let fewer = told(method("take", &both[..1], Type::Bool));
        assert_eq!(fewer, "shop.py:3: Stock.take is stated as (item: str), but takes (item: str, count: int)");
        let with = |last: (&'static str, Type, bool)| told(method("take", &[both[0].clone(), last], Type::Bool));
        assert!(with(("count", Type::Int, true)).contains("(item: str, count: int = ...), but takes"));
        assert!(with(("count", Type::Str, false)).contains("(item: str, count: str), but takes"));
        assert!(with(("number", Type::Int, false)).contains("(item: str, number: int), but takes"));
        let more = [&both[..], &[("more", Type::Any, false)]].concat();
        assert!(told(method("take", &more, Type::Bool)).contains("but takes"));
        let other = told(method("take", &both, Type::Str));
        assert_eq!(other, "shop.py:3: Stock.take is stated to return str, but returns bool");
        let none = told(method("give", &both, Type::Bool));
        assert_eq!(none, "shop.py:3: Stock.give is stated, but is no method of it");
    }

    #[test]
    fn services_that_are_not_there_or_of_another_kind_are_told() {
        let service = |key: Option<Type>| Service { name: "Stock".into(), entity_key: key, ..Service::default() };
        let with = |found: Vec<Service>| told_of(service(Some(Type::Str)), found);
        assert_eq!(with(vec![]), "shop.py: Stock is no service of this program; start the one that has it");
        let text = "shop.py: Stock is stated as an entity with a key of type str, but is ";
        assert_eq!(with(vec![service(None)]), format!("{text}a service"));
        assert_eq!(with(vec![service(Some(Type::Int))]), format!("{text}an entity with a key of type int"));
        assert_eq!(with(vec![service(Some(Type::Str))]), "");
    }
}
