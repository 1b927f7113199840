//! What an expression may refer to: objects of cells, of parameters, or made here.

use std::collections::BTreeMap;

use protocol::schema::Type;

use crate::hir::ExprId;
use crate::model::{FileId, FunctionId};
use crate::span::Span;

/// Where an object comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// A persistent field of the function's service, by its index.
    Field(usize),
    /// An argument.
    Param(FunctionId, usize),
    /// Made by an expression of the function.
    Fresh(FileId, ExprId),
}

/// How a value is related to an object of a source. Ordered by what changing the value may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The value is a collection or object that holds it: changing the value does not change it.
    Inside,
    /// The value may be the object.
    Itself,
    /// The value may be something in it, however deep.
    Within,
    /// The value may be the object, or something in it, however deep.
    Part,
}

impl Level {
    /// Either level.
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Itself, Self::Within) | (Self::Within, Self::Itself) => Self::Part,
            _ => self.max(other),
        }
    }

    /// True if changing the value may change what the object holds.
    pub(crate) fn is_deep(self) -> bool {
        self >= Self::Within
    }

    /// True if a part of the value may be the object.
    pub(crate) fn is_around(self) -> bool {
        matches!(self, Self::Inside | Self::Part)
    }

    /// The level of something that a value of this level holds.
    fn inner(self) -> Self {
        match self {
            Self::Inside | Self::Part => Self::Part,
            Self::Itself | Self::Within => Self::Within,
        }
    }
}

/// How a name came to hold an object of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Borrow {
    /// Where.
    pub(crate) span: Span,
    /// The first suspension since.
    pub(crate) stale: Option<Span>,
    pub(crate) level: Level,
    /// The value may be, or hold, all that the source stands for: not just something in it.
    pub(crate) whole: bool,
}

/// What is known of the form of a value beyond its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    #[default]
    Plain,
    /// A dict field itself.
    View(usize),
    /// `.keys()`, `.values()`, `.items()` of a dict field or of a dict in it.
    Keys,
    Values,
    Items,
    /// An element of `.items()`.
    Item,
    /// An iterator whose elements refer to nothing.
    Bare,
}

/// A value, abstractly.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Val {
    pub(crate) sources: BTreeMap<Source, Borrow>,
    pub(crate) ty: Type,
    pub(crate) shape: Shape,
}

impl Val {
    /// A value that nothing else refers to, or that cannot be changed.
    pub(crate) fn clean(ty: Type) -> Self {
        Self { ty, ..Self::default() }
    }

    /// A value from one source.
    pub(crate) fn from(source: Source, span: Span, ty: Type) -> Self {
        let borrow = Borrow { span, stale: None, level: Level::Itself, whole: true };
        Self { sources: BTreeMap::from([(source, borrow)]), ty, shape: Shape::Plain }
    }

    /// Takes over the sources of another value.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for (source, borrow) in &other.sources {
            let own = self.sources.entry(*source).or_insert(*borrow);
            own.stale = own.stale.or(borrow.stale);
            own.level = own.level.join(borrow.level);
            own.whole |= borrow.whole;
        }
    }

    /// The other value becomes part of this collection or object.
    pub(crate) fn hold(&mut self, other: &Self) {
        for (source, borrow) in &other.sources {
            let own = self.sources.entry(*source).or_insert(Borrow { level: Level::Inside, ..*borrow });
            own.stale = own.stale.or(borrow.stale);
            own.whole |= borrow.whole;
        }
    }

    /// What is from `of` is one of `source`, too; all that this stands for, if `whole`.
    pub(crate) fn share(&mut self, of: Source, source: Source, span: Span, whole: bool) {
        if let Some(Borrow { level, whole: all, .. }) = self.sources.get(&of).copied() {
            let new = Borrow { span, stale: None, level, whole: false };
            self.sources.entry(source).or_insert(new).whole |= whole && all;
        }
    }

    /// Something that this value holds.
    pub(crate) fn part(mut self) -> Self {
        for borrow in self.sources.values_mut() {
            borrow.whole &= borrow.level.is_around();
            borrow.level = borrow.level.inner();
        }
        self
    }

    /// The value, or something that it holds.
    pub(crate) fn any_part(mut self) -> Self {
        self.sources.values_mut().for_each(|borrow| borrow.level = Level::Part);
        self
    }

    /// Either value.
    pub(crate) fn join(mut self, other: &Self) -> Self {
        self.absorb(other);
        self.ty = join_types(self.ty, &other.ty);
        if self.shape != other.shape {
            self.shape = Shape::Plain;
        }
        self
    }

    /// The same sources with another type.
    pub(crate) fn typed(mut self, ty: Type) -> Self {
        self.ty = ty;
        self.shape = Shape::Plain;
        self
    }

    pub(crate) fn shaped(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }
}

fn join_types(one: Type, other: &Type) -> Type {
    if one == *other {
        return one;
    }
    if !is_plain(&one) || !is_plain(other) {
        return Type::Any;
    }
    let mut all = match one {
        Type::Union(types) => types,
        one => vec![one],
    };
    match other {
        Type::Union(types) => all.extend(types.iter().filter(|t| !all.contains(t)).cloned().collect::<Vec<_>>()),
        other if all.contains(other) => {}
        other => all.push(other.clone()),
    }
    Type::Union(all)
}

/// Numbers, texts and the like: adding one to something gives another one.
pub(crate) fn is_plain(ty: &Type) -> bool {
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
        Type::Union(types) => types.iter().all(is_plain),
        Type::Any
        | Type::List(_)
        | Type::Dict(..)
        | Type::Tuple(_)
        | Type::TupleOf(_)
        | Type::Set(_)
        | Type::FrozenSet(_)
        | Type::Record(_) => false,
    }
}
