//! Keys of dict fields that can be computed from the arguments, before the method runs: through assignments, texts, parts
//! of arguments, and for each element of a collection that a loop goes over.

use protocol::Value;
use protocol::msgpack;
use protocol::schema::Type;

use super::summary::{Key, Summary};
use super::value::Source;
use crate::hir::{BinaryOp, Call, Expr, ExprKind, Format, ParamKind};
use crate::model::{Binding, Entity, FunctionId, Model, ScopeId, ScopeKind, constant, types};

/// Following names deeper than this gives up.
const DEPTH_MAX: u32 = 8;

/// The key that `expr` computes, if it computes it from parameters that keep their values.
pub(super) fn key(model: &Model<'_>, function: FunctionId, expr: &Expr, summary: &Summary) -> Option<Key> {
    let mut reader = Reader { model, function, summary, elements: None };
    let key = reader.at(expr, 0)?;
    Some(match reader.elements {
        Some(elements) => Key::Each(Box::new(elements), Box::new(key)),
        None => key,
    })
}

struct Reader<'r, 'a> {
    model: &'r Model<'a>,
    function: FunctionId,
    summary: &'r Summary,
    /// The collection whose element the key is made of.
    elements: Option<Key>,
}

impl Reader<'_, '_> {
    fn scope_of(&self, expr: &Expr) -> ScopeId {
        self.model.scope_at(self.model.functions[self.function].file, expr)
    }

    fn at(&mut self, expr: &Expr, depth: u32) -> Option<Key> {
        let depth = Some(depth + 1).filter(|depth| *depth <= DEPTH_MAX)?;
        if let Some(key) = self.constant(expr) {
            return Some(key);
        }
        match &expr.kind {
            ExprKind::Name(name) => self.name(expr, name, depth),
            ExprKind::Subscript(base, index) => {
                let base = self.at(base, depth)?;
                Some(Key::Part(Box::new(self.unchanged(base)?), index.as_str()?.to_owned()))
            }
            ExprKind::Attribute(base, name) => {
                let base = self.at(base, depth)?;
                let base = self.unchanged(base)?;
                matches!(self.ty(&base), Type::Record(_)).then(|| Key::Part(Box::new(base), name.name.clone()))
            }
            ExprKind::Call(call) => self.call(call, depth),
            ExprKind::Format(format) => self.format(format, depth),
            ExprKind::Binary(left, BinaryOp::Add, right) => {
                let mut parts = Vec::new();
                for side in [left, right] {
                    match self.at(side, depth)? {
                        Key::Concat(inner) => parts.extend(inner),
                        key => parts.push(key),
                    }
                }
                Some(Key::Concat(parts))
            }
            ExprKind::Tuple(items) => Some(Key::Tuple(self.all(items, depth)?)),
            _ => None,
        }
    }

    fn all(&mut self, items: &[Expr], depth: u32) -> Option<Vec<Key>> {
        items.iter().map(|item| self.at(item, depth)).collect()
    }

    fn constant(&self, expr: &Expr) -> Option<Key> {
        let value = constant::evaluate(self.model, self.scope_of(expr), expr)?;
        msgpack::encode(&value).ok().map(Key::Constant)
    }

    fn name(&mut self, expr: &Expr, name: &str, depth: u32) -> Option<Key> {
        let info = &self.model.functions[self.function];
        let bound = self.model.binding_scope(self.scope_of(expr), name)?;
        match self.model.scopes[bound].bindings.get(name)?.as_slice() {
            [Binding::Param { function: Some(owner), index, .. }] if *owner == self.function => {
                let plain = |k| matches!(k, ParamKind::Normal | ParamKind::PositionalOnly | ParamKind::KeywordOnly);
                plain(info.hir.params[*index].kind).then_some(Key::Param(*index))
            }
            [Binding::Value(value) | Binding::Annotated { value: Some(value), .. }] if bound == info.scope => {
                self.at(value, depth)
            }
            [Binding::Element(iter)] if self.is_ours(bound) => {
                let elements = self.collection(iter, depth)?;
                let same = self.elements.as_ref().is_none_or(|known| *known == elements);
                same.then(|| {
                    self.elements = Some(elements);
                    Key::Element
                })
            }
            _ => None,
        }
    }

    /// True for the scope of the function, and those of comprehensions in it.
    fn is_ours(&self, mut scope: ScopeId) -> bool {
        while self.model.scopes[scope].kind == ScopeKind::Comprehension {
            let Some(parent) = self.model.scopes[scope].parent else { return false };
            scope = parent;
        }
        scope == self.model.functions[self.function].scope
    }

    /// What a loop goes over: its order and repetitions do not matter.
    fn collection(&self, iter: &Expr, depth: u32) -> Option<Key> {
        if let Some(call) = iter.as_call().filter(|call| self.builtin(call).is_some_and(|n| SAME_ELEMENTS.contains(&n)))
        {
            return self.collection(call.args.first()?, depth + 1);
        }
        let mut reader = Reader { elements: None, ..*self };
        let key = reader.at(iter, depth)?;
        if reader.elements.is_some() {
            return None;
        }
        self.unchanged(key)
    }

    /// The name of the builtin that is called.
    fn builtin<'n>(&self, call: &'n Call) -> Option<&'n str> {
        let name = call.func.as_name()?;
        let path = self.model.resolve_in(self.scope_of(&call.func), &call.func);
        (path == Entity::Path(format!("builtins.{name}"))).then_some(name)
    }

    fn call(&mut self, call: &Call, depth: u32) -> Option<Key> {
        let [arg] = call.args.as_slice() else { return None };
        if !call.keywords.is_empty() {
            return None;
        }
        if self.builtin(call) == Some("str") {
            return Some(Key::Text(Box::new(self.at(arg, depth)?)));
        }
        // ":".join([a, b])
        let ExprKind::Attribute(base, name) = &call.func.kind else { return None };
        let (Some(between), ExprKind::List(items) | ExprKind::Tuple(items)) = (base.as_str(), &arg.kind) else {
            return None;
        };
        if name.name != "join" || items.is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            parts.extend((index > 0 && !between.is_empty()).then(|| text(between)));
            parts.push(self.at(item, depth)?);
        }
        Some(Key::Concat(parts))
    }

    fn format(&mut self, format: &Format, depth: u32) -> Option<Key> {
        let texts = format.texts.as_ref()?;
        let mut parts = Vec::new();
        for (index, literal) in texts.iter().enumerate() {
            parts.extend((!literal.is_empty()).then(|| text(literal)));
            if let Some(part) = format.parts.get(index) {
                parts.push(self.at(&part.value, depth)?);
            }
        }
        Some(Key::Join(parts))
    }

    /// A key, if the function does not change what the parameters in it hold.
    fn unchanged(&self, key: Key) -> Option<Key> {
        let changes = |index: &usize| self.summary.mutates.contains_key(&Source::Param(self.function, *index));
        (!key.params().iter().any(changes)).then_some(key)
    }

    /// The declared type of what a key is made from.
    fn ty(&self, key: &Key) -> Type {
        let info = &self.model.functions[self.function];
        match key {
            Key::Param(index) => {
                let annotation = info.hir.params[*index].annotation.as_ref();
                annotation.map_or(Type::Any, |a| types::annotated(self.model, info.outer, a))
            }
            Key::Part(of, name) => types::attribute(self.model, &self.ty(of), name),
            Key::Element => match self.elements.as_ref().map(|elements| self.ty(elements)) {
                Some(Type::List(item) | Type::TupleOf(item) | Type::Set(item) | Type::FrozenSet(item)) => *item,
                _ => Type::Any,
            },
            _ => Type::Any,
        }
    }
}

/// Builtins whose result has the elements of their argument.
const SAME_ELEMENTS: [&str; 6] = ["sorted", "list", "tuple", "set", "frozenset", "reversed"];

fn text(text: &str) -> Key {
    Key::Constant(msgpack::encode(&Value::Str(text.to_owned())).unwrap_or_default())
}
