//! Atomic steps: of what a step wrote last to its cells, all of it is there or nothing. Commits over several partitions
//! are kept by all or by none.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ids::{AttemptId, PartitionId};
use protocol::record::Body;

use super::{Firm, firmness};
use crate::chronicle;
use crate::recorder::{CellId, Recorder, UnitRecord};
use crate::world::World;

pub fn check(world: &World) -> Result<(), String> {
    let recorder = world.recorder.borrow();
    for (unit, record) in recorder.units().filter(|(_, record)| !record.is_transaction) {
        let last = last_writes(&recorder, record);
        let there = |version: &i64| firmness(world, *version) != Firm::Nowhere;
        let (kept, lost): (Vec<i64>, Vec<i64>) = last.into_values().partition(there);
        if let (Some(kept), Some(lost)) = (kept.first(), lost.first()) {
            let name = |version: &i64| recorder.version(*version).map(|version| recorder.cell_name(version.cell));
            let (kept, lost) = (name(kept).unwrap_or_default(), name(lost).unwrap_or_default());
            return Err(format!("{} has written {kept}, but not {lost}", recorder.unit_text(unit)));
        }
    }
    commits(world)
}

/// The last write to each cell that was not a deletion.
fn last_writes(recorder: &Recorder, record: &UnitRecord) -> BTreeMap<CellId, i64> {
    let mut last = BTreeMap::new();
    for version in &record.wrote {
        let Some(known) = recorder.version(*version) else { continue };
        match known.value {
            Some(_) => last.insert(known.cell, *version),
            None => last.remove(&known.cell),
        };
    }
    last
}

#[derive(Default)]
struct Commits {
    decided: BTreeMap<AttemptId, Vec<PartitionId>>,
    prepared: BTreeSet<(AttemptId, PartitionId)>,
    resolved: BTreeMap<(AttemptId, PartitionId), bool>,
}

fn commits(world: &World) -> Result<(), String> {
    let mut found = Commits::default();
    for machine in &world.machines {
        for (_, entry) in chronicle::lock(&machine.chronicle).entries() {
            match &entry.record.body {
                Body::Step(step) => {
                    if let Some(commit) = &step.commit {
                        found.decided.insert(commit.attempt, commit.participants.clone());
                    }
                }
                Body::Prepared(row) => drop(found.prepared.insert((row.attempt, entry.partition))),
                Body::Resolved(resolved) => {
                    let place = (resolved.attempt, entry.partition);
                    found.resolved.insert(place, resolved.committed.is_some());
                }
                _ => {}
            }
        }
    }
    for (attempt, participants) in &found.decided {
        for participant in participants {
            let place = (*attempt, *participant);
            if !found.prepared.contains(&place) {
                return Err(format!("{attempt} was committed, partition {participant} never promised"));
            }
            if found.resolved.get(&place) != Some(&true) {
                return Err(format!("{attempt} was committed, partition {participant} has not kept it"));
            }
        }
    }
    let kept = found.resolved.iter().filter(|(_, committed)| **committed);
    match kept.map(|(place, _)| place).find(|(attempt, _)| !found.decided.contains_key(attempt)) {
        Some((attempt, partition)) => Err(format!("partition {partition} kept {attempt}, which nobody committed")),
        None => Ok(()),
    }
}
