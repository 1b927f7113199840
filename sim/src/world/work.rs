//! What worker processes do: they load the application, take messages one by one, run coroutines and tasks, say what
//! came of it, and die.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use protocol::message::Exception;
use protocol::worker::{FromWorker, Outcome, RUST_TASK, Resume, Slice, Start, StepStatus, TaskRun, ToWorker, left_by};
use protocol::{RunNumber, Value, msgpack};
use runtime::stepped::{Death, WorkerEvent, WorkerId};

use super::machine::Up;
use super::process::{Kind, Process, Steps, started};
use super::{Event, World};
use crate::check;
use crate::coroutine::{Coroutine, Progress};
use crate::happenings::Happening;
use crate::native::Fate;
use crate::recorder::Witness;

/// Microseconds for which processes seem to be quick, or slow.
const BUSY_TURN: u64 = 20_000;

/// The number that a task was given.
fn errand_of(args: &[u8]) -> i64 {
    let (args, _) = msgpack::decode_args(args).expect("arguments are ones that we wrote");
    match args.first() {
        Some(Value::Int(number)) => *number,
        other => panic!("a number, not {other:?}"),
    }
}

impl World {
    /// Looks after the processes of a node: new ones, those that are to end, those with something to do.
    pub(super) fn staff(&mut self, node: usize) {
        let life = self.machines[node].life;
        let Some(up) = self.machines[node].up.as_mut() else { return };
        let new = started(&up.board);
        for (kind, worker, mail) in new {
            let up = self.machines[node].up.as_mut().expect("it still lives");
            up.processes.insert((kind, worker), Process::new(mail));
            let after = self.delay(300);
            self.later(after, Event::Ready(node, life, kind, worker));
        }
        let up = self.machines[node].up.as_ref().expect("it still lives");
        let ends: Vec<_> = up.processes.iter().filter_map(|(key, p)| Some((*key, p.mail.killed()?))).collect();
        for ((kind, worker), cause) in ends {
            self.die(node, kind, worker, &cause, true);
        }
        self.set_to_work(node);
    }

    fn set_to_work(&mut self, node: usize) {
        let (life, now) = (self.machines[node].life, self.time.now());
        let up = self.machines[node].up.as_mut().expect("it still lives");
        let mut turns = Vec::new();
        for ((kind, worker), process) in &mut up.processes {
            if !process.busy && process.mail.has(process.blocked.is_some()) {
                process.busy = true;
                turns.push((process.busy_until.max(now) + 1, *kind, *worker));
            }
        }
        for (at, kind, worker) in turns {
            let at = at + self.rng.below(20);
            self.at(at, Event::Work(node, life, kind, worker));
        }
    }

    pub(super) fn ready(&mut self, node: usize, kind: Kind, worker: WorkerId) {
        if self.process(node, kind, worker).is_some() {
            let ready = FromWorker::Ready { pid: worker.0 as u32, python: "3".to_owned(), problem: None };
            self.say(node, kind, worker, 1, ready);
        }
    }

    fn process(&mut self, node: usize, kind: Kind, worker: WorkerId) -> Option<&mut Process> {
        self.machines[node].up.as_mut()?.processes.get_mut(&(kind, worker))
    }

    /// A process says something after working for so long.
    fn say(&mut self, node: usize, kind: Kind, worker: WorkerId, after: u64, message: FromWorker) {
        let now = self.time.now();
        let travel = self.rng.range(1, 40);
        let life = self.machines[node].life;
        let Some(process) = self.process(node, kind, worker) else { return };
        let left = now + after;
        let arrives = (left + travel).max(process.heard_until);
        process.heard_until = arrives;
        process.said.push_back((left, arrives, message));
        self.at(arrives, Event::Hear(node, life, kind, worker));
    }

    pub(super) fn hear(&mut self, node: usize, kind: Kind, worker: WorkerId) {
        let now = self.time.now();
        let Some(process) = self.process(node, kind, worker) else { return };
        let mut heard = Vec::new();
        while process.said.front().is_some_and(|(_, arrives, _)| *arrives <= now) {
            heard.extend(process.said.pop_front().map(|(.., message)| message));
        }
        if heard.is_empty() {
            return;
        }
        // By turns it seems to be quick, so that it gets much at once, and slow.
        let each = if (now / BUSY_TURN).is_multiple_of(2) { 10 } else { 1000 };
        heard.push(FromWorker::Busy(each * heard.len() as u64));
        let mut went_on = Steps::new();
        for message in &heard {
            if let FromWorker::TaskEnd { run, .. } = message {
                went_on.extend(process.went_on.remove(run).map(|step| (*run, step)));
            }
        }
        let up = self.machines[node].up.as_mut().expect("it still lives");
        tell_all(up, kind, worker, heard, went_on);
        self.poke(node);
    }

    /// A process takes its next message.
    pub(super) fn work(&mut self, node: usize, kind: Kind, worker: WorkerId) {
        let Some(process) = self.process(node, kind, worker).filter(|process| !process.dead) else { return };
        process.busy = false;
        let Some(message) = process.mail.take(process.blocked.is_some()) else { return };
        match message {
            ToWorker::Start(start) => self.start_or_follow(node, worker, *start),
            ToWorker::Resume(resume) => self.resume_run(node, worker, &resume),
            ToWorker::Evict(invocation) => {
                let held = process.coroutines.remove(&invocation).is_some();
                self.counts.note(Happening::CoroutineEvicted, u64::from(held));
            }
            ToWorker::Fetched { run, slice } => {
                let Some(coroutine) = process.blocked.take() else { return };
                self.fetched(node, worker, coroutine, run, slice);
            }
            ToWorker::Task(task) => self.begin_task(node, worker, *task),
            ToWorker::StopTask(run) => {
                if let Some(at) = process.tasks.iter().position(|task| task.run == run) {
                    process.tasks.remove(at);
                    let outcome = Outcome::Exception(Exception::encode("asyncio.exceptions.CancelledError", "stopped"));
                    self.say(node, kind, worker, 1, FromWorker::TaskEnd { run, outcome, is_final: true });
                }
            }
        }
        if self.machines[node].up.is_some() {
            self.set_to_work(node);
        }
    }

    /// Starts a run. One that follows another one gets what that has left, unless the worker has taken too long.
    fn start_or_follow(&mut self, node: usize, worker: WorkerId, mut start: Start) {
        let process = self.process(node, Kind::Steps, worker).expect("it works");
        let left = process.left.take();
        if let Some(follows) = start.follows {
            let in_time = !self.rng.once_in(8);
            let Some((_, left)) = left.filter(|(last, _)| *last == follows && in_time) else {
                self.counts.note(Happening::NotFollowed, 1);
                return self.say(node, Kind::Steps, worker, 1, FromWorker::Dropped { run: start.run });
            };
            self.counts.note(Happening::RunAhead, 1);
            start.slice = left;
            let life = self.machines[node].life;
            self.recorder.borrow_mut().runs_ahead(start.invocation, start.run.0, life);
        }
        self.start_run(node, worker, &start);
    }

    fn start_run(&mut self, node: usize, worker: WorkerId, start: &Start) {
        let (app, witness) = (self.app.clone(), Witness::new(&self.recorder, self.machines[node].life));
        self.begin_run(node, worker, start.run);
        self.counts.note(Happening::CoroutineRebuilt, u64::from(!start.journal.is_empty()));
        self.trace(|| {
            let Start { run, service, method, invocation, .. } = start;
            format!("node {node} {worker:?}: start {} of {service}.{method} {invocation}", run.0)
        });
        let (coroutine, progress) = Coroutine::start(&app, start, &witness);
        self.progress(node, worker, coroutine, progress);
    }

    fn resume_run(&mut self, node: usize, worker: WorkerId, resume: &Resume) {
        self.begin_run(node, worker, resume.run);
        self.trace(|| format!("node {node} {worker:?}: resume {} of {}", resume.run.0, resume.invocation));
        let process = self.process(node, Kind::Steps, worker).expect("it works");
        match process.coroutines.remove(&resume.invocation) {
            Some(mut coroutine) => {
                let progress = coroutine.resume(resume);
                self.progress(node, worker, coroutine, progress);
            }
            None if process.went.remove(&resume.invocation) => {
                process.mail.word.store(0, Ordering::Relaxed);
                self.say(node, Kind::Steps, worker, 1, FromWorker::Dropped { run: resume.run });
            }
            None => self.violated("journal", format!("{} is to be resumed where nobody holds it", resume.invocation)),
        }
    }

    fn fetched(&mut self, node: usize, worker: WorkerId, coroutine: Coroutine, run: RunNumber, slice: Option<Slice>) {
        let mut coroutine = coroutine;
        match slice {
            Some(slice) => {
                let progress = coroutine.fetched(&slice);
                self.progress(node, worker, coroutine, progress);
            }
            None => {
                let process = self.process(node, Kind::Steps, worker).expect("it works");
                process.mail.word.store(0, Ordering::Relaxed);
                let life = self.machines[node].life;
                self.recorder.borrow_mut().drops(coroutine.start.invocation, run.0, life);
                self.say(node, Kind::Steps, worker, 1, FromWorker::Dropped { run });
            }
        }
    }

    fn begin_task(&mut self, node: usize, worker: WorkerId, task: TaskRun) {
        let (errand, run) = (errand_of(&task.args), task.run.0);
        *self.errands.begun.entry(errand).or_default() += 1;
        self.trace(|| format!("node {node} {worker:?}: task {errand}, run {run}"));
        if let Err(text) = check::dirty::task(self, node, &task.args) {
            self.violated("dirty", text);
        }
        self.process(node, Kind::Tasks, worker).expect("it works").tasks.push(task);
        let (life, after) = (self.machines[node].life, self.delay(self.plan.step * 20));
        self.later(after, Event::TaskEnds(node, life, worker, run));
    }

    fn begin_run(&mut self, node: usize, worker: WorkerId, run: RunNumber) {
        let process = self.process(node, Kind::Steps, worker).expect("it works");
        process.mail.word.store(run.0, Ordering::Relaxed);
    }

    fn progress(&mut self, node: usize, worker: WorkerId, coroutine: Coroutine, progress: Progress) {
        let mut took = self.delay(self.plan.step);
        let machine = &self.machines[node];
        if self.time.now() < machine.slow_until {
            took *= machine.slow_factor;
            self.counts.note(Happening::WorkersSlow, 1);
        }
        let (now, run, invocation) = (self.time.now(), coroutine.start.run, coroutine.start.invocation);
        let Some(process) = self.process(node, Kind::Steps, worker) else { return };
        process.busy_until = now + took;
        let message = match progress {
            Progress::End(end) => {
                process.left = left_by(coroutine.start.slice.clone(), &end).map(|left| (run, left));
                if end.status == StepStatus::Suspended {
                    process.coroutines.insert(invocation, coroutine);
                }
                FromWorker::End(end)
            }
            Progress::Fetch(field, what) => {
                process.blocked = Some(coroutine);
                FromWorker::Fetch { run, field, what }
            }
            Progress::Departed { step, expected, actual } => {
                let text =
                    format!("{invocation} departed at step {step}: the journal has {expected}, the code did {actual}");
                self.violated("journal", text.clone());
                FromWorker::Departed { run, invocation, step, expected, actual }
            }
            Progress::Died => return self.die(node, Kind::Steps, worker, "was killed by signal 11", true),
        };
        self.say(node, Kind::Steps, worker, took, message);
    }

    pub(super) fn task_ends(&mut self, node: usize, worker: WorkerId, run: u64) {
        let Some(process) = self.process(node, Kind::Tasks, worker) else { return };
        let Some(at) = process.tasks.iter().position(|task| task.run.0 == run) else { return };
        let task = process.tasks.remove(at);
        let (errand, is_rust) = (errand_of(&task.args), task.function.starts_with(RUST_TASK));
        let fate = if self.rng.once_in(3) {
            let failed = self.errands.failed.entry(errand).or_default();
            *failed += 1;
            if is_rust && failed.is_multiple_of(2) { Fate::Panicked } else { Fate::Failed }
        } else {
            self.errands.given += 1;
            Fate::Given(errand * 1_000_000 + self.errands.given)
        };
        let mut after = 1;
        let (outcome, is_final) = match fate {
            _ if is_rust => {
                self.counts.note(Happening::RustTaskTried, 1);
                self.counts.note(Happening::RustTaskPanicked, u64::from(fate == Fate::Panicked));
                let (outcome, is_final) = self.tasks.run(&task, fate);
                if matches!(outcome, Outcome::Value(_))
                    && let Some(went_on) = self.go_on(node, &task, &outcome)
                    && let Some(process) = self.process(node, Kind::Tasks, worker)
                {
                    process.went_on.insert(task.run, went_on);
                    // Nobody hears of the task's end while the step behind it runs.
                    after = if self.rng.once_in(4) { self.rng.range(1_000, 20_000) } else { 1 };
                }
                (outcome, is_final)
            }
            Fate::Given(given) => (Outcome::Value(msgpack::encode(&Value::Int(given)).expect("a number")), false),
            Fate::Failed | Fate::Panicked => {
                (Outcome::Exception(Exception::encode("builtins.OSError", "the errand failed")), false)
            }
        };
        self.say(node, Kind::Tasks, worker, after, FromWorker::TaskEnd { run: task.run, outcome, is_final });
    }

    /// A process ends. What has left it is still heard.
    pub(super) fn die(&mut self, node: usize, kind: Kind, worker: WorkerId, cause: &str, readable: bool) {
        let now = self.time.now();
        self.trace(|| format!("node {node} {kind:?} {worker:?} {cause}"));
        let life = self.machines[node].life;
        let Some(process) = self.process(node, kind, worker) else { return };
        let (left, _): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut process.said).into_iter().partition(|(left, ..)| *left <= now);
        let at = left.back().map_or(now, |(_, arrives, _)| *arrives) + 1;
        process.said = left;
        process.busy = true;
        process.dead = true;
        process.blocked = None;
        process.coroutines.clear();
        process.tasks.clear();
        let word = readable.then(|| process.mail.word.load(Ordering::Relaxed));
        let death = Death { cause: cause.to_owned(), output: String::new(), word };
        self.at(at, Event::Gone(node, life, kind, worker, death));
    }

    pub(super) fn gone(&mut self, node: usize, kind: Kind, worker: WorkerId, death: Death) {
        let Some(up) = self.machines[node].up.as_mut() else { return };
        if up.processes.remove(&(kind, worker)).is_some() {
            tell(up, kind, WorkerEvent::Gone(worker, death));
            self.poke(node);
        }
    }
}

/// Tells what a worker said, and what went on behind which task.
fn tell_all(up: &Up, kind: Kind, worker: WorkerId, heard: Vec<FromWorker>, mut went_on: Steps) {
    let mut plain = Vec::new();
    for message in heard {
        let FromWorker::TaskEnd { run, .. } = &message else {
            plain.push(message);
            continue;
        };
        match went_on.remove(run) {
            Some(step) => tell(up, kind, WorkerEvent::WentOn(step, worker, vec![message])),
            None => plain.push(message),
        }
    }
    tell(up, kind, WorkerEvent::Said(worker, plain));
}

fn tell(up: &Up, kind: Kind, event: WorkerEvent) {
    match kind {
        Kind::Steps => up.node.worker(event),
        Kind::Tasks => up.node.task_worker(event),
    }
}
