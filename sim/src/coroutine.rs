//! What a worker does with one invocation: a coroutine over a scripted method, driven from step to step as
//! `protocol::worker` says: slices, fetches, replay of a journal with comparison, reads, writes, operations, waits.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use protocol::ids::InvocationId;
use protocol::message::Exception;
use protocol::worker::{
    Delivered, FetchWhat, JournalStep, Op, OpKind, Outcome, Resume, Slice, Start, StepEnd, StepStatus, StepWrite,
    Target as CallTarget, TaskCall,
};
use protocol::{Value, msgpack};

use crate::native::Tasks;
use crate::program::{
    App, Block, Expr, FIRST, LONG_STEP, REGISTERS, Stmt, Target, decode_int, decode_version, encode_int, encode_long,
    encode_version, is_long,
};
use crate::recorder::{Reading, Unit, Witness, detached};

/// Arguments that the simulator adds to each call when it records: the request that it belongs to, and the transaction
/// attempt of the caller that it is part of.
const ROOT_ARG: usize = 6;
const UNIT_ARG: usize = 7;

/// What a method returned: a number, and the writes that it rests on, as far as they are recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Produced {
    pub number: i64,
    /// Versions of cells that it has seen, directly or in results of calls.
    pub saw: BTreeSet<i64>,
    /// Versions that it has made, directly or through calls.
    pub wrote: BTreeSet<i64>,
}

thread_local! {
    static ALARMS: Cell<u64> = const { Cell::new(0) };
}

/// How often user code has raised the alarm since the last call, also in attempts that came to nothing.
pub fn alarms() -> u64 {
    ALARMS.take()
}

type Name = (String, Option<Vec<u8>>);
/// Key and value of an entry.
type Entry = (Vec<u8>, Vec<u8>);
type Task = Pin<Box<dyn Future<Output = Result<(), End>>>>;

/// Why a block ends early.
enum End {
    Return(i64),
    Raise(Vec<u8>),
}

/// What a poll of a coroutine came to.
pub enum Progress {
    End(Box<StepEnd>),
    Fetch(String, FetchWhat),
    Departed {
        step: u64,
        expected: String,
        actual: String,
    },
    /// The method killed its process.
    Died,
}

#[derive(Default)]
struct State {
    witness: Witness,
    invocation: InvocationId,
    service: String,
    key: Option<i64>,
    args: Vec<i64>,
    joined: bool,
    /// The request that this is part of.
    root: i64,
    /// Attempt of the caller's transaction, and of the own one.
    joined_unit: Unit,
    unit: Unit,
    run_number: u64,
    registers: Vec<i64>,
    fresh: u64,
    open: bool,
    before: BTreeSet<String>,
    saw: BTreeSet<i64>,
    /// Writes, each with the own transaction that it is part of.
    wrote: Vec<(Unit, i64)>,
    puts: u32,
    outstanding: BTreeSet<String>,
    abandoned: BTreeSet<String>,
    outcomes: BTreeMap<String, Outcome>,
    /// Positions of results, in the order of delivery.
    arrived: Vec<String>,
    background: Vec<Task>,
    // The step.
    number: u64,
    clock: u64,
    /// The step asked for the time.
    told_time: Cell<bool>,
    base: BTreeMap<Name, Option<Vec<u8>>>,
    wholes: BTreeMap<String, Vec<Entry>>,
    seen: Vec<Name>,
    scanned: Vec<String>,
    changes: Vec<(Name, i64, i64)>,
    gone: BTreeSet<Name>,
    ops: Vec<Op>,
    waits: Vec<String>,
    wait_all: bool,
    logs: Vec<(u8, String)>,
    doom: Option<Vec<u8>>,
    // Control.
    fetch: Option<(String, FetchWhat)>,
    replaying: bool,
    departed: Option<String>,
    died: bool,
    cancel: Option<Vec<u8>>,
}

impl State {
    fn time(&self) -> u64 {
        self.told_time.set(true);
        self.clock
    }
}

type Run = Rc<RefCell<State>>;

struct Branch {
    path: String,
    counter: Cell<u64>,
}

impl Branch {
    fn next(&self) -> String {
        let position = format!("{}{}", self.path, self.counter.get());
        self.counter.set(self.counter.get() + 1);
        position
    }

    fn is_main(&self) -> bool {
        self.path.is_empty()
    }
}

/// A suspended or running coroutine.
pub struct Coroutine {
    run: Run,
    task: Task,
    inbox: VecDeque<Delivered>,
    /// Number of the current execution.
    pub start: Start,
}

pub fn text_of(kind: &OpKind) -> String {
    match kind {
        OpKind::Call(target) => format!("call {}.{}", target.service, target.method),
        OpKind::Send(target) => format!("send {}.{}", target.service, target.method),
        OpKind::Sleep(_) => "sleep".into(),
        OpKind::Begin => "begin".into(),
        OpKind::Commit => "commit".into(),
        OpKind::Rollback(_) => "rollback".into(),
        OpKind::Task(task) => format!("task {}", task.function),
        OpKind::Cancel(position) => format!("cancel {position}"),
    }
}

/// What a method returned.
pub fn decode_result(bytes: &[u8]) -> Produced {
    let number = |number| Produced { number, ..Produced::default() };
    match msgpack::decode(bytes).expect("a result is one that we wrote") {
        Value::Int(result) => number(result),
        Value::None => number(0),
        Value::Tuple(items) => match &items[..] {
            [Value::Int(number), Value::List(saw), Value::List(wrote)] => {
                Produced { number: *number, saw: ints(saw), wrote: ints(wrote) }
            }
            _ => panic!("a number and versions, not {items:?}"),
        },
        other => panic!("a result, not {other:?}"),
    }
}

fn ints(items: &[Value]) -> BTreeSet<i64> {
    let int = |item: &Value| if let Value::Int(number) = item { *number } else { panic!("a version, not {item:?}") };
    items.iter().map(int).collect()
}

impl Coroutine {
    /// START: runs the method from its beginning, over its journal.
    pub fn start(app: &Rc<App>, start: &Start, witness: &Witness) -> (Self, Progress) {
        let def = app.method(&start.service, &start.method).expect("the engine starts methods that there are");
        let (args, _) = msgpack::decode_args(&start.args).expect("arguments are ones that we wrote");
        let args: Vec<i64> = args.iter().map(|arg| if let Value::Int(number) = arg { *number } else { 0 }).collect();
        let state = State {
            witness: witness.clone(),
            invocation: start.invocation,
            service: start.service.clone(),
            key: start.key.as_deref().map(decode_int),
            joined: start.in_transaction,
            root: args.get(ROOT_ARG).copied().unwrap_or(0),
            joined_unit: Unit(args.get(UNIT_ARG).copied().unwrap_or(0)),
            args,
            registers: vec![0; REGISTERS],
            ..State::default()
        };
        let run = Rc::new(RefCell::new(state));
        let branch = Rc::new(Branch { path: String::new(), counter: Cell::new(0) });
        let task = exec(run.clone(), branch, def.body.clone());
        let mut coroutine = Self { run, task, inbox: VecDeque::new(), start: start.clone() };
        for (index, step) in start.journal.iter().enumerate() {
            if let Some(departed) = coroutine.replay(index, step) {
                return (coroutine, departed);
            }
        }
        coroutine.begin(start.run.0, start.clock, &start.slice, &start.delivered);
        let progress = coroutine.go();
        (coroutine, progress)
    }

    /// RESUME.
    pub fn resume(&mut self, resume: &Resume) -> Progress {
        self.start.run = resume.run;
        self.begin(resume.run.0, resume.clock, &resume.slice, &resume.delivered);
        self.go()
    }

    /// It waits at this position and nowhere else.
    pub fn waits_at(&self, position: &str) -> bool {
        let run = self.run.borrow();
        run.outstanding.len() == 1 && run.outstanding.contains(position) && run.waits == [position]
    }

    /// Goes on before a RESUME has come. What came of it, if that does not depend on what the message would say: on cells,
    /// or the time.
    pub fn goes_on(&mut self, number: u64, delivered: &Delivered) -> Option<Box<StepEnd>> {
        self.begin(number, 0, &Slice::default(), std::slice::from_ref(delivered));
        match self.go() {
            Progress::End(end) if !self.run.borrow().told_time.get() => Some(end),
            _ => None,
        }
    }

    /// FETCHED.
    pub fn fetched(&mut self, slice: &Slice) -> Progress {
        self.run.borrow_mut().fetch = None;
        self.ship(slice);
        self.go()
    }

    fn replay(&mut self, index: usize, step: &JournalStep) -> Option<Progress> {
        self.run.borrow_mut().replaying = true;
        self.begin(0, step.clock, &step.reads, &step.delivered);
        let progress = self.go();
        self.run.borrow_mut().replaying = false;
        let did: Vec<(String, String)> =
            self.run.borrow().ops.iter().map(|op| (op.position.clone(), text_of(&op.kind))).collect();
        let suspended = matches!(&progress, Progress::End(end) if end.status == StepStatus::Suspended);
        if suspended && did == step.ops {
            return None;
        }
        let actual = match progress {
            Progress::Departed { actual, .. } => actual,
            Progress::End(end) => format!("{did:?} {:?}", end.status),
            Progress::Fetch(..) | Progress::Died => format!("{did:?}"),
        };
        Some(Progress::Departed { step: index as u64, expected: format!("{:?}", step.ops), actual })
    }

    fn begin(&mut self, number: u64, clock: u64, slice: &Slice, delivered: &[Delivered]) {
        let mut run = self.run.borrow_mut();
        run.number += 1;
        run.run_number = number;
        run.clock = clock;
        run.told_time.set(false);
        run.puts = 0;
        run.base.clear();
        run.wholes.clear();
        run.seen.clear();
        run.scanned.clear();
        run.changes.clear();
        run.gone.clear();
        run.ops.clear();
        run.logs.clear();
        run.doom = None;
        drop(run);
        self.inbox = delivered.iter().cloned().collect();
        self.ship(slice);
    }

    fn ship(&mut self, slice: &Slice) {
        let mut run = self.run.borrow_mut();
        for cell in &slice.cells {
            run.base.insert((cell.field.clone(), cell.key.clone()), cell.value.clone());
        }
        for (field, entries) in &slice.wholes {
            let entries = entries.iter().map(|(key, value, _)| (key.clone(), value.clone()));
            run.wholes.insert(field.clone(), entries.collect());
        }
    }

    /// Runs until nothing can run.
    fn go(&mut self) -> Progress {
        loop {
            let polled = self.poll();
            let mut run = self.run.borrow_mut();
            if run.died {
                return Progress::Died;
            }
            if let Some(actual) = run.departed.take() {
                return Progress::Departed { step: 0, expected: String::new(), actual };
            }
            if let Some((field, what)) = run.fetch.clone() {
                return Progress::Fetch(field, what);
            }
            if let Poll::Ready(result) = polled {
                return Progress::End(Box::new(ended(&mut run, &self.start, result)));
            }
            let Some(delivered) = self.inbox.pop_front() else {
                return Progress::End(Box::new(step_end(&mut run, &self.start, StepStatus::Suspended)));
            };
            deliver(&mut run, delivered);
        }
    }

    fn poll(&mut self) -> Poll<Result<(), End>> {
        {
            let mut run = self.run.borrow_mut();
            run.waits.clear();
            run.wait_all = false;
        }
        let mut context = Context::from_waker(Waker::noop());
        let polled = self.task.as_mut().poll(&mut context);
        if polled.is_pending() {
            let mut tasks = std::mem::take(&mut self.run.borrow_mut().background);
            tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
            let mut run = self.run.borrow_mut();
            if !tasks.is_empty() {
                run.wait_all = false;
            }
            run.background.append(&mut tasks);
        }
        polled
    }
}

fn deliver(run: &mut State, delivered: Delivered) {
    if delivered.position.is_empty() {
        let Outcome::Exception(bytes) = delivered.result else { panic!("a cancellation is an exception") };
        run.cancel = Some(bytes);
        return;
    }
    if run.outstanding.remove(&delivered.position) {
        run.arrived.push(delivered.position.clone());
        run.outcomes.insert(delivered.position, delivered.result);
    } else {
        let known = run.abandoned.contains(&delivered.position);
        assert!(known, "{}: a result for {}, which waits for none", run.invocation, delivered.position);
    }
}

fn ended(run: &mut State, start: &Start, result: Result<(), End>) -> StepEnd {
    let status = match result {
        Ok(()) => StepStatus::Returned(encode_result(run, 0)),
        Err(End::Return(number)) => StepStatus::Returned(encode_result(run, number)),
        Err(End::Raise(bytes)) => StepStatus::Raised(bytes),
    };
    step_end(run, start, status)
}

fn encode_result(run: &State, number: i64) -> Vec<u8> {
    if !run.witness.records() {
        return encode_int(number);
    }
    let versions = |versions: BTreeSet<i64>| Value::List(versions.into_iter().map(Value::Int).collect());
    let wrote = run.wrote.iter().map(|(_, version)| *version).collect();
    let parts = vec![Value::Int(number), versions(run.saw.clone()), versions(wrote)];
    msgpack::encode(&Value::Tuple(parts)).expect("numbers can be stored")
}

fn step_end(run: &mut State, start: &Start, status: StepStatus) -> StepEnd {
    let suspended = status == StepStatus::Suspended;
    assert!(!suspended || !run.waits.is_empty(), "{} {} waits for nothing", run.invocation, start.method);
    StepEnd {
        run: start.run,
        invocation: run.invocation,
        status,
        reads: run.seen.iter().filter(|(field, _)| !run.scanned.contains(field)).cloned().collect(),
        whole_reads: run.scanned.clone(),
        writes: writes(run),
        ops: run.ops.clone(),
        wait_all: suspended && run.wait_all,
        waits: if suspended { run.waits.clone() } else { Vec::new() },
        logs: run.logs.clone(),
        doom: run.doom.clone(),
        ..StepEnd::default()
    }
}

fn writes(run: &State) -> Vec<StepWrite> {
    let mut writes = Vec::new();
    let deleted = run.gone.iter().filter(|name| run.changes.iter().all(|(changed, ..)| changed != *name));
    for name in deleted {
        if known(run, name) != Some(None) {
            writes.push(StepWrite { field: name.0.clone(), key: name.1.clone(), ..StepWrite::default() });
        }
    }
    for (name, value, version) in &run.changes {
        let data = match version {
            0 => encode_int(*value),
            version if is_long(&name.0) => encode_long(*value, *version, *value as usize * LONG_STEP),
            version => encode_version(*value, *version),
        };
        let (base, gone) = (known(run, name), run.gone.contains(name));
        if !gone && base.as_ref().and_then(Option::as_ref) == Some(&data) {
            continue;
        }
        let fresh = gone && matches!(base, Some(Some(_)));
        let (field, key) = name.clone();
        writes.push(StepWrite { field, key, value: Some(data), fresh, incarnation: None });
    }
    writes
}

/// What the store holds, as far as it was shipped.
fn known(run: &State, name: &Name) -> Option<Option<Vec<u8>>> {
    if let Some(value) = run.base.get(name) {
        return Some(value.clone());
    }
    let entries = run.wholes.get(&name.0)?;
    Some(entries.iter().find(|(key, _)| Some(key) == name.1.as_ref()).map(|(_, value)| value.clone()))
}

// The interpreter.

fn eval(run: &mut State, expr: &Expr) -> i64 {
    match expr {
        Expr::Int(number) => *number,
        Expr::Arg(index) => run.args.get(*index).copied().unwrap_or(0),
        Expr::Reg(index) => run.registers[*index],
        Expr::Key => run.key.expect("an entity"),
        Expr::Clock => run.time() as i64,
        Expr::Fresh => {
            run.fresh += 1;
            let mut text = run.invocation.0.to_vec();
            text.extend_from_slice(&run.fresh.to_be_bytes());
            let digest = protocol::ids::digest(&[&text]);
            (u64::from_be_bytes(digest[..8].try_into().expect("eight bytes")) >> 16) as i64
        }
        Expr::Add(a, b) => eval(run, a) + eval(run, b),
        Expr::Sub(a, b) => eval(run, a) - eval(run, b),
    }
}

fn exec(run: Run, branch: Rc<Branch>, body: Block) -> Task {
    Box::pin(async move {
        for stmt in body.iter() {
            statement(&run, &branch, stmt).await?;
        }
        Ok(())
    })
}

async fn statement(run: &Run, branch: &Rc<Branch>, stmt: &Stmt) -> Result<(), End> {
    let number = |expr: &Expr| eval(&mut run.borrow_mut(), expr);
    let name = |field: &str, key: &Option<Expr>| (field.to_owned(), key.as_ref().map(|key| encode_int(number(key))));
    match stmt {
        Stmt::Let(into, expr) => {
            let value = number(expr);
            run.borrow_mut().registers[*into] = value;
        }
        Stmt::Get(into, field, key) => {
            let value = read(run, name(field, key)).await;
            run.borrow_mut().registers[*into] = value.unwrap_or(0);
        }
        Stmt::Has(into, field, key) => {
            let value = read(run, name(field, &Some(key.clone()))).await;
            run.borrow_mut().registers[*into] = i64::from(value.is_some());
        }
        Stmt::Put(field, key, value) => {
            settled(run).await;
            let name = name(field, key);
            let value = number(value);
            put(&mut run.borrow_mut(), name, value);
        }
        Stmt::Del(field, key) => {
            let name = name(field, &Some(key.clone()));
            if read(run, name.clone()).await.is_some() {
                let mut run = run.borrow_mut();
                run.changes.retain(|(changed, ..)| *changed != name);
                made(&mut run, &name, None);
                run.gone.insert(name);
            }
        }
        Stmt::Sum(sum, count, field) => {
            let entries = scan(run, field).await;
            let mut run = run.borrow_mut();
            run.registers[*sum] = entries.iter().map(|(_, value)| *value).sum();
            run.registers[*count] = entries.len() as i64;
        }
        Stmt::Order(into, field) => {
            let entries = scan(run, field).await;
            let digest = entries.iter().fold(7, |digest: i64, (key, _)| (digest * 31 + key) % 1_000_000_007);
            run.borrow_mut().registers[*into] = digest;
        }
        Stmt::Call(into, target) => {
            let position = start(run, branch, OpKind::Call(call_target(run, target))).await;
            let result = outcome(run, branch, &position).await?;
            take_result(run, *into, &result);
        }
        Stmt::Gather(calls, any) => gather(run, branch, calls, *any).await?,
        Stmt::Fork(blocks) => fork(run, branch, blocks).await?,
        Stmt::Send(target) => {
            start(run, branch, OpKind::Send(send_target(run, target))).await;
        }
        Stmt::Detach(target) => {
            start(run, branch, OpKind::Call(call_target(run, target))).await;
        }
        Stmt::Sleep(micros) => nap(run, branch, number(micros) as u64).await?,
        Stmt::Task(into, name, retries) => task(run, branch, *into, number(name), *retries).await?,
        Stmt::Race(into, target, micros) => race(run, branch, *into, target, number(micros) as u64).await?,
        Stmt::Tx(body) => transaction(run, branch, body).await?,
        Stmt::Try(body, handler) => match exec(run.clone(), branch.clone(), body.clone()).await {
            Err(End::Raise(_)) => exec(run.clone(), branch.clone(), handler.clone()).await?,
            other => other?,
        },
        Stmt::If(condition, then, otherwise) => {
            let chosen = if number(condition) > 0 { then } else { otherwise };
            exec(run.clone(), branch.clone(), chosen.clone()).await?;
        }
        Stmt::Raise(class) => return Err(End::Raise(Exception::encode(&format!("app.{class}"), class))),
        Stmt::Return(value) => return Err(End::Return(number(value))),
        Stmt::Print(text) => {
            settled(run).await;
            run.borrow_mut().logs.push((0, (*text).to_owned()));
        }
        Stmt::Alarm => ALARMS.with(|alarms| alarms.set(alarms.get() + 1)),
        Stmt::Die => {
            settled(run).await;
            run.borrow_mut().died = true;
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

/// A fetch stops the whole process.
async fn settled(run: &Run) {
    poll_fn(|_| if run.borrow().fetch.is_some() { Poll::Pending } else { Poll::Ready(()) }).await;
}

fn put(run: &mut State, name: Name, value: i64) {
    let version = made(run, &name, Some(value));
    match run.changes.iter_mut().find(|(changed, ..)| *changed == name) {
        Some((_, current, of)) => (*current, *of) = (value, version),
        None => run.changes.push((name, value, version)),
    }
}

/// A write gets its version: the one that it got the first time if this is a replay.
fn made(run: &mut State, name: &Name, value: Option<i64>) -> i64 {
    if !run.witness.records() {
        return 0;
    }
    run.puts += 1;
    let place = (run.invocation, run.number, run.puts);
    let version = match run.replaying {
        true => run.witness.version_of(place),
        false => run.witness.wrote(place, reading(run, name), value),
    };
    let own = run.unit;
    run.wrote.push((own, version));
    version
}

fn saw(run: &mut State, name: &Name, version: i64) {
    if !run.witness.records() {
        return;
    }
    let reading = reading(run, name);
    // What its own transaction wrote is nothing that it depends on.
    if version > 0 && !run.witness.is_of(version, reading.transaction) {
        run.saw.insert(version);
    }
    if !run.replaying {
        run.witness.read(reading, version);
    }
}

/// Who touches a cell, and where it is.
fn reading(run: &State, name: &Name) -> Reading {
    let entity = run.key.map_or_else(String::new, |key| format!("({key})"));
    let key = name.1.as_deref().map_or_else(String::new, |key| format!("[{}]", decode_int(key)));
    Reading {
        root: run.root,
        invocation: run.invocation,
        step: run.number,
        run: run.run_number,
        transaction: if run.open { run.unit } else { run.joined_unit },
        field: format!("{}{entity}.{}", run.service, name.0),
        key,
    }
}

async fn read(run: &Run, name: Name) -> Option<i64> {
    let value = poll_fn(|_| {
        let mut run = run.borrow_mut();
        if run.fetch.is_some() || run.departed.is_some() {
            return Poll::Pending;
        }
        if let Some((_, value, _)) = run.changes.iter().find(|(changed, ..)| *changed == name) {
            return Poll::Ready((Some(*value), None));
        }
        if run.gone.contains(&name) {
            return Poll::Ready((None, None));
        }
        if let Some(value) = known(&run, &name) {
            if !run.seen.contains(&name) {
                run.seen.push(name.clone());
            }
            let (number, version) = value.as_deref().map_or((0, -1), decode_version);
            return Poll::Ready((value.map(|_| number), Some(version)));
        }
        let what = name.1.clone().map_or(FetchWhat::Scalar, FetchWhat::Entry);
        ask(&mut run, &name.0, what);
        Poll::Pending
    });
    let (value, version) = value.await;
    if let Some(version) = version {
        saw(&mut run.borrow_mut(), &name, version);
    }
    value
}

fn ask(run: &mut State, field: &str, what: FetchWhat) {
    if run.replaying {
        run.departed = Some(format!("a read of {field} {what:?}"));
    } else {
        run.fetch = Some((field.to_owned(), what));
    }
}

async fn scan(run: &Run, field: &str) -> Vec<(i64, i64)> {
    let stored = poll_fn(|_| {
        let mut run = run.borrow_mut();
        if run.fetch.is_some() || run.departed.is_some() {
            return Poll::Pending;
        }
        if let Some(entries) = run.wholes.get(field).cloned() {
            if !run.scanned.iter().any(|scanned| scanned == field) {
                run.scanned.push(field.to_owned());
            }
            return Poll::Ready(entries);
        }
        ask(&mut run, field, FetchWhat::Whole);
        Poll::Pending
    });
    let stored = stored.await;
    let mut run = run.borrow_mut();
    let name = |key: &Vec<u8>| (field.to_owned(), Some(key.clone()));
    let mut entries: Vec<(Vec<u8>, i64)> = Vec::new();
    for (key, value) in &stored {
        let changed = run.changes.iter().find(|(changed, ..)| *changed == name(key)).map(|(_, value, _)| *value);
        if !run.gone.contains(&name(key)) {
            entries.push((key.clone(), changed.unwrap_or_else(|| decode_int(value))));
        }
    }
    for ((changed, key), value, _) in &run.changes {
        let key = key.clone().unwrap_or_default();
        if changed == field && entries.iter().all(|(known, _)| *known != key) {
            entries.push((key, *value));
        }
    }
    for (key, value) in &stored {
        saw(&mut run, &name(key), decode_version(value).1);
    }
    if run.witness.records() && !run.replaying {
        let found = stored.iter().map(|(key, _)| format!("[{}]", decode_int(key))).collect();
        run.witness.scanned(reading(&run, &(field.to_owned(), None)), found);
    }
    entries.into_iter().map(|(key, value)| (decode_int(&key), value)).collect()
}

fn call_target(run: &Run, target: &Target) -> CallTarget {
    let unit = {
        let run = run.borrow();
        if run.open { run.unit } else { run.joined_unit }
    };
    let root = run.borrow().root;
    target_with(run, target, root, unit)
}

/// A one-way call belongs to nobody's transaction.
fn send_target(run: &Run, target: &Target) -> CallTarget {
    let root = detached(run.borrow().root);
    target_with(run, target, root, Unit::default())
}

fn target_with(run: &Run, target: &Target, root: i64, unit: Unit) -> CallTarget {
    let mut run = run.borrow_mut();
    let args: Vec<i64> = target.args.iter().map(|arg| eval(&mut run, arg)).collect();
    let args = if run.witness.records() { recorded_args(&args, root, unit) } else { args };
    let args: Vec<Value> = args.into_iter().map(Value::Int).collect();
    CallTarget {
        service: target.service.to_owned(),
        key: target.key.as_ref().map(|key| encode_int(eval(&mut run, key))),
        method: target.method.to_owned(),
        args: msgpack::encode_args(&args, &[]).expect("numbers can be sent"),
    }
}

/// Arguments with those that the simulator adds.
pub fn recorded_args(args: &[i64], root: i64, unit: Unit) -> Vec<i64> {
    assert!(args.len() <= ROOT_ARG, "scripted methods have few arguments");
    let mut all = args.to_vec();
    all.resize(ROOT_ARG, 0);
    all.extend([root, unit.0]);
    all
}

async fn start(run: &Run, branch: &Branch, kind: OpKind) -> String {
    settled(run).await;
    start_at(run, branch.next(), kind)
}

fn start_at(run: &Run, position: String, kind: OpKind) -> String {
    let mut run = run.borrow_mut();
    if !matches!(kind, OpKind::Send(_) | OpKind::Cancel(_)) {
        run.outstanding.insert(position.clone());
    }
    run.ops.push(Op { position: position.clone(), kind });
    position
}

async fn outcome(run: &Run, branch: &Branch, position: &str) -> Result<Vec<u8>, End> {
    poll_fn(|_| {
        let mut run = run.borrow_mut();
        if run.fetch.is_some() {
            return Poll::Pending;
        }
        if let Some(bytes) = run.cancel.take_if(|_| branch.is_main()) {
            run.abandoned.insert(position.to_owned());
            return Poll::Ready(Err(End::Raise(bytes)));
        }
        match run.outcomes.remove(position) {
            Some(Outcome::Value(bytes)) => Poll::Ready(Ok(bytes)),
            Some(Outcome::Exception(bytes)) => Poll::Ready(Err(End::Raise(bytes))),
            None => {
                run.waits.push(position.to_owned());
                Poll::Pending
            }
        }
    })
    .await
}

async fn nap(run: &Run, branch: &Branch, micros: u64) -> Result<(), End> {
    let due = run.borrow().time() + micros;
    let position = start(run, branch, OpKind::Sleep(due)).await;
    outcome(run, branch, &position).await.map(drop)
}

async fn task(run: &Run, branch: &Branch, into: usize, name: i64, retries: u32) -> Result<(), End> {
    let args = msgpack::encode_args(&[Value::Int(name)], &[]).expect("numbers can be sent");
    let (function, is_async) = Tasks::named(name).unwrap_or_else(|| ("app.errand".to_owned(), false));
    let call = TaskCall { function, args, retries, backoff: 500, backoff_max: 1_500, is_async, ..TaskCall::default() };
    let position = start(run, branch, OpKind::Task(call)).await;
    let result = outcome(run, branch, &position).await?;
    run.borrow_mut().registers[into] = decode_result(&result).number;
    Ok(())
}

/// Who is there first wins, also if both are; the other one is cancelled.
async fn race(run: &Run, branch: &Branch, into: usize, target: &Target, micros: u64) -> Result<(), End> {
    let due = run.borrow().time() + micros;
    let call = start(run, branch, OpKind::Call(call_target(run, target))).await;
    let timer = start(run, branch, OpKind::Sleep(due)).await;
    let winner = poll_fn(|_| {
        let mut run = run.borrow_mut();
        if run.fetch.is_some() {
            return Poll::Pending;
        }
        if let Some(bytes) = run.cancel.take_if(|_| branch.is_main()) {
            run.abandoned.extend([call.clone(), timer.clone()]);
            return Poll::Ready(Err(End::Raise(bytes)));
        }
        let first = run.arrived.iter().find(|position| **position == call || **position == timer).cloned();
        let Some(first) = first else {
            run.waits.extend([call.clone(), timer.clone()]);
            return Poll::Pending;
        };
        Poll::Ready(Ok(run.outcomes.remove(&first).map(|outcome| (first, outcome))))
    })
    .await?;
    let Some((first, outcome)) = winner else { panic!("what arrived has an outcome") };
    let loser = if first == call { &timer } else { &call };
    run.borrow_mut().abandoned.insert(loser.clone());
    start(run, branch, OpKind::Cancel(loser.clone())).await;
    match outcome {
        _ if first == timer => run.borrow_mut().registers[into] = -1,
        Outcome::Value(bytes) => take_result(run, into, &bytes),
        Outcome::Exception(bytes) => return Err(End::Raise(bytes)),
    }
    Ok(())
}

fn take_result(run: &Run, into: usize, result: &[u8]) {
    let Produced { number, saw, wrote } = decode_result(result);
    let mut run = run.borrow_mut();
    run.registers[into] = number;
    run.saw.extend(saw);
    let own = run.unit;
    run.wrote.extend(wrote.into_iter().map(|version| (own, version)));
}

async fn gather(run: &Run, branch: &Branch, calls: &[(usize, Target)], any: bool) -> Result<(), End> {
    settled(run).await;
    let own = branch.next();
    let mut waiting = BTreeMap::new();
    for (index, (into, target)) in calls.iter().enumerate() {
        let position = start_at(run, format!("{own}.{index}.0"), OpKind::Call(call_target(run, target)));
        waiting.insert(position, *into);
    }
    poll_fn(|_| {
        {
            let mut run = run.borrow_mut();
            if run.fetch.is_some() {
                return Poll::Pending;
            }
            if let Some(bytes) = run.cancel.take_if(|_| branch.is_main()) {
                run.abandoned.extend(waiting.keys().cloned());
                return Poll::Ready(Err(End::Raise(bytes)));
            }
        }
        let there: Vec<String> = {
            let run = run.borrow();
            let arrived = run.arrived.iter().filter(|position| run.outcomes.contains_key(*position));
            arrived.filter(|position| waiting.contains_key(*position)).cloned().collect()
        };
        for position in there {
            let into = waiting.remove(&position).unwrap_or_default();
            if waiting.len() + 1 == calls.len() {
                run.borrow_mut().registers[FIRST] = into as i64;
            }
            let taken = run.borrow_mut().outcomes.remove(&position);
            match taken {
                Some(Outcome::Value(bytes)) => take_result(run, into, &bytes),
                Some(Outcome::Exception(bytes)) => {
                    run.borrow_mut().abandoned.extend(waiting.keys().cloned());
                    return Poll::Ready(Err(End::Raise(bytes)));
                }
                None => {}
            }
        }
        if waiting.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut run = run.borrow_mut();
        run.waits.extend(waiting.keys().cloned());
        run.wait_all = branch.is_main() && !any;
        Poll::Pending
    })
    .await
}

async fn fork(run: &Run, branch: &Branch, blocks: &[Block]) -> Result<(), End> {
    settled(run).await;
    let own = branch.next();
    let child = |index: usize| Branch { path: format!("{own}.{index}."), counter: Cell::new(0) };
    let mut tasks: Vec<Task> =
        blocks.iter().enumerate().map(|(index, body)| exec(run.clone(), Rc::new(child(index)), body.clone())).collect();
    let result = poll_fn(|context| {
        if let Some(bytes) = run.borrow_mut().cancel.take_if(|_| branch.is_main()) {
            return Poll::Ready(Err(End::Raise(bytes)));
        }
        let mut raised = None;
        tasks.retain_mut(|task| match task.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(result) => {
                if let (Err(End::Raise(bytes)), None) = (result, &raised) {
                    raised = Some(bytes);
                }
                false
            }
        });
        match raised {
            Some(bytes) => Poll::Ready(Err(End::Raise(bytes))),
            None if tasks.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await;
    // The first exception is raised; the others run on.
    run.borrow_mut().background.append(&mut tasks);
    result
}

async fn transaction(run: &Run, branch: &Rc<Branch>, body: &Block) -> Result<(), End> {
    settled(run).await;
    let joins = run.borrow().joined || run.borrow().open;
    if joins {
        let result = exec(run.clone(), branch.clone(), body.clone()).await;
        if let Err(End::Raise(bytes)) = &result {
            let mut run = run.borrow_mut();
            run.doom = run.doom.take().or_else(|| Some(bytes.clone()));
        }
        return result;
    }
    let position = start(run, branch, OpKind::Begin).await;
    open(&mut run.borrow_mut());
    if let Err(end) = outcome(run, branch, &position).await {
        close(&mut run.borrow_mut());
        return Err(end);
    }
    begun(&mut run.borrow_mut());
    match exec(run.clone(), branch.clone(), body.clone()).await {
        Err(End::Raise(bytes)) => {
            abandon(&mut run.borrow_mut());
            let position = start(run, branch, OpKind::Rollback(bytes.clone())).await;
            outcome(run, branch, &position).await?;
            Err(End::Raise(bytes))
        }
        result => {
            let position = start(run, branch, OpKind::Commit).await;
            let unit = close(&mut run.borrow_mut());
            if let Err(end) = outcome(run, branch, &position).await {
                run.borrow_mut().wrote.retain(|(of, _)| *of != unit);
                return Err(end);
            }
            result
        }
    }
}

fn open(run: &mut State) {
    run.open = true;
    run.before = run.outstanding.clone();
}

/// The attempt is known by the clock of the step to which its beginning was delivered: no other one has it.
fn begun(run: &mut State) {
    run.unit = run.witness.attempt(run.invocation, run.time(), run.replaying);
}

fn close(run: &mut State) -> Unit {
    run.open = false;
    std::mem::take(&mut run.unit)
}

fn abandon(run: &mut State) {
    let unit = close(run);
    let left: Vec<String> = run.outstanding.difference(&run.before).cloned().collect();
    run.abandoned.extend(left.iter().cloned());
    run.outstanding.retain(|position| !left.contains(position));
    run.background.clear();
    // Nothing of an aborted transaction's writes is there; what it read was.
    run.wrote.retain(|(of, _)| *of != unit);
}
