//! The pages of the codes: each exists, its first program gives its code, and the one that it advises is accepted.

use std::path::PathBuf;

use compiler::{App, CODES, Diagnostic, Severity, compile, explain, explain_methods, render};

use crate::spec::modules;

/// What the programs on the pages take for granted.
const PRELUDE: &str = "\
import asyncio
import copy
import random
import time
import uuid
from sostenuto import service, entity, client, transaction, send, sleep, abort, Aborted, Persistent

@service
class Hotel:
    rooms: Persistent[dict[str, str]] = {}

    def reserve(self, room: str) -> bool:
        return room not in self.rooms

@entity
class Account:
    balance: Persistent[int] = 0

    def deposit(self, amount: int) -> int:
        self.balance += amount
        return self.balance

    def _audit(self):
        return self.balance

";

fn programs(page: &str) -> Vec<String> {
    page.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The application of a page, and what is said about it.
fn diagnostics(program: &str) -> (App, Vec<Diagnostic>) {
    let mut files = modules(program);
    files[0].source.insert_str(0, PRELUDE);
    let app = App { files, classes: None };
    let compiled = compile(&app);
    let mut diagnostics = compiled.diagnostics;
    diagnostics.extend(compiled.manifest.into_iter().flat_map(|manifest| explain_methods(&app, &manifest).1));
    (app, diagnostics)
}

/// Applications without any service, and what stops everything else: the prelude would be in the way.
const BARE: [&str; 1] = ["SOS0114"];

#[test]
fn pages_show_what_they_explain() {
    for (code, page) in CODES.iter().filter(|(code, _)| !BARE.contains(code)) {
        let programs = programs(page);
        if let Some(program) = programs.first() {
            let (app, found) = diagnostics(program);
            let told: String = found.iter().map(|d| render(d, &app, false)).collect();
            assert!(!found.is_empty() && found.iter().all(|d| d.code == *code), "{code}: {told}");
        }
        for program in programs.iter().skip(1) {
            let (app, found) = diagnostics(program);
            let wrong: Vec<_> = found.iter().filter(|d| d.severity == Severity::Error || d.code == *code).collect();
            let told: String = wrong.iter().map(|d| render(d, &app, false)).collect();
            assert!(wrong.is_empty(), "{code}: {told}");
        }
    }
}

#[test]
fn the_list_of_codes_is_the_folder() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".md", ""))
        .filter(|name| name.starts_with("SOS"))
        .collect();
    found.sort();
    let listed: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(found, listed);
    let index = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/README.md")).unwrap();
    let title = |page: &str| page.lines().next().unwrap_or_default().split_once(": ").unwrap().1.to_owned();
    for (code, page) in CODES {
        let line = format!("| [{code}]({code}.md) | {} |", title(page));
        assert!(index.contains(&line), "docs/README.md lacks\n{line}");
    }
}

#[test]
fn every_code_has_a_page() {
    let mut used: Vec<String> = Vec::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "codes.rs") {
                let text = std::fs::read_to_string(path).unwrap();
                used.extend(text.match_indices("\"SOS").map(|(at, _)| text[at + 1..at + 8].to_owned()));
            }
        }
    }
    for code in &used {
        assert!(explain(code).is_some_and(|page| page.starts_with(&format!("# {code}: "))), "{code}");
    }
    for (code, _) in CODES {
        assert!(used.iter().any(|u| u == code), "{code} is never used");
    }
}
