//! Keys of dict fields that can be computed from the arguments, before the method runs.

use protocol::msgpack;
use protocol::schema::Type;

use super::summary::{Key, Summary};
use super::value::Source;
use crate::hir::{Expr, ExprKind, ParamKind};
use crate::model::{Binding, Entity, FunctionId, Model, constant, types};

/// Following names deeper than this gives up.
const DEPTH_MAX: u32 = 8;

/// The key that `expr` computes, if it computes it from parameters that keep their values.
pub(super) fn key(model: &Model<'_>, function: FunctionId, expr: &Expr, summary: &Summary) -> Option<Key> {
    at(model, function, expr, summary, 0)
}

fn at(model: &Model<'_>, function: FunctionId, expr: &Expr, summary: &Summary, depth: u32) -> Option<Key> {
    if depth > DEPTH_MAX {
        return None;
    }
    let info = &model.functions[function];
    match &expr.kind {
        ExprKind::Name(name) => {
            let scope = model.scope_at(info.file, expr);
            let bound = model.binding_scope(scope, name)?;
            match model.scopes[bound].bindings.get(name.as_str())?.as_slice() {
                [Binding::Param { function: Some(owner), index, .. }] if *owner == function => {
                    let plain = |k| matches!(k, ParamKind::Normal | ParamKind::PositionalOnly | ParamKind::KeywordOnly);
                    plain(info.hir.params[*index].kind).then_some(Key::Param(*index))
                }
                [Binding::Value(value)] if bound == info.scope => at(model, function, value, summary, depth + 1),
                _ => constant_key(model, scope, expr),
            }
        }
        ExprKind::Subscript(base, index) => {
            let name = index.as_str()?;
            Some(Key::Item(unchanged(model, function, base, summary, depth)?, name.to_owned()))
        }
        ExprKind::Attribute(base, name) => {
            let parameter = unchanged(model, function, base, summary, depth)?;
            let annotation = info.hir.params[parameter].annotation.as_ref()?;
            let Type::Record(_) = types::annotated(model, info.outer, annotation) else { return None };
            Some(Key::Item(parameter, name.name.clone()))
        }
        ExprKind::Call(call) => {
            let is_str = model.resolve_in(model.scope_at(info.file, expr), &call.func)
                == Entity::Path("builtins.str".to_owned());
            match (call.args.as_slice(), call.keywords.as_slice()) {
                ([arg], []) if is_str => match at(model, function, arg, summary, depth + 1)? {
                    Key::Param(index) => Some(Key::Str(index)),
                    Key::Item(..) | Key::Str(_) | Key::Constant(_) => None,
                },
                _ => None,
            }
        }
        _ => constant_key(model, model.scope_at(info.file, expr), expr),
    }
}

fn constant_key(model: &Model<'_>, scope: usize, expr: &Expr) -> Option<Key> {
    let value = constant::evaluate(model, scope, expr)?;
    msgpack::encode(&value).ok().map(Key::Constant)
}

/// The parameter that `base` is, if the function does not change what it holds.
fn unchanged(model: &Model<'_>, function: FunctionId, base: &Expr, summary: &Summary, depth: u32) -> Option<usize> {
    let Key::Param(index) = at(model, function, base, summary, depth + 1)? else { return None };
    (!summary.mutates.contains_key(&Source::Param(function, index))).then_some(index)
}
