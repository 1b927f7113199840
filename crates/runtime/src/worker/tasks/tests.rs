//! Task workers played by the test: who gets what, and what time limits and deaths mean.

use std::sync::Arc;

use super::super::played::{Ear, Launcher};
use super::*;

struct World {
    pool: TaskPool,
    held: Arc<Held>,
    durable: Position,
    ear: Ear,
    now: Instant,
    owed: Vec<Owed>,
}

impl World {
    fn new(processes: usize) -> Self {
        let (ear, held, now) = (Ear::default(), Arc::<Held>::default(), Instant::now());
        let (config, launch) = (TaskPoolConfig::processes(processes), Box::new(Launcher(Arc::clone(&ear))));
        Self {
            pool: TaskPool::new(config, launch, Arc::clone(&held), now),
            held,
            durable: Position(0),
            ear,
            now,
            owed: Vec::new(),
        }
    }

    /// One process, which has begun with run 1.
    fn begun() -> Self {
        let mut world = Self::new(1);
        world.start(1, None);
        world.go(0);
        world.ready(1);
        world
    }

    fn start(&mut self, run: u64, timeout_ms: Option<u64>) {
        self.start_after(0, run, timeout_ms);
    }

    /// A task that rests on a position of the log.
    fn start_after(&mut self, after: u64, run: u64, timeout_ms: Option<u64>) {
        let call = TaskCall {
            function: format!("app.task{run}"),
            timeout: timeout_ms.map(|ms| ms * 1_000),
            ..TaskCall::default()
        };
        let (after, invocation) = (Position(after), InvocationId::default());
        let start = TaskStart {
            run: RunNumber(run),
            after,
            invocation,
            awaited_at: Some("0".to_owned()),
            call: Arc::new(call),
        };
        self.pool.start(PartitionId(0), start);
    }

    /// Lets time pass, starts processes, places tasks.
    fn go(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.pool.check(self.now).unwrap();
        self.pool.flush(self.durable, self.now, &mut self.owed);
    }

    fn ready(&mut self, worker: u64) {
        self.said(worker, FromWorker::Ready { pid: 1, python: "3".into(), problem: None });
        self.go(0);
    }

    fn said(&mut self, worker: u64, message: FromWorker) {
        assert_eq!(self.pool.said(WorkerId(worker), vec![message], self.now, &mut self.owed), []);
    }

    fn dies(&mut self, worker: u64) {
        let death = Death { cause: "was killed by signal 9".into(), output: String::new(), word: None };
        assert!(self.pool.gone(WorkerId(worker), &death, self.now, &mut self.owed).is_some());
        self.go(0);
    }

    /// Tasks sent since the last look: worker, the number it knows, function.
    fn sent(&mut self) -> Vec<(u64, u64, String)> {
        let messages = std::mem::take(&mut self.ear.lock().unwrap().messages);
        let tasks = messages.into_iter().filter_map(|(worker, message)| match message {
            ToWorker::Task(task) => Some((worker.0, task.run.0, task.function)),
            _ => None,
        });
        tasks.collect()
    }

    /// What partitions were told since the last look: run, and the class of its exception or `started`, `value`.
    fn told(&mut self) -> Vec<(u64, String)> {
        let told = |(_, input): Owed| match input {
            Input::TaskStarted { run } => (run.0, "started".to_owned()),
            Input::TaskEnded { run, outcome: Outcome::Value(_), .. } => (run.0, "value".to_owned()),
            Input::TaskEnded { run, outcome: Outcome::Exception(bytes), is_final } => {
                let last = if is_final { ", final" } else { "" };
                (run.0, format!("{}{last}", Exception::from_value(&bytes).class))
            }
            other => panic!("{other:?}"),
        };
        std::mem::take(&mut self.owed).into_iter().map(told).collect()
    }

    fn ends(&mut self, worker: u64, run: u64) {
        self.said(worker, FromWorker::TaskEnd { run: RunNumber(run), outcome: Outcome::default(), is_final: false });
        self.go(0);
    }
}

fn task(worker: u64, run: u64) -> (u64, u64, String) {
    (worker, run, format!("app.task{run}"))
}

#[test]
fn processes_start_when_tasks_want_them() {
    let mut world = World::new(2);
    world.go(0);
    assert_eq!(world.ear.lock().unwrap().launched, 0);
    for run in 1..=3 {
        world.start(run, None);
    }
    world.go(0);
    assert_eq!(world.sent(), []);
    assert_eq!(world.ear.lock().unwrap().launched, 2);
    world.ready(1);
    assert_eq!(world.sent(), [task(1, 1), task(1, 2), task(1, 3)]);
    world.ends(1, 2);
    let started = |run| (run, "started".to_owned());
    assert_eq!(world.told(), [started(1), started(2), started(3), (2, "value".to_owned())]);
}

#[test]
fn beyond_the_bound_tasks_wait_in_order() {
    let mut world = World::new(1);
    let max = limits::TASKS_PER_WORKER_MAX as u64;
    for run in 1..=max + 2 {
        world.start(run, None);
    }
    world.go(0);
    world.ready(1);
    assert_eq!(world.sent().len() as u64, max);
    world.ends(1, 5);
    assert_eq!(world.sent(), [task(1, max + 1)]);
    world.ends(1, 1);
    assert_eq!(world.sent(), [task(1, max + 2)]);
}

#[test]
fn short_tasks_go_to_the_first_process_and_long_ones_are_spread() {
    for (took, expected) in [(limits::SHORT_RUN_MAX / 5, (8, 0)), (limits::SHORT_RUN_MAX * 5, (4, 4))] {
        let mut world = World::new(2);
        // The second process is started because there are two.
        world.start(1, None);
        world.start(2, None);
        world.go(0);
        world.ready(1);
        world.ready(2);
        world.ends(1, 1);
        world.ends(1, 2);
        for run in 3..200 {
            world.start(run, None);
            world.go(0);
            assert_eq!(world.sent().last(), Some(&task(1, run)));
            let end = FromWorker::TaskEnd { run: RunNumber(run), outcome: Outcome::default(), is_final: false };
            world.pool.said(
                WorkerId(1),
                vec![end, FromWorker::Busy(took.as_micros() as u64)],
                world.now,
                &mut world.owed,
            );
        }
        (200..208).for_each(|run| world.start(run, None));
        world.go(0);
        let sent = world.sent();
        let of = |worker| sent.iter().filter(|(to, ..)| *to == worker).count();
        assert_eq!((of(1), of(2)), expected);
    }
}

#[test]
fn a_late_task_ends_its_process_and_the_others_run_again() {
    let mut world = World::new(1);
    world.start(1, None);
    world.start(2, Some(100));
    world.go(0);
    world.ready(1);
    world.go(99);
    assert!(world.ear.lock().unwrap().killed.is_empty());
    world.go(1);
    assert!(world.ear.lock().unwrap().killed[0].1.contains("task2 took too long"));
    world.told();
    world.dies(1);
    assert_eq!(world.told(), [(2, "builtins.TimeoutError".to_owned())]);
    world.sent();
    world.ready(2);
    assert_eq!(world.sent(), [task(2, 1)], "anew, and the late one not");
}

#[test]
fn a_task_that_loses_its_process_to_others_runs_alone_in_the_end() {
    let mut world = World::new(1);
    world.start(1, None);
    for round in 0..u64::from(limits::TASK_DISPLACED_MAX) {
        world.start(10 + round, Some(100));
        world.go(0);
        world.ready(1 + round);
        world.go(100);
        world.dies(1 + round);
    }
    world.sent();
    world.start(20, None);
    world.go(0);
    world.ready(1 + u64::from(limits::TASK_DISPLACED_MAX));
    assert_eq!(world.sent().len(), 1, "the other one waits until it has ended");
    world.ends(1 + u64::from(limits::TASK_DISPLACED_MAX), 1);
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_task_whose_process_dies_again_and_again_is_lost() {
    let mut world = World::new(1);
    world.start(1, None);
    for worker in 1..=u64::from(limits::TASK_DEATHS_MAX) {
        world.go(0);
        world.ready(worker);
        world.told();
        world.dies(worker);
    }
    assert_eq!(world.told(), [(1, "sostenuto.TaskLost, final".to_owned())]);
    assert_eq!(world.pool.running(), 0);
}

#[test]
fn after_a_death_suspects_run_one_by_one() {
    let mut world = World::new(1);
    world.start(1, None);
    world.start(2, None);
    world.go(0);
    world.ready(1);
    world.sent();
    world.dies(1);
    world.ready(2);
    assert_eq!(world.sent(), [task(2, 1)]);
    world.ends(2, 1);
    assert_eq!(world.sent(), [task(2, 2)]);
}

#[test]
fn what_nobody_wants_is_forgotten_or_ended() {
    let mut world = World::new(1);
    world.start(1, None);
    world.start(2, None);
    world.pool.stop(PartitionId(0), RunNumber(2), world.now);
    world.go(0);
    world.ready(1);
    assert_eq!(world.sent(), [task(1, 1)]);
    world.pool.stop(PartitionId(0), RunNumber(1), world.now);
    world.go(0);
    assert!(matches!(world.ear.lock().unwrap().messages[..], [(_, ToWorker::StopTask(RunNumber(1)))]));
    world.told();
    world.go(limits::TASK_STOP_WAIT.as_millis() as u64);
    assert!(world.ear.lock().unwrap().killed[0].1.contains("cancelled task task1 did not end"));
    world.dies(1);
    assert_eq!((world.told(), world.pool.running()), (vec![], 0));
    assert_eq!(world.pool.next_wake(), None);
}

#[test]
fn output_is_marked_with_its_task() {
    let mut world = World::begun();
    let output = FromWorker::TaskOutput { run: RunNumber(1), stream: 0, text: "hello\n".into() };
    let news = world.pool.said(WorkerId(1), vec![output], world.now, &mut Vec::new());
    let (invocation, name) = (InvocationId::default(), "task task1".to_owned());
    assert_eq!(news, [TaskNews::Output { invocation, name, stream: 0, text: "hello\n".into() }]);
}

#[test]
fn a_task_is_sent_when_its_record_is_durable_and_the_pool_hears_of_it_later() {
    let mut world = World::begun();
    assert_eq!((world.sent(), world.told()), (vec![task(1, 1)], vec![(1, "started".to_owned())]));
    world.start_after(7, 2, Some(100));
    world.start_after(8, 3, None);
    world.go(50);
    world.held.let_out(Position(7));
    assert_eq!(world.sent(), [], "what is placed together leaves together");
    world.held.let_out(Position(8));
    assert_eq!((world.sent(), world.told()), (vec![task(1, 2), task(1, 3)], vec![]));
    assert!(world.pool.next_wake().is_some_and(|wake| wake <= world.now + limits::TASK_SENT_WAIT));
    // One ends before the pool has heard that it has begun.
    world.ends(1, 3);
    assert_eq!(world.told(), [(3, "value".to_owned())]);
    world.durable = Position(8);
    world.go(60);
    assert_eq!(world.told(), [(2, "started".to_owned())]);
    // Its time began to run when it was sent, as far as the pool knows.
    world.go(99);
    assert!(world.ear.lock().unwrap().killed.is_empty());
    world.go(1);
    assert!(world.ear.lock().unwrap().killed[0].1.contains("task2 took too long"));
}

#[test]
fn what_was_not_sent_is_called_back() {
    let mut world = World::begun();
    world.sent();
    for run in 2..=4 {
        world.start_after(5, run, None);
    }
    world.go(0);
    // Nobody wants it any more; it never ran.
    world.pool.stop(PartitionId(0), RunNumber(3), world.now);
    world.told();
    world.dies(1);
    world.held.let_out(Position(5));
    assert_eq!((world.sent(), world.told()), (vec![], vec![]), "its worker is gone");
    world.durable = Position(5);
    world.ready(2);
    // The one that ran there is a suspect, the others are not.
    assert_eq!(world.sent(), [task(2, 1)]);
    world.ends(2, 1);
    assert_eq!(world.sent(), [task(2, 2), task(2, 4)]);
}

#[test]
fn what_was_sent_unheard_is_a_suspect_like_others() {
    let mut world = World::begun();
    world.ends(1, 1);
    world.start_after(5, 2, None);
    world.start_after(5, 3, None);
    world.go(0);
    world.held.let_out(Position(5));
    world.sent();
    world.pool.stop(PartitionId(0), RunNumber(3), world.now);
    world.go(0);
    assert!(matches!(world.ear.lock().unwrap().messages[..], [(_, ToWorker::StopTask(RunNumber(3)))]));
    world.dies(1);
    world.ready(2);
    world.start(4, None);
    world.go(0);
    assert_eq!(world.sent(), [(2, 2, "app.task2".to_owned())], "alone");
}

#[test]
fn at_the_end_nothing_more_is_sent() {
    let mut world = World::begun();
    world.sent();
    world.start_after(5, 2, None);
    world.go(0);
    world.pool.drain();
    assert_eq!(world.pool.running(), 1);
    world.held.let_out(Position(5));
    world.durable = Position(5);
    world.go(0);
    assert_eq!(world.sent(), []);
}
