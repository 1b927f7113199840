//! The file `FORMAT`: which version wrote the directory, and for how many partitions. Text, so that a person can read
//! it. Written before anything else and never changed.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use super::{LOCK_FILE, OpenError, failed, sync_folder};

const FORMAT_FILE: &str = "FORMAT";
const FORMAT_NEW_FILE: &str = "FORMAT.new";
const FORMAT_VERSION: u32 = 1;
const TITLE: &str = "sostenuto data directory";

/// Checks the format file, or writes one if the directory is empty.
pub(super) fn check_or_create(path: &Path, partitions: u16) -> Result<(), OpenError> {
    let file = path.join(FORMAT_FILE);
    match fs::read_to_string(&file) {
        Ok(text) => check(path, &file, &text, partitions),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            refuse_foreign(path)?;
            create(path, &file, partitions)
        }
        Err(error) => Err(failed("reading", &file)(error)),
    }
}

fn check(path: &Path, file: &Path, text: &str, partitions: u16) -> Result<(), OpenError> {
    let unreadable =
        |detail: &str| OpenError::NotADataDirectory { path: file.to_path_buf(), detail: detail.to_owned() };
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Err(unreadable("it does not begin as one of ours"));
    }
    let version: u32 = number(lines.next(), "format ").ok_or_else(|| unreadable("it names no format version"))?;
    if version > FORMAT_VERSION {
        return Err(OpenError::NewerFormat { path: file.to_path_buf(), found: version, known: FORMAT_VERSION });
    }
    let found = number(lines.next(), "partitions ").ok_or_else(|| unreadable("it names no number of partitions"))?;
    if found != partitions {
        return Err(OpenError::Partitions { path: path.to_path_buf(), found, asked: partitions });
    }
    Ok(())
}

fn number<T: std::str::FromStr>(line: Option<&str>, key: &str) -> Option<T> {
    line?.strip_prefix(key)?.parse().ok()
}

/// Without a format file only an empty directory is ours to use.
fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    for entry in fs::read_dir(path).map_err(failed("listing", path))? {
        let name = entry.map_err(failed("listing", path))?.file_name();
        let name = name.to_string_lossy();
        let harmless = name.starts_with('.') || [LOCK_FILE, FORMAT_NEW_FILE, "lost+found"].contains(&&*name);
        if !harmless {
            let detail = format!("it has no file {FORMAT_FILE}, but it has {name}");
            return Err(OpenError::NotADataDirectory { path: path.to_path_buf(), detail });
        }
    }
    Ok(())
}

fn create(path: &Path, file: &Path, partitions: u16) -> Result<(), OpenError> {
    let scratch = path.join(FORMAT_NEW_FILE);
    let text = format!("{TITLE}\nformat {FORMAT_VERSION}\npartitions {partitions}\n");
    File::create(&scratch)
        .and_then(|mut new| new.write_all(text.as_bytes()).and_then(|()| new.sync_all()))
        .map_err(failed("writing", &scratch))?;
    fs::rename(&scratch, file).map_err(failed("renaming", &scratch))?;
    sync_folder(path)
}
