//! Runs seeds: one with a trace, or many on several threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::check::Violation;
use crate::happenings::Counts;
use crate::history::History;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::workload::Workload;
use crate::world::World;

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    pub workload: Workload,
    pub violation: Option<Violation>,
    pub events: u64,
    /// Microseconds.
    pub simulated: u64,
    pub records: u64,
    /// Starts of nodes beyond the first of each.
    pub restarts: u64,
    pub digest: u64,
    pub counts: Counts,
    /// What clients of registers saw; only with a trace.
    pub history: History,
    pub trace: Option<String>,
}

/// Runs one seed.
pub fn run(seed: u64, workload: Option<Workload>, traced: bool) -> Outcome {
    run_judged(seed, workload, traced, None)
}

/// Runs one seed, and only what this checker finds counts.
pub fn run_judged(seed: u64, workload: Option<Workload>, traced: bool, only: Option<&str>) -> Outcome {
    let plan = Plan::new(seed, workload);
    let (nodes, workload) = (plan.nodes.len() as u64, plan.workload);
    let (app, wishes) = workload.build(&mut Rng::new(seed ^ 0xabcd));
    let mut world = World::new(plan, app, wishes, traced);
    world.only = only.map(str::to_owned);
    let ended = catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Err(panic) = ended {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.violated("assertion", text.unwrap_or_else(|| "a panic".to_owned()));
    }
    let records = world.machines.iter().map(|machine| crate::chronicle::lock(&machine.chronicle).records).sum();
    Outcome {
        seed,
        workload,
        violation: world.violations.first().cloned(),
        events: world.events,
        simulated: world.time.now(),
        records,
        restarts: u64::from(world.lives).saturating_sub(nodes),
        digest: world.digest(),
        counts: world.counts.clone(),
        history: if traced { History::of(&world) } else { History::default() },
        trace: world.take_trace(),
    }
}

/// What came of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub seeds: u64,
    pub events: u64,
    /// Microseconds.
    pub simulated: u64,
    pub records: u64,
    pub restarts: u64,
    pub counts: Counts,
    pub took: Duration,
    pub failures: Vec<Outcome>,
}

/// Runs seeds with a bug in them until one fails.
#[cfg(feature = "planted")]
pub fn run_planted(bug: crate::planted::Bug, only: Option<&str>, seeds: &Seeds) -> Tally {
    run_prepared(seeds, only, || crate::planted::plant(Some(bug)))
}

/// Which seeds to run, and when to stop.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    pub first: u64,
    pub count: u64,
    pub workload: Option<Workload>,
    pub failures_max: usize,
    pub limit: Duration,
}

/// Runs seeds until enough have failed or the time is over.
pub fn run_many(seeds: &Seeds) -> Tally {
    run_prepared(seeds, None, || ())
}

/// `prepare` is called in each thread.
fn run_prepared(seeds: &Seeds, only: Option<&str>, prepare: impl Fn() + Sync) -> Tally {
    let Seeds { first, count, workload, failures_max, limit } = *seeds;
    let (next, tally, enough) = (AtomicU64::new(0), Mutex::new(Tally::default()), AtomicBool::new(false));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                prepare();
                while !enough.load(Ordering::Relaxed) && began.elapsed() < limit {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let outcome = run_judged(first + index, workload, false, only);
                    let mut tally = tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    tally.take_in(outcome);
                    enough.fetch_or(tally.failures.len() >= failures_max, Ordering::Relaxed);
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    tally.took = began.elapsed();
    tally.failures.sort_by_key(|failure| failure.seed);
    tally
}

impl Tally {
    fn take_in(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.simulated += outcome.simulated;
        self.records += outcome.records;
        self.restarts += outcome.restarts;
        self.counts.add(&outcome.counts);
        if outcome.violation.is_some() {
            self.failures.push(outcome);
        }
    }
}
