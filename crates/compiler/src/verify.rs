//! Reads the lowered text again: it must parse, and nothing that had to be lowered may be left. A failure here is our
//! bug; it is told, never shipped.

use crate::colour;
use crate::diagnostic::{Report, Sink};
use crate::digest;
use crate::hir::Module;
use crate::lower::{self, Lowered};
use crate::model;
use crate::parse;
use crate::span::Span;
use crate::{App, SourceFile};

/// Reports every lowered module that does not hold what lowering promises. Gives the digest of each module's tokens.
///
/// `trees` are those of the user's texts; a module that was not changed is not parsed again.
pub(crate) fn check(app: &App, trees: &[&Module], lowered: &[Lowered], sink: &mut Sink<'_>) -> Vec<[u8; 32]> {
    let mut parsed: Vec<Option<Module>> = Vec::new();
    for (file, (source, lowered)) in app.files.iter().zip(lowered).enumerate() {
        if source.source == lowered.text {
            parsed.push(None);
            continue;
        }
        let (tree, problems) = parse::parse_module(&lowered.text);
        if let Some(problem) = problems.first() {
            let line = problem.span.text(&lowered.text);
            sink.add(internal(file, &format!("the lowered text does not parse: {} (`{line}`)", problem.message)));
        }
        parsed.push(Some(tree));
    }
    let again: Vec<&Module> = parsed.iter().zip(trees).map(|(new, old)| new.as_ref().unwrap_or(old)).collect();
    let digests = again.iter().zip(lowered).map(|(tree, lowered)| digest::of_tokens(tree, &lowered.text)).collect();
    if !sink.has_errors() {
        nothing_left(app, &again, lowered, sink);
    }
    digests
}

fn nothing_left(app: &App, trees: &[&Module], lowered: &[Lowered], sink: &mut Sink<'_>) {
    let text = |(file, lowered): (&SourceFile, &Lowered)| SourceFile { source: lowered.text.clone(), ..file.clone() };
    let again = App { files: app.files.iter().zip(lowered).map(text).collect(), classes: app.classes.clone() };
    let mut model = model::build(&again.files, trees);
    let mut ignored = Sink::new(&again);
    model::collect(&mut model, again.classes.as_deref(), &mut ignored);
    let colours = colour::compute(&model);
    for file in 0..again.files.len() {
        let (edits, reports) = lower::edits(&model, &colours, file);
        if let Some(edit) = edits.first() {
            sink.add(internal(file, &format!("something is left to lower: {edit:?}")));
        }
        reports.into_iter().for_each(|report| ignored.add(report));
    }
    for left in ignored.finish().into_iter().filter(|d| d.severity == crate::Severity::Error) {
        let file = again.files.iter().position(|f| f.path == left.file).unwrap_or(0);
        sink.add(internal(file, &format!("the lowered text is refused: {} {}", left.code, left.message)));
    }
}

fn internal(file: usize, what: &str) -> Report {
    let report = Report::error("SOS9001", file, Span::at(0), format!("internal error of the compiler: {what}"));
    report.help("please report it, with the file")
}

#[cfg(test)]
mod tests;
