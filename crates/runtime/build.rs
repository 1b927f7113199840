//! Lists the files of the `sostenuto` Python package, so that the binary carries them, and their bytecode for the
//! interpreters that are there now: no start of a server then compiles them. A build needs none: with another interpreter
//! the package is compiled when it is loaded.
//!
//! `SOSTENUTO_PYTHONS` names the interpreters, with spaces between, in place of `python3`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

const INTERPRETERS: &str = "SOSTENUTO_PYTHONS";

/// Compiles files below a folder into another one. What runs them does not look whether source and bytecode belong together:
/// both are of one build.
const COMPILE: &str = "
import importlib.util, os, py_compile, sys
sys.pycache_prefix = None
root, out, *names = sys.argv[1:]
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for name in names:
    compiled = os.path.join(out, importlib.util.cache_from_source(name, optimization=''))
    py_compile.compile(os.path.join(root, name), compiled, name, doraise=True, optimize=0, invalidation_mode=mode)
";

fn main() -> io::Result<()> {
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let root = manifest_dir.join("../../python");
    println!("cargo:rerun-if-changed={}", root.join("sostenuto").display());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={INTERPRETERS}");
    let mut files = BTreeMap::new();
    collect(&root, &root.join("sostenuto"), "py", &mut files)?;
    let names: Vec<String> = files.keys().cloned().collect();
    let compiled = out_dir.join("python");
    if compiled.exists() {
        fs::remove_dir_all(&compiled)?;
    }
    let interpreters = env::var(INTERPRETERS).unwrap_or_else(|_| "python3".to_owned());
    for (interpreter, number) in interpreters.split_whitespace().zip(0..) {
        let out = compiled.join(format!("{number}"));
        if compile(interpreter, &root, &out, &names) {
            collect(&out, &out, "pyc", &mut files)?;
        }
    }
    let mut table = String::from("&[\n");
    for (name, path) in files {
        writeln!(table, "    ({name:?}, include_bytes!({path:?})),").expect("writing to a String does not fail");
    }
    table.push(']');
    fs::write(out_dir.join("package.rs"), table)
}

/// All or nothing; nothing also if there is no such interpreter, or one that does not know the package's syntax.
fn compile(interpreter: &str, root: &Path, out: &Path, names: &[String]) -> bool {
    let mut command = Command::new(interpreter);
    command.args(["-P", "-S", "-c", COMPILE]).arg(root).arg(out).args(names);
    // The same bytes from each build.
    command.env("PYTHONHASHSEED", "0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Paths below the root, of files that end so.
fn collect(root: &Path, folder: &Path, ending: &str, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, ending, files)?;
        } else if path.extension().is_some_and(|extension| extension == ending) {
            let name = path.strip_prefix(root).expect("it was found there").to_string_lossy().into_owned();
            files.insert(name, path);
        }
    }
    Ok(())
}
