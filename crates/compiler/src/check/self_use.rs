//! What a service does with `self`: it reads and assigns declared fields, and calls its own methods. Anything by which
//! other state could hide in the object, or the object could leave its class, is refused.

use std::collections::BTreeSet;

use super::targets;
use crate::diagnostic::{Report, Sink};
use crate::hir::*;
use crate::model::{Binding, Entity, FileId, FunctionId, Model, ServiceId};
use crate::similar::similar;
use crate::span::Span;
use crate::walk::statements;
use protocol::manifest::FieldKind;

pub(super) fn check(model: &Model<'_>, function: FunctionId, sink: &mut Sink<'_>) {
    let info = &model.functions[function];
    let Some(service) = model.service_of(function) else { return };
    if info.hir.name.name == "__init__" && info.parent.is_none() {
        return;
    }
    let mut checker = Checker { model, file: info.file, service, assigned: assigned(model, service), sink };
    statements(&info.hir.body, &mut |stmt| {
        targets(stmt, &mut |target| checker.target(stmt, target));
        stmt.exprs(&mut |expr| checker.expr(expr, false));
    });
}

struct Checker<'c, 'a, 's> {
    model: &'c Model<'a>,
    file: FileId,
    service: ServiceId,
    /// Attributes that some method assigns.
    assigned: BTreeSet<&'a str>,
    sink: &'c mut Sink<'s>,
}

fn assigned<'a>(model: &Model<'a>, service: ServiceId) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (_, function) in &model.services[service].methods {
        statements(&model.functions[*function].hir.body, &mut |stmt| {
            targets(stmt, &mut |target| {
                if let ExprKind::Attribute(_, name) = &target.kind {
                    names.insert(name.name.as_str());
                }
            });
        });
    }
    names
}

impl<'a> Checker<'_, 'a, '_> {
    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.sink.add(Report::error(code, self.file, span, message).help(help));
    }

    fn is_self(&self, expr: &'a Expr) -> bool {
        matches!(self.model.resolve(self.file, expr), Entity::SelfRef(class)
            if self.model.classes[class].service.is_some())
    }

    fn is_super(&self, expr: &'a Expr) -> bool {
        matches!(self.model.resolve(self.file, expr), Entity::Super(..))
    }

    /// The name of the parameter itself, not one that was given the object.
    fn is_parameter(&self, expr: &Expr, name: &str) -> bool {
        let bound = self.model.binding_scope(self.model.scope_at(self.file, expr), name);
        bound.is_some_and(|b| matches!(self.model.scopes[b].bindings[name].first(), Some(Binding::Param { .. })))
    }

    fn target(&mut self, stmt: &Stmt, target: &'a Expr) {
        let ExprKind::Attribute(base, name) = &target.kind else { return };
        if !self.is_self(base) {
            return;
        }
        let info = &self.model.services[self.service];
        let deletes = matches!(stmt.kind, StmtKind::Delete(_));
        match info.field(&name.name) {
            Some(field) if deletes && info.fields[field].kind == FieldKind::Scalar => {
                let message = format!("the field `{}` cannot be deleted", name.name);
                self.error("SOS0509", target.span, message, "assign `None` or its initial value");
            }
            Some(_) if deletes => {
                let message = format!("the field `{}` cannot be deleted", name.name);
                self.error("SOS0509", target.span, message, format!("write `self.{}.clear()`", name.name));
            }
            Some(_) => {}
            None if name.name == "key" && info.entity_key.is_some() => {
                self.error("SOS0501", target.span, "the key of an entity cannot be changed", "call another entity");
            }
            None if !deletes && info.method(&name.name).is_some_and(|f| self.model.setter(f).is_some()) => {}
            None if info.client(&name.name).is_some() || info.method(&name.name).is_some() => {
                let message = format!("`self.{}` cannot be replaced", name.name);
                self.error("SOS0501", target.span, message, "use a local name");
            }
            None => self.undeclared(name),
        }
    }

    /// `self.name = …`, and no field of that name.
    fn undeclared(&mut self, name: &Ident) {
        let info = &self.model.services[self.service];
        let message = format!("`self.{}` is not a persistent field", name.name);
        let mut report = Report::error("SOS0501", self.file, name.span, message);
        let fields = info.fields.iter().map(|f| f.name.as_str());
        let bodies = self.model.classes[info.class].mro.iter().map(|class| &self.model.classes[*class]);
        let found = bodies.flat_map(|class| class.hir.body.iter().map(move |stmt| (class, stmt)));
        let own = self.model.origin(self.file);
        if let Some((class, plain)) = found.into_iter().find(|(_, stmt)| declares(stmt, &name.name)) {
            if matches!(&plain.kind, StmtKind::Annotated { value: None, .. }) {
                // That it has no value is told there.
                return;
            }
            if class.file != own {
                return self.sink.add(report.help("it is declared without `Persistent` in a base class"));
            }
            report = report.label(plain.span, "declared here without `Persistent`: a constant of the class");
            if let Some((span, text)) = persistent(self.model, class.file, plain) {
                report = report.change("make it persistent", span, text);
            }
        } else if let Some(similar) = similar(fields, &name.name) {
            report = report.change(format!("there is a field `{similar}`"), name.span, similar);
        } else {
            report = report.help(match info.mu2sls {
                true => {
                    "declare it in `__init__` with a comment `# type: Persistent[…]`, or use a local name".to_owned()
                }
                false => format!("declare it as `{}: Persistent[…] = …` in the class, or use a local name", name.name),
            });
        }
        self.sink.add(report);
    }

    /// `below` is true under an attribute access, where `self` is at home.
    fn expr(&mut self, expr: &'a Expr, below: bool) {
        match &expr.kind {
            ExprKind::Name(name) if !below && self.is_parameter(expr, name) && self.is_self(expr) => {
                self.object(expr.span, name);
            }
            ExprKind::Attribute(base, name) if self.is_super(base) => {
                if !matches!(self.model.resolve(self.file, expr), Entity::Method(_)) {
                    let message = format!("no base class defines a method `{}`", name.name);
                    self.error("SOS0508", expr.span, message, "fields are reached as `self.name`");
                }
            }
            ExprKind::Attribute(base, name) => {
                if self.is_self(base) {
                    self.member(expr.span, name);
                }
                self.expr(base, true);
            }
            ExprKind::Call(call) => self.call(expr, call),
            _ => expr.children(&mut |child| self.expr(child, false)),
        }
    }

    /// The object itself, as a value.
    fn object(&mut self, span: Span, name: &str) {
        let message = format!("`{name}` cannot be used as a value");
        let report =
            Report::error("SOS0506", self.file, span, message.replace("`self`", "`self`, the service itself,"));
        let param = self.model.functions_of(self.file).iter().find_map(|f| {
            let first = f.hir.params.first().map(|p| &p.name)?;
            (f.class.is_some() && f.hir.body.iter().any(|s| s.span.contains(span)) && first.name == name)
                .then_some(first)
        });
        self.sink.add(match param.filter(|p| p.name != "self") {
            Some(param) => report
                .label(param.span, format!("the first parameter of a method is the service itself, so `{name}` is"))
                .change("add `self`", Span::at(param.span.start), "self, "),
            None => report.help("pass the values that are needed, or make the function a method"),
        });
    }

    fn member(&mut self, span: Span, name: &Ident) {
        let (at, name) = (name.span, name.name.as_str());
        let special = name.starts_with("__") && name.ends_with("__");
        if special && self.model.services[self.service].method(name).is_none() {
            let message = format!("`self.{name}` reaches behind the fields of the service");
            self.error("SOS0507", span, message, "name the fields that are meant");
        } else if !special && !self.is_declared(name) {
            let info = &self.model.services[self.service];
            let message = format!("`{}` has no attribute `{name}`", info.name);
            let report = Report::error("SOS0511", self.file, span, message).lenient(info.mu2sls);
            let fields = info.fields.iter().map(|f| f.name.as_str());
            let names = fields.chain(info.clients.iter().map(|c| c.0.as_str())).chain(info.methods.iter().map(|m| m.0));
            self.sink.add(match similar(names, name) {
                Some(similar) => report.change(format!("there is `{similar}`"), at, similar),
                None => report.help("declare it in the class, or correct the name"),
            });
        }
    }

    fn is_declared(&self, name: &str) -> bool {
        let info = &self.model.services[self.service];
        let mut scopes =
            self.model.classes[info.class].mro.iter().map(|c| &self.model.scopes[self.model.classes[*c].scope]);
        let known = info.field(name).is_some()
            || info.client(name).is_some()
            || scopes.any(|scope| scope.bindings.contains_key(name));
        // What a method assigns is told where it is assigned.
        known
            || self.assigned.contains(name)
            || name == "key" && info.entity_key.is_some()
            || self.model.declares(info.class, name)
    }

    fn call(&mut self, expr: &'a Expr, call: &'a Call) {
        let path = match self.model.resolve(self.file, &call.func) {
            Entity::Path(path) => path,
            _ => String::new(),
        };
        if path == "builtins.super" {
            let bases = self.model.classes[self.model.services[self.service].class].mro.len() > 1;
            let (message, help) = match bases {
                true => ("`super()` is for `super().method(…)`", "call the method that is meant"),
                false => {
                    ("`super()` has nothing to reach: the service has no base class", "call a function of the module")
                }
            };
            self.error("SOS0508", expr.span, message, help);
        }
        let dynamic = matches!(
            path.as_str(),
            "builtins.getattr"
                | "builtins.setattr"
                | "builtins.delattr"
                | "builtins.hasattr"
                | "builtins.vars"
                | "builtins.dir"
        );
        if dynamic && call.args.first().is_some_and(|a| self.is_self(a)) {
            let shown = path.trim_start_matches("builtins.");
            let message = format!("`{shown}(self, …)`: which field is meant must be known");
            self.error("SOS0507", expr.span, message, "write `self.name`, or use a dict field");
            return call.args.iter().skip(1).for_each(|a| self.expr(a, false));
        }
        expr.children(&mut |child| self.expr(child, false));
    }
}

/// True for `name: … = …` and `name = …` in a class body.
fn declares(stmt: &Stmt, name: &str) -> bool {
    match &stmt.kind {
        StmtKind::Annotated { target, .. } => target.as_name() == Some(name),
        StmtKind::Assign(assign) => assign.targets.iter().any(|t| t.as_name() == Some(name)),
        _ => false,
    }
}

/// The edit that makes a declaration persistent, if `Persistent` is at hand.
pub(super) fn persistent(model: &Model<'_>, file: FileId, stmt: &Stmt) -> Option<(Span, String)> {
    model.scopes[model.files[file].scope].bindings.get("Persistent")?;
    match &stmt.kind {
        StmtKind::Annotated { annotation, value: Some(_), .. } => {
            Some((annotation.span, format!("Persistent[{}]", model.text(file, annotation.span))))
        }
        StmtKind::Assign(assign) if assign.targets.len() == 1 => {
            let ty = match &assign.value.kind {
                ExprKind::Int(_) => "int",
                ExprKind::Float(_) => "float",
                ExprKind::Str(_) => "str",
                ExprKind::Bool(_) => "bool",
                ExprKind::List(_) => "list",
                ExprKind::Dict(_) => "dict",
                _ => return None,
            };
            Some((Span::at(assign.targets[0].span.end), format!(": Persistent[{ty}]")))
        }
        _ => None,
    }
}
