//! The mu2sls form: `Class,path` per line.

use std::path::{Path, PathBuf};

use compiler::{Fault, ListedClass, Span};

use super::{Found, Unread, imports, text};

/// The files that a CSV names and what they import, each once, and the classes that are services.
pub(super) fn find(csv: &Path, unread: &mut Unread) -> (Vec<Found>, Vec<ListedClass>) {
    let Some(text) = text::read(csv, unread) else { return (Vec::new(), Vec::new()) };
    let mut files: Vec<PathBuf> = Vec::new();
    let mut classes: Vec<ListedClass> = Vec::new();
    let mut faults: Vec<(Span, String)> = Vec::new();
    let mut start = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let at = start + whole.find(line).unwrap_or(0);
        start += whole.len();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(csv, line, &classes) {
            Ok((class, file)) => {
                classes.push(ListedClass { class, path: file.display().to_string() });
                if !files.contains(&file) {
                    files.push(file);
                }
            }
            Err(fault) => faults.push((Span::new(at as u32, (at + line.len()) as u32), fault)),
        }
    }
    if classes.is_empty() && faults.is_empty() {
        faults.push((Span::at(0), "no line of this list names a class".to_owned()));
    }
    for (span, fault) in faults {
        unread.add(csv, text.clone(), span, Fault::List(fault));
    }
    (imports::reach(&files, csv.parent()), classes)
}

/// The class and the file of a line.
fn entry(csv: &Path, line: &str, before: &[ListedClass]) -> Result<(String, PathBuf), String> {
    if line.contains(|c: char| c.is_control() && c != '\t') {
        return Err("this line holds bytes that are no text".to_owned());
    }
    let (class, path) = parse(line).ok_or("this line does not name a class and a file")?;
    if before.iter().any(|known| known.class == class) {
        return Err(format!("the class `{class}` is named twice"));
    }
    let file = locate(csv, path).ok_or_else(|| format!("there is no file `{path}`"))?;
    Ok((class.to_owned(), file))
}

fn parse(line: &str) -> Option<(&str, &str)> {
    let mut columns = line.split(',').map(|column| column.trim().trim_matches('"'));
    let (class, path) = (columns.next()?, columns.next()?);
    (!class.is_empty() && !path.is_empty()).then_some((class, path))
}

/// Relative to the folder of the CSV, else to the working directory.
fn locate(csv: &Path, path: &str) -> Option<PathBuf> {
    let beside = csv.parent().unwrap_or(Path::new("")).join(path);
    [beside, PathBuf::from(path)].into_iter().find(|path| path.symlink_metadata().is_ok())
}
