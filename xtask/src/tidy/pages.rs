//! README and ARCHITECTURE stay short and name what exists; each problem code has a page.

use super::tree::Tree;

const README_LINES_MAX: usize = 100;
const ARCHITECTURE_LINES_MAX: usize = 300;
const PROBLEMS: &str = "crates/protocol/src/problem.rs";

/// Pages that are missing, too long, or name crates that do not exist or leave one out.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (page, limit) in [("README.md", README_LINES_MAX), ("ARCHITECTURE.md", ARCHITECTURE_LINES_MAX)] {
        match tree.file(page) {
            None => wrong.push(format!("{page} is missing")),
            Some(text) if text.lines().count() > limit => wrong.push(format!("{page} has more than {limit} lines")),
            Some(_) => {}
        }
    }
    let architecture = tree.file("ARCHITECTURE.md").unwrap_or_default();
    let mut crates: Vec<&str> = tree.ending("/Cargo.toml").filter_map(|(path, _)| crate_of(path)).collect();
    crates.sort_unstable();
    for named in named_crates(architecture) {
        if !crates.contains(&named) {
            wrong.push(format!("ARCHITECTURE.md names crates/{named}, which does not exist"));
        }
    }
    for existing in crates {
        if !architecture.contains(&format!("crates/{existing}")) && !architecture.is_empty() {
            wrong.push(format!("ARCHITECTURE.md does not name crates/{existing}"));
        }
    }
    wrong
}

fn crate_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml").filter(|name| !name.contains('/'))
}

/// Each `crates/name` of a page.
fn named_crates(text: &str) -> Vec<&str> {
    let ends = |letter: char| !(letter.is_alphanumeric() || letter == '-' || letter == '_');
    let after = text.split("crates/").skip(1).map(|rest| rest.split(ends).next().unwrap_or_default());
    after.filter(|name| !name.is_empty()).collect()
}

/// Problem codes without a page `pages/<code>.md`.
pub(super) fn problems(tree: &Tree) -> Vec<String> {
    let has_page = |code: &str| tree.files.iter().any(|(path, _)| path.ends_with(&format!("/pages/{code}.md")));
    codes(tree.file(PROBLEMS).unwrap_or_default())
        .filter(|code| !has_page(code))
        .map(|code| format!("there is no page {code}.md"))
        .collect()
}

/// Codes of the table in `problem.rs`: lines like `DiskFull "disk_full" 507 true Ingress "…";`.
fn codes(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (_, code, status) = (words.next()?, words.next()?, words.next()?);
        status.parse::<u16>().ok()?;
        code.strip_prefix('"')?.strip_suffix('"')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_name_what_exists() {
        let tree = Tree::of(&[
            ("README.md", &"x\n".repeat(101)),
            ("ARCHITECTURE.md", "`crates/engine` and `crates/ghost`\n"),
            ("crates/engine/Cargo.toml", ""),
            ("crates/store/Cargo.toml", ""),
        ]);
        let expected = [
            "README.md has more than 100 lines",
            "ARCHITECTURE.md names crates/ghost, which does not exist",
            "ARCHITECTURE.md does not name crates/store",
        ];
        assert_eq!(check(&tree), expected);
    }

    #[test]
    fn codes_need_pages() {
        let table = "codes! {\n    DiskFull \"disk_full\" 507 true Ingress \"Full\";\n    Parked \"parked\" 500 false Invocation \"P\";\n}\n";
        let tree = Tree::of(&[(PROBLEMS, table), ("crates/gateway/src/pages/parked.md", "")]);
        assert_eq!(problems(&tree), ["there is no page disk_full.md"]);
    }
}
