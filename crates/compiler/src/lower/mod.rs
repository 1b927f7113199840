//! From the user's text to the text that runs: edits by span, so that everything else stays as it was written.

mod guards;
mod nondeterminism;
mod rope;
mod views;

use std::collections::BTreeMap;

use protocol::manifest::MapPiece;

use crate::colour::Colours;
use crate::diagnostic::Report;
use crate::model::{FileId, FunctionId, Model};
use crate::place;
use crate::span::Span;

pub(crate) use rope::Edit;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A lowered module.
#[derive(Debug, Default)]
pub(crate) struct Lowered {
    pub(crate) text: String,
    pub(crate) map: Vec<MapPiece>,
}

/// All edits of a module, and what was refused on the way.
pub(crate) fn edits(model: &Model<'_>, colours: &Colours, file: FileId) -> (Vec<Edit>, Vec<Report>) {
    let outside = place::module(model, colours, file);
    let (mut edits, mut reports) = (outside.edits, outside.reports);
    if model.files[file].source.source.starts_with(BYTE_ORDER_MARK) {
        // Python takes it in a file, but not in a text.
        let span = Span::new(0, BYTE_ORDER_MARK.len_utf8() as u32);
        edits.push(Edit::Replace { span, text: String::new() });
    }
    let (more, told) = nondeterminism::module(model, file);
    edits.extend(more);
    reports.extend(told);
    // An inherited method has one text for all services that have it.
    let mut texts: BTreeMap<u32, Vec<Edit>> = BTreeMap::new();
    for id in model.own_functions_of(file) {
        let at = model.functions[id].hir.def;
        let own = function(model, colours, id, &mut reports);
        match texts.get(&at) {
            Some(other) if *other != own => reports.push(different(model, id)),
            Some(_) => {}
            None => _ = texts.insert(at, own),
        }
    }
    edits.extend(texts.into_values().flatten());
    (edits, reports)
}

/// The edits of a function.
fn function(model: &Model<'_>, colours: &Colours, id: FunctionId, reports: &mut Vec<Report>) -> Vec<Edit> {
    let info = &model.functions[id];
    let placed = place::function(model, colours, id);
    let mut edits = placed.edits;
    reports.extend(placed.reports);
    if colours.outside[id] {
        // Runs once, in a task worker: nothing is replayed there.
        return edits;
    }
    let (more, told) = nondeterminism::function(model, colours, id);
    edits.extend(more);
    reports.extend(told);
    guards::edits(model, info.file, &info.hir.body, &mut edits);
    views::edits(model, info.file, &info.hir.body, &mut edits);
    edits
}

fn different(model: &Model<'_>, id: FunctionId) -> Report {
    let info = &model.functions[id];
    let message = format!("`{}` would have to run differently in the services that inherit it", info.hir.name.name);
    let report = Report::error("SOS0123", info.file, info.hir.name.span, message);
    let report = report.note("what it calls or reads is a client or a dict field in one of them, and not in another");
    report.help("define it in each of these services")
}

/// Applies the edits to the module's source.
pub(crate) fn apply(source: &str, edits: &[Edit]) -> Lowered {
    let (text, map) = rope::apply(source, edits);
    Lowered { text, map }
}
