//! What the parser says about a text that is no Python, as a person needs it: one message for one mistake, at the place
//! where it was made, with the edit that mends it where that is clear. Pure text work on messages and tokens.

use ruff_python_ast::token::TokenKind;

use super::Problem;
use crate::similar::similar;
use crate::span::{Span, indentation};

type Token = (TokenKind, Span);

/// The problems that are worth telling, in order of place.
pub(super) fn told(source: &str, tokens: &[Token], mut raw: Vec<Problem>) -> Vec<Problem> {
    raw.sort_by_key(|problem| problem.span);
    let text = Text { source, tokens };
    let bracket = if raw.is_empty() { None } else { text.bracket() };
    let cut = bracket.as_ref().map_or(u32::MAX, |b| b.span.start);
    let mut kept: Vec<Problem> = Vec::new();
    for problem in raw.into_iter().filter(|p| p.span.start < cut) {
        let consequence = problem.message.starts_with("unexpected indentation")
            || problem.message.starts_with("expected dedent")
            || problem.message.starts_with("unexpected EOF");
        let last = kept.last().map(|k| text.line(k.span.start));
        if last.is_none_or(|line| !consequence && line != text.line(problem.span.start)) {
            kept.push(text.explained(problem));
        }
    }
    kept.extend(bracket);
    kept
}

struct Text<'t> {
    source: &'t str,
    tokens: &'t [Token],
}

impl Text<'_> {
    fn line(&self, offset: u32) -> usize {
        self.source.as_bytes()[..offset as usize].iter().filter(|b| **b == b'\n').count()
    }

    /// The bytes of the line at `offset`, without its end.
    fn line_span(&self, offset: u32) -> Span {
        let at = offset as usize;
        let start = self.source[..at].rfind('\n').map_or(0, |i| i + 1);
        let end = self.source[at..].find(['\n', '\r']).map_or(self.source.len(), |i| at + i);
        Span::new(start as u32, end as u32)
    }

    fn before(&self, offset: u32) -> Option<&Token> {
        let before = &self.tokens[..self.tokens.partition_point(|(_, span)| span.start < offset)];
        before.iter().rev().find(|(kind, _)| !matches!(kind, TokenKind::Comment | TokenKind::NonLogicalNewline))
    }

    /// A bracket that is never closed, or closed by another one.
    fn bracket(&self) -> Option<Problem> {
        let mut open: Vec<Token> = Vec::new();
        for (kind, span) in self.tokens {
            let opener = match kind {
                TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => {
                    open.push((*kind, *span));
                    continue;
                }
                TokenKind::Rpar => TokenKind::Lpar,
                TokenKind::Rsqb => TokenKind::Lsqb,
                TokenKind::Rbrace => TokenKind::Lbrace,
                _ => continue,
            };
            let found = span.text(self.source);
            match open.pop() {
                Some((kind, _)) if kind == opener => {}
                Some((_, at)) => {
                    let message = format!("`{found}` does not close `{}`", at.text(self.source));
                    return Some(Problem {
                        label: Some((at, "opened here".to_owned())),
                        ..Problem::new(message, *span)
                    });
                }
                None => return Some(Problem::new(format!("`{found}` closes nothing"), *span)),
            }
        }
        let (_, at) = open.pop()?;
        Some(Problem::new(format!("`{}` is never closed", at.text(self.source)), at))
    }

    fn explained(&self, problem: Problem) -> Problem {
        let span = self.within_line(problem.span);
        let problem = Problem { span, ..problem };
        match problem.message.as_str() {
            "expected `:`, found newline" => self.missing_colon(problem),
            "expected `:`, found `=`" if self.is_condition(span) => {
                let message = "`=` assigns a value; a condition compares with `==`".to_owned();
                let change = Some(("compare".to_owned(), vec![(span, "==".to_owned())]));
                Problem { message, change, ..problem }
            }
            text if text.starts_with("simple statements must be separated") => self.two_statements(problem),
            text if text.starts_with("got unexpected token") => self.odd_character(problem),
            text if text.starts_with("unindent does not match") => self.indented(problem),
            _ => problem,
        }
    }

    /// Errors "at" a line's end cover it and the next; we show the end only.
    fn within_line(&self, span: Span) -> Span {
        let line = self.line_span(span.start.min(self.source.len() as u32));
        Span::new(span.start.min(line.end), span.end.min(line.end).max(span.start.min(line.end)))
    }

    fn missing_colon(&self, problem: Problem) -> Problem {
        let end = self.before(problem.span.start).map_or(problem.span.start, |(_, span)| span.end);
        let change = Some(("add it".to_owned(), vec![(Span::at(end), ":".to_owned())]));
        Problem { message: "expected `:`".to_owned(), span: Span::at(end), change, ..problem }
    }

    /// `=` in the head of an `if`, `elif` or `while`.
    fn is_condition(&self, at: Span) -> bool {
        let start = self.line_span(at.start).start;
        let first = self.tokens.iter().find(|(kind, span)| span.start >= start && *kind != TokenKind::Indent);
        first.is_some_and(|(kind, _)| matches!(kind, TokenKind::If | TokenKind::Elif | TokenKind::While))
    }

    fn two_statements(&self, problem: Problem) -> Problem {
        let Some((_, before)) = self.before(problem.span.start) else { return problem };
        let word = before.text(self.source);
        let line = self.line_span(before.start);
        let first = Span::new(line.start, before.start).text(self.source).trim().is_empty();
        if first && matches!(word, "print" | "exec") && !self.source[..line.end as usize].ends_with('\\') {
            let space = Span::new(before.end, problem.span.start);
            let changes = vec![(space, "(".to_owned()), (Span::at(self.code_end(line)), ")".to_owned())];
            let message = format!("`{word}` is a function: its arguments stand in parentheses");
            return Problem { message, span: *before, change: Some(("add them".to_owned(), changes)), ..problem };
        }
        const KEYWORDS: [&str; 17] = [
            "return", "raise", "import", "from", "assert", "del", "global", "nonlocal", "class", "def", "async",
            "await", "while", "for", "with", "if", "yield",
        ];
        match similar(KEYWORDS, word).filter(|_| first) {
            Some(keyword) => {
                let change = Some((format!("did you mean `{keyword}`?"), vec![(*before, keyword.to_owned())]));
                Problem { message: format!("`{word}` is no keyword"), span: *before, change, ..problem }
            }
            None => Problem { message: "a line break, `;` or an operator is missing here".to_owned(), ..problem },
        }
    }

    /// Where the code of a line ends: before a comment and the spaces around it.
    fn code_end(&self, line: Span) -> u32 {
        let inside = |span: &Span| span.start >= line.start && span.start < line.end;
        let comment = self.tokens.iter().find(|(kind, span)| *kind == TokenKind::Comment && inside(span));
        let end = comment.map_or(line.end, |(_, span)| span.start);
        line.start + Span::new(line.start, end).text(self.source).trim_end().len() as u32
    }

    fn odd_character(&self, problem: Problem) -> Problem {
        let Some(odd) = self.source[problem.span.start as usize..].chars().next() else { return problem };
        let meant = |c: char| match c {
            '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' => Some("\""),
            '\u{2018}' | '\u{2019}' | '\u{201a}' => Some("'"),
            '\u{2013}' | '\u{2014}' | '\u{2212}' => Some("-"),
            c if c.is_whitespace() => Some(" "),
            _ => None,
        };
        let shown = match odd {
            c if c.is_whitespace() || c.is_control() => format!("U+{:04X}, an unusual space,", u32::from(c)),
            c => format!("`{c}` (U+{:04X})", u32::from(c)),
        };
        let mut problem = Problem { message: format!("{shown} has no meaning in Python"), ..problem };
        if meant(odd).is_some() {
            let line = self.line_span(problem.span.start);
            let rest = Span::new(problem.span.start, line.end);
            let changes = rest.text(self.source).char_indices().filter_map(|(at, c)| {
                let at = rest.start + at as u32;
                Some((Span::new(at, at + c.len_utf8() as u32), meant(c)?.to_owned()))
            });
            problem.change = Some(("write it plainly".to_owned(), changes.collect()));
        }
        problem
    }

    fn indented(&self, problem: Problem) -> Problem {
        let own = indentation(self.source, problem.span.start);
        let others: Vec<&str> = self.source.lines().map(|line| indentation(line, 0)).collect();
        let mixed = own.contains('\t') && others.iter().any(|i| i.contains(' '))
            || own.contains(' ') && others.iter().any(|i| i.contains('\t'));
        let message = "the indentation fits no line above".to_owned();
        let help = mixed.then(|| "tabs and spaces are mixed here: use spaces only".to_owned());
        Problem { message, help, ..problem }
    }
}
