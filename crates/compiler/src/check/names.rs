//! Names that nothing defines: Python would find out only where they are reached. Where a module does things that hide
//! its names (`import *`, type parameters), nothing is said.

use std::collections::BTreeSet;

use super::library;
use crate::diagnostic::{Report, Sink};
use crate::hir::*;
use crate::model::{FileId, Model};
use crate::similar::similar;
use crate::span::Span;
use crate::walk::statements;

pub(super) fn check(model: &Model<'_>, file: FileId, sink: &mut Sink<'_>) {
    let body = model.files[file].tree.body.as_slice();
    if is_open(model, file) {
        return;
    }
    let scopes = &model.scopes[model.files[file].scopes.clone()];
    let globals = scopes.iter().flat_map(|s| s.globals.iter().chain(&s.nonlocals).copied()).collect();
    let lazy = body.iter().any(|stmt| is_future_annotations(&stmt.kind));
    let mut checker = Checker { model, file, sink, globals, lazy, function: false };
    checker.block(body);
}

/// True if the module's names cannot all be known.
fn is_open(model: &Model<'_>, file: FileId) -> bool {
    let mut open = model.services.iter().any(|s| s.mu2sls);
    let bodies = model.functions_of(file).iter().map(|f| f.hir.body.as_slice());
    for body in std::iter::once(model.files[file].tree.body.as_slice()).chain(bodies) {
        statements(body, &mut |stmt| match &stmt.kind {
            StmtKind::ImportFrom(import) => open |= import.names.iter().any(|a| a.name.name == "*"),
            StmtKind::TypeAlias(..) => open = true,
            _ => {}
        });
    }
    let parametric = |name: &Ident| model.text(file, Span::new(name.span.end, name.span.end + 1)) == "[";
    open || model.functions_of(file).iter().any(|f| parametric(&f.hir.name))
        || model.classes[model.files[file].classes.clone()].iter().any(|c| parametric(&c.hir.name))
}

fn is_future_annotations(kind: &StmtKind) -> bool {
    matches!(kind, StmtKind::ImportFrom(import) if import.module.as_ref().is_some_and(|m| m.name == "__future__")
        && import.names.iter().any(|a| a.name.name == "annotations"))
}

struct Checker<'c, 'a, 's> {
    model: &'c Model<'a>,
    file: FileId,
    sink: &'c mut Sink<'s>,
    /// Names that some function declares `global` or `nonlocal`.
    globals: BTreeSet<&'a str>,
    /// Annotations are not evaluated.
    lazy: bool,
    /// In a function's body, where annotations of names are not evaluated either.
    function: bool,
}

impl<'a> Checker<'_, 'a, '_> {
    fn block(&mut self, body: &'a [Stmt]) {
        for stmt in body {
            self.stmt(stmt);
            stmt.blocks(&mut |block| self.block(block));
        }
    }

    fn stmt(&mut self, stmt: &'a Stmt) {
        match &stmt.kind {
            StmtKind::Function(function) => {
                function.decorators.iter().for_each(|d| self.expr(d, true));
                function.params.iter().filter_map(|p| p.default.as_ref()).for_each(|d| self.expr(d, false));
                let annotations = function.params.iter().filter_map(|p| p.annotation.as_ref()).chain(&function.returns);
                let lazy = self.lazy;
                annotations.filter(|_| !lazy).for_each(|a| self.expr(a, false));
                let before = std::mem::replace(&mut self.function, true);
                self.block(&function.body);
                self.function = before;
            }
            StmtKind::Class(class) => {
                class.decorators.iter().for_each(|d| self.expr(d, true));
                class.bases.iter().chain(class.keywords.iter().map(|k| &k.value)).for_each(|e| self.expr(e, false));
                let before = std::mem::replace(&mut self.function, false);
                self.block(&class.body);
                self.function = before;
            }
            StmtKind::Annotated { target, annotation, value } => {
                value.iter().for_each(|v| self.expr(v, false));
                self.expr(target, false);
                // A bare name without a value is told as a field or client that is none.
                let bare = value.is_none() && annotation.as_name().is_some();
                if !self.lazy && !self.function && !bare {
                    self.expr(annotation, false);
                }
            }
            _ => stmt.exprs(&mut |expr| self.expr(expr, false)),
        }
    }

    fn expr(&mut self, expr: &'a Expr, decorator: bool) {
        expr.walk(&mut |inner| {
            let ExprKind::Name(name) = &inner.kind else { return };
            let scope = self.model.scope_at(self.file, inner);
            let known = self.model.binding_scope(scope, name).is_some()
                || self.globals.contains(name.as_str())
                || BUILTINS.contains(&name.as_str())
                || name.starts_with("__") && name.ends_with("__");
            if !known {
                self.undefined(inner.span, scope, name, decorator);
            }
        });
    }

    fn undefined(&mut self, span: Span, scope: usize, name: &str, decorator: bool) {
        let message = format!("the name `{name}` is not defined");
        // A decorator runs when the module is loaded.
        let report = Report::error("SOS0118", self.file, span, message).lenient(!decorator);
        let mut visible: Vec<&str> = BUILTINS.to_vec();
        let mut at = Some(scope);
        while let Some(inner) = at {
            visible.extend(self.model.scopes[inner].bindings.keys());
            at = self.model.scopes[inner].parent;
        }
        let exports = library::exports();
        let module = ["asyncio", "datetime", "json", "logging", "math", "os", "random", "re", "time", "uuid"];
        let report = if exports.contains(&name) {
            let (at, text) = library::import(self.model, self.file, name);
            report.change("import it", at, text)
        } else if module.contains(&name) {
            let at = library::top(self.model, self.file);
            report.change("import it", at, format!("import {name}\n"))
        } else if let Some(similar) = similar(visible, name) {
            report.change(format!("there is `{similar}`"), span, similar)
        } else if let Some(similar) = similar(exports, name).filter(|_| decorator) {
            let (at, text) = library::import(self.model, self.file, similar);
            let report = report.change(format!("`sostenuto` has `{similar}`"), span, similar);
            report.change("", at, text)
        } else {
            report.help("correct it, or import it")
        };
        self.sink.add(report);
    }
}

/// What every module finds without importing it.
#[rustfmt::skip]
const BUILTINS: &[&str] = &[
    "ArithmeticError", "AssertionError", "AttributeError", "BaseException", "BaseExceptionGroup", "BlockingIOError",
    "BrokenPipeError", "BufferError", "BytesWarning", "ChildProcessError", "ConnectionAbortedError", "ConnectionError",
    "ConnectionRefusedError", "ConnectionResetError", "DeprecationWarning", "EOFError", "Ellipsis", "EncodingWarning",
    "EnvironmentError", "Exception", "ExceptionGroup", "False", "FileExistsError", "FileNotFoundError",
    "FloatingPointError", "FutureWarning", "GeneratorExit", "IOError", "ImportError", "ImportWarning",
    "IndentationError", "IndexError", "InterruptedError", "IsADirectoryError", "KeyError", "KeyboardInterrupt",
    "LookupError", "MemoryError", "ModuleNotFoundError", "NameError", "None", "NotADirectoryError", "NotImplemented",
    "NotImplementedError", "OSError", "OverflowError", "PendingDeprecationWarning", "PermissionError",
    "ProcessLookupError", "PythonFinalizationError", "RecursionError", "ReferenceError", "ResourceWarning",
    "RuntimeError", "RuntimeWarning", "StopAsyncIteration", "StopIteration", "SyntaxError", "SyntaxWarning",
    "SystemError", "SystemExit", "TabError", "TimeoutError", "True", "TypeError", "UnboundLocalError",
    "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "UnicodeTranslateError", "UnicodeWarning",
    "UserWarning", "ValueError", "Warning", "WindowsError", "ZeroDivisionError", "abs", "aiter", "all", "anext", "any",
    "ascii", "bin", "bool", "breakpoint", "bytearray", "bytes", "callable", "chr", "classmethod", "compile", "complex",
    "copyright", "credits", "delattr", "dict", "dir", "divmod", "enumerate", "eval", "exec", "exit", "filter", "float",
    "format", "frozenset", "getattr", "globals", "hasattr", "hash", "help", "hex", "id", "input", "int", "isinstance",
    "issubclass", "iter", "len", "license", "list", "locals", "map", "max", "memoryview", "min", "next", "object",
    "oct", "open", "ord", "pow", "print", "property", "quit", "range", "repr", "reversed", "round", "set", "setattr",
    "slice", "sorted", "staticmethod", "str", "sum", "super", "tuple", "type", "vars", "zip",
];
