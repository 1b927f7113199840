//! Files that are named one by one, as a CSV or a command line does, and the files beside them that they import. Decides
//! which module each one is: the name that others import it by, a place in a package, or simply its own name.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{FILES_MAX, Found, Unread, text};

/// Packages that the mu2sls dialect imports and the runtime provides.
const PROVIDED: [&str; 2] = ["compiler", "runtime"];

/// The named files first, in their order. `base` is another folder that absolute imports may begin in.
pub(super) fn reach(named: &[PathBuf], base: Option<&Path>) -> Vec<Found> {
    let mut reach = Reach { base, files: named.to_vec(), names: BTreeMap::new(), root: None };
    let mut next = 0;
    while let Some(file) = reach.files.get(next).cloned() {
        reach.imports_of(&file);
        next += 1;
    }
    reach.found()
}

struct Reach<'a> {
    base: Option<&'a Path>,
    files: Vec<PathBuf>,
    /// The names that files are imported by.
    names: BTreeMap<PathBuf, String>,
    /// The folder that holds the outermost package that is imported from relatively.
    root: Option<PathBuf>,
}

impl Reach<'_> {
    fn imports_of(&mut self, file: &Path) {
        // What cannot be read is told when it is read for good.
        let Some(source) = text::python(file, &mut Unread::default()) else { return };
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        for import in compiler::imports(&source) {
            if import.level > 0 {
                self.relative(&folder, &import);
            } else if !PROVIDED.contains(&import.module.split('.').next().unwrap_or_default()) {
                self.absolute(&folder, &import);
            }
        }
    }

    fn relative(&mut self, folder: &Path, import: &compiler::Import) {
        let Some(package) = folder.ancestors().nth(import.level as usize - 1) else { return };
        let outside = package.parent().map_or_else(PathBuf::new, Path::to_owned);
        if self.root.as_ref().is_none_or(|root| root.starts_with(&outside)) {
            self.root = Some(outside);
        }
        let parts: Vec<&str> = import.module.split('.').filter(|p| !p.is_empty()).collect();
        self.module(package, &parts, None);
        for name in &import.names {
            self.module(package, &[&parts[..], &[name.as_str()]].concat(), None);
        }
    }

    fn absolute(&mut self, folder: &Path, import: &compiler::Import) {
        let parts: Vec<&str> = import.module.split('.').collect();
        for start in [Some(folder), self.base].into_iter().flatten() {
            let found = self.module(start, &parts, Some(start));
            let mut within = false;
            for name in &import.names {
                within |= self.module(start, &[&parts[..], &[name.as_str()]].concat(), Some(start));
            }
            if found || within {
                return;
            }
        }
    }

    /// Takes the module `parts` below a folder, with the packages on the way; an absolute import names it from `start`.
    fn module(&mut self, folder: &Path, parts: &[&str], start: Option<&Path>) -> bool {
        let mut path = folder.to_owned();
        for part in parts {
            path.push(part);
            let init = path.join("__init__.py");
            if init.is_file() {
                self.take(init, start);
            }
        }
        let file = path.with_extension("py");
        let is_module = !parts.is_empty() && file.is_file();
        if is_module {
            self.take(file, start);
        }
        is_module || path.join("__init__.py").is_file()
    }

    fn take(&mut self, file: PathBuf, start: Option<&Path>) {
        if let Some(start) = start {
            self.names.entry(file.clone()).or_insert_with(|| dotted(start, &file));
        }
        if !self.files.contains(&file) && self.files.len() < FILES_MAX {
            self.files.push(file);
        }
    }

    fn found(mut self) -> Vec<Found> {
        let mut all: Vec<Found> = Vec::new();
        let files = std::mem::take(&mut self.files);
        for file in files {
            let package = file.file_name().is_some_and(|name| name == "__init__.py");
            all.push(Found { module: self.name(&file), path: file, package });
        }
        all
    }

    fn name(&self, file: &Path) -> String {
        match (&self.root, self.names.get(file)) {
            (Some(root), _) if file.starts_with(root) => dotted(root, file),
            (_, Some(name)) => name.clone(),
            _ => dotted(file.parent().unwrap_or(Path::new("")), file),
        }
    }
}

/// The module that a file is as seen from a folder.
fn dotted(root: &Path, file: &Path) -> String {
    let below = file.strip_prefix(root).unwrap_or(file).with_extension("");
    let mut parts: Vec<String> = Vec::new();
    for part in below.components() {
        if let Component::Normal(part) = part {
            parts.push(identifier(&part.to_string_lossy()));
        }
    }
    if parts.len() > 1 && parts.last().is_some_and(|part| part == "__init__") {
        parts.pop();
    }
    parts.join(".")
}

/// A folder's name as a package's: `media-service` is no name in Python.
fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect()
}
