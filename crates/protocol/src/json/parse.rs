//! JSON text to a tree, as RFC 8259 has it: numbers kept as written, nesting bounded. (serde_json's own parser stops
//! at 128 levels, takes duplicate names, and gives a meaning to some names.)

use serde_json::{Map, Number, Value as Json};

use crate::limits::DEPTH_MAX;

/// A value may be nested [`DEPTH_MAX`] deep, and the tagged form takes up to three levels for one.
const LEVELS_MAX: usize = 3 * DEPTH_MAX + 8;

/// A text that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed JSON at byte {offset}: {what}")]
pub struct ParseError {
    /// Where.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// The tree of a JSON text.
pub fn parse(text: &[u8]) -> Result<Json, ParseError> {
    let text = std::str::from_utf8(text)
        .map_err(|error| ParseError { offset: error.valid_up_to(), what: "the text is not UTF-8" })?;
    let mut parser = Parser { text, at: 0 };
    parser.skip_blanks();
    let json = parser.value(0)?;
    parser.skip_blanks();
    if parser.at < text.len() { parser.fail("something follows the value") } else { Ok(json) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn fail<T>(&self, what: &'static str) -> Result<T, ParseError> {
        Err(ParseError { offset: self.at, what })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, level: usize) -> Result<Json, ParseError> {
        match self.peek() {
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[' | b'{') if level == LEVELS_MAX => self.fail("nested too deep"),
            Some(b'[') => self.array(level + 1),
            Some(b'{') => self.object(level + 1),
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            None => self.fail("the text ends where a value belongs"),
            Some(_) => self.fail("a value belongs here"),
        }
    }

    fn word(&mut self, word: &str, json: Json) -> Result<Json, ParseError> {
        if !self.text[self.at..].starts_with(word) {
            return self.fail("a value belongs here");
        }
        self.at += word.len();
        Ok(json)
    }

    fn array(&mut self, level: usize) -> Result<Json, ParseError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_blanks();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_blanks();
            items.push(self.value(level)?);
            self.skip_blanks();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return self.fail("a comma or `]` belongs here");
            }
        }
    }

    fn object(&mut self, level: usize) -> Result<Json, ParseError> {
        self.at += 1;
        let mut members = Map::new();
        self.skip_blanks();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return self.fail("a name in double quotes belongs here");
            }
            let start = self.at;
            let name = self.string()?;
            self.skip_blanks();
            if !self.take(b':') {
                return self.fail("a colon belongs here");
            }
            self.skip_blanks();
            let value = self.value(level)?;
            if members.insert(name, value).is_some() {
                return Err(ParseError { offset: start, what: "the object has this name twice" });
            }
            self.skip_blanks();
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return self.fail("a comma or `}` belongs here");
            }
        }
    }

    fn number(&mut self) -> Result<Json, ParseError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        text.parse::<Number>().map(Json::Number).or(Err(ParseError { offset: start, what: "a malformed number" }))
    }

    fn digits(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.fail("a digit belongs here") } else { Ok(()) }
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.text[self.at..].bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
            out.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return self.fail("a control character must be escaped"),
                None => return self.fail("the text ends within a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        self.at += 1;
        let Some(kind) = self.peek() else { return self.fail("the text ends within a string") };
        let plain = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return self.fail("no such escape"),
        };
        self.at += 1;
        Ok(plain)
    }

    /// `uXXXX`, or two of them for a character beyond 16 bits.
    fn unicode(&mut self) -> Result<char, ParseError> {
        let start = self.at;
        let first = self.unit()?;
        let unit = match first {
            0xd800..0xdc00 if self.take(b'\\') => match self.unit()? {
                second @ 0xdc00..0xe000 => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => 0xd800,
            },
            _ => first,
        };
        char::from_u32(unit).ok_or(ParseError { offset: start, what: "a lone surrogate is not text" })
    }

    fn unit(&mut self) -> Result<u32, ParseError> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).unwrap_or_default();
        let is_hex = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit);
        if self.peek() != Some(b'u') || !is_hex {
            return self.fail("`u` and four hexadecimal digits belong here");
        }
        let unit = digits.iter().fold(0, |sum, digit| sum * 16 + char::from(*digit).to_digit(16).unwrap_or(0));
        self.at += 5;
        Ok(unit)
    }
}
