//! Reads the declarations of a service: persistent fields and clients, in the class body or in `__init__`, by
//! annotation or by type comment.

use protocol::Value;
use protocol::json::type_name;
use protocol::manifest::FieldKind;
use protocol::schema::Type;

use super::{ClassId, Entity, Field, FileId, FunctionId, Model, Record, ScopeId, ServiceId, constant, types};
use crate::diagnostic::{Report, Sink};
use crate::hir::*;
use crate::parse;
use crate::similar::similar;
use crate::span::Span;

/// Reads fields and clients of a service into the model.
pub(super) fn collect(model: &mut Model<'_>, service: ServiceId, sink: &mut Sink<'_>) {
    let class = model.services[service].class;
    let inits = initializers(model, class);
    let (mut fields, mut clients): (Vec<Field>, Vec<(String, ServiceId, Span)>) = (Vec::new(), Vec::new());
    let mut of_dataclass: Vec<String> = Vec::new();
    // Bases first: what a class declares takes the place of what they do.
    for owner in model.classes[class].mro.iter().rev().copied() {
        let file = model.classes[owner].file;
        let (own, own_clients) = (Vec::new(), Vec::new());
        let mut reader = Reader { model, sink, service, class: owner, file, fields: own, clients: own_clients };
        reader.class_body();
        inits.iter().filter(|f| reader.model.functions[**f].owner == Some(owner)).for_each(|init| reader.init(*init));
        let (mut own, mut own_clients) = (reader.fields, reader.clients);
        if owner != class {
            let span = model.classes[class].hir.name.span;
            own.iter_mut().for_each(|field| field.span = span);
            own_clients.iter_mut().for_each(|client| client.2 = span);
        }
        let again = own.iter().filter(|field| of_dataclass.contains(&field.name));
        for field in again {
            let message = format!("`{}` is set by the `__init__` of a base class that is a dataclass", field.name);
            let report = Report::error("SOS0109", file, field.span, message);
            sink.add(report.help("declare it in one of the two"));
        }
        if matches!(model.classes[owner].record, Some(Record::Dataclass { .. })) {
            of_dataclass.extend(own.iter().map(|field| field.name.clone()));
        }
        let declared = |name: &String| own.iter().any(|f| f.name == *name) || own_clients.iter().any(|c| c.0 == *name);
        fields.retain(|field| !declared(&field.name));
        clients.retain(|client| !declared(&client.0));
        fields.append(&mut own);
        clients.append(&mut own_clients);
    }
    model.services[service].fields = fields;
    model.services[service].clients = clients;
}

/// The `__init__` that Python runs, and those that it calls by `super()`, of a service's classes in their order.
fn initializers(model: &Model<'_>, class: ClassId) -> Vec<FunctionId> {
    let mut found: Vec<FunctionId> = Vec::new();
    let mut next = (0..model.functions.len()).find(|id| {
        let f = &model.functions[*id];
        f.class == Some(class) && f.owner == Some(class) && f.hir.name.name == "__init__"
    });
    next = next.or_else(|| model.inherited(class, None, "__init__"));
    while let Some(init) = next.filter(|init| !found.contains(init)) {
        found.push(init);
        let info = &model.functions[init];
        let goes_on = info.hir.body.iter().any(calls_super);
        next = info.owner.filter(|_| goes_on).and_then(|owner| model.inherited(class, Some(owner), "__init__"));
    }
    found
}

/// `super().__init__()` as a statement.
fn calls_super(stmt: &Stmt) -> bool {
    let StmtKind::Expr(expr) = &stmt.kind else { return false };
    let Some(call) = expr.as_call().filter(|call| call.args.is_empty() && call.keywords.is_empty()) else {
        return false;
    };
    let ExprKind::Attribute(base, name) = &call.func.kind else { return false };
    name.name == "__init__" && base.as_call().is_some_and(|call| call.func.as_name() == Some("super"))
}

struct Reader<'r, 'a, 's> {
    model: &'r Model<'a>,
    sink: &'r mut Sink<'s>,
    service: ServiceId,
    class: ClassId,
    file: FileId,
    fields: Vec<Field>,
    clients: Vec<(String, ServiceId, Span)>,
}

/// A declaration, wherever it stood.
struct Declared<'d> {
    name: &'d str,
    span: Span,
    scope: ScopeId,
    /// Annotation or type comment.
    annotation: Option<&'d Expr>,
    value: Option<&'d Expr>,
}

impl<'a> Reader<'_, 'a, '_> {
    fn class_body(&mut self) {
        let hir = self.model.classes[self.class].hir;
        let scope = self.model.classes[self.class].scope;
        for stmt in &hir.body {
            match &stmt.kind {
                StmtKind::Annotated { target, annotation, value } => {
                    let Some(name) = target.as_name() else { continue };
                    if name == "key" && self.model.services[self.service].entity_key.is_some() {
                        continue;
                    }
                    let annotation = Some(annotation);
                    self.declared(Declared { name, span: target.span, scope, annotation, value: value.as_ref() });
                }
                // Told as what a service's class cannot be.
                StmtKind::Assign(assign) if assign.targets.iter().any(|t| t.as_name() == Some("__slots__")) => {}
                StmtKind::Assign(assign) => self.class_constant(scope, stmt.span, assign),
                StmtKind::Function(_) | StmtKind::Pass => {}
                StmtKind::Expr(expr) if matches!(expr.kind, ExprKind::Str(_) | ExprKind::Ellipsis) => {}
                StmtKind::Class(_) => {
                    let message = "a class inside a service is not supported";
                    self.sink.add(Report::error("SOS0110", self.file, stmt.span, message).help("move it out"));
                }
                _ => {
                    let message = "a service class holds declarations and methods only";
                    let help = "move this to the module, or into a method";
                    self.sink.add(Report::error("SOS0105", self.file, stmt.span, message).help(help));
                }
            }
        }
    }

    /// `LIMIT = 5`: a constant of the class.
    fn class_constant(&mut self, scope: ScopeId, span: Span, assign: &Assign) {
        if let Some(comment) = &assign.type_comment
            && let (Some(annotation), [target]) = (self.comment(comment), assign.targets.as_slice())
            && let Some(name) = target.as_name()
        {
            let (annotation, value) = (Some(&annotation), Some(&assign.value));
            self.declared(Declared { name, span: target.span, scope, annotation, value });
            return;
        }
        let constant = constant::evaluate(self.model, scope, &assign.value);
        if !constant.as_ref().is_some_and(constant::unchangeable) {
            let message = "this class attribute is neither persistent nor constant";
            let name = assign.targets.first().and_then(Expr::as_name).unwrap_or("name");
            let help = format!("declare it as `{name}: Persistent[…] = …`, or make it an immutable constant");
            self.sink.add(Report::error("SOS0102", self.file, span, message).help(help));
        }
    }

    fn comment(&self, comment: &Ident) -> Option<Expr> {
        parse::parse_expression(&self.model.files[self.file].source.source, comment.span)
    }

    fn init(&mut self, init: usize) {
        let function = &self.model.functions[init];
        let (hir, scope) = (function.hir, function.scope);
        let me = hir.params.first().map_or("", |p| p.name.name.as_str());
        if hir.params.len() > 1 {
            let message = "`__init__` of a service takes no arguments";
            let help = "services are created by the system; an entity reads its key as `self.key`";
            self.sink.add(Report::error("SOS0105", self.file, hir.params[1].name.span, message).help(help));
        }
        for stmt in &hir.body {
            match &stmt.kind {
                StmtKind::Pass => {}
                StmtKind::Expr(expr) if matches!(expr.kind, ExprKind::Str(_) | ExprKind::Ellipsis) => {}
                StmtKind::Expr(_) if calls_super(stmt) => {}
                StmtKind::Annotated { target, annotation, value } if attribute(target, me).is_some() => {
                    let name = attribute(target, me).unwrap_or_default();
                    let annotation = Some(annotation);
                    self.declared(Declared { name, span: target.span, scope, annotation, value: value.as_ref() });
                }
                StmtKind::Assign(assign)
                    if assign.targets.len() == 1 && attribute(&assign.targets[0], me).is_some() =>
                {
                    let name = attribute(&assign.targets[0], me).unwrap_or_default();
                    let parsed = assign.type_comment.as_ref().and_then(|c| self.comment(c));
                    self.declared(Declared {
                        name,
                        span: assign.targets[0].span,
                        scope,
                        annotation: parsed.as_ref(),
                        value: Some(&assign.value),
                    });
                }
                _ => {
                    let message = "`__init__` of a service only declares fields and clients";
                    let help = "it does not run for each object: move this to a method";
                    self.sink.add(Report::error("SOS0105", self.file, stmt.span, message).help(help));
                }
            }
        }
    }

    fn declared(&mut self, declared: Declared<'_>) {
        let quoted = declared.annotation.and_then(|a| match a.kind {
            ExprKind::Str(_) => types::quoted(self.model, declared.scope, a),
            _ => None,
        });
        let annotation = quoted.as_ref().or(declared.annotation);
        if let Some(annotation) = annotation {
            if let Some(content) = self.persistent(declared.scope, annotation) {
                self.field(&declared, content);
                return;
            }
            if annotation.as_name() == Some("Client") {
                self.mu2sls_client(&declared);
                return;
            }
        }
        match self.client(&declared, annotation) {
            Some(service) => self.add_client(&declared, service),
            None => self.neither(&declared, annotation),
        }
    }

    /// The type inside `Persistent[…]`: `Some(None)` for a bare `Persistent`.
    fn persistent<'e>(&self, scope: ScopeId, annotation: &'e Expr) -> Option<Option<&'e Expr>> {
        let (base, content) = match &annotation.kind {
            ExprKind::Subscript(base, content) => (&**base, Some(&**content)),
            _ => (annotation, None),
        };
        let ours = match self.model.resolve_in(scope, base) {
            Entity::Path(path) => path == "sostenuto.Persistent" || path == "builtins.Persistent",
            _ => base.as_name() == Some("Persistent") && self.model.services[self.service].mu2sls,
        };
        ours.then_some(content)
    }

    fn field(&mut self, declared: &Declared<'_>, content: Option<&Expr>) {
        let Some(value) = declared.value else {
            let message = format!("the field `{}` has no initial value", declared.name);
            let report = Report::error("SOS0103", self.file, declared.span, message);
            let ty = content.map_or(Type::Any, |c| types::annotated(self.model, declared.scope, c));
            let annotation = declared.annotation.filter(|a| !matches!(a.kind, ExprKind::Str(_)));
            self.sink.add(match (empty(&ty), annotation) {
                (Some(text), Some(at)) => report.change("begin with", Span::at(at.span.end), format!(" = {text}")),
                _ => report.help(format!("write `{}: Persistent[…] = …`", declared.name)),
            });
            return;
        };
        let Some(initial) = constant::evaluate(self.model, declared.scope, value) else {
            let message = format!("the initial value of `{}` is not a constant", declared.name);
            let report = Report::error("SOS0101", self.file, value.span, message);
            let report = report.note("an initial value is stored once, when the field is created");
            self.sink.add(report.help("use a literal, and compute the rest in a method"));
            return;
        };
        if let Err(error) = protocol::msgpack::encode(&initial) {
            let message = format!("the initial value of `{}` cannot be stored: {error}", declared.name);
            self.sink.add(Report::error("SOS0101", self.file, value.span, message));
            return;
        }
        let ty = content.map_or(Type::Any, |c| types::annotated(self.model, declared.scope, c));
        let field = shaped(declared, ty, initial);
        if let (Type::List(_) | Type::Dict(..) | Type::Set(_), Some(content)) = (&field.key_type, content) {
            let message = format!("`{}` cannot be the key of a dict: it can be changed", type_name(&field.key_type));
            let report = Report::error("SOS0115", self.file, content.span, message);
            self.sink.add(report.help("use a `tuple`, a `frozenset` or a `str`"));
        }
        self.check_initial(&field, value.span);
        self.fields.push(field);
    }

    fn check_initial(&mut self, field: &Field, at: Span) {
        let entity = self.model.services[self.service].entity_key.is_some();
        match (&field.initial, field.kind) {
            (Value::Dict(entries), FieldKind::Dict) if entity && !entries.is_empty() => {
                let message = format!("the dict field `{}` of an entity begins empty", field.name);
                let help = "write `= {}` and add the entries in a method, or use `.get(key, default)`";
                self.sink.add(Report::error("SOS0104", self.file, at, message).help(help));
            }
            (Value::Dict(_), FieldKind::Dict) => {}
            (_, FieldKind::Dict) => {
                let message = format!("the field `{}` is declared as a dict, but does not begin as one", field.name);
                let help = "begin with `{}`, or declare `Persistent[dict | None]` to keep it in one piece";
                self.sink.add(Report::error("SOS0116", self.file, at, message).help(help));
            }
            (Value::List(_), FieldKind::List) => {}
            (_, FieldKind::List) => {
                let message = format!("the field `{}` is declared as a list, but does not begin as one", field.name);
                let help = "begin with `[]`, or declare `Persistent[list | None]` to keep it in one piece";
                self.sink.add(Report::error("SOS0116", self.file, at, message).help(help));
            }
            (initial, FieldKind::Scalar) if !fits(initial, &field.value_type) => {
                let ty = type_name(&field.value_type);
                let message = format!("the initial value of `{}` does not fit its type", field.name);
                let report = Report::error("SOS0116", self.file, at, message).here(format!("this is no `{ty}`"));
                self.sink.add(report.label(field.span, format!("declared as `{ty}`")));
            }
            (_, FieldKind::Scalar) => {}
        }
    }

    /// The service that an annotation or a value names.
    fn client(&self, declared: &Declared<'_>, annotation: Option<&Expr>) -> Option<ServiceId> {
        let by_class = |expr: &Expr| match self.model.resolve_in(declared.scope, expr) {
            Entity::Class(class) => self.model.classes[class].service,
            _ => expr.as_name().and_then(|name| self.model.service_named(name)),
        };
        let by_value = declared.value.and_then(|v| v.as_call()).and_then(|call| by_class(&call.func));
        annotation.and_then(by_class).or(by_value)
    }

    fn add_client(&mut self, declared: &Declared<'_>, service: ServiceId) {
        if self.model.services[service].entity_key.is_some() {
            let name = self.model.services[service].name;
            let message = format!("`{name}` is an entity: a client of it needs a key");
            let help = format!("remove the attribute and write `{name}(key).method(…)` where it is called");
            self.sink.add(Report::error("SOS0113", self.file, declared.span, message).help(help));
            return;
        }
        if let Some(value) = declared.value {
            let call = value.as_call();
            if !call.is_some_and(|c| c.args.is_empty() && c.keywords.is_empty()) {
                let message = "a client attribute has no value";
                let help = format!("write `{}: {}`", declared.name, self.model.services[service].name);
                self.sink.add(Report::error("SOS0113", self.file, value.span, message).help(help));
            }
        }
        self.clients.push((declared.name.to_owned(), service, declared.span));
    }

    /// `self.hotel = "Hotel"  # type: Client`, which the mu2sls dialect only records.
    fn mu2sls_client(&mut self, declared: &Declared<'_>) {
        let Some(value) = declared.value else { return };
        let named = value.as_str().or_else(|| value.as_call().and_then(|c| c.args.first()).and_then(Expr::as_str));
        if let Some(service) = named.and_then(|name| self.model.service_named(name)) {
            self.clients.push((declared.name.to_owned(), service, declared.span));
        }
    }

    fn neither(&mut self, declared: &Declared<'_>, annotation: Option<&Expr>) {
        let value = declared.value.and_then(|v| constant::evaluate(self.model, declared.scope, v));
        let class_level = declared.scope == self.model.classes[self.class].scope;
        if class_level && annotation.is_some() && value.as_ref().is_some_and(constant::unchangeable) {
            return;
        }
        let name = declared.name;
        if declared.value.is_none() && annotation.and_then(Expr::as_name).is_some() {
            let what = annotation.and_then(Expr::as_name).unwrap_or_default();
            let message = format!("`{name}: {what}` is neither a persistent field nor a client");
            let note = format!("`{what}` is no service of this application");
            let report = Report::error("SOS0102", self.file, declared.span, message).note(note);
            let services = self.model.services.iter().filter(|s| s.entity_key.is_none()).map(|s| s.name);
            let at = annotation.filter(|_| declared.annotation.is_some_and(|a| a.as_name().is_some()));
            self.sink.add(match (similar(services, what), at) {
                (Some(similar), Some(at)) => report.change(format!("there is a service `{similar}`"), at.span, similar),
                _ => report.help(format!("write `{name}: Persistent[{what}] = …` for a field")),
            });
            return;
        }
        let message = format!("the attribute `{name}` is not persistent");
        let help = match self.model.services[self.service].mu2sls {
            true => "add a comment `# type: Persistent[…]`".to_owned(),
            false => format!("write `{name}: Persistent[…] = …`; a service keeps nothing else between calls"),
        };
        let report = Report::error("SOS0102", self.file, declared.span, message);
        let at_hand = self.model.scopes[self.model.files[self.file].scope].bindings.contains_key("Persistent");
        let written = declared.annotation.filter(|a| !matches!(a.kind, ExprKind::Str(_)) && declared.value.is_some());
        self.sink.add(
            match written.filter(|_| value.is_some() && at_hand && !self.model.services[self.service].mu2sls) {
                Some(annotation) => {
                    let text = format!("Persistent[{}]", self.model.text(self.file, annotation.span));
                    report.note("a service keeps nothing else between calls").change(
                        "make it persistent",
                        annotation.span,
                        text,
                    )
                }
                None => report.help(help),
            },
        );
    }
}

/// A first value of a type, as it is written.
fn empty(ty: &Type) -> Option<&'static str> {
    Some(match ty {
        Type::Int => "0",
        Type::Float => "0.0",
        Type::Bool => "False",
        Type::Str => "\"\"",
        Type::List(_) => "[]",
        Type::Dict(..) => "{}",
        Type::Set(_) => "set()",
        Type::Union(types) if types.contains(&Type::None) => "None",
        _ => return None,
    })
}

/// `name` of `self.name`.
fn attribute<'e>(target: &'e Expr, me: &str) -> Option<&'e str> {
    match &target.kind {
        ExprKind::Attribute(base, name) if base.as_name() == Some(me) => Some(&name.name),
        _ => None,
    }
}

fn shaped(declared: &Declared<'_>, ty: Type, initial: Value) -> Field {
    let dict = match &ty {
        Type::Dict(..) => true,
        Type::Any => matches!(initial, Value::Dict(_)),
        _ => false,
    };
    let list = ty == Type::Any && matches!(initial, Value::List(_));
    let (kind, key_type, value_type) = match ty {
        Type::List(item) => (FieldKind::List, Type::Any, *item),
        other if list => (FieldKind::List, Type::Any, other),
        Type::Dict(key, value) if dict => (FieldKind::Dict, *key, *value),
        other if dict => (FieldKind::Dict, Type::Any, other),
        other => (FieldKind::Scalar, Type::Any, other),
    };
    Field { name: declared.name.to_owned(), span: declared.span, kind, value_type, key_type, initial }
}

/// Whether the value is of the type, as far as its outermost layer tells.
fn fits(value: &Value, ty: &Type) -> bool {
    match (ty, value) {
        (Type::Any | Type::Record(_), _) => true,
        (Type::Union(types), _) => types.iter().any(|t| fits(value, t)),
        (Type::None, Value::None) | (Type::Bool, Value::Bool(_)) => true,
        (Type::Int, Value::Int(_) | Value::BigInt(_) | Value::Bool(_) | Value::Enum(..)) => true,
        (Type::Float, Value::Float(_) | Value::Int(_) | Value::BigInt(_) | Value::Bool(_)) => true,
        (Type::Str, Value::Str(_) | Value::Enum(..)) => true,
        (Type::Bytes, Value::Bytes(_)) | (Type::List(_), Value::List(_)) => true,
        (Type::Dict(..), Value::Dict(_)) | (Type::Set(_), Value::Set(_)) => true,
        (Type::Tuple(_) | Type::TupleOf(_), Value::Tuple(_)) => true,
        (Type::FrozenSet(_), Value::FrozenSet(_)) | (Type::Decimal, Value::Decimal(_)) => true,
        _ => false,
    }
}
