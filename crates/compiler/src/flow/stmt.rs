//! Statements: control flow, assignments, deletions.

use protocol::manifest::FieldKind;
use protocol::schema::Type;

use super::call::Bound;
use super::state::{State, join};
use super::summary::Cells;
use super::value::{Shape, Val, is_plain};
use super::walker::{Loop, Walker};
use crate::colour::{CallKind, classify};
use crate::hir::*;
use crate::model::{Entity, types};
use crate::span::Span;

/// Passes over a loop's body; each adds at least one source to one local.
const ROUNDS_MAX: u32 = 50;

impl<'a> Walker<'_, 'a> {
    pub(super) fn block(&mut self, body: &'a [Stmt]) {
        for stmt in body {
            if self.state.is_none() || !self.goes_on() {
                return;
            }
            self.stmt(stmt);
            self.trace();
        }
    }

    fn stmt(&mut self, stmt: &'a Stmt) {
        match &stmt.kind {
            StmtKind::Function(function) => self.definition(function),
            StmtKind::Class(class) => {
                class.decorators.iter().chain(&class.bases).for_each(|e| _ = self.value(e));
                self.block(&class.body);
            }
            StmtKind::Return(value) => {
                if let Some(value) = value {
                    let val = self.value(value);
                    let borrowed = val.sources.keys().any(|s| self.is_borrowed(*s));
                    self.summary.returns_old |= borrowed && self.transactions > 0;
                    self.summary.returned(&val);
                }
                self.trace();
                self.state = None;
            }
            StmtKind::Delete(targets) => targets.iter().for_each(|t| self.delete(t)),
            StmtKind::Assign(assign) => {
                let val = self.eval(&assign.value);
                self.held.push(val);
                assign.targets.iter().for_each(|t| {
                    let val = self.held.last().cloned().unwrap_or_default();
                    self.assign(t, val, Some(&assign.value));
                });
                self.held.pop();
            }
            StmtKind::Augment(target, op, value) => self.augment(target, *op, value),
            StmtKind::Annotated { target, annotation, value: Some(value) } => {
                let val = self.eval(value);
                let scope = self.model.functions[self.id].scope;
                let ty = types::annotated(self.model, scope, annotation);
                let val = if ty == Type::Any { val } else { self.pruned(Val { ty, ..val }) };
                self.assign(target, val, Some(value));
            }
            StmtKind::For(s) => self.for_(s),
            StmtKind::While(test, body, orelse) => self.while_(test, body, orelse),
            StmtKind::If(test, body, orelse) => self.if_(test, body, orelse),
            StmtKind::With(s) => self.with(stmt.span, s),
            StmtKind::Match(subject, cases) => self.match_(subject, cases),
            StmtKind::Raise(exception, cause) => {
                for expr in exception.iter().chain(cause) {
                    self.value(expr);
                }
                self.trace();
                self.state = None;
            }
            StmtKind::Try(s) => self.try_(s),
            StmtKind::Assert(test, message) => {
                self.value(test);
                self.depth += 1;
                message.iter().for_each(|m| _ = self.value(m));
                self.depth -= 1;
            }
            StmtKind::Expr(expr) => _ = self.eval(expr),
            StmtKind::Break => self.leave(|l| &mut l.breaks),
            StmtKind::Continue => self.leave(|l| &mut l.continues),
            StmtKind::Annotated { value: None, .. }
            | StmtKind::Import(_)
            | StmtKind::ImportFrom(_)
            | StmtKind::Global(_)
            | StmtKind::Nonlocal(_)
            | StmtKind::TypeAlias(..)
            | StmtKind::Pass => {}
        }
    }

    /// A nested `def`: its defaults are evaluated now and held for as long as it lives.
    fn definition(&mut self, function: &'a Function) {
        function.decorators.iter().for_each(|d| _ = self.value(d));
        for default in function.params.iter().filter_map(|p| p.default.as_ref()) {
            let val = self.value(default);
            self.mutate(&val);
            if self.model.functions[self.id].hir.is_async || self.shared.suspends.contains(&self.id) {
                self.held_by_default(default, &val);
            }
        }
    }

    fn leave(&mut self, place: for<'l> fn(&'l mut Loop<'a>) -> &'l mut Option<State<'a>>) {
        let state = self.state.take();
        if let Some(innermost) = self.loops.last_mut() {
            join(place(innermost), state);
        }
    }

    fn if_(&mut self, test: &'a Expr, body: &'a [Stmt], orelse: &'a [Stmt]) {
        self.value(test);
        self.depth += 1;
        let before = self.state.clone();
        self.block(body);
        let after = std::mem::replace(&mut self.state, before);
        self.block(orelse);
        join(&mut self.state, after);
        self.depth -= 1;
    }

    /// Runs a body until its states no longer change. `head` runs before each round; the state after it is also the
    /// state in which the loop ends.
    fn rounds(&mut self, mut head: impl FnMut(&mut Self), body: &'a [Stmt], orelse: &'a [Stmt]) {
        self.depth += 1;
        let mut breaks = None;
        let mut ended = None;
        for round in 0..ROUNDS_MAX {
            let before = self.state.clone();
            let told = if round == 0 { None } else { self.told.take() };
            head(self);
            ended = self.state.clone();
            self.loops.push(Loop::default());
            self.block(body);
            let Loop { breaks: broken, continues } = self.loops.pop().unwrap_or_default();
            if round > 0 {
                self.told = told;
            }
            join(&mut breaks, broken);
            join(&mut self.state, continues);
            join(&mut self.state, before.clone());
            if self.state == before {
                break;
            }
        }
        self.tell_again(&mut head, body);
        self.state = ended;
        self.block(orelse);
        join(&mut self.state, breaks);
        self.depth -= 1;
    }

    /// Reports what only the settled state shows.
    fn tell_again(&mut self, head: &mut impl FnMut(&mut Self), body: &'a [Stmt]) {
        if self.told.is_some() {
            let before = self.state.clone();
            head(self);
            self.loops.push(Loop::default());
            self.block(body);
            self.loops.pop();
            self.state = before;
        }
    }

    fn while_(&mut self, test: &'a Expr, body: &'a [Stmt], orelse: &'a [Stmt]) {
        self.rounds(|walker| _ = walker.value(test), body, orelse);
    }

    fn for_(&mut self, s: &'a For) {
        let iter = self.value(&s.iter);
        let element = self.element(&iter);
        self.held.push(iter);
        let head = |walker: &mut Self| {
            // What is iterated may meanwhile hold what the body has put into it.
            let mut element = element.clone();
            let iter = walker.held.last().cloned().unwrap_or_default();
            if !element.sources.is_empty() {
                element.absorb(&iter.part());
            }
            walker.assign(&s.target, element, None);
        };
        self.for_each(true, |walker| walker.rounds(head, &s.body, &[]));
        self.held.pop();
        self.depth += 1;
        self.block(&s.orelse);
        self.depth -= 1;
    }

    fn with(&mut self, span: Span, s: &'a With) {
        let (mut transaction, mut group) = (None, None);
        for (context, target) in &s.items {
            let val = self.value(context);
            let kind = context.as_call().map(|call| classify(self.model, self.file, call));
            if self.suspends(context) {
                let place = if kind == Some(CallKind::TaskGroup) { &mut group } else { &mut transaction };
                *place = Some(context.span);
            }
            if let Some(target) = target {
                // `__enter__` gives the object or something of it.
                self.assign(target, val, None);
            }
        }
        if let Some(at) = transaction {
            self.summary.acts = true;
            self.suspend(at);
        }
        self.raised.push(None);
        self.transactions += u32::from(transaction.is_some());
        self.block(&s.body);
        self.transactions -= u32::from(transaction.is_some());
        let raised = self.raised.pop().flatten();
        if transaction.is_some() {
            let normal = self.state.is_some();
            join(&mut self.state, raised);
            self.suspend(Span::new(span.start, span.start + 4));
            if !normal {
                self.state = None;
            }
        } else {
            join(&mut self.state, raised);
        }
        if let Some(at) = group {
            // The end of the block waits for the tasks.
            self.summary.acts = true;
            self.suspend(at);
        }
    }

    fn match_(&mut self, subject: &'a Expr, cases: &'a [Case]) {
        let val = self.value(subject);
        self.depth += 1;
        let before = self.state.clone();
        let mut after = before.clone();
        for case in cases {
            self.state = before.clone();
            case.pattern.values.iter().for_each(|v| _ = self.value(v));
            let scope = self.model.functions[self.id].scope;
            for bound in &case.pattern.binds {
                self.bind(scope, &bound.name, val.clone().typed(Type::Any).any_part());
            }
            case.guard.iter().for_each(|g| _ = self.value(g));
            self.block(&case.body);
            join(&mut after, self.state.take());
        }
        self.state = after;
        self.depth -= 1;
    }

    fn try_(&mut self, s: &'a Try) {
        self.raised.push(self.state.clone());
        self.block(&s.body);
        let raised = self.raised.pop().flatten();
        // Handlers' own exceptions reach `finally`.
        self.raised.push(raised.clone());
        self.block(&s.orelse);
        let mut after = self.state.take();
        self.depth += 1;
        for handler in &s.handlers {
            self.state = raised.clone();
            handler.class.iter().for_each(|c| _ = self.value(c));
            if let Some(name) = &handler.name {
                let scope = self.model.functions[self.id].scope;
                self.bind(scope, &name.name, Val::default());
            }
            self.block(&handler.body);
            join(&mut after, self.state.take());
        }
        self.depth -= 1;
        let raised = self.raised.pop().flatten();
        if s.finalbody.is_empty() {
            self.state = after;
            return;
        }
        self.depth += 1;
        let goes_on = after.is_some();
        self.state = after;
        join(&mut self.state, raised);
        self.block(&s.finalbody);
        self.depth -= 1;
        if !goes_on {
            self.state = None;
        }
    }

    // ---- targets ----

    /// Assigns to a target. `from` is the value's expression, if there is one.
    pub(super) fn assign(&mut self, target: &'a Expr, val: Val, from: Option<&'a Expr>) {
        match &target.kind {
            ExprKind::Name(name) => {
                let scope = self.model.scope_at(self.file, target);
                if let Some(bound) = self.model.binding_scope(scope, name) {
                    if let Shape::View(field) = val.shape {
                        self.summary.reads.insert(field);
                    }
                    self.bind(bound, name, val);
                }
            }
            ExprKind::Starred(inner) => self.assign(inner, val.typed(Type::Any), None),
            ExprKind::Tuple(targets) | ExprKind::List(targets) => self.unpack(targets, &val, from),
            ExprKind::Attribute(base, name) => self.assign_attribute(target, base, &name.name, &val),
            ExprKind::Subscript(base, index) => {
                let holder = self.eval(base);
                self.held.push(holder.clone());
                self.value(index);
                self.held.pop();
                self.whole(&val);
                if let Shape::View(field) = holder.shape {
                    self.entry(field, Some(index), true);
                    self.publish(&val, field, false);
                } else {
                    self.element_at(base, index);
                    self.mutate(&holder);
                    self.contain(&holder, &val);
                }
            }
            _ => _ = self.value(target),
        }
    }

    fn assign_attribute(&mut self, target: &'a Expr, base: &'a Expr, name: &str, val: &Val) {
        self.whole(val);
        let entity = self.model.resolve(self.file, target);
        if let Entity::Method(getter) = entity
            && let Some(setter) = self.model.setter(getter)
        {
            self.apply(target, setter, &[Bound { param: 1, val: val.clone(), expr: None }]);
            return;
        }
        match entity {
            Entity::Field(service, field) if Some(service) == self.service => {
                let cells = match self.model.services[service].fields[field].kind {
                    FieldKind::Dict => Cells::Whole,
                    FieldKind::List => Cells::Header,
                    FieldKind::Scalar => Cells::Scalar,
                };
                let in_init = self.model.functions[self.id].hir.name.name == "__init__";
                if cells != Cells::Scalar && !self.in_place && !in_init {
                    self.shared.replaced.insert((service, field), (self.file, target.span));
                }
                self.write(field, cells);
                self.publish(val, field, true);
            }
            _ => {
                let holder = self.eval(base);
                self.whole(&holder);
                self.mutate(&holder);
                self.contain(&holder, val);
                // A setter of a class of the application may do more.
                if self.shared.methods.contains(name) {
                    self.mutate(val);
                }
            }
        }
    }

    fn unpack(&mut self, targets: &'a [Expr], val: &Val, from: Option<&'a Expr>) {
        let parts = match from.map(|f| &f.kind) {
            Some(ExprKind::Tuple(items) | ExprKind::List(items)) if items.len() == targets.len() => Some(items),
            _ => None,
        };
        self.whole(val);
        for (index, target) in targets.iter().enumerate() {
            // The parts were evaluated as one value; what a part alone cannot hold is left out by its type.
            let part = match parts.map(|p| &p[index]).map(|p| &p.kind) {
                Some(ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) | ExprKind::Bool(_) | ExprKind::None) => {
                    Val::clean(Type::Any)
                }
                _ => self.component(val, index, targets.len()),
            };
            self.assign(target, part, None);
        }
    }

    /// Part `index` of a value that is unpacked into `count`.
    fn component(&mut self, val: &Val, index: usize, count: usize) -> Val {
        match &val.ty {
            Type::Tuple(items) if items.len() == count => {
                let part = val.clone().typed(items[index].clone()).part();
                if val.shape == Shape::Item && index == 0 { Val::clean(part.ty) } else { self.pruned(part) }
            }
            _ if val.shape == Shape::Item && index == 0 => Val::clean(Type::Any),
            _ => self.element(val),
        }
    }

    fn augment(&mut self, target: &'a Expr, op: BinaryOp, value: &'a Expr) {
        let before = self.value(target);
        let holder = self.holder(target);
        let count = self.held.len();
        self.held.extend(holder);
        self.held.push(before.clone());
        let operand = self.value(value);
        self.held.truncate(count);
        let result = self.arithmetic(target, &before, op, &operand);
        // `x += y` changes lists, sets and dicts in place; numbers and texts it cannot.
        if !is_plain(&operand.ty) || matches!(before.ty, Type::List(_) | Type::Dict(..) | Type::Set(_)) {
            self.mutate(&before);
            self.contain(&before, &operand);
        }
        let mut result = result;
        if !is_plain(&operand.ty) {
            result.absorb(&before);
        }
        self.in_place = true;
        self.assign(target, result, None);
        self.in_place = false;
    }

    /// What `target` is a part of, if Python keeps hold of it until the part is assigned: not a dict field as a whole,
    /// which is the same after a suspension.
    fn holder(&mut self, target: &'a Expr) -> Option<Val> {
        let holder = match &target.kind {
            ExprKind::Subscript(base, index) => {
                let holder = self.eval(base);
                self.held.push(holder.clone());
                self.value(index);
                self.held.pop();
                holder
            }
            ExprKind::Attribute(base, _) if !matches!(self.model.resolve(self.file, target), Entity::Field(..)) => {
                self.eval(base)
            }
            _ => return None,
        };
        (!matches!(holder.shape, Shape::View(_))).then_some(holder)
    }

    fn delete(&mut self, target: &'a Expr) {
        match &target.kind {
            ExprKind::Name(name) => {
                let scope = self.model.scope_at(self.file, target);
                if let (Some(state), Some(bound)) = (&mut self.state, self.model.binding_scope(scope, name)) {
                    state.locals.insert((bound, name), Val::default());
                }
            }
            ExprKind::Subscript(base, index) => {
                let holder = self.eval(base);
                self.value(index);
                match holder.shape {
                    Shape::View(field) => self.entry(field, Some(index), true),
                    _ => self.mutate(&holder),
                }
            }
            ExprKind::Attribute(base, _) => {
                if let Entity::Field(_, field) = self.model.resolve(self.file, target) {
                    self.summary.writes.insert(field);
                } else {
                    let holder = self.eval(base);
                    self.mutate(&holder);
                }
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().for_each(|t| self.delete(t)),
            _ => {}
        }
    }

    /// True if evaluating the expression suspends.
    pub(super) fn suspends(&self, expr: &Expr) -> bool {
        self.shared.suspensions.get(&self.file).is_some_and(|s| s.contains(&expr.id))
    }
}
