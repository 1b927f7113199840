//! Linearizability of single cells, from what clients saw alone: the requests of each key have an order in which each
//! of them gives the answer that it gave, and that agrees with real time. A request without an answer took effect once
//! at any later time, or never.
//!
//! The search tries every request that may come next and remembers, per key, which sets of done requests have led
//! nowhere with which value.

use std::collections::{BTreeMap, HashSet};

use crate::history::{Act, History};
use crate::world::World;

/// Service with one number per key: `get(key)`, `put(key, number)`, `add(key, number)`; all give the number that was
/// there before.
pub const SERVICE: &str = "Register";

/// Positions visited for one key, beyond which the checker says that it cannot tell.
const VISITS_MAX: usize = 2_000_000;

#[derive(Clone, Debug)]
struct Op {
    /// For people.
    #[expect(dead_code, reason = "its text is shown")]
    request: String,
    act: Act,
    asked: u64,
    /// When it was answered, and what was there before.
    answer: Option<(u64, Option<i64>)>,
}

impl Op {
    /// What the register has afterwards, if the answer fits.
    fn act(&self, value: i64) -> Option<i64> {
        let after = match self.act {
            Act::Get => value,
            Act::Put(number) => number,
            Act::Add(number) => value + number,
        };
        let said = self.answer.and_then(|(_, before)| before);
        said.is_none_or(|before| before == value).then_some(after)
    }
}

pub fn check(world: &World) -> Result<(), String> {
    history(&History::of(world))
}

/// Judges the cells of a history one by one.
pub fn history(history: &History) -> Result<(), String> {
    let mut cells: BTreeMap<&str, Vec<Op>> = BTreeMap::new();
    for op in &history.ops {
        for touch in &op.touches {
            let (request, answered) = (op.name.clone(), op.answer.as_ref().map(|(time, _)| *time));
            let answer = answered.map(|time| (time, touch.before));
            cells.entry(&touch.cell).or_default().push(Op { request, act: touch.act, asked: op.asked, answer });
        }
    }
    cells.into_iter().try_for_each(|(cell, ops)| judge(cell, &ops))
}

fn judge(key: &str, ops: &[Op]) -> Result<(), String> {
    let mut dead: HashSet<(Vec<u64>, i64)> = HashSet::new();
    let mut done = vec![0_u64; ops.len().div_ceil(64)];
    if search(ops, &mut done, 0, &mut dead) || dead.len() >= VISITS_MAX {
        return Ok(());
    }
    let text: String = ops.iter().map(|op| format!("\n  {op:?}")).collect();
    Err(format!("the requests of key {key} have no order that explains their answers:{text}"))
}

fn search(ops: &[Op], done: &mut Vec<u64>, value: i64, dead: &mut HashSet<(Vec<u64>, i64)>) -> bool {
    let open = |done: &[u64], index: usize| done[index / 64] & (1 << (index % 64)) == 0;
    let answered = |index: &usize| ops[*index].answer.is_some();
    if (0..ops.len()).filter(answered).all(|index| !open(done, index)) {
        return true;
    }
    if dead.len() >= VISITS_MAX || dead.contains(&(done.clone(), value)) {
        return false;
    }
    let answers = (0..ops.len()).filter(|index| open(done, *index)).filter_map(|index| ops[index].answer);
    let first = answers.map(|(time, _)| time).min().unwrap_or(u64::MAX);
    for index in 0..ops.len() {
        if !open(done, index) || ops[index].asked > first {
            continue;
        }
        if let Some(after) = ops[index].act(value) {
            done[index / 64] |= 1 << (index % 64);
            if search(ops, done, after, dead) {
                return true;
            }
            done[index / 64] &= !(1 << (index % 64));
        }
    }
    dead.insert((done.clone(), value));
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(act: Act, asked: u64, answer: Option<(u64, i64)>) -> Op {
        let answer = answer.map(|(time, before)| (time, Some(before)));
        Op { request: String::new(), act, asked, answer }
    }

    #[test]
    fn an_order_is_found() {
        let ops =
            [op(Act::Add(1), 1, Some((10, 1))), op(Act::Add(1), 2, Some((9, 0))), op(Act::Get, 11, Some((12, 2)))];
        assert_eq!(judge("", &ops), Ok(()));
    }

    #[test]
    fn a_lost_update_and_a_stale_read_are_seen() {
        let lost = [op(Act::Add(1), 1, Some((10, 0))), op(Act::Add(1), 2, Some((9, 0)))];
        assert!(judge("", &lost).is_err());
        let stale = [op(Act::Put(5), 1, Some((2, 0))), op(Act::Get, 3, Some((4, 0)))];
        assert!(judge("", &stale).is_err());
    }

    #[test]
    fn what_was_not_answered_may_have_happened() {
        let ops = [op(Act::Put(5), 1, None), op(Act::Get, 3, Some((4, 0))), op(Act::Get, 5, Some((6, 5)))];
        assert_eq!(judge("", &ops), Ok(()));
        let back = [op(Act::Put(5), 1, None), op(Act::Get, 3, Some((4, 5))), op(Act::Get, 5, Some((6, 0)))];
        assert!(judge("", &back).is_err());
    }
}
