//! The engine and the compiler do no I/O: neither their sources nor anything that they depend on.

use anyhow::{Result, ensure};

use super::tree::Tree;
use crate::shell;

const CRATES: [&str; 2] = ["engine", "compiler"];
const FOREIGN: [&str; 10] =
    ["tokio", "fjall", "axum", "hyper", "mio", "socket2", "ureq", "tempfile", "store", "runtime"];
const CALLS: [&str; 10] = [
    "std::fs",
    "std::net",
    "std::thread",
    "std::env::",
    "std::process",
    "Instant::now",
    "SystemTime",
    "async fn",
    "async move",
    "println!",
];

/// Sources that do what they must not; tests may.
pub(super) fn sources(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let pure = CRATES.iter().any(|name| path.starts_with(&format!("crates/{name}/src/")));
        if !pure || path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        let code = text.lines().enumerate().take_while(|(_, line)| !line.contains("#[cfg(test)]"));
        for (number, line) in code.filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if let Some(call) = CALLS.iter().find(|call| line.contains(**call)) {
                found.push(format!("{path}:{}: {call}", number + 1));
            }
        }
    }
    found
}

/// Crates with I/O that a pure crate depends on.
pub(super) fn dependencies() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for name in CRATES {
        let tree = shell::cargo(&["tree", "--package", name, "--edges", "normal", "--prefix", "none"]).output()?;
        ensure!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
        found.extend(foreign(name, &String::from_utf8_lossy(&tree.stdout)));
    }
    Ok(found)
}

fn foreign(name: &str, tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names
        .filter(|dependency| FOREIGN.contains(dependency))
        .map(|dependency| format!("{name} depends on {dependency}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found() {
        let bad = "//! Engine.\n// std::fs is not used\nuse std::fs;\n#[cfg(test)]\nmod tests { use std::thread; }\n";
        let tree = Tree::of(&[("crates/engine/src/a.rs", bad), ("crates/store/src/b.rs", bad)]);
        assert_eq!(sources(&tree), ["crates/engine/src/a.rs:3: std::fs"]);
        assert_eq!(foreign("engine", "engine v0.0.0 (path)\nprotocol v0\ntokio v1.2\n"), ["engine depends on tokio"]);
    }
}
