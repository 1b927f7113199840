//! All Python files of a folder, with their dotted module names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use compiler::Fault;

use super::{FILES_MAX, Found, Unread, has_extension};
use crate::Usage;

/// Folders that hold no source of the application.
const SKIPPED: &[&str] = &["__pycache__", "node_modules", "site-packages"];

/// Finds them, in the order of their paths.
pub(super) fn find(folder: &Path, unread: &mut Unread) -> Result<Vec<Found>> {
    let mut search = Search { found: vec![], entered: HashSet::new(), unread };
    search.enter(folder, "")?;
    if search.found.is_empty() && search.unread.diagnostics.is_empty() {
        search.unread.whole(folder, Fault::Empty);
    }
    Ok(search.found)
}

struct Search<'a> {
    found: Vec<Found>,
    /// Folders entered so far, so that links in a circle end.
    entered: HashSet<PathBuf>,
    unread: &'a mut Unread,
}

impl Search<'_> {
    fn enter(&mut self, folder: &Path, package: &str) -> Result<()> {
        match self.entries(folder) {
            Ok(paths) => paths.iter().try_for_each(|path| self.take(path, package)),
            Err(error) => {
                self.unread.unreadable(folder, &error);
                Ok(())
            }
        }
    }

    /// What lies in a folder, by name; nothing of one that was entered before.
    fn entries(&mut self, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        if !self.entered.insert(folder.canonicalize()?) {
            return Ok(Vec::new());
        }
        let mut paths =
            std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
        paths.sort();
        Ok(paths)
    }

    fn take(&mut self, path: &Path, package: &str) -> Result<()> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            if has_extension(path, "py") {
                self.unread.whole(path, Fault::Unreadable("its name is not UTF-8 text".to_owned()));
            }
            return Ok(());
        };
        if name.starts_with('.') {
            return Ok(());
        }
        let is_python = has_extension(path, "py");
        if path.is_dir() && !is_python {
            let is_environment = path.join("pyvenv.cfg").exists();
            if is_environment || SKIPPED.contains(&name) {
                return Ok(());
            }
            return self.enter(path, &join(package, name));
        }
        if !is_python {
            return Ok(());
        }
        let stem = &name[..name.len() - ".py".len()];
        let is_package = stem == "__init__" && !package.is_empty();
        let module = if is_package { package.to_owned() } else { join(package, stem) };
        self.found.push(Found { path: path.to_owned(), module, package: is_package });
        if self.found.len() > FILES_MAX {
            let what = format!("there are more than {FILES_MAX} .py files; name the application's folder");
            return Err(Usage(format!("{}: {what}", path.display())).into());
        }
        Ok(())
    }
}

fn join(package: &str, name: &str) -> String {
    if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") }
}
