//! Calls: of services, of helpers by their summaries, of the language's own functions and methods by tables, and of
//! what is not known, which may change whatever it is given.

use protocol::schema::Type;

use super::summary::{Cells, Key};
use super::tables::{self, Known, Method};
use super::value::{Level, Shape, Source, Val};
use super::walker::{Lender, Walker};
use crate::colour::{CallKind, classify};
use crate::hir::*;
use crate::model::{Binding, Entity, FunctionId, Model, Role, types};
use crate::span::Span;

impl<'a> Walker<'_, 'a> {
    pub(super) fn call(&mut self, expr: &'a Expr, call: &'a Call) -> Val {
        let kind = classify(self.model, self.file, call);
        let val = match &kind {
            CallKind::Helper(callee) => return self.helper(expr, call, *callee),
            CallKind::Remote(service, method) => {
                let returns = self.model.services[*service].method(method).map(|f| returns(self.model, f));
                self.arguments(call);
                self.fresh(expr, returns.unwrap_or_default())
            }
            CallKind::Task(function) => {
                self.arguments(call);
                self.fresh(expr, returns(self.model, *function))
            }
            CallKind::Gather | CallKind::WaitFor | CallKind::Spawn => {
                let parts = self.arguments(call);
                let gathered = if kind == CallKind::Gather { Type::List(Box::new(Type::Any)) } else { Type::Any };
                let mut all = self.fresh(expr, gathered);
                parts.iter().for_each(|part| all.hold(part));
                // The branches end at different times: what they give may be old when all have ended.
                self.age(&mut all, expr.span);
                all
            }
            CallKind::Sleep { .. } | CallKind::Send | CallKind::Primitive(_) => {
                self.arguments(call);
                self.fresh(expr, Type::Any)
            }
            CallKind::Abort | CallKind::Transaction | CallKind::TaskGroup => {
                self.arguments(call);
                Val::default()
            }
            CallKind::Other => self.other(expr, call),
        };
        self.summary.acts |= !matches!(kind, CallKind::Other | CallKind::Abort);
        if self.suspends(expr) && !matches!(kind, CallKind::Transaction | CallKind::TaskGroup) {
            self.suspend(expr.span);
        }
        val
    }

    /// Marks what is borrowed in a value as taken before a suspension.
    fn age(&self, val: &mut Val, at: Span) {
        for (source, borrow) in &mut val.sources {
            if self.is_borrowed(*source) {
                borrow.stale = borrow.stale.or(Some(at));
            }
        }
    }

    fn arguments(&mut self, call: &'a Call) -> Vec<Val> {
        if !matches!(call.func.kind, ExprKind::Name(_)) {
            // Keys of entities and the like.
            if let ExprKind::Attribute(base, _) = &call.func.kind
                && matches!(base.kind, ExprKind::Call(_))
            {
                self.value(base);
            }
        }
        self.parts(call.args.iter().chain(call.keywords.iter().map(|k| &k.value)))
    }

    // ---- helpers ----

    fn helper(&mut self, expr: &'a Expr, call: &'a Call, callee: FunctionId) -> Val {
        let info = &self.model.functions[callee];
        let mut receiver = None;
        if let ExprKind::Attribute(base, _) = &call.func.kind
            && matches!(self.model.resolve(self.file, base), Entity::Unknown | Entity::Instance(_))
        {
            receiver = Some(self.value(base));
        }
        if let ExprKind::Name(name) = &call.func.kind {
            // A nested function refers to what it captured.
            self.name(&call.func, name);
        }
        let skips = usize::from(info.class.is_some() && info.role != Role::Static);
        let vals = self.arguments(call);
        let bound = self.bound(call, callee, skips, &vals, receiver);
        if self.suspends(expr) {
            // What it touches before it suspends for the first time is touched before we do.
            if self.model.service_of(callee) == self.service {
                let summary = self.shared.summaries[callee].clone();
                self.foresee(&summary, &bound);
            }
            self.summary.acts = true;
            self.suspend(expr.span);
        }
        let mut result = self.apply(expr, callee, &bound);
        self.rebound(expr, callee);
        if info.hir.is_async && self.awaited != Some(expr.id) {
            // A coroutine that has not begun holds its arguments.
            bound.iter().for_each(|b| result.hold(&b.val));
        }
        result
    }

    /// Names of ours that a nested function assigns.
    fn rebound(&mut self, expr: &'a Expr, callee: FunctionId) {
        let scope = self.model.functions[callee].scope;
        let names: Vec<&'a str> = self.model.scopes[scope].nonlocals.iter().copied().collect();
        let suspended = self.suspends(expr).then_some(expr.span);
        for name in names {
            let Some(bound) = self.model.binding_scope(scope, name) else { continue };
            let mut val = self.shared.captured.get(&(bound, name)).cloned().unwrap_or_default();
            val.sources.values_mut().for_each(|b| b.stale = suspended);
            if let Some(state) = &mut self.state {
                state.locals.entry((bound, name)).or_default().absorb(&val);
            }
        }
    }

    /// The arguments by the callee's parameters; what cannot be told apart goes to all that it may go to.
    fn bound(
        &mut self,
        call: &'a Call,
        callee: FunctionId,
        skips: usize,
        vals: &[Val],
        receiver: Option<Val>,
    ) -> Vec<Bound<'a>> {
        let info = &self.model.functions[callee];
        let params = &info.hir.params;
        let starred = call.args.iter().any(|a| matches!(a.kind, ExprKind::Starred(_)))
            || call.keywords.iter().any(|k| k.name.is_none());
        let mut bound: Vec<Bound<'a>> = Vec::new();
        bound.extend(receiver.map(|val| Bound { param: 0, val, expr: None }));
        let exprs = call.args.iter().chain(call.keywords.iter().map(|k| &k.value));
        for (index, (val, expr)) in vals.iter().zip(exprs).enumerate() {
            let named = index.checked_sub(call.args.len()).and_then(|i| call.keywords[i].name.as_ref());
            let by_name = |name: &str| params.iter().position(|p| p.name.name == name);
            let rest = |kind| params.iter().position(|p| p.kind == kind);
            let param = match named {
                Some(name) => by_name(&name.name).or_else(|| rest(ParamKind::VarKeyword)),
                None if starred => None,
                None => {
                    let at = index + skips;
                    let plain = |p: &Param| matches!(p.kind, ParamKind::Normal | ParamKind::PositionalOnly);
                    params.get(at).filter(|p| plain(p)).map(|_| at).or_else(|| rest(ParamKind::VarPositional))
                }
            };
            match param {
                Some(param) => bound.push(Bound { param, val: val.clone(), expr: Some(expr) }),
                None => bound.extend((skips..params.len()).map(|param| Bound { param, val: val.clone(), expr: None })),
            }
        }
        bound
    }

    /// Effects of a call by the callee's summary.
    pub(super) fn apply(&mut self, expr: &'a Expr, callee: FunctionId, bound: &[Bound<'a>]) -> Val {
        for one in bound {
            let lenders = one.val.sources.iter().flat_map(|(source, borrow)| {
                let nested = borrow.level.is_around();
                self.lenders(*source, borrow.whole)
                    .into_iter()
                    .map(move |lender| Lender { nested: lender.nested || nested, ..lender })
            });
            for lender in lenders.collect::<Vec<_>>() {
                let known = self.shared.borrowed.entry((callee, one.param)).or_default();
                self.shared.changed |= known.insert(lender);
            }
        }
        let summary = self.shared.summaries[callee].clone();
        if self.model.service_of(callee) == self.service {
            self.summary.reads.extend(&summary.reads);
            self.summary.writes.extend(&summary.writes);
            self.foresee(&summary, bound);
        }
        self.summary.acts |= summary.acts;
        for (source, deep) in &summary.mutates {
            let mut val = self.seen_from_here(*source, callee, bound, expr);
            if *deep {
                val = val.any_part();
            }
            self.mutate(&val);
            bound.iter().for_each(|other| self.contain(&val, &other.val));
        }
        for (source, fields) in &summary.publishes {
            let val = self.seen_from_here(*source, callee, bound, expr);
            fields.iter().for_each(|(field, whole)| self.publish(&val, *field, *whole));
        }
        let mut result = self.fresh(expr, returns(self.model, callee));
        if !types::immutable(self.model, &result.ty) {
            for (source, (level, whole)) in &summary.returns {
                let mut val = self.seen_from_here(*source, callee, bound, expr);
                val.sources.values_mut().for_each(|borrow| borrow.whole &= *whole || borrow.level.is_around());
                match level {
                    Level::Inside => result.hold(&val),
                    Level::Itself => result.absorb(&val),
                    Level::Within if types::holds_immutable(self.model, &val.ty) => {}
                    Level::Within => result.absorb(&val.part()),
                    Level::Part => result.absorb(&val.any_part()),
                }
            }
        }
        if summary.returns_old {
            self.age(&mut result, expr.span);
        }
        result
    }

    /// A source in the callee's terms, in ours.
    fn seen_from_here(&self, source: Source, callee: FunctionId, bound: &[Bound<'a>], expr: &Expr) -> Val {
        match source {
            Source::Param(owner, index) if owner == callee => {
                let mut matching = bound.iter().filter(|b| b.param == index);
                let mut val = matching.next().map(|b| b.val.clone()).unwrap_or_default();
                for other in matching {
                    val = val.join(&other.val);
                }
                val
            }
            Source::Field(_) | Source::Param(..) => Val::from(source, expr.span, Type::Any),
            // An object of the callee; of a function around it, if the callee captured it.
            Source::Fresh(..) => Val::from(source, expr.span, Type::Any),
        }
    }

    /// Cells that a helper touches first are cells that we touch, as far as our arguments tell their keys.
    fn foresee(&mut self, callee: &super::summary::Summary, bound: &[Bound<'a>]) {
        for (field, cells) in &callee.first {
            let cells = match cells {
                Cells::Entry(key) => self.translated(key, bound).map(Cells::Entry),
                Cells::Chunk(key) => self.translated(key, bound).map(Cells::Chunk),
                Cells::Header => Some(Cells::Header),
                Cells::Scalar => Some(Cells::Scalar),
                Cells::Whole => Some(Cells::Whole),
            };
            if let Some(cells) = cells.filter(|cells| self.is_foreseen(cells)) {
                self.summary.foresee(*field, cells);
            }
        }
        for key in &callee.keys {
            if let Some(key) = self.translated(key, bound) {
                self.summary.key(key);
            }
        }
    }

    fn translated(&self, key: &Key, bound: &[Bound<'a>]) -> Option<Key> {
        let argument = |index: usize| {
            let mut matching = bound.iter().filter(|b| b.param == index);
            let expr = matching.next()?.expr?;
            let key = super::keys::key(self.model, self.id, expr, &self.shared.summaries[self.id])?;
            matching.next().is_none().then_some(key)
        };
        key.seen_by(&argument)
    }

    // ---- everything else ----

    fn other(&mut self, expr: &'a Expr, call: &'a Call) -> Val {
        match self.model.resolve(self.file, &call.func) {
            Entity::Path(path) => return self.outside(expr, call, &path),
            Entity::Class(class) => return self.construct(expr, call, class),
            _ => {}
        }
        match &call.func.kind {
            ExprKind::Attribute(base, name) => self.method(expr, call, base, &name.name),
            _ => {
                let callee = self.value(&call.func);
                let vals = self.arguments(call);
                self.unknown(expr, &callee, &vals)
            }
        }
    }

    /// Something that may change whatever it is given, and give it back.
    fn unknown(&mut self, expr: &'a Expr, callee: &Val, vals: &[Val]) -> Val {
        let mut all = callee.clone().typed(Type::Any);
        vals.iter().for_each(|val| all.absorb(val));
        let all = all.any_part();
        self.mutate(&all);
        for val in vals {
            self.contain(&all, val);
        }
        let mut result = self.fresh(expr, Type::Any);
        result.absorb(&all);
        result
    }

    fn outside(&mut self, expr: &'a Expr, call: &'a Call, path: &str) -> Val {
        let in_doubt = path.starts_with("builtins.") && matches!(call.func.kind, ExprKind::Attribute(..));
        let known = match tables::function(path) {
            _ if in_doubt => None,
            // `sum(lists, [])` keeps their elements.
            Some(_) if path == "builtins.sum" && call.args.len() > 1 => Some(Known::Keeps),
            known => known,
        };
        if known.is_none()
            && let ExprKind::Attribute(base, name) = &call.func.kind
            && in_doubt
        {
            return self.method(expr, call, base, &name.name);
        }
        if matches!(path, "builtins.isinstance" | "builtins.type") {
            // Nothing of what it holds is read.
            call.args.iter().for_each(|a| _ = self.eval(a));
            return Val::clean(result_type(path, &Val::default()));
        }
        let vals = self.arguments(call);
        let first = vals.first().cloned().unwrap_or_default();
        match known {
            Some(Known::Clean) => Val::clean(result_type(path, &first)),
            Some(Known::Keeps) => {
                let mut result = self.fresh(expr, Type::Any);
                vals.iter().for_each(|val| result.hold(val));
                result
            }
            Some(Known::Within) => {
                let mut result = self.fresh(expr, Type::Any);
                vals.iter().for_each(|val| result.absorb(&val.clone().any_part()));
                result
            }
            Some(Known::Elements) => {
                let element = self.element(&first);
                let ty = match path {
                    "builtins.dict" => first.ty.clone(),
                    "builtins.set" | "builtins.frozenset" => Type::Set(Box::new(element.ty.clone())),
                    _ => Type::List(Box::new(element.ty.clone())),
                };
                let element = if path == "builtins.dict" { self.item(&first) } else { element };
                let mut result = self.fresh(expr, ty);
                result.hold(&element);
                vals.iter().skip(1).for_each(|val| result.hold(val));
                result
            }
            Some(Known::Lazy) => self.lazily(expr, call, path, &vals),
            Some(Known::Element) => {
                let starred = call.args.iter().any(|a| matches!(a.kind, ExprKind::Starred(_)));
                let one = !starred && (call.args.len() == 1 || path == "builtins.next");
                let mut result = if one { self.element(&first) } else { first.clone() };
                let judges = call.keywords.iter().map(|k| k.name.as_ref().is_some_and(|n| n.name == "key"));
                let judges = call.args.iter().map(|_| false).chain(judges);
                for (val, _) in vals.iter().zip(judges).skip(1).filter(|(_, judges)| !judges) {
                    result = std::mem::take(&mut result).join(val);
                }
                result
            }
            Some(Known::Changes) => {
                self.mutate(&first);
                Val::clean(Type::None)
            }
            None => self.unknown(expr, &Val::default(), &vals),
        }
    }

    /// An iterator over its arguments, which reads them when it is consumed.
    fn lazily(&mut self, expr: &'a Expr, call: &'a Call, path: &str, vals: &[Val]) -> Val {
        let mut result = self.fresh(expr, Type::Any);
        vals.iter().for_each(|val| result.hold(val));
        let computes = |function: &'a Expr| match self.model.resolve(self.file, function) {
            Entity::Path(path) => tables::function(&path) == Some(Known::Clean),
            _ => false,
        };
        let bare = match (path, call.args.as_slice()) {
            ("builtins.map", [function, ..]) => computes(function),
            ("builtins.filter", [..]) => vals.iter().skip(1).all(|val| self.element(val).sources.is_empty()),
            _ => vals.iter().all(|val| self.element(val).sources.is_empty()),
        };
        if bare { result.shaped(Shape::Bare) } else { result }
    }

    /// A new object of a class of the application, built around its arguments.
    fn construct(&mut self, expr: &'a Expr, call: &'a Call, class: usize) -> Val {
        let vals = self.arguments(call);
        let name = self.model.class_name(class);
        let ty = self.model.classes[class].record.map_or(Type::Any, |_| Type::Record(name));
        let mut result = self.fresh(expr, ty);
        vals.iter().for_each(|val| result.hold(val));
        if ["__init__", "__post_init__", "__new__"].iter().any(|n| self.model.method_of(class, n).is_some()) {
            vals.iter().for_each(|val| self.mutate_deep(val));
        }
        result
    }

    fn method(&mut self, expr: &'a Expr, call: &'a Call, base: &'a Expr, name: &str) -> Val {
        let holder = self.eval(base);
        self.held.push(holder);
        let vals = self.arguments(call);
        let holder = self.held.pop().unwrap_or_default();
        if let Type::Record(record) = &holder.ty
            && let Some(callee) = self.method_of(record, name)
        {
            let bound = self.bound(call, callee, 1, &vals, Some(holder));
            return self.apply(expr, callee, &bound);
        }
        if let Shape::View(field) = holder.shape {
            return self.view_method(expr, call, field, &holder, name, &vals);
        }
        if holder.sources.is_empty() && self.is_logger(base) {
            return Val::clean(Type::None);
        }
        let mine = self.shared.methods.contains(name);
        if mine {
            self.acts_somewhere(name);
        }
        match tables::method(name) {
            Method::Unknown => self.unknown(expr, &holder, &vals),
            _ if mine && !builtin_type(&holder.ty) => self.unknown(expr, &holder, &vals),
            Method::Reads => Val::clean(Type::Any),
            Method::Gives => {
                let mut result = self.fresh(expr, holder.ty.clone());
                result.hold(&holder);
                vals.iter().for_each(|val| result.hold(val));
                result
            }
            Method::Get => {
                let mut result = self.item(&holder);
                vals.iter().skip(1).for_each(|val| result = std::mem::take(&mut result).join(val));
                self.pruned(result)
            }
            Method::Keys => holder.shaped(Shape::Keys),
            Method::Values => holder.shaped(Shape::Values),
            Method::Items => holder.shaped(Shape::Items),
            Method::Changes => {
                self.mutate(&holder);
                vals.iter().for_each(|val| self.contain(&holder, val));
                Val::clean(Type::None)
            }
            Method::Takes => {
                self.mutate(&holder);
                let item = self.item(&holder);
                let mut result = self.detached(expr, &item);
                vals.iter().skip(1).for_each(|val| result.absorb(val));
                self.pruned(result)
            }
            Method::SetDefault => {
                self.mutate(&holder);
                vals.iter().for_each(|val| self.contain(&holder, val));
                let mut result = self.item(&holder);
                vals.iter().skip(1).for_each(|val| result.absorb(val));
                self.pruned(result)
            }
        }
    }

    /// `log = logging.getLogger(…)` in the module.
    fn is_logger(&self, base: &'a Expr) -> bool {
        let Some(name) = base.as_name() else { return false };
        let Some(bound) = self.model.binding_scope(self.model.scope_at(self.file, base), name) else { return false };
        match self.model.scopes[bound].bindings.get(name).map(Vec::as_slice) {
            Some([Binding::Value(value)]) => value.as_call().is_some_and(|call| {
                self.model.resolve(self.model.scopes[bound].file, &call.func)
                    == Entity::Path("logging.getLogger".to_owned())
            }),
            _ => false,
        }
    }

    /// Some class of the application has a method of this name that makes calls or sends.
    fn acts_somewhere(&mut self, name: &str) {
        let of_value =
            |f: &crate::model::Function<'_>| f.class.is_some_and(|c| self.model.classes[c].service.is_none());
        let mut functions = self.model.members(name).iter().filter(|f| of_value(&self.model.functions[**f]));
        self.summary.acts |= functions.any(|id| self.shared.summaries[*id].acts);
    }

    /// A method of a dict field.
    fn view_method(
        &mut self,
        expr: &'a Expr,
        call: &'a Call,
        field: usize,
        holder: &Val,
        name: &str,
        vals: &[Val],
    ) -> Val {
        let key = call.args.first();
        let mut item = self.item(holder);
        item.sources.values_mut().for_each(|b| b.span = expr.span);
        match name {
            "get" => {
                self.entry(field, key, false);
                vals.iter().skip(1).for_each(|val| item = std::mem::take(&mut item).join(val));
                self.pruned(item)
            }
            "pop" => {
                self.entry(field, key, true);
                let mut result = self.detached(expr, &item);
                vals.iter().skip(1).for_each(|val| result.absorb(val));
                self.pruned(result)
            }
            "setdefault" => {
                self.entry(field, key, true);
                vals.iter().skip(1).for_each(|val| self.publish(val, field, false));
                item
            }
            "keys" | "values" | "items" => {
                self.read(field, Cells::Whole);
                holder.clone().shaped(match name {
                    "keys" => Shape::Keys,
                    "values" => Shape::Values,
                    _ => Shape::Items,
                })
            }
            "copy" => {
                self.read(field, Cells::Whole);
                let mut result = self.fresh(expr, holder.ty.clone());
                result.hold(&item);
                result
            }
            "update" => {
                self.summary.writes.insert(field);
                vals.iter().for_each(|val| self.publish(val, field, false));
                Val::clean(Type::None)
            }
            "clear" => {
                self.write(field, Cells::Whole);
                Val::clean(Type::None)
            }
            "popitem" => {
                self.write(field, Cells::Whole);
                self.fresh(expr, Type::Any)
            }
            _ => {
                self.read(field, Cells::Whole);
                self.unknown(expr, holder, vals)
            }
        }
    }

    /// A method of a class of the application.
    fn method_of(&self, record: &str, name: &str) -> Option<FunctionId> {
        self.model.method_of(self.model.class_named(record)?, name)
    }
}

/// An argument and the parameter that takes it.
pub(super) struct Bound<'a> {
    pub(super) param: usize,
    pub(super) val: Val,
    /// Its expression, if it is that alone.
    pub(super) expr: Option<&'a Expr>,
}

/// The annotated result of a function.
fn returns(model: &Model<'_>, function: FunctionId) -> Type {
    let info = &model.functions[function];
    info.hir.returns.as_ref().map_or(Type::Any, |r| types::annotated(model, info.outer, r))
}

fn builtin_type(ty: &Type) -> bool {
    !matches!(ty, Type::Any | Type::Record(_) | Type::Union(_))
}

fn result_type(path: &str, first: &Val) -> Type {
    let elements = |val: &Val| match &val.ty {
        Type::List(item) | Type::Set(item) | Type::TupleOf(item) => (**item).clone(),
        _ => Type::Any,
    };
    match path.trim_start_matches("builtins.") {
        "len" | "int" | "ord" | "hash" | "id" => Type::Int,
        "str" | "repr" | "chr" | "format" | "hex" | "bin" | "oct" => Type::Str,
        "float" => Type::Float,
        "bool" | "isinstance" | "callable" | "any" | "all" | "hasattr" => Type::Bool,
        "bytes" => Type::Bytes,
        "sum" => match elements(first) {
            Type::Any => Type::Float,
            ty => ty,
        },
        "abs" | "round" | "pow" => Type::Float,
        _ => Type::Any,
    }
}
