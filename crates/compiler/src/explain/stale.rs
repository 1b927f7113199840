//! The lint for lost updates: a cell of a service is read, then the method waits, then the cell is written on the ground
//! of what was read. Entities are not judged (their operations run one at a time), nor is what one transaction holds.
//! What is written must be, by its text, what was read: nothing is told that may be another cell.

use std::collections::{BTreeMap, BTreeSet};

use protocol::manifest::FieldKind;

use crate::colour::{CallKind, classify};
use crate::diagnostic::Report;
use crate::flow::tables;
use crate::hir::*;
use crate::model::{Entity, FileId, FunctionId, Model, ServiceId};
use crate::span::Span;

/// Field, and the text of the key for an entry of a dict field.
type Cell = (usize, Option<String>);

/// A read, and the first wait since.
#[derive(Clone, Copy)]
struct Read {
    span: Span,
    waited: Option<Span>,
}

/// Reports on one method.
pub(super) fn check(model: &Model<'_>, function: FunctionId, waits: &BTreeSet<ExprId>) -> Vec<Report> {
    let info = &model.functions[function];
    let Some(service) = model.service_of(function) else { return Vec::new() };
    if model.services[service].entity_key.is_some() {
        return Vec::new();
    }
    let mut walk = Walk {
        model,
        file: info.file,
        service,
        waits,
        transactions: 0,
        state: Some(BTreeMap::new()),
        found: Vec::new(),
    };
    walk.block(&info.hir.body);
    walk.found
}

struct Walk<'w, 'a> {
    model: &'w Model<'a>,
    file: FileId,
    service: ServiceId,
    waits: &'w BTreeSet<ExprId>,
    transactions: u32,
    /// What was read on the ways here; `None` where nothing gets.
    state: Option<BTreeMap<Cell, Read>>,
    found: Vec<Report>,
}

impl<'a> Walk<'_, 'a> {
    fn field(&self, expr: &'a Expr) -> Option<usize> {
        match self.model.resolve(self.file, expr) {
            Entity::Field(service, field) if service == self.service => Some(field),
            _ => None,
        }
    }

    fn is_dict(&self, field: usize) -> bool {
        self.model.services[self.service].fields[field].kind == FieldKind::Dict
    }

    fn cell(&self, field: usize, key: Option<&'a Expr>) -> Cell {
        let key = key.filter(|_| self.is_dict(field));
        (field, key.map(|key| self.model.text(self.file, key.span).to_owned()))
    }

    /// The cell that `self.d[k]…` lies in.
    fn holder(&self, expr: &'a Expr) -> Option<Cell> {
        match &expr.kind {
            ExprKind::Attribute(base, _) => match self.field(expr) {
                Some(field) => Some((field, None)),
                None => self.holder(base),
            },
            ExprKind::Subscript(base, index) => match self.field(base) {
                Some(field) => Some(self.cell(field, Some(index))),
                None => self.holder(base),
            },
            _ => None,
        }
    }

    fn read(&mut self, cell: Cell, span: Span) {
        if let Some(state) = &mut self.state {
            state.insert(cell, Read { span, waited: None });
        }
    }

    fn write(&mut self, cell: Cell, span: Span) {
        let Some(state) = &mut self.state else { return };
        let Some(Read { span: read, waited: Some(waited) }) = state.get(&cell).copied() else { return };
        state.remove(&cell);
        let name = &self.model.services[self.service].fields[cell.0].name;
        let shown = cell.1.map_or(format!("self.{name}"), |key| format!("self.{name}[{key}]"));
        let message = format!("`{shown}` is read before the method waits, and written after it");
        self.found.push(
            Report::warning("SOS0405", self.file, span, message)
                .here("written here, when it may have changed")
                .label(read, "read here")
                .label(waited, "the method waits here, and other invocations run")
                .help("put the read, the call and the write into `with transaction():`, or read it again before the write"),
        );
    }

    fn wait(&mut self, at: Span) {
        if self.transactions == 0 {
            let reads = self.state.iter_mut().flat_map(|state| state.values_mut());
            reads.for_each(|read| read.waited = read.waited.or(Some(at)));
        }
    }

    fn join(&mut self, other: Option<BTreeMap<Cell, Read>>) {
        match (&mut self.state, other) {
            (Some(own), Some(other)) => {
                for (cell, read) in other {
                    let kept = own.entry(cell).or_insert(read);
                    kept.waited = kept.waited.or(read.waited);
                }
            }
            (None, other) => self.state = other,
            (Some(_), None) => {}
        }
    }

    fn block(&mut self, body: &'a [Stmt]) {
        body.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &'a Stmt) {
        match &stmt.kind {
            StmtKind::Function(_) | StmtKind::Class(_) => {}
            StmtKind::Assign(assign) => {
                self.expr(&assign.value);
                assign.targets.iter().for_each(|t| self.target(t));
            }
            StmtKind::Annotated { target, value: Some(value), .. } => {
                self.expr(value);
                self.target(target);
            }
            StmtKind::Annotated { value: None, .. } => {}
            StmtKind::Augment(target, _, value) => {
                self.expr(value);
                self.target(target);
            }
            StmtKind::Delete(targets) => targets.iter().for_each(|t| self.target(t)),
            StmtKind::If(test, body, orelse) => {
                self.expr(test);
                let before = self.state.clone();
                self.block(body);
                let after = std::mem::replace(&mut self.state, before);
                self.block(orelse);
                self.join(after);
            }
            StmtKind::While(test, body, orelse) => self.rounds(|walk| walk.expr(test), body, orelse),
            StmtKind::For(s) => {
                self.expr(&s.iter);
                self.rounds(|walk| walk.target(&s.target), &s.body, &s.orelse);
            }
            StmtKind::With(s) => self.with(s),
            StmtKind::Try(s) => self.try_(s),
            StmtKind::Match(subject, cases) => {
                self.expr(subject);
                let before = self.state.clone();
                for case in cases {
                    let after = std::mem::replace(&mut self.state, before.clone());
                    case.guard.iter().for_each(|g| self.expr(g));
                    self.block(&case.body);
                    self.join(after);
                }
            }
            StmtKind::Return(_) | StmtKind::Raise(..) => {
                stmt.exprs(&mut |expr| self.expr(expr));
                self.state = None;
            }
            StmtKind::Break | StmtKind::Continue => self.state = None,
            _ => stmt.exprs(&mut |expr| self.expr(expr)),
        }
    }

    /// Twice, so that the end of a round is seen at the beginning of the next.
    fn rounds(&mut self, mut head: impl FnMut(&mut Self), body: &'a [Stmt], orelse: &'a [Stmt]) {
        for _ in 0..2 {
            let before = self.state.clone();
            head(self);
            self.block(body);
            self.join(before);
        }
        self.block(orelse);
    }

    fn with(&mut self, s: &'a With) {
        let (mut transaction, mut group) = (None, None);
        for (context, target) in &s.items {
            let kind = context.as_call().map(|call| classify(self.model, self.file, call));
            if kind == Some(CallKind::TaskGroup) {
                group = Some(context.span);
            } else {
                self.expr(context);
                transaction = transaction.or(Some(context.span).filter(|_| self.waits.contains(&context.id)));
            }
            target.iter().for_each(|t| self.target(t));
        }
        self.transactions += u32::from(transaction.is_some());
        self.block(&s.body);
        self.transactions -= u32::from(transaction.is_some());
        if let Some(at) = transaction.or(group) {
            self.wait(at);
        }
    }

    fn try_(&mut self, s: &'a Try) {
        let before = self.state.clone();
        self.block(&s.body);
        let mut raised = before;
        std::mem::swap(&mut self.state, &mut raised);
        self.join(raised.clone());
        let raised = std::mem::replace(&mut self.state, raised);
        self.block(&s.orelse);
        for handler in &s.handlers {
            let after = std::mem::replace(&mut self.state, raised.clone());
            self.block(&handler.body);
            self.join(after);
        }
        self.block(&s.finalbody);
    }

    fn target(&mut self, target: &'a Expr) {
        match &target.kind {
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|t| self.target(t)),
            ExprKind::Starred(inner) => self.target(inner),
            _ => {
                if let Some(cell) = self.holder(target) {
                    self.write(cell, target.span);
                }
            }
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Lambda(_) => return,
            ExprKind::Call(call) => self.call(expr, call),
            ExprKind::Compare(left, rest) => {
                self.expr(left);
                for (op, right) in rest {
                    match self.field(right) {
                        Some(field) if *op == CompareOp::In => {
                            let cell = self.cell(field, Some(left));
                            self.read(cell, expr.span);
                        }
                        _ => self.expr(right),
                    }
                }
            }
            _ => match self.holder(expr) {
                Some(cell) => {
                    if let ExprKind::Subscript(_, index) = &expr.kind {
                        self.expr(index);
                    }
                    self.read(cell, expr.span);
                }
                None => expr.children(&mut |child| self.expr(child)),
            },
        }
        if self.waits.contains(&expr.id) {
            self.wait(expr.span);
        }
    }

    /// `self.d.get(k)` reads, `self.items.append(x)` writes.
    fn call(&mut self, expr: &'a Expr, call: &'a Call) {
        let arguments = |walk: &mut Self| {
            call.args.iter().chain(call.keywords.iter().map(|k| &k.value)).for_each(|arg| walk.expr(arg));
        };
        let ExprKind::Attribute(base, method) = &call.func.kind else {
            self.expr(&call.func);
            return arguments(self);
        };
        let Some(holder) = self.holder(base) else {
            self.expr(&call.func);
            return arguments(self);
        };
        arguments(self);
        let cell = match self.field(base) {
            Some(field) => self.cell(field, call.args.first().filter(|_| tables::takes_key(&method.name))),
            None => holder,
        };
        if tables::changes(&method.name) {
            self.write(cell, expr.span);
        } else {
            self.read(cell, expr.span);
        }
    }
}
