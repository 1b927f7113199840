//! Edits of a text by span, applied together, with a source map of the result.

use protocol::manifest::MapPiece;

use crate::span::Span;

/// A change of the user's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Something before and after a range, which may hold other edits.
    Wrap { span: Span, open: String, close: &'static str },
    /// Another text for a range; of edits inside it, none.
    Replace { span: Span, text: String },
    /// A text at a place, standing for the range of what it guards.
    Insert { at: u32, text: String, of: Span },
}

/// Order of what happens at one offset: what closes before comes before what opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Shorter ranges close first.
    Close(u32),
    Insert,
    /// Longer ranges open first.
    Open(u32),
    Replace,
}

struct Atom {
    at: u32,
    rank: Rank,
    /// End of the user's text that it takes the place of.
    until: u32,
    text: String,
    of: Span,
}

/// Applies the edits to a text.
pub(crate) fn apply(source: &str, edits: &[Edit]) -> (String, Vec<MapPiece>) {
    let mut atoms: Vec<Atom> = edits.iter().flat_map(atoms).collect();
    atoms.sort_by_key(|atom| (atom.at, atom.rank));
    let mut rope = Rope { source, at: 0, text: String::new(), map: Vec::new() };
    for atom in atoms {
        if atom.at >= rope.at {
            rope.verbatim(atom.at);
            rope.generated(&atom.text, atom.of);
            rope.at = rope.at.max(atom.until);
        }
    }
    rope.verbatim(source.len() as u32);
    (rope.text, rope.map)
}

fn atoms(edit: &Edit) -> Vec<Atom> {
    match edit {
        Edit::Wrap { span, open, close } => {
            let length = span.end - span.start;
            vec![
                Atom {
                    at: span.start,
                    rank: Rank::Open(u32::MAX - length),
                    until: span.start,
                    text: open.clone(),
                    of: *span,
                },
                Atom { at: span.end, rank: Rank::Close(length), until: span.end, text: (*close).to_owned(), of: *span },
            ]
        }
        Edit::Replace { span, text } => {
            vec![Atom { at: span.start, rank: Rank::Replace, until: span.end, text: text.clone(), of: *span }]
        }
        Edit::Insert { at, text, of } => {
            vec![Atom { at: *at, rank: Rank::Insert, until: *at, text: text.clone(), of: *of }]
        }
    }
}

struct Rope<'a> {
    source: &'a str,
    /// How far the user's text is used.
    at: u32,
    text: String,
    map: Vec<MapPiece>,
}

impl Rope<'_> {
    fn verbatim(&mut self, until: u32) {
        if until > self.at {
            self.piece(Span::new(self.at, until), true);
            self.text.push_str(Span::new(self.at, until).text(self.source));
            self.at = until;
        }
    }

    fn generated(&mut self, text: &str, of: Span) {
        if !text.is_empty() {
            self.piece(of, false);
            self.text.push_str(text);
        }
    }

    fn piece(&mut self, of: Span, verbatim: bool) {
        self.map.push(MapPiece { lowered: self.text.len() as u32, start: of.start, end: of.end, verbatim });
    }
}
