//! Where the order of a set, which Python does not define, gets into results.

use protocol::manifest::FieldKind;
use protocol::schema::Type;

use crate::diagnostic::{Report, Sink};
use crate::hir::{CompKind, Expr, ExprKind, Stmt, StmtKind};
use crate::model::{Binding, Entity, FileId, FunctionId, Model, ScopeId, types};
use crate::span::Span;
use crate::walk::{expressions, statements};

/// Following names and operands deeper than this gives up.
const DEPTH_MAX: u32 = 8;

pub(super) fn check(model: &Model<'_>, function: FunctionId, sink: &mut Sink<'_>) {
    let info = &model.functions[function];
    let sets = Sets { model, file: info.file };
    let mut tell = |span: Span| {
        let report = Report::warning("SOS0609", info.file, span, "the order of a set gets into the result here");
        let report = report.note("the order of a set is not kept: another run, or the stored set, may have another");
        sink.add(report.help("use `sorted(…)`, or a list or dict, which keep their order"));
    };
    let mut ordered: Vec<Span> = Vec::new();
    expressions(&info.hir.body, &mut |expr| match &expr.kind {
        ExprKind::Call(call) => {
            if let Some(argument) = sets.shown(call) {
                tell(argument);
            }
            // The order of what these take does not show.
            if sets.hides_order(&call.func) {
                ordered.extend(call.args.iter().map(|a| a.span));
            }
        }
        ExprKind::Comp(comp) if comp.kind == CompKind::List && !ordered.contains(&expr.span) => {
            let taken = comp.clauses.first().filter(|c| sets.is_set(&c.iter, DEPTH_MAX));
            taken.into_iter().for_each(|clause| tell(clause.iter.span));
        }
        _ => {}
    });
    statements(&info.hir.body, &mut |stmt| {
        if let StmtKind::For(s) = &stmt.kind
            && sets.is_set(&s.iter, DEPTH_MAX)
            && keeps_order(&s.body)
        {
            tell(s.iter.span);
        }
    });
}

/// A loop whose result tells in which order it went.
fn keeps_order(body: &[Stmt]) -> bool {
    let mut found = false;
    statements(body, &mut |stmt| found |= matches!(stmt.kind, StmtKind::Return(Some(_)) | StmtKind::Break));
    expressions(body, &mut |expr| {
        found |= match &expr.kind {
            ExprKind::Yield(_) => true,
            ExprKind::Call(call) => matches!(&call.func.kind, ExprKind::Attribute(_, name)
                if matches!(name.name.as_str(), "append" | "insert" | "appendleft")),
            _ => false,
        }
    });
    found
}

struct Sets<'m, 'a> {
    model: &'m Model<'a>,
    file: FileId,
}

impl<'a> Sets<'_, 'a> {
    /// The set whose order a call shows.
    fn shown(&self, call: &'a crate::hir::Call) -> Option<Span> {
        if let ExprKind::Attribute(base, name) = &call.func.kind {
            let pops = name.name == "pop" && call.args.is_empty() && self.is_set(base, DEPTH_MAX);
            let joins = name.name == "join" && matches!(base.kind, ExprKind::Str(_));
            let joined = call.args.first().filter(|a| joins && self.is_set(a, DEPTH_MAX));
            return if pops { Some(base.span) } else { joined.map(|a| a.span) };
        }
        let Entity::Path(path) = self.model.resolve(self.file, &call.func) else { return None };
        let shows = ["list", "tuple", "enumerate", "iter", "zip", "repr", "str"];
        if !path.strip_prefix("builtins.").is_some_and(|name| shows.contains(&name)) {
            return None;
        }
        call.args.iter().find(|a| self.is_set(a, DEPTH_MAX)).map(|a| a.span)
    }

    fn hides_order(&self, func: &'a Expr) -> bool {
        let hides = ["sorted", "set", "frozenset", "sum", "min", "max", "any", "all", "len"];
        matches!(self.model.resolve(self.file, func), Entity::Path(path)
            if path.strip_prefix("builtins.").is_some_and(|name| hides.contains(&name)))
    }

    fn is_set(&self, expr: &'a Expr, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        match &expr.kind {
            ExprKind::Set(_) => true,
            ExprKind::Comp(comp) => comp.kind == CompKind::Set,
            ExprKind::Call(call) => matches!(self.model.resolve(self.file, &call.func), Entity::Path(path)
                if path == "builtins.set" || path == "builtins.frozenset"),
            ExprKind::Binary(left, _, right) => self.is_set(left, depth) && self.is_set(right, depth),
            ExprKind::Attribute(..) => self.is_set_field(expr, FieldKind::Scalar),
            ExprKind::Subscript(base, _) => self.is_set_field(base, FieldKind::Dict),
            ExprKind::Name(name) => self.holds_set(self.model.scope_at(self.file, expr), name, depth),
            _ => false,
        }
    }

    /// A field of this kind whose value, or whose values, are sets.
    fn is_set_field(&self, expr: &'a Expr, kind: FieldKind) -> bool {
        let Entity::Field(service, field) = self.model.resolve(self.file, expr) else { return false };
        let field = &self.model.services[service].fields[field];
        field.kind == kind && is_set_type(&field.value_type)
    }

    fn holds_set(&self, scope: ScopeId, name: &str, depth: u32) -> bool {
        let Some(bound) = self.model.binding_scope(scope, name) else { return false };
        let info = &self.model.scopes[bound];
        let by_type = |annotation: &Expr| is_set_type(&types::annotated(self.model, bound, annotation));
        info.file == self.file
            && info.bindings[name].iter().all(|binding| match binding {
                Binding::Value(value) => self.is_set(value, depth),
                Binding::Param { annotation: Some(annotation), .. } | Binding::Annotated { annotation, .. } => {
                    by_type(annotation)
                }
                _ => false,
            })
    }
}

fn is_set_type(ty: &Type) -> bool {
    matches!(ty, Type::Set(_) | Type::FrozenSet(_))
}
