//! Decorators of methods: the ones of the language that are understood, and what is still to come.

use crate::diagnostic::{Report, Sink};
use crate::model::{Entity, FunctionId, Model, Role};
use crate::span::Span;

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
            let report = Report::error("SOS0701", info.file, decorator.span, "tasks are not supported yet");
            sink.add(report.help("they come with a later version"));
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

const KNOWN: [&str; 6] = [
    "builtins.staticmethod",
    "builtins.classmethod",
    "builtins.property",
    "typing.override",
    "typing.final",
    "typing_extensions.override",
];
