//! Mutated sources never make the compiler panic or hang. `cargo xtask fuzz --seconds N --seed S` runs it for long; as a
//! test it makes a fixed number of mutations from a seed that it prints. The text under test is written down before it
//! is compiled, so that it is known even if the whole process dies of it.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use compiler::{App, SourceFile, compile, explain_methods, render};

use crate::robust::check_map;
use crate::spec::cases;

/// Mutations when nothing else is asked for.
const MUTATIONS: u64 = 1500;
/// One text takes milliseconds; this much means that it hangs.
const HANG: Duration = Duration::from_secs(20);
/// What a text may grow to.
const BYTES_MAX: usize = 60_000;
/// The stack of a program's main thread.
const STACK: usize = 8 << 20;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }
}

fn corpus() -> Vec<String> {
    let mut texts: Vec<String> = cases().iter().flat_map(|c| c.app.files.iter().map(|f| f.source.clone())).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in ["examples/hotel", "examples/bank", "examples/reviews", "examples/shortener", "tests/apps/trouble"] {
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten();
        let sources = entries.filter_map(|e| std::fs::read_to_string(e.ok()?.path()).ok());
        texts.extend(sources.filter(|text| text.len() < BYTES_MAX / 4));
    }
    texts
}

/// Words, spaces and signs.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let class = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 0,
        ' ' => 1,
        _ => 2,
    };
    let mut start = 0;
    let mut last = None;
    for (at, c) in text.char_indices() {
        if last.is_some_and(|l| l != class(c) || class(c) == 2) {
            pieces.push(&text[start..at]);
            start = at;
        }
        last = Some(class(c));
    }
    pieces.push(&text[start..]);
    pieces
}

const ODD: &[&str] = &[
    "\u{feff}",
    "\u{200b}",
    "\r",
    "\r\n",
    "\t",
    "\u{c}",
    "é",
    "𝔘",
    "\u{301}",
    "“",
    "\\\n",
    "\0",
    "'''",
    "\"\"\"",
    "f\"{",
    "#",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    "=",
    "==",
    ":=",
    "*",
    "**",
    "@",
    ";",
    "...",
    "->",
    "await ",
    "async ",
    "yield ",
    "lambda ",
    "match ",
    "case ",
    "self",
    "self.",
    "return ",
    "global ",
    "nonlocal ",
    "del ",
    "with transaction():",
    "import ",
    "from . import ",
    "# type: Persistent[",
    "class ",
    "def ",
    "try:",
    "except:",
    "finally:",
    "0x",
    "1e999",
    "1_",
];

fn mutated(random: &mut Random, corpus: &[String]) -> String {
    let mut text = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let parts = pieces(&text);
        let (one, other) = (random.below(parts.len()), random.below(parts.len()));
        let (low, high) = (one.min(other), one.max(other).min(one.min(other) + 40));
        let join = |parts: &[&str]| parts.concat();
        text = match random.below(9) {
            0 => [join(&parts[..low]), join(&parts[high..])].concat(),
            1 => [join(&parts[..high]), join(&parts[low..])].concat(),
            2 => {
                let mut swapped = parts.clone();
                swapped.swap(one, other);
                join(&swapped)
            }
            3 => join(&parts[..one]),
            4 => [join(&parts[..one]).as_str(), random.pick(ODD), &join(&parts[one..])].concat(),
            5 => [join(&parts[..one]).as_str(), random.pick(ODD), &join(&parts[(one + 1).min(parts.len())..])].concat(),
            6 => {
                let depth = random.below(400);
                let (open, close) =
                    [("(", ")"), ("[", "]"), ("{", "}"), ("not ", ""), ("-", ""), ("lambda: ", ""), ("f'{", "}'")]
                        [random.below(7)];
                let wrapped = [open.repeat(depth), parts[one].to_owned(), close.repeat(depth)].concat();
                [join(&parts[..one]), wrapped, join(&parts[(one + 1).min(parts.len())..])].concat()
            }
            7 => {
                // Lines of one text between those of another.
                let donor = &corpus[random.below(corpus.len())];
                let lines: Vec<&str> = donor.lines().collect();
                let from = random.below(lines.len());
                let taken =
                    lines[from..].iter().take(random.below(12)).map(|line| format!("{line}\n")).collect::<String>();
                let at = text.match_indices('\n').nth(random.below(40)).map_or(0, |(at, _)| at + 1);
                [&text[..at], &taken, &text[at..]].concat()
            }
            _ => {
                let lines: Vec<&str> = text.lines().collect();
                let line = random.below(lines.len());
                let indent = " ".repeat(random.below(24));
                let moved = |(at, l): (usize, &&str)| {
                    if at == line { format!("{indent}{}\n", l.trim_start()) } else { format!("{l}\n") }
                };
                lines.iter().enumerate().map(moved).collect()
            }
        };
        if text.len() > BYTES_MAX || text.is_empty() {
            break;
        }
    }
    let mut end = text.len().min(BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn compile_all(text: String) {
    let file = SourceFile { path: "app.py".into(), module: "app".into(), source: text, package: false };
    let app = App { files: vec![file], classes: None };
    let compiled = compile(&app);
    for diagnostic in &compiled.diagnostics {
        assert_ne!(diagnostic.code, "SOS9001", "{}", diagnostic.message);
        assert!(!render(diagnostic, &app, false).is_empty());
        for change in diagnostic.suggestion.iter().flat_map(|s| &s.changes) {
            assert!(app.files[0].source.get(change.span.range()).is_some(), "{diagnostic:?}");
        }
    }
    if let Some(manifest) = &compiled.manifest {
        manifest.modules.iter().for_each(check_map);
        explain_methods(&app, manifest);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn mutated_sources_are_answered() {
    let seed = number("SOSTENUTO_FUZZ_SEED").unwrap_or(0x5051_7e4e);
    let limit = number("SOSTENUTO_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    println!("fuzz: seed {seed}");
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz-input.py");
    let (texts, inbox) = mpsc::sync_channel::<String>(0);
    let (outbox, done) = mpsc::channel();
    let work = move || {
        for text in inbox {
            compile_all(text);
            if outbox.send(()).is_err() {
                return;
            }
        }
    };
    let worker = std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap();
    let corpus = corpus();
    let mut random = Random(seed | 1);
    let mut count = 0;
    while limit.map_or(count < MUTATIONS, |limit| Instant::now() < limit) {
        let text = mutated(&mut random, &corpus);
        std::fs::write(&place, &text).unwrap();
        let answered = texts.send(text).is_ok() && done.recv_timeout(HANG).is_ok();
        assert!(answered, "seed {seed}, mutation {count}: a panic (above) or a hang; the text is {}", place.display());
        count += 1;
    }
    drop(texts);
    worker.join().unwrap();
    println!("fuzz: {count} mutations");
    assert!(count > 0);
}
