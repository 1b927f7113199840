//! Finds the services and entities of an application, their fields, clients and methods, and the classes whose
//! instances are values.

use protocol::schema::Type;

use super::{
    Class, ClassId, Entity, FunctionId, Model, Record, Role, Service, ServiceId, client, fields, inherit, types,
};
use crate::ListedClass;
use crate::diagnostic::{Report, Sink};
use crate::hir::{Expr, ExprKind, StmtKind};

/// What a class decorator of ours makes of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    Service,
    Entity,
    Client,
    Mu2sls,
}

/// Fills in services, records and roles, and reports what cannot be understood about them.
pub(crate) fn collect(model: &mut Model<'_>, listed: Option<&[ListedClass]>, sink: &mut Sink<'_>) {
    roles(model);
    model.changed();
    records(model);
    model.changed();
    inherit::mark_bases(model, |model, class| {
        let func = |d: &Expr| made(model, &model.classes[class], d.as_call().map_or(d, |c| &c.func));
        model.classes[class].hir.decorators.iter().any(|d| func(d).is_some())
    });
    for class in 0..model.classes.len() {
        declare(model, class, listed, sink);
        model.changed();
    }
    inherit::collect(model, sink);
    unknown_listed(model, listed, sink);
    for service in 0..model.services.len() {
        key(model, service, sink);
    }
    for service in 0..model.services.len() {
        methods(model, service, sink);
        inherit::check(model, service, sink);
        match model.services[service].elsewhere {
            true => client::check(model, service, sink),
            false => fields::collect(model, service, sink),
        }
        model.changed();
        clashes(model, service, sink);
    }
    if model.services.is_empty() && !model.files.is_empty() && !sink.has_errors() && !mistyped(model) {
        let message = "this application has no service";
        let report = Report::error("SOS0114", 0, crate::span::Span::at(0), message);
        sink.add(report.help("put `@service` (from sostenuto import service) before a class"));
    }
}

/// True if a class has a decorator that does not exist, which is told.
fn mistyped(model: &Model<'_>) -> bool {
    let unknown = |class: &Class<'_>, decorator: &Expr| {
        let func = decorator.as_call().map_or(decorator, |c| &c.func);
        matches!(model.resolve_in(class.outer, func), Entity::Path(path)
            if path.starts_with("builtins.") || path.starts_with("sostenuto."))
    };
    model.classes.iter().any(|class| class.hir.decorators.iter().any(|d| unknown(class, d)))
}

fn roles(model: &mut Model<'_>) {
    for id in 0..model.functions.len() {
        model.functions[id].role = role(model, id);
    }
}

fn role(model: &Model<'_>, id: FunctionId) -> Role {
    let info = &model.functions[id];
    let mut role = if info.class.is_some() && info.hir.name.name == "__new__" { Role::Static } else { Role::Plain };
    if is_task(model, id) {
        return Role::Task;
    }
    for decorator in &info.hir.decorators {
        if sets_property(model, id, decorator) {
            return Role::Setter;
        }
        role = match model.resolve_in(info.outer, decorator) {
            Entity::Path(path) => match path.as_str() {
                "builtins.staticmethod" => Role::Static,
                "builtins.classmethod" => Role::ClassMethod,
                "builtins.property" => Role::Property,
                "typing.override" | "typing.final" | "typing_extensions.override" | "abc.abstractmethod" => role,
                _ => Role::Decorated,
            },
            _ => Role::Decorated,
        };
    }
    role
}

/// `@name.setter` on a function of that name, after the property.
fn sets_property(model: &Model<'_>, id: FunctionId, decorator: &Expr) -> bool {
    let info = &model.functions[id];
    let ExprKind::Attribute(base, what) = &decorator.kind else { return false };
    let Some(class) = info.class else { return false };
    let name = info.hir.name.name.as_str();
    let getter = |f: &super::Function<'_>| f.role == Role::Property && f.hir.name.name == name;
    let mut before = model.classes[class].functions.iter().take_while(|f| **f < id);
    what.name == "setter" && base.as_name() == Some(name) && before.any(|f| getter(&model.functions[*f]))
}

/// `@task` or `@task(…)` alone on a function of a module.
fn is_task(model: &Model<'_>, id: FunctionId) -> bool {
    let info = &model.functions[id];
    let [decorator] = info.hir.decorators.as_slice() else { return false };
    let func = decorator.as_call().map_or(decorator, |call| &call.func);
    let in_module = info.class.is_none() && info.parent.is_none();
    in_module && model.resolve_in(info.outer, func) == Entity::Path("sostenuto.task".to_owned())
}

fn records(model: &mut Model<'_>) {
    // Twice, so that a class finds a base that stands later or in a later module.
    for _ in 0..2 {
        for class in 0..model.classes.len() {
            model.classes[class].record = record(model, &model.classes[class]);
        }
    }
}

fn record(model: &Model<'_>, class: &Class<'_>) -> Option<Record> {
    for decorator in &class.hir.decorators {
        let (func, call) = match &decorator.kind {
            ExprKind::Call(call) => (&call.func, Some(call)),
            _ => (decorator, None),
        };
        if model.resolve_in(class.outer, func) == Entity::Path("dataclasses.dataclass".to_owned()) {
            let frozen = call.is_some_and(|c| {
                let is_frozen = |k: &crate::hir::Keyword| k.name.as_ref().is_some_and(|n| n.name == "frozen");
                c.keywords.iter().any(|k| is_frozen(k) && matches!(k.value.kind, ExprKind::Bool(true)))
            });
            return Some(Record::Dataclass { frozen });
        }
    }
    class.hir.bases.iter().find_map(|base| match model.resolve_in(class.outer, base) {
        Entity::Path(path) => match path.as_str() {
            "enum.Enum" | "enum.IntEnum" | "enum.StrEnum" | "enum.Flag" | "enum.IntFlag" => Some(Record::Enum),
            "typing.TypedDict" | "typing_extensions.TypedDict" => Some(Record::TypedDict),
            "typing.NamedTuple" => Some(Record::NamedTuple),
            _ => None,
        },
        Entity::Class(base) => model.classes[base].record.filter(|r| *r == Record::Enum),
        _ => None,
    })
}

fn made(model: &Model<'_>, class: &Class<'_>, decorator: &Expr) -> Option<Made> {
    match model.resolve_in(class.outer, decorator) {
        Entity::Path(path) => match path.as_str() {
            "sostenuto.service" => Some(Made::Service),
            "sostenuto.entity" => Some(Made::Entity),
            "sostenuto.client" => Some(Made::Client),
            "compiler.decorators.service" => Some(Made::Mu2sls),
            _ => None,
        },
        _ => None,
    }
}

fn declare(model: &mut Model<'_>, id: ClassId, listed: Option<&[ListedClass]>, sink: &mut Sink<'_>) {
    let class = &model.classes[id];
    let file = class.file;
    let mut found = None;
    for decorator in &class.hir.decorators {
        let func = decorator.as_call().map_or(decorator, |c| &c.func);
        let Some(kind) = made(model, class, func) else { continue };
        if decorator.as_call().is_some() {
            let message = "this decorator takes no arguments";
            let parentheses = crate::span::Span::new(func.span.end, decorator.span.end);
            let report = Report::error("SOS0111", file, decorator.span, message);
            sink.add(report.change("write it without parentheses", parentheses, ""));
        }
        found = Some(kind);
    }
    let Some(kind) = found else { return undecorated(model, class, sink) };
    if let Some(listed) = listed {
        let path = &model.files[file].source.path;
        if !listed.iter().any(|l| l.class == class.hir.name.name && same_path(&l.path, path)) {
            return;
        }
    }
    shape(model, class, sink);
    let (name, span) = (class.hir.name.name.as_str(), class.hir.name.span);
    if let Some(other) = model.service_named(name) {
        let other = &model.classes[model.services[other].class];
        let report = Report::error("SOS0107", file, span, format!("there are two services named `{name}`"));
        let report = match other.file == file {
            true => report.label(other.hir.name.span, "the other one"),
            false => report.note(format!("the other one is in {}", model.files[other.file].source.path)),
        };
        sink.add(report.help("rename one of them"));
    }
    let is_entity = kind == Made::Entity || kind == Made::Client && client::has_key(&model.classes[id]);
    let service = model.services.len();
    model.classes[id].service = Some(service);
    model.index.services.entry(&model.classes[id].hir.name.name).or_insert(service);
    model.services.push(Service {
        class: id,
        name: &model.classes[id].hir.name.name,
        mu2sls: kind == Made::Mu2sls,
        elsewhere: kind == Made::Client,
        entity_key: is_entity.then_some(Type::Str),
        fields: Vec::new(),
        clients: Vec::new(),
        methods: Vec::new(),
    });
}

/// A class without any decorator that declares persistent fields was probably meant to be a service.
fn undecorated(model: &Model<'_>, class: &Class<'_>, sink: &mut Sink<'_>) {
    let persistent = class.hir.body.iter().find_map(|stmt| match &stmt.kind {
        StmtKind::Annotated { target, annotation, .. } => {
            let base = match &annotation.kind {
                ExprKind::Subscript(base, _) => base,
                _ => annotation,
            };
            let ours = model.resolve_in(class.scope, base) == Entity::Path("sostenuto.Persistent".to_owned());
            ours.then_some(target.span)
        }
        _ => None,
    });
    let alone = class.hir.decorators.is_empty() && !class.nested && !class.is_base;
    let Some(field) = persistent.filter(|_| alone) else { return };
    let name = &class.hir.name;
    let message = format!("`{}` declares persistent fields, but is no service", name.name);
    let report = Report::warning("SOS0121", class.file, name.span, message);
    let report = report.label(field, "nothing keeps this").note("only classes with `@service` or `@entity` have state");
    sink.add(report.help(format!("put `@service` or `@entity` before `class {}`", name.name)));
}

/// Decorators and place of a service class.
fn shape(model: &Model<'_>, class: &Class<'_>, sink: &mut Sink<'_>) {
    let name = &class.hir.name;
    for decorator in &class.hir.decorators {
        let func = decorator.as_call().map_or(decorator, |c| &c.func);
        if made(model, class, func).is_none() {
            let message = format!("the decorator of service `{}` is not supported", name.name);
            let help = "a service class takes `@service`, `@entity` or `@client` only";
            sink.add(Report::error("SOS0111", class.file, decorator.span, message).help(help));
        }
    }
    if class.nested {
        let message = format!("service `{}` must stand at the top level of its module", name.name);
        sink.add(Report::error("SOS0110", class.file, name.span, message).help("move the class out"));
    }
}

fn unknown_listed(model: &Model<'_>, listed: Option<&[ListedClass]>, sink: &mut Sink<'_>) {
    for entry in listed.unwrap_or_default() {
        let file = model.files[..model.modules].iter().position(|f| same_path(&entry.path, &f.source.path));
        let known = model.services.iter().any(|s| {
            s.name == entry.class && same_path(&entry.path, &model.files[model.classes[s.class].file].source.path)
        });
        if !known {
            let message = match file {
                Some(_) => format!("`{}` has no service class `{}`, which the list names", entry.path, entry.class),
                None => format!("the list names `{}`, which is not among the files", entry.path),
            };
            let help = "the class must carry `@decorators.service`";
            let place = crate::span::Span::at(0);
            sink.add(Report::error("SOS0003", file.unwrap_or(0), place, message).help(help));
        }
    }
}

/// True if one path is the other, or its end.
fn same_path(one: &str, other: &str) -> bool {
    let clean = |path: &str| path.trim_start_matches("./").to_owned();
    let (one, other) = (clean(one), clean(other));
    one == other || one.ends_with(&format!("/{other}")) || other.ends_with(&format!("/{one}"))
}

/// The declared key type of an entity.
fn key(model: &mut Model<'_>, service: ServiceId, sink: &mut Sink<'_>) {
    if model.services[service].entity_key.is_none() {
        return;
    }
    let mro = model.classes[model.services[service].class].mro.clone();
    let bodies = mro.iter().flat_map(|class| model.classes[*class].hir.body.iter().map(|stmt| (*class, stmt)));
    for (class, stmt) in bodies {
        let class = &model.classes[class];
        let StmtKind::Annotated { target, annotation, value } = &stmt.kind else { continue };
        if target.as_name() != Some("key") {
            continue;
        }
        let ty = types::annotated(model, class.scope, annotation);
        if !matches!(ty, Type::Str | Type::Int | Type::Uuid) || value.is_some() {
            let message = "an entity's key is `str`, `int` or `uuid.UUID`, without a value";
            sink.add(Report::error("SOS0112", class.file, stmt.span, message).help("write `key: int`"));
            continue;
        }
        model.services[service].entity_key = Some(ty);
        return;
    }
}

fn methods(model: &mut Model<'_>, service: ServiceId, sink: &mut Sink<'_>) {
    let class = model.services[service].class;
    let mut methods: Vec<(&str, FunctionId)> = Vec::new();
    let of_class = |f: &super::Function<'_>| f.owner == Some(class) && f.role != Role::Setter;
    let functions = model.classes[class].functions.iter().map(|id| (*id, &model.functions[*id]));
    for (id, function) in functions.filter(|(_, f)| of_class(f)) {
        let name = function.hir.name.name.as_str();
        if methods.iter().any(|(n, _)| *n == name) {
            let message = format!("`{name}` is defined twice");
            sink.add(Report::error("SOS0106", function.file, function.hir.name.span, message));
            continue;
        }
        methods.push((name, id));
    }
    for id in &model.classes[class].inherited {
        let function = &model.functions[*id];
        let name = function.hir.name.name.as_str();
        if function.role != Role::Setter && methods.iter().all(|(n, _)| *n != name) {
            methods.push((name, *id));
        }
    }
    model.services[service].methods = methods;
}

/// Fields, clients and methods of one name, and names that are taken.
fn clashes(model: &Model<'_>, service: ServiceId, sink: &mut Sink<'_>) {
    let info = &model.services[service];
    let file = model.classes[info.class].file;
    let mut names: Vec<(&str, crate::span::Span, &str)> = Vec::new();
    let own = |f: &FunctionId| model.functions[*f].owner == Some(info.class);
    let place = |f: &FunctionId| {
        if own(f) { model.functions[*f].hir.name.span } else { model.classes[info.class].hir.name.span }
    };
    names.extend(info.methods.iter().map(|(n, f)| (*n, place(f), "method")));
    names.extend(info.fields.iter().map(|f| (f.name.as_str(), f.span, "field")));
    names.extend(info.clients.iter().map(|(n, _, span)| (n.as_str(), *span, "client")));
    names.sort_by_key(|(_, span, _)| *span);
    for (index, (name, span, what)) in names.iter().enumerate() {
        if let Some((_, first, other)) = names[..index].iter().find(|(n, ..)| n == name) {
            let message = format!("{what} `{name}` has the name of a {other}");
            let report = Report::error("SOS0106", file, *span, message).label(*first, format!("the {other}"));
            sink.add(report.help("rename one of them"));
        }
        let taken = match (*name, *what) {
            ("key", "method" | "field") if info.entity_key.is_some() => Some("an entity's key is `self.key`"),
            (name, "field") if name.starts_with("__") => Some("Python changes names that begin with two underscores"),
            ("send", "method") => Some("the path suffix `/send` means a call without waiting"),
            _ => None,
        };
        if let Some(reason) = taken {
            let message = format!("a {what} cannot be named `{name}`");
            sink.add(Report::error("SOS0108", file, *span, message).note(reason).help("choose another name"));
        }
    }
}
