//! No dirty read left the system: what a reply rests on, read or written, directly or through calls, is durable when
//! the reply leaves; and a task begins when the record that asks for it is.

use engine::Reply;
use protocol::record::{Body, OpRow, OpRowKind};
use protocol::worker::Outcome;
use store::Log;

use super::{Firm, firmness_in_unit};
use crate::chronicle;
use crate::coroutine::decode_result;
use crate::world::World;

/// Judges a reply at the moment when it leaves.
pub fn reply(world: &World, request: usize, reply: &Reply) -> Result<(), String> {
    let Reply::Done { outcome: Outcome::Value(bytes), .. } = reply else { return Ok(()) };
    let produced = decode_result(bytes);
    let recorder = world.recorder.borrow();
    let wrote = produced.wrote.iter().map(|version| ("wrote", version));
    let saw = produced.saw.iter().map(|version| ("saw", version));
    for (what, version) in wrote.chain(saw) {
        let Some(known) = recorder.version(*version) else {
            return Err(format!("request {request} {what} version {version}, which nobody made"));
        };
        if known.value.is_none() {
            continue;
        }
        let firm = firmness_in_unit(world, &recorder, *version);
        if firm != Firm::Durable {
            let cell = recorder.cell_name(known.cell);
            let unit = recorder.unit_text(known.unit);
            return Err(format!(
                "the reply to request {request} {what} version {version} of {cell} by {unit}, which is {firm:?}"
            ));
        }
    }
    Ok(())
}

/// Judges a task at the moment when it begins: the record that asks for it is durable.
pub fn task(world: &World, node: usize, args: &[u8]) -> Result<(), String> {
    let chronicle = chronicle::lock(&world.machines[node].chronicle);
    let durable = world.machines[node].up.as_ref().map_or(0, |up| up.log.durable());
    let asks = |op: &OpRow| matches!(&op.kind, OpRowKind::Task(call) if call.args == args);
    let asked = chronicle.entries().any(|(position, entry)| match &entry.record.body {
        Body::Step(step) if position <= durable => step.journal.iter().flat_map(|row| &row.ops).any(asks),
        _ => false,
    });
    if asked { Ok(()) } else { Err("a task has begun, and no durable record asks for it".to_owned()) }
}
