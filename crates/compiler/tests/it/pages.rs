//! The pages of the codes: each exists, its first program gives its code, and the one that it advises is accepted.

use std::path::PathBuf;

use compiler::{App, CODES, Diagnostic, Severity, SourceFile, compile, explain};

/// What the programs on the pages take for granted.
const PRELUDE: &str = "\
import asyncio
import copy
import random
import time
import uuid
from sostenuto import service, entity, transaction, send, sleep, abort, Aborted, Persistent

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

fn diagnostics(program: &str) -> Vec<Diagnostic> {
    let source = format!("{PRELUDE}{program}");
    let file = SourceFile { path: "app.py".into(), module: "app".into(), source, package: false };
    compile(&App { files: vec![file], classes: None }).diagnostics
}

#[test]
fn pages_show_what_they_explain() {
    for (code, page) in CODES {
        let programs = programs(page);
        if let Some(program) = programs.first() {
            let found = diagnostics(program);
            assert!(found.iter().any(|d| d.code == *code), "{code}: {found:#?}");
        }
        for program in programs.iter().skip(1) {
            let errors: Vec<_> = diagnostics(program).into_iter().filter(|d| d.severity == Severity::Error).collect();
            assert!(errors.is_empty(), "{code}: {errors:#?}");
        }
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
