//! What costs more the more a field holds: reading all of a dict or list field, and what moves the elements of a list.

use std::collections::{BTreeMap, BTreeSet};

use protocol::manifest::FieldKind;

use crate::flow::tables;
use crate::hir::*;
use crate::model::{Entity, FileId, FunctionId, Model};
use crate::span::Span;
use crate::walk::{expressions, statements};

/// A place whose cost grows with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Its line.
    pub line: u32,
    /// The field's name.
    pub field: String,
    /// What it does with the field.
    pub what: Cost,
}

/// What a place does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Reads all entries of a dict field.
    ReadsEntries,
    /// Iterates over a dict field and waits meanwhile: each step after it reads all entries again.
    HoldsEntries,
    /// Reads all elements of a list field.
    ReadsElements,
    /// Inserts or deletes elements in the middle of a list field, or orders it anew: what follows is written again.
    Rewrites,
}

/// Methods of a list that move its elements.
const MOVING: [&str; 5] = ["insert", "pop", "remove", "reverse", "sort"];

/// The places of a function, in order. `waits`: where it waits.
pub(super) fn of<'a>(model: &Model<'a>, function: FunctionId, waits: &BTreeSet<ExprId>) -> Vec<(Span, String, Cost)> {
    let info = &model.functions[function];
    let mut uses = Uses { model, file: info.file, waits, aliases: BTreeMap::new(), known: BTreeMap::new() };
    uses.aliases(&info.hir.body);
    statements(&info.hir.body, &mut |stmt| uses.statement(stmt));
    expressions(&info.hir.body, &mut |expr| uses.expression(expr));
    let mut found = Vec::new();
    expressions(&info.hir.body, &mut |expr| {
        if let Some((name, kind)) = uses.field(expr) {
            let all = if kind == FieldKind::List { Cost::ReadsElements } else { Cost::ReadsEntries };
            let cost = uses.known.get(&expr.id).copied().unwrap_or(Some(all));
            found.extend(cost.map(|cost| (expr.span, name.to_owned(), cost)));
        }
    });
    found.sort_by_key(|(span, ..)| span.start);
    found
}

struct Uses<'m, 'a> {
    model: &'m Model<'a>,
    file: FileId,
    waits: &'m BTreeSet<ExprId>,
    /// Names that hold a field and nothing else.
    aliases: BTreeMap<&'a str, (&'m str, FieldKind)>,
    /// Uses whose cost is not that of reading all; `None` if it does not grow.
    known: BTreeMap<ExprId, Option<Cost>>,
}

impl<'m, 'a> Uses<'m, 'a> {
    /// The dict or list field that an expression stands for.
    fn field(&self, expr: &'a Expr) -> Option<(&'m str, FieldKind)> {
        if let ExprKind::Name(name) = &expr.kind {
            return self.aliases.get(name.as_str()).copied();
        }
        match self.model.resolve(self.file, expr) {
            Entity::Field(service, field) => {
                let field = &self.model.services[service].fields[field];
                (field.kind != FieldKind::Scalar).then_some((&field.name, field.kind))
            }
            _ => None,
        }
    }

    fn is_list(&self, expr: &'a Expr) -> bool {
        self.field(expr).is_some_and(|(_, kind)| kind == FieldKind::List)
    }

    /// Finds names that are given a field and nothing else.
    fn aliases(&mut self, body: &'a [Stmt]) {
        let mut bound: BTreeSet<&'a str> = BTreeSet::new();
        let mut again: BTreeSet<&'a str> = BTreeSet::new();
        statements(body, &mut |stmt| {
            for target in targets(stmt) {
                names(target, &mut |name| {
                    if !bound.insert(name) {
                        again.insert(name);
                    }
                });
            }
        });
        statements(body, &mut |stmt| {
            let StmtKind::Assign(Assign { targets, value, .. }) = &stmt.kind else { return };
            let [Expr { kind: ExprKind::Name(name), id, .. }] = targets.as_slice() else { return };
            if let Some(field) = self.field(value).filter(|_| !again.contains(name.as_str())) {
                self.aliases.insert(name, field);
                self.known.extend([(value.id, None), (*id, None)]);
            }
        });
    }

    fn statement(&mut self, stmt: &'a Stmt) {
        match &stmt.kind {
            StmtKind::If(test, ..) | StmtKind::While(test, ..) | StmtKind::Assert(test, _) => self.truth(test),
            StmtKind::For(each) => {
                let mut waits = false;
                expressions(&each.body, &mut |expr| waits |= self.waits.contains(&expr.id));
                if waits {
                    self.iterated(&each.iter);
                }
            }
            StmtKind::Delete(targets) => targets.iter().for_each(|target| self.deleted(target)),
            StmtKind::Assign(assign) => assign.targets.iter().for_each(|target| self.assigned(target)),
            StmtKind::Augment(target, op, _) => match op {
                BinaryOp::Mult => self.note(target, Some(Cost::Rewrites)),
                _ => self.note(target, None),
            },
            _ => {}
        }
    }

    fn note(&mut self, expr: &'a Expr, cost: Option<Cost>) {
        if self.field(expr).is_some() {
            self.known.entry(expr.id).or_insert(cost);
        }
    }

    /// Whether a list is empty stands in its header.
    fn truth(&mut self, test: &'a Expr) {
        match &test.kind {
            ExprKind::Bool2(parts) => parts.iter().for_each(|part| self.truth(part)),
            ExprKind::Not(operand) => self.truth(operand),
            _ if self.is_list(test) => self.note(test, None),
            _ => {}
        }
    }

    /// A loop over this waits.
    fn iterated(&mut self, over: &'a Expr) {
        let viewed = match &over.kind {
            ExprKind::Call(call) if call.args.is_empty() => match &call.func.kind {
                ExprKind::Attribute(base, method) if matches!(method.name.as_str(), "items" | "keys" | "values") => {
                    base
                }
                _ => return,
            },
            _ => over,
        };
        if !self.is_list(viewed) {
            self.note(viewed, Some(Cost::HoldsEntries));
        }
    }

    fn deleted(&mut self, target: &'a Expr) {
        let ExprKind::Subscript(base, index) = &target.kind else { return };
        let is_end = match &index.kind {
            ExprKind::Slice([first, last, None]) => first.is_none() || last.is_none(),
            _ => is_end(index),
        };
        if self.is_list(base) && !is_end {
            self.note(base, Some(Cost::Rewrites));
        }
    }

    fn assigned(&mut self, target: &'a Expr) {
        if let ExprKind::Subscript(base, index) = &target.kind
            && matches!(index.kind, ExprKind::Slice(_))
            && self.is_list(base)
        {
            self.note(base, Some(Cost::Rewrites));
        }
    }

    fn expression(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Subscript(base, index) => match &index.kind {
                ExprKind::Slice([None, None, _]) => {}
                _ => self.note(base, None),
            },
            ExprKind::Compare(_, rest) => {
                for (op, right) in rest {
                    if *op == CompareOp::In && !self.is_list(right) {
                        self.note(right, None);
                    }
                }
            }
            ExprKind::Not(operand) => self.truth(operand),
            ExprKind::IfElse(parts) => self.truth(&parts[0]),
            ExprKind::Comp(comp) => {
                let mut waits = false;
                expr.walk(&mut |part| waits |= self.waits.contains(&part.id));
                if let Some(clause) = comp.clauses.first().filter(|_| waits) {
                    self.iterated(&clause.iter);
                }
                comp.clauses.iter().flat_map(|clause| &clause.conditions).for_each(|test| self.truth(test));
            }
            ExprKind::Call(call) => self.called(call),
            _ => {}
        }
    }

    fn called(&mut self, call: &'a Call) {
        if let Some(asked) = call.args.first()
            && let Entity::Path(path) = self.model.resolve(self.file, &call.func)
        {
            let about_list = matches!(path.as_str(), "builtins.len" | "builtins.bool") && self.is_list(asked);
            if about_list || matches!(path.as_str(), "builtins.isinstance" | "builtins.type" | "builtins.id") {
                self.note(asked, None);
            }
        }
        let ExprKind::Attribute(base, method) = &call.func.kind else { return };
        let method = method.name.as_str();
        if !self.is_list(base) {
            if tables::takes_key(method) || method == "update" {
                self.note(base, None);
            }
            return;
        }
        let at_end = match method {
            "pop" => call.args.first().is_none_or(is_end),
            "insert" => {
                call.args.first().is_some_and(|index| matches!(&index.kind, ExprKind::Int(text) if text == "0"))
            }
            _ => false,
        };
        if at_end || matches!(method, "append" | "extend") {
            self.note(base, None);
        } else if MOVING.contains(&method) {
            self.note(base, Some(Cost::Rewrites));
        }
    }
}

/// The first or the last element.
fn is_end(index: &Expr) -> bool {
    match &index.kind {
        ExprKind::Int(text) => text == "0",
        ExprKind::Unary(UnaryOp::Minus, operand) => matches!(&operand.kind, ExprKind::Int(text) if text == "1"),
        _ => false,
    }
}

/// The names that a target binds.
fn names<'a>(target: &'a Expr, f: &mut dyn FnMut(&'a str)) {
    match &target.kind {
        ExprKind::Name(name) => f(name),
        ExprKind::Tuple(parts) | ExprKind::List(parts) => parts.iter().for_each(|part| names(part, f)),
        ExprKind::Starred(part) => names(part, f),
        _ => {}
    }
}

/// What a statement gives values to.
fn targets(stmt: &Stmt) -> Vec<&Expr> {
    match &stmt.kind {
        StmtKind::Assign(assign) => assign.targets.iter().collect(),
        StmtKind::Augment(target, ..) | StmtKind::Annotated { target, .. } => vec![target],
        StmtKind::For(each) => vec![&each.target],
        StmtKind::With(with) => with.items.iter().filter_map(|(_, target)| target.as_ref()).collect(),
        _ => Vec::new(),
    }
}
