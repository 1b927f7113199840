//! Small applications, written as the compiler would lower them, and nodes that run them.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use protocol::manifest::{
    Field, FieldKind, Foreseen, ForeseenCells, Manifest, MapPiece, Method, Mode, Module, Service,
};
use protocol::worker::Outcome;
use protocol::{DeploymentId, InvocationId, Value, msgpack};
use runtime::{Answer, Call, Node, NodeConfig, NodeHandle, Reply, Sink, StartError};

/// `Counter` with the scalar field `hits`; the class body is the test's, plain Python that needs no lowering unless a
/// method suspends.
pub(crate) fn counter(body: &str, methods: &[&str]) -> Manifest {
    let source = format!("import os\n\nclass Counter:\n{body}");
    let verbatim = MapPiece { lowered: 0, start: 0, end: source.len() as u32, verbatim: true };
    let module = Module {
        name: "app".into(),
        path: "app.py".into(),
        lowered: source.clone(),
        source,
        map: vec![verbatim],
        package: false,
    };
    let method = |name: &&str| Method {
        name: (*name).into(),
        coloured: body.contains(&format!("async def {name}(")),
        foreseen: vec![Foreseen { field: "hits".into(), what: ForeseenCells::Scalar }],
        modes: vec![("hits".into(), Mode::Exclusive)],
        public: true,
        ..Method::default()
    };
    let initial = encode(&Value::Int(0));
    let service = Service {
        name: "Counter".into(),
        fields: vec![Field { name: "hits".into(), kind: FieldKind::Scalar, initial, ..Field::default() }],
        methods: methods.iter().map(method).collect(),
        ..Service::default()
    };
    Manifest {
        services: vec![service],
        modules: vec![module],
        deployment: DeploymentId([1; 16]),
        ..Manifest::default()
    }
}

pub(crate) const INCREMENT: &str = "
    def increment(self):
        self.hits += 1
        print('hits', self.hits)
        return self.hits
";

/// `Front`, which calls the `Counter`, beside it.
pub(crate) fn with_front(mut manifest: Manifest, body: &str, methods: &[&str]) -> Manifest {
    let module = &mut manifest.modules[0];
    module.source.push_str(&format!("\n\nclass Front:\n{body}"));
    module.lowered.clone_from(&module.source);
    module.map[0].end = module.source.len() as u32;
    let method = |name: &&str| Method { name: (*name).into(), coloured: true, public: true, ..Method::default() };
    manifest.services.push(Service {
        name: "Front".into(),
        methods: methods.iter().map(method).collect(),
        clients: vec![("counter".into(), "Counter".into())],
        ..Service::default()
    });
    manifest
}

pub(crate) struct Running {
    pub(crate) handle: NodeHandle,
    pub(crate) seen: Arc<Seen>,
    /// Ends when it is dropped.
    _node: Node,
}

/// Remembers what people would see.
#[derive(Default)]
pub(crate) struct Seen(pub(crate) Mutex<Vec<String>>, Condvar);

impl Sink for Seen {
    fn output(&self, _: InvocationId, method: &str, lines: &[(u8, String)]) {
        let mut seen = self.0.lock().unwrap();
        seen.extend(lines.iter().map(|(_, text)| format!("{method}: {}", text.trim_end())));
        self.1.notify_all();
    }

    fn notice(&self, text: &str) {
        self.0.lock().unwrap().push(format!("notice: {text}"));
        self.1.notify_all();
    }
}

impl Seen {
    /// Waits until there is a line with this text.
    pub(crate) fn until(&self, containing: &str) {
        let missing = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(containing));
        let limit = Duration::from_secs(120);
        let (lines, waited) = self.1.wait_timeout_while(self.0.lock().unwrap(), limit, missing).unwrap();
        assert!(!waited.timed_out(), "no {containing:?} in {lines:?}");
    }

    pub(crate) fn lines(&self, containing: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.contains(containing)).cloned().collect()
    }
}

pub(crate) fn try_start(manifest: Manifest, config: NodeConfig) -> Result<Running, StartError> {
    let seen = Arc::new(Seen::default());
    let config = NodeConfig { sink: Arc::clone(&seen) as Arc<dyn Sink>, ..config };
    let node = Node::start(config, Arc::new(manifest))?;
    Ok(Running { handle: node.handle(), seen, _node: node })
}

pub(crate) fn start(manifest: Manifest, config: NodeConfig) -> Running {
    try_start(manifest, config).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn one_worker(data_dir: Option<&Path>) -> NodeConfig {
    NodeConfig { workers: 1, partitions: 2, data_dir: data_dir.map(PathBuf::from), ..NodeConfig::default() }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(Duration::from_secs(120), future).await.expect("an answer in time") })
}

pub(crate) fn encode(value: &Value) -> Vec<u8> {
    msgpack::encode(value).unwrap()
}

pub(crate) fn call(method: &str, args: &[Value]) -> Call {
    Call {
        service: "Counter".into(),
        method: method.into(),
        args: msgpack::encode_args(args, &[]).unwrap(),
        ..Call::default()
    }
}

pub(crate) fn value(answer: &Answer) -> Value {
    match &answer.reply {
        Reply::Done { outcome: Outcome::Value(bytes), .. } => msgpack::decode(bytes).unwrap(),
        Reply::Done { outcome: Outcome::Exception(bytes), .. } => {
            panic!("{}", protocol::message::Exception::from_value(bytes).traceback)
        }
        other => panic!("{other:?} is no value"),
    }
}

impl Running {
    pub(crate) fn call(&self, method: &str) -> Value {
        value(&self.answer(method, &[]))
    }

    pub(crate) fn answer(&self, method: &str, args: &[Value]) -> Answer {
        block_on(self.handle.submit(call(method, args)))
    }
}
