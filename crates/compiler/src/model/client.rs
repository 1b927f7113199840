//! `@client` classes: the interface of a service that is written elsewhere. They hold methods without bodies, and the
//! key's type of an entity; whether the service is so is checked when an application starts.

use super::{Class, Model, Role, ServiceId};
use crate::diagnostic::{Report, Sink};
use crate::hir::{ExprKind, Function, Param, ParamKind, Stmt, StmtKind};
use crate::span::Span;

/// `key: str` makes it the client of an entity.
pub(super) fn has_key(class: &Class<'_>) -> bool {
    class.hir.body.iter().any(is_key)
}

fn is_key(stmt: &Stmt) -> bool {
    matches!(&stmt.kind, StmtKind::Annotated { target, .. } if target.as_name() == Some("key"))
}

/// Refuses what is more than an interface.
pub(super) fn check(model: &Model<'_>, service: ServiceId, sink: &mut Sink<'_>) {
    let class = &model.classes[model.services[service].class];
    let mut refuse = |span: Span, message: String, help: &str| {
        sink.add(Report::error("SOS0125", class.file, span, message).help(help));
    };
    let name = &class.hir.name.name;
    if let Some(base) = class.hir.bases.first() {
        refuse(base.span, format!("the client `{name}` cannot have base classes"), "list the methods here");
    }
    for stmt in class.hir.body.iter().filter(|stmt| !is_key(stmt) && !is_nothing(stmt)) {
        let StmtKind::Function(function) = &stmt.kind else {
            let message = format!("the client `{name}` states the methods of a service, and holds nothing else");
            refuse(stmt.span, message, "the state of the service is where it is written");
            continue;
        };
        let role = class.functions.iter().map(|id| &model.functions[*id]).find(|f| f.hir.name == function.name);
        if let Some((span, message, help)) = problem(function, role.map_or(Role::Plain, |f| f.role)) {
            refuse(span, message, help);
        }
    }
}

/// What a method of a client cannot be.
fn problem(function: &Function, role: Role) -> Option<(Span, String, &'static str)> {
    let name = &function.name;
    if name.name.starts_with('_') {
        let message = format!("`{}` is no method that can be called: its name begins with an underscore", name.name);
        return Some((name.span, message, "state the public methods only"));
    }
    if let Some(decorator) = function.decorators.first().filter(|_| role != Role::Plain) {
        return Some((decorator.span, "a method of a client has no decorator".to_owned(), "remove it"));
    }
    if let Some(stmt) = function.body.iter().find(|stmt| !is_nothing(stmt)) {
        let message = format!("`{}` has a body, which would never run: the service is written elsewhere", name.name);
        return Some((stmt.span, message, "write `...`"));
    }
    function.params.iter().skip(1).find_map(parameter)
}

fn parameter(param: &Param) -> Option<(Span, String, &'static str)> {
    let name = &param.name;
    if matches!(param.kind, ParamKind::VarPositional | ParamKind::VarKeyword) {
        let message = format!("`{}` stands for any arguments, which no service elsewhere takes", name.name);
        return Some((name.span, message, "name the parameters"));
    }
    let default = param.default.as_ref().filter(|d| !matches!(d.kind, ExprKind::None | ExprKind::Ellipsis))?;
    let message = format!("the default of `{}` would have no effect: the service decides what is left out", name.name);
    Some((default.span, message, "write `= None` or `= ...` for an argument that may be left out"))
}

/// A docstring, `...`, `pass`, `raise NotImplementedError`.
fn is_nothing(stmt: &Stmt) -> bool {
    match &stmt.kind {
        StmtKind::Pass => true,
        StmtKind::Expr(expr) => matches!(expr.kind, ExprKind::Str(_) | ExprKind::Ellipsis),
        StmtKind::Raise(Some(raised), None) => {
            let class = raised.as_call().map_or(raised, |call| &call.func);
            class.as_name() == Some("NotImplementedError")
        }
        _ => false,
    }
}
