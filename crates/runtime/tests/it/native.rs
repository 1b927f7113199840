//! Services and tasks in threads of the node: what does not end.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use engine::Reply;
use protocol::manifest::{Language, Manifest, Method, Service};
use protocol::problem::Code;
use protocol::worker::{FromWorker, Op, OpKind, Outcome, RUST_TASK, StepEnd, StepStatus, TaskCall, TaskRun, ToWorker};
use protocol::{DeploymentId, Value, msgpack};
use runtime::limits::{TASK_THREADS_LOST_MAX, THREADS_LOST_MAX};
use runtime::{Fetch, Native, NativeWorker, Node, NodeConfig, NodeError, Sink, TaskTies};

use crate::app::{Seen, block_on, call};

/// Steps and tasks of `hang` wait here until the test lets them go.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
    }
}

struct Services(Arc<Gate>);

impl Native for Services {
    fn worker(&self, _: Fetch) -> Box<dyn NativeWorker> {
        Box::new(Worker(Arc::clone(&self.0)))
    }

    fn task(&self, task: &TaskRun, ties: TaskTies) -> (Outcome, bool) {
        if task.function.ends_with("hang") {
            self.0.pass();
        }
        (ties.output)(0, format!("{} ran\n", task.function));
        (Outcome::Value(msgpack::encode(&Value::Int(7)).unwrap()), false)
    }
}

struct Worker(Arc<Gate>);

impl NativeWorker for Worker {
    fn handle(&mut self, message: ToWorker) -> Option<FromWorker> {
        let (run, invocation, delivered, method) = match message {
            ToWorker::Start(start) => (start.run, start.invocation, start.delivered, start.method),
            ToWorker::Resume(resume) => (resume.run, resume.invocation, resume.delivered, String::new()),
            _ => return None,
        };
        if method == "hang" {
            self.0.pass();
        }
        let end = StepEnd { run, invocation, ..StepEnd::default() };
        let end = match (delivered.first().map(|one| &one.result), method.strip_prefix("task_")) {
            (Some(Outcome::Exception(bytes)), _) => StepEnd { status: StepStatus::Raised(bytes.clone()), ..end },
            (None, Some(task)) => {
                let kind = OpKind::Task(TaskCall {
                    function: format!("{RUST_TASK}app.{task}"),
                    args: msgpack::encode_args(&[], &[]).unwrap(),
                    timeout: Some(if task == "hang" { 20_000 } else { 60_000_000 }),
                    ..TaskCall::default()
                });
                StepEnd { ops: vec![Op { position: "0".into(), kind }], waits: vec!["0".into()], ..end }
            }
            (Some(Outcome::Value(_)) | None, _) => {
                let status = StepStatus::Returned(msgpack::encode(&Value::Int(1)).unwrap());
                StepEnd { status, ..end }
            }
        };
        Some(FromWorker::End(Box::new(end)))
    }
}

fn manifest() -> Manifest {
    let method = |name: &str| Method { name: name.into(), public: true, ..Method::default() };
    let service = Service {
        name: "Counter".into(),
        methods: vec![method("hang"), method("pass"), method("task_hang"), method("task_pass")],
        language: Language::Rust,
        ..Service::default()
    };
    Manifest { services: vec![service], deployment: DeploymentId([1; 16]), ..Manifest::default() }
}

/// Opens the gate also if the test fails.
struct Open(Arc<Gate>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open();
    }
}

fn start(gate: &Arc<Gate>) -> (Node, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let config = NodeConfig {
        workers: 1,
        partitions: 1,
        step_timeout: Duration::from_millis(300),
        native: Some(Arc::new(Services(Arc::clone(gate)))),
        sink: Arc::clone(&seen) as Arc<dyn Sink>,
        ..NodeConfig::default()
    };
    (Node::start(config, Arc::new(manifest())).unwrap(), seen)
}

#[test]
fn a_step_that_does_not_end_is_parked_and_others_go_on() {
    let gate = Open(Arc::default());
    let (node, seen) = start(&gate.0);
    let parked = block_on(node.handle().submit(call("hang", &[])));
    let Reply::Problem { code: Code::Parked, .. } = &parked.reply else { panic!("{parked:?}") };
    let told = seen.lines("took longer than 0.3 s; its thread goes on until the method returns");
    assert!(told.len() >= 3, "{:?}", seen.lines(""));
    let answer = block_on(node.handle().submit(call("pass", &[])));
    assert!(matches!(&answer.reply, Reply::Done { outcome: Outcome::Value(_), .. }), "{answer:?}");
}

#[test]
fn too_many_threads_that_do_not_return_end_the_node() {
    let gate = Open(Arc::default());
    let (node, _) = start(&gate.0);
    let parked = (0..2).map(|_| block_on(node.handle().submit(call("hang", &[]))));
    assert!(parked.into_iter().all(|answer| matches!(answer.reply, Reply::Problem { code: Code::Parked, .. })));
    // Six threads are lost. The third call takes the last two that may be.
    let answer = block_on(async {
        let handle = node.handle();
        tokio::select! {
            answer = handle.submit(call("hang", &[])) => Err(answer),
            ended = node.ended() => Ok(ended),
        }
    });
    let ended = match answer {
        Ok(ended) => ended,
        // The answer, that the node has gone, may come first.
        Err(answer) => {
            assert!(!matches!(answer.reply, Reply::Done { .. }), "{answer:?}");
            block_on(node.ended())
        }
    };
    let Err(NodeError::Threads(text)) = ended else { panic!("{ended:?}") };
    assert!(text.starts_with(&format!("{THREADS_LOST_MAX} threads are in steps")), "{text}");
}

#[test]
fn tasks_whose_threads_do_not_return_leave_room_for_others_until_there_are_too_many() {
    let gate = Open(Arc::default());
    let (node, seen) = start(&gate.0);
    let value = |answer: &runtime::Answer| matches!(&answer.reply, Reply::Done { outcome: Outcome::Value(_), .. });
    for lost in 0..TASK_THREADS_LOST_MAX {
        let answer = block_on(node.handle().submit(call("task_hang", &[])));
        let Reply::Done { outcome: Outcome::Exception(bytes), .. } = &answer.reply else { panic!("{lost} {answer:?}") };
        let exception = protocol::message::Exception::from_value(bytes);
        assert_eq!(exception.message, "the task hang took longer than its timeout of 0.02 s");
        if lost == TASK_THREADS_LOST_MAX / 2 {
            assert!(value(&block_on(node.handle().submit(call("task_pass", &[])))), "another thread runs it");
        }
    }
    assert_eq!(seen.lines("because the task hang took too long; its thread goes on").len(), TASK_THREADS_LOST_MAX);
    let waiting = node.handle();
    let waiting = std::thread::spawn(move || block_on(waiting.submit(call("task_pass", &[]))));
    seen.until("further tasks wait until some of them have returned");
    gate.0.open();
    assert!(value(&waiting.join().unwrap()), "it ran when threads had returned");
    assert_eq!(seen.lines("app.pass ran").len(), 2);
    assert!(seen.lines("app.hang ran").is_empty(), "nobody hears of what was given up");
}
