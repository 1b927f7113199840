//! `check --explain`: what the compiler knows of each method, as text and as JSON.

use std::fmt::Write as _;

use compiler::{Cost, Explanation, Scan};
use protocol::manifest::Mode;
use serde_json::{Value, json};

/// A paragraph about a method.
pub(super) fn text(method: &Explanation) -> String {
    let mut text = format!("{} ({}:{})\n", method.name, method.file, method.lines.0);
    let mut line = |what: &str, value: String| _ = writeln!(text, "  {what:<10} {value}");
    line("steps", steps(method));
    if method.read_only {
        line("read-only", "shared locks only, no record".to_owned());
    }
    line("route", method.home.clone());
    if !method.cells.is_empty() {
        let cells: Vec<String> =
            method.cells.iter().map(|(field, mode)| format!("{field} {}", mode_name(*mode))).collect();
        line("cells", cells.join(", "));
    }
    if !method.foreseen.is_empty() {
        line("foreseen", method.foreseen.join(", "));
    }
    if !method.calls.is_empty() {
        line("calls", method.calls.join(", "));
    }
    if !method.tasks.is_empty() {
        line("tasks", method.tasks.join(", "));
    }
    if !method.waits.is_empty() {
        let ranges =
            method.atomic.iter().map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") });
        line("atomic", format!("lines {}", ranges.collect::<Vec<_>>().join(", ")));
    }
    for scan in &method.scans {
        line("note", note(scan));
    }
    text
}

fn note(scan: &Scan) -> String {
    let Scan { line, field, what } = scan;
    match what {
        Cost::ReadsEntries => {
            format!(
                "line {line} reads all of `{field}`: at most 64 MiB, and nobody may add or remove entries meanwhile"
            )
        }
        Cost::HoldsEntries => format!(
            "line {line} waits while it iterates over `{field}`: each step after a wait reads all of it again; iterate \
             over a copy, such as `list(self.{field})`"
        ),
        Cost::ReadsElements => {
            format!("line {line} reads all of `{field}`: at most 64 MiB, and nobody may change the list meanwhile")
        }
        Cost::Rewrites => format!("line {line} moves elements of `{field}`: what follows in the list is written again"),
    }
}

fn steps(method: &Explanation) -> String {
    match method.waits.as_slice() {
        [] => "one".to_owned(),
        waits => {
            let shown: Vec<String> = waits.iter().map(|(line, what)| format!("{what} (line {line})")).collect();
            format!("several: it waits for {}", shown.join(", "))
        }
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Shared => "shared",
        Mode::Exclusive => "exclusive",
    }
}

/// The same as data.
pub(super) fn document(method: &Explanation) -> Value {
    let cells = method.cells.iter().map(|(field, mode)| json!({"field": field, "mode": mode_name(*mode)}));
    let waits = method.waits.iter().map(|(line, what)| json!({"line": line, "for": what}));
    let scans = method.scans.iter().map(|scan| {
        let what = match scan.what {
            Cost::ReadsEntries | Cost::ReadsElements => "reads",
            Cost::HoldsEntries => "holds",
            Cost::Rewrites => "rewrites",
        };
        json!({"line": scan.line, "field": scan.field, "what": what})
    });
    json!({
        "name": method.name,
        "file": method.file,
        "lines": method.lines,
        "one_step": method.waits.is_empty(),
        "read_only": method.read_only,
        "route": method.route,
        "home": method.home,
        "cells": cells.collect::<Vec<_>>(),
        "foreseen": method.foreseen,
        "calls": method.calls,
        "tasks": method.tasks,
        "waits": waits.collect::<Vec<_>>(),
        "atomic": method.atomic,
        "scans": scans.collect::<Vec<_>>(),
    })
}
