//! Writing to the standard streams. A reader that went away (`| head`) is no error of ours.

use std::io::{self, IsTerminal, Write};

/// Writes lines to stdout.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Writes lines to stderr.
pub(crate) fn error(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// May stderr be coloured?
pub(crate) fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
