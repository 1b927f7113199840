//! What clients want of which application. Each workload is a set of scripted services, random requests to them, and what
//! must hold of sums when all has ended.

pub mod bank;
mod errands;
mod random;
mod registers;

use crate::program::App;
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
}

impl Workload {
    pub const ALL: &[Self] = &[Self::Bank, Self::Random, Self::Registers, Self::Errands];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|workload| workload.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Random => "random",
            Self::Registers => "registers",
            Self::Errands => "errands",
        }
    }

    /// Services, and what clients ask of them.
    pub fn build(self, rng: &mut Rng) -> (App, Vec<Wish>) {
        match self {
            Self::Bank => bank::build(rng),
            Self::Random => random::build(rng),
            Self::Registers => registers::build(rng),
            Self::Errands => errands::build(rng),
        }
    }

    /// May a request end with this exception?
    pub fn expects(self, class: &str, wish: &Wish) -> bool {
        match self {
            Self::Bank | Self::Registers => false,
            // Entities call each other crosswise here, so a chain may have to give way.
            Self::Random => class == "sostenuto.Deadlock",
            Self::Errands => errands::expects(class, wish),
        }
    }

    /// Does the request count itself in the ledger when it ends with a value?
    pub fn counts(self, wish: &Wish) -> bool {
        match self {
            Self::Bank | Self::Registers => false,
            Self::Random => wish.method.starts_with("root"),
            Self::Errands => errands::counts(wish),
        }
    }
}

/// What must hold of sums.
pub fn check(world: &World) -> Result<(), String> {
    match world.plan.workload {
        Workload::Bank => bank::check(world),
        Workload::Errands => errands::check(world),
        Workload::Random | Workload::Registers => Ok(()),
    }
}
