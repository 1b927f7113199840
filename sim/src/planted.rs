//! Bugs on purpose: each is planted, and seeds are run until a checker finds it.

use std::fmt::Write as _;
use std::time::Duration;

use crate::seeds::{Outcome, run_planted};

/// A bug of some crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    Engine(engine::planted::Bug),
    Runtime(runtime::planted::Bug),
    Store(store::planted::Bug),
}

impl Bug {
    fn text(self) -> String {
        match self {
            Self::Engine(bug) => format!("engine: {bug:?}"),
            Self::Runtime(bug) => format!("driver: {bug:?}"),
            Self::Store(bug) => format!("log: {bug:?}"),
        }
    }
}

/// All of them.
pub fn all() -> Vec<Bug> {
    use engine::planted::Bug as E;
    use runtime::planted::Bug as R;
    use store::planted::Bug as S;
    let engine = [
        E::ReusedAttempt,
        E::LateAbort,
        E::ForgottenDecision,
        E::LostReply,
        E::JournalByPosition,
        E::LeakedLock,
        E::EarlyForget,
        E::InboxMoved,
        E::ReadOnlyReply,
        E::Siblings,
        E::JudgedOnArrival,
        E::NoFreeze,
        E::TimerLost,
        E::PartialStep,
        E::SharedWrite,
        E::ForgottenSend,
    ];
    let driver = [
        R::ReplyBeforeDurable,
        R::StateAhead,
        R::OverlayDropped,
        R::TaskBeforeDurable,
        R::ReplayGap,
        R::MessageBeforeDurable,
    ];
    let log = [S::TornBatch, S::WatermarkBeforeSync, S::TrimAhead];
    let engine = engine.into_iter().map(Bug::Engine);
    let driver = driver.into_iter().map(Bug::Runtime);
    engine.chain(driver).chain(log.into_iter().map(Bug::Store)).collect()
}

/// Plants a bug in this thread; `None` takes it out.
pub fn plant(bug: Option<Bug>) {
    engine::planted::plant(if let Some(Bug::Engine(bug)) = bug { Some(bug) } else { None });
    runtime::planted::plant(if let Some(Bug::Runtime(bug)) = bug { Some(bug) } else { None });
    store::planted::plant(if let Some(Bug::Store(bug)) = bug { Some(bug) } else { None });
}

/// What it took to find a bug.
#[derive(Clone, Debug)]
pub struct Find {
    pub bug: Bug,
    pub seeds: u64,
    pub found: Option<Outcome>,
}

/// Looks for each bug, or for the one with this name, with at most so many seeds.
pub fn find_all(name: Option<&str>, seeds_max: u64, limit: Duration) -> Vec<Find> {
    let wanted = |bug: &Bug| name.is_none_or(|name| bug.text().ends_with(name));
    let find = |bug| {
        let tally = run_planted(bug, seeds_max, limit);
        Find { bug, seeds: tally.seeds, found: tally.failures.first().cloned() }
    };
    all().into_iter().filter(wanted).map(find).collect()
}

/// The table: bug, checker, seeds.
pub fn table(finds: &[Find]) -> String {
    let mut text = format!("{:<32} {:<12} {:>6}  {:>6}\n", "planted bug", "found by", "seed", "seeds");
    for find in finds {
        let by = find.found.as_ref().and_then(|outcome| outcome.violation.as_ref());
        let by = by.map_or("NOT FOUND", |violation| violation.checker);
        let seed = find.found.as_ref().map_or_else(String::new, |outcome| outcome.seed.to_string());
        let _ = writeln!(text, "{:<32} {by:<12} {seed:>6}  {:>6}", find.bug.text(), find.seeds);
    }
    text
}
