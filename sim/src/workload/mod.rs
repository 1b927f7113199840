//! What clients want of which application. Each workload is a set of scripted services, random requests to them, and what
//! must hold of sums when all has ended.

pub mod bank;
mod booking;
mod errands;
mod glances;
mod lists;
mod random;
mod registers;
mod visits;
mod wide;

use protocol::limits::RECORD_BYTES_MAX;

use crate::program::{App, keys_on};
use crate::rng::Rng;
use crate::world::World;
use crate::world::clients::Wish;

/// Which application runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Transfers over entities and entries, audits, accounts that come and go.
    Bank,
    /// Random call graphs: chains, fan-out, transactions that abort, entities, sleeps, one-way calls.
    Random,
    /// Few hot cells, one step each.
    Registers,
    /// Tasks that fail, races against timers, cancelled invocations, methods that kill their worker.
    Errands,
    /// Trips of two parts, with nested transactions that are given up at random.
    Booking,
    /// Fan-out to many entities, long chains, long journals.
    Wide,
    /// Lists that grow and shrink, values up to the limit and beyond.
    Lists,
    /// Calls that come back to the entity whose turn their chain holds.
    Visits,
    /// Transactions that give up while their parts still look at cells that others change.
    Glances,
}

impl Workload {
    pub const ALL: &[Self] = &[
        Self::Bank,
        Self::Random,
        Self::Registers,
        Self::Errands,
        Self::Booking,
        Self::Wide,
        Self::Lists,
        Self::Visits,
        Self::Glances,
    ];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|workload| workload.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Random => "random",
            Self::Registers => "registers",
            Self::Errands => "errands",
            Self::Booking => "booking",
            Self::Wide => "wide",
            Self::Lists => "lists",
            Self::Visits => "visits",
            Self::Glances => "glances",
        }
    }

    /// More bytes than a record has.
    pub fn record_bytes_max(self) -> u64 {
        match self {
            Self::Wide => 64 * 1024,
            Self::Lists => RECORD_BYTES_MAX as u64,
            Self::Bank
            | Self::Random
            | Self::Registers
            | Self::Errands
            | Self::Booking
            | Self::Visits
            | Self::Glances => 8 * 1024,
        }
    }

    /// Services, and what clients ask of them.
    pub fn build(self, rng: &mut Rng) -> (App, Vec<Wish>) {
        match self {
            Self::Bank => bank::build(rng),
            Self::Random => random::build(rng),
            Self::Registers => registers::build(rng),
            Self::Errands => errands::build(rng),
            Self::Booking => booking::build(rng),
            Self::Wide => wide::build(rng),
            Self::Lists => lists::build(rng),
            Self::Visits => visits::build(rng),
            Self::Glances => glances::build(rng),
        }
    }

    /// May a request end with this exception?
    pub fn expects(self, class: &str, wish: &Wish) -> bool {
        match self {
            Self::Bank | Self::Registers | Self::Booking | Self::Wide | Self::Glances => false,
            // Entities call each other crosswise here, so a chain may have to give way.
            Self::Random | Self::Visits => class == "sostenuto.Deadlock",
            Self::Errands => errands::expects(class, wish),
            Self::Lists => lists::expects(class, wish),
        }
    }

    /// Does the request count itself in the ledger when it ends with a value?
    pub fn counts(self, wish: &Wish) -> bool {
        match self {
            Self::Bank | Self::Registers | Self::Booking | Self::Lists | Self::Visits | Self::Glances => false,
            Self::Wide => true,
            Self::Random => wish.method.starts_with("root"),
            Self::Errands => errands::counts(wish),
        }
    }
}

/// One of a few keys that lie far apart, so that partitions share the first of them: 0 to 3 all lie in the same quarter of
/// the slots.
pub fn place(index: u64) -> i64 {
    const EIGHTHS: [u16; 8] = [0, 4, 2, 6, 1, 5, 3, 7];
    keys_on(EIGHTHS[index as usize], 8).next().expect("every part has slots")
}

/// What requests were told that they did, as numbers, is what this field holds in all.
fn all_told(world: &World, field: &str, did: &str) -> Result<(), String> {
    let told: i64 = world.requests.iter().filter_map(|request| request.value()).map(|value| value.number).sum();
    let found: i64 = world.entries(field).into_iter().map(|(_, number)| number).sum();
    if told != found {
        return Err(format!("{found} {did}, {told} were told"));
    }
    Ok(())
}

/// What must hold of sums.
pub fn check(world: &World) -> Result<(), String> {
    match world.plan.workload {
        Workload::Bank => bank::check(world),
        Workload::Errands => errands::check(world),
        Workload::Booking => booking::check(world),
        Workload::Wide => wide::check(world),
        Workload::Lists => lists::check(world),
        Workload::Visits => visits::check(world),
        Workload::Glances => glances::check(world),
        Workload::Random | Workload::Registers => Ok(()),
    }
}
