//! Exactly once: a request has one answer however often it is asked, an invocation ends once, a step commits once, and
//! the ledger that workloads keep says 1 for what was answered and at most 1 for all else.

use std::collections::BTreeMap;

use protocol::ids::InvocationId;
use protocol::record::Body;

use super::{Firm, firmness};
use crate::chronicle;
use crate::recorder::Unit;
use crate::world::World;
use crate::world::clients::Stage;

/// Field in which methods count how often a request took effect.
pub const LEDGER: &str = "ledger";

pub fn check(world: &World) -> Result<(), String> {
    answers(world)?;
    ends(world)?;
    steps(world)?;
    ledger(world)
}

fn answers(world: &World) -> Result<(), String> {
    for (index, request) in world.requests.iter().enumerate() {
        let mut done = request.answers.iter().filter(|answer| matches!(answer, engine::Reply::Done { .. }));
        let Some(first) = done.next() else { continue };
        let outcome = |reply: &engine::Reply| match reply {
            engine::Reply::Done { outcome, cancelled, .. } => Some((outcome.clone(), *cancelled)),
            _ => None,
        };
        if let Some(other) = done.find(|other| outcome(other) != outcome(first)) {
            return Err(format!("request {index} was answered {first:?}, then {other:?}"));
        }
    }
    Ok(())
}

fn ends(world: &World) -> Result<(), String> {
    let mut ended: BTreeMap<InvocationId, u64> = BTreeMap::new();
    for machine in &world.machines {
        for (position, entry) in chronicle::lock(&machine.chronicle).entries() {
            let Body::Step(step) = &entry.record.body else { continue };
            if step.done.is_some()
                && let Some(earlier) = ended.insert(step.invocation, position)
            {
                return Err(format!("{} ended twice, by records {earlier} and {position}", step.invocation));
            }
        }
    }
    Ok(())
}

/// Of all runs of a step, one at most has left something.
fn steps(world: &World) -> Result<(), String> {
    let recorder = world.recorder.borrow();
    let mut committed: BTreeMap<(InvocationId, u64), Unit> = BTreeMap::new();
    for (unit, record) in recorder.units().filter(|(_, record)| !record.is_transaction) {
        if record.wrote.iter().all(|version| firmness(world, *version) == Firm::Nowhere) {
            continue;
        }
        if let Some(other) = committed.insert((record.invocation, record.step), unit) {
            let (one, other) = (recorder.unit_text(other), recorder.unit_text(unit));
            return Err(format!("{one} and {other} have both left writes"));
        }
    }
    Ok(())
}

fn ledger(world: &World) -> Result<(), String> {
    let mut counted: BTreeMap<i64, i64> = BTreeMap::new();
    for (key, times) in world.entries(LEDGER) {
        *counted.entry(key).or_default() += times;
    }
    for (index, request) in world.requests.iter().enumerate() {
        let times = counted.get(&(index as i64)).copied().unwrap_or(0);
        let expected = request.value().is_some() && world.workload_counts(&request.wish);
        if times > 1 || expected && times != 1 {
            let stage = if matches!(request.stage, Stage::Done(_)) { "answered" } else { "lost" };
            return Err(format!("request {index} ({stage}) took effect {times} times"));
        }
    }
    Ok(())
}
