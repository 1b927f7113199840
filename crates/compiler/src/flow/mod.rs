//! Follows what refers to persistent state through each function: which cells are touched and how they must be locked,
//! which of them the first step needs, and what is still held across a suspension, where others may change it.
//!
//! An abstract walk over our tree, flow-sensitive in locals, with a summary per function; summaries grow until nothing
//! changes, then one more pass reports.

mod call;
mod expr;
mod keys;
mod state;
mod stmt;
mod summary;
pub(crate) mod tables;
mod value;
mod walker;

use std::collections::BTreeSet;

use protocol::list::HEADER_KEY;
use protocol::manifest::{Foreseen, ForeseenCells, KeyExpr, Mode};

use crate::colour::Colours;
use crate::diagnostic::{Report, Sink};
use crate::model::{FunctionId, Model, ServiceId};
use crate::place;
use crate::span::Span;
use summary::{Cells, Summary};
use walker::{Shared, Walker};

/// Passes over all functions; the summaries of any real program settle in a few.
const PASSES_MAX: u32 = 40;

/// What a method does with its service's fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) read_only: bool,
    pub(crate) modes: Vec<(String, Mode)>,
    pub(crate) foreseen: Vec<Foreseen>,
    pub(crate) route: Option<KeyExpr>,
}

/// What the rest must know of how the application uses its fields.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Facts of every function, by its id.
    pub(crate) facts: Vec<Facts>,
    /// Fields (service and index) whose objects methods may hold while they wait.
    pub(crate) held: BTreeSet<(ServiceId, usize)>,
}

/// Follows all functions that can be reached.
pub(crate) fn analyse(model: &Model<'_>, colours: &Colours, sink: &mut Sink<'_>) -> Flow {
    let mut shared = Shared { summaries: vec![Summary::default(); model.functions.len()], ..Shared::default() };
    for (id, function) in model.own_functions().map(|id| (id, &model.functions[id])) {
        if colours.suspends[id] {
            shared.suspends.insert(id);
        }
        let placed = place::function(model, colours, id);
        shared.suspensions.entry(function.file).or_default().extend(placed.suspensions);
        let of_value_class = |c: usize| model.classes[c].service.is_none();
        if function.class.is_some_and(of_value_class) {
            shared.methods.insert(function.hir.name.name.clone());
        }
    }
    let of_record = |id: FunctionId| model.functions[id].class.is_some_and(|c| model.classes[c].record.is_some());
    let reached: Vec<FunctionId> = model.own_functions().filter(|id| colours.reached[*id] || of_record(*id)).collect();
    if !settle(model, &mut shared, &callees_first(colours, &reached)) {
        let message = "internal error of the compiler: the effects of the functions do not settle";
        sink.add(Report::error("SOS9001", 0, Span::at(0), message));
    }
    for id in &shared.too_complex {
        let name = &model.functions[*id].hir.name;
        let message = format!("`{}` has too many loops in loops to be compiled", name.name);
        let report = Report::error("SOS0002", model.functions[*id].file, name.span, message);
        sink.add(report.help("move the inner ones to helpers"));
    }
    for id in &reached {
        let (_, reports) = Walker::new(model, &mut shared, *id, true).run();
        reports.into_iter().for_each(|report| sink.add(report));
    }
    let facts = (0..model.functions.len()).map(|id| facts(model, &shared.summaries[id], id)).collect();
    Flow { facts, held: shared.held }
}

/// The functions, those that others call before these, as far as they do not call each other in circles.
fn callees_first(colours: &Colours, functions: &[FunctionId]) -> Vec<FunctionId> {
    let mut wanted = vec![false; colours.mentions.len()];
    functions.iter().for_each(|id| wanted[*id] = true);
    let mut order = Vec::with_capacity(functions.len());
    for first in functions {
        let mut open = Vec::new();
        if std::mem::replace(&mut wanted[*first], false) {
            open.push((*first, 0));
        }
        while let Some((function, next)) = open.last_mut() {
            match colours.mentions[*function].get(*next) {
                Some(callee) => {
                    *next += 1;
                    if std::mem::replace(&mut wanted[*callee], false) {
                        open.push((*callee, 0));
                    }
                }
                None => {
                    order.push(*function);
                    open.pop();
                }
            }
        }
    }
    order
}

/// Walks the functions until nothing changes; says whether that was reached. Effects go from callees to callers, what
/// is lent to a function the other way: the passes take turns.
fn settle<'a>(model: &Model<'a>, shared: &mut Shared<'a>, order: &[FunctionId]) -> bool {
    let back: Vec<FunctionId> = order.iter().rev().copied().collect();
    for pass in 0..PASSES_MAX {
        shared.changed = false;
        for id in if pass % 2 == 0 { order } else { &back } {
            let (summary, _): (Summary, Vec<Report>) = Walker::new(model, shared, *id, false).run();
            shared.changed |= shared.summaries[*id] != summary;
            shared.summaries[*id] = summary;
        }
        if !shared.changed {
            return true;
        }
    }
    false
}

fn facts(model: &Model<'_>, summary: &Summary, id: FunctionId) -> Facts {
    let Some(service) = model.service_of(id) else { return Facts::default() };
    let service = &model.services[service];
    let name = |field: usize| service.fields[field].name.clone();
    let modes = (0..service.fields.len()).filter_map(|field| {
        let mode = match (summary.writes.contains(&field), summary.reads.contains(&field)) {
            (true, _) => Mode::Exclusive,
            (false, true) => Mode::Shared,
            (false, false) => return None,
        };
        Some((name(field), mode))
    });
    let foreseen = summary.first.iter().filter_map(|(field, cells)| {
        let what = match cells {
            Cells::Scalar => ForeseenCells::Scalar,
            Cells::Header => ForeseenCells::Entry(KeyExpr::Constant(HEADER_KEY.to_vec())),
            Cells::Chunk(key) => ForeseenCells::Entry(key.chunk()?),
            Cells::Whole => ForeseenCells::Whole,
            Cells::Entry(key) => ForeseenCells::Entry(key.expr()?),
        };
        Some(Foreseen { field: name(*field), what })
    });
    Facts {
        read_only: summary.writes.is_empty() && !summary.acts,
        modes: modes.collect(),
        foreseen: foreseen.collect(),
        route: summary
            .keys
            .iter()
            .filter(|k| !k.is_each())
            .find_map(|k| k.expr())
            .filter(|_| service.entity_key.is_none()),
    }
}
