//! Decorators of methods: the ones of the language that are understood, and what is still to come.

use crate::diagnostic::{Report, Sink};
use crate::hir::{Expr, ExprKind};
use crate::model::{Entity, FunctionId, Model, Role};
use crate::span::Span;
use crate::walk::expressions;

pub(super) fn check(model: &Model<'_>, function: FunctionId, sink: &mut Sink<'_>) {
    let info = &model.functions[function];
    let in_service = info.class.is_some_and(|c| model.classes[c].service.is_some());
    for decorator in &info.hir.decorators {
        let func = decorator.as_call().map_or(decorator, |c| &c.func);
        let path = match model.resolve_in(info.outer, func) {
            Entity::Path(path) => path,
            _ => String::new(),
        };
        if path == "sostenuto.task" {
            task(model, function, decorator, sink);
        } else if in_service && info.role == Role::Decorated && !KNOWN.contains(&path.as_str()) {
            let message = "a method of a service cannot have this decorator";
            let report = Report::error("SOS0111", info.file, decorator.span, message);
            let report = report.note("it could call the method at another time, or keep its results");
            sink.add(report.help("methods take `@staticmethod`, `@classmethod` and `@property` only"));
        }
    }
    if in_service && info.role == Role::Plain && info.hir.params.is_empty() {
        let message = format!("`{}` has no `self`", info.hir.name.name);
        let report = Report::error("SOS0117", info.file, info.hir.name.span, message);
        let open = info.hir.name.span.end;
        let report = report.help("add `self` as its first parameter, or `@staticmethod` before it");
        sink.add(match model.text(info.file, Span::new(open, open + 1)) {
            "(" => report.change("add `self`", Span::at(open + 1), "self"),
            _ => report,
        });
    }
}

/// `@task` is for functions of a module that return a value.
fn task(model: &Model<'_>, function: FunctionId, decorator: &Expr, sink: &mut Sink<'_>) {
    let info = &model.functions[function];
    if info.role != Role::Task {
        let message = "`@task` is for functions of a module, and stands alone";
        let report = Report::error("SOS0701", info.file, decorator.span, message);
        let report =
            report.note("a task runs in another process, which has neither `self` nor what is around a nested `def`");
        return sink.add(report.help("move it to the module, and give it what it needs as arguments"));
    }
    let mut yields = None;
    expressions(&info.hir.body, &mut |expr| {
        if matches!(expr.kind, ExprKind::Yield(_) | ExprKind::YieldFrom(_)) {
            yields.get_or_insert(expr.span);
        }
    });
    if let Some(span) = yields {
        let report = Report::error("SOS0701", info.file, span, "a task cannot yield: its result is recorded once");
        sink.add(report.help("collect the values in a list and return it"));
    }
}

const KNOWN: [&str; 7] = [
    "abc.abstractmethod",
    "builtins.staticmethod",
    "builtins.classmethod",
    "builtins.property",
    "typing.override",
    "typing.final",
    "typing_extensions.override",
];
