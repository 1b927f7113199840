//! Runs the Markdown files of `spec/`. A `python` block is an application (`# file: name.py` begins another module);
//! `# error: CODE "part of the message"` and `# warning: …` at the end of a line expect a diagnostic there, and no
//! others may come; with `# lint: …` somewhere, what `check --explain` warns of is expected too. A `lowered` block after it is the expected text (of the file that it names in the same way), a
//! `facts` block what the manifest says, line by line.

use std::fmt::Write as _;
use std::path::Path;

use compiler::{App, Compiled, Severity, SourceFile, compile, explain_methods, render};

use crate::facts;

/// One application of a specification.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) app: App,
    lowered: Vec<SourceFile>,
    facts: Vec<String>,
}

/// All cases of all specifications.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Case> {
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut block: Option<(String, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut block, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                if kind == "python" {
                    cases.push(Case { name: format!("{file}:{}", number + 1), ..Case::default() });
                }
                block = Some((kind.to_owned(), String::new()));
            }
            (Some(_), Some("")) => {
                let (kind, text) = block.take().unwrap();
                let case = cases.last_mut();
                match (kind.as_str(), case) {
                    ("python", Some(case)) => case.app.files = modules(&text),
                    ("lowered", Some(case)) => case.lowered = modules(&text),
                    ("facts", Some(case)) => case.facts = text.lines().map(str::to_owned).collect(),
                    _ => {}
                }
            }
            (Some((_, text)), _) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    cases
}

/// The files of a block.
pub(crate) fn modules(text: &str) -> Vec<SourceFile> {
    let mut files: Vec<SourceFile> = Vec::new();
    for line in text.lines() {
        let named = line.strip_prefix("# file: ");
        if named.is_some() || files.is_empty() {
            let path = named.unwrap_or("app.py");
            let stem = path.trim_end_matches(".py");
            let package = stem.ends_with("/__init__");
            let module = stem.trim_end_matches("/__init__").replace('/', ".");
            files.push(SourceFile { path: path.to_owned(), module, source: String::new(), package });
        }
        if named.is_none() {
            let source = &mut files.last_mut().unwrap().source;
            source.push_str(line);
            source.push('\n');
        }
    }
    files
}

#[test]
fn specifications_hold() {
    let mut failures = String::new();
    for case in cases() {
        let mut compiled = compile(&case.app);
        if let Some(manifest) = compiled.manifest.as_ref().filter(|_| lints(&case.app)) {
            compiled.diagnostics.extend(explain_methods(&case.app, manifest).1);
        }
        let problems = judge(&case, &compiled);
        if !problems.is_empty() {
            writeln!(failures, "\n==== {}\n{problems}", case.name).unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn lints(app: &App) -> bool {
    app.files.iter().any(|file| file.source.contains("# lint: "))
}

fn judge(case: &Case, compiled: &Compiled) -> String {
    let mut problems = String::new();
    diagnostics(case, compiled, &mut problems);
    let Some(manifest) = &compiled.manifest else {
        if !case.lowered.is_empty() || !case.facts.is_empty() {
            problems.push_str("it does not compile\n");
        }
        return problems;
    };
    for expected in &case.lowered {
        let module = manifest.modules.iter().find(|m| m.path == expected.path).unwrap();
        if module.lowered != expected.source {
            writeln!(problems, "-- lowered {}:\n{}", module.path, module.lowered).unwrap();
        }
    }
    for expected in &case.facts {
        let name = expected.split(':').next().unwrap();
        let actual = facts::line(manifest, name);
        if &actual != expected {
            writeln!(problems, "-- facts:\n{actual}").unwrap();
        }
    }
    problems
}

fn diagnostics(case: &Case, compiled: &Compiled, problems: &mut String) {
    let mut expected = expectations(&case.app);
    for diagnostic in &compiled.diagnostics {
        let matches = |e: &Expected| {
            e.path == diagnostic.file
                && e.line == diagnostic.line
                && e.severity == diagnostic.severity
                && e.code == diagnostic.code
                && diagnostic.message.contains(&e.message)
        };
        match expected.iter().position(matches) {
            Some(index) => _ = expected.remove(index),
            None => writeln!(problems, "-- not expected:\n{}", render(diagnostic, &case.app, false)).unwrap(),
        }
    }
    for missing in expected {
        writeln!(problems, "-- missing: {missing:?}").unwrap();
    }
}

#[derive(Debug)]
struct Expected {
    path: String,
    line: u32,
    severity: Severity,
    code: String,
    message: String,
}

fn expectations(app: &App) -> Vec<Expected> {
    let mut list = Vec::new();
    for file in &app.files {
        for (number, line) in file.source.lines().enumerate() {
            let markers =
                [("# error: ", Severity::Error), ("# warning: ", Severity::Warning), ("# lint: ", Severity::Warning)];
            for (marker, severity) in markers {
                for (at, _) in line.match_indices(marker) {
                    let rest = &line[at + marker.len()..];
                    let rest = rest.split(" # ").next().unwrap();
                    let (code, message) = rest.split_once(' ').unwrap_or((rest, ""));
                    list.push(Expected {
                        path: file.path.clone(),
                        line: number as u32 + 1,
                        severity,
                        code: code.to_owned(),
                        message: message.trim().trim_matches('"').to_owned(),
                    });
                }
            }
        }
    }
    list
}
