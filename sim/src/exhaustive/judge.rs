//! Judges an end: everybody is answered, what was promised is there once, all or nothing, and a serial order explains
//! what every attempt read, also those that came to nothing.
//!
//! Every writer appends its digit, so the final value of a cell is the order of its writes, and a value that was read
//! must be a beginning of it. From that follow the dependencies between units; a circle is a violation.

use std::collections::{BTreeMap, BTreeSet};

use engine::Reply;
use protocol::ids::AttemptId;
use protocol::worker::Outcome;

use super::configurations::{Ends, Wish};
use super::services::{BASE, SECOND};
use super::workers::Seen;
use super::world::{Asked, World};
use crate::check::graph::Graph;
use crate::coroutine::decode_result;
use crate::program::decode_int;

/// What one unit did, over all its steps.
#[derive(Default)]
struct Unit {
    /// First value that it read of a cell, before it wrote the cell itself.
    reads: BTreeMap<String, i64>,
    writes: BTreeMap<String, BTreeSet<i64>>,
    crashed: bool,
}

/// Judges a state in which nothing can happen any more.
pub(super) fn judge(world: &World) -> Result<(), String> {
    let cells = cells(world);
    for (index, wish) in world.setup.configuration.requests.iter().enumerate() {
        request(world, &cells, index, wish)?;
    }
    order(world, &cells)
}

/// Final values by name.
fn cells(world: &World) -> BTreeMap<String, i64> {
    let mut cells = BTreeMap::new();
    for id in world.ids() {
        let catalogue = &world.engine(id).catalogue().entries;
        for (key, row) in world.rows(id) {
            let Some(cell) = protocol::cell::CellKey::from_row(&key) else { continue };
            let Some((service, field, _)) = catalogue.iter().find(|(.., number)| *number == cell.field) else {
                continue;
            };
            let row: protocol::cell::CellRow =
                protocol::record::decode(&row, "cell").expect("a stored cell is one that we wrote");
            let entity = cell.entity.as_deref().map_or_else(String::new, |key| format!("({})", number_of(key)));
            let key = cell.key.and(row.key).map_or_else(String::new, |key| format!("[{}]", decode_int(&key)));
            cells.insert(format!("{service}{entity}.{field}{key}"), decode_int(&row.value));
        }
    }
    cells
}

/// The number that a canonical key stands for.
fn number_of(canonical: &[u8]) -> i64 {
    let stands =
        |number: &i64| protocol::key::canonical(&protocol::Value::Int(*number)).is_ok_and(|other| other == canonical);
    (0..1_000).find(stands).unwrap_or(-1)
}

/// Digits of a value, the first one written first.
fn digits(mut value: i64) -> Vec<i64> {
    let mut digits = Vec::new();
    while value > 0 {
        digits.push(value % BASE);
        value /= BASE;
    }
    digits.reverse();
    digits
}

fn request(world: &World, cells: &BTreeMap<String, i64>, index: usize, wish: &Wish) -> Result<(), String> {
    let tag = *wish.args.last().expect("a request has arguments");
    let refused = match &world.requests[index] {
        Asked::Lost => None,
        Asked::Answered(Reply::Done { outcome: Outcome::Value(value), .. }) => {
            let number = decode_result(value).number;
            Some(wish.ends == Ends::DoneOrRefused && number == 2)
        }
        other => return Err(format!("request {index} ended with {other:?}")),
    };
    let count = |cell: &String| digits(cells.get(cell).copied().unwrap_or(0)).iter().filter(|d| **d == tag).count();
    let mut wanted: BTreeMap<&String, usize> = BTreeMap::new();
    for (at, group) in wish.leaves.iter().enumerate() {
        for cell in group {
            *wanted.entry(cell).or_default() += 1;
        }
        let must = match refused {
            None => (count(&group[0]) > 0).then_some(true).or(Some(false)),
            Some(refused) => Some(!refused || at == 0),
        };
        for cell in group {
            let times = group.iter().filter(|other| *other == cell).count();
            let expected = if must == Some(true) { times } else { 0 };
            if count(cell) != expected {
                let value = cells.get(cell).copied().unwrap_or(0);
                return Err(format!(
                    "request {index} left its digit {tag} {} times in {cell} ({:?}), not {expected} times",
                    count(cell),
                    digits(value)
                ));
            }
        }
    }
    let elsewhere = cells.iter().find(|(cell, _)| tag > 0 && !wanted.contains_key(cell) && count(cell) > 0);
    match elsewhere {
        Some((cell, value)) => Err(format!("request {index} left its digit {tag} in {cell}: {:?}", digits(*value))),
        None => Ok(()),
    }
}

/// Looks for a serial order of all units.
fn order(world: &World, cells: &BTreeMap<String, i64>) -> Result<(), String> {
    let units = units(&world.seen);
    let mut graph = Graph::default();
    let mut nodes: BTreeMap<AttemptId, usize> = BTreeMap::new();
    for attempt in units.keys() {
        nodes.insert(*attempt, graph.node(format!("{attempt}")));
    }
    // Who wrote the value that a cell had after so many digits.
    let mut writers: BTreeMap<(&String, usize), AttemptId> = BTreeMap::new();
    for (cell, value) in cells {
        let all = digits(*value);
        for len in 1..=all.len() {
            let value = all[..len].iter().fold(0, |value, digit| value * BASE + digit);
            let writer =
                units.iter().rfind(|(_, unit)| unit.writes.get(cell).is_some_and(|wrote| wrote.contains(&value)));
            let Some((writer, _)) = writer else { return Err(format!("nobody wrote {:?} to {cell}", &all[..len])) };
            writers.insert((cell, len), *writer);
        }
    }
    for ((cell, len), writer) in &writers {
        if let Some(next) = writers.get(&(*cell, len + 1)) {
            graph.edge(nodes[writer], nodes[next], || format!("overwritten in {cell}"));
        }
    }
    let committed: BTreeSet<AttemptId> = writers.values().copied().collect();
    for (attempt, unit) in &units {
        for (cell, value) in &unit.reads {
            let excused = unit.crashed && !committed.contains(attempt);
            read(&mut graph, nodes[attempt], (cell, *value), cells, &writers, &nodes)
                .or_else(|text| if excused { Ok(()) } else { Err(format!("{attempt} {text}")) })?;
        }
    }
    answers(world, cells, &mut graph, &writers, &nodes)?;
    match graph.circle() {
        Some(circle) => Err(format!("no serial order:{circle}")),
        None => Ok(()),
    }
}

fn units(seen: &BTreeMap<super::workers::SeenKey, Seen>) -> BTreeMap<AttemptId, Unit> {
    let mut units: BTreeMap<AttemptId, Unit> = BTreeMap::new();
    // What a step reads after an earlier one of its attempt has written it is its own.
    for ((attempt, ..), seen) in seen {
        let unit = units.entry(*attempt).or_default();
        unit.crashed |= seen.crashed;
        for (cell, value) in &seen.writes {
            unit.writes.entry(cell.clone()).or_default().insert(*value);
        }
    }
    for ((attempt, ..), seen) in seen {
        let unit = units.get_mut(attempt).expect("it has just been made");
        for (cell, value) in &seen.reads {
            let own = unit.writes.get(cell).is_some_and(|wrote| wrote.contains(value));
            if !own {
                let known = unit.reads.entry(cell.clone()).or_insert(*value);
                *known = (*known).min(*value);
            }
        }
    }
    units
}

type Writers<'a> = BTreeMap<(&'a String, usize), AttemptId>;

/// A value that was read lies between the write that made it and the next one.
fn read(
    graph: &mut Graph,
    node: usize,
    (cell, value): (&String, i64),
    cells: &BTreeMap<String, i64>,
    writers: &Writers,
    nodes: &BTreeMap<AttemptId, usize>,
) -> Result<(), String> {
    let (all, seen) = (digits(cells.get(cell).copied().unwrap_or(0)), digits(value));
    if !all.starts_with(&seen) {
        return Err(format!("read {seen:?} in {cell}, which ended as {all:?}"));
    }
    if let Some(writer) = writers.get(&(cell, seen.len())) {
        graph.edge(nodes[writer], node, || format!("read in {cell}"));
    }
    if let Some(next) = writers.get(&(cell, seen.len() + 1)) {
        graph.edge(node, nodes[next], || format!("overwrites what it read in {cell}"));
    }
    Ok(())
}

/// What clients were told, and that a request which was made after an answer comes later.
fn answers(
    world: &World,
    cells: &BTreeMap<String, i64>,
    graph: &mut Graph,
    writers: &Writers,
    nodes: &BTreeMap<AttemptId, usize>,
) -> Result<(), String> {
    let wishes = &world.setup.configuration.requests;
    let mut told = Vec::new();
    for (index, wish) in wishes.iter().enumerate() {
        let node = graph.node(format!("the answer to request {index}"));
        told.push(node);
        let tag = *wish.args.last().expect("a request has arguments");
        for ((cell, len), writer) in writers {
            if digits(cells[*cell])[len - 1] == tag {
                graph.edge(nodes[writer], node, || "answered".to_owned());
                if let Some(before) = wish.after {
                    graph.edge(told[before], nodes[writer], || "asked later".to_owned());
                }
            }
        }
        if let Some(before) = wish.after {
            graph.edge(told[before], node, || "asked later".to_owned());
        }
        if let (Ends::Read, Asked::Answered(Reply::Done { outcome: Outcome::Value(value), .. })) =
            (wish.ends, &world.requests[index])
        {
            let number = decode_result(value).number;
            for (at, cell) in wish.reads.iter().enumerate() {
                let value = if at == 0 { number % SECOND } else { number / SECOND };
                read(graph, node, (cell, value), cells, writers, nodes)
                    .map_err(|text| format!("the answer to request {index} {text}"))?;
            }
        }
    }
    Ok(())
}
