//! What `import sostenuto` offers, read from the library itself, and where an import of it goes.

use crate::hir::{ExprKind, StmtKind};
use crate::model::{FileId, Model};
use crate::span::Span;

const LIBRARY: &str = include_str!("../../../../python/sostenuto/__init__.py");

/// The public names: the list `__all__`.
pub(crate) fn exports() -> Vec<&'static str> {
    let list = LIBRARY.split_once("__all__ = [").and_then(|(_, rest)| rest.split_once(']'));
    list.map_or_else(Vec::new, |(list, _)| list.split('"').skip(1).step_by(2).collect())
}

/// The edit that imports a name of the library.
pub(crate) fn import(model: &Model<'_>, file: FileId, name: &str) -> (Span, String) {
    let ours = model.files[file].tree.body.iter().find_map(|stmt| match &stmt.kind {
        StmtKind::ImportFrom(import) if import.module.as_ref().is_some_and(|m| m.name == "sostenuto") => {
            import.names.last().filter(|a| a.asname.is_none() && a.name.name != "*").map(|a| a.name.span.end)
        }
        _ => None,
    });
    match ours {
        Some(end) => (Span::at(end), format!(", {name}")),
        None => (top(model, file), format!("from sostenuto import {name}\n")),
    }
}

/// Where a new import goes: after the docstring and `from __future__`.
pub(crate) fn top(model: &Model<'_>, file: FileId) -> Span {
    let first = model.files[file].tree.body.iter().find(|stmt| match &stmt.kind {
        StmtKind::Expr(expr) => !matches!(expr.kind, ExprKind::Str(_)),
        StmtKind::ImportFrom(import) => import.module.as_ref().is_none_or(|m| m.name != "__future__"),
        _ => true,
    });
    let source = &model.files[file].source.source;
    let offset = first.map_or(source.len(), |stmt| stmt.span.start as usize);
    Span::at(source[..offset].rfind('\n').map_or(0, |i| i + 1) as u32)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_library_tells_its_names() {
        let exports = super::exports();
        for name in ["Aborted", "Persistent", "entity", "service", "transaction"] {
            assert!(exports.contains(&name), "{name}");
        }
    }
}
