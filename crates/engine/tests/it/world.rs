//! A world for partitions: logs with a durable watermark that lags, rows, links between partitions, workers that die,
//! clients that ask again, a virtual clock, crashes. One seed decides everything.
//!
//! It does what a driver does, and where a driver has freedom it takes the worst: messages of different pairs overtake
//! each other, durable ones arrive twice, effects are held as long as allowed, a crash keeps what is durable and a
//! random number of later records.
//!
//! It is one file because every part of it looks at every other: the next event is drawn from all that may happen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use engine::{
    Config, Deployment, Effect, Input, Partition, Query, Reply, RowChange, Submit, TaskStart, Token, Turn, routing,
};
use protocol::cell::{CellKey, kind};
use protocol::ids::{InvocationId, PartitionId, Position, RunNumber};
use protocol::message::{Exception, Message};
use protocol::record::Record;
use protocol::worker::{FromWorker, Outcome, Resume, Slice, Start, StepStatus, left_by};
use protocol::{Value, msgpack, record};

use sim::coroutine::{Coroutine, Progress, decode_result};
use sim::exhaustive::answer;
use sim::program::{App, encode_int};
use sim::recorder::Witness;
use sim::rng::Rng;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What may happen in a world.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    pub partitions: u16,
    /// One log for each partition.
    pub logs: bool,
    pub evict: bool,
    /// Answer loads later.
    pub slow_loads: bool,
    /// Some links between partitions deliver much later than the others.
    pub slow_links: bool,
    /// Durable messages arrive twice and out of order.
    pub duplicates: bool,
    /// How many of each.
    pub worker_deaths: u32,
    pub node_crashes: u32,
    pub partition_crashes: u32,
    /// Suspended coroutines that are lost.
    pub evictions: u32,
    pub invocations_max: usize,
    pub retention: u64,
    /// Do not advance the watermark unless nothing else can happen.
    pub lazy_disk: bool,
    /// Scans are cut at this size.
    pub scan_bytes_max: usize,
    /// Nothing becomes durable.
    pub frozen_disk: bool,
    /// Clients that have a request under way at a time.
    pub clients: usize,
}

impl Options {
    pub fn new(seed: u64, partitions: u16) -> Self {
        Self {
            seed,
            partitions,
            logs: false,
            evict: false,
            slow_loads: false,
            slow_links: false,
            duplicates: false,
            worker_deaths: 0,
            node_crashes: 0,
            partition_crashes: 0,
            evictions: 0,
            invocations_max: 100_000,
            retention: 24 * 3_600_000_000,
            lazy_disk: false,
            scan_bytes_max: usize::MAX,
            frozen_disk: false,
            clients: 8,
        }
    }

    /// Everything that may vary without faults.
    pub fn varied(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0xfeed);
        let mut options = Self::new(seed, rng.range(1, 5) as u16);
        options.logs = rng.once_in(3);
        options.evict = rng.once_in(3);
        options.slow_loads = rng.once_in(3);
        options.duplicates = rng.once_in(2);
        options.lazy_disk = rng.once_in(3);
        options.slow_links = rng.once_in(3);
        options
    }

    /// How soon a link delivers, drawn once per seed.
    fn link_weight(&self, from: PartitionId, to: PartitionId) -> u64 {
        let link = u64::from(from.0) << 16 | u64::from(to.0);
        let slow = self.slow_links && Rng::new(self.seed ^ (link << 32)).once_in(2);
        if slow { 1 } else { 20 }
    }
}

/// One partition's process.
struct Part {
    engine: Partition,
    /// State under the overlay.
    rows: Rows,
    /// The checkpointed state, and what has been written since.
    state: Rows,
    applied: u64,
    overlay: VecDeque<(u64, Vec<u8>, Option<Vec<u8>>)>,
    epoch: u64,
}

#[derive(Default)]
struct Log {
    records: Vec<(PartitionId, Record)>,
    durable: u64,
}

/// A message on its way.
struct Flight {
    /// May not arrive before this position of the sender's log is durable.
    after: Option<u64>,
    message: Message,
}

enum Held {
    Task(PartitionId, Box<TaskStart>),
    Reply(Token, Reply, InvocationId),
    Print(InvocationId, Vec<(u8, String)>),
}

enum Task {
    Start(Box<Start>),
    Resume(Resume),
    Evict(InvocationId),
}

/// What became of tasks, by their number: outside of all partitions, like the world.
#[derive(Default)]
pub struct Errands {
    pub begun: BTreeMap<i64, u64>,
    pub failed: BTreeMap<i64, u64>,
    given: i64,
}

/// The number that a task was given.
fn errand_of(start: &TaskStart) -> i64 {
    match msgpack::decode(&start.call.args).unwrap() {
        Value::Tuple(parts) => match &parts[0] {
            Value::List(args) => match args[0] {
                Value::Int(number) => number,
                _ => panic!("a number"),
            },
            _ => panic!("a list"),
        },
        _ => panic!("arguments"),
    }
}

#[derive(Default)]
struct Process {
    queue: VecDeque<(PartitionId, Task)>,
    coroutines: BTreeMap<InvocationId, Coroutine>,
    blocked: Option<Blocked>,
    out: VecDeque<(PartitionId, FromWorker)>,
    /// What the last run has left in its cells.
    left: Option<((PartitionId, RunNumber), Slice)>,
}

struct Blocked {
    partition: PartitionId,
    coroutine: Coroutine,
    answer: Option<Option<Slice>>,
}

struct Running {
    process: usize,
    invocation: InvocationId,
    evicted: bool,
}

/// A client's request.
#[derive(Clone, Debug)]
pub struct Request {
    pub service: &'static str,
    pub key: Option<i64>,
    pub method: &'static str,
    pub args: Vec<i64>,
    pub idempotency: Option<String>,
    pub send: bool,
    /// Not before this one is answered.
    pub after: Option<usize>,
    pub state: Wish,
    pub id: InvocationId,
    /// First submission and (last) answer, as numbers of events.
    pub asked: u64,
    pub answered: u64,
    /// Entropy of the id.
    entropy: [u8; 16],
}

#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    New,
    Waiting,
    /// A crash took it; without a key nobody asks again.
    Lost,
    /// A `send` was accepted, its result is awaited.
    Accepted,
    Done(Reply),
}

pub fn call(service: &'static str, method: &'static str, args: &[i64]) -> Request {
    Request {
        service,
        key: None,
        method,
        args: args.to_vec(),
        idempotency: None,
        send: false,
        after: None,
        state: Wish::New,
        id: InvocationId::default(),
        asked: 0,
        answered: 0,
        entropy: [0; 16],
    }
}

pub fn ask(service: &'static str, key: i64, method: &'static str, args: &[i64]) -> Request {
    Request { key: Some(key), ..call(service, method, args) }
}

impl Request {
    pub fn keyed(mut self, text: impl Into<String>) -> Self {
        self.idempotency = Some(text.into());
        self
    }

    pub fn sent(mut self) -> Self {
        self.send = true;
        self
    }

    pub fn after(mut self, index: usize) -> Self {
        self.after = Some(index);
        self
    }
}

/// Where a scripted test stops a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Deliver(PartitionId, PartitionId),
    Work(usize),
    Report(usize),
    Loaded(PartitionId),
    Sync(usize),
    Checkpoint(PartitionId),
    Submit(usize),
    KillWorker(usize),
    CrashNode,
    CrashPartition(PartitionId),
    EvictOne,
    EndTask(usize),
}

pub struct World {
    pub options: Options,
    pub rng: Rng,
    pub now: u64,
    pub app: Rc<App>,
    deployment: Arc<Deployment>,
    parts: Vec<Part>,
    logs: Vec<Log>,
    links: BTreeMap<(PartitionId, PartitionId), VecDeque<Flight>>,
    /// Durable messages seen, to arrive again.
    echoes: Vec<((PartitionId, PartitionId), Message)>,
    held: Vec<(usize, u64, Held)>,
    loads: VecDeque<(PartitionId, u64, Query)>,
    /// Tasks that run.
    tasks: Vec<(PartitionId, TaskStart)>,
    pub errands: Errands,
    processes: Vec<Process>,
    running: BTreeMap<(PartitionId, RunNumber), Running>,
    /// Which process holds which coroutine, as far as the pool knows.
    coroutines: BTreeMap<InvocationId, (usize, PartitionId)>,
    pub requests: Vec<Request>,
    tokens: BTreeMap<Token, usize>,
    next_token: Token,
    pub events: u64,
    pub prints: Vec<(InvocationId, String)>,
    pub notices: Vec<String>,
    pub records: u64,
    /// Answers to operators and to tests, by token.
    pub answers: BTreeMap<Token, Reply>,
    /// Messages handled, by kind, for tests that stop at each.
    pub delivered: u64,
    verbose: bool,
    pub steps_run: BTreeMap<InvocationId, u64>,
    /// Steps that ran ahead of their turn.
    pub run_ahead: u64,
}

impl World {
    pub fn new(app: App, options: Options) -> Self {
        let deployment = Arc::new(Deployment::new(Arc::new(app.manifest())));
        let logs = if options.logs { usize::from(options.partitions) } else { 1 };
        let mut world = Self {
            rng: Rng::new(options.seed),
            now: 1_700_000_000_000_000,
            app: Rc::new(app),
            parts: Vec::new(),
            logs: (0..logs).map(|_| Log::default()).collect(),
            links: BTreeMap::new(),
            echoes: Vec::new(),
            held: Vec::new(),
            tasks: Vec::new(),
            errands: Errands::default(),
            loads: VecDeque::new(),
            processes: (0..2).map(|_| Process::default()).collect(),
            running: BTreeMap::new(),
            coroutines: BTreeMap::new(),
            requests: Vec::new(),
            tokens: BTreeMap::new(),
            next_token: 1,
            events: 0,
            prints: Vec::new(),
            notices: Vec::new(),
            records: 0,
            answers: BTreeMap::new(),
            delivered: 0,
            verbose: std::env::var("ENGINE_TRACE").is_ok(),
            steps_run: BTreeMap::new(),
            run_ahead: 0,
            deployment,
            options,
        };
        for id in 0..world.options.partitions {
            let engine = world.fresh(PartitionId(id), 1);
            world.parts.push(Part {
                engine,
                rows: Rows::new(),
                state: Rows::new(),
                applied: 0,
                overlay: VecDeque::new(),
                epoch: 1,
            });
        }
        world.deploy();
        world.start_all();
        world
    }

    fn fresh(&self, id: PartitionId, epoch: u64) -> Partition {
        let config = Config {
            id,
            partitions: self.options.partitions,
            epoch,
            retention: self.options.retention,
            invocations_max: self.options.invocations_max,
            evict_at_suspension: self.options.evict,
            same_log: if self.options.logs { id.0..id.0 + 1 } else { 0..self.options.partitions },
            ..Config::default()
        };
        Partition::new(config, self.deployment.clone())
    }

    pub fn ids(&self) -> Vec<PartitionId> {
        (0..self.options.partitions).map(PartitionId).collect()
    }

    fn log_of(&self, id: PartitionId) -> usize {
        if self.options.logs { usize::from(id.0) } else { 0 }
    }

    fn turn(&self, id: PartitionId) -> Turn {
        let next = Position(self.logs[self.log_of(id)].records.len() as u64 + 1);
        Turn { now: self.now, next, ..Turn::default() }
    }

    fn deploy(&mut self) {
        let mut first = None;
        for id in self.ids() {
            let mut turn = self.turn(id);
            let engine = &mut self.parts[usize::from(id.0)].engine;
            let catalogue = first.clone().unwrap_or_else(|| engine.catalogue().clone());
            engine.deploy(&catalogue, &mut turn);
            first.get_or_insert_with(|| engine.catalogue().clone());
            self.carry_out(id, turn);
        }
    }

    fn start_all(&mut self) {
        for id in self.ids() {
            self.start(id);
        }
    }

    fn start(&mut self, id: PartitionId) {
        let mut turn = self.turn(id);
        self.parts[usize::from(id.0)].engine.start(&mut turn);
        self.carry_out(id, turn);
    }

    /// Hands an input to a partition and carries out what follows.
    pub fn handle(&mut self, id: PartitionId, input: Input) {
        if self.verbose {
            eprintln!("[{} {}] <- {}", self.events, id, brief(&format!("{input:?}")));
        }
        let mut turn = self.turn(id);
        self.parts[usize::from(id.0)].engine.handle(input, &mut turn);
        self.carry_out(id, turn);
    }

    fn carry_out(&mut self, id: PartitionId, turn: Turn) {
        let log = self.log_of(id);
        let before = self.logs[log].records.len() as u64;
        assert_eq!(turn.next.0, before + turn.records.len() as u64 + 1, "a position for each record");
        for record in turn.records {
            if self.verbose {
                eprintln!("    record {} {}", self.logs[log].records.len() + 1, brief(&format!("{record:?}")));
            }
            let bytes = record::encode(&record);
            assert!(bytes.len() <= protocol::limits::RECORD_BYTES_MAX, "a record of {} bytes", bytes.len());
            let read: Record = record::decode(&bytes, "record").unwrap();
            assert_eq!(read, record, "records survive their encoding");
            self.logs[log].records.push((id, record));
            self.records += 1;
        }
        let part = &mut self.parts[usize::from(id.0)];
        for (position, key, change) in turn.writes {
            let value = change.encode();
            assert!(!(matches!(change, RowChange::Insert(_)) && part.rows.contains_key(&key)), "a new row was there");
            put_row(&mut part.rows, &key, value.as_deref());
            part.overlay.push_back((position.0, key, value));
        }
        let mut loads = Vec::new();
        for effect in turn.effects {
            self.effect(id, effect, &mut loads);
        }
        for (ticket, query) in loads {
            if self.options.slow_loads {
                self.loads.push_back((id, ticket, query));
            } else {
                self.load(id, ticket, &query);
            }
        }
    }

    fn effect(&mut self, id: PartitionId, effect: Effect, loads: &mut Vec<(u64, Query)>) {
        if self.verbose {
            eprintln!("    -> {}", brief(&format!("{effect:?}")));
        }
        let log = self.log_of(id);
        let end = self.logs[log].records.len() as u64;
        match effect {
            Effect::Start(start) => {
                self.evict(start.invocation);
                let leader = start.follows.and_then(|run| self.running.get(&(id, run)));
                let process = match leader {
                    Some(leader) => leader.process,
                    None => self.rng.below(self.processes.len() as u64) as usize,
                };
                self.assign(id, start.run, start.invocation, process);
                self.processes[process].queue.push_back((id, Task::Start(start)));
            }
            Effect::Resume(resume) => match self.coroutines.remove(&resume.invocation) {
                Some((process, _)) => {
                    self.assign(id, resume.run, resume.invocation, process);
                    self.processes[process].queue.push_back((id, Task::Resume(resume)));
                }
                None => panic!("{}: no worker holds the coroutine to be resumed", resume.invocation),
            },
            Effect::Evict(invocation) => {
                let run = self.running.values_mut().filter(|run| run.invocation == invocation).last();
                if let Some(run) = run {
                    run.evicted = true;
                    self.processes[run.process].queue.push_back((id, Task::Evict(invocation)));
                }
                self.evict(invocation);
            }
            Effect::Fetched { run, slice } => {
                let Some(running) = self.running.get(&(id, run)) else { return };
                let blocked = self.processes[running.process].blocked.as_mut();
                let blocked = blocked.filter(|blocked| blocked.partition == id && blocked.coroutine.start.run == run);
                blocked.expect("the worker waits for this answer").answer = Some(slice);
            }
            Effect::Reply { token, after, invocation, reply } => {
                assert!(after.0 <= end, "a reply rests on position {after:?} of a log of {end}");
                self.hold(log, after.0, Held::Reply(token, reply, invocation));
            }
            Effect::Send { to, after, message } => {
                assert!(after.0 <= end, "a message rests on position {after:?} of a log of {end}");
                let crosses = self.log_of(to) != log;
                let flight = Flight { after: crosses.then_some(after.0), message };
                self.links.entry((id, to)).or_default().push_back(flight);
            }
            Effect::Load { ticket, query } => loads.push((ticket, query)),
            Effect::Print { after, invocation, method: _, lines } => {
                self.hold(log, after.0, Held::Print(invocation, lines));
            }
            Effect::Notice(text) => self.notices.push(text),
            Effect::RunsAgain(_) => {}
            Effect::StartTask(start) => {
                assert!(start.after.0 <= end, "a task rests on position {:?} of a log of {end}", start.after);
                self.hold(log, start.after.0, Held::Task(id, start));
            }
            Effect::StopTask(run) => {
                self.tasks.retain(|(of, task)| (*of, task.run) != (id, run));
                self.held.retain(|(.., held)| !matches!(held, Held::Task(of, task) if (*of, task.run) == (id, run)));
            }
        }
    }

    fn assign(&mut self, id: PartitionId, run: RunNumber, invocation: InvocationId, process: usize) {
        self.running.insert((id, run), Running { process, invocation, evicted: false });
    }

    fn evict(&mut self, invocation: InvocationId) {
        if let Some((process, partition)) = self.coroutines.remove(&invocation) {
            self.processes[process].queue.push_back((partition, Task::Evict(invocation)));
        }
    }

    fn hold(&mut self, log: usize, after: u64, held: Held) {
        if after <= self.logs[log].durable {
            self.release(held);
        } else {
            self.held.push((log, after, held));
        }
    }

    fn release(&mut self, held: Held) {
        match held {
            Held::Task(id, start) => {
                *self.errands.begun.entry(errand_of(&start)).or_default() += 1;
                self.tasks.push((id, *start));
            }
            Held::Reply(token, reply, id) => self.replied(token, reply, id),
            Held::Print(id, lines) => self.prints.extend(lines.into_iter().map(|(_, text)| (id, text))),
        }
    }

    fn sync(&mut self, log: usize, to: u64) {
        self.logs[log].durable = to;
        let (ready, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held).into_iter().partition(|(of, after, _)| *of == log && *after <= to);
        self.held = rest;
        for (_, _, held) in ready {
            self.release(held);
        }
    }

    fn checkpoint(&mut self, id: PartitionId, to: u64) {
        let part = &mut self.parts[usize::from(id.0)];
        while part.overlay.front().is_some_and(|(position, ..)| *position <= to) {
            let Some((_, key, value)) = part.overlay.pop_front() else { break };
            put_row(&mut part.state, &key, value.as_deref());
        }
        part.applied = part.applied.max(to);
    }

    fn load(&mut self, id: PartitionId, ticket: u64, query: &Query) {
        let mut query = query.clone();
        if let Query::Field { bytes_max, .. } = &mut query {
            *bytes_max = (*bytes_max).min(self.options.scan_bytes_max);
        }
        let (rows, cut) = answer(&self.parts[usize::from(id.0)].rows, id, self.options.partitions, &query);
        self.handle(id, Input::Loaded { ticket, rows, cut });
    }

    // Clients.

    /// A client's request, to be made some time.
    pub fn request(&mut self, mut request: Request) -> usize {
        request.entropy = self.rng.bytes();
        self.requests.push(request);
        self.requests.len() - 1
    }

    pub fn submit(&mut self, index: usize) {
        let token = self.next_token;
        self.next_token += 1;
        let request = self.requests[index].clone();
        let args: Vec<Value> = request.args.iter().map(|arg| Value::Int(*arg)).collect();
        let args = msgpack::encode_args(&args, &[]).unwrap();
        let key = request.key.map(encode_int);
        // Another attempt of the same client has another id; only the key says that it is the same.
        let entropy = if request.asked == 0 { request.entropy } else { self.rng.bytes() };
        let manifest = self.deployment.manifest();
        let text = request.idempotency.as_deref();
        let id = routing::route(manifest, request.service, key.as_deref(), request.method, &args, text, entropy);
        let id = id.unwrap();
        let known = &mut self.requests[index];
        known.state = Wish::Waiting;
        if known.asked == 0 {
            known.asked = self.events.max(1);
            known.id = id;
        }
        self.tokens.insert(token, index);
        let submit = Submit {
            token,
            id,
            seed: [3; 32],
            service: request.service.to_owned(),
            key,
            method: request.method.to_owned(),
            args,
            idempotency_key: request.idempotency,
            send: request.send,
        };
        let to = id.slot().partition(self.options.partitions);
        self.handle(to, Input::Submit(Box::new(submit)));
    }

    fn replied(&mut self, token: Token, reply: Reply, id: InvocationId) {
        self.answers.insert(token, reply.clone());
        let Some(index) = self.tokens.remove(&token) else { return };
        let request = &mut self.requests[index];
        request.id = id;
        match reply {
            Reply::Accepted if request.send => request.state = Wish::Accepted,
            reply => {
                request.state = Wish::Done(reply);
                request.answered = self.events;
            }
        }
    }

    /// An operator's wish; the answer is in [`World::answers`] under the token.
    pub fn operate(&mut self, id: InvocationId, input: impl Fn(Token) -> Input) -> Token {
        let token = self.next_token;
        self.next_token += 1;
        let home = id.slot().partition(self.options.partitions);
        self.handle(home, input(token));
        token
    }

    pub fn cancel(&mut self, index: usize, kill: bool) -> Token {
        let id = self.requests[index].id;
        self.operate(id, |token| Input::Cancel { token, id, kill })
    }

    pub fn unpark(&mut self, index: usize) -> Token {
        let id = self.requests[index].id;
        self.operate(id, |token| Input::Unpark { token, id })
    }

    /// Asks for the result of a request again, by its id.
    pub fn ask_again(&mut self, index: usize) {
        let token = self.next_token;
        self.next_token += 1;
        self.tokens.insert(token, index);
        self.requests[index].state = Wish::Waiting;
        let id = self.requests[index].id;
        self.handle(self.home(id), Input::Await { token, id });
    }

    /// Everything that can happen without the clock going on.
    pub fn run_still(&mut self) {
        while !self.enabled().is_empty() {
            assert!(self.step());
        }
    }

    /// Asks for the results of accepted sends.
    fn collect_sends(&mut self) -> bool {
        let accepted: Vec<usize> =
            (0..self.requests.len()).filter(|index| self.requests[*index].state == Wish::Accepted).collect();
        for index in &accepted {
            let token = self.next_token;
            self.next_token += 1;
            self.tokens.insert(token, *index);
            self.requests[*index].state = Wish::Waiting;
            let id = self.requests[*index].id;
            self.handle(id.slot().partition(self.options.partitions), Input::Await { token, id });
        }
        !accepted.is_empty()
    }

    // Workers.

    fn work(&mut self, index: usize) {
        let process = &mut self.processes[index];
        if let Some(mut blocked) = process.blocked.take() {
            match blocked.answer.take().expect("only chosen when it is there") {
                Some(slice) => {
                    let progress = blocked.coroutine.fetched(&slice);
                    self.progress(index, blocked.partition, blocked.coroutine, progress);
                }
                None => {
                    let run = blocked.coroutine.start.run;
                    process.out.push_back((blocked.partition, FromWorker::Dropped { run }));
                }
            }
            return;
        }
        let Some((partition, task)) = process.queue.pop_front() else { return };
        match task {
            Task::Start(mut start) => {
                let left = process.left.take();
                if let Some(follows) = start.follows {
                    let Some((_, left)) = left.filter(|(last, _)| *last == (partition, follows)) else {
                        return process.out.push_back((partition, FromWorker::Dropped { run: start.run }));
                    };
                    start.slice = left;
                    self.run_ahead += 1;
                }
                *self.steps_run.entry(start.invocation).or_default() += 1;
                let (coroutine, progress) = Coroutine::start(&self.app, &start, &Witness::default());
                self.progress(index, partition, coroutine, progress);
            }
            Task::Resume(resume) => {
                let coroutine = process.coroutines.remove(&resume.invocation);
                let mut coroutine = coroutine.expect("the pool says that it is here");
                let progress = coroutine.resume(&resume);
                self.progress(index, partition, coroutine, progress);
            }
            Task::Evict(invocation) => {
                process.coroutines.remove(&invocation);
            }
        }
    }

    fn progress(&mut self, index: usize, partition: PartitionId, coroutine: Coroutine, progress: Progress) {
        let (run, invocation) = (coroutine.start.run, coroutine.start.invocation);
        let process = &mut self.processes[index];
        match progress {
            Progress::End(end) => {
                process.left = left_by(coroutine.start.slice.clone(), &end).map(|left| ((partition, run), left));
                if end.status == StepStatus::Suspended {
                    process.coroutines.insert(invocation, coroutine);
                }
                process.out.push_back((partition, FromWorker::End(end)));
            }
            Progress::Fetch(field, what) => {
                process.out.push_back((partition, FromWorker::Fetch { run, field, what }));
                process.blocked = Some(Blocked { partition, coroutine, answer: None });
            }
            Progress::Departed { step, expected, actual } => {
                process.out.push_back((partition, FromWorker::Departed { run, invocation, step, expected, actual }));
            }
            Progress::Died => {
                process.blocked = Some(Blocked { partition, coroutine, answer: None });
                self.kill_worker(index, true);
            }
        }
    }

    fn report(&mut self, index: usize) {
        let Some((partition, message)) = self.processes[index].out.pop_front() else { return };
        let ended = match &message {
            FromWorker::End(end) => Some((end.run, end.status == StepStatus::Suspended)),
            FromWorker::Dropped { run } | FromWorker::Departed { run, .. } => Some((*run, false)),
            FromWorker::Fetch { .. }
            | FromWorker::Ready { .. }
            | FromWorker::Busy(_)
            | FromWorker::TaskEnd { .. }
            | FromWorker::TaskOutput { .. } => None,
        };
        if let Some((run, suspended)) = ended
            && let Some(running) = self.running.remove(&(partition, run))
            && suspended
            && !running.evicted
        {
            self.coroutines.insert(running.invocation, (index, partition));
        }
        self.handle(partition, Input::Worker(message));
    }

    /// A process ends. `itself`: the method that it ran is to blame.
    pub fn kill_worker(&mut self, index: usize, itself: bool) {
        let process = std::mem::take(&mut self.processes[index]);
        let struck = process.blocked.filter(|_| itself).map(|blocked| (blocked.partition, blocked.coroutine.start.run));
        type Lost = (Vec<(RunNumber, bool)>, Vec<InvocationId>);
        let mut lost: BTreeMap<PartitionId, Lost> = BTreeMap::new();
        self.running.retain(|(partition, run), running| {
            if running.process == index {
                lost.entry(*partition).or_default().0.push((*run, struck == Some((*partition, *run))));
            }
            running.process != index
        });
        self.coroutines.retain(|invocation, (holder, partition)| {
            if *holder == index {
                lost.entry(*partition).or_default().1.push(*invocation);
            }
            *holder != index
        });
        for (partition, (runs, suspended)) in lost {
            self.handle(partition, Input::WorkersLost { runs, suspended, cause: "it was killed".into() });
        }
    }

    fn evict_one(&mut self) {
        let held: Vec<_> =
            self.coroutines.iter().map(|(id, (process, partition))| (*id, *process, *partition)).collect();
        let Some((id, process, partition)) = held.get(self.rng.below(held.len() as u64) as usize).copied() else {
            return;
        };
        if self.rng.once_in(2) {
            return self.handle(partition, Input::Crowded { invocation: id });
        }
        self.coroutines.remove(&id);
        self.processes[process].coroutines.remove(&id);
        self.handle(
            partition,
            Input::WorkersLost { runs: vec![], suspended: vec![id], cause: "it was evicted".into() },
        );
    }

    // Crashes.

    /// The whole node dies: each log keeps what is durable and some of what follows.
    pub fn crash_node(&mut self) {
        let ends: Vec<u64> = self
            .logs
            .iter()
            .map(|log| (log.durable, log.records.len() as u64))
            .map(|(durable, end)| durable + Rng::below(&mut self.rng, end - durable + 1))
            .collect();
        self.crash_node_keeping(&ends);
    }

    fn crash_node_keeping(&mut self, ends: &[u64]) {
        if self.verbose {
            eprintln!("[{}] the node crashes; logs keep {ends:?}", self.events);
        }
        for (log, end) in self.logs.iter_mut().zip(ends) {
            log.records.truncate(*end as usize);
            log.durable = *end;
        }
        self.links.clear();
        self.echoes.clear();
        self.held.clear();
        self.tasks.clear();
        self.loads.clear();
        self.processes = (0..self.processes.len()).map(|_| Process::default()).collect();
        self.running.clear();
        self.coroutines.clear();
        for id in self.ids() {
            self.recover(id);
        }
        self.forget_clients(|_| true);
        self.deploy();
        self.start_all();
    }

    /// Keeps exactly `end` records of the only log.
    pub fn crash_at(&mut self, end: u64) {
        self.crash_node_keeping(&[end]);
    }

    /// Watermark of the only log.
    pub fn durable(&self) -> u64 {
        self.logs[0].durable
    }

    pub fn log_len(&self) -> u64 {
        self.logs[0].records.len() as u64
    }

    fn forget_clients(&mut self, gone: impl Fn(PartitionId) -> bool) {
        let partitions = self.options.partitions;
        for (_, index) in std::mem::take(&mut self.tokens) {
            let request = &mut self.requests[index];
            if request.state != Wish::Waiting {
                continue;
            }
            let home = request.id.slot().partition(partitions);
            if !gone(home) {
                let token = self.next_token;
                self.next_token += 1;
                self.tokens.insert(token, index);
                self.handle(home, Input::Await { token, id: self.requests[index].id });
                continue;
            }
            request.state = if request.idempotency.is_some() { Wish::New } else { Wish::Lost };
        }
    }

    /// One partition dies and starts again with a new epoch, while the others live on.
    pub fn crash_partition(&mut self, id: PartitionId) {
        let log = self.log_of(id);
        if self.options.logs {
            let (durable, end) = (self.logs[log].durable, self.logs[log].records.len() as u64);
            let keep = durable + self.rng.below(end - durable + 1);
            self.logs[log].records.truncate(keep as usize);
            self.logs[log].durable = keep;
        } else {
            // The log lives on, elsewhere; what was appended becomes durable before anybody takes over.
            let end = self.logs[log].records.len() as u64;
            self.sync(log, end);
        }
        if self.verbose {
            eprintln!("[{}] partition {id} crashes", self.events);
        }
        self.held.retain(|(of, ..)| *of != log || !self.options.logs);
        self.held.retain(|(.., held)| !matches!(held, Held::Task(of, _) if *of == id));
        self.tasks.retain(|(of, _)| *of != id);
        self.loads.retain(|(of, ..)| *of != id);
        self.cut_links(id);
        for process in &mut self.processes {
            process.queue.retain(|(of, _)| *of != id);
            process.out.retain(|(of, _)| *of != id);
            process.blocked.take_if(|blocked| blocked.partition == id);
        }
        self.running.retain(|(of, _), _| *of != id);
        self.coroutines.retain(|_, (_, of)| *of != id);
        self.recover(id);
        let mut turn = self.turn(id);
        let first = self.parts[0].engine.catalogue().clone();
        self.parts[usize::from(id.0)].engine.deploy(&first, &mut turn);
        self.carry_out(id, turn);
        self.start(id);
        let tokens: Vec<(Token, usize)> = self.tokens.iter().map(|(token, index)| (*token, *index)).collect();
        for (token, index) in tokens {
            let request = &mut self.requests[index];
            if request.state == Wish::Waiting && request.id.slot().partition(self.options.partitions) == id {
                self.tokens.remove(&token);
                request.state = if request.idempotency.is_some() { Wish::New } else { Wish::Lost };
            }
        }
    }

    /// What was on its way from it may be lost from some message on; what was on its way to it is lost or late.
    fn cut_links(&mut self, id: PartitionId) {
        let durable: Vec<u64> = self.logs.iter().map(|log| log.durable).collect();
        let log = self.log_of(id);
        for ((from, to), link) in &mut self.links {
            if *from == id {
                let sent =
                    link.iter().take_while(|flight| flight.after.is_none_or(|after| after <= durable[log])).count();
                let kept = if *to == id { 0 } else { self.rng.below(sent as u64 + 1) as usize };
                link.truncate(kept);
            } else if *to == id && self.rng.once_in(2) {
                link.clear();
            }
        }
    }

    /// Restores a partition from its checkpoint and the log.
    fn recover(&mut self, id: PartitionId) {
        let epoch = self.parts[usize::from(id.0)].epoch + 1;
        let mut engine = self.fresh(id, epoch);
        let log = &self.logs[self.log_of(id)];
        let part = &mut self.parts[usize::from(id.0)];
        assert!(part.applied <= log.records.len() as u64, "a checkpoint is durable");
        let mut rows = part.state.clone();
        for (key, row) in &rows {
            if restorable(key) {
                engine.restore(key, row).unwrap();
            }
        }
        part.overlay.clear();
        for (index, (of, record)) in log.records.iter().enumerate().skip(part.applied as usize) {
            if *of != id {
                continue;
            }
            let position = Position(index as u64 + 1);
            let mut turn = Turn { now: 0, next: position, ..Turn::default() };
            engine.replay(position, record, &mut turn);
            assert!(turn.effects.is_empty() && turn.records.is_empty(), "recovery only changes rows");
            for (position, key, change) in turn.writes {
                let value = change.encode();
                put_row(&mut rows, &key, value.as_deref());
                part.overlay.push_back((position.0, key, value));
            }
        }
        part.rows = rows;
        part.engine = engine;
        part.epoch = epoch;
    }

    // The loop.

    /// One event; false if nothing can happen any more.
    pub fn step(&mut self) -> bool {
        let enabled = self.enabled();
        if enabled.is_empty() {
            return self.pass_time();
        }
        let total: u64 = enabled.iter().map(|(weight, _)| weight).sum();
        let mut chosen = self.rng.below(total);
        let event = enabled.iter().find(|(weight, _)| {
            let here = chosen < *weight;
            chosen = chosen.wrapping_sub(*weight);
            here
        });
        let event = event.expect("weights add up").1;
        self.events += 1;
        self.now += self.rng.below(50);
        self.happen(event);
        true
    }

    fn enabled(&self) -> Vec<(u64, Event)> {
        let mut events = Vec::new();
        for ((from, to), link) in &self.links {
            let durable = self.logs[self.log_of(*from)].durable;
            if link.front().is_some_and(|flight| flight.after.is_none_or(|after| after <= durable)) {
                events.push((self.options.link_weight(*from, *to), Event::Deliver(*from, *to)));
            }
        }
        for (index, process) in self.processes.iter().enumerate() {
            let waits = process.blocked.as_ref().is_some_and(|blocked| blocked.answer.is_none());
            let idle = process.blocked.is_none() && process.queue.is_empty();
            if !waits && !idle {
                events.push((20, Event::Work(index)));
            }
            if !process.out.is_empty() {
                events.push((20, Event::Report(index)));
            }
        }
        for (id, ..) in &self.loads {
            events.push((20, Event::Loaded(*id)));
        }
        events.extend((0..self.tasks.len()).map(|index| (5, Event::EndTask(index))));
        let weight = if self.options.lazy_disk { 1 } else { 10 };
        for (index, log) in self.logs.iter().enumerate() {
            if log.durable < log.records.len() as u64 && !self.options.frozen_disk {
                events.push((weight, Event::Sync(index)));
            }
        }
        let waiting = self.requests.iter().filter(|request| request.state == Wish::Waiting).count();
        if waiting < self.options.clients {
            let ready = |request: &Request| {
                request.state == Wish::New
                    && request
                        .after
                        .is_none_or(|after| matches!(self.requests[after].state, Wish::Done(_) | Wish::Lost))
            };
            events.extend(
                self.requests
                    .iter()
                    .enumerate()
                    .filter(|(_, request)| ready(request))
                    .take(4)
                    .map(|(i, _)| (4, Event::Submit(i))),
            );
        }
        self.enabled_faults(&mut events);
        events
    }

    fn enabled_faults(&self, events: &mut Vec<(u64, Event)>) {
        if events.is_empty() {
            return;
        }
        if self.logs.iter().any(|log| log.durable > 0) {
            events.extend(self.ids().into_iter().map(|id| (1, Event::Checkpoint(id))));
        }
        if self.options.worker_deaths > 0 {
            events.extend((0..self.processes.len()).map(|index| (1, Event::KillWorker(index))));
        }
        if self.options.node_crashes > 0 {
            events.push((1, Event::CrashNode));
        }
        if self.options.partition_crashes > 0 {
            events.extend(self.ids().into_iter().map(|id| (1, Event::CrashPartition(id))));
        }
        if self.options.evictions > 0 && !self.coroutines.is_empty() {
            events.push((4, Event::EvictOne));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver(from, to) => self.deliver(from, to),
            Event::Work(index) => self.work(index),
            Event::Report(index) => self.report(index),
            Event::Loaded(id) => {
                let at = self.loads.iter().position(|(of, ..)| *of == id).expect("there is one");
                let (_, ticket, query) = self.loads.remove(at).expect("there is one");
                self.load(id, ticket, &query);
            }
            Event::Sync(log) => {
                let (durable, end) = (self.logs[log].durable, self.logs[log].records.len() as u64);
                let to = durable + 1 + self.rng.below(end - durable);
                self.sync(log, to);
            }
            Event::Checkpoint(id) => {
                let part = &self.parts[usize::from(id.0)];
                let durable = self.logs[self.log_of(id)].durable;
                let to = part.applied + self.rng.below(durable - part.applied + 1);
                self.checkpoint(id, to);
            }
            Event::EndTask(index) => self.end_task(index),
            Event::Submit(index) => self.submit(index),
            Event::KillWorker(index) => {
                self.options.worker_deaths -= 1;
                self.kill_worker(index, false);
            }
            Event::CrashNode => {
                self.options.node_crashes -= 1;
                self.crash_node();
            }
            Event::CrashPartition(id) => {
                self.options.partition_crashes -= 1;
                self.crash_partition(id);
            }
            Event::EvictOne => {
                self.options.evictions -= 1;
                self.evict_one();
            }
        }
    }

    /// A task has run: it fails, or gives a number that no other run gives.
    fn end_task(&mut self, index: usize) {
        let (id, start) = self.tasks.swap_remove(index);
        let errand = errand_of(&start);
        self.handle(id, Input::TaskStarted { run: start.run });
        let fails = self.rng.once_in(3);
        let outcome = if fails {
            *self.errands.failed.entry(errand).or_default() += 1;
            Outcome::Exception(Exception::encode("builtins.OSError", "the errand failed"))
        } else {
            self.errands.given += 1;
            let given = errand * 1_000_000 + self.errands.given;
            Outcome::Value(msgpack::encode(&Value::Int(given)).unwrap())
        };
        self.handle(id, Input::TaskEnded { run: start.run, outcome, is_final: false });
    }

    /// Tasks that run.
    pub fn tasks_running(&self) -> usize {
        self.tasks.len()
    }

    fn deliver(&mut self, from: PartitionId, to: PartitionId) {
        let Some(flight) = self.links.get_mut(&(from, to)).and_then(VecDeque::pop_front) else { return };
        self.delivered += 1;
        let mut message = flight.message;
        if let (true, Message::Durable { .. }) = (self.options.duplicates, &message) {
            self.echoes.push(((from, to), message.clone()));
            if self.rng.once_in(4) && self.echoes.len() > 1 {
                // Again, later than it should.
                let index = self.rng.below(self.echoes.len() as u64) as usize;
                let ((from, to), echo) = self.echoes.swap_remove(index);
                self.handle(to, Input::Message { from, message: echo });
            }
            // Durable ones may overtake each other.
            let link = self.links.entry((from, to)).or_default();
            let next =
                link.front_mut().filter(|next| matches!(next.message, Message::Durable { .. }) && next.after.is_none());
            if let (Some(next), true) = (next, self.rng.once_in(3)) {
                std::mem::swap(&mut next.message, &mut message);
            }
        }
        self.handle(to, Input::Message { from, message });
    }

    /// Nothing else can happen: the clock goes on to the next wake.
    fn pass_time(&mut self) -> bool {
        if self.collect_sends() {
            return true;
        }
        let settled = self.is_settled();
        if settled && self.pending_rows().is_empty() {
            return false;
        }
        self.idle();
        self.events += 1;
        true
    }

    /// The clock goes on to the next wake of a partition.
    pub fn idle(&mut self) {
        let wakes = self.parts.iter().map(|part| part.engine.next_wake().expect("the sweep")).min();
        self.now = self.now.max(wakes.expect("there is a partition"));
        for id in self.ids() {
            let due = self.parts[usize::from(id.0)].engine.next_wake().is_some_and(|wake| wake <= self.now);
            if due {
                self.handle(id, Input::Tick);
            }
        }
    }

    pub fn is_settled(&self) -> bool {
        let asked = self.requests.iter().all(|request| matches!(request.state, Wish::Done(_) | Wish::Lost));
        asked && self.parts.iter().all(|part| part.engine.is_quiet())
    }

    /// Suspended coroutines that workers hold.
    pub fn held_coroutines(&self) -> usize {
        self.coroutines.len()
    }

    /// Rows of unfinished things, by kind.
    pub fn pending_rows(&self) -> BTreeMap<u8, usize> {
        let kinds = [
            kind::INVOCATION,
            kind::STATUS,
            kind::JOURNAL,
            kind::TASK_RESULT,
            kind::OUTBOX,
            kind::PREPARED,
            kind::DECISION,
        ];
        let mut found = BTreeMap::new();
        for part in &self.parts {
            for key in part.rows.keys().filter(|key| kinds.contains(&key[2])) {
                *found.entry(key[2]).or_default() += 1;
            }
        }
        found
    }

    /// Runs until everything that was asked for has ended.
    pub fn run(&mut self) {
        let limit = 100_000;
        let (mut idle, mut last) = (0, self.records);
        while self.step() {
            idle = if self.records == last && self.enabled().is_empty() { idle + 1 } else { 0 };
            last = self.records;
            assert!(self.events < limit && idle < 40, "no progress after {} events:\n{}", self.events, self.dump());
        }
        crate::checks::at_rest(self);
    }

    pub fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let mut steps = 0;
        while !done(self) {
            steps += 1;
            assert!(self.step() && steps < 100_000, "it never happens:\n{}", self.dump());
        }
    }

    pub fn run_events(&mut self, count: u64) {
        for _ in 0..count {
            if !self.step() {
                return;
            }
        }
    }

    // Looking.

    pub fn engine(&self, id: PartitionId) -> &Partition {
        &self.parts[usize::from(id.0)].engine
    }

    pub fn rows(&self, id: PartitionId) -> &Rows {
        &self.parts[usize::from(id.0)].rows
    }

    /// The records of each partition with their positions.
    pub fn records_of(&self, id: PartitionId) -> Vec<(Position, &Record)> {
        let log = &self.logs[self.log_of(id)];
        let numbered = log.records.iter().enumerate().filter(|(_, (of, _))| *of == id);
        numbered.map(|(index, (_, record))| (Position(index as u64 + 1), record)).collect()
    }

    /// A partition that has only read the log.
    pub fn replayed(&self, id: PartitionId) -> Rows {
        let mut engine = self.fresh(id, 1);
        let mut rows = Rows::new();
        for (position, record) in self.records_of(id) {
            let mut turn = Turn { next: position, ..Turn::default() };
            engine.replay(position, record, &mut turn);
            turn.writes.iter().for_each(|(_, key, change)| put_row(&mut rows, key, change.encode().as_deref()));
        }
        rows
    }

    /// All cells: service, field, entity (canonical), key as inserted, value.
    pub fn cells(&self, service: &str, field: &str) -> Vec<(CellKey, i64)> {
        let mut found = Vec::new();
        for id in self.ids() {
            let catalogue = self.engine(id).catalogue();
            let number = catalogue.entries.iter().find(|(s, f, _)| s == service && f == field).map(|(.., n)| *n);
            for (key, row) in self.rows(id) {
                if let Some(cell) = CellKey::from_row(key).filter(|cell| Some(cell.field) == number) {
                    let row: protocol::cell::CellRow = record::decode(row, "cell").unwrap();
                    found.push((cell, sim::program::decode_int(&row.value)));
                }
            }
        }
        found
    }

    pub fn sum(&self, service: &str, field: &str) -> i64 {
        self.cells(service, field).iter().map(|(_, value)| value).sum()
    }

    /// The value of a scalar or of an entry.
    pub fn cell(&self, service: &str, entity: Option<i64>, field: &str, key: Option<i64>) -> Option<i64> {
        let canonical = |number: i64| protocol::key::canonical(&Value::Int(number)).unwrap();
        let (entity, key) = (entity.map(canonical), key.map(canonical));
        let cells = self.cells(service, field);
        cells.into_iter().find(|(cell, _)| cell.entity == entity && cell.key == key).map(|(_, value)| value)
    }

    /// Has it been sent to a worker, and not ended?
    pub fn is_started(&self, index: usize) -> bool {
        self.running.values().any(|running| running.invocation == self.requests[index].id)
    }

    /// The number that a request gave, or the class of its exception.
    pub fn result(&self, index: usize) -> Result<i64, String> {
        match &self.requests[index].state {
            Wish::Done(Reply::Done { outcome: Outcome::Value(bytes), .. }) => Ok(decode_result(bytes).number),
            Wish::Done(Reply::Done { outcome: Outcome::Exception(bytes), .. }) => {
                Err(protocol::message::Exception::from_value(bytes).class)
            }
            Wish::Done(Reply::Problem { code, .. }) => Err(code.as_str().to_owned()),
            other => Err(format!("{other:?}")),
        }
    }

    pub fn dump(&self) -> String {
        let mut text = String::new();
        for id in self.ids() {
            for listed in self.engine(id).list(self.now) {
                let describe = self.engine(id).describe(listed.id, self.now).and_then(|found| found.note);
                text += &format!("  {id}: {:?} {describe:?}\n", listed.invocation);
            }
            text += &format!("  {id}: quiet {}\n", self.engine(id).is_quiet());
            if self.verbose {
                let debug = format!("{:?}", self.engine(id));
                let locks = debug.split("locks: LockTable").nth(1).and_then(|rest| rest.split("turns: ").next());
                text += &format!("  {id}: locks {locks:?}\n");
            }
        }
        for (pair, link) in self.links.iter().filter(|(_, link)| !link.is_empty()) {
            text += &format!("  link {pair:?}: {} messages\n", link.len());
        }
        for (index, request) in self.requests.iter().enumerate() {
            if !matches!(request.state, Wish::Done(_)) {
                text += &format!("  request {index}: {} {} {:?}\n", request.method, request.id, request.state);
            }
        }
        text + &format!("  rows {:?}", self.pending_rows())
    }

    pub fn waits(&self) -> BTreeSet<String> {
        let listed = self.ids().into_iter().flat_map(|id| self.engine(id).list(self.now));
        listed.filter_map(|listed| listed.invocation.waiting).map(|waiting| waiting.reason).collect()
    }

    pub fn home(&self, id: InvocationId) -> PartitionId {
        id.slot().partition(self.options.partitions)
    }
}

fn brief(text: &str) -> String {
    text.chars().take(400).collect()
}

fn put_row(rows: &mut Rows, key: &[u8], value: Option<&[u8]>) {
    match value {
        Some(value) => drop(rows.insert(key.to_vec(), value.to_vec())),
        None => drop(rows.remove(key)),
    }
}

/// Kinds of rows that a partition is restored from.
fn restorable(key: &[u8]) -> bool {
    ![kind::CELL, kind::DONE, kind::DEDUP, kind::EXPIRY].contains(&key[2])
}
