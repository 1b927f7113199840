//! Bugs on purpose: each is planted, and seeds are run until a checker finds it.

use std::fmt::Write as _;

use crate::seeds::{Outcome, Seeds, run_planted};

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

/// All of them, each with checkers that have to find it, whatever the others say.
pub fn all() -> Vec<(Bug, &'static [&'static str])> {
    use engine::planted::Bug as E;
    use runtime::planted::Bug as R;
    use store::planted::Bug as S;
    let engine: [(E, &[&str]); 26] = [
        (E::ReusedAttempt, &["progress"]),
        (E::LateAbort, &["progress"]),
        (E::ForgottenDecision, &["atomic"]),
        (E::LostReply, &["progress"]),
        (E::JournalByPosition, &["journal"]),
        (E::LeakedLock, &["progress"]),
        (E::EarlyForget, &["retention", "once"]),
        (E::InboxMoved, &["once"]),
        (E::ReadOnlyReply, &["dirty"]),
        (E::Siblings, &["sums"]),
        (E::JudgedOnArrival, &["progress"]),
        (E::NoFreeze, &["serial"]),
        (E::TimerLost, &["progress"]),
        (E::PartialStep, &["serial"]),
        (E::SharedWrite, &["serial", "linear"]),
        (E::ForgottenSend, &["sums"]),
        (E::HalfRecord, &["atomic"]),
        (E::LostPromise, &["atomic"]),
        (E::KeptShort, &["retention"]),
        (E::KeyKept, &["retention"]),
        (E::NotJoined, &["once"]),
        (E::InboxGrows, &["bounds"]),
        (E::AdmitsAll, &["bounds"]),
        (E::TooLarge, &["bounds"]),
        (E::AheadUnchecked, &["linear"]),
        (E::StaleCell, &["linear"]),
    ];
    let driver: [(R, &[&str]); 7] = [
        (R::ReplyBeforeDurable, &["dirty"]),
        (R::StateAhead, &["loss"]),
        (R::OverlayDropped, &["serial"]),
        (R::TaskBeforeDurable, &["dirty"]),
        (R::ReplayGap, &["replay"]),
        (R::MessageBeforeDurable, &["dirty"]),
        (R::DeletionKept, &["replay"]),
    ];
    let log: [(S, &[&str]); 3] =
        [(S::TornBatch, &["loss"]), (S::WatermarkBeforeSync, &["loss", "linear"]), (S::TrimAhead, &["loss"])];
    let engine = engine.into_iter().map(|(bug, by)| (Bug::Engine(bug), by));
    let driver = driver.into_iter().map(|(bug, by)| (Bug::Runtime(bug), by));
    engine.chain(driver).chain(log.into_iter().map(|(bug, by)| (Bug::Store(bug), by))).collect()
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
    /// Who had to find it, alone; `None`: anybody.
    pub by: Option<String>,
    pub seeds: u64,
    pub found: Option<Outcome>,
}

/// Looks for each bug, or for the one with this name, with these seeds at most: first with all checkers, then with
/// each of those that have to find it, or with `only`, alone.
pub fn find_all(name: Option<&str>, only: Option<&str>, seeds: &Seeds) -> Vec<Find> {
    let mut finds = Vec::new();
    for (bug, by) in all().into_iter().filter(|(bug, _)| name.is_none_or(|name| bug.text().ends_with(name))) {
        let alone = by.iter().filter(|by| only.is_none_or(|only| only == **by)).map(|by| Some((*by).to_owned()));
        let asked = only.filter(|_| name.is_some()).map(|only| Some(only.to_owned()));
        let ways: Vec<Option<String>> = match (asked, only) {
            (Some(asked), _) => vec![asked],
            (None, Some(_)) => alone.collect(),
            (None, None) => std::iter::once(None).chain(alone).collect(),
        };
        for by in ways {
            let tally = run_planted(bug, by.as_deref(), seeds);
            let found = tally.failures.first().cloned();
            finds.push(Find { bug, by, seeds: tally.seeds, found });
        }
    }
    finds
}

/// The table: bug, who looked for it, who found it, after how many seeds.
pub fn table(finds: &[Find]) -> String {
    let mut text = format!("{:<32} {:<10} {:<10} {:>6}  {:>6}\n", "planted bug", "judge", "found by", "seed", "seeds");
    for find in finds {
        let found = find.found.as_ref().and_then(|outcome| outcome.violation.as_ref());
        let found = found.map_or("NOT FOUND", |violation| violation.checker);
        let seed = find.found.as_ref().map_or_else(String::new, |outcome| outcome.seed.to_string());
        let (bug, judge) = (find.bug.text(), find.by.as_deref().unwrap_or("all"));
        let _ = writeln!(text, "{bug:<32} {judge:<10} {found:<10} {seed:>6}  {:>6}", find.seeds);
    }
    text
}
