//! State that is not persistent: globals of modules, attributes of classes and modules, mutable defaults. A step leaves
//! nothing behind but what its fields hold, so changing these is refused.

use super::{root, targets};
use crate::diagnostic::{Report, Sink};
use crate::flow::tables;
use crate::hir::*;
use crate::model::{Binding, Entity, FileId, FunctionId, Model, ScopeId, ScopeKind};
use crate::span::Span;
use crate::walk::{expressions, statements};

pub(super) fn check(model: &Model<'_>, function: FunctionId, sink: &mut Sink<'_>) {
    let info = &model.functions[function];
    let mut checker = Checker { model, file: info.file, function, sink };
    statements(&info.hir.body, &mut |stmt| {
        if let StmtKind::Global(names) = &stmt.kind {
            let message = format!("`global {}`: a module's globals are not persistent", names[0].name);
            let report = Report::error("SOS0502", info.file, stmt.span, message);
            checker.sink.add(report.help("keep it in a persistent field of a service"));
        }
        targets(stmt, &mut |target| checker.target(target));
    });
    expressions(&info.hir.body, &mut |expr| {
        if let ExprKind::Call(call) = &expr.kind {
            checker.call(call);
        }
    });
}

/// Following imports deeper than this gives up.
const IMPORTS_MAX: u32 = 16;

struct Checker<'c, 'a, 's> {
    model: &'c Model<'a>,
    file: FileId,
    function: FunctionId,
    sink: &'c mut Sink<'s>,
}

impl<'a> Checker<'_, 'a, '_> {
    fn target(&mut self, target: &'a Expr) {
        let (ExprKind::Attribute(base, _) | ExprKind::Subscript(base, _)) = &target.kind else { return };
        match self.model.resolve(self.file, base) {
            Entity::Class(_) | Entity::ClassRef(_) if matches!(target.kind, ExprKind::Attribute(..)) => {
                let message = "an attribute of a class is not persistent, and cannot be changed";
                let report = Report::error("SOS0504", self.file, target.span, message);
                self.sink.add(report.help("keep it in a persistent field of a service"));
            }
            Entity::Module(_) => self.module_state(target.span, "an attribute of a module"),
            Entity::Path(path) if !path.starts_with("builtins.") => {
                self.module_state(target.span, "an attribute of a module");
            }
            _ => self.changed(base, target.span),
        }
    }

    fn call(&mut self, call: &'a Call) {
        let ExprKind::Attribute(base, name) = &call.func.kind else { return };
        if tables::changes(&name.name) {
            self.changed(base, call.func.span);
        }
    }

    /// Something below `base` is changed in place.
    fn changed(&mut self, base: &'a Expr, span: Span) {
        let Some(name) = root(base) else { return };
        let scope = self.model.scope_at(self.file, name);
        let Some(text) = name.as_name() else { return };
        let Some(bound) = self.model.binding_scope(scope, text) else { return };
        let own = self.model.functions[self.function].hir.name.name.as_str();
        let at_import = matches!(own, "__init_subclass__" | "__set_name__");
        let class = !at_import && matches!(self.model.resolve(self.file, name), Entity::Class(_) | Entity::ClassRef(_));
        if class && !matches!(base.kind, ExprKind::Name(_)) {
            let message = "what a class holds is not persistent, and cannot be changed";
            let report = Report::error("SOS0504", self.file, span, message);
            return self.sink.add(report.help("keep it in a persistent field of a service"));
        }
        match self.model.scopes[bound].kind {
            ScopeKind::Module if self.is_variable(bound, text, IMPORTS_MAX) => {
                self.module_state(span, &format!("`{text}`, a variable of the module,"));
            }
            ScopeKind::Function(owner) if owner == self.function => self.default(text, span),
            _ => {}
        }
    }

    /// A name of a module that is neither imported from outside, nor a class or function.
    fn is_variable(&self, scope: ScopeId, name: &str, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        let Some(bindings) = self.model.scopes[scope].bindings.get(name) else { return false };
        bindings.iter().any(|binding| match binding {
            Binding::Value(_) | Binding::Annotated { .. } | Binding::Element(_) | Binding::With(_) | Binding::Other => {
                true
            }
            Binding::From { module, name } => self
                .model
                .module(module)
                .is_some_and(|file| self.is_variable(self.model.files[file].scope, name, depth)),
            Binding::Param { .. } | Binding::Import(_) | Binding::Function(_) | Binding::Class(_) => false,
        })
    }

    fn module_state(&mut self, span: Span, what: &str) {
        let report = Report::error("SOS0503", self.file, span, format!("{what} is changed, but is not persistent"));
        let report = report.note("each worker process has its own copy, and a step may run more than once");
        self.sink.add(report.help("keep it in a persistent field of a service"));
    }

    /// A parameter with a mutable default that is changed.
    fn default(&mut self, name: &str, span: Span) {
        let params = &self.model.functions[self.function].hir.params;
        let Some(param) = params.iter().find(|p| p.name.name == name) else { return };
        let Some(default) = &param.default else { return };
        let mutable = match &default.kind {
            ExprKind::List(_) | ExprKind::Dict(_) | ExprKind::Set(_) | ExprKind::Comp(_) => true,
            ExprKind::Call(call) => matches!(call.func.as_name(), Some("list" | "dict" | "set")),
            _ => false,
        };
        if mutable {
            let message = format!("the default of `{name}` is changed: it would be shared by all calls");
            let report = Report::error("SOS0505", self.file, span, message).label(default.span, "the default");
            self.sink.add(report.help(format!("write `{name}=None`, and make a new one in the body")));
        }
    }
}
