//! Every Rust file begins by saying what it is; one over 1,000 lines also says why it is one file.

use super::tree::Tree;

const LINES_MAX: usize = 1000;
const REASON: &str = "one file";

/// Files without a header.
pub(super) fn missing(tree: &Tree) -> Vec<String> {
    tree.ending(".rs").filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path.to_owned()).collect()
}

/// Long files whose header does not say why they are "one file".
pub(super) fn long_files(tree: &Tree) -> Vec<String> {
    let header = |text: &str| text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join(" ");
    tree.ending(".rs")
        .filter(|(_, text)| text.lines().count() > LINES_MAX && !header(text).contains(REASON))
        .map(|(path, text)| format!("{path} has {} lines", text.lines().count()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found() {
        let long = "x\n".repeat(1001);
        let reasoned = format!("//! This is one file because it is a table.\n{long}");
        let tree = Tree::of(&[("a.rs", "//! Good.\n"), ("b.rs", "fn f() {}\n"), ("c.rs", &long), ("d.rs", &reasoned)]);
        assert_eq!(missing(&tree), ["b.rs", "c.rs"]);
        assert_eq!(long_files(&tree), ["c.rs has 1001 lines"]);
    }
}
