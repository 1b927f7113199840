//! Annotations to [`Type`]. What is not understood is `Any`, never an error.

use protocol::schema::Type;

use super::{Binding, ClassId, Entity, Model, Record, ScopeId};
use crate::hir::{BinaryOp, Expr, ExprKind, Stmt, StmtKind};
use crate::parse;
use crate::span::Span;

/// Following aliases and strings deeper than this gives `Any`.
const DEPTH_MAX: u32 = 16;

/// The type that an annotation in `scope` states.
pub(crate) fn annotated(model: &Model<'_>, scope: ScopeId, annotation: &Expr) -> Type {
    Reader { model, depth: 0 }.read(scope, annotation)
}

/// True if values of this type cannot be changed in place, so that nothing is borrowed by holding one.
pub(crate) fn immutable(model: &Model<'_>, ty: &Type) -> bool {
    immutable_within(model, ty, DEPTH_MAX)
}

/// True if a collection of this type holds nothing that can be changed in place.
pub(crate) fn holds_immutable(model: &Model<'_>, ty: &Type) -> bool {
    match ty {
        // What can be a key cannot be changed.
        Type::Dict(_, item) | Type::List(item) | Type::Set(item) | Type::FrozenSet(item) | Type::TupleOf(item) => {
            immutable(model, item)
        }
        Type::Tuple(items) => items.iter().all(|item| immutable(model, item)),
        _ => immutable(model, ty),
    }
}

/// The declared type of a field of a dataclass.
pub(crate) fn attribute(model: &Model<'_>, ty: &Type, name: &str) -> Type {
    let Type::Record(record) = ty else { return Type::Any };
    let found = model.class_named(record);
    let Some(class) = found.map(|c| &model.classes[c]) else { return Type::Any };
    let annotation = class.hir.body.iter().find_map(|stmt| match &stmt.kind {
        StmtKind::Annotated { target, annotation, .. } if target.as_name() == Some(name) => Some(annotation),
        _ => None,
    });
    annotation.map_or(Type::Any, |a| annotated(model, class.scope, a))
}

fn immutable_within(model: &Model<'_>, ty: &Type, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match ty {
        Type::None
        | Type::Bool
        | Type::Int
        | Type::Float
        | Type::Str
        | Type::Bytes
        | Type::Decimal
        | Type::DateTime
        | Type::Date
        | Type::Time
        | Type::TimeDelta
        | Type::Uuid => true,
        Type::Any | Type::List(_) | Type::Dict(..) | Type::Set(_) => false,
        Type::Tuple(items) | Type::Union(items) => items.iter().all(|t| immutable_within(model, t, depth)),
        Type::TupleOf(item) | Type::FrozenSet(item) => immutable_within(model, item, depth),
        Type::Record(name) => model.class_named(name).is_some_and(|class| immutable_record(model, class, depth)),
    }
}

/// Enums, and frozen dataclasses of immutable fields.
fn immutable_record(model: &Model<'_>, class: ClassId, depth: u32) -> bool {
    let info = &model.classes[class];
    let field = |stmt: &Stmt| match &stmt.kind {
        StmtKind::Annotated { annotation, .. } => {
            immutable_within(model, &annotated(model, info.scope, annotation), depth)
        }
        _ => true,
    };
    match info.record {
        Some(Record::Enum) => true,
        Some(Record::Dataclass { frozen }) => frozen && info.hir.bases.is_empty() && info.hir.body.iter().all(field),
        Some(Record::TypedDict | Record::NamedTuple) | None => false,
    }
}

/// The expression inside the quotes of a string annotation.
pub(crate) fn quoted(model: &Model<'_>, scope: ScopeId, annotation: &Expr) -> Option<Expr> {
    let source = model.files[model.scopes[scope].file].source.source.as_str();
    let text = annotation.span.text(source);
    let quote = text.chars().next().filter(|c| ['"', '\''].contains(c))?;
    if text.starts_with([quote; 3].iter().collect::<String>().as_str()) || !text.ends_with(quote) || text.len() < 3 {
        return None;
    }
    parse::parse_expression(source, Span::new(annotation.span.start + 1, annotation.span.end - 1))
}

struct Reader<'m, 'a> {
    model: &'m Model<'a>,
    depth: u32,
}

impl Reader<'_, '_> {
    fn read(&mut self, scope: ScopeId, annotation: &Expr) -> Type {
        self.depth += 1;
        let ty = if self.depth > DEPTH_MAX { Type::Any } else { self.known(scope, annotation) };
        self.depth -= 1;
        ty
    }

    fn known(&mut self, scope: ScopeId, annotation: &Expr) -> Type {
        match &annotation.kind {
            ExprKind::None => Type::None,
            ExprKind::Str(_) => {
                quoted(self.model, scope, annotation).map_or(Type::Any, |inner| self.read(scope, &inner))
            }
            ExprKind::Binary(left, BinaryOp::BitOr, right) => {
                union(vec![self.read(scope, left), self.read(scope, right)])
            }
            ExprKind::Subscript(base, arguments) => self.generic(scope, base, arguments),
            ExprKind::Name(_) | ExprKind::Attribute(..) => self.plain(scope, annotation),
            _ => Type::Any,
        }
    }

    fn plain(&mut self, scope: ScopeId, name: &Expr) -> Type {
        match self.model.resolve_in(scope, name) {
            Entity::Path(path) => builtin(&path),
            Entity::Class(class) => match self.model.classes[class].record {
                Some(Record::Dataclass { .. } | Record::Enum) => Type::Record(self.model.class_name(class)),
                Some(Record::TypedDict) => Type::Dict(Box::new(Type::Str), Box::new(Type::Any)),
                Some(Record::NamedTuple) | None => Type::Any,
            },
            _ => self.alias(scope, name),
        }
    }

    /// `Name = dict[str, int]` at module level.
    fn alias(&mut self, scope: ScopeId, name: &Expr) -> Type {
        let Some(bound) = name.as_name().and_then(|n| self.model.binding_scope(scope, n)) else { return Type::Any };
        let name = name.as_name().unwrap_or_default();
        match self.model.scopes[bound].bindings.get(name).map(Vec::as_slice) {
            Some([Binding::Value(value)]) => self.read(bound, value),
            Some([Binding::Annotated { value: Some(value), .. }]) => self.read(bound, value),
            _ => Type::Any,
        }
    }

    fn generic(&mut self, scope: ScopeId, base: &Expr, arguments: &Expr) -> Type {
        let Entity::Path(path) = self.model.resolve_in(scope, base) else { return Type::Any };
        let items: Vec<&Expr> = match &arguments.kind {
            ExprKind::Tuple(items) => items.iter().collect(),
            _ => vec![arguments],
        };
        let mut read = |index: usize| items.get(index).map_or(Type::Any, |item| self.read(scope, item));
        match last(&path) {
            "list" | "List" | "Sequence" | "MutableSequence" => Type::List(Box::new(read(0))),
            "dict" | "Dict" | "Mapping" | "MutableMapping" => Type::Dict(Box::new(read(0)), Box::new(read(1))),
            "set" | "Set" | "MutableSet" | "AbstractSet" => Type::Set(Box::new(read(0))),
            "frozenset" | "FrozenSet" => Type::FrozenSet(Box::new(read(0))),
            "Optional" => union(vec![read(0), Type::None]),
            "Union" => union((0..items.len()).map(read).collect()),
            "Annotated" | "Final" | "Persistent" => read(0),
            "Literal" => literal(&items),
            "tuple" | "Tuple" => match items.as_slice() {
                [_, dots] if matches!(dots.kind, ExprKind::Ellipsis) => Type::TupleOf(Box::new(read(0))),
                _ => Type::Tuple((0..items.len()).map(read).collect()),
            },
            _ => Type::Any,
        }
    }
}

/// The last name of an annotation, without what is in its brackets.
pub(crate) fn head(annotation: &Expr) -> &str {
    match &annotation.kind {
        ExprKind::Subscript(base, _) => head(base),
        ExprKind::Attribute(_, name) => &name.name,
        ExprKind::Name(name) => name,
        _ => "",
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn builtin(path: &str) -> Type {
    let any = || Box::new(Type::Any);
    match path {
        "builtins.bool" => Type::Bool,
        "builtins.int" => Type::Int,
        "builtins.float" => Type::Float,
        "builtins.str" => Type::Str,
        "builtins.bytes" => Type::Bytes,
        "decimal.Decimal" => Type::Decimal,
        "datetime.datetime" => Type::DateTime,
        "datetime.date" => Type::Date,
        "datetime.time" => Type::Time,
        "datetime.timedelta" => Type::TimeDelta,
        "uuid.UUID" => Type::Uuid,
        "builtins.list" | "typing.List" => Type::List(any()),
        "builtins.dict" | "typing.Dict" => Type::Dict(any(), any()),
        "builtins.set" | "typing.Set" => Type::Set(any()),
        "builtins.frozenset" | "typing.FrozenSet" => Type::FrozenSet(any()),
        "builtins.tuple" | "typing.Tuple" => Type::TupleOf(any()),
        _ => Type::Any,
    }
}

fn literal(items: &[&Expr]) -> Type {
    let mut types: Vec<Type> = Vec::new();
    for item in items {
        let ty = match &item.kind {
            ExprKind::Str(_) => Type::Str,
            ExprKind::Bytes(_) => Type::Bytes,
            ExprKind::Int(_) => Type::Int,
            ExprKind::Bool(_) => Type::Bool,
            ExprKind::None => Type::None,
            _ => Type::Any,
        };
        types.push(ty);
    }
    union(types)
}

fn union(types: Vec<Type>) -> Type {
    let mut flat: Vec<Type> = Vec::new();
    for ty in types {
        match ty {
            Type::Union(inner) => flat.extend(inner),
            other => flat.push(other),
        }
    }
    let mut unique: Vec<Type> = Vec::new();
    for ty in flat {
        if !unique.contains(&ty) {
            unique.push(ty);
        }
    }
    match unique.as_slice() {
        [] => Type::Any,
        [one] => one.clone(),
        many if many.contains(&Type::Any) => Type::Any,
        _ => Type::Union(unique),
    }
}
