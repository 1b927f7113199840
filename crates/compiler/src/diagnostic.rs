//! What the compiler says about a source text, and how it is shown. Diagnostics are values: nothing is printed here.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};

use std::collections::HashSet;

use crate::App;
use crate::span::{Lines, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The application is not compiled.
    Error,
    /// It is compiled, but probably not what was meant.
    Warning,
    /// For information.
    Note,
}

/// A message at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, explained by [`crate::explain`].
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a final stop.
    pub message: String,
    /// Path of the file as it was given.
    pub file: String,
    /// Where.
    pub span: Span,
    /// Line of the span's start, from 1.
    pub line: u32,
    /// Column of the span's start in characters, from 1.
    pub column: u32,
    /// What stands at the span itself and at other places of the same file.
    pub labels: Vec<Label>,
    /// Background.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// An edit that mends it, if one is known that does what was most probably meant.
    pub suggestion: Option<Suggestion>,
}

/// Edits of the diagnostic's file, to be made together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What they do.
    pub message: String,
    /// The edits, which do not overlap.
    pub changes: Vec<Change>,
}

/// Another text for a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is replaced; empty for an insertion.
    pub span: Span,
    /// By what.
    pub text: String,
}

/// A remark at a place of the diagnostic's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub message: String,
}

/// Shows a diagnostic as a compiler does, with its source lines.
pub fn render(diagnostic: &Diagnostic, app: &App, colour: bool) -> String {
    let source = app.files.iter().find(|f| f.path == diagnostic.file).map_or("", |f| f.source.as_str());
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut snippet = Snippet::source(source).path(diagnostic.file.as_str());
    let primary = AnnotationKind::Primary.span(clamp(diagnostic.span, source));
    let own = diagnostic.labels.iter().find(|l| l.span == diagnostic.span);
    snippet = snippet.annotation(match own {
        Some(label) => primary.label(label.message.as_str()),
        None => primary,
    });
    for label in diagnostic.labels.iter().filter(|l| l.span != diagnostic.span) {
        let context = AnnotationKind::Context.span(clamp(label.span, source));
        snippet = snippet.annotation(context.label(label.message.as_str()));
    }
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()).id(diagnostic.code));
    group = if source.is_empty() {
        let place = Origin::path(diagnostic.file.as_str()).line(diagnostic.line as usize);
        group.element(place.char_column(diagnostic.column as usize))
    } else {
        group.element(snippet)
    };
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let mut groups = vec![group];
    if let Some(suggestion) = &diagnostic.suggestion {
        let patch = |c: &Change| Patch::new(clamp(c.span, source), c.text.clone());
        let snippet =
            Snippet::source(source).path(diagnostic.file.as_str()).patches(suggestion.changes.iter().map(patch));
        groups.push(Level::HELP.secondary_title(suggestion.message.as_str()).element(snippet));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let text = renderer.render(&groups);
    let place = format!("{}:{}:{}", diagnostic.file, diagnostic.line, diagnostic.column);
    if text.contains(&place) { text } else { format!("{text}\n  --> {place}") }
}

/// A range that annotations accept: within the text, on character boundaries, not splitting the last line.
fn clamp(span: Span, source: &str) -> std::ops::Range<usize> {
    let boundary = |mut at: usize| {
        at = at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = boundary(span.start as usize);
    start..boundary(span.end as usize).max(start)
}

/// Collects the diagnostics of one compilation.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    app: &'a App,
    /// By file.
    list: Vec<(usize, Diagnostic)>,
    /// What was told, and where.
    known: HashSet<(&'static str, usize, Span)>,
    /// The lines of each file, when they are first needed.
    lines: Vec<Option<Lines>>,
    errors: bool,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(app: &'a App) -> Self {
        let lines = app.files.iter().map(|_| None).collect();
        Self { app, list: Vec::new(), known: HashSet::new(), lines, errors: false }
    }

    /// Takes a finished report. The same code at the same place is told once.
    pub(crate) fn add(&mut self, report: Report) {
        // Repeated files stand after all others, in their order.
        let file = report.file % self.app.files.len();
        if !self.known.insert((report.code, file, report.span)) {
            return;
        }
        let (number, file) = (file, &self.app.files[file]);
        let lines = self.lines[number].get_or_insert_with(|| Lines::of(&file.source));
        let (line, column) = lines.line_column(&file.source, report.span.start);
        self.errors |= report.severity == Severity::Error;
        let diagnostic = Diagnostic {
            code: report.code,
            severity: report.severity,
            message: report.message,
            file: file.path.clone(),
            span: report.span,
            line,
            column,
            labels: report.labels,
            notes: report.notes,
            help: report.help,
            suggestion: report.suggestion,
        };
        self.list.push((number, diagnostic));
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors
    }

    /// All, by file in the order given, then by place.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|(file, d)| (*file, d.span, d.severity, d.code));
        self.list.into_iter().map(|(_, diagnostic)| diagnostic).collect()
    }
}

/// A diagnostic in the making.
#[derive(Debug)]
pub(crate) struct Report {
    code: &'static str,
    severity: Severity,
    file: usize,
    span: Span,
    message: String,
    labels: Vec<Label>,
    notes: Vec<String>,
    help: Option<String>,
    suggestion: Option<Suggestion>,
}

impl Report {
    pub(crate) fn error(code: &'static str, file: usize, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, file, span, message.into())
    }

    pub(crate) fn warning(code: &'static str, file: usize, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, file, span, message.into())
    }

    fn new(severity: Severity, code: &'static str, file: usize, span: Span, message: String) -> Self {
        Self {
            code,
            severity,
            file,
            span,
            message,
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
            suggestion: None,
        }
    }

    /// Weakens an error to a warning where `lenient` holds.
    pub(crate) fn lenient(mut self, lenient: bool) -> Self {
        if lenient {
            self.severity = Severity::Warning;
        }
        self
    }

    /// A remark at the place itself.
    pub(crate) fn here(self, message: impl Into<String>) -> Self {
        let span = self.span;
        self.label(span, message)
    }

    pub(crate) fn label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.labels.push(Label { span, message: message.into() });
        self
    }

    pub(crate) fn note(mut self, message: impl Into<String>) -> Self {
        self.notes.push(message.into());
        self
    }

    pub(crate) fn help(mut self, message: impl Into<String>) -> Self {
        self.help = Some(message.into());
        self
    }

    /// An edit that mends it; a further one joins the first, whose message holds.
    pub(crate) fn change(mut self, message: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        let change = Change { span, text: text.into() };
        match &mut self.suggestion {
            Some(suggestion) => suggestion.changes.push(change),
            None => self.suggestion = Some(Suggestion { message: message.into(), changes: vec![change] }),
        }
        self
    }
}
