//! The driver: one thread that owns all partitions of a log, feeds them and carries out what they want.
//!
//! It works in rounds. A round takes what is in the queue, hands it to the partitions together with the messages that
//! they send each other, and appends all records in one append. Effects inside the log's durability domain (steps,
//! messages between partitions) go at once; what leaves it is [held](crate::held) until its position is durable, and leaves
//! without the driver. Rows go to the overlay, and to the state once they are durable.
//!
//! - [`requests`] takes what handles ask; [`reads`] answers questions about what is stored.
//! - [`effects`] carries out effects.
//! - [`append`] appends records and follows the watermark.

mod append;
mod effects;
mod reads;
mod requests;

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use engine::{Input, Partition, Token, Turn};
use protocol::message::{Exception, Message};
use protocol::{Micros, PartitionId, Position};
use rustc_hash::FxHashMap;
use store::state::Entry;
use store::{LogError, LogRecord, StateError};
use tokio::sync::oneshot;

pub(crate) use self::append::watch_log;
pub(crate) use self::requests::Request;
use crate::api::Answer;
use crate::backends::Backends;
use crate::clock::Clock;
use crate::error::{NodeError, StartError};
use crate::faults::Faults;
use crate::limits;
use crate::maintenance::Maintenance;
use crate::network::Network;
use crate::rows::writer::Writer;
use crate::rows::{Overlay, View};
use crate::shared::{Phase, Shared, add, set};
use crate::sink::Sink;
use crate::stepped::Holds;
use crate::sync::mpsc::{Receiver, Sender};
use crate::sync::{recv_within, thread};
use crate::worker::WorkerEvent;
use crate::worker::native::TooManyLost;
use crate::worker::pool::{Change, Owed};
use crate::worker::pools::Pools;
use crate::worker::task_pools::TaskPools;
use crate::worker::tasks::TaskNews;

/// What the driver is told.
pub(crate) enum Event {
    /// A handle wants something.
    Request(Request),
    /// A message of a partition of another node: sender, receiver.
    Message(PartitionId, PartitionId, Message),
    /// Nobody waits for this token any more.
    Forget(Token),
    /// Something about a worker.
    Worker(WorkerEvent),
    /// Something about a task worker.
    TaskWorker(WorkerEvent),
    /// The log has failed.
    LogFailed(LogError),
    /// The state has so many more batches of rows.
    Applied(usize),
    /// The state has failed.
    StateFailed(StateError),
    /// End.
    Shutdown,
}

/// Everything that the driver is made of.
pub(crate) struct Parts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) backends: Backends,
    /// Those of this node, in order; the first one has the number `first`.
    pub(crate) partitions: Vec<Partition>,
    pub(crate) first: PartitionId,
    pub(crate) epoch: u64,
    /// Last position of the log.
    pub(crate) tail: Position,
    pub(crate) pool: Pools,
    pub(crate) tasks: TaskPools,
    pub(crate) writer: Writer,
    pub(crate) maintenance: Option<Maintenance>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) events: Receiver<Event>,
    pub(crate) faults: Faults,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) network: Arc<dyn Network>,
}

/// The driver's own state.
pub(crate) struct Driver {
    parts: Parts,
    overlay: Overlay,
    /// Who waits for which token.
    tokens: FxHashMap<Token, (PartitionId, oneshot::Sender<Answer>)>,
    /// Inputs on their way to partitions.
    inputs: VecDeque<Owed>,
    /// Empty: the room of the last turn, for the next one.
    turn: Turn,
    /// Records of this round.
    batch: Vec<LogRecord>,
    batch_bytes: usize,
    /// Appended and not durable: last position and bytes of each append.
    in_log: VecDeque<(Position, usize)>,
    in_log_bytes: usize,
    /// When rows were last handed to the state's writer.
    rows_written: Instant,
    /// The log had no room for the batch; it is tried again before anything else is handled.
    stalled: bool,
    next: Position,
    durable: Position,
    now: Micros,
    closing: Option<Instant>,
    maintained: Maintained,
    /// Found in the middle of a round; ends it, or the next one.
    failure: Option<NodeError>,
}

/// What maintenance last saw.
struct Maintained {
    at: Instant,
    position: Position,
    bytes: u64,
}

/// Why the loop goes on or ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    GoOn,
    End,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let tail = parts.tail;
        Self {
            overlay: Overlay::new(parts.shared.partitions),
            tokens: FxHashMap::default(),
            inputs: VecDeque::new(),
            turn: Turn::default(),
            batch: Vec::new(),
            batch_bytes: 0,
            in_log: VecDeque::new(),
            in_log_bytes: 0,
            rows_written: parts.clock.steady(),
            stalled: false,
            next: Position(tail.0 + 1),
            durable: tail,
            now: 0,
            closing: None,
            maintained: Maintained { at: parts.clock.steady(), position: tail, bytes: 0 },
            failure: None,
            parts,
        }
    }

    /// Waits until a worker of each language has loaded the application, then makes the deployment current and lets unfinished work go
    /// on. Nothing is recorded of an application that does not load.
    pub(crate) fn begin(&mut self) -> Result<(), StartError> {
        while !self.await_worker()? {}
        self.deploy();
        Ok(())
    }

    /// Makes the deployment current and lets unfinished work go on.
    pub(crate) fn deploy(&mut self) {
        self.tell_time();
        for index in 0..self.parts.partitions.len() {
            let first = self.parts.partitions[0].catalogue().clone();
            self.turn(index, |partition, turn| partition.deploy(&first, turn));
        }
        for index in 0..self.parts.partitions.len() {
            self.turn(index, Partition::start);
        }
    }

    /// Ends a node that did not start.
    pub(crate) fn give_up(mut self) -> Result<(), NodeError> {
        self.bury_workers();
        Ok(())
    }

    /// Runs until the node is shut down or cannot go on.
    pub(crate) fn run(mut self) -> Result<(), NodeError> {
        let result = self.rounds().and_then(|()| self.close());
        self.parts.shared.enter(Phase::Ended);
        self.parts.shared.held.shut();
        self.tokens.clear();
        self.bury_workers();
        result
    }

    fn rounds(&mut self) -> Result<(), NodeError> {
        loop {
            let heard = self.receive();
            if self.round(heard)? == Flow::End {
                return Ok(());
            }
        }
    }

    /// Waits for something to do, at most until the next timer.
    fn receive(&mut self) -> Option<Event> {
        let wait = self.patience();
        if self.stalled {
            // What is heard meanwhile waits in its bounded queue.
            thread::sleep(wait);
            return None;
        }
        match recv_within(&self.parts.events, wait) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            // The driver's own parts hold senders.
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    pub(crate) fn round(&mut self, heard: Option<Event>) -> Result<Flow, NodeError> {
        if self.stalled && !self.find_room()? {
            return Ok(Flow::GoOn);
        }
        let began = self.steady();
        self.tell_time();
        let mut heard = heard.into_iter();
        for _ in 0..limits::ROUND_INPUTS_MAX {
            let Some(event) = heard.next().or_else(|| self.parts.events.try_recv().ok()) else { break };
            self.take(event)?;
        }
        self.tick();
        self.handle_inputs();
        self.failure.take().map_or(Ok(()), Err)?;
        self.append()?;
        self.follow()?;
        self.write_rows();
        let now = self.steady();
        self.parts.pool.flush(now);
        let mut owed = Vec::new();
        self.parts.tasks.flush(self.durable, now, &mut owed);
        self.inputs.extend(owed);
        self.look_after_workers(began);
        self.maintain();
        self.publish();
        Ok(self.flow())
    }

    fn take(&mut self, event: Event) -> Result<(), NodeError> {
        match event {
            Event::Request(request) => {
                self.parts.shared.requests_queued.fetch_sub(1, Ordering::AcqRel);
                add(&self.parts.shared.counters.requests, 1);
                self.request(request)?;
            }
            Event::Message(from, to, message) => self.inputs.push_back((to, Input::Message { from, message })),
            Event::Forget(token) => self.forget(token),
            Event::Worker(WorkerEvent::Said(worker, messages)) => {
                let mut owed = Vec::new();
                for change in self.parts.pool.said(worker, messages, self.parts.clock.steady(), &mut owed) {
                    self.changed(&change);
                }
                self.inputs.extend(owed);
            }
            Event::Worker(WorkerEvent::Gone(worker, death)) => {
                let mut owed = Vec::new();
                if let Some(change) = self.parts.pool.gone(worker, death, self.parts.clock.steady(), &mut owed) {
                    self.changed(&change);
                }
                self.inputs.extend(owed);
            }
            // Only task workers do that.
            Event::Worker(WorkerEvent::WentOn(..)) => {}
            Event::TaskWorker(event) => self.task_worker(event),
            Event::LogFailed(error) => return Err(error.into()),
            Event::Applied(times) => self.overlay.applied(times),
            Event::StateFailed(error) => return Err(error.into()),
            Event::Shutdown => self.begin_close(),
        }
        Ok(())
    }

    fn task_worker(&mut self, event: WorkerEvent) {
        let mut owed = Vec::new();
        let news = match event {
            WorkerEvent::Said(worker, messages) => {
                self.parts.tasks.said(worker, messages, self.parts.clock.steady(), &mut owed)
            }
            WorkerEvent::WentOn(went_on, worker, messages) => {
                self.parts.pool.went_on(went_on);
                self.parts.tasks.said(worker, messages, self.parts.clock.steady(), &mut owed)
            }
            WorkerEvent::Gone(worker, death) => {
                self.parts.tasks.gone(worker, &death, self.parts.clock.steady(), &mut owed).into_iter().collect()
            }
        };
        self.inputs.extend(owed);
        for one in news {
            match one {
                TaskNews::Output { invocation, name, stream, text } => {
                    self.parts.sink.output(invocation, &name, &[(stream, text)]);
                }
                TaskNews::Notice(text) if self.closing.is_none() => self.parts.sink.notice(&text),
                TaskNews::Notice(_) => {}
            }
        }
    }

    /// Something about the workers that people should know.
    fn changed(&self, change: &Change) {
        if self.closing.is_some() {
            return;
        }
        let text = match change {
            Change::Ready => return,
            Change::Problem(problem) => {
                let exception = Exception::from_value(problem);
                format!("a worker could not load the application:\n{}", exception.traceback)
            }
            Change::FailedToStart { death, .. } => {
                format!("a worker {} before it had loaded the application", death.cause)
            }
            Change::Died(worker, death) => format!("worker {} {}; what it ran is run again", worker.0, death.cause),
        };
        self.parts.sink.notice(&text);
    }

    /// The next event while starting; true when the workers are ready.
    fn await_worker(&mut self) -> Result<bool, StartError> {
        let now = self.steady();
        self.parts.pool.check(now).map_err(StartError::io("starting", "the Python interpreter"))?;
        let wake = self.parts.pool.next_wake().unwrap_or(now + limits::IDLE_WAIT);
        let mut owed = Vec::new();
        let wait = wake.saturating_duration_since(now).max(Duration::from_millis(1));
        let changes = match recv_within(&self.parts.events, wait) {
            Ok(Event::Worker(WorkerEvent::Said(worker, messages))) => {
                self.parts.pool.said(worker, messages, self.parts.clock.steady(), &mut owed)
            }
            Ok(Event::Worker(WorkerEvent::Gone(worker, death))) => {
                self.parts.pool.gone(worker, death, self.parts.clock.steady(), &mut owed).into_iter().collect()
            }
            Ok(Event::LogFailed(error)) => return Err(error.into()),
            Ok(Event::StateFailed(error)) => return Err(error.into()),
            // Nobody has a handle yet.
            Ok(
                Event::Request(_)
                | Event::Message(..)
                | Event::Forget(_)
                | Event::Applied(_)
                | Event::Worker(WorkerEvent::WentOn(..))
                | Event::TaskWorker(_)
                | Event::Shutdown,
            )
            | Err(_) => {
                return Ok(false);
            }
        };
        self.inputs.extend(owed);
        let mut ready = false;
        for change in changes {
            ready |= is_ready(change)?;
        }
        Ok(ready && self.parts.pool.is_ready())
    }

    /// One call of a partition, with everything that comes of it.
    fn turn(&mut self, index: usize, call: impl FnOnce(&mut Partition, &mut Turn)) {
        let mut turn = std::mem::take(&mut self.turn);
        (turn.now, turn.next) = (self.now, self.next);
        call(&mut self.parts.partitions[index], &mut turn);
        self.carry_out(self.partition_at(index), &mut turn);
        let room = [turn.records.capacity(), turn.writes.capacity(), turn.effects.capacity()];
        if room.into_iter().all(|items| items <= limits::TURN_ROOM_MAX) {
            self.turn = turn;
        }
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = (PartitionId, &Partition)> {
        self.partition_ids().zip(&self.parts.partitions)
    }

    /// All rows of a partition.
    pub(crate) fn rows(&self, partition: PartitionId) -> Result<Vec<Entry>, NodeError> {
        let mut rows = BTreeMap::new();
        self.view(partition).scan(&[], &[0xff; 3], |key, value| {
            rows.insert(key, value);
            ControlFlow::Continue(())
        })?;
        for row in self.overlay.mirrored(partition) {
            match row.change.encode() {
                Some(value) => drop(rows.insert(row.key.clone(), value)),
                None => drop(rows.remove(&row.key)),
            }
        }
        Ok(rows.into_iter().collect())
    }

    pub(crate) fn durable(&self) -> Position {
        self.durable
    }

    pub(crate) fn unlogged(&self) -> &[LogRecord] {
        &self.batch
    }

    pub(crate) fn holds(&self) -> Holds {
        let pool = self.parts.pool.stats();
        Holds {
            held: self.parts.shared.held.len(),
            tokens: self.tokens.len(),
            inputs: self.inputs.len(),
            overlay_rows: self.overlay.queued(),
            running: pool.running,
            queued: pool.queued,
            suspended: pool.suspended,
            tasks_running: self.parts.tasks.running(),
        }
    }

    fn view(&self, partition: PartitionId) -> View<'_> {
        View::new(&*self.parts.backends.state, self.overlay.part(partition), partition)
    }

    fn partition_ids(&self) -> impl Iterator<Item = PartitionId> + use<> {
        let first = self.parts.first.0;
        (first..first + self.parts.partitions.len() as u16).map(PartitionId)
    }

    fn partition_at(&self, index: usize) -> PartitionId {
        PartitionId(self.parts.first.0 + index as u16)
    }

    /// Where a partition stands in the list of this node's; `None` if it is another node's.
    fn index_of(&self, partition: PartitionId) -> Option<usize> {
        let index = usize::from(partition.0.checked_sub(self.parts.first.0)?);
        (index < self.parts.partitions.len()).then_some(index)
    }

    fn handle_inputs(&mut self) {
        for _ in 0..self.parts.shared.round_inputs_max {
            let Some((partition, input)) = self.inputs.pop_front() else { break };
            // Nobody asks this node about others' partitions; a message that was sent wrong is none.
            let Some(index) = self.index_of(partition) else { continue };
            // Who came first is older, also within a round.
            self.now += Micros::from(matches!(input, Input::Submit(_)));
            self.turn(index, |partition, turn| partition.handle(input, turn));
            if self.batch_bytes >= limits::ROUND_BYTES_MAX {
                break;
            }
        }
    }

    fn steady(&self) -> Instant {
        self.parts.clock.steady()
    }

    /// The clock, which never goes back.
    fn tell_time(&mut self) {
        self.now = self.now.max(self.parts.clock.wall());
    }

    /// Wakes partitions whose time has come.
    fn tick(&mut self) {
        for index in 0..self.parts.partitions.len() {
            if self.parts.partitions[index].next_wake().is_some_and(|wake| wake <= self.now) {
                self.inputs.push_back((self.partition_at(index), Input::Tick));
            }
        }
    }

    /// How long nothing has to be done unless something is heard.
    pub(crate) fn patience(&self) -> Duration {
        if self.stalled {
            return limits::APPEND_RETRY / 10;
        }
        if !self.inputs.is_empty() {
            return Duration::ZERO;
        }
        let wakes = self.parts.partitions.iter().filter_map(Partition::next_wake);
        let engine = wakes.min().map(|wake| Duration::from_micros(wake.saturating_sub(self.now)));
        let now = self.steady();
        let pool = self.parts.pool.next_wake().map(|wake| wake.saturating_duration_since(now));
        let tasks = self.parts.tasks.next_wake().map(|wake| wake.saturating_duration_since(now));
        let rows = self.rows_due().map(|due| due.saturating_duration_since(now));
        let closing = self.closing.map(|deadline| deadline.saturating_duration_since(now));
        let wakes = engine.into_iter().chain(pool).chain(tasks).chain(rows).chain(closing);
        let wait = wakes.min().unwrap_or(limits::IDLE_WAIT);
        // A timer that was just served must not make the loop spin.
        wait.clamp(Duration::from_millis(1), limits::IDLE_WAIT)
    }

    fn look_after_workers(&mut self, began: Instant) {
        let now = self.steady();
        if now.duration_since(began) > limits::WORKER_CHECK_INTERVAL {
            self.parts.pool.forgive(now);
        }
        if let Err(error) = self.parts.pool.check(now) {
            if TooManyLost::is(&error) {
                self.failure = Some(NodeError::Threads(error.to_string()));
                return;
            }
            self.parts.sink.notice(&format!("a worker process cannot be started: {error}"));
        }
        if let Err(error) = self.parts.tasks.check(now) {
            self.parts.sink.notice(&format!("a task worker cannot be started: {error}"));
        }
    }

    fn maintain(&mut self) {
        let idle = self.durable == self.maintained.position;
        let bytes = self.parts.shared.counters.record_bytes.load(Ordering::Relaxed);
        let now = self.steady();
        let due = now.duration_since(self.maintained.at) >= limits::MAINTENANCE_INTERVAL
            || bytes - self.maintained.bytes >= limits::MAINTENANCE_BYTES
            || self.durable.0 - self.maintained.position.0 >= limits::MAINTENANCE_RECORDS;
        if idle || !due {
            return;
        }
        self.maintained = Maintained { at: now, position: self.durable, bytes };
        if self.parts.maintenance.is_none() {
            // In memory nothing is ever read from the log again; failing to trim it costs only room.
            return drop(self.parts.backends.log.trim(self.durable.0 + 1));
        }
        self.hand_rows(self.durable, true);
        self.parts.maintenance.iter().for_each(Maintenance::ask);
    }

    /// Lets operators see how it goes.
    fn publish(&self) {
        let shared = &self.parts.shared;
        let (counters, pool) = (&shared.counters, self.parts.pool.stats());
        add(&counters.rounds, 1);
        set(&counters.steps, pool.steps);
        set(&counters.fetches, pool.fetches);
        set(&counters.workers_ready, pool.ready as u64);
        set(&counters.worker_starts, pool.started);
        set(&counters.worker_deaths, pool.deaths);
        set(&counters.runs, pool.running as u64);
        set(&counters.runs_queued, pool.queued as u64);
        set(&counters.coroutines, pool.suspended as u64);
        set(&counters.overlay_bytes, self.overlay.bytes() as u64);
        set(&counters.overlay_rows, self.overlay.queued() as u64);
        set(&counters.appended, self.next.0 - 1);
        set(&counters.durable, self.durable.0);
        shared.overloaded.store(self.overlay.bytes() > shared.overlay_bytes_max, Ordering::Relaxed);
        let unfinished: usize = self.parts.partitions.iter().map(Partition::unfinished_bytes).sum();
        set(&counters.unfinished_bytes, unfinished);
        shared.crowded.store(unfinished > shared.unfinished_bytes_max, Ordering::Relaxed);
    }

    fn begin_close(&mut self) {
        self.parts.shared.enter(Phase::Closing);
        self.parts.pool.drain();
        self.parts.tasks.drain();
        let deadline = self.steady() + limits::SHUTDOWN_WAIT;
        self.closing.get_or_insert(deadline);
    }

    fn flow(&self) -> Flow {
        match self.closing {
            Some(deadline) if self.is_done() || self.steady() >= deadline => Flow::End,
            Some(_) | None => Flow::GoOn,
        }
    }

    fn is_done(&self) -> bool {
        self.inputs.is_empty() && self.parts.pool.running() == 0 && self.parts.tasks.running() == 0
    }

    /// Makes everything durable, lets the last answers out, brings the state up to date.
    fn close(&mut self) -> Result<(), NodeError> {
        self.append()?;
        while self.stalled && !self.find_room()? {
            thread::sleep(self.patience());
        }
        self.parts.backends.log.close()?;
        self.durable = Position(self.parts.backends.log.durable());
        self.hand_rows(self.durable, true);
        self.parts.writer.finish();
        while let Ok(event) = self.parts.events.try_recv() {
            match event {
                Event::StateFailed(error) => return Err(error.into()),
                Event::Worker(WorkerEvent::Gone(worker, death)) => {
                    self.parts.pool.gone(worker, death, self.parts.clock.steady(), &mut Vec::new());
                }
                Event::TaskWorker(WorkerEvent::Gone(worker, death)) => {
                    self.parts.tasks.gone(worker, &death, self.parts.clock.steady(), &mut Vec::new());
                }
                // A message that comes too late is as good as one that was never sent.
                _ => {}
            }
        }
        drop(self.parts.maintenance.take());
        self.parts.backends.state.checkpoint()?;
        Ok(())
    }

    /// Waits until the processes are gone; their threads see to it that they go.
    fn bury_workers(&mut self) {
        let deadline = Instant::now() + 2 * limits::WORKER_EXIT_WAIT;
        let mut processes = self.parts.pool.close() + self.parts.tasks.close();
        while processes > 0 {
            match recv_within(&self.parts.events, deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Worker(WorkerEvent::Gone(..)) | Event::TaskWorker(WorkerEvent::Gone(..))) => processes -= 1,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

fn is_ready(change: Change) -> Result<bool, StartError> {
    match change {
        Change::Ready => Ok(true),
        Change::Problem(problem) => {
            let exception = Exception::from_value(&problem);
            let summary = format!("{}: {}", exception.class, exception.message);
            Err(StartError::Application { summary, traceback: exception.traceback })
        }
        Change::FailedToStart { failures, death } if failures >= limits::WORKER_STARTS_FAILED_MAX => {
            Err(StartError::Workers { cause: death.cause, output: death.output })
        }
        Change::FailedToStart { .. } | Change::Died(..) => Ok(false),
    }
}

/// What wakes the driver from the threads of log and writer.
pub(crate) fn report_rows(events: Sender<Event>) -> impl FnMut(Result<usize, StateError>) + Send + 'static {
    move |result| {
        let event = match result {
            Ok(times) => Event::Applied(times),
            Err(error) => Event::StateFailed(error),
        };
        // A driver that has ended reads the state at its next start.
        let _ = events.send(event);
    }
}
