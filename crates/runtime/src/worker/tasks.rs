//! Task workers: processes, or threads of this one, that run tasks, apart from those that run steps, so that a task that
//! hangs delays no step.
//! Belongs to the driver; speaks with processes only through [`Link`] and [`Launch`].
//!
//! Processes are started when tasks want them. Each runs many tasks at once, and the first gets those that end soon
//! ([`Pace`]); beyond the bound they wait here, in order.
//! A task gets its place when it is asked for, and leaves in a [`Parcel`] when the record that asks for it is durable, which
//! the pool hears later.
//! A thread cannot be ended, so a task that is over its time limit ends its process; what else ran there begins anew on
//! another, which is no try of the task's policy. A process that dies by itself leaves suspects, which run alone from
//! then on; a task that ends its process again and again while alone has failed. What is said here of processes holds for
//! threads, which run one task each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use engine::{Input, TaskStart};
use protocol::message::Exception;
use protocol::worker::{FromWorker, Outcome, TaskCall, TaskRun, ToWorker};
use protocol::{InvocationId, PartitionId, Position, RunNumber};
use rustc_hash::FxHashMap;

use super::pace::{Pace, soonest};
use super::pool::Owed;
use super::{Death, Launch, Link, WorkerId};
use crate::held::Held;
use crate::limits;
use crate::sync::{Mutex, MutexGuard};

/// What people should see of the task workers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TaskNews {
    /// A task has written something.
    Output { invocation: InvocationId, name: String, stream: u8, text: String },
    /// Something for the server's log.
    Notice(String),
}

/// How many workers a pool has at most, and how many tasks each of them runs at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskPoolConfig {
    pub(crate) workers_max: usize,
    pub(crate) runs_max: usize,
}

impl TaskPoolConfig {
    /// So many processes.
    pub(crate) fn processes(workers_max: usize) -> Self {
        Self { workers_max, runs_max: limits::TASKS_PER_WORKER_MAX }
    }

    /// Threads.
    pub(crate) fn threads() -> Self {
        Self { workers_max: limits::TASK_THREADS_MAX, runs_max: 1 }
    }
}

/// All task workers of a node that are of one kind.
pub(crate) struct TaskPool {
    config: TaskPoolConfig,
    launch: Box<dyn Launch>,
    held: Arc<Held>,
    workers: BTreeMap<WorkerId, Worker>,
    runs: FxHashMap<u64, Run>,
    by_number: FxHashMap<(PartitionId, RunNumber), u64>,
    /// When processes are ended because of a run, see [`Run::deadline`].
    deadlines: BTreeSet<(Instant, u64)>,
    /// What is durable, as far as the pool has heard.
    durable: Position,
    /// Runs in parcels that leave when this position is durable, or have left, and the pool has not heard of it.
    ahead: BTreeSet<(Position, u64)>,
    /// When the pool was last told what is durable.
    looked_at: Instant,
    /// Runs that wait for a worker, in order.
    queue: VecDeque<u64>,
    /// Runs that wait for a worker of their own.
    queue_alone: VecDeque<u64>,
    /// Gets no run until one can be alone there.
    reserved: Option<WorkerId>,
    next_run: u64,
    next_worker: u64,
    failures: u32,
    /// No process is started before.
    launch_at: Instant,
    check_at: Instant,
    draining: bool,
}

/// One try of a task.
struct Run {
    partition: PartitionId,
    number: RunNumber,
    after: Position,
    invocation: InvocationId,
    awaited_at: Option<String>,
    call: Arc<TaskCall>,
    worker: Option<WorkerId>,
    /// It is [ahead](TaskPool::ahead) in this one, which leaves when that is durable.
    parcel: Option<(Position, Arc<Parcel>)>,
    /// Its process is ended then.
    deadline: Option<Instant>,
    is_late: bool,
    /// Somebody wants its result.
    is_wanted: bool,
    /// How often it lost its process through others.
    displaced: u32,
    /// How often its process died while nothing else ran there.
    deaths: u32,
}

impl Run {
    /// It is no longer among those ahead.
    fn has_left(&mut self, own: u64, ahead: &mut BTreeSet<(Position, u64)>) {
        if let Some((after, _)) = self.parcel.take() {
            ahead.remove(&(after, own));
        }
    }

    /// Sets when its process is ended, here and in the list of all.
    fn set_deadline(&mut self, own: u64, deadline: Option<Instant>, all: &mut BTreeSet<(Instant, u64)>) {
        if let Some(before) = std::mem::replace(&mut self.deadline, deadline) {
            all.remove(&(before, own));
        }
        all.extend(deadline.map(|deadline| (deadline, own)));
    }
}

/// Tasks on their way to workers.
#[derive(Default)]
struct Parcel(Mutex<Content>);

type Content = Vec<(Weak<dyn Link>, Vec<ToWorker>)>;

impl Parcel {
    /// Sends what is in it. Who does that does not keep the workers: one that is dropped ends.
    fn deliver(&self) {
        // Whoever finds a task gone may tell its worker to end it: by then it was sent.
        let mut content = self.lock();
        let alive = content.drain(..).filter_map(|(link, messages)| Some((link.upgrade()?, messages)));
        send_all(alive.collect());
    }

    /// Takes a task out of it. False if it has left.
    fn take(&self, own: u64) -> bool {
        let is_its = |message: &ToWorker| matches!(message, ToWorker::Task(task) if task.run.0 == own);
        self.lock().iter_mut().any(|(_, messages)| {
            let at = messages.iter().position(is_its);
            at.map(|at| messages.remove(at)).is_some()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends to workers of one pool.
fn send_all(mut to: Vec<(Arc<dyn Link>, Vec<ToWorker>)>) {
    let last = to.pop();
    for (link, messages) in to {
        link.send_with_others(messages);
    }
    if let Some((link, messages)) = last {
        link.send(messages);
    }
}

struct Worker {
    link: Arc<dyn Link>,
    is_ready: bool,
    runs: BTreeSet<u64>,
    is_alone: bool,
    outgoing: Vec<ToWorker>,
    /// For the next parcel: tasks, and what each of them rests on.
    packed: Vec<(Position, ToWorker)>,
    /// Of its runs, those of which the pool has heard that they were sent.
    sent: usize,
    pace: Pace,
    since: Instant,
}

impl TaskPool {
    pub(crate) fn new(config: TaskPoolConfig, launch: Box<dyn Launch>, held: Arc<Held>, now: Instant) -> Self {
        Self {
            config,
            launch,
            held,
            workers: BTreeMap::new(),
            runs: FxHashMap::default(),
            by_number: FxHashMap::default(),
            deadlines: BTreeSet::new(),
            durable: Position::default(),
            ahead: BTreeSet::new(),
            looked_at: now,
            queue: VecDeque::new(),
            queue_alone: VecDeque::new(),
            reserved: None,
            next_run: 1,
            next_worker: 1,
            failures: 0,
            launch_at: now,
            check_at: now,
            draining: false,
        }
    }

    /// The same, with this as the number of its first worker.
    pub(crate) fn numbered_from(self, next_worker: u64) -> Self {
        Self { next_worker, ..self }
    }

    /// Tasks that workers have and have not ended.
    pub(crate) fn running(&self) -> usize {
        self.workers.values().map(|worker| worker.runs.len()).sum()
    }

    /// Runs a task when what it rests on is durable and a worker is free.
    pub(crate) fn start(&mut self, partition: PartitionId, start: TaskStart) {
        let own = self.next_run;
        self.next_run += 1;
        self.by_number.insert((partition, start.run), own);
        let run = Run {
            partition,
            number: start.run,
            after: start.after,
            invocation: start.invocation,
            awaited_at: start.awaited_at,
            call: start.call,
            worker: None,
            parcel: None,
            deadline: None,
            is_late: false,
            is_wanted: true,
            displaced: 0,
            deaths: 0,
        };
        self.runs.insert(own, run);
        self.queue.push_back(own);
    }

    /// Nobody wants the result any more. What runs is asked to end, and made to a little later.
    pub(crate) fn stop(&mut self, partition: PartitionId, number: RunNumber, now: Instant) {
        let Some(own) = self.by_number.remove(&(partition, number)) else { return };
        self.call_back(own);
        let Some(run) = self.runs.get_mut(&own) else { return };
        run.is_wanted = false;
        let Some(id) = run.worker else {
            self.runs.remove(&own);
            self.queue.retain(|queued| *queued != own);
            self.queue_alone.retain(|queued| *queued != own);
            return;
        };
        let limit = now + limits::TASK_STOP_WAIT;
        let limit = run.deadline.map_or(limit, |deadline| deadline.min(limit));
        run.set_deadline(own, Some(limit), &mut self.deadlines);
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.outgoing.push(ToWorker::StopTask(RunNumber(own)));
        }
    }

    /// Takes in what a worker said.
    pub(crate) fn said(
        &mut self,
        id: WorkerId,
        messages: Vec<FromWorker>,
        now: Instant,
        owed: &mut Vec<Owed>,
    ) -> Vec<TaskNews> {
        let mut news = Vec::new();
        let (mut ended, mut busy) = (0, None);
        for message in messages {
            let Some(worker) = self.workers.get_mut(&id) else { break };
            match message {
                FromWorker::Ready { problem: None, .. } => {
                    worker.is_ready = true;
                    self.failures = 0;
                }
                FromWorker::Ready { problem: Some(problem), .. } => {
                    worker.link.kill("could not load the application");
                    let exception = Exception::from_value(&problem);
                    let text = format!("a task worker could not load the application:\n{}", exception.traceback);
                    news.push(TaskNews::Notice(text));
                }
                FromWorker::TaskEnd { run, outcome, is_final } => {
                    if worker.runs.remove(&run.0) {
                        worker.is_alone &= !worker.runs.is_empty();
                        ended += 1;
                        let was_heard_of = self.runs.get(&run.0).is_some_and(|run| run.parcel.is_none());
                        worker.sent = worker.sent.saturating_sub(usize::from(was_heard_of));
                        self.ended(run.0, outcome, is_final, owed);
                    }
                }
                FromWorker::TaskOutput { run, stream, text } => news.push(self.output(id, run, stream, text)),
                FromWorker::Busy(micros) => busy = Some(Duration::from_micros(micros)),
                // Steps are not for these workers.
                FromWorker::End(_)
                | FromWorker::Fetch { .. }
                | FromWorker::Dropped { .. }
                | FromWorker::Departed { .. } => worker.link.kill("was ended, because it spoke of steps"),
            }
        }
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.pace.said(ended, worker.sent, busy, now);
        }
        news
    }

    fn output(&self, id: WorkerId, run: RunNumber, stream: u8, text: String) -> TaskNews {
        match self.runs.get(&run.0) {
            Some(known) => {
                let name = format!("task {}", known.call.name());
                TaskNews::Output { invocation: known.invocation, name, stream, text }
            }
            None => TaskNews::Notice(format!("task worker {}: {}", id.0, text.trim_end())),
        }
    }

    fn ended(&mut self, own: u64, outcome: Outcome, is_final: bool, owed: &mut Vec<Owed>) {
        let Some(mut run) = self.runs.remove(&own) else { return };
        run.set_deadline(own, None, &mut self.deadlines);
        run.has_left(own, &mut self.ahead);
        self.by_number.remove(&(run.partition, run.number));
        if run.is_wanted {
            owed.push((run.partition, Input::TaskEnded { run: run.number, outcome, is_final }));
        }
    }

    /// Takes in that a process has ended.
    pub(crate) fn gone(&mut self, id: WorkerId, death: &Death, now: Instant, owed: &mut Vec<Owed>) -> Option<TaskNews> {
        let placed: Vec<u64> = self.workers.get(&id)?.runs.iter().copied().collect();
        self.call_all_back(placed);
        let worker = self.workers.remove(&id)?;
        if self.reserved == Some(id) {
            self.reserved = None;
        }
        if !worker.is_ready {
            self.failures += 1;
            let factor = 1 << self.failures.saturating_sub(1).min(10);
            self.launch_at = now + (limits::WORKER_BACKOFF_MIN * factor).min(limits::WORKER_BACKOFF_MAX);
            let text = format!("a task worker {} before it had loaded the application", death.cause);
            return Some(TaskNews::Notice(text));
        }
        let ended_by_us = worker.runs.iter().any(|own| self.runs.get(own).is_some_and(|run| run.is_late));
        let was_alone = worker.runs.len() == 1;
        // The first of them is again the first.
        for own in worker.runs.iter().rev() {
            self.lost(*own, ended_by_us, was_alone, death, owed);
        }
        Some(TaskNews::Notice(format!("task worker {} {}", id.0, death.cause)))
    }

    /// A run lost its process.
    fn lost(&mut self, own: u64, ended_by_us: bool, was_alone: bool, death: &Death, owed: &mut Vec<Owed>) {
        let Some(run) = self.runs.get_mut(&own) else { return };
        let name = run.call.name().to_owned();
        run.worker = None;
        run.set_deadline(own, None, &mut self.deadlines);
        run.has_left(own, &mut self.ahead);
        if !run.is_wanted {
            return drop(self.runs.remove(&own));
        }
        if run.is_late {
            let seconds = Duration::from_micros(run.call.timeout.unwrap_or_default()).as_secs_f64();
            let message = format!("the task {name} took longer than its timeout of {seconds} s");
            let outcome = Outcome::Exception(Exception::encode("builtins.TimeoutError", &message));
            return self.ended(own, outcome, false, owed);
        }
        if ended_by_us {
            run.displaced += 1;
            if run.displaced < limits::TASK_DISPLACED_MAX {
                return self.queue.push_front(own);
            }
        } else if was_alone {
            run.deaths += 1;
            if run.deaths >= limits::TASK_DEATHS_MAX {
                let message = format!("the task {name} ended its process {} times; it {}", run.deaths, death.cause);
                let outcome = Outcome::Exception(Exception::encode("sostenuto.TaskLost", &message));
                return self.ended(own, outcome, true, owed);
            }
        }
        self.queue_alone.push_front(own);
    }

    /// Places what waits and sends what is ready. Everything up to `durable` is durable.
    pub(crate) fn flush(&mut self, durable: Position, now: Instant, owed: &mut Vec<Owed>) {
        (self.durable, self.looked_at) = (durable, now);
        while let Some(&first) = self.ahead.first().filter(|(after, _)| *after <= durable) {
            self.ahead.remove(&first);
            let (_, own) = first;
            self.sent(own, now, owed);
        }
        if !self.draining {
            self.place_alone(now, owed);
            self.place(now, owed);
        }
        let outgoing = self.workers.values_mut().filter(|worker| !worker.outgoing.is_empty());
        send_all(outgoing.map(|worker| (Arc::clone(&worker.link), std::mem::take(&mut worker.outgoing))).collect());
        self.dispatch();
    }

    /// Makes a parcel of what was packed.
    fn dispatch(&mut self) {
        let packed = self.workers.values().flat_map(|worker| &worker.packed);
        let Some(after) = packed.map(|(after, _)| *after).max() else { return };
        let parcel = Arc::new(Parcel::default());
        let mut content = parcel.lock();
        for worker in self.workers.values_mut().filter(|worker| !worker.packed.is_empty()) {
            let messages: Vec<ToWorker> = worker.packed.drain(..).map(|(_, message)| message).collect();
            for message in &messages {
                let ToWorker::Task(task) = message else { continue };
                if let Some(run) = self.runs.get_mut(&task.run.0) {
                    run.parcel = Some((after, Arc::clone(&parcel)));
                    self.ahead.insert((after, task.run.0));
                }
            }
            content.push((Arc::downgrade(&worker.link), messages));
        }
        drop(content);
        self.held.until(after, Box::new(move || parcel.deliver()));
    }

    fn place(&mut self, now: Instant, owed: &mut Vec<Owed>) {
        while let Some(&own) = self.queue.front() {
            let free = self.workers.iter().filter(|(id, worker)| {
                worker.is_ready
                    && !worker.is_alone
                    && self.reserved != Some(**id)
                    && worker.runs.len() < self.config.runs_max
            });
            let Some(id) = soonest(free.map(|(id, worker)| (*id, worker.runs.len(), &worker.pace)), now) else {
                return;
            };
            self.queue.pop_front();
            self.send(own, id, now, owed);
        }
    }

    fn place_alone(&mut self, now: Instant, owed: &mut Vec<Owed>) {
        while let Some(&own) = self.queue_alone.front() {
            let free = self.workers.iter().filter(|(_, worker)| worker.is_ready && !worker.is_alone);
            let freest = free.min_by_key(|(_, worker)| worker.runs.len()).map(|(id, _)| *id);
            let Some(id) = self.reserved.or(freest) else { return };
            self.reserved = Some(id);
            let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.runs.is_empty()) else { return };
            worker.is_alone = true;
            self.reserved = None;
            self.queue_alone.pop_front();
            self.send(own, id, now, owed);
        }
    }

    fn send(&mut self, own: u64, id: WorkerId, now: Instant, owed: &mut Vec<Owed>) {
        let (Some(run), Some(worker)) = (self.runs.get_mut(&own), self.workers.get_mut(&id)) else { return };
        let call = &run.call;
        run.worker = Some(id);
        worker.runs.insert(own);
        let task = TaskRun {
            run: RunNumber(own),
            function: call.function.clone(),
            args: call.args.clone(),
            timeout: call.timeout,
            is_async: call.is_async,
            awaited_by: run.awaited_at.clone().map(|position| (run.invocation, position)),
        };
        let message = ToWorker::Task(Box::new(task));
        if run.after > self.durable {
            return worker.packed.push((run.after, message));
        }
        worker.outgoing.push(message);
        self.sent(own, now, owed);
    }

    /// A run was sent to its worker.
    fn sent(&mut self, own: u64, now: Instant, owed: &mut Vec<Owed>) {
        let Some(run) = self.runs.get_mut(&own) else { return };
        run.has_left(own, &mut self.ahead);
        // An `async def` is ended by its worker, which takes a moment.
        let grace = if run.call.is_async { limits::TASK_GRACE } else { Duration::ZERO };
        let deadline = run.call.timeout.map(|micros| now + Duration::from_micros(micros) + grace);
        owed.push((run.partition, Input::TaskStarted { run: run.number }));
        let id = run.worker;
        run.set_deadline(own, deadline, &mut self.deadlines);
        if let Some(worker) = id.and_then(|id| self.workers.get_mut(&id)) {
            worker.sent += 1;
            worker.pace.begins(now);
        }
    }

    /// Takes those of these runs that were not sent yet from their workers; they wait again.
    fn call_all_back(&mut self, runs: Vec<u64>) {
        // The first of them is again the first.
        for own in runs.into_iter().rev() {
            let worker = self.runs.get(&own).and_then(|run| self.workers.get(&run.worker?));
            let is_alone = worker.is_some_and(|worker| worker.is_alone);
            if self.call_back(own) {
                let queue = if is_alone { &mut self.queue_alone } else { &mut self.queue };
                queue.push_front(own);
            }
        }
    }

    /// Takes a run from its worker if it was not sent yet. False if it was.
    fn call_back(&mut self, own: u64) -> bool {
        let Some(run) = self.runs.get_mut(&own) else { return false };
        if !run.parcel.as_ref().is_some_and(|(_, parcel)| parcel.take(own)) {
            return false;
        }
        run.has_left(own, &mut self.ahead);
        if let Some(worker) = run.worker.take().and_then(|id| self.workers.get_mut(&id)) {
            worker.runs.remove(&own);
            worker.is_alone &= !worker.runs.is_empty();
        }
        true
    }

    /// Starts missing processes, ends those of late tasks.
    pub(crate) fn check(&mut self, now: Instant) -> std::io::Result<()> {
        while !self.draining && now >= self.launch_at && self.workers.len() < self.wanted() {
            let id = WorkerId(self.next_worker);
            self.next_worker += 1;
            // If that fails: what failed is told, and not at once again.
            let link = self.launch.launch(id).inspect_err(|_| self.launch_at = now + limits::TASK_LAUNCH_WAIT)?;
            let link = Arc::from(link);
            let runs = BTreeSet::new();
            let outgoing = Vec::new();
            self.workers.insert(
                id,
                Worker {
                    link,
                    is_ready: false,
                    runs,
                    is_alone: false,
                    outgoing,
                    packed: Vec::new(),
                    sent: 0,
                    pace: Pace::default(),
                    since: now,
                },
            );
        }
        while let Some(&(deadline, own)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now) {
            self.deadlines.remove(&(deadline, own));
            let Some(run) = self.runs.get_mut(&own) else { continue };
            run.deadline = None;
            let Some(id) = run.worker else { continue };
            run.is_late = true;
            let name = run.call.name();
            let reason = match run.is_wanted {
                true => format!("was ended, because the task {name} took too long"),
                false => format!("was ended, because the cancelled task {name} did not end"),
            };
            let others = if self.config.runs_max > 1 { "; what else it ran is run again" } else { "" };
            let reason = reason + others;
            if let Some(worker) = self.workers.get(&id) {
                worker.link.kill(&reason);
            }
        }
        if now >= self.check_at {
            self.check_at = now + limits::WORKER_CHECK_INTERVAL;
            for worker in self.workers.values() {
                worker.link.check();
                if !worker.is_ready && now.duration_since(worker.since) > limits::WORKER_START_TIMEOUT {
                    worker.link.kill("was ended, because loading the application took too long");
                }
            }
        }
        Ok(())
    }

    fn wanted(&self) -> usize {
        self.runs.len().min(self.config.workers_max)
    }

    /// When [`Self::check`] wants to be called.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let missing = !self.draining && self.workers.len() < self.wanted();
        let launch = missing.then_some(self.launch_at);
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let check = (!self.runs.is_empty() && !self.workers.is_empty()).then_some(self.check_at);
        let ahead = (!self.ahead.is_empty()).then(|| self.looked_at + limits::TASK_SENT_WAIT);
        deadline.into_iter().chain(launch).chain(check).chain(ahead).min()
    }

    /// Begins no task any more.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        self.call_all_back(self.ahead.iter().map(|(_, own)| *own).collect());
    }

    /// Closes all connections. Returns how many workers end for that: a thread that is in a task does not.
    pub(crate) fn close(&mut self) -> usize {
        self.draining = true;
        let ends = |worker: &Worker| self.config.runs_max > 1 || worker.runs.is_empty();
        std::mem::take(&mut self.workers).into_values().filter(ends).count()
    }
}

#[cfg(test)]
mod tests;
