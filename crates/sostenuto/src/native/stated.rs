//! Compares the services that `@client` classes and `#[client]` traits state with those that are there, before anything
//! is served.

use protocol::json::type_name;
use protocol::manifest::{Language, Manifest, Method, Parameter, Service};
use protocol::schema::Type;
use sdk::Stated;

/// What `@client` classes state that is not so, a line each.
pub(super) fn of_classes(manifest: &Manifest) -> Vec<String> {
    let path = |stated: &Service| manifest.modules.get(stated.module as usize).map_or("", |module| &*module.path);
    manifest.expected.iter().flat_map(|stated| of_service(manifest, stated, path(stated))).collect()
}

/// What `#[client]` traits state that is not so, a line each.
pub(super) fn of_traits(manifest: &Manifest, stated: &[Stated]) -> Vec<String> {
    stated.iter().flat_map(|stated| of_service(manifest, &stated.service, stated.file)).collect()
}

/// A client of a Rust service that was not added to the program.
pub(super) fn missing(manifest: &Manifest) -> Option<String> {
    let clients = manifest.services.iter().flat_map(|one| one.clients.iter().map(move |(_, to)| (one, to)));
    let (service, client) = clients.into_iter().find(|(_, client)| manifest.service(client).is_none())?;
    let told = "which is no service of this program: add it to its Application";
    Some(format!("{} calls {client}, {told}: `.service::<{client}>()`", service.name))
}

fn of_service(manifest: &Manifest, stated: &Service, path: &str) -> Vec<String> {
    let name = &stated.name;
    let Some(found) = manifest.service(name) else {
        let todo = match path.ends_with(".rs") {
            true => "name the Python application that has it on the command line",
            false => "start the one that has it",
        };
        return vec![format!("{path}: {name} is no service of this program; {todo}")];
    };
    if stated.entity_key != found.entity_key {
        let kind = |key: &Option<Type>| match key {
            None => "a service".to_owned(),
            Some(key) => format!("an entity with a key of type {}", type_name(key)),
        };
        let (here, there) = (kind(&stated.entity_key), kind(&found.entity_key));
        return vec![format!("{path}: {name} is stated as {here}, but is {there}{}", file(manifest, found))];
    }
    let misfit = |method: &Method| {
        let why = match found.method(&method.name) {
            None => format!("is stated, but is no method of it{}", file(manifest, found)),
            Some(taker) => format!("{}{}", of_method(method, taker)?, place(manifest, found, taker)),
        };
        Some(format!("{path}:{}: {name}.{} {why}", method.line, method.name))
    };
    stated.methods.iter().filter_map(misfit).collect()
}

/// Where a service is written, as far as that is known.
fn file(manifest: &Manifest, service: &Service) -> String {
    let module = manifest.modules.get(service.module as usize).filter(|_| service.language == Language::Python);
    module.map_or_else(String::new, |module| format!(" ({})", module.path))
}

/// Where a method is written.
fn place(manifest: &Manifest, service: &Service, method: &Method) -> String {
    match file(manifest, service).strip_suffix(')') {
        Some(file) => format!("{file}:{})", method.line),
        None => String::new(),
    }
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
        (Type::Dict(key, value), Type::Dict(wanted_key, wanted_value)) => {
            fits(key, wanted_key) && fits(value, wanted_value)
        }
        (Type::Tuple(items), Type::Tuple(wanted)) => {
            items.len() == wanted.len() && items.iter().zip(wanted).all(|(one, other)| fits(one, other))
        }
        (one, other) => match (item(one), item(other)) {
            (Some(one), Some(other)) => fits(one, other),
            _ => shape(one).zip(shape(other)).is_none_or(|(one, other)| one == other),
        },
    }
}

/// The elements of what has elements of one type.
fn item(ty: &Type) -> Option<&Type> {
    match ty {
        Type::List(item) | Type::TupleOf(item) | Type::Set(item) | Type::FrozenSet(item) => Some(item),
        _ => None,
    }
}

/// Kinds of values that are never each other, by name; nothing for types that may be several, because conversions or
/// other crates' types make them.
fn shape(ty: &Type) -> Option<&'static str> {
    Some(match ty {
        Type::None => "None",
        Type::Bool => "bool",
        Type::Int => "int",
        Type::Float => "float",
        Type::Str => "str",
        Type::Bytes => "bytes",
        Type::Uuid => "UUID",
        Type::List(_) | Type::Tuple(_) | Type::TupleOf(_) | Type::Set(_) | Type::FrozenSet(_) => "elements",
        Type::Dict(..) => "dict",
        Type::Any | Type::Union(_) | Type::Decimal | Type::DateTime | Type::Date => return None,
        Type::Time | Type::TimeDelta | Type::Record(_) => return None,
    })
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
        of_classes(&manifest).join("\n")
    }

    fn told(stated: Method, found: Method) -> String {
        let language = Language::Rust;
        let service = |method| Service { name: "Stock".into(), methods: vec![method], language, ..Service::default() };
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
        let language = Language::Rust;
        let service =
            |entity_key: Option<Type>| Service { name: "Stock".into(), entity_key, language, ..Service::default() };
        let with = |found: Vec<Service>| told_of(service(Some(Type::Str)), found);
        assert_eq!(with(vec![]), "shop.py: Stock is no service of this program; start the one that has it");
        let text = "shop.py: Stock is stated as an entity with a key of type str, but is ";
        assert_eq!(with(vec![service(None)]), format!("{text}a service"));
        assert_eq!(with(vec![service(Some(Type::Int))]), format!("{text}an entity with a key of type int"));
        assert_eq!(with(vec![service(Some(Type::Str))]), "");
    }

    #[test]
    fn a_client_of_what_was_not_added_is_told() {
        let service = |name: &str, client: &str| Service {
            name: name.into(),
            clients: vec![("other".into(), client.into())],
            ..Service::default()
        };
        let told = |services| missing(&Manifest { services, ..Manifest::default() });
        assert_eq!(told(vec![service("Desk", "Hotel"), service("Hotel", "Desk")]), None);
        let told = told(vec![service("Desk", "Hotel")]).unwrap();
        assert!(told.starts_with("Desk calls Hotel, which is no service") && told.contains("`.service::<Hotel>()`"));
    }

    #[test]
    fn containers_are_compared_by_their_elements() {
        let list = |item: Type| Type::List(Box::new(item));
        let dict = |key, value| Type::Dict(Box::new(key), Box::new(value));
        for (given, wanted) in [
            (list(Type::Int), Type::Set(Box::new(Type::Float))),
            (list(Type::Any), Type::Tuple(vec![Type::Int, Type::Str])),
            (dict(Type::Str, Type::Any), dict(Type::Any, Type::Int)),
            (dict(Type::Str, Type::Int), Type::Record("shop.Room".into())),
            (Type::Str, Type::Decimal),
            (list(Type::Union(vec![Type::Int, Type::None])), list(Type::Int)),
        ] {
            assert!(fits(&given, &wanted), "{given:?} {wanted:?}");
        }
        for (given, wanted) in [
            (list(Type::Int), list(Type::Str)),
            (list(Type::Int), Type::Str),
            (list(Type::Int), dict(Type::Int, Type::Int)),
            (list(Type::Int), Type::Bytes),
            (dict(Type::Str, Type::Int), dict(Type::Str, Type::Str)),
            (dict(Type::Str, Type::Int), dict(Type::Int, Type::Int)),
            (Type::Tuple(vec![Type::Int]), Type::Tuple(vec![Type::Int, Type::Int])),
            (Type::Float, Type::Int),
            (Type::None, Type::Bool),
        ] {
            assert!(!fits(&given, &wanted), "{given:?} {wanted:?}");
        }
    }

    #[test]
    fn what_a_trait_states_is_told_with_both_places() {
        let with =
            |method, language| Service { name: "Stock".into(), methods: vec![method], language, ..Service::default() };
        let stated = Stated {
            service: with(method("take", &[("item", Type::Str, false)], Type::Bool), Language::Rust),
            file: "src/main.rs",
        };
        let told = |found| {
            let module = Module { path: "shop.py".into(), ..Module::default() };
            let manifest = Manifest { services: vec![found], modules: vec![module], ..Manifest::default() };
            of_traits(&manifest, std::slice::from_ref(&stated)).join("\n")
        };
        let other = || Method { line: 7, ..method("take", &[("items", Type::Str, false)], Type::Bool) };
        let text = "src/main.rs:3: Stock.take is stated as (item: str), but takes (items: str)";
        assert_eq!(told(with(other(), Language::Python)), format!("{text} (shop.py:7)"));
        assert_eq!(told(with(other(), Language::Rust)), text);
        assert_eq!(told(stated.service.clone()), "");
        let none = of_traits(&Manifest::default(), std::slice::from_ref(&stated));
        let todo = "name the Python application that has it on the command line";
        assert_eq!(none, [format!("src/main.rs: Stock is no service of this program; {todo}")]);
    }
}
