//! No dirty read left the system: what a reply rests on, read or written, directly or through calls, is durable when
//! the reply leaves.

use engine::Reply;
use protocol::worker::Outcome;

use super::{Firm, firmness_in_unit};
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
