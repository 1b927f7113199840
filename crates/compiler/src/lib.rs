//! Python source to lowered Python and a manifest. Pure: texts come in as arguments, everything that is found goes out
//! as values. No files, clock, threads or environment.
//!
//! The way of a module: [`parse`] makes our own tree; [`model`] finds scopes, services and fields; [`colour`] decides
//! which functions suspend; [`check`] refuses what would behave differently from plain Python; [`flow`] follows what
//! refers to persistent state (which cells, how they are locked, what is held across a suspension); [`lower`] edits the
//! text; [`verify`] reads the result again; [`manifest`] tells the rest of the system about it.

mod check;
mod codes;
mod colour;
mod diagnostic;
mod digest;
mod explain;
mod flow;
mod hir;
mod lower;
mod manifest;
mod model;
mod parse;
mod place;
mod similar;
mod span;
mod unread;
mod verify;
mod walk;

use protocol::manifest::Manifest;

pub use codes::{CODES, explain};
pub use diagnostic::{Change, Diagnostic, Label, Severity, Suggestion, render};
pub use explain::{Cost, Explanation, Scan, explain_methods};
pub use similar::similar;
pub use span::{Span, line_column};
pub use unread::{Fault, check_syntax, unread};

use diagnostic::{Report, Sink};

/// A module of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// Path as it is shown.
    pub path: String,
    /// Dotted import name.
    pub module: String,
    /// The text.
    pub source: String,
    /// True for a package's `__init__`.
    pub package: bool,
}

/// A service that a list names (the mu2sls dialect's CSV).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedClass {
    /// Class name.
    pub class: String,
    /// Path of its file.
    pub path: String,
}

/// All modules of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    /// The modules, in any order.
    pub files: Vec<SourceFile>,
    /// If given, only these classes are services.
    pub classes: Option<Vec<ListedClass>>,
}

/// What came of a compilation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// The compiled application; `None` if there is an error.
    pub manifest: Option<Manifest>,
    /// What there is to say, by file and place.
    pub diagnostics: Vec<Diagnostic>,
}

/// A module that a text imports, wherever in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// Number of leading dots.
    pub level: u32,
    /// Dotted name after the dots.
    pub module: String,
    /// The names taken from it, which may be modules too.
    pub names: Vec<String>,
}

/// What a text imports; nothing of a text that does not parse.
pub fn imports(source: &str) -> Vec<Import> {
    let (tree, _) = parse::parse_module(source);
    let mut imports = Vec::new();
    walk::statements_deep(&tree.body, &mut |stmt| match &stmt.kind {
        hir::StmtKind::Import(aliases) => {
            let import = |a: &hir::Alias| Import { module: a.name.name.clone(), ..Import::default() };
            imports.extend(aliases.iter().map(import));
        }
        hir::StmtKind::ImportFrom(import) => imports.push(Import {
            level: import.level,
            module: import.module.as_ref().map_or_else(String::new, |m| m.name.clone()),
            names: import.names.iter().map(|a| a.name.name.clone()).collect(),
        }),
        _ => {}
    });
    imports
}

/// Compiles an application.
pub fn compile(app: &App) -> Compiled {
    let mut sink = Sink::new(app);
    let manifest = translate(app, &mut sink);
    let manifest = manifest.filter(|_| !sink.has_errors());
    Compiled { manifest, diagnostics: sink.finish() }
}

fn syntax(file: usize, problem: parse::Problem) -> Report {
    let code = if problem.depth { "SOS0002" } else { "SOS0001" };
    let mut report = Report::error(code, file, problem.span, problem.message);
    if let Some((span, text)) = problem.label {
        report = report.label(span, text);
    }
    if let Some(help) = problem.help {
        report = report.help(help);
    }
    if let Some((message, changes)) = problem.change {
        for (span, text) in changes {
            report = report.change(message.clone(), span, text);
        }
    }
    report
}

fn translate(app: &App, sink: &mut Sink<'_>) -> Option<Manifest> {
    let mut trees = Vec::new();
    let mut parsed = true;
    for (file, source) in app.files.iter().enumerate() {
        let (tree, problems) = parse::parse_module(&source.source);
        for problem in problems {
            parsed &= problem.parsed;
            sink.add(syntax(file, problem));
        }
        trees.push(tree);
    }
    if !parsed {
        return None;
    }
    let trees: Vec<&hir::Module> = trees.iter().collect();
    let mut model = model::build(&app.files, &trees);
    model::collect(&mut model, app.classes.as_deref(), sink);
    let colours = colour::compute(&model);
    check::run(&model, &colours, sink);
    let flow = flow::analyse(&model, &colours, sink);
    let mut lowered = Vec::new();
    for (file, source) in app.files.iter().enumerate() {
        let (edits, reports) = lower::edits(&model, &colours, file);
        reports.into_iter().for_each(|report| sink.add(report));
        lowered.push(lower::apply(&source.source, &edits));
    }
    if sink.has_errors() {
        return None;
    }
    let digests = verify::check(app, &trees, &lowered, sink);
    Some(manifest::build(&model, &colours, &flow, lowered, &digests))
}
