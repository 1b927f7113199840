//! The codes of all diagnostics, each with a page that explains it.

/// Code and page of each diagnostic, in order.
pub const CODES: &[(&str, &str)] = &[];

/// The page of a code (Markdown).
pub fn explain(code: &str) -> Option<&'static str> {
    CODES.iter().find(|(c, _)| c.eq_ignore_ascii_case(code)).map(|(_, page)| *page)
}
