//! Suggested edits do what they say: applied to the programs of `spec/09-mistakes.md`, they leave applications that
//! compile, and none of them is ever out of place in any other specification.

use compiler::{App, Change, Severity, compile, render};

use crate::spec::cases;

/// The files after all suggestions.
fn applied(app: &App) -> App {
    let mut app = app.clone();
    let mut changes: Vec<(String, Change)> = Vec::new();
    for diagnostic in compile(&app).diagnostics {
        for change in diagnostic.suggestion.into_iter().flat_map(|s| s.changes) {
            let entry = (diagnostic.file.clone(), change);
            if !changes.contains(&entry) {
                changes.push(entry);
            }
        }
    }
    changes.sort_by_key(|(_, change)| std::cmp::Reverse(change.span));
    for (path, change) in changes {
        let file = app.files.iter_mut().find(|f| f.path == path).unwrap();
        assert!(file.source.get(change.span.range()).is_some(), "{path}: {change:?}");
        file.source.replace_range(change.span.range(), &change.text);
    }
    app
}

#[test]
fn suggestions_lead_to_programs_that_compile() {
    let mut count = 0;
    for case in cases().iter().filter(|case| case.name.starts_with("09-mistakes")) {
        let before = compile(&case.app).diagnostics;
        if !before.iter().any(|d| d.suggestion.is_some()) {
            continue;
        }
        count += before.iter().filter(|d| d.suggestion.is_some()).count();
        let all = before.iter().all(|d| d.suggestion.is_some() || d.severity != Severity::Error);
        let app = applied(&case.app);
        let left: Vec<_> = compile(&app).diagnostics.into_iter().filter(|d| d.severity == Severity::Error).collect();
        let told: String = left.iter().map(|d| render(d, &app, false)).collect();
        assert!(!all || left.is_empty(), "{}: {told}", case.name);
    }
    assert!(count >= 20, "{count}");
}

#[test]
fn suggestions_stay_within_their_texts() {
    for case in cases() {
        applied(&case.app);
        for diagnostic in &compile(&case.app).diagnostics {
            assert!(!render(diagnostic, &case.app, true).is_empty());
        }
    }
}
