//! Refusals: programs that would behave differently from plain Python, or that cannot work. One file per check.

mod arguments;
mod calls;
pub(crate) mod circles;
mod decorators;
mod effects;
mod globals;
mod handlers;
mod identity;
mod imports;
pub(crate) mod library;
mod names;
mod self_use;
mod set_order;

use crate::colour::Colours;
use crate::diagnostic::Sink;
use crate::hir::{Expr, ExprKind};
use crate::model::Model;

/// Runs all checks.
pub(crate) fn run(model: &Model<'_>, colours: &Colours, sink: &mut Sink<'_>) {
    for file in 0..model.modules {
        imports::check(model, file, sink);
        names::check(model, file, sink);
    }
    circles::check(model, sink);
    for function in model.own_functions() {
        decorators::check(model, function, sink);
        if model.service_of(function).is_some_and(|service| model.services[service].elsewhere) {
            continue;
        }
        calls::check(model, function, sink);
        self_use::check(model, function, sink);
        handlers::check(model, function, sink);
        if colours.reached[function] {
            globals::check(model, function, sink);
            effects::check(model, function, sink);
            identity::check(model, function, sink);
            set_order::check(model, function, sink);
        }
    }
}

/// The name that `x.a[b].c` begins with.
fn root(expr: &Expr) -> Option<&Expr> {
    match &expr.kind {
        ExprKind::Name(_) => Some(expr),
        ExprKind::Attribute(base, _) | ExprKind::Subscript(base, _) | ExprKind::Starred(base) => root(base),
        _ => None,
    }
}

/// The targets that a statement assigns to or deletes, taken apart.
fn targets<'a>(stmt: &'a crate::hir::Stmt, f: &mut dyn FnMut(&'a Expr)) {
    use crate::hir::StmtKind;
    match &stmt.kind {
        StmtKind::Assign(assign) => assign.targets.iter().for_each(|t| parts(t, f)),
        StmtKind::Augment(target, ..) | StmtKind::Annotated { target, value: Some(_), .. } => parts(target, f),
        StmtKind::For(s) => parts(&s.target, f),
        StmtKind::With(s) => s.items.iter().filter_map(|i| i.1.as_ref()).for_each(|t| parts(t, f)),
        StmtKind::Delete(targets) => targets.iter().for_each(|t| parts(t, f)),
        _ => {}
    }
}

fn parts<'a>(target: &'a Expr, f: &mut dyn FnMut(&'a Expr)) {
    match &target.kind {
        ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|t| parts(t, f)),
        ExprKind::Starred(inner) => parts(inner, f),
        _ => f(target),
    }
}
