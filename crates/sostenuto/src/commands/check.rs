//! `sostenuto check`: compile and say what is wrong.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use compiler::{App, Diagnostic, Severity};
use protocol::manifest::Manifest;
use protocol::worker::{InitOptions, encode_init};
use serde_json::{Value, json};

use crate::cli::{Check, Global};
use crate::{FAILED, app, out};

pub(super) fn check(options: &Check, global: &Global) -> Result<ExitCode> {
    let sources = app::read(&options.app)?;
    let compiled = compiler::compile(&sources.app);
    if global.json {
        let list: Value = compiled.diagnostics.iter().map(document).collect();
        out::line(&list.to_string());
    } else {
        show(&compiled.diagnostics, &sources.app);
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

fn document(diagnostic: &Diagnostic) -> Value {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    json!({
        "code": diagnostic.code,
        "severity": severity,
        "message": diagnostic.message,
        "file": diagnostic.file,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "help": diagnostic.help,
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
