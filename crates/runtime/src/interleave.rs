//! A whole node whose threads run in every kind of order: driver, log with committer and allocator, writer of the state,
//! workers of Rust services, callers. Only with the feature `interleave`: `cargo xtask test interleave`.
//!
//! No time passes here. A wake-up that gets lost is a standstill, which fails the test at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::Reply;
use protocol::manifest::{Field, FieldKind, Foreseen, ForeseenCells, Language, Manifest, Method, Mode, Service};
use protocol::problem::Code;
use protocol::worker::{FetchWhat, FromWorker, Outcome, Start, StepEnd, StepStatus, StepWrite, TaskRun, ToWorker};
use protocol::{DeploymentId, Value, msgpack};
use shuttle::future::block_on;
use shuttle::thread;
use store::Log;
use store::faulty::FaultyDisk;
use store::file_log::{FileLog, FileLogOptions};
use store::memory::MemoryState;

use crate::api::{Answer, Call};
use crate::backends::Backends;
use crate::driver::Event;
use crate::limits::REQUESTS_QUEUED_MAX;
use crate::node::Launchers;
use crate::worker::native::{Fetch, Native, NativeWorker, TaskTies, Threads};
use crate::worker::process::Report;
use crate::worker::{Launch, Link, WorkerId};
use crate::{Node, NodeConfig};

const PARTITIONS: u16 = 2;

/// A service with one number, which `increment` finds in what was shipped and `grope` fetches.
struct Counter;

struct Counting(Fetch);

impl Native for Counter {
    fn worker(&self, fetch: Fetch) -> Box<dyn NativeWorker> {
        Box::new(Counting(fetch))
    }

    fn task(&self, _: &TaskRun, _: TaskTies) -> (Outcome, bool) {
        unreachable!("nobody asks for a task")
    }
}

impl NativeWorker for Counting {
    fn handle(&mut self, message: ToWorker) -> Option<FromWorker> {
        let ToWorker::Start(start) = message else { return None };
        let mut slice = start.slice.clone();
        if start.method == "grope" {
            let fetched = (self.0)(start.run, "hits", FetchWhat::Scalar);
            let Some(fetched) = fetched else { return Some(FromWorker::Dropped { run: start.run }) };
            slice = fetched;
        }
        let cell = slice.cells.iter().find(|cell| cell.field == "hits").expect("the cell was shipped or fetched");
        let hits = cell.value.as_deref().map_or(0, number_of) + 1;
        Some(FromWorker::End(Box::new(end(&start, hits))))
    }
}

fn end(start: &Start, hits: i64) -> StepEnd {
    let write = StepWrite { field: "hits".into(), value: Some(number(hits)), ..StepWrite::default() };
    StepEnd {
        run: start.run,
        invocation: start.invocation,
        status: StepStatus::Returned(number(hits)),
        reads: vec![("hits".into(), None)],
        writes: vec![write],
        ..StepEnd::default()
    }
}

struct NoTasks;

impl Launch for NoTasks {
    fn launch(&mut self, _: WorkerId) -> std::io::Result<Box<dyn Link>> {
        Err(std::io::Error::other("no task was expected"))
    }
}

fn number(value: i64) -> Vec<u8> {
    msgpack::encode(&Value::Int(value)).expect("a number can be stored")
}

fn number_of(bytes: &[u8]) -> i64 {
    match msgpack::decode(bytes) {
        Ok(Value::Int(value)) => value,
        other => panic!("a number, not {other:?}"),
    }
}

fn manifest() -> Manifest {
    let method = |name: &str, foreseen: bool| Method {
        name: name.into(),
        foreseen: foreseen
            .then(|| Foreseen { field: "hits".into(), what: ForeseenCells::Scalar })
            .into_iter()
            .collect(),
        modes: vec![("hits".into(), Mode::Exclusive)],
        public: true,
        ..Method::default()
    };
    let field = Field { name: "hits".into(), kind: FieldKind::Scalar, initial: number(0), ..Field::default() };
    let counter = Service {
        name: "Counter".into(),
        language: Language::Rust,
        fields: vec![field],
        methods: vec![method("increment", true), method("grope", false)],
        ..Service::default()
    };
    Manifest { services: vec![counter], deployment: DeploymentId([7; 16]), ..Manifest::default() }
}

fn node() -> Node {
    let options = FileLogOptions { segment_bytes: 8 * 1024, log_id: Some(1), ..FileLogOptions::default() };
    let log = FileLog::open(Arc::new(FaultyDisk::new()), options).expect("an empty disk");
    let backends =
        Backends { log: Arc::new(log) as Arc<dyn Log>, state: Arc::new(MemoryState::new(PARTITIONS)), data_dir: None };
    let launch = Box::new(|events: crate::sync::mpsc::Sender<Event>| {
        let report: Report = Arc::new(move |event| drop(events.send(Event::Worker(event))));
        let steps: Box<dyn Launch> = Box::new(Threads { native: Arc::new(Counter), report, lost: Arc::default() });
        Ok(Launchers { steps: vec![(Language::Rust, steps)], tasks: vec![(Language::Python, Box::new(NoTasks))] })
    });
    let config = NodeConfig { partitions: PARTITIONS, workers: 1, task_workers: 1, ..NodeConfig::default() };
    Node::start_with(config, Arc::new(manifest()), backends, launch).expect("a node in memory starts")
}

fn call(method: &str) -> Call {
    let args = msgpack::encode_args(&[], &[]).expect("nothing can be sent");
    Call { service: "Counter".into(), method: method.into(), args, ..Call::default() }
}

/// The number that was answered; `None` if the node was not there for it.
fn counted(answer: &Answer) -> Option<i64> {
    match &answer.reply {
        Reply::Done { outcome: Outcome::Value(value), .. } => Some(number_of(value)),
        Reply::Problem { code: Code::Unavailable, .. } => None,
        other => panic!("{other:?}"),
    }
}

fn two_callers() {
    let node = node();
    let callers = ["increment", "grope"].map(|method| {
        let handle = node.handle();
        thread::spawn(move || counted(&block_on(handle.submit(call(method)))))
    });
    let mut numbers = callers.map(|caller| caller.join().expect("a caller ends"));
    numbers.sort_unstable();
    assert_eq!(numbers, [Some(1), Some(2)]);
    block_on(node.handle().shutdown()).expect("it ends well");
}

#[test]
fn callers_are_answered() {
    shuttle::check_random(two_callers, 300);
    shuttle::check_pct(two_callers, 300, 3);
}

#[test]
fn a_shutdown_in_the_midst_of_calls_answers_everybody() {
    let shut_down = || {
        let node = node();
        let handle = node.handle();
        let caller = thread::spawn(move || {
            let first = counted(&block_on(handle.submit(call("increment"))));
            (first, counted(&block_on(handle.submit(call("increment")))))
        });
        block_on(node.handle().shutdown()).expect("it ends well");
        let answers = caller.join().expect("a caller ends");
        assert!([(None, None), (Some(1), None), (Some(1), Some(2))].contains(&answers), "{answers:?}");
    };
    shuttle::check_random(shut_down, 300);
    shuttle::check_pct(shut_down, 300, 3);
}

#[test]
fn the_queue_of_requests_keeps_its_bound() {
    let crowd = || {
        let node = node();
        let handle = node.handle();
        let queued = &handle.shared_for_tests().requests_queued;
        // All places but one are taken.
        queued.fetch_add(REQUESTS_QUEUED_MAX - 1, Ordering::AcqRel);
        let callers = [(); 3].map(|()| {
            let handle = node.handle();
            thread::spawn(move || {
                assert!(handle.shared_for_tests().requests_queued.load(Ordering::Acquire) < REQUESTS_QUEUED_MAX + 3);
                counted(&block_on(handle.submit(call("increment"))))
            })
        });
        let mut numbers: Vec<i64> =
            callers.into_iter().filter_map(|caller| caller.join().expect("a caller ends")).collect();
        numbers.sort_unstable();
        assert!(!numbers.is_empty() && numbers.iter().copied().eq(1..=numbers.len() as i64), "{numbers:?}");
        assert_eq!(queued.load(Ordering::Acquire), REQUESTS_QUEUED_MAX - 1, "a place is given back");
        block_on(node.handle().shutdown()).expect("it ends well");
    };
    shuttle::check_random(crowd, 200);
}

/// The standstill that a mistake leads to is a panic.
#[test]
fn a_committer_that_sleeps_through_work_is_found() {
    use store::planted::{Bug, plant};
    plant(Some(Bug::SleepsUnaware));
    let found = std::panic::catch_unwind(|| shuttle::check_pct(two_callers, 6_000, 2));
    plant(None);
    assert!(found.is_err());
}
