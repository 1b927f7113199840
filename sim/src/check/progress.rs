//! Progress: once faults stop, everything that was accepted ends, and no lock, queue entry, promise or row of unfinished
//! things is left.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use protocol::cell::kind;
use store::Log;

use crate::world::World;
use crate::world::clients::Stage;

/// Kinds of rows of what is not finished.
const UNFINISHED: [u8; 7] =
    [kind::INVOCATION, kind::STATUS, kind::JOURNAL, kind::TASK_RESULT, kind::OUTBOX, kind::PREPARED, kind::DECISION];

pub fn check(world: &World) -> Result<(), String> {
    for (index, request) in world.requests.iter().enumerate() {
        let fine = match &request.stage {
            Stage::Done(engine::Reply::Done { .. }) => true,
            Stage::Lost => !request.wish.keyed && !request.accepted,
            // A result that nobody fetched within its retention.
            Stage::Done(engine::Reply::Problem { .. }) => request.accepted && world.plan.retention < 1_000_000_000,
            _ => false,
        };
        if !fine {
            return Err(format!("request {index} ended as {:?}", request.stage));
        }
        if let Some(class) = request.failure().filter(|class| !world.workload_expects(class, &request.wish)) {
            return Err(format!("request {index} {:?} ended with {class}", request.wish));
        }
    }
    if is_quiet(world) { Ok(()) } else { Err(stuck(world)) }
}

/// Nothing is under way anywhere.
pub fn is_quiet(world: &World) -> bool {
    world.machines.iter().all(|machine| {
        machine.up.as_ref().is_some_and(|up| {
            let holds = up.node.holds();
            let idle = [
                holds.held,
                holds.inputs,
                holds.overlay_rows,
                holds.running,
                holds.queued,
                holds.suspended,
                holds.tasks_running,
            ];
            let quiet = idle == [0; 7] && up.node.partitions().all(|(_, partition)| partition.is_quiet());
            quiet && up.log.tail() == up.log.durable() && unfinished(world).is_empty()
        })
    })
}

/// Rows of what is not finished, by kind.
fn unfinished(world: &World) -> BTreeMap<u8, usize> {
    let mut found = BTreeMap::new();
    for (partition, rows) in world.all_rows() {
        let of_kind = rows.iter().filter(|(key, _)| UNFINISHED.contains(&key[2]));
        of_kind.for_each(|(key, _)| *found.entry(key[2]).or_default() += 1);
        let _ = partition;
    }
    found
}

/// What waits, for people.
pub fn stuck(world: &World) -> String {
    let mut text = "something does not end:".to_owned();
    for (index, request) in world.requests.iter().enumerate() {
        if !request.is_over() {
            let _ = write!(text, "\n  request {index} {:?} {:?} {:?}", request.wish, request.id, request.stage);
        }
    }
    for (node, machine) in world.machines.iter().enumerate() {
        let Some(up) = machine.up.as_ref() else {
            let _ = write!(text, "\n  node {node} is down");
            continue;
        };
        let _ = write!(text, "\n  node {node}: {:?}, log {} of {}", up.node.holds(), up.log.durable(), up.log.tail());
        for (id, partition) in up.node.partitions() {
            if !partition.is_quiet() {
                let _ = write!(text, "\n  partition {id} is not quiet");
            }
            for listed in partition.list(world.now()) {
                let note = partition.describe(listed.id, world.now()).and_then(|found| found.note);
                let _ = write!(text, "\n    {:?} {note:?}", listed.invocation);
            }
        }
    }
    let _ = write!(text, "\n  unfinished rows: {:?}", unfinished(world));
    text
}
