//! All Python files of a folder, with their dotted module names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{FILES_MAX, Found, has_extension};

/// Folders that hold no source of the application.
const SKIPPED: &[&str] = &["__pycache__", "node_modules", "site-packages"];

/// Finds them, in the order of their paths.
pub(super) fn find(folder: &Path) -> Result<Vec<Found>> {
    let mut search = Search { found: vec![], entered: HashSet::new() };
    search.enter(folder, "")?;
    if search.found.is_empty() {
        bail!("{}: there are no .py files in this folder", folder.display());
    }
    Ok(search.found)
}

struct Search {
    found: Vec<Found>,
    /// Folders entered so far, so that links in a circle end.
    entered: HashSet<PathBuf>,
}

impl Search {
    fn enter(&mut self, folder: &Path, package: &str) -> Result<()> {
        let unreadable = || format!("{}: cannot be read", folder.display());
        if !self.entered.insert(folder.canonicalize().with_context(unreadable)?) {
            return Ok(());
        }
        let entries = std::fs::read_dir(folder).with_context(unreadable)?;
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().with_context(unreadable)?;
        paths.sort();
        for path in paths {
            self.take(&path, package)?;
        }
        Ok(())
    }

    fn take(&mut self, path: &Path, package: &str) -> Result<()> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
        if name.starts_with('.') {
            return Ok(());
        }
        if path.is_dir() {
            let is_environment = path.join("pyvenv.cfg").exists();
            if is_environment || SKIPPED.contains(&name) {
                return Ok(());
            }
            return self.enter(path, &join(package, name));
        }
        if !has_extension(path, "py") {
            return Ok(());
        }
        let stem = &name[..name.len() - ".py".len()];
        let is_package = stem == "__init__" && !package.is_empty();
        let module = if is_package { package.to_owned() } else { join(package, stem) };
        self.found.push(Found { path: path.to_owned(), module, package: is_package });
        if self.found.len() > FILES_MAX {
            bail!("{}: there are more than {FILES_MAX} .py files; name the application's folder", path.display());
        }
        Ok(())
    }
}

fn join(package: &str, name: &str) -> String {
    if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") }
}
