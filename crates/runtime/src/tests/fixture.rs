//! A node in memory whose workers are a function, and a small application.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::manifest::{Field, FieldKind, Foreseen, ForeseenCells, Language, Manifest, Method, Mode, Service};
use protocol::worker::{FromWorker, Start, StepEnd, StepStatus, StepWrite, ToWorker};
use protocol::{DeploymentId, InvocationId, Value, msgpack};
use store::memory::{MemoryLog, Watermark};

use crate::api::{Answer, Call};
use crate::backends::Backends;
use crate::driver::Event;
use crate::node::Launchers;
use crate::sink::Sink;
use crate::worker::{Death, Launch, Link, WorkerEvent, WorkerId};
use crate::{Node, NodeConfig, NodeHandle};

/// What a scripted worker does with a message.
pub(super) enum Act {
    Say(FromWorker),
    /// Nothing yet.
    Wait,
    /// Die within the run with this number (as the worker knows it), or without a word about it.
    Die(Option<u64>),
}

pub(super) type Script = Arc<Mutex<dyn FnMut(&ToWorker) -> Act + Send>>;

/// A script from a function.
pub(super) fn script(act: impl FnMut(&ToWorker) -> Act + Send + 'static) -> Script {
    Arc::new(Mutex::new(act))
}

struct Workers {
    script: Script,
    events: Sender<Event>,
}

/// For applications without tasks.
struct NoTaskWorkers;

impl Launch for NoTaskWorkers {
    fn launch(&mut self, _: WorkerId) -> std::io::Result<Box<dyn Link>> {
        Err(std::io::Error::other("no task was expected"))
    }
}

impl Launch for Workers {
    fn launch(&mut self, worker: WorkerId) -> std::io::Result<Box<dyn Link>> {
        let link = Scripted {
            worker,
            script: Arc::clone(&self.script),
            events: self.events.clone(),
            dead: AtomicBool::new(false),
        };
        link.report(WorkerEvent::Said(worker, vec![FromWorker::Ready { pid: 1, python: "3".into(), problem: None }]));
        Ok(Box::new(link))
    }
}

struct Scripted {
    worker: WorkerId,
    script: Script,
    events: Sender<Event>,
    dead: AtomicBool,
}

impl Scripted {
    fn report(&self, event: WorkerEvent) {
        let _ = self.events.send(Event::Worker(event));
    }

    fn die(&self, cause: &str, word: Option<u64>) {
        if !self.dead.swap(true, Ordering::SeqCst) {
            let death = Death { cause: cause.into(), output: String::new(), word };
            self.report(WorkerEvent::Gone(self.worker, death));
        }
    }
}

impl Link for Scripted {
    fn send(&self, messages: Vec<ToWorker>) {
        for message in messages {
            if self.dead.load(Ordering::SeqCst) {
                return;
            }
            // These workers remember no step.
            if let ToWorker::Start(start) = &message
                && start.follows.is_some()
            {
                self.report(WorkerEvent::Said(self.worker, vec![FromWorker::Dropped { run: start.run }]));
                continue;
            }
            let act = (self.script.lock().unwrap())(&message);
            match act {
                Act::Say(said) => self.report(WorkerEvent::Said(self.worker, vec![said])),
                Act::Wait => {}
                Act::Die(word) => self.die("was killed by signal 9", word),
            }
        }
    }

    fn word(&self) -> Option<u64> {
        None
    }

    fn kill(&self, reason: &str) {
        self.die(reason, None);
    }

    fn check(&self) {}
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.die("ended", None);
    }
}

/// Remembers what people would see.
#[derive(Default)]
pub(super) struct Seen(pub(super) Mutex<Vec<String>>);

impl Sink for Seen {
    fn output(&self, _: InvocationId, method: &str, lines: &[(u8, String)]) {
        let mut seen = self.0.lock().unwrap();
        seen.extend(lines.iter().map(|(stream, text)| format!("{method}/{stream}: {text}")));
    }

    fn notice(&self, text: &str) {
        self.0.lock().unwrap().push(format!("notice: {text}"));
    }
}

pub(super) struct Fixture {
    pub(super) node: Node,
    pub(super) handle: NodeHandle,
    pub(super) log: Arc<MemoryLog>,
    pub(super) seen: Arc<Seen>,
}

pub(super) fn memory_log() -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(Watermark::Immediate))
}

/// A log whose watermark moves only when the test says so.
pub(super) fn held_log() -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(Watermark::Manual))
}

impl Fixture {
    pub(super) fn start(log: Arc<MemoryLog>, script: Script) -> Self {
        Self::with(Backends::memory(Arc::clone(&log), PARTITIONS), log, script, NodeConfig::default())
    }

    pub(super) fn with(backends: Backends, log: Arc<MemoryLog>, script: Script, config: NodeConfig) -> Self {
        let seen = Arc::new(Seen::default());
        let config = NodeConfig { partitions: PARTITIONS, sink: Arc::clone(&seen) as Arc<dyn Sink>, ..config };
        let launch = Box::new(|events| -> Result<Launchers, _> {
            let steps: Box<dyn Launch> = Box::new(Workers { script, events });
            Ok(Launchers {
                steps: vec![(Language::Python, steps)],
                tasks: vec![(Language::Python, Box::new(NoTaskWorkers))],
            })
        });
        let node = Node::start_with(config, Arc::new(manifest()), backends, launch).unwrap();
        Self { handle: node.handle(), node, log, seen }
    }

    /// Waits until a number of the node has come to at least `value`.
    pub(super) fn until(&self, metric: &str, value: u64) {
        wait_until(metric, || self.handle.metrics().iter().any(|found| found.name == metric && found.value >= value));
    }

    pub(super) fn log_moves_on(&self) {
        use store::Log;
        self.log.advance(self.log.tail());
    }
}

pub(super) const PARTITIONS: u16 = 2;

/// Fails after a time that no test should need.
pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        std::thread::yield_now();
    }
}

pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(Duration::from_secs(30), future).await.expect("an answer in time") })
}

/// Submits a call in a thread of its own.
pub(super) fn submit(handle: &NodeHandle, call: Call) -> JoinHandle<Answer> {
    let handle = handle.clone();
    std::thread::spawn(move || block_on(handle.submit(call)))
}

/// Looks at a future once.
pub(super) fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

pub(super) fn is_pending<F: Future>(future: &mut Pin<Box<F>>) -> bool {
    poll_once(future).is_pending()
}

pub(super) fn call(method: &str) -> Call {
    Call {
        service: "Counter".into(),
        method: method.into(),
        args: msgpack::encode_args(&[], &[]).unwrap(),
        ..Call::default()
    }
}

pub(super) fn int(value: i64) -> Vec<u8> {
    msgpack::encode(&Value::Int(value)).unwrap()
}

pub(super) fn as_int(bytes: &[u8]) -> i64 {
    match msgpack::decode(bytes).unwrap() {
        Value::Int(value) => value,
        other => panic!("{other:?} is no int"),
    }
}

/// The end of a step that adds one to `hits`, prints, and returns the sum.
pub(super) fn increment(start: &Start) -> FromWorker {
    let cell = start.slice.cells.iter().find(|cell| cell.field == "hits").expect("the foreseen cell was shipped");
    let hits = cell.value.as_deref().map_or(0, as_int) + 1;
    FromWorker::End(Box::new(StepEnd {
        run: start.run,
        invocation: start.invocation,
        status: StepStatus::Returned(int(hits)),
        reads: vec![("hits".into(), None)],
        writes: vec![StepWrite { field: "hits".into(), key: None, value: Some(int(hits)), ..StepWrite::default() }],
        logs: vec![(0, format!("hits {hits}"))],
        ..StepEnd::default()
    }))
}

/// The end of a step that reads `hits`.
pub(super) fn read(start: &Start) -> FromWorker {
    let cell = start.slice.cells.iter().find(|cell| cell.field == "hits").expect("the foreseen cell was shipped");
    FromWorker::End(Box::new(StepEnd {
        run: start.run,
        invocation: start.invocation,
        status: StepStatus::Returned(cell.value.clone().unwrap_or_else(|| int(0))),
        reads: vec![("hits".into(), None)],
        ..StepEnd::default()
    }))
}

/// Workers that do what the methods say.
pub(super) fn good() -> Script {
    script(|message| match message {
        ToWorker::Start(start) => Act::Say(obey(start)),
        ToWorker::Resume(_)
        | ToWorker::Evict(_)
        | ToWorker::Fetched { .. }
        | ToWorker::Task(_)
        | ToWorker::StopTask(_) => Act::Wait,
    })
}

pub(super) fn obey(start: &Start) -> FromWorker {
    match start.method.as_str() {
        "read" => read(start),
        _ => increment(start),
    }
}

/// Counts calls.
#[derive(Clone, Default)]
pub(super) struct Count(Arc<AtomicU64>);

impl Count {
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// `Counter`, and its `Twin`, with the scalar field `hits` and methods that are played by scripts.
pub(super) fn manifest() -> Manifest {
    let method = |name: &str, mode| Method {
        name: name.into(),
        read_only: mode == Mode::Shared,
        foreseen: vec![Foreseen { field: "hits".into(), what: ForeseenCells::Scalar }],
        modes: vec![("hits".into(), mode)],
        public: true,
        ..Method::default()
    };
    let field = Field { name: "hits".into(), kind: FieldKind::Scalar, initial: int(0), ..Field::default() };
    let service = |name: &str| Service {
        name: name.into(),
        fields: vec![field.clone()],
        methods: vec![
            method("increment", Mode::Exclusive),
            method("poison", Mode::Exclusive),
            method("read", Mode::Shared),
        ],
        ..Service::default()
    };
    Manifest {
        services: vec![service("Counter"), service("Twin")],
        deployment: DeploymentId([7; 16]),
        ..Manifest::default()
    }
}
