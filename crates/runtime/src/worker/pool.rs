//! Which worker runs what, and what the death of one means. Belongs to the driver; speaks with processes only through
//! [`Link`] and [`Launch`], so that tests play the workers.
//!
//! A start goes to the first worker that will be done soon ([`Pace`]), otherwise to the one with the fewest runs, and with
//! it those that follow it; beyond a worker's bound, which is lower while another one loads, starts wait here. A resumption
//! goes to the worker that holds the coroutine. When a worker dies, the run in its strike word gets the strike; if the word
//! does not say, nobody gets one, and the runs that were there are run again one by one (*alone*), until it does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use engine::Input;
use protocol::worker::{FromWorker, Resume, Slice, Start, StepStatus, ToWorker};
use protocol::{InvocationId, PartitionId, RunNumber};
use rustc_hash::{FxHashMap, FxHashSet};

use super::pace::{Pace, soonest};
use super::{Death, Launch, Link, WentOn, WorkerId};
use crate::limits;

/// What the pool wants of its user.
#[derive(Clone, Debug)]
pub(crate) struct PoolConfig {
    /// Workers that run steps, without the warm spare.
    pub(crate) workers: usize,
    /// They are processes: one more is kept warm, to take the place of one that dies, and steps that are short go to one
    /// after the other ([`Pace`]). A thread is replaced at once, and what it is sent costs no more by itself.
    pub(crate) processes: bool,
    /// Time limit of one step.
    pub(crate) step_timeout: Duration,
    /// Suspended coroutines that workers keep, but for those that a transaction needs.
    pub(crate) coroutines_max: usize,
}

/// An input that a partition is owed.
pub(crate) type Owed = (PartitionId, Input);

/// What a worker's message or death meant for the pool itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A worker has loaded the application.
    Ready,
    /// The application cannot be loaded: an exception's value.
    Problem(Vec<u8>),
    /// A worker died before it had loaded the application, the so-manieth in a row.
    FailedToStart { failures: u32, death: Death },
    /// A worker died later.
    Died(WorkerId, Death),
}

/// Counters for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolStats {
    pub(crate) ready: usize,
    pub(crate) running: usize,
    pub(crate) queued: usize,
    pub(crate) suspended: usize,
    pub(crate) started: u64,
    pub(crate) deaths: u64,
    pub(crate) steps: u64,
    /// Answers to steps that asked for cells.
    pub(crate) fetches: u64,
}

impl PoolStats {
    /// Of two pools together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            ready: self.ready + other.ready,
            running: self.running + other.running,
            queued: self.queued + other.queued,
            suspended: self.suspended + other.suspended,
            started: self.started + other.started,
            deaths: self.deaths + other.deaths,
            steps: self.steps + other.steps,
            fetches: self.fetches + other.fetches,
        }
    }
}

/// All workers of one language.
pub(crate) struct Pool {
    config: PoolConfig,
    launch: Box<dyn Launch>,
    workers: BTreeMap<WorkerId, Worker>,
    /// Runs by the number that workers know them by, which is unique over all partitions. Nobody outside chooses what
    /// these maps hash: numbers are ours, ids of invocations are hashes.
    runs: FxHashMap<u64, Run>,
    by_number: FxHashMap<(PartitionId, RunNumber), u64>,
    /// The newest run of each invocation that has one.
    by_invocation: FxHashMap<InvocationId, u64>,
    /// Suspended coroutines.
    coroutines: FxHashMap<InvocationId, Coroutine>,
    /// Whose they are and the run that left them, as they were suspended; some are gone.
    suspended: VecDeque<(InvocationId, u64)>,
    /// Starts that wait for a worker.
    queue: VecDeque<Start>,
    /// Starts that must run alone.
    queue_alone: VecDeque<Start>,
    /// Invocations whose next start must run alone.
    suspects: FxHashSet<InvocationId>,
    /// Gets no other start until one can run alone there.
    reserved: Option<WorkerId>,
    next_run: u64,
    next_worker: u64,
    failures: u32,
    /// No process is started before.
    launch_at: Instant,
    check_at: Instant,
    stats: PoolStats,
    draining: bool,
}

/// One execution of a step.
#[derive(Debug)]
struct Run {
    partition: PartitionId,
    number: RunNumber,
    invocation: InvocationId,
    /// Who has it; `None` while it waits.
    worker: Option<WorkerId>,
    /// The engine wants no coroutine of it any more.
    evicted: bool,
}

/// A suspended coroutine.
struct Coroutine {
    /// Who holds it.
    worker: WorkerId,
    partition: PartitionId,
    /// The run that left it.
    left_by: u64,
    /// It has gone on, so the worker does not have it.
    went_on: Option<Box<WentOn>>,
}

/// What a partition lost with a worker.
#[derive(Default)]
struct Lost {
    runs: Vec<(RunNumber, bool)>,
    suspended: Vec<InvocationId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Loading,
    Spare,
    Active,
}

struct Worker {
    link: Box<dyn Link>,
    phase: Phase,
    /// Runs sent and not ended.
    runs: BTreeSet<u64>,
    /// One run has it alone.
    alone: bool,
    /// Goes out with the next flush.
    outgoing: Vec<ToWorker>,
    /// Goes out when the run that has it alone has ended.
    held: Vec<ToWorker>,
    mark: Mark,
    messages: u64,
    pace: Pace,
    /// The last step that it was sent, if that was a start: how its partition knows it and how the worker does.
    last: Option<((PartitionId, RunNumber), u64)>,
}

/// A worker whose mark stays the same does not get on.
struct Mark {
    word: Option<u64>,
    messages: u64,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(config: PoolConfig, launch: Box<dyn Launch>, now: Instant) -> Self {
        Self {
            config,
            launch,
            workers: BTreeMap::new(),
            runs: FxHashMap::default(),
            by_number: FxHashMap::default(),
            by_invocation: FxHashMap::default(),
            coroutines: FxHashMap::default(),
            suspended: VecDeque::new(),
            queue: VecDeque::new(),
            queue_alone: VecDeque::new(),
            suspects: FxHashSet::default(),
            reserved: None,
            next_run: 1,
            next_worker: 1,
            failures: 0,
            launch_at: now,
            check_at: now,
            stats: PoolStats::default(),
            draining: false,
        }
    }

    /// The same, its workers numbered from here on.
    pub(crate) fn numbered_from(self, first: u64) -> Self {
        Self { next_worker: first, ..self }
    }

    /// Holds a suspended coroutine of this invocation.
    pub(crate) fn holds(&self, invocation: InvocationId) -> bool {
        self.coroutines.contains_key(&invocation)
    }

    /// Has this run.
    pub(crate) fn runs(&self, partition: PartitionId, run: RunNumber) -> bool {
        self.by_number.contains_key(&(partition, run))
    }

    pub(crate) fn stats(&self) -> PoolStats {
        PoolStats {
            ready: self.count(Phase::Active) + self.count(Phase::Spare),
            running: self.running(),
            queued: self.queue.len() + self.queue_alone.len(),
            suspended: self.coroutines.len(),
            ..self.stats
        }
    }

    /// Runs that workers have and have not ended.
    pub(crate) fn running(&self) -> usize {
        self.workers.values().map(|worker| worker.runs.len()).sum()
    }

    /// Runs a step from the beginning of its method. One that follows another one comes right behind it, where that waits or
    /// was sent; if anything else came behind that, or this one must run alone, it is dropped and comes again by itself.
    pub(crate) fn start(&mut self, partition: PartitionId, mut start: Start, owed: &mut Vec<Owed>) {
        if self.draining {
            return;
        }
        let mut behind = None;
        if let Some(follows) = start.follows {
            let queued = self.queue.back().map(|last| last.run.0);
            let queued = queued.filter(|last| self.by_number.get(&(partition, follows)) == Some(last));
            behind = self.sent_last(partition, follows);
            let number = queued.or(behind.map(|(_, number)| number));
            let Some(number) = number.filter(|_| !self.suspects.contains(&start.invocation)) else {
                return owed.push((partition, Input::Worker(FromWorker::Dropped { run: start.run })));
            };
            start.follows = Some(RunNumber(number));
        }
        start.run = self.number(partition, start.run, start.invocation);
        if let Some(Coroutine { worker, .. }) = self.coroutines.remove(&start.invocation) {
            self.say(worker, ToWorker::Evict(start.invocation));
        }
        if let Some((worker, _)) = behind {
            self.send_start(start, worker);
        } else if self.suspects.contains(&start.invocation) {
            self.queue_alone.push_back(start);
        } else {
            self.queue.push_back(start);
        }
    }

    /// The worker that was sent this start and no other step since, and how it knows it.
    fn sent_last(&self, partition: PartitionId, run: RunNumber) -> Option<(WorkerId, u64)> {
        self.workers.iter().find_map(|(id, worker)| {
            let (last, number) = worker.last?;
            (last == (partition, run) && !worker.alone && self.reserved != Some(*id)).then_some((*id, number))
        })
    }

    /// Goes on with a coroutine. If its worker has just died, the partition is told so.
    pub(crate) fn resume(&mut self, partition: PartitionId, mut resume: Resume, owed: &mut Vec<Owed>) {
        if self.draining {
            return;
        }
        let coroutine = self.coroutines.remove(&resume.invocation);
        let Some(mut coroutine) = coroutine.filter(|coroutine| self.workers.contains_key(&coroutine.worker)) else {
            let lost = Input::WorkersLost {
                runs: vec![(resume.run, false)],
                suspended: Vec::new(),
                cause: "the worker that held it has ended".to_owned(),
            };
            owed.push((partition, lost));
            return;
        };
        if let Some(went_on) = coroutine.went_on.take() {
            let message = self.take_over(&resume, coroutine, *went_on);
            owed.push((partition, Input::Worker(message)));
            return self.make_room(owed);
        }
        let id = coroutine.worker;
        resume.run = self.number(partition, resume.run, resume.invocation);
        self.assign(resume.run.0, id);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.last = None;
        let queue = if worker.alone { &mut worker.held } else { &mut worker.outgoing };
        queue.push(ToWorker::Resume(resume));
    }

    /// What was run before it was asked for, if it is what is asked for now. Else the worker has the coroutine no more.
    fn take_over(&mut self, resume: &Resume, coroutine: Coroutine, went_on: WentOn) -> FromWorker {
        if !resume.slice.is_empty() || resume.delivered.as_slice() != std::slice::from_ref(&went_on.delivered) {
            return FromWorker::Dropped { run: resume.run };
        }
        let left_by = self.next_run;
        self.next_run += 1;
        self.stats.steps += 1;
        self.suspects.remove(&resume.invocation);
        if went_on.suspended {
            self.suspended.push_back((resume.invocation, left_by));
            self.coroutines.insert(resume.invocation, Coroutine { left_by, ..coroutine });
        }
        let mut end = (went_on.accept)(RunNumber(left_by));
        end.run = resume.run;
        FromWorker::End(end)
    }

    /// Takes in that a step of a coroutine ran before it was asked for. If it was resumed or has gone since, that is of no use.
    pub(crate) fn went_on(&mut self, went_on: Box<WentOn>) {
        let coroutine = self.coroutines.get_mut(&went_on.invocation);
        if let Some(coroutine) = coroutine.filter(|coroutine| coroutine.left_by == went_on.after.0) {
            coroutine.went_on = Some(went_on);
        }
    }

    /// Drops a coroutine, also one whose step still runs.
    pub(crate) fn evict(&mut self, invocation: InvocationId) {
        let running = self.by_invocation.get(&invocation).and_then(|number| self.runs.get_mut(number));
        let running_on = running.and_then(|run| {
            run.evicted = true;
            run.worker
        });
        let held_by = self.coroutines.remove(&invocation).map(|coroutine| coroutine.worker);
        let Some(id) = held_by.or(running_on) else { return };
        self.say(id, ToWorker::Evict(invocation));
        self.unhold(id, invocation);
    }

    /// A resumption that was held back must not follow the eviction.
    fn unhold(&mut self, id: WorkerId, invocation: InvocationId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let is_its =
            |message: &ToWorker| matches!(message, ToWorker::Resume(resume) if resume.invocation == invocation);
        let Some(at) = worker.held.iter().position(is_its) else { return };
        if let ToWorker::Resume(resume) = worker.held.remove(at) {
            worker.runs.remove(&resume.run.0);
            self.forget(resume.run.0);
        }
    }

    /// Answers a fetch.
    pub(crate) fn fetched(&mut self, partition: PartitionId, run: RunNumber, slice: Option<Slice>) {
        let Some(&number) = self.by_number.get(&(partition, run)) else { return };
        if let Some(worker) = self.runs.get(&number).and_then(|run| run.worker) {
            self.stats.fetches += 1;
            self.say(worker, ToWorker::Fetched { run: RunNumber(number), slice });
        }
    }

    /// Takes in what a worker said.
    pub(crate) fn said(
        &mut self,
        id: WorkerId,
        messages: Vec<FromWorker>,
        now: Instant,
        owed: &mut Vec<Owed>,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let (before, mut busy) = (self.stats.steps, None);
        for message in messages {
            let Some(worker) = self.workers.get_mut(&id) else { break };
            worker.messages += 1;
            match message {
                FromWorker::Ready { problem: None, .. } => changes.extend(self.ready(id)),
                FromWorker::Ready { problem: Some(problem), .. } => {
                    worker.link.kill("could not load the application");
                    changes.push(Change::Problem(problem));
                }
                FromWorker::Busy(micros) => busy = Some(Duration::from_micros(micros)),
                // Tasks are not for these workers.
                FromWorker::TaskEnd { .. } | FromWorker::TaskOutput { .. } => {
                    worker.link.kill("was ended, because it spoke of tasks");
                }
                FromWorker::End(mut end) => {
                    let suspended = end.status == StepStatus::Suspended;
                    if let Some(run) = self.ended(id, end.run, suspended) {
                        end.run = run.number;
                        owed.push((run.partition, Input::Worker(FromWorker::End(end))));
                        self.make_room(owed);
                    }
                }
                FromWorker::Fetch { run, field, what } => {
                    if let Some(known) = self.runs.get(&run.0) {
                        let message = FromWorker::Fetch { run: known.number, field, what };
                        owed.push((known.partition, Input::Worker(message)));
                    }
                }
                FromWorker::Dropped { run } => {
                    if let Some(known) = self.ended(id, run, false) {
                        let message = FromWorker::Dropped { run: known.number };
                        owed.push((known.partition, Input::Worker(message)));
                    }
                }
                FromWorker::Departed { run, invocation, step, expected, actual } => {
                    if let Some(known) = self.ended(id, run, false) {
                        let run = known.number;
                        let message = FromWorker::Departed { run, invocation, step, expected, actual };
                        owed.push((known.partition, Input::Worker(message)));
                    }
                }
            }
        }
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.pace.said((self.stats.steps - before) as u32, worker.runs.len(), busy, now);
        }
        changes
    }

    /// Takes in that a process has ended.
    pub(crate) fn gone(&mut self, id: WorkerId, death: Death, now: Instant, owed: &mut Vec<Owed>) -> Option<Change> {
        let worker = self.workers.remove(&id)?;
        if self.reserved == Some(id) {
            self.reserved = None;
        }
        self.stats.deaths += 1;
        if worker.phase == Phase::Loading {
            self.failures += 1;
            let factor = 1 << self.failures.saturating_sub(1).min(10);
            self.launch_at = now + (limits::WORKER_BACKOFF_MIN * factor).min(limits::WORKER_BACKOFF_MAX);
            return Some(Change::FailedToStart { failures: self.failures, death });
        }
        self.lose(id, worker, &death, owed);
        self.promote();
        Some(Change::Died(id, death))
    }

    /// Sends nothing more that begins a step.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        self.queue.clear();
        self.queue_alone.clear();
    }

    /// Closes all sockets; the processes end by themselves or are made to. Returns how many there were.
    pub(crate) fn close(&mut self) -> usize {
        self.draining = true;
        std::mem::take(&mut self.workers).len()
    }

    /// Places what waits and sends what is ready, one frame for each worker.
    pub(crate) fn flush(&mut self, now: Instant) {
        if !self.draining {
            self.place_alone();
            self.place(now);
        }
        for worker in self.workers.values_mut() {
            if !worker.outgoing.is_empty() {
                if !worker.runs.is_empty() {
                    worker.pace.begins(now);
                }
                worker.link.send(std::mem::take(&mut worker.outgoing));
            }
        }
    }

    /// Starts missing processes, ends those that do not get on.
    pub(crate) fn check(&mut self, now: Instant) -> std::io::Result<()> {
        self.replenish(now)?;
        if now < self.check_at {
            return Ok(());
        }
        self.check_at = now + limits::WORKER_CHECK_INTERVAL;
        let step_timeout = self.config.step_timeout;
        for worker in self.workers.values_mut() {
            worker.check(now, step_timeout);
        }
        Ok(())
    }

    /// The driver did not listen for a while: nobody is to blame for having waited for it.
    pub(crate) fn forgive(&mut self, now: Instant) {
        for worker in self.workers.values_mut() {
            worker.mark.since = now;
        }
    }

    /// When [`Self::check`] wants to be called.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let missing = !self.draining && self.workers.len() < self.wanted();
        let busy = self.workers.values().any(|worker| !worker.runs.is_empty() || worker.phase == Phase::Loading);
        let launch = missing.then_some(self.launch_at);
        let check = busy.then_some(self.check_at);
        launch.into_iter().chain(check).min()
    }

    fn count(&self, phase: Phase) -> usize {
        self.workers.values().filter(|worker| worker.phase == phase).count()
    }

    /// The spare is started when the others have loaded the application.
    fn wanted(&self) -> usize {
        self.config.workers + usize::from(self.config.processes && self.count(Phase::Active) >= self.config.workers)
    }

    fn replenish(&mut self, now: Instant) -> std::io::Result<()> {
        while !self.draining && now >= self.launch_at && self.workers.len() < self.wanted() {
            let id = WorkerId(self.next_worker);
            self.next_worker += 1;
            let link = self.launch.launch(id)?;
            self.stats.started += 1;
            self.workers.insert(id, Worker::new(link, now));
        }
        Ok(())
    }

    fn ready(&mut self, id: WorkerId) -> Option<Change> {
        let worker = self.workers.get_mut(&id)?;
        worker.phase = Phase::Spare;
        self.failures = 0;
        self.promote();
        Some(Change::Ready)
    }

    /// Lets spares run steps while there are too few that do.
    fn promote(&mut self) {
        let mut active = self.count(Phase::Active);
        for worker in self.workers.values_mut().filter(|worker| worker.phase == Phase::Spare) {
            if active < self.config.workers {
                worker.phase = Phase::Active;
                active += 1;
            }
        }
    }

    fn number(&mut self, partition: PartitionId, number: RunNumber, invocation: InvocationId) -> RunNumber {
        let own = self.next_run;
        self.next_run += 1;
        self.runs.insert(own, Run::new(partition, number, invocation));
        self.by_number.insert((partition, number), own);
        self.by_invocation.insert(invocation, own);
        RunNumber(own)
    }

    /// Sends a start that waited. Its coroutine may be unwanted by now; then the worker drops it after the step.
    fn send_start(&mut self, start: Start, id: WorkerId) {
        let (number, invocation) = (start.run.0, start.invocation);
        self.assign(number, id);
        let engine = self.runs.get(&number).map(|run| ((run.partition, run.number), number));
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.last = engine;
        }
        self.say(id, ToWorker::Start(Box::new(start)));
        if self.runs.get(&number).is_some_and(|run| run.evicted) {
            self.say(id, ToWorker::Evict(invocation));
        }
    }

    fn assign(&mut self, number: u64, id: WorkerId) {
        if let Some(run) = self.runs.get_mut(&number) {
            run.worker = Some(id);
        }
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.runs.insert(number);
        }
    }

    fn forget(&mut self, number: u64) -> Option<Run> {
        let run = self.runs.remove(&number)?;
        self.by_number.remove(&(run.partition, run.number));
        if self.by_invocation.get(&run.invocation) == Some(&number) {
            self.by_invocation.remove(&run.invocation);
        }
        Some(run)
    }

    /// A run is over. Ends of runs that this worker does not have are ignored.
    fn ended(&mut self, id: WorkerId, number: RunNumber, suspended: bool) -> Option<Run> {
        let worker = self.workers.get_mut(&id)?;
        if !worker.runs.remove(&number.0) {
            return None;
        }
        if worker.alone {
            worker.alone = false;
            let held = std::mem::take(&mut worker.held);
            worker.outgoing.extend(held);
        }
        self.stats.steps += 1;
        let newest = self.by_invocation.get(&self.runs.get(&number.0)?.invocation).copied();
        let run = self.forget(number.0)?;
        self.suspects.remove(&run.invocation);
        if suspended && !run.evicted {
            self.keep(&run, number.0, id, newest.filter(|newest| *newest != number.0));
        }
        Some(run)
    }

    /// A coroutine was suspended. If a newer run of its invocation is on its way, or has been suspended before this one,
    /// nobody may resume it.
    fn keep(&mut self, run: &Run, number: u64, id: WorkerId, newer: Option<u64>) {
        let Some(newer) = newer else {
            if self.coroutines.get(&run.invocation).is_some_and(|coroutine| coroutine.left_by > number) {
                return self.say(id, ToWorker::Evict(run.invocation));
            }
            let coroutine = Coroutine { worker: id, partition: run.partition, left_by: number, went_on: None };
            self.coroutines.insert(run.invocation, coroutine);
            self.suspended.push_back((run.invocation, number));
            return;
        };
        // On the same worker the newer run takes its place by itself.
        if self.runs.get(&newer).is_some_and(|newer| newer.worker != Some(id)) {
            self.say(id, ToWorker::Evict(run.invocation));
        }
    }

    /// With too many coroutines, the partition of the one that was suspended first is asked to let go of it.
    fn make_room(&mut self, owed: &mut Vec<Owed>) {
        let coroutines = &self.coroutines;
        let is_there = |(invocation, number): &(InvocationId, u64)| {
            let there = coroutines.get(invocation).filter(|coroutine| coroutine.left_by == *number);
            there.map(|coroutine| coroutine.partition)
        };
        if self.suspended.len() > 2 * coroutines.len() + limits::SUSPENDED_GONE_MAX {
            self.suspended.retain(|one| is_there(one).is_some());
        }
        while coroutines.len() > self.config.coroutines_max {
            let Some(first) = self.suspended.pop_front() else { return };
            if let Some(partition) = is_there(&first) {
                return owed.push((partition, Input::Crowded { invocation: first.0 }));
            }
        }
    }

    fn say(&mut self, id: WorkerId, message: ToWorker) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.outgoing.push(message);
        }
    }

    /// Runs that a worker may have at once. What has been sent stays where it is: while a worker is about to join, the
    /// others get one run each, so that nothing stands behind a long step beside a worker that has nothing to do.
    fn runs_in_flight_max(&self) -> usize {
        let joins = self.count(Phase::Active) < self.config.workers && self.count(Phase::Loading) > 0;
        if joins { 1 } else { limits::RUNS_IN_FLIGHT_MAX }
    }

    /// Workers that have less than so many runs.
    fn free(&self, runs_max: usize) -> impl Iterator<Item = (WorkerId, &Worker)> {
        let free = move |id: &WorkerId, worker: &Worker| {
            worker.phase == Phase::Active && !worker.alone && self.reserved != Some(*id) && worker.runs.len() < runs_max
        };
        self.workers.iter().filter(move |(id, worker)| free(id, worker)).map(|(id, worker)| (*id, worker))
    }

    /// The one of them with the fewest runs.
    fn freest(&self, runs_max: usize) -> Option<WorkerId> {
        self.free(runs_max).min_by_key(|(_, worker)| worker.runs.len()).map(|(id, _)| id)
    }

    fn place(&mut self, now: Instant) {
        let runs_max = self.runs_in_flight_max();
        while !self.queue.is_empty() {
            let id = match self.config.processes {
                true => soonest(self.free(runs_max).map(|(id, worker)| (id, worker.runs.len(), &worker.pace)), now),
                false => self.freest(runs_max),
            };
            let Some(id) = id else { return };
            let Some(start) = self.queue.pop_front() else { return };
            self.send_start(start, id);
            while let Some(follower) = self.queue.pop_front_if(|start| start.follows.is_some()) {
                self.send_start(follower, id);
            }
        }
    }

    fn place_alone(&mut self) {
        while !self.queue_alone.is_empty() {
            let Some(id) = self.reserved.or_else(|| self.freest(usize::MAX)) else { return };
            self.reserved = Some(id);
            let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.runs.is_empty()) else { return };
            let Some(start) = self.queue_alone.pop_front() else { return };
            self.reserved = None;
            worker.alone = true;
            self.send_start(start, id);
        }
    }

    /// Tells each partition concerned what was lost with a worker.
    fn lose(&mut self, id: WorkerId, worker: Worker, death: &Death, owed: &mut Vec<Owed>) {
        let struck = match death.word {
            Some(word) if worker.runs.contains(&word) => Some(word),
            _ if worker.alone => worker.runs.first().copied(),
            _ => None,
        };
        let mut lost: BTreeMap<PartitionId, Lost> = BTreeMap::new();
        for number in worker.runs {
            let Some(run) = self.forget(number) else { continue };
            if struck.is_none() {
                self.suspects.insert(run.invocation);
            }
            lost.entry(run.partition).or_default().runs.push((run.number, struck == Some(number)));
        }
        self.coroutines.retain(|invocation, coroutine| {
            if coroutine.worker == id {
                lost.entry(coroutine.partition).or_default().suspended.push(*invocation);
            }
            coroutine.worker != id
        });
        for (partition, Lost { runs, mut suspended }) in lost {
            // The order of a hash map must not decide anything.
            suspended.sort_unstable();
            let cause = format!("worker {} {}", id.0, death.cause);
            owed.push((partition, Input::WorkersLost { runs, suspended, cause }));
        }
    }
}

impl Run {
    fn new(partition: PartitionId, number: RunNumber, invocation: InvocationId) -> Self {
        Self { partition, number, invocation, worker: None, evicted: false }
    }
}

impl Worker {
    fn new(link: Box<dyn Link>, now: Instant) -> Self {
        Self {
            link,
            phase: Phase::Loading,
            runs: BTreeSet::new(),
            alone: false,
            outgoing: Vec::new(),
            held: Vec::new(),
            mark: Mark { word: None, messages: 0, since: now },
            messages: 0,
            pace: Pace::default(),
            last: None,
        }
    }

    fn check(&mut self, now: Instant, step_timeout: Duration) {
        self.link.check();
        let word = self.link.word();
        if self.phase != Phase::Loading
            && (self.runs.is_empty() || self.mark.messages != self.messages || self.mark.word != word)
        {
            self.mark = Mark { word, messages: self.messages, since: now };
            return;
        }
        let limit = if self.phase == Phase::Loading { limits::WORKER_START_TIMEOUT } else { step_timeout };
        if now.duration_since(self.mark.since) > limit {
            let what = if self.phase == Phase::Loading { "loading the application" } else { "a step" };
            self.link.kill(&format!("was ended, because {what} took longer than {} s", limit.as_secs_f32()));
        }
    }
}

#[cfg(test)]
mod tests;
