//! Finding an application's source files: in a folder, as single files, or named by a mu2sls CSV. What cannot be read is
//! a diagnostic like any other; only a command line that makes no sense is an error.

mod csv;
mod folder;
mod imports;
mod text;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use compiler::{App, Diagnostic, Fault, ListedClass, SourceFile, Span};

use crate::Usage;

/// Source files of an application; beyond, the path is hardly one.
const FILES_MAX: usize = 10_000;

/// An application as it lies on disk.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Name, for people and for its data directory.
    pub(crate) name: String,
    /// Folder that it lies in.
    pub(crate) folder: PathBuf,
    /// What the compiler takes.
    pub(crate) app: App,
    /// What could not be taken.
    pub(crate) unread: Unread,
}

/// What could not be taken, and the texts that this is about, as far as they could be read.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) texts: App,
}

/// A Python file and the module that it is.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    module: String,
    package: bool,
}

impl Unread {
    fn add(&mut self, path: &Path, source: String, span: Span, fault: Fault) {
        let file = SourceFile { path: path.display().to_string(), source, ..SourceFile::default() };
        self.diagnostics.push(compiler::unread(file.clone(), span, fault));
        self.texts.files.push(file);
    }

    /// A file or folder of which nothing is known.
    fn whole(&mut self, path: &Path, fault: Fault) {
        self.add(path, String::new(), Span::at(0), fault);
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        self.whole(path, Fault::Unreadable(text::reason(error)));
    }
}

/// Reads the application that the command line names.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Sources> {
    for path in paths {
        if path.symlink_metadata().is_err_and(|error| error.kind() != std::io::ErrorKind::PermissionDenied) {
            return Err(Usage(format!("{}: there is no such file or folder", path.display())).into());
        }
    }
    let mut unread = Unread::default();
    let (first, found, classes): (_, _, Option<Vec<ListedClass>>) = match paths {
        [folder] if folder.is_dir() => (folder, folder::find(folder, &mut unread)?, None),
        [file] if has_extension(file, "csv") => {
            let (found, classes) = csv::find(file, &mut unread);
            (file, found, Some(classes))
        }
        [first, ..] => (first, files(paths)?, None),
        [] => return Err(Usage("no application is named".into()).into()),
    };
    let files = found.into_iter().filter_map(|found| source(found, &mut unread)).collect();
    let (name, folder) = home(first);
    Ok(Sources { name, folder, app: App { files, classes }, unread })
}

/// An application without Python services: the program's own, which is called as the program is.
pub(crate) fn nothing() -> Result<Sources> {
    let program = std::env::current_exe().context("the program has no name")?;
    let name = program.file_stem().map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned());
    let folder = std::env::current_dir().context("the working directory cannot be read")?;
    Ok(Sources { name, folder, app: App::default(), unread: Unread::default() })
}

/// Files that are named one by one, and what they import.
fn files(paths: &[PathBuf]) -> Result<Vec<Found>> {
    for path in paths {
        if path.is_dir() || !has_extension(path, "py") {
            let text = "an application is one folder, one .csv file, or one or more .py files";
            return Err(Usage(format!("{}: {text}", path.display())).into());
        }
    }
    Ok(imports::reach(paths, None))
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn source(found: Found, unread: &mut Unread) -> Option<SourceFile> {
    let source = text::python(&found.path, unread)?;
    let path = found.path.display().to_string();
    Some(SourceFile { path, module: found.module, source, package: found.package })
}

/// Name and folder of the application that begins with this path.
fn home(first: &Path) -> (String, PathBuf) {
    // One that cannot be looked at has been told.
    let full = first.canonicalize().unwrap_or_else(|_| first.to_owned());
    let folder = if full.is_dir() { full.as_path() } else { full.parent().unwrap_or(&full) };
    let name = if full.is_dir() { full.file_name() } else { full.file_stem() };
    let name = name.map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned());
    (name, folder.to_owned())
}

#[cfg(test)]
mod tests;
