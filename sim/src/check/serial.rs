//! Strict serializability and opacity: all steps and transactions, also the attempts that came to nothing, have a serial
//! order that explains what each of them read and that agrees with real time.
//!
//! Units are ordered by: version order of each cell (the order of the log), reads-from, reads of what was overwritten,
//! the order of an invocation's steps, and answers before later requests. A circle is a violation. A unit without
//! writes in any log takes part with its reads alone, so that user code must never have seen a state that no order
//! explains, even where nobody would ever know.

use std::collections::{BTreeMap, HashMap, HashSet};

use protocol::ids::{AttemptId, PartitionId};
use protocol::record::{Body, CellWrite};

use super::graph::Graph;
use crate::chronicle;
use crate::program::decode_version;
use crate::recorder::{ABSENT, CellId, INITIAL, Read, Recorder, RunRecord, Unit, UnitRecord};
use crate::world::World;

/// Versions of a cell in the order of commits; deletions are [`ABSENT`].
type Order = BTreeMap<CellId, Vec<i64>>;

struct Judge<'a> {
    world: &'a World,
    recorder: &'a Recorder,
    order: Order,
    /// Cells whose deletion was logged and then lost with a crash.
    lost_deletions: HashSet<CellId>,
    /// Where a version stands in its cell's order.
    place: HashMap<i64, usize>,
    graph: Graph,
    nodes: BTreeMap<Unit, usize>,
    /// Runs that were done again.
    ghosts: Vec<(Unit, usize)>,
}

pub fn check(world: &World) -> Result<(), String> {
    let recorder = world.recorder.borrow();
    let (order, lost_deletions) = order(world, &recorder);
    let place = order.values().flat_map(|versions| versions.iter().enumerate().map(|(at, version)| (*version, at)));
    let mut judge = Judge {
        world,
        recorder: &recorder,
        place: place.filter(|(version, _)| *version > 0).collect(),
        order,
        lost_deletions,
        graph: Graph::default(),
        nodes: BTreeMap::new(),
        ghosts: Vec::new(),
    };
    for (unit, _) in recorder.units() {
        let node = judge.graph.node(recorder.unit_text(unit));
        judge.nodes.insert(unit, node);
    }
    judge.versions();
    for (unit, record) in recorder.units() {
        judge.unit_reads(unit, record)?;
    }
    judge.steps();
    judge.real_time();
    match judge.graph.circle() {
        Some(circle) => Err(format!("no serial order:{circle}")),
        None => Ok(()),
    }
}

/// The order in which the logs commit versions, and the cells whose deletion a log has lost. Each cell belongs to one
/// partition, so to one log.
fn order(world: &World, recorder: &Recorder) -> (Order, HashSet<CellId>) {
    let mut order = Order::new();
    let mut cells = HashMap::new();
    for machine in &world.machines {
        let mut promised: BTreeMap<(AttemptId, PartitionId), Vec<CellWrite>> = BTreeMap::new();
        for (_, entry) in chronicle::lock(&machine.chronicle).entries() {
            let none = Vec::new();
            let writes = match &entry.record.body {
                Body::Step(step) => step.writes.clone(),
                Body::Prepared(row) => {
                    promised.insert((row.attempt, entry.partition), row.writes.clone());
                    none
                }
                Body::Resolved(resolved) => {
                    let kept = promised.remove(&(resolved.attempt, entry.partition)).unwrap_or_default();
                    if resolved.committed.is_some() { kept } else { none }
                }
                _ => none,
            };
            for write in writes {
                let version = write.put.as_ref().map_or(ABSENT, |put| decode_version(&put.value).1);
                if let Some(known) = recorder.version(version) {
                    cells.insert(write.cell.clone(), known.cell);
                }
                if let Some(cell) = cells.get(&write.cell) {
                    order.entry(*cell).or_default().push(version);
                }
            }
        }
    }
    let mut lost = HashSet::new();
    for machine in &world.machines {
        let chronicle = chronicle::lock(&machine.chronicle);
        lost.extend(chronicle.lost_deletions().filter_map(|cell| cells.get(cell)));
    }
    (order, lost)
}

impl Judge<'_> {
    fn writer(&self, version: i64) -> Option<Unit> {
        self.recorder.version(version).map(|version| version.unit)
    }

    fn edge(&mut self, from: Unit, to: Unit, why: impl FnOnce() -> String) {
        let (from, to) = (self.nodes[&from], self.nodes[&to]);
        self.graph.edge(from, to, why);
    }

    fn versions(&mut self) {
        for (cell, versions) in self.order.clone() {
            let kept: Vec<i64> = versions.into_iter().filter(|version| *version > 0).collect();
            for pair in kept.windows(2) {
                if let (Some(first), Some(second)) = (self.writer(pair[0]), self.writer(pair[1])) {
                    let name = self.recorder.cell_name(cell).to_owned();
                    self.edge(first, second, || format!("overwritten in {name}"));
                }
            }
        }
    }

    /// What the runs of a unit saw together must have an order. A run that was done again was seen by nobody but
    /// itself, with what the unit held then.
    fn unit_reads(&mut self, unit: Unit, record: &UnitRecord) -> Result<(), String> {
        for (index, run) in record.runs.iter().enumerate() {
            if !record.is_superseded(index) {
                self.reads(unit, self.nodes[&unit], record, run)?;
                continue;
            }
            let node = self.graph.node(format!("an earlier run in {}", self.recorder.unit_text(unit)));
            self.ghosts.push((unit, node));
            self.reads(unit, node, record, run)?;
            for (other, before) in record.runs.iter().enumerate() {
                if before.last < run.first && !record.is_superseded(other) {
                    self.reads(unit, node, record, before)?;
                }
            }
        }
        Ok(())
    }

    fn reads(&mut self, unit: Unit, node: usize, record: &UnitRecord, run: &RunRecord) -> Result<(), String> {
        for read in &run.reads {
            self.read(unit, node, record, *read)?;
        }
        for (field, found) in &run.scans {
            let absent: Vec<CellId> = self.recorder.cells_of(*field).filter(|cell| !found.contains(cell)).collect();
            for cell in absent {
                self.read(unit, node, record, Read { cell, version: ABSENT })?;
            }
        }
        Ok(())
    }

    fn read(&mut self, unit: Unit, node: usize, record: &UnitRecord, read: Read) -> Result<(), String> {
        let name = self.recorder.cell_name(read.cell).to_owned();
        let Some(versions) = self.order.get(&read.cell).cloned() else {
            return self.unknown(unit, record, read, &name);
        };
        let next = match read.version {
            ABSENT if versions.contains(&ABSENT) || self.wrote(record, read.cell) => return Ok(()),
            ABSENT if self.lost_deletions.contains(&read.cell) && !self.kept(record) => return Ok(()),
            ABSENT | INITIAL => 0,
            version => match self.place.get(&version).copied() {
                Some(at) => {
                    if let Some(writer) = self.writer(version).filter(|writer| *writer != unit) {
                        self.graph.edge(self.nodes[&writer], node, || format!("read in {name}"));
                    }
                    at + 1
                }
                None => return self.unknown(unit, record, read, &name),
            },
        };
        let newer = versions.get(next).copied().filter(|version| *version > 0);
        if let Some(writer) = newer.and_then(|version| self.writer(version)).filter(|writer| *writer != unit) {
            self.graph.edge(node, self.nodes[&writer], || format!("overwrites what it read in {name}"));
        }
        Ok(())
    }

    fn wrote(&self, record: &UnitRecord, cell: CellId) -> bool {
        record.wrote.iter().any(|version| self.recorder.version(*version).is_some_and(|known| known.cell == cell))
    }

    /// Has it left something?
    fn kept(&self, record: &UnitRecord) -> bool {
        record.wrote.iter().any(|version| self.place.contains_key(version))
    }

    /// A version was read that no log has. Its own unit may; a unit that is itself lost may have read what was lost with
    /// it, if that was ever logged; one that ran ahead of its turn and was dropped may have read what was not.
    fn unknown(&self, unit: Unit, record: &UnitRecord, read: Read, name: &str) -> Result<(), String> {
        if read.version <= 0 || self.writer(read.version) == Some(unit) {
            return Ok(());
        }
        let logged = self.world.machines.iter().any(|machine| chronicle::lock(&machine.chronicle).ever(read.version));
        let dropped = record.is_ahead && !record.wrote.is_empty();
        if (logged || dropped) && !self.kept(record) {
            return Ok(());
        }
        let by = self.writer(read.version).map(|writer| self.recorder.unit_text(writer)).unwrap_or_default();
        let who = self.recorder.unit_text(unit);
        Err(format!("{who} read version {} of {name}, by {by}, which was never committed", read.version))
    }

    /// A step that has left something comes before the later ones of its invocation that ran after it. Others ran after
    /// an earlier run of this step, which a crash has taken, and belong to a past that is no more.
    fn steps(&mut self) {
        let mut by_invocation: BTreeMap<_, Vec<(u64, Unit, bool)>> = BTreeMap::new();
        for (unit, record) in self.recorder.units().filter(|(_, record)| !record.is_transaction) {
            by_invocation.entry(record.invocation).or_default().push((record.step, unit, self.kept(record)));
        }
        for units in by_invocation.into_values() {
            for (step, unit, _) in units.iter().filter(|(.., kept)| *kept) {
                let done = self.recorder.unit(*unit).touched;
                let began_since = |other: Unit| self.recorder.unit(other).runs.iter().any(|run| run.first >= done);
                for (_, later, _) in units.iter().filter(|(other, later, _)| other > step && began_since(*later)) {
                    self.edge(*unit, *later, || "then".to_owned());
                }
            }
        }
    }

    /// What a request did before its answer comes before what later requests do.
    fn real_time(&mut self) {
        let mut times: BTreeMap<u64, usize> = BTreeMap::new();
        for request in &self.world.requests {
            times.extend([(request.asked, 0)]);
            times.extend(request.answered.map(|answered| (answered, 0)));
        }
        let mut before = None;
        for (time, node) in &mut times {
            *node = self.graph.node(format!("event {time}"));
            if let Some(before) = before {
                self.graph.edge(before, *node, || "later".to_owned());
            }
            before = Some(*node);
        }
        let units: Vec<(Unit, usize)> = self.nodes.iter().map(|(unit, node)| (*unit, *node)).collect();
        for (unit, node) in units.into_iter().chain(std::mem::take(&mut self.ghosts)) {
            let record = self.recorder.unit(unit);
            let Some(request) = self.world.requests.get(record.request()) else { continue };
            // Of requests asked at one event, none is before the other.
            if let Some((_, time)) = times.range(..request.asked).next_back() {
                self.graph.edge(*time, node, || format!("request {} comes later", record.request()));
            }
            let answered = request.answered.filter(|answered| record.root >= 0 && record.touched < *answered);
            if let Some(answered) = answered {
                self.graph.edge(node, times[&answered], || format!("request {} is answered", record.request()));
            }
        }
    }
}
