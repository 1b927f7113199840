//! The mu2sls form: `Class,path` per line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use compiler::ListedClass;

use super::{Found, imports};

/// The files that a CSV names and what they import, each once, and the classes that are services.
pub(super) fn find(csv: &Path) -> Result<(Vec<Found>, Vec<ListedClass>)> {
    let text = std::fs::read_to_string(csv).with_context(|| format!("{}: cannot be read", csv.display()))?;
    let mut files: Vec<PathBuf> = Vec::new();
    let mut classes: Vec<ListedClass> = Vec::new();
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("{}:{number}", csv.display());
        let (class, path) = parse(line).with_context(|| format!("{place}: a line is `Class,path`"))?;
        if classes.iter().any(|known| known.class == class) {
            bail!("{place}: the class `{class}` is named twice");
        }
        let file = locate(csv, path).with_context(|| format!("{place}: there is no file `{path}`"))?;
        classes.push(ListedClass { class: class.to_owned(), path: file.display().to_string() });
        if !files.contains(&file) {
            files.push(file);
        }
    }
    if classes.is_empty() {
        bail!("{}: no line names a class", csv.display());
    }
    Ok((imports::reach(&files, csv.parent()), classes))
}

fn parse(line: &str) -> Option<(&str, &str)> {
    let mut columns = line.split(',').map(|column| column.trim().trim_matches('"'));
    let (class, path) = (columns.next()?, columns.next()?);
    (!class.is_empty() && !path.is_empty()).then_some((class, path))
}

/// Relative to the folder of the CSV, else to the working directory.
fn locate(csv: &Path, path: &str) -> Option<PathBuf> {
    let beside = csv.parent().unwrap_or(Path::new("")).join(path);
    [beside, PathBuf::from(path)].into_iter().find(|path| path.is_file())
}
