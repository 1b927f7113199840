//! The walk over one function: its state, and the events that expressions and statements cause.

use std::collections::{BTreeMap, BTreeSet};

use protocol::manifest::FieldKind;
use protocol::schema::Type;

use super::state::{Local, State};
use super::summary::{Cells, Key, Summary};
use super::value::{Level, Shape, Source, Val};
use crate::diagnostic::Report;
use crate::hir::{Expr, ExprId};
use crate::model::{Entity, FileId, FunctionId, Model, ScopeId, ServiceId, types};
use crate::span::Span;

/// Steps of one walk over a function.
const WORK_MAX: u32 = 200_000;

/// What all functions share while summaries grow to their fixpoint.
#[derive(Debug, Default)]
pub(crate) struct Shared<'a> {
    pub(crate) summaries: Vec<Summary>,
    /// Parameters that some caller passes an object of a cell, and whose it may be.
    pub(crate) borrowed: BTreeMap<(FunctionId, usize), BTreeSet<Lender>>,
    /// Fields whose objects are used after a suspension: they are brought up to date before the method goes on.
    pub(crate) held: BTreeSet<(ServiceId, usize)>,
    /// Dict and list fields that are assigned as a whole: file and place.
    pub(crate) replaced: BTreeMap<(ServiceId, usize), (FileId, Span)>,
    /// What locals ever hold, for the functions nested in theirs.
    pub(crate) captured: BTreeMap<Local<'a>, Val>,
    /// Expressions that suspend.
    pub(crate) suspensions: BTreeMap<FileId, BTreeSet<ExprId>>,
    /// Functions that are too complex to be followed.
    pub(crate) too_complex: BTreeSet<FunctionId>,
    /// Functions that suspend.
    pub(crate) suspends: BTreeSet<FunctionId>,
    /// Names of methods of the application's own value classes.
    pub(crate) methods: BTreeSet<String>,
    pub(crate) changed: bool,
}

/// A field that an object may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lender {
    pub(crate) service: ServiceId,
    pub(crate) field: usize,
    /// The object may be the dict or list field itself, or hold it.
    pub(crate) whole: bool,
    /// A part of the argument may be it: it is in a collection.
    pub(crate) nested: bool,
}

pub(crate) struct Walker<'m, 'a> {
    pub(super) model: &'m Model<'a>,
    pub(super) shared: &'m mut Shared<'a>,
    pub(super) id: FunctionId,
    pub(super) file: FileId,
    pub(super) service: Option<ServiceId>,
    /// `None` where nothing gets.
    pub(super) state: Option<State<'a>>,
    /// Values of expressions that are still needed while another part is evaluated.
    pub(super) held: Vec<Val>,
    pub(super) summary: Summary,
    /// States that an exception may leave, one per enclosing `try` or `with`.
    pub(super) raised: Vec<Option<State<'a>>>,
    pub(super) loops: Vec<Loop<'a>>,
    /// Depth of branches and loops: only what stands outside of them is foreseen.
    pub(super) depth: u32,
    /// Whether this pass reports.
    pub(super) told: Option<Vec<Report>>,
    pub(super) lambda_depth: u32,
    /// How many of these are loops that stand where everything runs.
    pub(super) each: u32,
    /// Lexical depth of transactions.
    pub(super) transactions: u32,
    /// Suspensions seen so far.
    pub(super) suspended: u32,
    /// Statements and comprehensions walked so far.
    pub(super) work: u32,
    /// What the user awaits on the spot.
    pub(super) awaited: Option<ExprId>,
    /// The assignment that is walked belongs to an operator like `+=`.
    pub(super) in_place: bool,
}

/// States at the ends of a loop's body.
#[derive(Debug, Default)]
pub(crate) struct Loop<'a> {
    pub(super) breaks: Option<State<'a>>,
    pub(super) continues: Option<State<'a>>,
}

impl<'m, 'a> Walker<'m, 'a> {
    pub(crate) fn new(model: &'m Model<'a>, shared: &'m mut Shared<'a>, id: FunctionId, report: bool) -> Self {
        Self {
            model,
            shared,
            id,
            file: model.functions[id].file,
            service: model.service_of(id),
            state: Some(State::default()),
            held: Vec::new(),
            summary: Summary::default(),
            raised: Vec::new(),
            loops: Vec::new(),
            depth: 0,
            told: report.then(Vec::new),
            lambda_depth: 0,
            each: 0,
            transactions: 0,
            suspended: 0,
            work: 0,
            awaited: None,
            in_place: false,
        }
    }

    /// Walks the function; gives its summary and reports.
    pub(crate) fn run(mut self) -> (Summary, Vec<Report>) {
        let info = &self.model.functions[self.id];
        for (index, param) in info.hir.params.iter().enumerate() {
            let ty = param.annotation.as_ref().map_or(Type::Any, |a| types::annotated(self.model, info.outer, a));
            let source = Source::Param(self.id, index);
            let val = self.pruned(Val::from(source, param.name.span, ty));
            self.bind(info.scope, &param.name.name, val);
        }
        self.block(&info.hir.body);
        (self.summary, self.told.unwrap_or_default())
    }

    /// Whether objects of a source belong to cells.
    pub(super) fn is_borrowed(&self, source: Source) -> bool {
        match source {
            Source::Field(_) => true,
            Source::Param(function, index) => self.shared.borrowed.contains_key(&(function, index)),
            Source::Fresh(..) => false,
        }
    }

    /// The fields that an object of a source may belong to.
    pub(super) fn lenders(&self, source: Source, whole: bool) -> Vec<Lender> {
        match (source, self.service) {
            (Source::Field(field), Some(service)) => {
                let has_view = self.model.services[service].fields[field].kind != FieldKind::Scalar;
                vec![Lender { service, field, whole: has_view && whole, nested: false }]
            }
            (Source::Param(function, index), _) => {
                let all = self.shared.borrowed.get(&(function, index)).into_iter().flatten();
                all.map(|lender| Lender { whole: lender.whole && (whole || lender.nested), ..*lender }).collect()
            }
            (Source::Field(_), None) | (Source::Fresh(..), _) => Vec::new(),
        }
    }

    /// Without sources if the type says that nothing can change it.
    pub(super) fn pruned(&self, val: Val) -> Val {
        if types::immutable(self.model, &val.ty) { Val::clean(val.ty) } else { val }
    }

    /// A new object.
    pub(super) fn fresh(&self, expr: &Expr, ty: Type) -> Val {
        self.pruned(Val::from(Source::Fresh(self.file, expr.id), expr.span, ty))
    }

    pub(super) fn bind(&mut self, scope: ScopeId, name: &'a str, val: Val) {
        let captured = self.shared.captured.entry((scope, name)).or_default();
        let before = captured.sources.clone();
        captured.absorb(&val);
        captured.sources.values_mut().for_each(|b| b.stale = None);
        self.shared.changed |= captured.sources != before;
        if let Some(state) = &mut self.state {
            state.locals.insert((scope, name), val);
        }
    }

    /// What a local name holds now.
    pub(super) fn lookup(&mut self, scope: ScopeId, name: &'a str) -> Val {
        let Some(state) = &mut self.state else { return Val::default() };
        if let Some(val) = state.locals.get(&(scope, name)) {
            return val.clone();
        }
        let mut val = self.shared.captured.get(&(scope, name)).cloned().unwrap_or_default();
        let stale = state.suspended;
        val.sources.values_mut().for_each(|b| b.stale = stale);
        state.locals.insert((scope, name), val.clone());
        val
    }

    /// False when the function is too complex: loops in loops multiply.
    pub(super) fn goes_on(&mut self) -> bool {
        self.work += 1;
        if self.work > WORK_MAX {
            self.shared.too_complex.insert(self.id);
        }
        self.work <= WORK_MAX
    }

    // ---- events ----

    /// Code before the first suspension that always runs, or that runs for each element of what the key is made of.
    pub(super) fn is_foreseen(&self, cells: &Cells) -> bool {
        let sure = if matches!(cells, Cells::Entry(key) if key.is_each()) { self.each } else { 0 };
        self.depth == sure && self.lambda_depth == 0 && self.state.as_ref().is_some_and(|s| s.suspended.is_none())
    }

    /// Walks the body of a loop or comprehension that runs for each element, if `always` holds.
    pub(super) fn for_each<T>(&mut self, always: bool, walk: impl FnOnce(&mut Self) -> T) -> T {
        let (each, suspended, known) = (self.each, self.suspended, self.summary.first.len());
        if always && self.depth == self.each {
            self.each += 1;
        }
        let result = walk(self);
        self.each = each;
        if self.suspended > suspended {
            // Only the first element's cells are touched before that.
            let mut index = 0;
            self.summary.first.retain(|(_, cells)| {
                index += 1;
                index <= known || !matches!(cells, Cells::Entry(key) if key.is_each())
            });
        }
        result
    }

    pub(super) fn read(&mut self, field: usize, cells: Cells) {
        self.summary.reads.insert(field);
        self.touch(field, cells);
    }

    pub(super) fn write(&mut self, field: usize, cells: Cells) {
        self.summary.writes.insert(field);
        self.touch(field, cells);
    }

    fn touch(&mut self, field: usize, cells: Cells) {
        if let Cells::Entry(key) = &cells {
            self.summary.key(key.clone());
        }
        if self.is_foreseen(&cells) {
            self.summary.foresee(field, cells);
        }
    }

    /// One entry of a dict field, whose key is known or not.
    pub(super) fn entry(&mut self, field: usize, key: Option<&'a Expr>, writes: bool) {
        match key.and_then(|k| self.key(k)) {
            Some(key) if writes => self.write(field, Cells::Entry(key)),
            Some(key) => self.read(field, Cells::Entry(key)),
            None if writes => _ = self.summary.writes.insert(field),
            None => _ = self.summary.reads.insert(field),
        }
    }

    /// The element at an index of what may be a list field.
    pub(super) fn element_at(&mut self, base: &'a Expr, index: &'a Expr) {
        let Entity::Field(service, field) = self.model.resolve(self.file, base) else { return };
        if Some(service) != self.service || self.model.services[service].fields[field].kind != FieldKind::List {
            return;
        }
        if let Some(key @ Key::Param(_)) = self.key(index) {
            self.touch(field, Cells::Chunk(key));
        }
    }

    /// The value is changed in place; what it holds stays as it is.
    pub(super) fn mutate(&mut self, val: &Val) {
        for (source, borrow) in val.sources.iter().filter(|(_, b)| b.level != Level::Inside) {
            self.mutated(*source, borrow.level.is_deep());
        }
    }

    /// The value and whatever it holds may be changed.
    pub(super) fn mutate_deep(&mut self, val: &Val) {
        val.sources.keys().for_each(|source| self.mutated(*source, true));
    }

    fn mutated(&mut self, source: Source, deep: bool) {
        match source {
            Source::Field(field) => _ = self.summary.writes.insert(field),
            Source::Param(..) | Source::Fresh(..) => *self.summary.mutates.entry(source).or_default() |= deep,
        }
    }

    /// `inner` becomes part of `outer`.
    pub(super) fn contain(&mut self, outer: &Val, inner: &Val) {
        if inner.sources.is_empty() {
            return;
        }
        for source in outer.sources.iter().filter(|(_, b)| b.level != Level::Inside).map(|(source, _)| source) {
            if let Source::Field(field) = source {
                self.publish(inner, *field, false);
            }
            self.alias(*source, inner);
        }
    }

    /// Whatever shares `of` may now hold what `inner` refers to.
    fn alias(&mut self, of: Source, inner: &Val) {
        let Some(state) = &mut self.state else { return };
        for val in state.locals.values_mut().chain(&mut self.held) {
            if val.sources.contains_key(&of) {
                val.hold(inner);
            }
        }
    }

    /// A value is stored in a field, or becomes the `whole` of it: whoever holds it now holds an object of a cell.
    pub(super) fn publish(&mut self, val: &Val, field: usize, whole: bool) {
        if self.model.is_mu2sls(self.id) {
            // Values are copies there.
            return;
        }
        let stored = Source::Field(field);
        for (source, borrow) in val.sources.iter().filter(|(source, _)| **source != stored) {
            let whole = whole && borrow.level != Level::Inside;
            if !matches!(source, Source::Field(_)) {
                *self.summary.publishes.entry(*source).or_default().entry(field).or_default() |= whole;
            }
            if let Some(state) = &mut self.state {
                state.alias(*source, stored, borrow.span, whole);
            }
            self.held.iter_mut().for_each(|held| held.share(*source, stored, borrow.span, whole));
        }
    }

    /// A suspension: what is held in the middle of an expression is told at once, what locals hold when it is used.
    pub(super) fn suspend(&mut self, at: Span) {
        let held = std::mem::take(&mut self.held);
        for val in &held {
            self.held_over(val, at);
        }
        self.held = held;
        self.suspended += 1;
        if let Some(state) = &mut self.state {
            state.suspend(at);
        }
        self.trace();
    }

    /// Notes the state for the handlers around.
    pub(super) fn trace(&mut self) {
        if let Some(state) = &self.state {
            for raised in &mut self.raised {
                super::state::join(raised, Some(state.clone()));
            }
        }
    }

    /// A local is used: what is in it from before a suspension must have been brought up to date.
    pub(super) fn used(&mut self, name: &str, span: Span, val: &Val) {
        for (source, borrow) in &val.sources {
            let Some(suspended) = borrow.stale else { continue };
            if let Some(refused) = self.hold(*source, borrow.whole) {
                self.tell_stale(name, span, refused, borrow.span, suspended);
                return;
            }
        }
    }

    /// A value is held in the middle of something that suspends.
    fn held_over(&mut self, val: &Val, at: Span) {
        for (source, borrow) in &val.sources {
            if let Some(refused) = self.hold(*source, borrow.whole) {
                self.tell_held(refused, borrow.span, at);
                return;
            }
        }
    }

    /// A default value of a nested function keeps an object for as long as the function lives.
    pub(super) fn held_by_default(&mut self, default: &Expr, val: &Val) {
        self.held_over(val, default.span);
    }

    /// An object of this source is used after a suspension. Gives the field if that cannot be made right: the mu2sls
    /// dialect copies values, and a dict or list field that is assigned as a whole leaves the old one to those who hold
    /// it.
    fn hold(&mut self, source: Source, whole: bool) -> Option<Lender> {
        let lenders = self.lenders(source, whole);
        if self.model.is_mu2sls(self.id) {
            return lenders.first().copied();
        }
        if self.told.is_some() {
            self.shared.held.extend(lenders.iter().map(|lender| (lender.service, lender.field)));
        }
        let replaced =
            |lender: &&Lender| lender.whole && self.shared.replaced.contains_key(&(lender.service, lender.field));
        lenders.iter().find(replaced).copied()
    }

    /// What is held, and why that is refused.
    fn refused(&self, lender: Lender) -> (String, Option<Span>, &'static str) {
        let field = &self.model.services[lender.service].fields[lender.field].name;
        if self.model.is_mu2sls(self.id) {
            let advice = "read it again after the call: values are copies in this dialect";
            return (format!("an object of `self.{field}`"), None, advice);
        }
        let place = self.shared.replaced.get(&(lender.service, lender.field));
        let here = place.filter(|(file, _)| *file == self.file).map(|(_, span)| *span);
        let advice = "name the field again after the call, or change it in place (`clear()`, `update(…)`, `[:] = …`)";
        (format!("`self.{field}` itself, which is assigned as a whole,"), here, advice)
    }

    fn tell_stale(&mut self, name: &str, span: Span, lender: Lender, borrowed: Span, suspended: Span) {
        let (what, replaced, advice) = self.refused(lender);
        let lenient = self.model.is_mu2sls(self.id);
        let Some(told) = &mut self.told else { return };
        let mut report =
            Report::error("SOS0510", self.file, span, format!("`{name}` may hold {what} from before a call"))
                .here("used here, when the stored value may have changed")
                .label(borrowed, "taken here")
                .label(suspended, "the method waits here, and others may run")
                .help(advice);
        if let Some(at) = replaced {
            report = report.label(at, "assigned as a whole here");
        }
        told.push(report.lenient(lenient));
    }

    fn tell_held(&mut self, lender: Lender, borrowed: Span, suspended: Span) {
        let (what, replaced, advice) = self.refused(lender);
        let lenient = self.model.is_mu2sls(self.id);
        let Some(told) = &mut self.told else { return };
        let mut report =
            Report::error("SOS0510", self.file, borrowed, format!("{what} is held while the method waits"))
                .here("taken here, and used after the call")
                .label(suspended, "the method waits here, and others may run")
                .help(advice);
        if let Some(at) = replaced {
            report = report.label(at, "assigned as a whole here");
        }
        told.push(report.lenient(lenient));
    }

    // ---- fields ----

    /// The value of a field itself.
    pub(super) fn field(&mut self, field: usize, span: Span) -> Val {
        let Some(service) = self.service else { return Val::default() };
        let info = &self.model.services[service].fields[field];
        match info.kind {
            FieldKind::Dict => {
                let ty = Type::Dict(Box::new(info.key_type.clone()), Box::new(info.value_type.clone()));
                Val::from(Source::Field(field), span, ty).shaped(Shape::View(field))
            }
            FieldKind::List => {
                let ty = Type::List(Box::new(info.value_type.clone()));
                self.read(field, Cells::Header);
                self.pruned(Val::from(Source::Field(field), span, ty))
            }
            FieldKind::Scalar => {
                let ty = info.value_type.clone();
                self.read(field, Cells::Scalar);
                self.pruned(Val::from(Source::Field(field), span, ty))
            }
        }
    }

    /// A dict field used as a whole: iterated, measured, compared, passed on.
    pub(super) fn whole(&mut self, val: &Val) {
        if let Shape::View(field) = val.shape {
            self.read(field, Cells::Whole);
        }
    }

    /// An element of a value: by iteration.
    pub(super) fn element(&mut self, val: &Val) -> Val {
        if val.shape == Shape::Bare {
            return Val::clean(Type::Any);
        }
        let ty = match (&val.ty, val.shape) {
            (Type::Dict(key, _), Shape::View(_) | Shape::Keys | Shape::Plain) => return Val::clean((**key).clone()),
            (_, Shape::Keys) => return Val::clean(Type::Any),
            (Type::Dict(_, value), Shape::Values) => (**value).clone(),
            (Type::Dict(key, value), Shape::Items) => {
                let pair = Type::Tuple(vec![(**key).clone(), (**value).clone()]);
                return self.pruned(val.clone().typed(pair).part()).shaped(Shape::Item);
            }
            (Type::List(item) | Type::Set(item) | Type::FrozenSet(item) | Type::TupleOf(item), _) => (**item).clone(),
            (Type::Tuple(items), _) if !items.is_empty() && items.iter().all(|t| t == &items[0]) => items[0].clone(),
            (_, Shape::Items) => return val.clone().typed(Type::Any).part().shaped(Shape::Item),
            _ => Type::Any,
        };
        self.pruned(val.clone().typed(ty).part())
    }

    /// An element of a value: by index or key.
    pub(super) fn item(&mut self, val: &Val) -> Val {
        if val.shape == Shape::Bare {
            return Val::clean(Type::Any);
        }
        let ty = match &val.ty {
            Type::Dict(_, value) => (**value).clone(),
            Type::List(item) | Type::TupleOf(item) => (**item).clone(),
            _ => Type::Any,
        };
        self.pruned(val.clone().typed(ty).part())
    }

    /// A key, if the arguments alone tell it.
    fn key(&self, expr: &'a Expr) -> Option<Key> {
        super::keys::key(self.model, self.id, expr, &self.shared.summaries[self.id])
    }
}
