//! Judges histories of clients, of the simulator or of the real binary: exactly once, linearizability, strict
//! serializability, no acknowledged loss, progress. What needs the log's order is found in the numbers: who puts one says
//! which one was there before.

use std::collections::{BTreeMap, HashMap};

use super::graph::Graph;
use super::{Violation, linear};
use crate::history::{Act, History, Op};

type Check = fn(&History) -> Result<(), String>;

const CHECKS: &[(&str, Check)] =
    &[("progress", progress), ("linear", linear::history), ("serial", serial), ("loss", loss)];

/// What is wrong, and how many requests were judged.
pub fn judge(history: &History) -> Result<usize, Violation> {
    let violation = |checker, text| Violation { checker, text };
    let history = once(history).map_err(|text| violation("once", text))?;
    for (checker, check) in CHECKS {
        check(&history).map_err(|text| violation(checker, text))?;
    }
    Ok(history.ops.len())
}

/// A key has one answer, however often it is sent. Gives the history without repetitions: each request from its first
/// question to its first answer.
fn once(history: &History) -> Result<History, String> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut ops: Vec<Op> = Vec::new();
    for op in &history.ops {
        let known = op.key.as_deref().map(|key| *first.entry(key).or_insert(ops.len()));
        let Some(known) = known.filter(|known| *known < ops.len()) else {
            ops.push(op.clone());
            continue;
        };
        let known = &mut ops[known];
        known.asked = known.asked.min(op.asked);
        let Some((time, answer)) = &op.answer else { continue };
        match &mut known.answer {
            Some((_, other)) if (&*other, &known.touches) != (answer, &op.touches) => {
                let key = op.key.as_deref().unwrap_or_default();
                return Err(format!("{key} was answered {other} {:?}, then {answer} {:?}", known.touches, op.touches));
            }
            Some((earlier, _)) => *earlier = (*earlier).min(*time),
            None => (known.answer, known.touches) = (op.answer.clone(), op.touches.clone()),
        }
    }
    Ok(History { ops, ends: history.ends.clone(), left: history.left.clone() })
}

fn progress(history: &History) -> Result<(), String> {
    match history.left.first() {
        None => Ok(()),
        Some(what) => Err(format!("{} of {} did not end: {what}", history.left.len(), history.ops.len())),
    }
}

/// All requests have an order that explains what each of them found and that agrees with real time.
fn serial(history: &History) -> Result<(), String> {
    let mut graph = Graph::default();
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for op in &history.ops {
        times.insert(op.asked, 0);
        times.extend(op.answer.as_ref().map(|(time, _)| (*time, 0)));
    }
    let mut before = None;
    for (time, node) in &mut times {
        *node = graph.node(format!("time {time}"));
        before.inspect(|before| graph.edge(*before, *node, || "later".to_owned()));
        before = Some(*node);
    }
    let mut wrote: HashMap<(&str, i64), usize> = HashMap::new();
    let mut followed: HashMap<(&str, i64), Vec<usize>> = HashMap::new();
    let nodes: Vec<usize> = history.ops.iter().map(|op| graph.node(op.name.clone())).collect();
    for (op, node) in history.ops.iter().zip(&nodes) {
        if let Some((_, earlier)) = times.range(..op.asked).next_back() {
            graph.edge(*earlier, *node, || "asked later".to_owned());
        }
        op.answer.iter().for_each(|(time, _)| graph.edge(*node, times[time], || "answered".to_owned()));
        for touch in &op.touches {
            let after = match (touch.act, touch.before) {
                (Act::Put(number), _) => number,
                (Act::Add(by), Some(before)) => before + by,
                _ => continue,
            };
            wrote.insert((&touch.cell, after), *node);
            touch.before.iter().for_each(|before| followed.entry((&touch.cell, *before)).or_default().push(*node));
        }
    }
    for (op, node) in history.ops.iter().zip(&nodes) {
        for touch in &op.touches {
            let Some(found) = touch.before else { continue };
            match wrote.get(&(touch.cell.as_str(), found)) {
                Some(writer) => graph.edge(*writer, *node, || format!("{found} of {}", touch.cell)),
                None if found == 0 => {}
                None => return Err(format!("{} found {found} in {}, which nobody put there", op.name, touch.cell)),
            }
            let next = followed.get(&(touch.cell.as_str(), found)).into_iter().flatten();
            next.for_each(|next| graph.edge(*node, *next, || format!("overwrites {found} of {}", touch.cell)));
        }
    }
    graph.circle().map_or(Ok(()), |circle| Err(format!("no serial order:{circle}")))
}

/// From what each cell begins with, what was put and answered leads, one after the other, to what is there at the end.
fn loss(history: &History) -> Result<(), String> {
    for (cell, end) in &history.ends {
        let mut next: BTreeMap<i64, (i64, &str)> = BTreeMap::new();
        let (mut open, mut sum) = (false, 0);
        for op in &history.ops {
            for touch in op.touches.iter().filter(|touch| touch.cell == *cell) {
                let before = touch.before.filter(|_| op.answer.is_some());
                open |= before.is_none() && touch.act != Act::Get;
                match (touch.act, before) {
                    (Act::Put(number), Some(before)) => drop(next.insert(before, (number, &op.name))),
                    (Act::Add(by), Some(before)) => drop(next.insert(before, (before + by, &op.name))),
                    _ => {}
                }
                sum += 1;
            }
        }
        let (mut at, mut passed) = (0, 0);
        while let Some((after, _)) = next.get(&at).filter(|_| passed <= next.len()) {
            (at, passed) = (*after, passed + 1);
        }
        if !open && (at, passed) != (*end, next.len()) {
            return Err(format!(
                "{cell} is {end} at the end; {passed} of {} writes, of {sum} requests, lead from 0 to {at}",
                next.len()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who finds what is wrong with a history.
    fn found(text: &str) -> Result<usize, &'static str> {
        judge(&History::parse(text).expect("a history")).map_err(|violation| violation.checker)
    }

    #[test]
    fn a_history_that_can_be_is_accepted() {
        let text = "op\ta\tk\t1\t9\t0\tx|put|5|0\ty|put|5|0\nop\ta\tk\t11\t12\t0\tx|put|5|0\ty|put|5|0\n\
                    op\tb\t-\t2\t8\t5\tx|get|-|5\ty|get|-|5\nop\tc\t-\t2\t8\t0\tn|add|1|0\nend\tx\t5\nend\tn\t1\n";
        assert_eq!(found(text), Ok(3));
    }

    #[test]
    fn planted_wrong_histories_are_refused() {
        let two_answers = "op\ta\tk\t1\t9\t0\tn|add|1|0\nop\ta\tk\t10\t11\t1\tn|add|1|1\n";
        assert_eq!(found(two_answers), Err("once"));
        let lost_update = "op\ta\tk\t1\t9\t0\tn|add|1|0\nop\tb\tl\t1\t9\t0\tn|add|1|0\n";
        assert_eq!(found(lost_update), Err("linear"));
        let stale = "op\ta\tk\t1\t2\t0\tx|put|5|0\nop\tb\t-\t3\t4\t0\tx|get|-|0\n";
        assert_eq!(found(stale), Err("linear"));
        // Each cell alone is fine: one sees the first half of a transaction, and not the second.
        let torn = "op\ta\tk\t1\t9\t0\tx|put|5|0\ty|put|5|0\nop\tb\t-\t1\t9\t5\tx|get|-|5\ty|get|-|0\n";
        assert_eq!(found(torn), Err("serial"));
        let skew = "op\ta\tk\t1\t9\t0\tx|put|5|0\ty|get|-|0\nop\tb\tl\t1\t9\t0\ty|put|6|0\tx|get|-|0\n";
        assert_eq!(found(skew), Err("serial"));
        let nowhere = "op\tb\t-\t1\t9\t7\tx|get|-|7\n";
        assert_eq!(found(nowhere), Err("linear"));
        let forgotten = "op\ta\tk\t1\t9\t0\tx|put|5|0\nend\tx\t0\n";
        assert_eq!(found(forgotten), Err("loss"));
        assert_eq!(found("op\ta\tk\t1\t9\t0\tn|add|1|0\nleft\tan invocation\n"), Err("progress"));
    }
}
