//! Bounds hold: records and values have the size that a log and a cell take, workers have no more runs than they may, a
//! partition takes no more requests than it may, and no inbox keeps numbers of messages that its sender has settled.

use std::collections::BTreeSet;

use protocol::cell::kind;
use protocol::ids::InvocationId;
use protocol::limits::{RECORD_BYTES_MAX, VALUE_BYTES_MAX};
use protocol::record::{self, Body, CellWrite, InboxRow};

use crate::chronicle;
use crate::world::World;

pub fn check(world: &World) -> Result<(), String> {
    for machine in &world.machines {
        for (position, entry) in chronicle::lock(&machine.chronicle).entries() {
            let bytes = entry.bytes.len();
            if bytes > RECORD_BYTES_MAX {
                return Err(format!("record {position} has {bytes} bytes, at most {RECORD_BYTES_MAX}"));
            }
            let writes: &[CellWrite] = match &entry.record.body {
                Body::Step(step) => &step.writes,
                Body::Prepared(row) => &row.writes,
                _ => &[],
            };
            let sizes = writes.iter().filter_map(|write| write.put.as_ref()).map(|put| put.value.len());
            if let Some(bytes) = sizes.max().filter(|bytes| *bytes > VALUE_BYTES_MAX) {
                return Err(format!("record {position} has a value of {bytes} bytes, at most {VALUE_BYTES_MAX}"));
            }
        }
    }
    for (partition, rows) in world.all_rows() {
        for (_, row) in rows.iter().filter(|(key, _)| key[2] == kind::INBOX) {
            let inbox: InboxRow = record::decode(row, "inbox").map_err(|error| error.to_string())?;
            // Beyond a gap there may be as many as were under way when the message of the gap was.
            if let Some(number) = inbox.above.first().filter(|number| **number <= inbox.below) {
                return Err(format!("an inbox of partition {partition} keeps {number}, and all below {}", inbox.below));
            }
        }
    }
    Ok(())
}

/// Judges what a node holds at this moment.
pub fn holds(world: &World, node: usize) -> Result<(), String> {
    let Some(up) = world.machines[node].up.as_ref() else { return Ok(()) };
    // The last one that finds room may have followers.
    let limit = runtime::limits::RUNS_IN_FLIGHT_MAX + engine::Config::default().ahead_max;
    if let Some(runs) = up.processes.values().map(|process| process.mail.runs()).max().filter(|runs| *runs > limit) {
        return Err(format!("a worker of node {node} has {runs} runs, at most {limit}"));
    }
    let limit = world.plan.invocations_max;
    if limit >= world.requests.len() {
        return Ok(());
    }
    // What requests call is always taken; requests are not.
    let requests: BTreeSet<InvocationId> = world.requests.iter().filter_map(|request| request.id).collect();
    for (id, partition) in up.node.partitions() {
        let unfinished = partition.list(world.now()).iter().filter(|listed| requests.contains(&listed.id)).count();
        if unfinished > limit {
            return Err(format!("partition {id} has taken {unfinished} requests, at most {limit}"));
        }
    }
    Ok(())
}
