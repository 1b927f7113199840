//! Step workers played by the test: who gets what.

use std::sync::Arc;

use protocol::worker::{Delivered, Outcome, SliceCell, StepEnd};

use super::super::played::{Ear, Fate, Launcher, gone_on};
use super::*;

const WORKERS: usize = 2;
const COROUTINES_MAX: usize = 3;

fn invocation(number: u64) -> InvocationId {
    InvocationId(u128::from(number).to_be_bytes())
}

struct World {
    pool: Pool,
    ear: Ear,
    now: Instant,
    owed: Vec<Owed>,
}

impl World {
    /// Its workers are on their way.
    fn new() -> Self {
        let (ear, now) = (Ear::default(), Instant::now());
        let step_timeout = Duration::from_secs(10);
        let config = PoolConfig { workers: WORKERS, processes: true, step_timeout, coroutines_max: COROUTINES_MAX };
        let mut pool = Pool::new(config, Box::new(Launcher(Arc::clone(&ear))), now);
        pool.check(now).unwrap();
        Self { pool, ear, now, owed: Vec::new() }
    }

    fn loaded(&mut self, worker: u64) {
        let ready = FromWorker::Ready { pid: 1, python: "3".into(), problem: None };
        self.pool.said(WorkerId(worker), vec![ready], self.now, &mut self.owed);
        self.pool.flush(self.now);
    }

    fn start(&mut self, run: u64) {
        let start = Start { run: RunNumber(run), invocation: invocation(run), ..Start::default() };
        self.pool.start(PartitionId(0), start, &mut self.owed);
        self.pool.flush(self.now);
    }

    /// A start that follows another one.
    fn follow(&mut self, run: u64, follows: u64) {
        let start = Start { run: RunNumber(run), invocation: invocation(run), ..Start::default() };
        let start = Start { follows: Some(RunNumber(follows)), ..start };
        self.pool.start(PartitionId(0), start, &mut self.owed);
        self.pool.flush(self.now);
    }

    /// Starts that were dropped before they were sent.
    fn dropped(&mut self) -> Vec<u64> {
        let dropped = self.owed.drain(..).filter_map(|(_, input)| match input {
            Input::Worker(FromWorker::Dropped { run }) => Some(run.0),
            _ => None,
        });
        dropped.collect()
    }

    /// A step of this invocation runs and is suspended.
    fn suspends(&mut self, run: u64) {
        self.start(run);
        let heard = self.ear.lock().unwrap();
        let last = heard.messages.iter().rev().find_map(|(worker, message)| match message {
            ToWorker::Start(start) => Some((*worker, start.run)),
            _ => None,
        });
        drop(heard);
        let (worker, run_there) = last.expect("it was started");
        let end = StepEnd { run: run_there, invocation: invocation(run), ..StepEnd::default() };
        assert_eq!(end.status, StepStatus::Suspended);
        self.pool.said(worker, vec![FromWorker::End(Box::new(end))], self.now, &mut self.owed);
        self.pool.flush(self.now);
    }

    /// The first run that this worker was sent ends.
    fn drops_first(&mut self, worker: u64) {
        let run = RunNumber(self.sent(worker)[0]);
        self.pool.said(WorkerId(worker), vec![FromWorker::Dropped { run }], self.now, &mut self.owed);
        self.pool.flush(self.now);
    }

    /// The last run that this worker was sent ends.
    fn drops_last(&mut self, worker: u64) {
        let run = RunNumber(*self.sent(worker).last().expect("it was sent one"));
        self.pool.said(WorkerId(worker), vec![FromWorker::Dropped { run }], self.now, &mut self.owed);
        self.owed.clear();
    }

    /// Runs that a worker was sent.
    fn sent(&self, worker: u64) -> Vec<u64> {
        let heard = self.ear.lock().unwrap();
        let runs = heard.messages.iter().filter(|(to, _)| *to == WorkerId(worker));
        let number = |message: &ToWorker| match message {
            ToWorker::Start(start) => Some(start.run.0),
            _ => None,
        };
        runs.filter_map(|(_, message)| number(message)).collect()
    }
}

/// One invocation that waits for a task at position 0.
struct Waiting {
    world: World,
    /// The run that suspended it, as its worker knows it.
    left_by: u64,
}

impl Waiting {
    fn new() -> Self {
        let mut world = World::new();
        world.loaded(1);
        world.suspends(1);
        world.owed.clear();
        let left_by = world.sent(1)[0];
        Self { world, left_by }
    }

    fn goes_on(&mut self, after: u64, position: &str) -> Fate {
        self.goes_on_to(after, position, true)
    }

    /// Then it waits again, or has returned.
    fn goes_on_to(&mut self, after: u64, position: &str, suspended: bool) -> Fate {
        let (step, fate) = gone_on(invocation(1), after, (position, &Outcome::Value(vec![7])), suspended);
        self.world.pool.went_on(step);
        fate
    }

    /// The engine asks for the next step; what it is told at once.
    fn resume(&mut self, run: u64, position: &str, result: u8, slice: Slice) -> Vec<Input> {
        let delivered = vec![Delivered { position: position.into(), result: Outcome::Value(vec![result]) }];
        let resume = Resume { run: RunNumber(run), invocation: invocation(1), clock: 5, slice, delivered };
        self.world.pool.resume(PartitionId(0), resume, &mut self.world.owed);
        self.world.pool.flush(self.world.now);
        self.world.owed.drain(..).map(|(_, input)| input).collect()
    }

    /// Resumptions that a worker was sent.
    fn resumed(&self) -> usize {
        let heard = self.world.ear.lock().unwrap();
        heard.messages.iter().filter(|(_, message)| matches!(message, ToWorker::Resume(_))).count()
    }
}

fn is_end(inputs: &[Input], of: u64) -> bool {
    matches!(inputs, [Input::Worker(FromWorker::End(end))] if end.run == RunNumber(of))
}

fn is_dropped(inputs: &[Input], of: u64) -> bool {
    matches!(inputs, [Input::Worker(FromWorker::Dropped { run })] if *run == RunNumber(of))
}

#[test]
fn a_step_that_went_on_is_the_answer_to_what_is_asked_for_then() {
    let mut waiting = Waiting::new();
    let mut left_by = waiting.left_by;
    for (run, position) in [(50, "0"), (51, "1"), (52, "2")] {
        let old = waiting.goes_on(left_by + 100, position);
        assert_eq!(*old.lock().unwrap(), Some(Err(())), "of another suspension");
        let fate = waiting.goes_on(left_by, position);
        assert_eq!(*fate.lock().unwrap(), None);
        assert!(is_end(&waiting.resume(run, position, 7, Slice::default()), run));
        let taken_over = fate.lock().unwrap().take();
        let Some(Ok(RunNumber(number))) = taken_over else { panic!("{taken_over:?}") };
        left_by = number;
        assert!(waiting.world.pool.holds(invocation(1)));
    }
    assert_eq!((waiting.resumed(), waiting.world.pool.running()), (0, 0));
    // What did not go on is resumed as ever.
    assert!(waiting.resume(53, "3", 7, Slice::default()).is_empty());
    assert_eq!((waiting.resumed(), waiting.world.pool.running()), (1, 1));
}

#[test]
fn a_step_that_went_on_to_its_end_leaves_nothing() {
    let mut waiting = Waiting::new();
    waiting.goes_on_to(waiting.left_by, "0", false);
    assert!(is_end(&waiting.resume(50, "0", 7, Slice::default()), 50));
    assert!(!waiting.world.pool.holds(invocation(1)));
}

#[test]
fn a_step_that_went_on_with_something_else_is_run_again_from_the_journal() {
    let shipped = Slice { cells: vec![SliceCell::default()], ..Slice::default() };
    for (position, result, slice) in
        [("1", 7, Slice::default()), ("0", 8, Slice::default()), ("", 7, Slice::default()), ("0", 7, shipped)]
    {
        let mut waiting = Waiting::new();
        let fate = waiting.goes_on(waiting.left_by, "0");
        assert!(is_dropped(&waiting.resume(50, position, result, slice), 50), "{position} {result}");
        assert_eq!(*fate.lock().unwrap(), Some(Err(())));
        assert_eq!(waiting.resumed(), 0);
        assert!(!waiting.world.pool.holds(invocation(1)));
    }
}

#[test]
fn a_step_that_went_on_too_late_is_of_no_use() {
    let mut resumed = Waiting::new();
    assert!(resumed.resume(50, "0", 7, Slice::default()).is_empty());
    let fate = resumed.goes_on(resumed.left_by, "0");
    assert_eq!((*fate.lock().unwrap(), resumed.resumed()), (Some(Err(())), 1));

    let mut evicted = Waiting::new();
    let before = evicted.goes_on(evicted.left_by, "0");
    evicted.world.pool.evict(invocation(1));
    let after = evicted.goes_on(evicted.left_by, "0");
    assert_eq!((*before.lock().unwrap(), *after.lock().unwrap()), (Some(Err(())), Some(Err(()))));

    let mut lost = Waiting::new();
    let fate = lost.goes_on(lost.left_by, "0");
    let death = Death { cause: "ended".into(), ..Death::default() };
    lost.world.pool.gone(WorkerId(1), death, lost.world.now, &mut lost.world.owed);
    assert_eq!(*fate.lock().unwrap(), Some(Err(())));
    let told = lost.world.owed.pop();
    assert!(matches!(told, Some((_, Input::WorkersLost { suspended, .. })) if suspended == [invocation(1)]));
}

#[test]
fn nothing_stands_behind_a_step_while_a_worker_loads() {
    let mut world = World::new();
    world.loaded(1);
    world.start(1);
    world.start(2);
    assert_eq!(world.sent(1), [1], "the second waits for whoever is free first");
    world.loaded(2);
    assert_eq!(world.sent(2), [2]);
    // All are there, a spare is on its way: work may be sent ahead.
    world.pool.check(world.now).unwrap();
    world.start(3);
    world.start(4);
    assert_eq!((world.sent(1), world.sent(2)), (vec![1, 3], vec![2, 4]));
}

#[test]
fn what_waits_for_a_worker_that_loads_goes_on_without_it() {
    let mut world = World::new();
    world.loaded(1);
    world.start(1);
    world.start(2);
    world.start(3);
    world.drops_first(1);
    assert_eq!(world.sent(1), [1, 2]);
    let death = Death { cause: "exited with code 1".into(), output: String::new(), word: None };
    world.pool.gone(WorkerId(2), death, world.now, &mut world.owed);
    world.pool.flush(world.now);
    assert_eq!(world.sent(1), [1, 2, 3], "nobody loads until the next try");
}

#[test]
fn partitions_are_asked_to_let_go_of_the_coroutines_that_wait_longest() {
    let mut world = World::new();
    for worker in 1..=2 {
        world.loaded(worker);
    }
    let asked = |world: &mut World| -> Vec<InvocationId> {
        let owed = world.owed.drain(..);
        let crowded = owed.filter_map(|(_, input)| match input {
            Input::Crowded { invocation } => Some(invocation),
            _ => None,
        });
        crowded.collect()
    };
    for run in 1..=COROUTINES_MAX as u64 {
        world.suspends(run);
    }
    assert!(asked(&mut world).is_empty(), "there is room for these");
    world.suspends(4);
    assert_eq!(asked(&mut world), [invocation(1)]);
    // It is in a transaction and stays; the next one goes on by itself.
    world.pool.evict(invocation(2));
    world.suspends(5);
    assert_eq!(asked(&mut world), [invocation(3)]);
    world.pool.evict(invocation(3));
    // Who was suspended again waits since then.
    world.suspends(4);
    world.suspends(6);
    assert_eq!(asked(&mut world), [invocation(5)]);
}

#[test]
fn the_order_of_coroutines_does_not_grow_with_what_is_gone() {
    let mut world = World::new();
    world.loaded(1);
    for run in 1..20_000 {
        world.suspends(run);
        world.pool.evict(invocation(run));
    }
    assert!(world.pool.suspended.len() <= limits::SUSPENDED_GONE_MAX + 1);
}

#[test]
fn who_follows_what_was_sent_goes_behind_it_at_once() {
    let mut world = World::new();
    world.loaded(1);
    world.start(1);
    world.follow(2, 1);
    world.follow(3, 2);
    assert_eq!(world.sent(1), [1, 2, 3], "also past the bound of a worker while another one loads");
    // What it follows may have ended meanwhile: the worker still has what it left.
    (0..3).for_each(|at| {
        let run = RunNumber(world.sent(1)[at]);
        world.pool.said(WorkerId(1), vec![FromWorker::Dropped { run }], world.now, &mut world.owed);
    });
    assert_eq!(world.dropped(), [1, 2, 3]);
    world.follow(4, 3);
    assert_eq!((world.sent(1), world.dropped()), (vec![1, 2, 3, 4], vec![]));
    // Behind anything else it would only be dropped there.
    world.follow(5, 3);
    assert_eq!((world.sent(1), world.dropped()), (vec![1, 2, 3, 4], vec![5]));
    world.drops_last(1);
    world.suspends(6);
    world.follow(7, 4);
    assert_eq!(world.dropped(), [7]);
    let resume = Resume { run: RunNumber(8), invocation: invocation(6), ..Resume::default() };
    world.pool.resume(PartitionId(0), resume, &mut world.owed);
    world.pool.flush(world.now);
    world.follow(9, 6);
    assert_eq!(world.dropped(), [9]);
}

#[test]
fn nobody_follows_what_runs_alone() {
    let mut world = World::new();
    world.loaded(1);
    world.start(1);
    let death = Death { cause: "was killed by signal 9".into(), output: String::new(), word: None };
    world.pool.gone(WorkerId(1), death, world.now, &mut world.owed);
    world.loaded(2);
    world.start(1);
    world.follow(2, 1);
    assert_eq!((world.sent(2).len(), world.dropped()), (1, vec![2]));
}

#[test]
fn short_steps_go_to_the_first_worker_until_it_would_keep_them_waiting() {
    let mut world = World::new();
    for worker in 1..=2 {
        world.loaded(worker);
    }
    let mut runs = 1..;
    let mut end = |world: &mut World, took: Duration| {
        world.start(runs.next().unwrap());
        let run = RunNumber(*world.sent(1).last().unwrap());
        let busy = FromWorker::Busy(took.as_micros() as u64);
        world.pool.said(WorkerId(1), vec![FromWorker::Dropped { run }, busy], world.now, &mut world.owed);
    };
    let short = limits::SHORT_RUN_MAX / 5;
    (0..500).for_each(|_| end(&mut world, short));
    assert!(world.sent(2).is_empty());
    let (before, most) = (world.sent(1).len(), limits::EXPECTED_WAIT_MAX.as_micros() / short.as_micros());
    (1000..1000 + 2 * most as u64).for_each(|run| world.start(run));
    let first = (world.sent(1).len() - before) as u128;
    assert!((most..most + 5).contains(&first), "{first} of {}", 2 * most);
    assert_eq!(world.sent(2).len() as u128, 2 * most - first);
}

#[test]
fn long_steps_are_spread() {
    let mut world = World::new();
    for worker in 1..=2 {
        world.loaded(worker);
    }
    for run in 1..=20 {
        world.start(run);
        let (run, busy) = (RunNumber(world.sent(1)[run as usize - 1]), FromWorker::Busy(5000));
        world.pool.said(WorkerId(1), vec![FromWorker::Dropped { run }, busy], world.now, &mut world.owed);
    }
    (100..104).for_each(|run| world.start(run));
    assert_eq!((world.sent(1).len(), world.sent(2).len()), (22, 2));
}
