//! Imports that hide what a name stands for, and names that are ours.

use crate::colour::RUNTIME;
use crate::diagnostic::{Report, Sink};
use crate::hir::{Stmt, StmtKind};
use crate::model::{FileId, Model, absolute};
use crate::span::Span;
use crate::walk::statements;

pub(super) fn check(model: &Model<'_>, file: FileId, sink: &mut Sink<'_>) {
    let source = model.files[file].source;
    let bodies = model.functions_of(file).iter().map(|f| f.hir.body.as_slice());
    for body in std::iter::once(model.files[file].tree.body.as_slice()).chain(bodies) {
        statements(body, &mut |stmt| import(model, file, stmt, sink));
    }
    for scope in &model.scopes[model.files[file].scopes.clone()] {
        if scope.bindings.contains_key(RUNTIME) {
            let message = format!("the name `{RUNTIME}` belongs to the runtime");
            let at = source.source.find(RUNTIME).unwrap_or(0) as u32;
            sink.add(Report::error("SOS0005", file, Span::at(at), message).help("choose another name"));
        }
    }
    if let Some(other) = model.module(&source.module).filter(|other| *other != file) {
        let message = format!("`{}` is the module `{}`, too", model.files[other].source.path, source.module);
        sink.add(Report::error("SOS0004", file, Span::at(0), message).help("rename one of the files"));
    }
}

fn import(model: &Model<'_>, file: FileId, stmt: &Stmt, sink: &mut Sink<'_>) {
    let StmtKind::ImportFrom(import) = &stmt.kind else { return };
    let Some(module) = absolute(model.files[file].source, import) else {
        let message = "this import leaves the application's folder";
        sink.add(Report::error("SOS0004", file, stmt.span, message).help("import by the module's full name"));
        return;
    };
    let star = import.names.iter().find(|a| a.name.name == "*").map(|a| &a.name);
    if let Some(star) = star.filter(|_| hides(model, &module)) {
        let message = format!("`from {module} import *` hides which names come from there");
        sink.add(Report::error("SOS0607", file, star.span, message).help("name what you import"));
    }
}

/// Whether names of the module matter to us.
fn hides(model: &Model<'_>, module: &str) -> bool {
    const OURS: [&str; 9] = ["time", "random", "uuid", "secrets", "datetime", "os", "asyncio", "sostenuto", "compiler"];
    OURS.contains(&module) || model.module(module).is_some()
}
