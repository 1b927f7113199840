//! A world that can be copied: real partitions, links between them, logs with a durable position, runs on workers,
//! clients. An action takes it from one state to the next; nothing else happens by itself.
//!
//! What is durable is decided as late as possible: a log is synced when something leaves that rests on it, and a crash
//! chooses how many of the later records survive. Partitions are never told what is durable, so an earlier sync would
//! only take crashes away.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use engine::{Canonical, Config, Deployment, Effect, Input, Partition, Reply, Submit, Token, Turn, routing};
use protocol::ids::{InvocationId, PartitionId, Position, RunNumber};
use protocol::message::Message;
use protocol::{Value, msgpack};

use super::configurations::Configuration;
use super::stored::{Log, Rows, Written, answer};
use super::workers::{Run, Seen, SeenKey, Suspended};
use crate::program::{App, encode_int};

/// Microseconds since 1970 when a world begins.
const BEGINNING: u64 = 1_700_000_000_000_000;

/// A link: sender, receiver, life of the sender's node.
pub(super) type LinkId = (PartitionId, PartitionId, u64);

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A client sends its request.
    Submit(usize),
    /// The next message of a link arrives.
    Deliver(LinkId),
    /// What a worker says of a run arrives.
    Report(PartitionId, RunNumber),
    /// An answer leaves, its log having been synced.
    Answer(usize),
    /// Nothing else can happen: a second passes.
    Tick,
    /// The node of a log dies and starts again: its log keeps so many records; what had left it is lost, or late.
    Crash { log: usize, keep: u64, late: bool },
    /// The worker that runs this dies; it is to blame, or not.
    Kill(PartitionId, RunNumber, bool),
    /// The worker that holds this coroutine dies.
    Forget(PartitionId, InvocationId),
}

/// A message on its way.
#[derive(Clone, Debug)]
struct Flight {
    /// Position of the sender's log that must be durable before, if it goes to another log.
    after: Option<Position>,
    message: Rc<Message>,
}

/// A client's request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    New,
    Waiting,
    /// A crash took it, and nobody asks again.
    Lost,
    Answered(Reply),
}

/// A partition's process.
#[derive(Clone)]
struct Part {
    engine: Arc<Partition>,
    /// Digest of the engine's state; `None`: to be made.
    print: Option<u64>,
}

/// What stays the same in all states.
pub(super) struct Setup {
    pub(super) configuration: Configuration,
    pub(super) app: Rc<App>,
    deployment: Arc<Deployment>,
}

/// A state.
#[derive(Clone)]
pub(super) struct World {
    pub(super) setup: Rc<Setup>,
    now: u64,
    parts: Vec<Part>,
    logs: Vec<Log>,
    links: BTreeMap<LinkId, VecDeque<Flight>>,
    pub(super) runs: BTreeMap<(PartitionId, RunNumber), Run>,
    pub(super) coroutines: BTreeMap<InvocationId, Suspended>,
    pub(super) requests: Vec<Asked>,
    /// How often each request was sent.
    sent: Vec<u8>,
    answers: Vec<(usize, PartitionId, Position, Reply)>,
    pub(super) seen: Rc<BTreeMap<SeenKey, Seen>>,
    crashes: u32,
    pub(super) deaths: u32,
    idle: u8,
    /// Something went wrong.
    pub(super) violation: Option<String>,
    /// What happened, if somebody wants to know.
    pub(super) trace: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(configuration: &Configuration) -> Self {
        let app = super::services::services();
        let deployment = Arc::new(Deployment::new(Arc::new(app.manifest())));
        let setup = Setup { configuration: configuration.clone(), app: Rc::new(app), deployment };
        let nodes = configuration.logs.iter().max().map_or(0, |last| last + 1);
        let mut world = Self {
            now: BEGINNING,
            parts: Vec::new(),
            logs: vec![Log::default(); nodes],
            links: BTreeMap::new(),
            runs: BTreeMap::new(),
            coroutines: BTreeMap::new(),
            requests: vec![Asked::New; configuration.requests.len()],
            sent: vec![0; configuration.requests.len()],
            answers: Vec::new(),
            seen: Rc::default(),
            crashes: configuration.crashes,
            deaths: configuration.deaths,
            idle: 0,
            violation: None,
            trace: None,
            setup: Rc::new(setup),
        };
        for id in world.ids() {
            let engine = world.fresh(id);
            world.parts.push(Part { engine: Arc::new(engine), print: None });
        }
        for log in 0..nodes {
            world.start(log);
        }
        // Nodes that have just started tell each other so; that they do is no part of what is looked at.
        while let Some(link) = world.links.keys().next().copied() {
            world.deliver(link);
        }
        for log in 0..nodes {
            world.sync(log, world.logs[log].tail());
        }
        world
    }

    pub(super) fn ids(&self) -> Vec<PartitionId> {
        (0..self.setup.configuration.partitions()).map(PartitionId).collect()
    }

    pub(super) fn log_of(&self, id: PartitionId) -> usize {
        self.setup.configuration.logs[usize::from(id.0)]
    }

    fn partitions_of(&self, log: usize) -> Vec<PartitionId> {
        self.ids().into_iter().filter(|id| self.log_of(*id) == log).collect()
    }

    fn fresh(&self, id: PartitionId) -> Partition {
        let log = self.log_of(id);
        let owned = self.partitions_of(log);
        let config = Config {
            id,
            partitions: self.setup.configuration.partitions(),
            epoch: self.logs[log].life,
            same_log: owned[0].0..owned[owned.len() - 1].0 + 1,
            ahead_max: if self.setup.configuration.ahead { Config::default().ahead_max } else { 0 },
            ..Config::default()
        };
        Partition::new(config, Arc::clone(&self.setup.deployment))
    }

    pub(super) fn engine(&self, id: PartitionId) -> &Partition {
        &self.parts[usize::from(id.0)].engine
    }

    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(text());
        }
    }

    pub(super) fn violated(&mut self, text: String) {
        self.violation.get_or_insert(text);
    }

    // What can happen.

    /// Everything that can happen, in a fixed order.
    pub(super) fn actions(&self) -> Vec<Action> {
        let mut actions: Vec<Action> = self.links.keys().map(|link| Action::Deliver(*link)).collect();
        actions.extend(self.runs.keys().map(|(id, run)| Action::Report(*id, *run)));
        actions.extend((0..self.requests.len()).filter(|index| self.may_ask(*index)).map(Action::Submit));
        actions.extend((0..self.answers.len()).map(Action::Answer));
        if actions.is_empty() && !self.is_over() {
            actions.push(Action::Tick);
        }
        actions.extend(self.faults());
        actions
    }

    fn may_ask(&self, index: usize) -> bool {
        let wish = &self.setup.configuration.requests[index];
        let is_answered = |index: usize| matches!(self.requests[index], Asked::Answered(_));
        let has_crashed = self.crashes < self.setup.configuration.crashes;
        self.requests[index] == Asked::New
            && wish.after.is_none_or(is_answered)
            && wish.crash_or.is_none_or(|other| has_crashed || is_answered(other))
    }

    fn faults(&self) -> Vec<Action> {
        let mut faults = Vec::new();
        let only = self.setup.configuration.crashes_of;
        if self.crashes > 0 && (only.is_none() || self.requests[0] == Asked::Waiting) {
            for (log, state) in self.logs.iter().enumerate().filter(|(log, _)| only.is_none_or(|only| only == *log)) {
                let leaves =
                    self.links.keys().any(|(from, to, _)| self.log_of(*from) == log && self.log_of(*to) != log);
                for keep in state.durable..=state.tail() {
                    faults.push(Action::Crash { log, keep, late: false });
                    if leaves {
                        faults.push(Action::Crash { log, keep, late: true });
                    }
                }
            }
        }
        if self.deaths > 0 {
            faults.extend(self.runs.keys().map(|(id, run)| Action::Kill(*id, *run, true)));
            faults.extend(self.coroutines.iter().map(|(id, held)| Action::Forget(held.partition, *id)));
        }
        faults
    }

    /// Nothing is under way, and nothing will ever be.
    pub(super) fn is_over(&self) -> bool {
        let asked = self.requests.iter().all(|asked| matches!(asked, Asked::Lost | Asked::Answered(_)));
        let still = self.links.is_empty() && self.runs.is_empty() && self.answers.is_empty();
        asked && still && self.parts.iter().all(|part| part.engine.is_settled())
    }

    /// Lets it happen.
    pub(super) fn apply(&mut self, action: &Action) {
        self.say(|| format!("== {action:?}"));
        if *action != Action::Tick {
            self.idle = 0;
        }
        match *action {
            Action::Submit(index) => self.submit(index),
            Action::Deliver(link) => self.deliver(link),
            Action::Report(id, run) => self.report(id, run),
            Action::Answer(index) => self.answer(index),
            Action::Tick => self.tick(),
            Action::Crash { log, keep, late } => self.crash(log, keep, late),
            Action::Kill(id, run, struck) => self.kill(id, run, struck),
            Action::Forget(id, invocation) => self.forget(id, invocation),
        }
    }

    fn submit(&mut self, index: usize) {
        let wish = self.setup.configuration.requests[index].clone();
        self.requests[index] = Asked::Waiting;
        self.sent[index] += 1;
        let mut entropy = [0; 16];
        (entropy[4], entropy[5]) = (index as u8 + 1, self.sent[index]);
        let args: Vec<Value> = wish.args.iter().map(|arg| Value::Int(*arg)).collect();
        let args = msgpack::encode_args(&args, &[]).expect("numbers can be sent");
        let key = wish.key.map(encode_int);
        let text = wish.again.then(|| format!("request {index}"));
        let manifest = self.setup.deployment.manifest();
        let id = routing::route(manifest, wish.service, key.as_deref(), wish.method, &args, text.as_deref(), entropy);
        let id = id.expect("configurations ask for what there is");
        let submit = Submit {
            token: index as Token,
            id,
            seed: [3; 32],
            service: wish.service.to_owned(),
            key,
            method: wish.method.to_owned(),
            args,
            idempotency_key: text,
            send: false,
        };
        let home = id.slot().partition(self.setup.configuration.partitions());
        // Age is the order of requests in the configuration, in whichever order they arrive.
        let now = BEGINNING - 1_000 + index as u64;
        self.handle_at(now, home, Input::Submit(Box::new(submit)));
    }

    fn deliver(&mut self, link: LinkId) {
        let (from, to, _) = link;
        let Some(flights) = self.links.get_mut(&link) else { return };
        let flight = flights.pop_front();
        if flights.is_empty() {
            self.links.remove(&link);
        }
        let Some(Flight { after, message }) = flight else { return };
        if let Some(after) = after {
            self.sync(self.log_of(from), after.0);
        }
        self.handle(to, Input::Message { from, message: Rc::unwrap_or_clone(message) });
    }

    fn answer(&mut self, at: usize) {
        let (index, home, after, reply) = self.answers.remove(at);
        self.sync(self.log_of(home), after.0);
        self.say(|| format!("request {index} is answered: {reply:?}"));
        self.requests[index] = Asked::Answered(reply);
    }

    fn tick(&mut self) {
        self.idle += 1;
        if self.idle > 4 {
            let stuck = self.stuck();
            return self.violated(format!("nothing happens any more, but there is something left:{stuck}"));
        }
        self.now += 1_000_000;
        for id in self.ids() {
            self.handle(id, Input::Tick);
        }
    }

    fn stuck(&self) -> String {
        let mut text = String::new();
        for (index, asked) in self.requests.iter().enumerate().filter(|(_, asked)| **asked == Asked::Waiting) {
            write!(text, "\n  request {index}: {asked:?}").expect("a string takes everything");
        }
        for id in self.ids().into_iter().filter(|id| !self.engine(*id).is_settled()) {
            let listed = self.engine(id).list(self.now);
            let waiting = listed.iter().map(|one| format!("{:?}", one.invocation)).collect::<Vec<_>>();
            write!(text, "\n  partition {id} is not quiet: {waiting:?}").expect("a string takes everything");
        }
        text
    }

    // Partitions.

    pub(super) fn handle(&mut self, id: PartitionId, input: Input) {
        self.handle_at(self.now, id, input);
    }

    fn handle_at(&mut self, now: u64, id: PartitionId, input: Input) {
        self.say(|| format!("   [{id}] <- {}", brief(&input)));
        self.turn(now, id, |engine, turn| engine.handle(input, turn));
    }

    fn turn(&mut self, now: u64, id: PartitionId, act: impl FnOnce(&mut Partition, &mut Turn)) {
        let log = self.log_of(id);
        let mut turn = Turn { now, next: Position(self.logs[log].tail() + 1), ..Turn::default() };
        let part = &mut self.parts[usize::from(id.0)];
        part.print = None;
        act(Arc::make_mut(&mut part.engine), &mut turn);
        self.carry_out(id, turn);
    }

    fn carry_out(&mut self, id: PartitionId, turn: Turn) {
        let log = self.log_of(id);
        let first = self.logs[log].tail() + 1;
        assert_eq!(turn.next.0, first + turn.records.len() as u64, "a position for each record");
        for (position, record) in (first..).zip(turn.records) {
            self.say(|| format!("       record {position} {}", brief(&record)));
            let rows = turn.writes.iter().filter(|(of, ..)| of.0 == position);
            let rows = rows.map(|(_, key, change)| (key.clone(), change.encode())).collect();
            self.logs[log].push(Written { partition: id, record, rows });
        }
        let mut loads = Vec::new();
        for effect in turn.effects {
            match effect {
                Effect::Load { ticket, query } => loads.push((ticket, query)),
                other => self.effect(id, other),
            }
        }
        for (ticket, query) in loads {
            let (rows, cut) = answer(&self.rows(id), id, self.setup.configuration.partitions(), &query);
            self.handle(id, Input::Loaded { ticket, rows, cut });
        }
    }

    fn effect(&mut self, id: PartitionId, effect: Effect) {
        self.say(|| format!("       -> {}", brief(&effect)));
        match effect {
            Effect::Start(start) => self.start_run(id, *start),
            Effect::Resume(resume) => self.resume_run(id, resume),
            Effect::Evict(invocation) => self.evict(invocation),
            Effect::Fetched { run, slice } => self.fetched(id, run, slice),
            Effect::Reply { token, after, invocation: _, reply } => {
                self.answers.push((token as usize, id, after, reply));
            }
            Effect::Send { to, after, message } => {
                let crosses = self.log_of(to) != self.log_of(id);
                let flight = Flight { after: crosses.then_some(after), message: Rc::new(message) };
                let life = self.logs[self.log_of(id)].life;
                self.links.entry((id, to, life)).or_default().push_back(flight);
            }
            Effect::Notice(_) | Effect::RunsAgain(_) | Effect::Print { .. } => {}
            Effect::Load { .. } => unreachable!("loads are answered by who carries effects out"),
            Effect::StartTask(_) | Effect::StopTask(_) => unreachable!("no service here has tasks"),
        }
    }

    /// All rows of a partition, durable or not.
    pub(super) fn rows(&self, id: PartitionId) -> Rows {
        self.logs[self.log_of(id)].rows(id)
    }

    // Logs.

    fn sync(&mut self, log: usize, to: u64) {
        if to <= self.logs[log].durable {
            return;
        }
        self.say(|| format!("       log {log} is durable up to {to}"));
        self.logs[log].sync(to);
        for id in self.partitions_of(log) {
            self.parts[usize::from(id.0)].print = None;
        }
    }

    fn crash(&mut self, log: usize, keep: u64, late: bool) {
        self.crashes -= 1;
        self.cut(log, keep, late);
        self.lose_workers(log);
        self.answers.retain(|(_, home, ..)| self.setup.configuration.logs[usize::from(home.0)] != log);
        let homes: Vec<bool> = (0..self.requests.len()).map(|index| self.home(index) == log).collect();
        for (index, asked) in self.requests.iter_mut().enumerate() {
            if homes[index] && *asked == Asked::Waiting {
                let again = self.setup.configuration.requests[index].again;
                *asked = if again { Asked::New } else { Asked::Lost };
            }
        }
        let pending = self.logs[log].crash(keep);
        for id in self.partitions_of(log) {
            let mut engine = self.fresh(id);
            for (key, row) in self.logs[log].stable(id) {
                engine.restore(key, row).expect("a stored row is one that we wrote");
            }
            for (position, written) in pending.iter().filter(|(_, written)| written.partition == id) {
                self.replay(&mut engine, *position, written);
            }
            self.parts[usize::from(id.0)] = Part { engine: Arc::new(engine), print: None };
        }
        self.logs[log].sync(keep);
        self.start(log);
    }

    fn replay(&mut self, engine: &mut Partition, position: u64, written: &Written) {
        let mut turn = Turn::default();
        engine.replay(Position(position), &written.record, &mut turn);
        let rows: Vec<_> = turn.writes.into_iter().map(|(_, key, change)| (key, change.encode())).collect();
        if rows != written.rows {
            self.violated(format!("replaying record {position} gives other rows than it gave first"));
        }
    }

    fn home(&self, index: usize) -> usize {
        let home = self.setup.configuration.requests[index].home;
        self.log_of(PartitionId(home))
    }

    /// Messages to a node that dies are lost. What it had sent is lost too, or arrives later than what it says next.
    fn cut(&mut self, log: usize, keep: u64, late: bool) {
        let logs = self.setup.configuration.logs.clone();
        let of = |id: &PartitionId| logs[usize::from(id.0)];
        self.links.retain(|(from, to, _), flights| {
            if of(from) == log && of(to) != log && late {
                let left = flights.iter().take_while(|flight| flight.after.is_none_or(|after| after.0 <= keep)).count();
                flights.truncate(left);
                return !flights.is_empty();
            }
            of(from) != log && of(to) != log
        });
    }

    fn start(&mut self, log: usize) {
        let owned = self.partitions_of(log);
        for id in &owned {
            let first = self.engine(owned[0]).catalogue().clone();
            self.turn(self.now, *id, |engine, turn| engine.deploy(&first, turn));
        }
        for id in owned {
            self.turn(self.now, id, Partition::start);
        }
    }

    // Telling states apart.

    /// A number that is the same for states from which the same can happen, and whose past is judged alike.
    pub(super) fn digest(&mut self) -> u64 {
        for index in 0..self.parts.len() {
            let durable = Position(self.logs[self.setup.configuration.logs[index]].durable);
            let part = &mut self.parts[index];
            if part.print.is_none() {
                let mut text = Digest::default();
                part.engine.fingerprint(durable, &mut text).expect("a digest takes everything");
                part.print = Some(text.finish());
            }
        }
        let mut whole = Digest::default();
        for part in &self.parts {
            whole.number(part.print.expect("it has just been made"));
        }
        for log in &self.logs {
            whole.number(log.digest());
        }
        self.digest_links(&mut whole);
        self.digest_workers(&mut whole);
        let rest = (&self.requests, &self.sent, &self.seen, self.crashes, self.deaths, self.idle, self.now);
        write!(whole, "{rest:?}").expect("a digest takes everything");
        for (index, home, after, reply) in &self.answers {
            let waits = after.0.saturating_sub(self.logs[self.log_of(*home)].durable);
            write!(whole, "{index} {waits} {reply:?}").expect("a digest takes everything");
        }
        whole.finish()
    }

    fn digest_links(&self, whole: &mut Digest) {
        for ((from, to, life), flights) in &self.links {
            let log = &self.logs[self.log_of(*from)];
            let mut text = Canonical::new(Position(log.durable), whole);
            write!(text, "{from} {to} {}:", life < &log.life).expect("a digest takes everything");
            for flight in flights {
                text.part(&flight.after).and_then(|()| text.part(&flight.message)).expect("a digest takes everything");
            }
        }
    }
}

/// Hashes text.
#[derive(Default)]
pub(super) struct Digest(DefaultHasher);

impl Digest {
    pub(super) fn number(&mut self, number: u64) {
        self.0.write_u64(number);
    }

    pub(super) fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl std::fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

pub(super) fn brief(what: &impl std::fmt::Debug) -> String {
    format!("{what:?}").chars().take(260).collect()
}
