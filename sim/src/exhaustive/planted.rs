//! Bugs of locks and commit, each planted and looked for in the configurations.

use std::time::{Duration, Instant};

use engine::planted::{Bug, plant};

use super::configurations::{Configuration, all};
use super::search::{Violation, explore};

/// Those that concern what is walked through, what each does, and a configuration that finds it.
pub(super) const BUGS: &[(Bug, &str, &str)] = &[
    (Bug::Siblings, "two siblings of one attempt are granted one cell at once", "siblings-each"),
    (Bug::JudgedOnArrival, "whether a waiter must die is judged only when it arrives", "elder-each"),
    (Bug::NoFreeze, "an abort releases at once, without its freeze round", "looking-each"),
    (
        Bug::NoFence,
        "after a restart, locks are granted before all attempts that lost theirs have stopped",
        "restart-part-each",
    ),
    (
        Bug::HastyRelease,
        "locks of attempts whose home restarted are let go before all parts have stopped",
        "restart-home-each",
    ),
    (Bug::ForgottenDecision, "the decision to commit is forgotten when its home restarts", "crash-alone-each"),
    (Bug::ReusedAttempt, "a retry reuses the id of its attempt", "crossing-each"),
    (Bug::LostReply, "a reply is not sent again to a caller that has restarted", "crash-calls-each"),
    (Bug::LeakedLock, "the locks of a step whose worker died stay held", "death-step-each"),
    (Bug::InboxMoved, "what lies below the mark of an inbox counts as new", "crash-sending-each"),
    (Bug::ReadOnlyReply, "a read-only reply does not wait for what it read", "crash-read-one"),
    (Bug::SharedWrite, "locks of writers do not exclude readers", "readers-each"),
    (Bug::ForgottenSend, "what a participant is to send with a commit is dropped", "sending-each"),
    (Bug::AheadUnchecked, "what a step did ahead of its turn counts, whatever it ran on", "ahead-elder-one"),
    (Bug::PartialStep, "of several writes of a step, the last is left out", "pair"),
];

/// What came of looking for a bug.
pub(super) struct Find {
    pub(super) bug: Bug,
    about: &'static str,
    pub(super) configuration: Option<Configuration>,
    pub(super) violation: Option<Violation>,
    states: usize,
    took: Duration,
}

pub(super) const HEAD: &str = "| planted bug | found in | as | states | seconds |\n|---|---|---|---|---|";

impl Find {
    pub(super) fn row(&self) -> String {
        let text = self.violation.as_ref().map_or("", |violation| violation.text.as_str());
        let text: String = text.lines().next().unwrap_or_default().chars().take(90).collect();
        let found = self.configuration.as_ref().map_or("not found", |configuration| configuration.name);
        format!("| {} | {found} | {text} | {} | {:.1} |", self.about, self.states, self.took.as_secs_f64())
    }
}

/// Looks for a bug, or for all of them, each in the configuration that is known to find it, or in others one after the
/// other.
pub(super) fn find(name: &str, others: Option<&[Configuration]>, limit: Duration, say: &mut dyn FnMut(&Find)) -> bool {
    let known = all();
    let mut found = true;
    for (bug, about, finds) in BUGS.iter().filter(|(bug, ..)| name == "all" || format!("{bug:?}") == name) {
        let its: Vec<Configuration> = known.iter().filter(|known| known.name == *finds).cloned().collect();
        let find = find_one(*bug, about, others.unwrap_or(&its), limit);
        found &= find.violation.is_some();
        say(&find);
    }
    found
}

fn find_one(bug: Bug, about: &'static str, chosen: &[Configuration], limit: Duration) -> Find {
    let began = Instant::now();
    let mut find = Find { bug, about, configuration: None, violation: None, states: 0, took: Duration::ZERO };
    for configuration in chosen {
        plant(Some(bug));
        let explored = explore(configuration, limit);
        plant(None);
        find.states += explored.states;
        if explored.violation.is_some() {
            find.configuration = Some(configuration.clone());
            find.violation = explored.violation;
            break;
        }
    }
    find.took = began.elapsed();
    find
}
