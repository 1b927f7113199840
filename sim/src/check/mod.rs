//! Checkers: each looks at what happened from outside, and says what cannot be. None of them asks the system under test
//! whether it is right.

pub mod atomic;
pub mod bounds;
pub mod dirty;
pub(crate) mod graph;
pub mod judge;
pub mod linear;
pub mod loss;
pub mod once;
pub mod progress;
pub mod replay;
pub mod retention;
pub mod serial;

use crate::chronicle::{self, Stands};
use crate::recorder::Recorder;
use crate::world::World;

/// Something that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Who found it.
    pub checker: &'static str,
    pub text: String,
}

type Check = fn(&World) -> Result<(), String>;

/// What is looked at when everything has ended, in this order.
const AT_END: &[(&str, Check)] = &[
    ("loss", loss::check),
    ("once", once::check),
    ("atomic", atomic::check),
    ("serial", serial::check),
    ("linear", linear::check),
    ("sums", crate::workload::check),
    ("progress", progress::check),
    ("retention", retention::check),
    ("bounds", bounds::check),
    ("replay", replay::check),
];

/// Judges a world in which everything has ended.
pub fn at_end(world: &mut World) {
    for (checker, check) in AT_END {
        if world.violations.is_empty()
            && let Err(text) = check(world)
        {
            world.violated(checker, text);
        }
    }
}

/// How firmly a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Firm {
    /// In no log.
    Nowhere,
    /// In a log, and could still be lost.
    Written,
    Durable,
}

/// How firmly a version stands now.
pub(crate) fn firmness(world: &World, version: i64) -> Firm {
    for machine in &world.machines {
        let stands = chronicle::lock(&machine.chronicle).stands(version);
        let durable = |position: u64| {
            let durable = machine.up.as_ref().map_or(0, |up| store::Log::durable(&*up.log));
            position <= durable.max(chronicle::lock(&machine.chronicle).announced())
        };
        match stands {
            None => {}
            Some(Stands::Committed(position)) if durable(position) => return Firm::Durable,
            Some(Stands::Committed(_)) => return Firm::Written,
            Some(Stands::Promised(position, attempt)) => {
                return if durable(position) { decision(world, attempt) } else { Firm::Written };
            }
        }
    }
    Firm::Nowhere
}

fn decision(world: &World, attempt: protocol::ids::AttemptId) -> Firm {
    let home = attempt.owner.slot().partition(world.plan.partitions);
    let machine = &world.machines[world.plan.node_of(home.0)];
    let chronicle = chronicle::lock(&machine.chronicle);
    let durable = machine.up.as_ref().map_or(0, |up| store::Log::durable(&*up.log)).max(chronicle.announced());
    match chronicle.decided(attempt) {
        None => Firm::Nowhere,
        Some(position) if position <= durable => Firm::Durable,
        Some(_) => Firm::Written,
    }
}

/// How firmly a version stands, or another one that its unit made of the same cell: a unit leaves one of its writes.
pub(crate) fn firmness_in_unit(world: &World, recorder: &Recorder, version: i64) -> Firm {
    let own = firmness(world, version);
    if own == Firm::Durable {
        return own;
    }
    let Some(known) = recorder.version(version) else { return own };
    let same = |other: &&i64| recorder.version(**other).is_some_and(|other| other.cell == known.cell);
    let others = recorder.unit(known.unit).wrote.iter().filter(same);
    others.map(|other| firmness(world, *other)).max().unwrap_or(own).max(own)
}
