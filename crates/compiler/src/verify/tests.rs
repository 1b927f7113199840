//! Planted bugs: each edit of each program of the specification and the examples is left out once, as a lowering rule
//! with a hole would. Every one has to be found in the lowered text.

use std::collections::BTreeMap;

use super::*;
use crate::flow;
use crate::lower::Edit;

/// Programs with what they are known by.
const PAGES: [(&str, &str); 13] = [
    ("01-examples", include_str!("../../spec/01-examples.md")),
    ("02-fields", include_str!("../../spec/02-fields.md")),
    ("03-calls", include_str!("../../spec/03-calls.md")),
    ("04-refused-calls", include_str!("../../spec/04-refused-calls.md")),
    ("05-state", include_str!("../../spec/05-state.md")),
    ("06-lowering", include_str!("../../spec/06-lowering.md")),
    ("07-borrowed", include_str!("../../spec/07-borrowed.md")),
    ("08-locality", include_str!("../../spec/08-locality.md")),
    ("09-mistakes", include_str!("../../spec/09-mistakes.md")),
    ("09-tasks", include_str!("../../spec/09-tasks.md")),
    ("10-language", include_str!("../../spec/10-language.md")),
    ("11-lost-updates", include_str!("../../spec/11-lost-updates.md")),
    ("12-inheritance", include_str!("../../spec/12-inheritance.md")),
];
const EXAMPLES: [(&str, &str); 5] = [
    ("bank", include_str!("../../../../examples/bank/app.py")),
    ("counter", include_str!("../../../../examples/counter/app.py")),
    ("hotel", include_str!("../../../../examples/hotel/app.py")),
    ("orders", include_str!("../../../../examples/orders/app.py")),
    ("shortener", include_str!("../../../../examples/shortener/app.py")),
];

/// What edits do, so that a rule that no program needs is noticed.
const RULES: [&str; 13] = [
    "a call of a service is awaited",
    "a `def` that waits is a coroutine",
    "`with transaction()` is asynchronous",
    "the clock",
    "a draw",
    "asyncio.gather",
    "asyncio.sleep",
    "asyncio.wait_for",
    "signals pass `except:`",
    "signals pass `finally:`",
    "the type of a dict field",
    "`default=` of a dict field",
    "a generator expression that waits is a list",
];

fn rule(source: &str, edit: &Edit) -> &'static str {
    match edit {
        Edit::Wrap { open, .. } if open == "(await " => RULES[0],
        Edit::Wrap { open, span, .. } if open == "async " => match span.text(source).starts_with("with") {
            true => RULES[2],
            false => RULES[1],
        },
        Edit::Insert { text, .. } if text.starts_with("except ") => RULES[8],
        Edit::Insert { text, .. } | Edit::Replace { text, .. } if text.contains(".live()") => RULES[9],
        Edit::Replace { text, .. } if text.contains(".gather") => RULES[5],
        Edit::Replace { text, .. } if text.contains(".sleep") => RULES[6],
        Edit::Replace { text, .. } if text.contains(".wait_for") => RULES[7],
        Edit::Replace { text, .. } if text.contains(".time.") || text.contains(".date") => RULES[3],
        Edit::Replace { text, .. } if text.starts_with(colour::RUNTIME) => RULES[4],
        Edit::Replace { text, .. } if text == "{}" => RULES[10],
        Edit::Replace { text, span } if text.is_empty() && span.text(source).starts_with("default") => RULES[11],
        Edit::Wrap { open, .. } if open == "[" => RULES[12],
        Edit::Replace { text, .. } if text == "[" || text == "]" => RULES[12],
        Edit::Wrap { .. } | Edit::Insert { .. } | Edit::Replace { .. } => "another",
    }
}

/// The applications of a page, as its tests have them.
fn applications(page: &str) -> Vec<App> {
    let mut apps = Vec::new();
    for block in page.split("```python\n").skip(1) {
        let text = block.split("```").next().unwrap_or_default();
        let mut files: Vec<SourceFile> = Vec::new();
        for line in text.lines() {
            let named = line.strip_prefix("# file: ");
            if named.is_some() || files.is_empty() {
                files.push(file(named.unwrap_or("app.py")));
            }
            if named.is_none() {
                let source = &mut files.last_mut().expect("begun").source;
                source.push_str(line);
                source.push('\n');
            }
        }
        apps.push(App { files, classes: None });
    }
    apps
}

fn file(path: &str) -> SourceFile {
    let stem = path.trim_end_matches(".py");
    let module = stem.trim_end_matches("/__init__").replace('/', ".");
    SourceFile { path: path.to_owned(), module, source: String::new(), package: stem.ends_with("/__init__") }
}

/// The edits of each file of an application that compiles.
fn edits(app: &App) -> Option<Vec<Vec<Edit>>> {
    let parsed: Vec<_> = app.files.iter().map(|file| parse::parse_module(&file.source)).collect();
    if parsed.iter().any(|(_, problems)| !problems.is_empty()) {
        return None;
    }
    let trees: Vec<&Module> = parsed.iter().map(|(tree, _)| tree).collect();
    let mut sink = Sink::new(app);
    let mut model = model::build(&app.files, &trees);
    model::collect(&mut model, None, &mut sink);
    let colours = colour::compute(&model);
    crate::check::run(&model, &colours, &mut sink);
    flow::analyse(&model, &colours, &mut sink);
    let mut all = Vec::new();
    for file in 0..app.files.len() {
        let (edits, reports) = lower::edits(&model, &colours, file);
        reports.into_iter().for_each(|report| sink.add(report));
        all.push(edits);
    }
    (!sink.has_errors()).then_some(all)
}

/// Whether the lowered texts are accepted with these edits.
fn accepted(app: &App, edits: &[Vec<Edit>]) -> bool {
    let lowered: Vec<Lowered> = app.files.iter().zip(edits).map(|(f, e)| lower::apply(&f.source, e)).collect();
    let mut sink = Sink::new(app);
    let trees: Vec<Module> = app.files.iter().map(|file| parse::parse_module(&file.source).0).collect();
    check(app, &trees.iter().collect::<Vec<_>>(), &lowered, &mut sink);
    !sink.has_errors()
}

#[test]
fn every_edit_that_is_left_out_is_found() {
    let examples = EXAMPLES.map(|(name, text)| {
        let files = vec![SourceFile { source: text.to_owned(), ..file("app.py") }];
        (name, vec![App { files, classes: None }])
    });
    let pages = PAGES.map(|(name, page)| (name, applications(page)));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut missed = String::new();
    for (name, app) in pages.iter().chain(&examples).flat_map(|(name, apps)| apps.iter().map(move |app| (name, app))) {
        let Some(edits) = edits(app) else { continue };
        assert!(accepted(app, &edits), "{name} is refused as it is:\n{}", app.files[0].source);
        for file in 0..edits.len() {
            for left_out in 0..edits[file].len() {
                let mut planted = edits.clone();
                let edit = planted[file].remove(left_out);
                let rule = rule(&app.files[file].source, &edit);
                *counts.entry(rule).or_default() += 1;
                if accepted(app, &planted) {
                    missed.push_str(&format!("{name}: {rule}: {edit:?}\n{}\n", app.files[file].source));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{missed}");
    let unused: Vec<&str> = RULES.into_iter().filter(|rule| !counts.contains_key(rule)).collect();
    assert!(unused.is_empty(), "no program needs {unused:?}; there are {counts:?}");
}
