//! Calls between services: the service, the method and the arguments must exist. In the mu2sls dialect, whose callees
//! are strings, this is only a warning.

use super::arguments;
use crate::colour::{CallKind, Primitive, classify};
use crate::diagnostic::{Report, Sink};
use crate::hir::{Call, Expr, ExprKind};
use crate::model::{Entity, FileId, FunctionId, Model, Role, ServiceId};
use crate::similar::similar;
use crate::span::Span;
use crate::walk::expressions;

pub(super) fn check(model: &Model<'_>, function: FunctionId, sink: &mut Sink<'_>) {
    let info = &model.functions[function];
    let mut checker = Checker { model, file: info.file, sink };
    expressions(&info.hir.body, &mut |expr| {
        if let ExprKind::Call(call) = &expr.kind {
            checker.call(expr.span, call);
        }
    });
}

struct Checker<'c, 'a, 's> {
    model: &'c Model<'a>,
    file: FileId,
    sink: &'c mut Sink<'s>,
}

impl<'a> Checker<'_, 'a, '_> {
    fn call(&mut self, span: Span, call: &'a Call) {
        match classify(self.model, self.file, call) {
            CallKind::Remote(service, method) => {
                let at = member(&call.func);
                self.method(service, &method, at, call, 0, false);
            }
            CallKind::Send => self.send(span, call),
            CallKind::Primitive(Primitive::SyncInvoke | Primitive::AsyncInvoke) => self.named(call),
            CallKind::Task(callee) => {
                let info = &self.model.functions[callee];
                if let Some(problem) = arguments::mismatch(&info.hir.params, call, 0) {
                    let message = format!("the arguments do not fit `{}`: {problem}", info.hir.name.name);
                    self.sink.add(Report::error("SOS0203", self.file, call.func.span, message));
                }
            }
            CallKind::Helper(callee) if self.model.functions[callee].template => {
                let message = format!("`{}` is called without an object", self.model.function_name(callee));
                let report = Report::error("SOS0124", self.file, call.func.span, message);
                self.sink.add(report.help("write `super().method(…)`, or `self.method(…)`"));
            }
            CallKind::Helper(callee) => {
                self.without_client(call);
                self.own_method(call, callee);
            }
            _ => self.client(call),
        }
    }

    /// `Account(key)`, `Hotel()`.
    fn client(&mut self, call: &'a Call) {
        let Entity::Class(class) = self.model.resolve(self.file, &call.func) else { return };
        if self.model.classes[class].is_base {
            let message = format!("`{}` is a base class of a service", self.model.classes[class].hir.name.name);
            let report = Report::error("SOS0124", self.file, call.func.span, message).here("made on its own here");
            return self.sink.add(report.help("make a service of it, or give values a class of their own"));
        }
        let Some(service) = self.model.classes[class].service else { return };
        let name = self.model.services[service].name;
        let given = call.args.len() + call.keywords.len();
        let report = match &self.model.services[service].entity_key {
            Some(_) if given != 1 || call.args.len() != 1 => {
                let message = format!("`{name}` is an entity and takes its key");
                Report::error("SOS0204", self.file, call.func.span, message).help(format!("write `{name}(key)`"))
            }
            None if given > 0 => {
                let message = format!("`{name}` is a service and takes no arguments");
                Report::error("SOS0204", self.file, call.func.span, message).help(format!("write `{name}()`"))
            }
            _ => return,
        };
        self.sink.add(report);
    }

    /// `Account.deposit(5)`: a method of the class, not of a client.
    fn without_client(&mut self, call: &'a Call) {
        let ExprKind::Attribute(base, method) = &call.func.kind else { return };
        let Entity::Class(class) = self.model.resolve(self.file, base) else { return };
        let Some(service) = self.model.classes[class].service else { return };
        let info = &self.model.services[service];
        let plain = info.method(&method.name).is_none_or(|f| self.model.functions[f].role == Role::Plain);
        if plain {
            let name = info.name;
            let message = format!("`{name}.{}` is called without a client", method.name);
            let help = match info.entity_key {
                Some(_) => format!("write `{name}(key).{}(…)`", method.name),
                None => format!("write `{name}().{}(…)`", method.name),
            };
            self.sink.add(Report::error("SOS0204", self.file, call.func.span, message).help(help));
        }
    }

    /// `self.method(…)`: what does not fit is told now, not when it is reached.
    fn own_method(&mut self, call: &'a Call, callee: FunctionId) {
        let info = &self.model.functions[callee];
        let Some(service) = info.class.and_then(|c| self.model.classes[c].service) else { return };
        let Entity::Method(_) = self.model.resolve(self.file, &call.func) else { return };
        let skip = usize::from(info.role != Role::Static);
        if matches!(info.role, Role::Property | Role::Setter | Role::Decorated) {
            return;
        }
        if let Some(problem) = arguments::mismatch(info.hir.params.get(skip..).unwrap_or_default(), call, 0) {
            let message = format!("the arguments do not fit `{}`: {problem}", self.model.function_name(callee));
            let lenient = self.model.services[service].mu2sls;
            self.sink.add(Report::error("SOS0203", self.file, member(&call.func), message).lenient(lenient));
        }
    }

    fn send(&mut self, span: Span, call: &'a Call) {
        let target = call.args.first().map(|t| (t, self.model.resolve(self.file, t)));
        match target {
            Some((target, Entity::Remote(service, method))) => {
                let (at, mu2sls) = (member(target), false);
                self.method(service, &method, at, call, 1, mu2sls);
            }
            Some((target, _)) if self.is_remote_call(target) && call.args.len() + call.keywords.len() == 1 => {}
            _ => {
                let message = "`send` takes a call of a client";
                let help = "write `send(self.hotel.reserve(…))` or `send(Account(key).deposit(…))`";
                self.sink.add(Report::error("SOS0210", self.file, span, message).help(help));
            }
        }
    }

    fn is_remote_call(&self, target: &'a Expr) -> bool {
        target.as_call().is_some_and(|call| matches!(classify(self.model, self.file, call), CallKind::Remote(..)))
    }

    /// `SyncInvoke('Service', 'method', …)`.
    fn named(&mut self, call: &'a Call) {
        let [service, method, ..] = call.args.as_slice() else {
            let message = "the names of the service and the method are missing";
            self.sink.add(Report::error("SOS0203", self.file, call.func.span, message));
            return;
        };
        let (Some(name), Some(called)) = (service.as_str(), method.as_str()) else { return };
        match self.model.service_named(name) {
            Some(id) => self.method(id, called, method.span, call, 2, true),
            None => {
                let message = format!("there is no service `{name}`");
                let report = Report::warning("SOS0201", self.file, service.span, message);
                self.sink.add(report.note("the call fails when it is reached"));
            }
        }
    }

    fn method(&mut self, service: ServiceId, method: &str, at: Span, call: &'a Call, skip: usize, lenient: bool) {
        let info = &self.model.services[service];
        let name = info.name;
        let known = info.method(method).filter(|f| self.model.functions[*f].role == Role::Plain);
        let Some(function) = known.filter(|_| !method.starts_with("__")) else {
            let message = format!("`{name}` has no method `{method}`");
            let mut report = Report::error("SOS0202", self.file, at, message).lenient(lenient);
            if let Some(similar) = similar(info.methods.iter().map(|(n, _)| *n).filter(|n| !n.starts_with('_')), method)
            {
                let text = if skip == 2 { format!("'{similar}'") } else { similar.to_owned() };
                report = report.change(format!("there is a method `{similar}`"), at, text);
            } else if info.field(method).is_some() {
                report = report.help(format!("`{method}` is a field: add a method that gives what you need of it"));
            }
            return self.sink.add(report);
        };
        if method.starts_with('_') && !lenient {
            let message = format!("`{name}.{method}` is private: its name begins with an underscore");
            let report = Report::error("SOS0208", self.file, at, message);
            return self.sink.add(report.help("rename it, or add a public method that calls it"));
        }
        let hir = self.model.functions[function].hir;
        if let Some(problem) = arguments::mismatch(hir.params.get(1..).unwrap_or_default(), call, skip) {
            let names: Vec<&str> = hir.params.iter().skip(1).map(|p| p.name.name.as_str()).collect();
            let message = format!("the arguments do not fit `{name}.{method}`: {problem}");
            let mut report = Report::error("SOS0203", self.file, at, message).lenient(lenient);
            report = report.note(format!("it takes ({})", names.join(", ")));
            if self.model.functions[function].file == self.file {
                report = report.label(hir.name.span, "defined here");
            }
            let unknown =
                call.keywords.iter().filter_map(|k| k.name.as_ref()).find(|k| !names.contains(&k.name.as_str()));
            if let Some(unknown) = unknown
                && let Some(similar) = similar(names.iter().copied(), &unknown.name)
            {
                report = report.change(format!("there is a parameter `{similar}`"), unknown.span, similar);
            }
            self.sink.add(report);
        }
    }
}

/// The place of the method's name.
fn member(func: &Expr) -> Span {
    match &func.kind {
        ExprKind::Attribute(_, name) => name.span,
        _ => func.span,
    }
}
