//! `sostenuto check`: compile and say what is wrong.

mod explain;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use compiler::{App, Compiled, Diagnostic, Severity, Span};
use protocol::manifest::Manifest;
use protocol::worker::{InitOptions, encode_init};
use serde_json::{Value, json};

use crate::app::{self, Sources};
use crate::cli::{Check, Global};
use crate::{FAILED, out};

pub(super) fn check(options: &Check, global: &Global) -> Result<ExitCode> {
    let sources = app::read(&options.app)?;
    let mut compiled = compile(&sources);
    let explained = match &compiled.manifest {
        Some(manifest) if options.explain => {
            let (methods, lints) = compiler::explain_methods(&sources.app, manifest);
            compiled.diagnostics.extend(lints);
            Some(methods)
        }
        _ => None,
    };
    if global.json {
        let unread = sources.unread.diagnostics.iter().map(|d| document(d, &sources.unread.texts));
        let list: Value = unread.chain(compiled.diagnostics.iter().map(|d| document(d, &sources.app))).collect();
        out::line(&match explained {
            Some(methods) => {
                let methods: Value = methods.iter().map(explain::document).collect();
                json!({"diagnostics": list, "methods": methods}).to_string()
            }
            None => list.to_string(),
        });
    } else {
        show(&compiled.diagnostics, &sources);
        explained.iter().flatten().for_each(|method| out::line(&explain::text(method)));
        out::error(&summary(&compiled.diagnostics, &sources));
    }
    if compiled.manifest.is_none() {
        return Ok(ExitCode::from(FAILED));
    }
    if let (Some(folder), Some(manifest)) = (&options.emit, &compiled.manifest) {
        emit(folder, manifest)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Compiles what was read. Where parts could not be, only the syntax of the others is checked: what they say of each
/// other would be guesses.
pub(super) fn compile(sources: &Sources) -> Compiled {
    if sources.unread.diagnostics.is_empty() {
        return compiler::compile(&sources.app);
    }
    Compiled { manifest: None, diagnostics: compiler::check_syntax(&sources.app) }
}

/// Prints what there is to say to stderr.
pub(super) fn show(diagnostics: &[Diagnostic], sources: &Sources) {
    let unread = sources.unread.diagnostics.iter().map(|d| (d, &sources.unread.texts));
    for (diagnostic, app) in unread.chain(diagnostics.iter().map(|d| (d, &sources.app))) {
        out::error(&format!("{}\n", compiler::render(diagnostic, app, out::colour())));
    }
}

/// `2 errors, 1 warning in 3 files`
pub(super) fn summary(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let unread = &sources.unread.diagnostics;
    let count = |severity: Severity| diagnostics.iter().chain(unread).filter(|d| d.severity == severity).count();
    let mut unread: Vec<&str> = unread.iter().map(|d| d.file.as_str()).collect();
    unread.dedup();
    let files = counted(sources.app.files.len() + unread.len(), "file");
    match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => format!("ok: {files}"),
        (0, warnings) => format!("ok: {} in {files}", counted(warnings, "warning")),
        (errors, 0) => format!("{} in {files}", counted(errors, "error")),
        (errors, warnings) => format!("{}, {} in {files}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

fn document(diagnostic: &Diagnostic, app: &App) -> Value {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let source = app.files.iter().find(|f| f.path == diagnostic.file).map_or("", |f| f.source.as_str());
    let place = |span: Span| {
        let ((line, column), (end_line, end_column)) =
            (compiler::line_column(source, span.start), compiler::line_column(source, span.end));
        json!({
            "line": line, "column": column, "end_line": end_line, "end_column": end_column,
            "start": span.start, "end": span.end,
        })
    };
    let labels: Vec<Value> =
        diagnostic.labels.iter().map(|l| json!({"span": place(l.span), "message": l.message})).collect();
    let suggestion = diagnostic.suggestion.as_ref().map(|suggestion| {
        let edits = suggestion.changes.iter().map(|c| json!({"span": place(c.span), "replacement": c.text}));
        json!({"message": suggestion.message, "edits": edits.collect::<Vec<_>>()})
    });
    json!({
        "code": diagnostic.code,
        "severity": severity,
        "message": diagnostic.message,
        "file": diagnostic.file,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "span": place(diagnostic.span),
        "labels": labels,
        "notes": diagnostic.notes,
        "help": diagnostic.help,
        "suggestion": suggestion,
    })
}

/// Writes the lowered text of each module, as `a/b.py` for the module `a.b`, and `init.frame`: what a worker is told of
/// the application, so that tests can load it into one without a server.
fn emit(folder: &Path, manifest: &Manifest) -> Result<()> {
    for module in &manifest.modules {
        let mut path = folder.to_owned();
        path.extend(module.name.split('.'));
        let path = if module.package { path.join("__init__.py") } else { path.with_added_extension("py") };
        if !path.starts_with(folder) {
            bail!("{}: the module's name leads out of the folder", module.path);
        }
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).with_context(|| format!("{}: cannot be made", parent.display()))?;
        write(&path, module.lowered.as_bytes())?;
    }
    write(&folder.join("init.frame"), &encode_init(manifest, &InitOptions::default())?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("{}: cannot be written", path.display()))
}
