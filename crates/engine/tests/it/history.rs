//! Random programs, and a check that what they read and wrote has a serial order that respects real time.
//!
//! Every write gives a new number, so a read names the write that it saw. The logs give the order of versions of each
//! cell. Units (steps, transactions) are ordered by: version order, reads-from, reads of overwritten versions, order
//! within an invocation, and replies before requests. A circle is a violation.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Value;
use protocol::cell::CellKey;
use protocol::record::{Body, CellWrite};

use crate::program::{App, Expr, Stmt, Target, app, arg, block, decode_int, def, entity, on, reg, service, to};
use crate::rng::Rng;
use crate::seeds::for_seeds;
use crate::world::{Options, Wish, World, call};

const KEYS: i64 = 3;

// Programs.

fn access(rng: &mut Rng, fields: &[(&'static str, bool)]) -> Stmt {
    let (field, dict) = *rng.pick(fields);
    let key = dict.then(|| if rng.once_in(2) { arg(0) } else { Expr::Int(rng.below(KEYS as u64) as i64) });
    match rng.below(5) {
        0 if dict => Stmt::Sum(20, 21, field),
        0..=2 => Stmt::Get(22, field, key),
        _ => Stmt::Put(field, key, Expr::Fresh),
    }
}

fn accesses(rng: &mut Rng, fields: &[(&'static str, bool)]) -> Vec<Stmt> {
    (0..rng.range(1, 4)).map(|_| access(rng, fields)).collect()
}

const SERVICE: &[(&str, bool)] = &[("x", true), ("y", false)];
const ENTITY: &[(&str, bool)] = &[("v", false), ("d", true)];
const LEAVES: &[&str] = &["leaf0", "leaf1", "leaf2"];
const MIDS: &[&str] = &["mid0", "mid1"];

fn leaf_call(rng: &mut Rng) -> Target {
    let args = vec![Expr::Int(rng.below(KEYS as u64) as i64)];
    let name = *rng.pick(LEAVES);
    match rng.below(3) {
        0 => to("A", name, args),
        1 => to("B", name, args),
        _ => on("E", rng.below(KEYS as u64) as i64, name, args),
    }
}

fn any_call(rng: &mut Rng, deep: bool) -> Target {
    if !deep || rng.once_in(2) {
        return leaf_call(rng);
    }
    let args = vec![Expr::Int(rng.below(KEYS as u64) as i64)];
    to(if rng.once_in(2) { "A" } else { "B" }, *rng.pick(MIDS), args)
}

/// Statements with calls; `deep`: calls of methods that call.
fn calls(rng: &mut Rng, deep: bool, inside: bool) -> Vec<Stmt> {
    let mut body = Vec::new();
    for _ in 0..rng.range(1, 4) {
        match rng.below(7) {
            0 => body.push(access(rng, SERVICE)),
            1 | 2 => body.push(Stmt::Call(0, any_call(rng, deep))),
            3 | 4 => {
                let parts = (0..rng.range(2, 4)).map(|n| (n as usize, any_call(rng, deep))).collect();
                body.push(Stmt::Gather(parts, rng.once_in(2)));
            }
            5 => {
                let branch = |rng: &mut Rng| {
                    let mut branch: Vec<Stmt> =
                        (0..rng.range(1, 3)).map(|_| Stmt::Call(5, any_call(rng, deep))).collect();
                    branch.push(access(rng, SERVICE));
                    block(branch)
                };
                body.push(Stmt::Fork(vec![branch(rng), branch(rng)]));
            }
            _ if inside => body.push(Stmt::Send(leaf_call(rng))),
            _ => body.push(Stmt::Sleep(Expr::Int(rng.below(3_000) as i64))),
        }
    }
    body
}

fn transaction(rng: &mut Rng, deep: bool) -> Stmt {
    let mut body = calls(rng, deep, true);
    body.extend(accesses(rng, SERVICE));
    if rng.once_in(4) {
        body.push(Stmt::Raise("Aborted"));
    }
    Stmt::Try(block(vec![Stmt::Tx(block(body))]), block(vec![access(rng, SERVICE)]))
}

/// Counts the request, then does this and that.
fn root(rng: &mut Rng) -> Vec<Stmt> {
    let mut body =
        vec![Stmt::Get(30, "ledger", Some(arg(1))), Stmt::Put("ledger", Some(arg(1)), reg(30) + Expr::Int(1))];
    let mut rest = Vec::new();
    for _ in 0..rng.range(1, 4) {
        match rng.below(3) {
            0 => rest.extend(calls(rng, true, false)),
            _ => rest.push(transaction(rng, true)),
        }
    }
    body.push(Stmt::Try(block(rest), block(vec![Stmt::Return(7.into())])));
    body
}

fn random_app(rng: &mut Rng) -> App {
    let plain = |rng: &mut Rng, name: &'static str, body: Vec<Stmt>| {
        let mut method = def(name, body);
        method.foreseen = rng.once_in(2);
        method.route = rng.once_in(2).then_some(0);
        method
    };
    let mut services = Vec::new();
    for name in ["A", "B"] {
        let mut methods = Vec::new();
        for leaf in LEAVES {
            let body = accesses(rng, SERVICE);
            methods.push(plain(rng, leaf, body));
        }
        let read: Vec<Stmt> = accesses(rng, SERVICE).into_iter().filter(|s| !matches!(s, Stmt::Put(..))).collect();
        methods.push(def("peek", read).read_only());
        for mid in MIDS {
            let body = if rng.once_in(3) { vec![transaction(rng, false)] } else { calls(rng, false, true) };
            methods.push(plain(rng, mid, body));
        }
        for name in ["root0", "root1", "root2"] {
            let body = root(rng);
            methods.push(plain(rng, name, body));
        }
        services.push(service(name, vec![("x", true), ("y", false), ("ledger", true)], methods));
    }
    let leaves = LEAVES.iter().map(|leaf| {
        let body = accesses(rng, ENTITY);
        let writes = body.iter().any(|stmt| matches!(stmt, Stmt::Put(..)));
        let method = def(leaf, body);
        if writes { method } else { method.read_only() }
    });
    services.push(entity("E", ENTITY.to_vec(), leaves.collect()));
    app(services).traced()
}

// The check.

#[derive(Default)]
struct Graph {
    names: Vec<String>,
    nodes: BTreeMap<String, usize>,
    edges: Vec<BTreeMap<usize, String>>,
}

impl Graph {
    fn node(&mut self, name: &str) -> usize {
        if let Some(node) = self.nodes.get(name) {
            return *node;
        }
        self.names.push(name.to_owned());
        self.edges.push(BTreeMap::new());
        self.nodes.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, why: &str) {
        if from != to {
            self.edges[from].entry(to).or_insert_with(|| why.to_owned());
        }
    }

    /// A circle, as text.
    fn circle(&self) -> Option<String> {
        let mut color = vec![0u8; self.names.len()];
        for start in 0..self.names.len() {
            let mut path = Vec::new();
            if color[start] == 0
                && let Some(at) = self.visit(start, &mut color, &mut path)
            {
                let circle = &path[path.iter().position(|node| *node == at).unwrap_or(0)..];
                let text = circle.iter().enumerate().map(|(index, node)| {
                    let next = circle[(index + 1) % circle.len()];
                    format!("{} --{}--> ", self.names[*node], self.edges[*node].get(&next).cloned().unwrap_or_default())
                });
                return Some(text.collect());
            }
        }
        None
    }

    fn visit(&self, node: usize, color: &mut [u8], path: &mut Vec<usize>) -> Option<usize> {
        color[node] = 1;
        path.push(node);
        for next in self.edges[node].keys() {
            match color[*next] {
                1 => return Some(*next),
                0 => {
                    if let Some(at) = self.visit(*next, color, path) {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        path.pop();
        color[node] = 2;
        None
    }
}

fn name_of(world: &World, cell: &CellKey) -> Option<String> {
    let catalogue = world.engine(world.ids()[0]).catalogue();
    let (service, field, _) = catalogue.entries.iter().find(|(.., number)| *number == cell.field)?;
    if field == "ledger" {
        return None;
    }
    let known = |bytes: &Vec<u8>| (-1..64).find(|n| protocol::key::canonical(&Value::Int(*n)).unwrap() == *bytes);
    let part = |bytes: &Option<Vec<u8>>, open: &str, close: &str| match bytes {
        Some(bytes) => format!("{open}{}{close}", known(bytes).unwrap()),
        None => String::new(),
    };
    Some(format!("{service}{}.{field}{}", part(&cell.entity, "(", ")"), part(&cell.key, "[", "]")))
}

/// Values of each cell in the order in which they were committed.
fn versions(world: &World) -> BTreeMap<String, Vec<i64>> {
    let mut versions: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for id in world.ids() {
        let mut prepared = BTreeMap::new();
        for (_, record) in world.records_of(id) {
            let writes: Vec<CellWrite> = match &record.body {
                Body::Step(step) => step.writes.clone(),
                Body::Prepared(row) => {
                    prepared.insert(row.attempt, row.writes.clone());
                    continue;
                }
                Body::Resolved(resolved) if resolved.committed.is_some() => {
                    prepared.remove(&resolved.attempt).unwrap_or_default()
                }
                _ => continue,
            };
            for write in writes {
                let (Some(name), Some(put)) = (name_of(world, &write.cell), write.put) else { continue };
                versions.entry(name).or_default().push(decode_int(&put.value));
            }
        }
    }
    versions
}

/// Strict serializability of everything that was answered.
pub fn check(world: &World) {
    let versions = versions(world);
    let committed: BTreeSet<i64> = versions.values().flatten().copied().collect();
    let mut graph = Graph::default();
    let (mut writer, mut units) = (BTreeMap::new(), Vec::new());
    for index in 0..world.requests.len() {
        let trace = world.trace_of(index);
        let mut own = BTreeSet::new();
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for seen in trace.iter().filter(|seen| !seen.cell.contains("ledger")) {
            let node = graph.node(&seen.unit);
            own.insert(node);
            let invocation = seen.unit.split('.').next().unwrap_or_default().to_owned();
            if let Some(before) = last.insert(invocation, node) {
                graph.edge(before, node, "then");
            }
            if seen.write {
                writer.insert(seen.value, node);
            }
        }
        units.push((own, trace));
    }
    for (cell, values) in &versions {
        for pair in values.windows(2) {
            let nodes =
                pair.iter().map(|value| *writer.entry(*value).or_insert_with(|| graph.node(&format!("w{value}"))));
            let nodes: Vec<usize> = nodes.collect();
            graph.edge(nodes[0], nodes[1], &format!("overwritten in {cell}"));
        }
    }
    for (_, trace) in &units {
        for seen in trace.iter().filter(|seen| !seen.write && !seen.cell.contains("ledger")) {
            let reader = graph.node(&seen.unit);
            let values = versions.get(&seen.cell).cloned().unwrap_or_default();
            if writer.get(&seen.value) == Some(&reader) {
                continue;
            }
            let next = if seen.value == 0 {
                0
            } else if let Some(at) = values.iter().position(|value| *value == seen.value) {
                let from = *writer.entry(seen.value).or_insert_with(|| graph.node(&format!("w{}", seen.value)));
                graph.edge(from, reader, &format!("read in {}", seen.cell));
                at + 1
            } else {
                let aborted = seen.unit.ends_with('!');
                assert!(aborted, "{} read {} in {}, which nobody committed", seen.unit, seen.value, seen.cell);
                continue;
            };
            if let Some(value) = values.get(next) {
                let to = *writer.entry(*value).or_insert_with(|| graph.node(&format!("w{value}")));
                graph.edge(reader, to, &format!("overwrites what it read in {}", seen.cell));
            }
        }
    }
    // Parallel children may have written a cell in another order than they were answered: one of the writes stays.
    let mut written: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for seen in units.iter().flat_map(|(_, trace)| trace).filter(|seen| seen.write && !seen.cell.contains("ledger")) {
        *written.entry((&seen.unit, &seen.cell)).or_default() |= committed.contains(&seen.value);
    }
    for ((unit, cell), stays) in written {
        assert!(stays, "{unit} was answered, but what it wrote in {cell} is not there");
    }
    for (a, (first, _)) in units.iter().enumerate() {
        for (b, (second, _)) in units.iter().enumerate() {
            let (a, b) = (&world.requests[a], &world.requests[b]);
            if matches!(a.state, Wish::Done(_)) && a.answered > 0 && a.answered < b.asked {
                for from in first {
                    second.iter().for_each(|to| graph.edge(*from, *to, "answered before"));
                }
            }
        }
    }
    if let Some(circle) = graph.circle() {
        panic!("no serial order: {circle}");
    }
}

fn run(mut options: Options) {
    options.clients = 6;
    let mut rng = Rng::new(options.seed ^ 0xabcd);
    let app = random_app(&mut rng);
    let mut world = World::new(app, options);
    let mut count = 0;
    for n in 0..24 {
        let service = if rng.once_in(2) { "A" } else { "B" };
        let key = rng.below(KEYS as u64) as i64;
        if rng.once_in(3) {
            world.request(call(service, "peek", &[key]));
            continue;
        }
        let request = call(service, *rng.pick(&["root0", "root1", "root2"]), &[key, n]).keyed(format!("request {n}"));
        world.request(if rng.once_in(4) { request.sent() } else { request });
        count += 1;
    }
    world.run();
    // Entities call each other crosswise here, so a chain may have to give way.
    let mut gave_way = 0;
    for (index, request) in world.requests.iter().enumerate() {
        let result = world.result(index);
        let circle = matches!(&result, Err(class) if *class == "sostenuto.Deadlock");
        gave_way += usize::from(circle);
        assert!(result.is_ok() || circle || request.state == Wish::Lost, "request {index}: {result:?}");
    }
    let ledger = ["A", "B"].map(|service| world.cells(service, "ledger")).concat();
    assert!(ledger.len() <= count && ledger.len() + gave_way >= count, "each request acted once, or gave way");
    assert!(ledger.iter().all(|(_, times)| *times == 1), "each request acted once");
    check(&world);
}

#[test]
fn random_programs_are_serializable() {
    for_seeds("random_programs_are_serializable", 25, |seed| run(Options::varied(seed)));
}

#[test]
fn random_programs_survive_workers() {
    for_seeds("random_programs_survive_workers", 25, |seed| {
        run(Options { worker_deaths: 6, evictions: 12, ..Options::varied(seed) });
    });
}

#[test]
fn random_programs_survive_node_crashes() {
    for_seeds("random_programs_survive_node_crashes", 25, |seed| {
        run(Options { node_crashes: 4, worker_deaths: 2, evictions: 5, ..Options::varied(seed) });
    });
}

#[test]
fn random_programs_survive_partition_crashes() {
    for_seeds("random_programs_survive_partition_crashes", 25, |seed| {
        run(Options { partition_crashes: 5, worker_deaths: 2, evictions: 5, ..Options::varied(seed) });
    });
}
