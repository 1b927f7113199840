//! No acknowledged loss: what any answer rested on is still there at the end, after all crashes. (That a log comes back
//! with everything that it called durable, byte by byte, is looked at when it does, see `chronicle`.)

use engine::Reply;
use protocol::worker::Outcome;

use super::{Firm, firmness_in_unit};
use crate::coroutine::decode_result;
use crate::world::World;

pub fn check(world: &World) -> Result<(), String> {
    let recorder = world.recorder.borrow();
    for (index, request) in world.requests.iter().enumerate() {
        for answer in &request.answers {
            let Reply::Done { outcome: Outcome::Value(bytes), .. } = answer else { continue };
            let produced = decode_result(bytes);
            for version in produced.wrote.iter().chain(&produced.saw) {
                let Some(known) = recorder.version(*version).filter(|known| known.value.is_some()) else { continue };
                if firmness_in_unit(world, &recorder, *version) != Firm::Durable {
                    let (cell, unit) = (recorder.cell_name(known.cell), recorder.unit_text(known.unit));
                    return Err(format!("request {index} was answered, version {version} of {cell} by {unit} is lost"));
                }
            }
        }
    }
    Ok(())
}
