//! `sostenuto check`: compile and say what is wrong.

mod explain;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use compiler::{App, Diagnostic, Severity, Span};
use protocol::manifest::Manifest;
use protocol::worker::{InitOptions, encode_init};
use serde_json::{Value, json};

use crate::cli::{Check, Global};
use crate::{FAILED, app, out};

pub(super) fn check(options: &Check, global: &Global) -> Result<ExitCode> {
    let sources = app::read(&options.app)?;
    let mut compiled = compiler::compile(&sources.app);
    let explained = match &compiled.manifest {
        Some(manifest) if options.explain => {
            let (methods, lints) = compiler::explain_methods(&sources.app, manifest);
            compiled.diagnostics.extend(lints);
            Some(methods)
        }
        _ => None,
    };
    if global.json {
        let list: Value = compiled.diagnostics.iter().map(|d| document(d, &sources.app)).collect();
        out::line(&match explained {
            Some(methods) => {
                let methods: Value = methods.iter().map(explain::document).collect();
                json!({"diagnostics": list, "methods": methods}).to_string()
            }
            None => list.to_string(),
        });
    } else {
        show(&compiled.diagnostics, &sources.app);
        explained.iter().flatten().for_each(|method| out::line(&explain::text(method)));
        out::error(&summary(&compiled.diagnostics, sources.app.files.len()));
    }
    if has_errors(&compiled.diagnostics) {
        return Ok(ExitCode::from(FAILED));
    }
    if let (Some(folder), Some(manifest)) = (&options.emit, &compiled.manifest) {
        emit(folder, manifest)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints diagnostics to stderr.
pub(super) fn show(diagnostics: &[Diagnostic], app: &App) {
    for diagnostic in diagnostics {
        out::error(&format!("{}\n", compiler::render(diagnostic, app, out::colour())));
    }
}

pub(super) fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// `2 errors, 1 warning in 3 files`
pub(super) fn summary(diagnostics: &[Diagnostic], files: usize) -> String {
    let count = |severity: Severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let files = counted(files, "file");
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
