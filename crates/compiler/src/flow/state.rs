//! What local names hold at a point of a function.

use std::collections::BTreeMap;

use super::value::{Source, Val};
use crate::model::ScopeId;
use crate::span::Span;

/// A local name: the scope that binds it, and the name.
pub(crate) type Local<'a> = (ScopeId, &'a str);

/// The locals at a point that can be reached.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State<'a> {
    pub(crate) locals: BTreeMap<Local<'a>, Val>,
    /// The first suspension on a way here.
    pub(crate) suspended: Option<Span>,
}

impl State<'_> {
    /// Either state.
    pub(crate) fn join(&mut self, other: &Self) {
        for (name, val) in &other.locals {
            match self.locals.get_mut(name) {
                Some(own) => *own = std::mem::take(own).join(val),
                None => _ = self.locals.insert(*name, val.clone()),
            }
        }
        self.suspended = self.suspended.or(other.suspended);
    }

    /// Everything held now is held across this suspension.
    pub(crate) fn suspend(&mut self, at: Span) {
        self.suspended = self.suspended.or(Some(at));
        for borrow in self.locals.values_mut().flat_map(|v| v.sources.values_mut()) {
            borrow.stale = borrow.stale.or(Some(at));
        }
    }

    /// Whatever holds an object of `of` now holds one of `source`, too.
    pub(crate) fn alias(&mut self, of: Source, source: Source, span: Span, whole: bool) {
        self.locals.values_mut().for_each(|val| val.share(of, source, span, whole));
    }
}

/// Joins into a state that may be unreachable.
pub(crate) fn join<'a>(into: &mut Option<State<'a>>, other: Option<State<'a>>) {
    match (into.as_mut(), other) {
        (Some(own), Some(other)) => own.join(&other),
        (None, other) => *into = other,
        (Some(_), None) => {}
    }
}
