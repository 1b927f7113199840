//! Compiles the Markdown files of `spec/` with the compiler that has built this test, and compares what it tells with
//! what the text expects, so that what a user reads is tested, and not only that something is refused.
//!
//! A `rust` block is a library with the prelude. `// error: <tokens>: text` expects an error that points at the tokens,
//! which begin on that line, with that text in its message; `// warning: …` likewise; `// note: text` that the
//! diagnostic before it has such a note, help or label. A line that has nothing but such a comment speaks of the line
//! above. No others may come, so a block without comments compiles, unless it says `// and others`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use serde_json::Value as Json;

/// Lines of the program that stand before the block's.
const PRELUDE: &str = "#![allow(dead_code, unused_variables)] use sostenuto::prelude::*;\n";
const THREADS: usize = 2;

#[derive(Debug, Default)]
struct Case {
    name: String,
    source: String,
    expected: Vec<Expected>,
}

/// A diagnostic that the text wants.
#[derive(Debug)]
struct Expected {
    level: &'static str,
    line: usize,
    tokens: String,
    text: String,
    notes: Vec<String>,
}

/// A diagnostic that the compiler told.
#[derive(Debug)]
struct Told {
    level: String,
    line: usize,
    tokens: String,
    text: String,
    notes: String,
    rendered: String,
}

fn read(path: &Path) -> Vec<Case> {
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        match line {
            "```rust" => {
                inside = true;
                cases.push(Case { name: format!("{file}:{}", number + 1), ..Case::default() });
            }
            "```" => inside = false,
            _ if inside => cases.last_mut().unwrap().push(line),
            _ => {}
        }
    }
    cases
}

impl Case {
    fn push(&mut self, line: &str) {
        let number = self.source.lines().count() + 1;
        let alone = line.trim_start().starts_with("// ");
        for comment in line.split("// ").skip(1) {
            self.expect(comment.trim_end(), number, alone);
        }
        self.source.push_str(line);
        self.source.push('\n');
    }

    fn expect(&mut self, comment: &str, number: usize, alone: bool) {
        let Some((kind, text)) = comment.split_once(": ") else { return };
        let level = match kind {
            "error" => "error",
            "warning" => "warning",
            "note" => {
                self.expected.last_mut().expect("a note belongs to a diagnostic").notes.push(text.to_owned());
                return;
            }
            _ => return,
        };
        let (tokens, text) = text.strip_prefix('<').and_then(|text| text.split_once(">: ")).expect("`<tokens>: text`");
        // Comments that stand alone speak of the last line that is none.
        let line = if alone { self.last_line_of_code() } else { number };
        let (tokens, text) = (tokens.to_owned(), text.to_owned());
        self.expected.push(Expected { level, line, tokens, text, notes: Vec::new() });
    }

    fn last_line_of_code(&self) -> usize {
        let is_comment = |line: &&str| line.trim_start().starts_with("// ");
        let comments = self.source.lines().rev().take_while(is_comment).count();
        self.source.lines().count() - comments
    }
}

/// What was built with this test: the newest of its kind, as the test itself is built from the newest sources.
fn built(name: &str) -> Vec<PathBuf> {
    let folder = std::env::current_exe().unwrap();
    let entries = std::fs::read_dir(folder.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let is_of = |path: &PathBuf| {
        let file = path.file_name().unwrap().to_string_lossy();
        file.strip_prefix(&format!("lib{name}-")).is_some_and(|rest| rest.ends_with(".rlib"))
    };
    let mut found: Vec<_> = entries.filter(is_of).collect();
    let age =
        |path: &PathBuf| std::fs::metadata(path).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    found.sort_by_key(age);
    found.reverse();
    found
}

struct Compiler {
    sdk: PathBuf,
    serde: PathBuf,
}

impl Compiler {
    /// With the `serde` that the SDK was built with: with another one nothing could be stored.
    fn find() -> Self {
        let sdk = built("sdk").swap_remove(0);
        let probe = "#[derive(serde::Serialize, serde::Deserialize)] pub struct Room { free: u32 }\n\
                     #[service] pub struct Hotel { rooms: Map<String, Room> }\n\
                     #[methods] impl Hotel { pub fn count(&self) -> usize { self.rooms.len() } }\n";
        let compilers = built("serde").into_iter().map(|serde| Self { sdk: sdk.clone(), serde });
        let mut tried = String::new();
        for compiler in compilers {
            let told = compiler.compile("probe", probe);
            if told.is_empty() {
                return compiler;
            }
            told.iter().for_each(|told| tried.push_str(&told.rendered));
        }
        panic!("no serde goes with {}:\n{tried}", sdk.display());
    }

    fn compile(&self, name: &str, source: &str) -> Vec<Told> {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.rmeta", name.replace([':', '.'], "-")));
        let mut command = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()));
        command.args(["--edition", "2024", "--crate-type", "lib", "--crate-name", "shop", "--emit", "metadata"]);
        command.args(["--error-format", "json", "-o"]).arg(&out);
        for (name, path) in [("sostenuto", &self.sdk), ("serde", &self.serde)] {
            command.arg("--extern").arg(format!("{name}={}", path.display()));
        }
        command.arg("-L").arg(format!("dependency={}", self.sdk.parent().unwrap().display())).arg("-");
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{PRELUDE}{source}").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        // It is there only if the block compiles.
        let _ = std::fs::remove_file(out);
        let text = String::from_utf8(output.stderr).unwrap();
        let told = text.lines().filter_map(|line| told(&serde_json::from_str(line).expect(line)));
        told.collect()
    }
}

/// A diagnostic; nothing for summaries, which have no place.
fn told(json: &Json) -> Option<Told> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let spans = json["spans"].as_array()?;
    let mut primary = spans.iter().find(|span| span["is_primary"] == true)?;
    // What a macro has made is shown where the macro stands.
    while primary["file_name"] != "<anon>" {
        primary = &primary["expansion"]["span"];
    }
    let at = |name: &str| primary[name].as_u64().unwrap_or_default() as usize;
    let shown = &primary["text"][0];
    let columns = |name: &str| shown[name].as_u64().unwrap_or(1) as usize - 1;
    let line: Vec<char> = text(&shown["text"]).chars().collect();
    let tokens = line.get(columns("highlight_start")..columns("highlight_end")).unwrap_or_default();
    let children = json["children"].as_array()?;
    let all_spans = children.iter().flat_map(|child| child["spans"].as_array()).flatten().chain(spans);
    let labels = all_spans.map(|span| text(&span["label"]));
    let messages = children.iter().map(|child| text(&child["message"]));
    Some(Told {
        level: text(&json["level"]),
        line: at("line_start") - PRELUDE.lines().count(),
        tokens: tokens.iter().collect(),
        text: text(&json["message"]),
        notes: labels.chain(messages).collect::<Vec<_>>().join("\n"),
        rendered: text(&json["rendered"]),
    })
}

fn fits(expected: &Expected, told: &Told) -> bool {
    expected.level == told.level
        && expected.line == told.line
        && expected.tokens == told.tokens
        && told.text.contains(&expected.text)
        && expected.notes.iter().all(|note| told.notes.contains(note))
}

/// What is wrong with the case; nothing if all is as it is expected.
fn judge(case: &Case, told: &[Told]) -> String {
    let mut problems = String::new();
    let mut left: BTreeSet<usize> = (0..told.len()).collect();
    for expected in &case.expected {
        match left.iter().copied().find(|index| fits(expected, &told[*index])) {
            Some(index) => _ = left.remove(&index),
            None => writeln!(problems, "not told: {expected:?}").unwrap(),
        }
    }
    for index in left.into_iter().filter(|_| !case.source.contains("// and others")) {
        let Told { line, tokens, rendered, .. } = &told[index];
        writeln!(problems, "not expected, at line {line} <{tokens}>:\n{rendered}").unwrap();
    }
    problems
}

#[test]
fn misuse_is_told_as_the_specification_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let cases: Vec<Case> = files.flat_map(|path| read(&path)).collect();
    assert!(cases.len() > 10, "the specification was not found");
    let (compiler, next) = (Compiler::find(), AtomicUsize::new(0));
    let work = || {
        let mut failures = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let problems = judge(case, &compiler.compile(&case.name, &case.source));
            if !problems.is_empty() {
                failures.push(format!("\n==== spec/{}\n{problems}", case.name));
            }
        }
        failures
    };
    let mut failures: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    failures.sort();
    assert!(failures.is_empty(), "{}", failures.concat());
}

#[test]
fn a_specification_that_does_not_hold_is_found() {
    let mut case = Case { name: "one.md:1".to_owned(), ..Case::default() };
    case.push("let x: u8 = \"a\";");
    case.push("    // error: <\"a\">: mismatched types // note: expected `u8`");
    let told = |line: usize, tokens: &str, text: &str, notes: &str| Told {
        level: "error".to_owned(),
        line,
        tokens: tokens.to_owned(),
        text: text.to_owned(),
        notes: notes.to_owned(),
        rendered: String::new(),
    };
    let right = || told(1, "\"a\"", "mismatched types", "expected `u8`, found `&str`");
    assert_eq!(judge(&case, &[right()]), "");
    for wrong in [
        told(2, "\"a\"", "mismatched types", "expected `u8`, found `&str`"),
        told(1, "x", "mismatched types", "expected `u8`, found `&str`"),
        told(1, "\"a\"", "types differ", "expected `u8`, found `&str`"),
        told(1, "\"a\"", "mismatched types", ""),
        Told { level: "warning".to_owned(), ..right() },
    ] {
        let problems = judge(&case, &[wrong]);
        assert!(problems.contains("not told") && problems.contains("not expected"), "{problems}");
    }
    assert!(judge(&case, &[]).contains("not told"));
    assert!(judge(&case, &[right(), right()]).contains("not expected"));
}
