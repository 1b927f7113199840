//! The simulated world: machines with real nodes on simulated disks, networks, worker processes and clients, under one
//! seeded scheduler with virtual time. Whatever can happen later stands in one queue, in order of time.
//!
//! - [`machine`] is one machine; [`state`] and [`clock`] are parts of it.
//! - [`process`] holds worker processes, [`work`] runs what is in them.
//! - [`clients`] asks and asks again.
//! - [`faults`] breaks things.

mod ahead;
pub mod clients;
pub mod clock;
mod faults;
pub mod machine;
mod process;
pub mod state;
mod work;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use engine::Reply;
use protocol::cell::{CellKey, CellRow};
use protocol::ids::PartitionId;
use protocol::manifest::Manifest;
use protocol::message::Message;
use protocol::record;
use runtime::stepped::WorkerId;
use store::file_log::Did;
use store::state::Entry;
use store::{Log, State};

use self::clients::{Call_, Request};
use self::clock::Time;
use self::machine::{Machine, StartFailure};
use self::process::Kind;
use crate::check::{self, Violation};
use crate::happenings::{Counts, Happening};
use crate::native::Tasks;
use crate::plan::{FAULTS_END, Fault, Plan};
use crate::program::{App, decode_int};
use crate::recorder::Recorder;
use crate::rng::Rng;

/// Something that happens at a time.
#[derive(Debug)]
pub enum Event {
    Client(usize),
    Impatient(usize, u32),
    Again(usize),
    Cancel(usize, bool),
    /// An operator looks at what is parked.
    Operator,
    /// The driver of a node looks around; the number is that of its life, as below.
    Round(usize, u32),
    /// The log's committer writes or syncs.
    Commit(usize, u32),
    /// What waited for the log has left: node and its life.
    LetOut(usize, u32),
    Allocate(usize, u32),
    Cover(usize, u32),
    /// The state's writer writes.
    Apply(usize, u32),
    Checkpoint(usize, u32),
    /// A process takes a message.
    Work(usize, u32, Kind, WorkerId),
    /// What a process said is heard.
    Hear(usize, u32, Kind, WorkerId),
    /// A process has loaded the application.
    Ready(usize, u32, Kind, WorkerId),
    /// A process is gone.
    Gone(usize, u32, Kind, WorkerId, runtime::stepped::Death),
    TaskEnds(usize, u32, WorkerId, u64),
    /// A message arrives.
    Deliver(Box<Parcel>),
    Fault(Fault),
    /// The capacity of a disk is back.
    DiskFree(usize),
    Start(usize),
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Node of the sender, and its life.
    sender: (usize, u32),
    /// Life of the receiver when it was sent.
    sent_to: u32,
    from: PartitionId,
    to: PartitionId,
    /// When it was sent, in messages.
    number: u64,
    message: Message,
}

struct Due {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// What became of tasks, by their number: outside of all nodes, like the world.
#[derive(Debug, Default)]
pub struct Errands {
    pub begun: BTreeMap<i64, u64>,
    pub failed: BTreeMap<i64, u64>,
    given: i64,
}

/// The world of one seed.
pub struct World {
    pub plan: Plan,
    pub time: Time,
    pub machines: Vec<Machine>,
    pub requests: Vec<Request>,
    pub recorder: Rc<RefCell<Recorder>>,
    pub errands: Errands,
    tasks: Tasks,
    /// Events so far.
    pub events: u64,
    pub lives: u32,
    pub violations: Vec<Violation>,
    /// Only what this checker finds counts.
    pub only: Option<String>,
    pub counts: Counts,
    rng: Rng,
    app: Rc<App>,
    manifest: Arc<Manifest>,
    queue: BinaryHeap<Due>,
    order: u64,
    clients: Vec<VecDeque<usize>>,
    calls: Vec<Call_>,
    /// When the last message of a pair of partitions arrives.
    links: BTreeMap<(PartitionId, PartitionId), u64>,
    /// Messages sent so far, and the newest one that has come to a node.
    sent: u64,
    newest: BTreeMap<usize, u64>,
    /// Faults that come with an event of this number.
    at_event: Vec<(u64, Fault)>,
    /// Of a node that crashed, what arrives after this time is lost.
    cut: BTreeMap<(usize, u32), u64>,
    traced: Option<String>,
    digest: u64,
}

/// More events than any seed takes that gets anywhere.
const EVENTS_MAX: u64 = 400_000;
/// How often an operator looks.
const OPERATOR_PERIOD: u64 = 20_000_000;
/// A run that is not over by then does not end.
const TIME_MAX: u64 = 2_000_000_000;

impl World {
    pub fn new(plan: Plan, app: App, wishes: Vec<clients::Wish>, traced: bool) -> Self {
        let time = Time::beginning();
        let machines = plan.nodes.iter().map(|_| Machine::new(&plan, &time)).collect();
        let clients = plan.clients.min(wishes.len()).max(1);
        let mut world = Self {
            rng: Rng::new(plan.seed ^ 0x5eed),
            manifest: Arc::new(app.manifest()),
            app: Rc::new(app),
            time,
            machines,
            requests: wishes.into_iter().map(Request::new).collect(),
            recorder: Rc::default(),
            errands: Errands::default(),
            tasks: Tasks::default(),
            events: 0,
            lives: 0,
            violations: Vec::new(),
            only: None,
            counts: Counts::default(),
            queue: BinaryHeap::new(),
            order: 0,
            clients: vec![VecDeque::new(); clients],
            calls: Vec::new(),
            links: BTreeMap::new(),
            sent: 0,
            newest: BTreeMap::new(),
            at_event: Vec::new(),
            cut: BTreeMap::new(),
            traced: traced.then(String::new),
            digest: 0,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let plan = self.plan.clone();
        self.trace(|| format!("{plan:#?}"));
        for node in 0..self.machines.len() {
            self.later(self.order, Event::Start(node));
        }
        for request in 0..self.requests.len() {
            let client = request % self.clients.len();
            self.clients[client].push_back(request);
        }
        for client in 0..self.clients.len() {
            let pause = self.rng.below(self.plan.think * 4) + 500;
            self.later(pause, Event::Client(client));
        }
        self.later(OPERATOR_PERIOD, Event::Operator);
        for (at, fault) in plan.faults {
            self.later(at + 1_000, Event::Fault(fault));
        }
    }

    pub(super) fn later(&mut self, after: u64, event: Event) {
        self.at(self.time.now() + after, event);
    }

    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.push(Due { at, order: self.order, event });
    }

    /// Mostly near `typical`, sometimes far beyond.
    pub(super) fn delay(&mut self, typical: u64) -> u64 {
        let most = match self.rng.below(100) {
            0..70 => 2 * typical,
            70..96 => 8 * typical,
            _ => 60 * typical,
        };
        1 + self.rng.below(most.max(1))
    }

    /// A line of the trace; also without one, every event goes into the digest that tells runs apart.
    pub fn trace(&mut self, line: impl FnOnce() -> String) {
        if self.traced.is_some() {
            self.trace_user_code();
        }
        if let Some(text) = &mut self.traced {
            let _ = writeln!(text, "{:>12} {}", self.time.now(), line());
        }
    }

    /// What user code has read and written.
    fn trace_user_code(&mut self) {
        let said = self.recorder.borrow_mut().said.replace(Vec::new()).unwrap_or_default();
        let Some(text) = &mut self.traced else { return };
        for line in said {
            let _ = writeln!(text, "{:>12}     {line}", self.time.now());
        }
    }

    /// The trace, if it is kept.
    pub fn take_trace(&mut self) -> Option<String> {
        self.traced.take()
    }

    /// Tells runs apart: of all events, their times and every draw.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Remembers what is wrong.
    pub fn violated(&mut self, checker: &'static str, text: String) {
        if self.only.as_ref().is_some_and(|only| only != checker) {
            return;
        }
        self.trace(|| format!("VIOLATION {checker}: {text}"));
        self.violations.push(Violation { checker, text });
    }

    /// Runs until everything has ended, or something is wrong.
    pub fn run(&mut self) {
        while self.violations.is_empty() && !self.is_over() {
            if self.events > EVENTS_MAX || self.time.now() > TIME_MAX {
                let text = check::progress::stuck(self);
                self.violated("progress", text);
                break;
            }
            if !self.step() {
                self.violated("progress", "nothing will ever happen again".to_owned());
                break;
            }
        }
        if self.violations.is_empty() {
            self.settle();
        }
        if self.violations.is_empty() {
            check::at_end(self);
        }
        self.count_at_end();
    }

    /// Counts what only the end shows.
    fn count_at_end(&mut self) {
        for machine in &self.machines {
            let damage = machine.disk.damage();
            self.counts.note(Happening::WriteTorn, damage.torn);
            self.counts.note(Happening::OperationFailed, damage.failed);
            self.counts.note(Happening::SyncFailed, damage.syncs_failed);
            self.counts.note(Happening::DiskFull, damage.full);
            self.counts.note(Happening::WritesLost, damage.lost);
            self.counts.note(Happening::WritesReordered, damage.reordered);
        }
        self.counts.note(Happening::TaskFailed, self.errands.failed.values().sum());
        let recorder = self.recorder.borrow();
        let kept = |version: &i64| {
            let machines = &mut self.machines.iter();
            machines.any(|machine| crate::chronicle::lock(&machine.chronicle).stands(*version).is_some())
        };
        let attempts = recorder.units().filter(|(_, unit)| unit.is_transaction && !unit.wrote.is_empty());
        let abandoned = attempts.filter(|(_, unit)| !unit.wrote.iter().any(kept)).count() as u64;
        self.counts.note(Happening::AttemptAbandoned, abandoned);
    }

    fn is_over(&self) -> bool {
        self.time.now() > self.faults_over() && self.requests.iter().all(Request::is_over)
    }

    /// No fault comes later.
    fn faults_over(&self) -> u64 {
        self.plan.faults.last().map_or(0, |_| FAULTS_END + 1_100_000)
    }

    /// Lets what goes on without clients come to its end.
    fn settle(&mut self) {
        self.come_to_rest();
        if self.plan.retention == crate::plan::SHORT_RETENTION && self.violations.is_empty() {
            self.go_on_for(self.plan.retention + 15_000_000);
            self.come_to_rest();
            // A disk may have waited with its last fault for the record that forgets: then its node is back only now.
            self.go_on_for(5_000_000);
            self.come_to_rest();
        }
    }

    fn go_on_for(&mut self, time: u64) {
        let until = self.time.now() + time;
        while self.violations.is_empty() && self.time.now() < until && self.step() {}
    }

    /// Until nothing is under way anywhere, if that comes soon.
    fn come_to_rest(&mut self) {
        let until = self.time.now() + 40_000_000;
        while self.violations.is_empty() && self.time.now() < until && !check::progress::is_quiet(self) && self.step() {
        }
    }

    /// One event; false if there is none.
    pub fn step(&mut self) -> bool {
        let Some(Due { at, event, order }) = self.queue.pop() else { return false };
        self.time.advance(at);
        self.events += 1;
        self.recorder.borrow_mut().now = self.events;
        self.digest = (self.digest ^ at ^ order.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(5);
        self.happen(event);
        while let Some(index) = self.at_event.iter().position(|(event, _)| *event <= self.events) {
            let (_, fault) = self.at_event.remove(index);
            self.fault(&fault);
        }
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Client(client) => self.client_turn(client),
            Event::Impatient(request, tries) => self.impatient(request, tries),
            Event::Again(request) => self.ask_again(request),
            Event::Cancel(request, kill) => self.cancel(request, kill),
            Event::Operator => self.operate(),
            Event::Round(node, life) if self.lives(node, life) => self.round(node),
            Event::Commit(node, life) if self.lives(node, life) => self.commit(node),
            Event::LetOut(node, life) if self.lives(node, life) => self.let_out(node),
            Event::Allocate(node, life) if self.lives(node, life) => self.allocate(node),
            Event::Cover(node, life) if self.lives(node, life) => self.cover(node),
            Event::Apply(node, life) if self.lives(node, life) => self.apply(node),
            Event::Checkpoint(node, life) if self.lives(node, life) => self.checkpoint(node),
            Event::Work(node, life, kind, worker) if self.lives(node, life) => self.work(node, kind, worker),
            Event::Hear(node, life, kind, worker) if self.lives(node, life) => self.hear(node, kind, worker),
            Event::Ready(node, life, kind, worker) if self.lives(node, life) => self.ready(node, kind, worker),
            Event::Gone(node, life, kind, worker, death) if self.lives(node, life) => {
                self.gone(node, kind, worker, death);
            }
            Event::TaskEnds(node, life, worker, run) if self.lives(node, life) => self.task_ends(node, worker, run),
            Event::Deliver(parcel) => self.deliver(*parcel),
            Event::Fault(fault) => self.fault(&fault),
            Event::DiskFree(node) => self.machines[node].disk.set_capacity(None),
            Event::Start(node) => self.start(node),
            // Of a node that is gone.
            Event::Round(..)
            | Event::Commit(..)
            | Event::LetOut(..)
            | Event::Allocate(..)
            | Event::Cover(..)
            | Event::Apply(..)
            | Event::Checkpoint(..)
            | Event::Work(..)
            | Event::Hear(..)
            | Event::Ready(..)
            | Event::Gone(..)
            | Event::TaskEnds(..) => {}
        }
    }

    // Looking.

    pub fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.manifest)
    }

    /// Microseconds since 1970, by a clock that is right.
    pub fn now(&self) -> u64 {
        self.wall_at(self.time.now())
    }

    pub fn wall_at(&self, time: u64) -> u64 {
        clock::BEGINNING + time
    }

    pub fn workload_counts(&self, wish: &clients::Wish) -> bool {
        self.plan.workload.counts(wish)
    }

    pub fn workload_expects(&self, class: &str, wish: &clients::Wish) -> bool {
        self.plan.workload.expects(class, wish)
    }

    /// The rows of all partitions.
    pub fn all_rows(&self) -> Vec<(PartitionId, Vec<Entry>)> {
        let up = self.machines.iter().filter_map(|machine| machine.up.as_ref());
        let rows = |up: &machine::Up, id| up.node.rows(id).expect("memory does not fail");
        up.flat_map(|up| up.node.partitions().map(|(id, _)| (id, rows(up, id))).collect::<Vec<_>>()).collect()
    }

    /// Numbers of all fields with this name: key (0 for a scalar), number.
    pub fn entries(&self, field: &str) -> Vec<(i64, i64)> {
        let mut found = Vec::new();
        for up in self.machines.iter().filter_map(|machine| machine.up.as_ref()) {
            for (id, partition) in up.node.partitions() {
                let catalogue = &partition.catalogue().entries;
                let of_field = catalogue.iter().filter(|(_, name, _)| name == field);
                let numbers: Vec<u32> = of_field.map(|(.., number)| *number).collect();
                for (key, row) in up.node.rows(id).expect("memory does not fail") {
                    let Some(cell) = CellKey::from_row(&key).filter(|cell| numbers.contains(&cell.field)) else {
                        continue;
                    };
                    let row: CellRow = record::decode(&row, "cell").expect("a stored cell is one that we wrote");
                    let key = cell.key.and(row.key).map_or(0, |key| decode_int(&key));
                    found.push((key, decode_int(&row.value)));
                }
            }
        }
        found
    }

    fn lives(&self, node: usize, life: u32) -> bool {
        self.machines[node].up.is_some() && self.machines[node].life == life
    }

    /// The driver of a node has something to look at.
    pub(super) fn poke(&mut self, node: usize) {
        let after = self.rng.range(1, 30);
        self.round_by(node, self.time.now() + after);
    }

    fn round_by(&mut self, node: usize, at: u64) {
        let life = self.machines[node].life;
        let Some(up) = self.machines[node].up.as_mut() else { return };
        if up.round_at.is_none_or(|earlier| at < earlier) {
            up.round_at = Some(at);
            self.at(at, Event::Round(node, life));
        }
    }

    fn round(&mut self, node: usize) {
        let now = self.time.now();
        let up = self.machines[node].up.as_mut().expect("only those that live");
        if up.round_at.is_none_or(|at| at > now) {
            return;
        }
        up.round_at = None;
        crate::chronicle::lock(&self.machines[node].chronicle).now = now;
        let up = self.machines[node].up.as_mut().expect("it still lives");
        if let Err(error) = up.node.round() {
            return self.node_failed(node, &error.to_string());
        }
        let patience = up.node.patience().as_micros() as u64;
        if let Err(text) = check::bounds::holds(self, node) {
            self.violated("bounds", text);
        }
        self.hear_of_reruns(node);
        self.hear_of_ahead(node);
        self.listen(node);
        self.follow_up(node);
        self.round_by(node, now + patience.max(1));
    }

    /// Before any worker goes on: the newest run of each of these invocations is the one that was dropped.
    fn hear_of_reruns(&mut self, node: usize) {
        let machine = &self.machines[node];
        let Some(up) = &machine.up else { return };
        for invocation in up.reruns.take() {
            self.recorder.borrow_mut().runs_again(invocation, machine.life);
        }
    }

    /// What a node has caused and others carry on.
    fn follow_up(&mut self, node: usize) {
        self.post(node);
        self.staff(node);
        let (life, now) = (self.machines[node].life, self.time.now());
        let (write, apply, checkpoint) = (self.plan.write, self.plan.apply, self.plan.checkpoint);
        let Some(up) = self.machines[node].up.as_mut() else { return };
        let commits = !up.committing && up.log.tail() > up.log.durable();
        let allocates = !up.allocating && up.log.wants_segment();
        let writes = !up.writing && up.node.durable().0 > up.written;
        let maintains = up.node.wants_maintenance() || now >= up.maintain_at;
        if maintains {
            up.maintain_at = now + self.plan.maintenance;
        }
        up.committing |= commits;
        up.allocating |= allocates;
        up.writing |= writes;
        if commits {
            let after = self.delay(write);
            let after = after.max(self.machines[node].stalled_until.saturating_sub(now));
            self.later(after, Event::Commit(node, life));
        }
        if allocates {
            let after = self.delay(write * 10);
            self.later(after, Event::Allocate(node, life));
        }
        if writes {
            let after = self.delay(apply);
            self.later(after, Event::Apply(node, life));
        }
        if maintains {
            let after = self.delay(checkpoint);
            self.later(after, Event::Checkpoint(node, life));
        }
    }

    fn commit(&mut self, node: usize) {
        let stalled = self.machines[node].stalled_until;
        let life = self.machines[node].life;
        if stalled > self.time.now() {
            self.counts.note(Happening::SyncStalled, 1);
            return self.at(stalled, Event::Commit(node, life));
        }
        let up = self.machines[node].up.as_mut().expect("only those that live");
        let did = up.log.step();
        let (tail, durable) = (up.log.tail(), up.log.durable());
        self.trace(|| format!("node {node}: the log {did:?}, durable {durable} of {tail}"));
        let up = self.machines[node].up.as_mut().expect("it still lives");
        match did {
            Did::Wrote => {
                let after = self.delay(self.plan.sync);
                self.later(after, Event::Commit(node, life));
            }
            Did::Synced if tail > durable => {
                let after = self.delay(self.plan.write);
                self.later(after, Event::Commit(node, life));
            }
            Did::Synced | Did::Nothing => {
                up.committing = false;
                if did == Did::Synced && !up.covering {
                    up.covering = true;
                    self.later(1_000_000, Event::Cover(node, life));
                }
            }
            Did::Failed => {
                up.committing = false;
                return self.poke(node);
            }
        }
        if did == Did::Synced {
            let after = self.rng.range(1, 30);
            self.later(after, Event::LetOut(node, life));
        }
    }

    /// The log has let out what waited for it. Its node hears of that when it next looks.
    fn let_out(&mut self, node: usize) {
        self.listen(node);
        self.follow_up(node);
    }

    fn cover(&mut self, node: usize) {
        let life = self.machines[node].life;
        let up = self.machines[node].up.as_mut().expect("only those that live");
        up.covering = false;
        if !up.committing && up.log.step_cover() == Did::Wrote {
            up.committing = true;
            let after = self.delay(self.plan.sync);
            self.later(after, Event::Commit(node, life));
        }
        self.poke(node);
    }

    fn allocate(&mut self, node: usize) {
        let up = self.machines[node].up.as_mut().expect("only those that live");
        let made = up.log.step_allocate();
        if !made && self.machines[node].disk.is_useless() {
            // Nothing else may come that would notice: calls are refused while there is no room.
            let survivors = self.survivors();
            return self.crash(node, survivors);
        }
        let up = self.machines[node].up.as_mut().expect("only those that live");
        up.allocating = up.log.wants_segment();
        if up.allocating {
            let after = if made { self.delay(self.plan.write * 10) } else { 100_000 };
            let life = self.machines[node].life;
            self.later(after, Event::Allocate(node, life));
        }
        self.poke(node);
    }

    fn apply(&mut self, node: usize) {
        let up = self.machines[node].up.as_mut().expect("only those that live");
        up.writing = false;
        up.written = up.node.durable().0;
        up.node.write_state();
        self.poke(node);
    }

    /// What maintenance does: the state is synced, then the log gives up what the state has.
    fn checkpoint(&mut self, node: usize) {
        let machine = &mut self.machines[node];
        let up = machine.up.as_mut().expect("only those that live");
        machine.state.checkpoint().expect("memory does not fail");
        let owned = self.plan.nodes[node].clone();
        let applied = owned.map(|partition| machine.state.applied(partition).expect("it has all partitions"));
        let lowest = applied.min().expect("a node has partitions");
        // A trim that fails leaves the log longer.
        let trimmed = up.log.trim(lowest + 1);
        self.trace(|| format!("node {node}: checkpoint at {lowest}, trimmed: {trimmed:?}"));
    }

    fn node_failed(&mut self, node: usize, error: &str) {
        self.trace(|| format!("node {node} ends: {error}"));
        self.counts.note(Happening::NodeEnded, 1);
        let expected = error.contains("injected") || error.contains("other error") || error.contains("the log failed");
        if !expected {
            self.violated("progress", format!("node {node} ended: {error}"));
        }
        self.crash(node, store::faulty::Survivors::Process);
    }

    /// The node's process is gone.
    pub(super) fn crash(&mut self, node: usize, survivors: store::faulty::Survivors) {
        if self.machines[node].up.is_none() {
            return;
        }
        self.trace(|| format!("node {node} crashes, {survivors:?}"));
        let now = self.time.now();
        let longest = *self.rng.pick(&[1, self.plan.slow_link]);
        let lost_after = now + self.rng.below(2 * self.plan.net * longest);
        let life = self.machines[node].life;
        self.cut.insert((node, life), lost_after);
        let power = survivors != store::faulty::Survivors::Process;
        self.counts.note(if power { Happening::PowerLoss } else { Happening::ProcessCrash }, 1);
        let lost = self.machines[node].crash(survivors, &mut self.rng);
        self.counts.note(Happening::StateLost, u64::from(lost));
        self.disconnect(node);
        let after = *self.rng.pick(&[10, 3_000, 400_000]);
        let after = self.delay(after);
        self.later(after, Event::Start(node));
    }

    fn start(&mut self, node: usize) {
        if self.machines[node].up.is_some() {
            return;
        }
        self.lives += 1;
        self.machines[node].life = self.lives;
        let started = self.machines[node].start(node, &self.plan, &self.manifest);
        match started {
            Ok(()) => {
                self.trace(|| format!("node {node} starts"));
                if let Err(text) = check::replay::agrees(self, node) {
                    self.violated("replay", text);
                }
                let up = self.machines[node].up.as_mut().expect("it has just started");
                up.node.begin();
                self.poke(node);
                self.follow_up(node);
            }
            Err(StartFailure::Disk) => {
                self.trace(|| format!("node {node} fails to start, its disk is broken"));
                self.counts.note(Happening::CrashInRecovery, 1);
                let survivors = self.survivors();
                let lost = self.machines[node].crash(survivors, &mut self.rng);
                self.counts.note(Happening::StateLost, u64::from(lost));
                let after = self.delay(5_000);
                self.later(after, Event::Start(node));
            }
            Err(StartFailure::Lost(text)) => self.violated("loss", format!("node {node} does not start: {text}")),
        }
    }

    fn judge_reply(&mut self, index: usize, reply: &Reply) {
        if let Err(text) = check::dirty::reply(self, index, reply) {
            self.violated("dirty", text);
        }
    }
}
