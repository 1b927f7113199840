//! Finding an application's source files: in a folder, as single files, or named by a mu2sls CSV.

mod csv;
mod folder;
mod imports;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use compiler::{App, ListedClass, SourceFile};

use crate::Usage;

/// Source files of an application; beyond, the path is hardly one.
const FILES_MAX: usize = 10_000;
/// Bytes of one source file.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// An application as it lies on disk.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Name, for people and for its data directory.
    pub(crate) name: String,
    /// Folder that it lies in.
    pub(crate) folder: PathBuf,
    /// What the compiler takes.
    pub(crate) app: App,
}

/// A Python file and the module that it is.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    module: String,
    package: bool,
}

/// Reads the application that the command line names.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Sources> {
    for path in paths {
        if !path.exists() {
            return Err(Usage(format!("{}: there is no such file or folder", path.display())).into());
        }
    }
    let (first, found, classes): (_, _, Option<Vec<ListedClass>>) = match paths {
        [folder] if folder.is_dir() => (folder, folder::find(folder)?, None),
        [file] if has_extension(file, "csv") => {
            let (found, classes) = csv::find(file)?;
            (file, found, Some(classes))
        }
        [first, ..] => (first, files(paths)?, None),
        [] => return Err(Usage("no application is named".into()).into()),
    };
    distinct(&found)?;
    let files = found.into_iter().map(source).collect::<Result<Vec<_>>>()?;
    let (name, folder) = home(first)?;
    Ok(Sources { name, folder, app: App { files, classes } })
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

fn distinct(found: &[Found]) -> Result<()> {
    let mut seen = std::collections::HashMap::new();
    for Found { path, module, .. } in found {
        if let Some(other) = seen.insert(module, path) {
            bail!("{} and {} are both the module `{module}`", other.display(), path.display());
        }
    }
    Ok(())
}

fn source(found: Found) -> Result<SourceFile> {
    let shown = found.path.display().to_string();
    let size = std::fs::metadata(&found.path).with_context(|| format!("{shown}: cannot be read"))?.len();
    if size > FILE_BYTES_MAX {
        bail!("{shown}: {size} bytes are too many for a source file");
    }
    let bytes = std::fs::read(&found.path).with_context(|| format!("{shown}: cannot be read"))?;
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(&shown, &error))?;
    let source = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok(SourceFile { path: shown, module: found.module, source, package: found.package })
}

fn not_utf8(path: &str, error: &std::string::FromUtf8Error) -> anyhow::Error {
    let at = error.utf8_error().valid_up_to();
    let line = 1 + error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
    anyhow!("{path}:{line}: the file is not UTF-8 text (byte 0x{:02x}); save it as UTF-8", error.as_bytes()[at])
}

/// Name and folder of the application that begins with this path.
fn home(first: &Path) -> Result<(String, PathBuf)> {
    let full = first.canonicalize().with_context(|| format!("{}: cannot be read", first.display()))?;
    let folder = if full.is_dir() { full.as_path() } else { full.parent().unwrap_or(&full) };
    let name = if full.is_dir() { full.file_name() } else { full.file_stem() };
    let name = name.map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok((name, folder.to_owned()))
}

#[cfg(test)]
mod tests;
