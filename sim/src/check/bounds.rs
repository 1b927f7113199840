//! Bounds hold: records have the size that a log takes, workers have no more runs than they may, and no inbox keeps
//! numbers of messages that its sender has settled.

use protocol::cell::kind;
use protocol::record::{self, InboxRow};

use crate::chronicle;
use crate::world::World;

/// Messages accepted beyond a gap, once nothing is under way.
const INBOX_ABOVE_MAX: usize = 64;

pub fn check(world: &World) -> Result<(), String> {
    for machine in &world.machines {
        for (position, entry) in chronicle::lock(&machine.chronicle).entries() {
            let limit = protocol::limits::RECORD_BYTES_MAX;
            if entry.bytes.len() > limit {
                return Err(format!("record {position} has {} bytes, at most {limit}", entry.bytes.len()));
            }
        }
    }
    for (partition, rows) in world.all_rows() {
        for (_, row) in rows.iter().filter(|(key, _)| key[2] == kind::INBOX) {
            let inbox: InboxRow = record::decode(row, "inbox").map_err(|error| error.to_string())?;
            if inbox.above.len() > INBOX_ABOVE_MAX {
                return Err(format!("an inbox of partition {partition} has {} numbers", inbox.above.len()));
            }
        }
    }
    Ok(())
}

/// Judges what a node holds at this moment.
pub fn holds(world: &World, node: usize) -> Result<(), String> {
    let Some(up) = world.machines[node].up.as_ref() else { return Ok(()) };
    let (holds, workers) = (up.node.holds(), world.plan.workers + 1);
    let limit = workers * runtime::limits::RUNS_IN_FLIGHT_MAX;
    if holds.running > limit {
        return Err(format!("workers of node {node} have {} runs, at most {limit}", holds.running));
    }
    Ok(())
}
