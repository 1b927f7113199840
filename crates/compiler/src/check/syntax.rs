//! What Python's own compiler refuses after parsing, so that it is told here and not when a worker loads the module.

use crate::diagnostic::{Report, Sink};
use crate::hir::*;
use crate::model::{FileId, Model};
use crate::span::Span;

pub(super) fn check(model: &Model<'_>, file: FileId, sink: &mut Sink<'_>) {
    let mut checker = Checker { file, sink, function: false, in_loop: false };
    checker.block(&model.files[file].tree.body);
    for function in model.functions.iter().filter(|f| f.file == file) {
        let mut names: Vec<&str> = Vec::new();
        for param in &function.hir.params {
            if names.contains(&param.name.name.as_str()) {
                checker.error(param.name.span, format!("duplicate parameter `{}`", param.name.name));
            }
            names.push(&param.name.name);
        }
    }
}

struct Checker<'c, 's> {
    file: FileId,
    sink: &'c mut Sink<'s>,
    function: bool,
    in_loop: bool,
}

impl Checker<'_, '_> {
    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.sink.add(Report::error("SOS0001", self.file, span, message));
    }

    fn block(&mut self, body: &[Stmt]) {
        body.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn inside(&mut self, function: bool, in_loop: bool, body: &[Stmt]) {
        let before = (self.function, self.in_loop);
        (self.function, self.in_loop) = (function, in_loop);
        self.block(body);
        (self.function, self.in_loop) = before;
    }

    fn stmt(&mut self, stmt: &Stmt) {
        if !self.function {
            stmt.exprs(&mut |expr| self.outside(expr));
        }
        match &stmt.kind {
            StmtKind::Function(function) => self.inside(true, false, &function.body),
            StmtKind::Class(class) => self.inside(false, false, &class.body),
            StmtKind::Return(_) if !self.function => self.error(stmt.span, "`return` outside of a function"),
            StmtKind::Break if !self.in_loop => self.error(stmt.span, "`break` outside of a loop"),
            StmtKind::Continue if !self.in_loop => self.error(stmt.span, "`continue` outside of a loop"),
            StmtKind::For(s) => {
                self.inside(self.function, true, &s.body);
                self.block(&s.orelse);
            }
            StmtKind::While(_, body, orelse) => {
                self.inside(self.function, true, body);
                self.block(orelse);
            }
            _ => {
                let mut blocks: Vec<&[Stmt]> = Vec::new();
                stmt.blocks(&mut |block| blocks.push(block));
                blocks.into_iter().for_each(|block| self.block(block));
            }
        }
    }

    fn outside(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Yield(_) | ExprKind::YieldFrom(_) => self.error(expr.span, "`yield` outside of a function"),
            ExprKind::Await(_) => self.error(expr.span, "`await` outside of a function"),
            ExprKind::Lambda(_) => return,
            _ => {}
        }
        expr.children(&mut |child| self.outside(child));
    }
}
