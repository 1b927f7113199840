//! `cargo xtask tidy`: the rules of CONTRIBUTING that no other tool checks. Each rule is a file that takes the
//! checkout's text and lists violations; none changes anything.

mod functions;
mod headers;
mod pages;
mod paths;
mod purity;
mod tree;

use std::path::Path;

use anyhow::Result;

use self::tree::Tree;

/// A rule: its name and what it finds.
type Rule = (&'static str, fn(&Tree) -> Vec<String>);

const RULES: &[Rule] = &[
    ("every Rust file says what it is", headers::missing),
    ("a long file says why it is one", headers::long_files),
    ("functions stay short", functions::too_long),
    ("nothing unfinished, no tests switched off", paths::unfinished),
    ("no paths of one machine", paths::machine),
    ("no build output", paths::build_output),
    ("engine and compiler do no I/O", purity::sources),
    ("pages are short and name what exists", pages::check),
    ("every problem code has a page", pages::problems),
];

/// Checks everything and prints what is wrong; true if nothing is.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let tree = Tree::read(root)?;
    let mut violations = 0;
    for (name, rule) in RULES {
        for violation in rule(&tree) {
            println!("tidy: {name}: {violation}");
            violations += 1;
        }
    }
    for violation in purity::dependencies()? {
        println!("tidy: engine and compiler do no I/O: {violation}");
        violations += 1;
    }
    println!("tidy: {} files, {violations} violations", tree.files.len());
    Ok(violations == 0)
}
