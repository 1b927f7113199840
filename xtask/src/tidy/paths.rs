//! What must not stand in any file, and files that must not be there.

use super::tree::Tree;

/// Written in two parts so that this file does not contain them.
const UNFINISHED: [&str; 5] = [
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("#[", "ignore"),
    concat!("#[should_", "panic"),
];
const MACHINE: [&str; 4] =
    [concat!("/", "home/"), concat!("/", "root/"), concat!("/", "Users/"), concat!("/", "work/")];
const OUTPUT: [&str; 6] = ["target/", ".sostenuto/", ".pyc", ".o", ".rlib", ".orig"];

/// Unfinished code and tests that are switched off.
pub(super) fn unfinished(tree: &Tree) -> Vec<String> {
    lines_with(tree.ending(".rs"), &UNFINISHED)
}

/// Paths that exist on one machine only.
pub(super) fn machine(tree: &Tree) -> Vec<String> {
    lines_with(tree.ending(""), &MACHINE)
}

/// What a build or a run has left.
pub(super) fn build_output(tree: &Tree) -> Vec<String> {
    let is_output = |path: &str| {
        OUTPUT.iter().any(|part| if part.ends_with('/') { path.starts_with(part) } else { path.ends_with(part) })
    };
    tree.files.iter().filter(|(path, _)| is_output(path)).map(|(path, _)| path.clone()).collect()
}

fn lines_with<'a>(files: impl Iterator<Item = (&'a str, &'a str)>, unwanted: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        for (number, line) in text.lines().enumerate() {
            if let Some(what) = unwanted.iter().find(|what| line.contains(**what)) {
                found.push(format!("{path}:{}: {what}", number + 1));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found() {
        let code = format!("fn f() {{\n    {}\n}}\n", UNFINISHED[0]);
        let text = format!("see {}me\n", MACHINE[0]);
        let tree =
            Tree::of(&[("a.rs", &code), ("b.md", &text), ("target/x", ""), ("c.pyc", ""), ("d.rs", "fn g() {}\n")]);
        assert_eq!(unfinished(&tree), [format!("a.rs:2: {}", UNFINISHED[0])]);
        assert_eq!(machine(&tree), [format!("b.md:1: {}", MACHINE[0])]);
        assert_eq!(build_output(&tree), ["target/x", "c.pyc"]);
    }
}
