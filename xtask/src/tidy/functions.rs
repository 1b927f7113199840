//! Functions have at most 70 lines. Those that were longer when the rule came are listed in `xtask/long-functions.txt`
//! (`path name lines`) and may not grow; a listed one that is short now is taken off the list.
//!
//! No parser: rustfmt puts a function's last brace at the indentation of its first line.

use std::collections::BTreeMap;

use super::tree::Tree;

const LINES_MAX: usize = 70;
const RATCHET: &str = "xtask/long-functions.txt";

/// Functions that are too long, and entries of the list that are not needed any more.
pub(super) fn too_long(tree: &Tree) -> Vec<String> {
    let mut allowed = ratchet(tree.file(RATCHET).unwrap_or_default());
    let mut wrong = Vec::new();
    for (path, text) in tree.ending(".rs") {
        for (name, lines) in functions(text) {
            let limit = allowed.get(&(path.to_owned(), name.clone())).copied().unwrap_or(LINES_MAX);
            if lines > LINES_MAX {
                allowed.remove(&(path.to_owned(), name.clone()));
            }
            if lines > limit {
                wrong.push(format!("{path}: {name} has {lines} lines, at most {limit}"));
            }
        }
    }
    wrong.extend(allowed.into_keys().map(|(path, name)| format!("{path}: {name} is short now: take it off {RATCHET}")));
    wrong
}

fn ratchet(text: &str) -> BTreeMap<(String, String), usize> {
    let mut allowed = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let [path, name, lines] = line.split_whitespace().collect::<Vec<_>>()[..]
            && let Ok(lines) = lines.parse()
        {
            allowed.insert((path.to_owned(), name.to_owned()), lines);
        }
    }
    allowed
}

/// Names and lengths of the functions of a file.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = declared(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = lines[start..].iter().position(|line| ends(line, indent));
        if let Some(length) = end {
            found.push((name.to_owned(), length + 1));
        }
    }
    found
}

/// The name of the function that a line declares.
fn declared(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let at = if code.starts_with("fn ") { 0 } else { code.find(" fn ")? + 1 };
    let words_before = code[..at].split_whitespace();
    let known =
        |word: &str| matches!(word, "pub" | "async" | "const" | "unsafe" | "extern") || word.starts_with("pub(");
    if !words_before.clone().all(known) {
        return None;
    }
    let name = &code[at + 3..];
    Some(&name[..name.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?])
}

/// Does a function that began at this indentation end with this line?
fn ends(line: &str, indent: &str) -> bool {
    let Some(rest) = line.strip_prefix(indent) else { return false };
    if rest.starts_with(' ') {
        return false;
    }
    rest == "}" || rest.ends_with(';') || (rest.ends_with('}') && declared(line).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(lines: usize) -> String {
        format!("pub(crate) fn long(\n    a: u8,\n) -> u8 {{\n{}}}\n", "    a;\n".repeat(lines - 4))
    }

    #[test]
    fn lengths() {
        let text =
            "fn one() {}\nimpl A {\n    async fn two(&self) {\n        x();\n    }\n    fn declared(&self);\n}\n";
        let expected = [("one".to_owned(), 1), ("two".to_owned(), 3), ("declared".to_owned(), 1)];
        assert_eq!(functions(text), expected);
        assert_eq!(functions(&body(80)), [("long".to_owned(), 80)]);
    }

    #[test]
    fn comments_and_types_declare_nothing() {
        assert_eq!(declared("/// a fn that"), None);
        assert_eq!(declared("    work: impl Fn(u8) -> u8,"), None);
        assert_eq!(declared("let f: fn (u8) = g;"), None);
    }

    #[test]
    fn ratchets() {
        let (long, longer) = (body(80), body(90));
        let list = "# listed\na.rs long 80\nb.rs long 80\nc.rs long 80\n";
        let tree = Tree::of(&[
            ("a.rs", &long),
            ("b.rs", &longer),
            ("c.rs", "fn long() {}\n"),
            ("d.rs", &long),
            (RATCHET, list),
        ]);
        let wrong = too_long(&tree);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert_eq!(wrong[0], "b.rs: long has 90 lines, at most 80");
        assert_eq!(wrong[1], "d.rs: long has 80 lines, at most 70");
        assert!(wrong[2].starts_with("c.rs: long is short now"));
    }
}
