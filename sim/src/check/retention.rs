//! Retention: a result is forgotten only after its time, and when a run waits that long, all of them are.

use protocol::cell::kind;
use protocol::record::Body;

use crate::chronicle;
use crate::plan::{Fault, SHORT_RETENTION};
use crate::world::World;

/// How wrong a wall clock may be.
const CLOCK_ERROR: u64 = 10_000_000;

pub fn check(world: &World) -> Result<(), String> {
    let jumps = world.plan.faults.iter().any(|(_, fault)| matches!(fault, Fault::ClockJump(..)));
    let error = if jumps { CLOCK_ERROR } else { 0 };
    for machine in &world.machines {
        for (position, entry) in chronicle::lock(&machine.chronicle).entries() {
            match &entry.record.body {
                Body::Forget(forgotten) => {
                    let time = world.wall_at(entry.at) + error;
                    if let Some(one) = forgotten.iter().find(|one| one.keep_until > time) {
                        let early = one.keep_until - time;
                        return Err(format!("record {position} forgets {} {early} µs too early", one.id));
                    }
                }
                Body::Step(step) => {
                    let done = step.done.as_ref().and_then(|done| Some((done.at, done.keep_until?)));
                    if let Some((at, until)) = done.filter(|(at, until)| *until < at + world.plan.retention) {
                        return Err(format!("{} ended at {at} is kept until {until} only", step.invocation));
                    }
                }
                _ => {}
            }
        }
    }
    if world.plan.retention != SHORT_RETENTION {
        return Ok(());
    }
    for (partition, rows) in world.all_rows() {
        let left = rows.iter().filter(|(key, _)| [kind::DONE, kind::DEDUP, kind::EXPIRY].contains(&key[2])).count();
        if left > 0 {
            return Err(format!("partition {partition} still has {left} rows of results whose time is over"));
        }
    }
    Ok(())
}
