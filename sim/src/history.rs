//! Histories as files: what clients asked, what they were told and when, and what was there at the end. The simulator
//! writes them (`--history FILE`), the end-to-end tests of the real binary do, and `sim judge FILE` lets the same checkers
//! judge both.
//!
//! Lines of fields with tabs between them. Times are of one steady clock, in any unit.
//!
//! - `op NAME KEY ASKED ANSWERED ANSWER TOUCH…`: one answer to a request. KEY is its idempotency key, or `-`; ANSWERED and
//!   ANSWER are `-` if none ever came. A TOUCH is `CELL|get|-|BEFORE`, `CELL|put|NUMBER|BEFORE` or `CELL|add|NUMBER|BEFORE`:
//!   what the request did to a number, and which one it said to have found there (`-`: it did not say).
//! - `end CELL NUMBER`: what was there when everything had ended.
//! - `left TEXT`: something that had not ended then.
//!
//! Numbers that are put differ from all others that are put to the same cell, and from 0, which every cell begins with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::check::linear::SERVICE;
use crate::world::World;
use crate::world::clients::{Request, Stage};

/// What a request does to a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Get,
    Put(i64),
    Add(i64),
}

/// A cell that a request touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    pub cell: String,
    pub act: Act,
    pub before: Option<i64>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    pub name: String,
    pub key: Option<String>,
    pub asked: u64,
    /// When it was answered, and what.
    pub answer: Option<(u64, String)>,
    pub touches: Vec<Touch>,
}

/// What clients saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub ops: Vec<Op>,
    pub ends: BTreeMap<String, i64>,
    pub left: Vec<String>,
}

impl History {
    /// Of a world of registers.
    pub fn of(world: &World) -> Self {
        let ops = world.requests.iter().enumerate().filter_map(|(index, request)| op(index, request));
        let ends = world.entries("values").into_iter().map(|(key, number)| (key.to_string(), number));
        Self { ops: ops.collect(), ends: ends.collect(), left: Vec::new() }
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let mut history = Self::default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let at = |problem: &str| format!("line {}: {problem}: {line}", index + 1);
            match line.split('\t').collect::<Vec<_>>()[..] {
                ["op", name, key, asked, answered, answer, ref touches @ ..] => {
                    let touches =
                        touches.iter().map(|text| touch(text).ok_or_else(|| at(text))).collect::<Result<_, _>>();
                    let time = |text: &str| text.parse().map_err(|_| at("not a time"));
                    let answer = if answered == "-" { None } else { Some((time(answered)?, answer.to_owned())) };
                    let (name, key) = (name.to_owned(), (key != "-").then(|| key.to_owned()));
                    history.ops.push(Op { name, key, asked: time(asked)?, answer, touches: touches? });
                }
                ["end", cell, number] => {
                    let number = number.parse().map_err(|_| at("not a number"))?;
                    history.ends.insert(cell.to_owned(), number);
                }
                ["left", what] => history.left.push(what.to_owned()),
                _ => return Err(at("neither op, end nor left")),
            }
        }
        Ok(history)
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for op in &self.ops {
            let key = op.key.as_deref().unwrap_or("-");
            let (answered, answer) = match &op.answer {
                None => ("-".to_owned(), "-"),
                Some((time, answer)) => (time.to_string(), answer.as_str()),
            };
            let _ = write!(text, "op\t{}\t{key}\t{}\t{answered}\t{answer}", op.name, op.asked);
            for touch in &op.touches {
                let act = match touch.act {
                    Act::Get => "get|-".to_owned(),
                    Act::Put(number) => format!("put|{number}"),
                    Act::Add(number) => format!("add|{number}"),
                };
                let before = touch.before.map_or_else(|| "-".to_owned(), |before| before.to_string());
                let _ = write!(text, "\t{}|{act}|{before}", touch.cell);
            }
            text.push('\n');
        }
        for (cell, number) in &self.ends {
            let _ = writeln!(text, "end\t{cell}\t{number}");
        }
        for what in &self.left {
            let _ = writeln!(text, "left\t{what}");
        }
        text
    }
}

fn touch(text: &str) -> Option<Touch> {
    let parts: Vec<&str> = text.split('|').collect();
    let [cell, act, number, before] = parts[..] else { return None };
    let act = match act {
        "get" => Act::Get,
        "put" => Act::Put(number.parse().ok()?),
        "add" => Act::Add(number.parse().ok()?),
        _ => return None,
    };
    let before = if before == "-" { None } else { Some(before.parse().ok()?) };
    Some(Touch { cell: cell.to_owned(), act, before })
}

/// What a client knows of its request; nothing if it was never made, or if it does not matter whether it happened.
fn op(index: usize, request: &Request) -> Option<Op> {
    let wish = &request.wish;
    if wish.service != SERVICE || request.asked == 0 {
        return None;
    }
    let value = request.value().map(|value| value.number);
    if value.is_none() && (wish.method == "get" || request.stage != Stage::Lost) {
        return None;
    }
    let number = wish.args.get(1).copied().unwrap_or(0);
    let act = match wish.method {
        "get" => Act::Get,
        "put" => Act::Put(number),
        _ => Act::Add(number),
    };
    Some(Op {
        name: format!("request {index}"),
        key: wish.keyed.then(|| index.to_string()),
        asked: request.asked,
        answer: value.map(|value| (request.answered.unwrap_or(u64::MAX), value.to_string())),
        touches: vec![Touch { cell: wish.args[0].to_string(), act, before: value }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let text = "op\ta\tk\t1\t9\tyes\tx|put|5|0\ty|add|1|-\nop\tb\t-\t2\t-\t-\tx|get|-|5\nend\tx\t5\nleft\tc\n";
        let history = History::parse(text).expect("a history");
        assert_eq!(history.text(), text);
        assert_eq!(history.ops[0].touches[1].before, None);
        assert!(History::parse("op\ta\tk\t1\t9\tyes\tx|put|five|0").is_err());
        assert!(History::parse("nothing").is_err());
    }
}
