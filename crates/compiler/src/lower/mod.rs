//! From the user's text to the text that runs: edits by span, so that everything else stays as it was written.

mod guards;
mod nondeterminism;
mod rope;
mod views;

use protocol::manifest::MapPiece;

use crate::colour::Colours;
use crate::diagnostic::Report;
use crate::model::{FileId, Model};
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
    for (id, function) in model.functions.iter().enumerate().filter(|(_, f)| f.file == file) {
        let placed = place::function(model, colours, id);
        edits.extend(placed.edits);
        reports.extend(placed.reports);
        if colours.outside[id] {
            // Runs once, in a task worker: nothing is replayed there.
            continue;
        }
        let (more, told) = nondeterminism::function(model, colours, id);
        edits.extend(more);
        reports.extend(told);
        guards::edits(model, file, &function.hir.body, &mut edits);
        views::edits(model, file, &function.hir.body, &mut edits);
    }
    (edits, reports)
}

/// Applies the edits to the module's source.
pub(crate) fn apply(source: &str, edits: &[Edit]) -> Lowered {
    let (text, map) = rope::apply(source, edits);
    Lowered { text, map }
}
