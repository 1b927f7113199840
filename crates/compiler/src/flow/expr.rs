//! Expressions: what they may refer to, and what evaluating them does.

use protocol::schema::Type;

use super::value::{Shape, Source, Val, is_plain};
use super::walker::Walker;
use crate::hir::*;
use crate::model::{Binding, Entity, FunctionId, Role, ScopeKind, types};
use crate::walk::expressions;

impl<'a> Walker<'_, 'a> {
    /// Evaluates an expression whose value is used as a whole.
    pub(super) fn value(&mut self, expr: &'a Expr) -> Val {
        let val = self.eval(expr);
        self.whole(&val);
        val
    }

    /// Evaluates an expression; a dict field stays a view of which nothing has been read.
    pub(super) fn eval(&mut self, expr: &'a Expr) -> Val {
        match &expr.kind {
            ExprKind::Name(name) => {
                self.mentioned(expr);
                self.name(expr, name)
            }
            ExprKind::Attribute(base, name) => self.attribute(expr, base, &name.name),
            ExprKind::Subscript(base, index) => self.subscript(base, index),
            ExprKind::Call(call) => self.call(expr, call),
            ExprKind::Int(_) => Val::clean(Type::Int),
            ExprKind::Float(_) => Val::clean(Type::Float),
            ExprKind::Str(_) => Val::clean(Type::Str),
            ExprKind::Bytes(_) => Val::clean(Type::Bytes),
            ExprKind::Bool(_) => Val::clean(Type::Bool),
            ExprKind::None => Val::clean(Type::None),
            ExprKind::Complex(..) | ExprKind::Ellipsis => Val::clean(Type::Int),
            ExprKind::Format(format) => self.format(format),
            ExprKind::List(items) => self.display(expr, items, Type::List(Box::new(Type::Any))),
            ExprKind::Set(items) => self.display(expr, items, Type::Set(Box::new(Type::Any))),
            ExprKind::Tuple(items) => self.tuple(items),
            ExprKind::Dict(items) => self.dict(expr, items),
            ExprKind::Comp(comp) => self.comp(expr, comp),
            ExprKind::Lambda(lambda) => self.lambda(expr, lambda),
            ExprKind::IfElse(parts) => {
                self.value(&parts[0]);
                self.depth += 1;
                let val = self.either(&parts[1..]);
                self.depth -= 1;
                val
            }
            ExprKind::Bool2(items) => self.either(items),
            ExprKind::Binary(left, op, right) => {
                let one = self.value(left);
                self.held.push(one.clone());
                let other = self.value(right);
                self.held.pop();
                self.arithmetic(expr, &one, *op, &other)
            }
            ExprKind::Not(operand) => {
                self.value(operand);
                Val::clean(Type::Bool)
            }
            ExprKind::Unary(_, operand) => {
                let ty = self.value(operand).ty;
                Val::clean(ty)
            }
            ExprKind::Compare(left, rest) => self.compare(left, rest),
            ExprKind::Named(target, value) => {
                let val = self.eval(value);
                self.assign(target, val.clone(), Some(value));
                val
            }
            ExprKind::Await(operand) => self.await_(expr, operand),
            ExprKind::Yield(value) => {
                if let Some(value) = value {
                    let val = self.value(value);
                    self.summary.returned(&val);
                }
                Val::default()
            }
            ExprKind::YieldFrom(value) => {
                let val = self.value(value);
                self.summary.returned(&val.part());
                Val::default()
            }
            ExprKind::Starred(inner) => {
                let val = self.value(inner);
                self.element(&val)
            }
            ExprKind::Slice(parts) => {
                self.parts(parts.iter().flatten().map(|p| &**p));
                Val::clean(Type::Any)
            }
        }
    }

    /// Each part becomes text at once, except that its format is evaluated in between.
    fn format(&mut self, format: &'a Format) -> Val {
        let before = self.held.len();
        for part in &format.parts {
            if !part.in_spec {
                self.held.truncate(before);
            }
            let val = self.value(&part.value);
            self.held.push(val);
        }
        self.held.truncate(before);
        Val::clean(Type::Str)
    }

    /// Evaluates in order, holding each while the next is evaluated; gives all that they refer to.
    pub(super) fn parts(&mut self, parts: impl Iterator<Item = &'a Expr>) -> Vec<Val> {
        let before = self.held.len();
        for part in parts {
            let val = self.value(part);
            self.held.push(val);
        }
        self.held.split_off(before)
    }

    /// A function of the application, used as a value: whoever has it may call it with anything.
    fn mentioned(&mut self, expr: &'a Expr) {
        let (Entity::Function(function) | Entity::Method(function)) = self.model.resolve(self.file, expr) else {
            return;
        };
        let summary = self.shared.summaries[function].clone();
        if self.model.service_of(function) == self.service {
            self.summary.reads.extend(&summary.reads);
            self.summary.writes.extend(&summary.writes);
        }
        self.summary.acts |= summary.acts;
        let anything = self.anything();
        if !summary.mutates.is_empty() {
            self.mutate_deep(&anything);
        }
        for (field, whole) in summary.publishes.values().flatten() {
            self.publish(&anything, *field, *whole);
        }
    }

    /// All that is held now.
    fn anything(&self) -> Val {
        let mut anything = Val::default();
        let locals = self.state.iter().flat_map(|s| s.locals.values());
        locals.chain(&self.held).for_each(|val| anything.absorb(val));
        anything
    }

    /// A local name; `expr` is the name itself.
    pub(super) fn name(&mut self, expr: &'a Expr, name: &'a str) -> Val {
        let scope = self.model.scope_at(self.file, expr);
        let Some(bound) = self.model.binding_scope(scope, name) else { return Val::default() };
        match self.model.scopes[bound].kind {
            ScopeKind::Module | ScopeKind::Class(_) => return Val::default(),
            ScopeKind::Function(_) | ScopeKind::Lambda | ScopeKind::Comprehension => {}
        }
        if let Some([Binding::Function(nested)]) = self.model.scopes[bound].bindings.get(name).map(Vec::as_slice) {
            let val = self.captured_by(*nested);
            self.used(name, expr.span, &val);
            return val;
        }
        let val = self.lookup(bound, name);
        self.used(name, expr.span, &val);
        val
    }

    /// What a nested function refers to of the functions around it.
    fn captured_by(&mut self, nested: FunctionId) -> Val {
        let info = &self.model.functions[nested];
        let mut names: Vec<(usize, &'a str)> = Vec::new();
        expressions(&info.hir.body, &mut |expr| {
            if let ExprKind::Name(name) = &expr.kind {
                let scope = self.model.scope_at(info.file, expr);
                if let Some(bound) = self.model.binding_scope(scope, name)
                    && self.state.as_ref().is_some_and(|s| s.locals.contains_key(&(bound, name.as_str())))
                {
                    names.push((bound, name));
                }
            }
        });
        let mut all = Val::default();
        for (bound, name) in names {
            let val = self.lookup(bound, name);
            all.absorb(&val);
        }
        all
    }

    fn attribute(&mut self, expr: &'a Expr, base: &'a Expr, name: &str) -> Val {
        match self.model.resolve(self.file, expr) {
            Entity::Field(service, field) if Some(service) == self.service => return self.field(field, expr.span),
            Entity::SelfAttribute(class, _) if self.model.classes[class].service.is_some() => {
                let service = self.model.classes[class].service;
                let key = service.and_then(|s| self.model.services[s].entity_key.clone());
                return Val::clean(key.filter(|_| name == "key").unwrap_or_default());
            }
            Entity::Method(function) if self.model.functions[function].role == Role::Property => {
                return self.apply(expr, function, &[]);
            }
            Entity::Method(_) | Entity::Function(_) => {
                self.mentioned(expr);
                return Val::default();
            }
            Entity::Path(_) | Entity::Module(_) | Entity::Class(_) | Entity::Client(_) => return Val::default(),
            _ => {}
        }
        let holder = self.value(base);
        let ty = types::attribute(self.model, &holder.ty, name);
        self.pruned(holder.typed(ty).part())
    }

    fn subscript(&mut self, base: &'a Expr, index: &'a Expr) -> Val {
        let holder = self.eval(base);
        self.held.push(holder.clone());
        self.value(index);
        self.held.pop();
        if let Shape::View(field) = holder.shape {
            self.entry(field, Some(index), false);
        } else {
            self.element_at(base, index);
        }
        if matches!(index.kind, ExprKind::Slice(_)) {
            let mut slice = Val::clean(holder.ty.clone());
            if !self.item(&holder).sources.is_empty() {
                slice.hold(&holder.part());
            }
            return self.pruned(slice);
        }
        let mut item = self.item(&holder);
        if let (Type::Tuple(items), ExprKind::Int(digits)) = (&holder.ty, &index.kind) {
            let ty = digits.parse().ok().and_then(|i: usize| items.get(i).cloned());
            item = self.pruned(holder.clone().typed(ty.unwrap_or_default()).part());
        }
        item
    }

    fn display(&mut self, expr: &'a Expr, items: &'a [Expr], ty: Type) -> Val {
        let parts = self.parts(items.iter());
        let mut all = self.fresh(expr, ty);
        parts.iter().for_each(|part| all.hold(part));
        all
    }

    fn tuple(&mut self, items: &'a [Expr]) -> Val {
        let parts = self.parts(items.iter());
        let starred = items.iter().any(|i| matches!(i.kind, ExprKind::Starred(_)));
        let types = parts.iter().map(|p| p.ty.clone()).collect();
        let mut all = Val::clean(if starred { Type::Any } else { Type::Tuple(types) });
        parts.iter().for_each(|part| all.hold(part));
        all
    }

    fn dict(&mut self, expr: &'a Expr, items: &'a [(Option<Expr>, Expr)]) -> Val {
        let before = self.held.len();
        for (key, value) in items {
            let keys = self.parts(key.iter());
            self.held.extend(keys);
            let val = self.value(value);
            // What `**value` holds is copied on the spot.
            let val = if key.is_some() { val } else { self.item(&val) };
            self.held.push(val);
        }
        let parts = self.held.split_off(before);
        let mut all = self.fresh(expr, Type::Dict(Box::new(Type::Any), Box::new(Type::Any)));
        parts.iter().for_each(|part| all.hold(part));
        all
    }

    fn either(&mut self, items: &'a [Expr]) -> Val {
        let mut all: Option<Val> = None;
        for (index, item) in items.iter().enumerate() {
            self.depth += u32::from(index > 0);
            let before = self.state.clone();
            let val = self.value(item);
            super::state::join(&mut self.state, before);
            self.depth -= u32::from(index > 0);
            all = Some(match all {
                Some(all) => all.join(&val),
                None => val,
            });
        }
        all.unwrap_or_default()
    }

    /// The result of an operator: a number or text, or a new collection of what the operands hold.
    pub(super) fn arithmetic(&mut self, expr: &Expr, one: &Val, op: BinaryOp, other: &Val) -> Val {
        let scalar = |val: &Val| is_plain(&val.ty);
        let listed = |val: &Val| matches!(val.ty, Type::List(_) | Type::Tuple(_) | Type::TupleOf(_));
        let keeps = match op {
            BinaryOp::Other | BinaryOp::Mod => false,
            BinaryOp::Mult => listed(one) || listed(other),
            BinaryOp::Add | BinaryOp::BitOr => !scalar(one) && !scalar(other),
        };
        if !keeps {
            let ty = match (&one.ty, &other.ty) {
                (Type::Int, Type::Int) if op != BinaryOp::Other => Type::Int,
                (Type::Str, _) if op == BinaryOp::Mod => Type::Str,
                (a, b) if a == b && op == BinaryOp::Add => a.clone(),
                (Type::Int | Type::Float, Type::Int | Type::Float) => Type::Float,
                // Adding to a number or text gives one, or fails.
                (a, _) if op == BinaryOp::Add && is_plain(a) => a.clone(),
                (_, b) if op == BinaryOp::Add && is_plain(b) => b.clone(),
                (Type::Int | Type::Float, _) | (_, Type::Int | Type::Float) if op == BinaryOp::Other => Type::Float,
                _ => Type::Any,
            };
            return Val::clean(ty);
        }
        let ty = if one.ty == other.ty { one.ty.clone() } else { Type::Any };
        let mut all = self.fresh(expr, ty);
        for operand in [one, other] {
            match &operand.ty {
                // A new collection of what they hold.
                Type::Dict(..) => all.hold(&self.item(operand)),
                Type::List(_) | Type::Set(_) | Type::Tuple(_) | Type::TupleOf(_) => {
                    all.hold(&self.element(operand));
                }
                _ => all.hold(operand),
            }
        }
        all
    }

    fn compare(&mut self, left: &'a Expr, rest: &'a [(CompareOp, Expr)]) -> Val {
        // Whether something is None does not depend on what a cell holds now.
        if let ([(CompareOp::Is, right)], ExprKind::Name(name)) = (rest, &left.kind)
            && matches!(right.kind, ExprKind::None)
            && !name.is_empty()
        {
            return Val::clean(Type::Bool);
        }
        let one = self.value(left);
        let mut previous = left;
        self.held.push(one);
        for (op, right) in rest {
            let asked = keys_of(right).filter(|_| *op == CompareOp::In);
            let val = self.eval(asked.unwrap_or(right));
            match (op, val.shape) {
                (CompareOp::In, Shape::View(field)) => self.entry(field, Some(previous), false),
                _ => self.whole(&val),
            }
            previous = right;
        }
        self.held.pop();
        Val::clean(Type::Bool)
    }

    fn await_(&mut self, expr: &'a Expr, operand: &'a Expr) -> Val {
        let before = self.awaited.replace(operand.id);
        let val = self.value(operand);
        self.awaited = before;
        if self.suspends(expr) {
            self.summary.acts = true;
            self.suspend(expr.span);
        }
        val
    }

    fn comp(&mut self, expr: &'a Expr, comp: &'a Comp) -> Val {
        let always = comp.clauses.iter().all(|clause| clause.conditions.is_empty());
        self.for_each(always, |walker| walker.collected(expr, comp))
    }

    fn collected(&mut self, expr: &'a Expr, comp: &'a Comp) -> Val {
        self.depth += 1;
        let lazy = matches!(comp.kind, CompKind::Generator { .. });
        let before = self.held.len();
        let suspended = self.suspended;
        let mut all = self.round(comp);
        self.held.push(all.clone());
        if self.suspended > suspended && self.goes_on() {
            // Once more, with what the first round left behind: what is collected so far is held.
            all.absorb(&self.round(comp));
        }
        let iterated = self.held.split_off(before);
        self.depth -= 1;
        let ty = match comp.kind {
            CompKind::List => Type::List(Box::new(all.ty.clone())),
            CompKind::Set => Type::Set(Box::new(all.ty.clone())),
            CompKind::Dict => Type::Dict(Box::new(Type::Any), Box::new(all.ty.clone())),
            CompKind::Generator { .. } => Type::Any,
        };
        let mut result = self.fresh(expr, ty);
        let element_changes = !types::immutable(self.model, &all.ty);
        if element_changes {
            result.hold(&all);
        }
        if lazy {
            // A generator reads what it iterates over when it is consumed.
            iterated.iter().for_each(|val| result.hold(val));
            if !element_changes {
                result.ty = Type::TupleOf(Box::new(all.ty));
            } else if all.sources.is_empty() {
                result.shape = Shape::Bare;
            }
        }
        result
    }

    fn round(&mut self, comp: &'a Comp) -> Val {
        for (index, clause) in comp.clauses.iter().enumerate() {
            // The first iterable is evaluated whatever comes.
            self.depth -= u32::from(index == 0);
            let iter = self.value(&clause.iter);
            self.depth += u32::from(index == 0);
            let element = self.element(&iter);
            self.held.push(iter);
            self.assign(&clause.target, element, None);
            clause.conditions.iter().for_each(|c| _ = self.value(c));
        }
        let parts = self.parts(comp.elements.iter());
        let mut all = parts.last().cloned().unwrap_or_default();
        parts.iter().for_each(|part| all.absorb(part));
        all
    }

    /// A lambda's body, run once with parameters that may be anything held now.
    fn lambda(&mut self, expr: &'a Expr, lambda: &'a Lambda) -> Val {
        lambda.params.iter().filter_map(|p| p.default.as_ref()).for_each(|d| _ = self.value(d));
        let mut anything = self.anything();
        anything.sources.values_mut().for_each(|b| b.stale = None);
        let Some(scope) = self.model.files[self.file].inner_scopes.get(&expr.id).copied() else {
            return Val::default();
        };
        for param in &lambda.params {
            self.bind(scope, &param.name.name, anything.clone());
        }
        self.depth += 1;
        self.lambda_depth += 1;
        self.value(&lambda.body);
        self.lambda_depth -= 1;
        self.depth -= 1;
        let mut captured = Val::default();
        lambda.body.walk(&mut |inner| {
            if let ExprKind::Name(name) = &inner.kind {
                let at = self.model.scope_at(self.file, inner);
                let bound = self.model.binding_scope(at, name).filter(|b| *b != scope);
                if let Some(val) = bound.and_then(|b| self.state.as_ref()?.locals.get(&(b, name.as_str()))) {
                    captured.absorb(val);
                }
            }
        });
        captured
    }

    /// The sources of a value as they are when its object is taken out of where it was.
    pub(super) fn detached(&self, expr: &Expr, val: &Val) -> Val {
        let mut out = self.fresh(expr, val.ty.clone());
        out.sources.extend(val.sources.iter().filter(|(s, _)| !matches!(s, Source::Field(_))).map(|(s, b)| (*s, *b)));
        out
    }
}

/// `d` of `d.keys()`: asking whether a key is among them looks at one entry.
fn keys_of(expr: &Expr) -> Option<&Expr> {
    let call = expr.as_call()?;
    match &call.func.kind {
        ExprKind::Attribute(base, name) if name.name == "keys" && call.args.is_empty() => Some(base),
        _ => None,
    }
}
