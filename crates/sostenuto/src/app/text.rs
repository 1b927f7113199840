//! The text of one file, or what stands in its place. Never waits: pipes and devices are not opened.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use compiler::{Fault, Span};
use rustix::io::Errno;

use super::Unread;

/// Bytes of one source file.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The text of a Python file, without a byte order mark; what is wrong with it is told.
pub(super) fn python(path: &Path, unread: &mut Unread) -> Option<String> {
    let text = read(path, unread)?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    match foreign_encoding(&text) {
        Some((span, name)) => {
            unread.add(path, text, span, Fault::Encoding(name));
            None
        }
        None => Some(text),
    }
}

/// The text of any file; what is wrong with it is told.
pub(super) fn read(path: &Path, unread: &mut Unread) -> Option<String> {
    let bytes = match bytes(path) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(fault)) => {
            unread.whole(path, fault);
            return None;
        }
        Err(error) => {
            unread.unreadable(path, &error);
            return None;
        }
    };
    String::from_utf8(bytes)
        .map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let fault = Fault::NotUtf8(error.as_bytes()[at]);
            // Up to there it is the same text, byte for byte.
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let end = at + char::REPLACEMENT_CHARACTER.len_utf8();
            unread.add(path, text, Span::new(at as u32, end as u32), fault);
        })
        .ok()
}

fn bytes(path: &Path) -> io::Result<Result<Vec<u8>, Fault>> {
    let kind = std::fs::metadata(path)?;
    if kind.is_dir() {
        return Ok(Err(Fault::NotAFile("a folder")));
    }
    if !kind.is_file() {
        return Ok(Err(Fault::NotAFile("a pipe, a socket or a device")));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Ok(Err(Fault::TooLarge(BYTES_MAX)));
    }
    Ok(Ok(bytes))
}

/// Why a file cannot be read, for people.
pub(super) fn reason(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "it is a link to nothing".to_owned(),
        Some(Errno::LOOP) => "its links lead in a circle".to_owned(),
        Some(Errno::ACCESS | Errno::PERM) => "there is no permission".to_owned(),
        _ => error.to_string(),
    }
}

/// Another encoding that the first two lines declare, as Python finds it, if it would make a difference.
fn foreign_encoding(text: &str) -> Option<(Span, String)> {
    if text.is_ascii() {
        return None;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n').take(2) {
        if let Some((at, name)) = declared(line) {
            let same = matches!(name.to_ascii_lowercase().replace('_', "-").as_str(), "utf-8" | "utf8" | "utf-8-sig");
            let span = Span::new((start + at) as u32, (start + at + name.len()) as u32);
            return (!same).then(|| (span, name.to_owned()));
        }
        if !line.trim_start_matches([' ', '\t', '\u{c}']).starts_with('#') && !line.trim().is_empty() {
            return None;
        }
        start += line.len();
    }
    None
}

/// `^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)`, with the name's place.
fn declared(line: &str) -> Option<(usize, &str)> {
    if !line.trim_start_matches([' ', '\t', '\u{c}']).starts_with('#') {
        return None;
    }
    line.match_indices("coding").find_map(|(at, word)| {
        let after = line[at + word.len()..].strip_prefix([':', '='])?;
        let rest = after.trim_start_matches([' ', '\t']);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).unwrap_or(rest.len());
        (end > 0).then(|| (line.len() - rest.len(), &rest[..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_encodings_are_found_as_python_does() {
        let found = |text: &str| foreign_encoding(text).map(|(span, name)| (span.text(text).to_owned(), name));
        let latin = Some(("latin-1".to_owned(), "latin-1".to_owned()));
        assert_eq!(found("# -*- coding: latin-1 -*-\né"), latin);
        assert_eq!(found("#!/usr/bin/python\n  # vim: set fileencoding=latin-1 :\né"), latin);
        for same in ["# coding: utf-8\né", "# coding: UTF_8\né", "é = 1\n# coding: latin-1\n", "# coding: latin-1\n"]
        {
            assert_eq!(found(same), None, "{same}");
        }
        assert_eq!(found("\n\n# coding: latin-1\né"), None);
    }

    #[test]
    fn reasons_are_for_people() {
        let denied = io::Error::from(Errno::ACCESS);
        assert_eq!(reason(&denied), "there is no permission");
    }
}
