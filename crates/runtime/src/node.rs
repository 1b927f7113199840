//! A node: one running server's partitions, workers and storage, and the thread that drives them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::PartitionId;
use protocol::ids::SLOTS;
use protocol::manifest::{Language, Manifest};
use tokio::sync::watch;

use crate::backends::Backends;
use crate::clock::SystemClock;
use crate::config::NodeConfig;
use crate::driver::{Driver, Event, Parts, report_rows, watch_log};
use crate::entropy::Entropy;
use crate::error::{NodeError, StartError};
use crate::faults::Faults;
use crate::handle::NodeHandle;
use crate::maintenance::Maintenance;
use crate::network::OneNode;
use crate::recovery::{Recovered, recover};
use crate::rows::writer::Writer;
use crate::shared::{Phase, Shared};
use crate::sync::mpsc::{Receiver, Sender, channel};
use crate::sync::thread::{Builder, JoinHandle};
use crate::worker::Launch;
use crate::worker::native::Threads;
use crate::worker::native_tasks::TaskThreads;
use crate::worker::package::WorkerDir;
use crate::worker::pool::Pool;
use crate::worker::pools::Pools;
use crate::worker::process::{Purpose, Python, Report, Templates, init_frame};
use crate::worker::task_pools::TaskPools;
use crate::worker::tasks::{TaskPool, TaskPoolConfig};
use engine::{Config, Deployment};

/// A running node. Dropping it shuts it down and waits for that.
pub struct Node {
    handle: NodeHandle,
    driver: Option<JoinHandle<()>>,
}

/// The launchers of a node's workers and of its task workers, by language.
pub(crate) struct Launchers {
    pub(crate) steps: Vec<(Language, Box<dyn Launch>)>,
    pub(crate) tasks: Vec<(Language, Box<dyn Launch>)>,
}

/// Makes them; what they report goes to the given sender.
pub(crate) type MakeLaunch<'a> = Box<dyn FnOnce(Sender<Event>) -> Result<Launchers, StartError> + 'a>;

impl Node {
    /// Starts a node and returns when it takes calls: its storage is recovered and a worker has loaded the application.
    pub fn start(config: NodeConfig, manifest: Arc<Manifest>) -> Result<Self, StartError> {
        check(&config)?;
        // Before anything is touched: can this application be sent to workers at all?
        init_frame(&manifest, None)?;
        let claimed = Backends::claim(config.data_dir.as_deref(), config.partitions)?;
        let dir = WorkerDir::create(config.data_dir.as_deref())?;
        let templates = Arc::new(Templates {
            interpreter: config.python.clone(),
            dir,
            manifest: Arc::clone(&manifest),
            sink: Arc::clone(&config.sink),
            present: Mutex::default(),
        });
        let has = |language| manifest.services.iter().any(|service| service.language == language);
        let (with_python, with_rust) = (has(Language::Python) || !has(Language::Rust), has(Language::Rust));
        if with_python {
            // It loads the library while the storage is opened.
            templates.present().map_err(StartError::io("starting", &config.python))?;
        }
        let backends = claimed.open(config.state_memory())?;
        let native = config.native.clone();
        let launch: MakeLaunch<'_> = Box::new(move |events| {
            // A driver that has ended has closed all connections, so the workers end too.
            let of_tasks = events.clone();
            let report: Report = Arc::new(move |event| drop(events.send(Event::Worker(event))));
            let python = Python { purpose: Purpose::Steps, templates, report: report.clone() };
            let of_tasks: Report = Arc::new(move |event| drop(of_tasks.send(Event::TaskWorker(event))));
            let of_python = Python { purpose: Purpose::Tasks, report: Arc::clone(&of_tasks), ..python.clone() };
            let mut tasks: Vec<(Language, Box<dyn Launch>)> = vec![(Language::Python, Box::new(of_python))];
            let mut steps: Vec<(Language, Box<dyn Launch>)> = Vec::new();
            if with_python {
                steps.push((Language::Python, Box::new(python)));
            }
            if with_rust {
                let native =
                    native.ok_or(StartError::Config("the Rust services of the manifest are not in this program"))?;
                let threads = TaskThreads::new(Arc::clone(&native), of_tasks);
                tasks.push((Language::Rust, Box::new(threads)));
                steps.push((Language::Rust, Box::new(Threads { native, report, lost: Arc::default() })));
            }
            Ok(Launchers { steps, tasks })
        });
        Self::start_with(config, manifest, backends, launch)
    }

    pub(crate) fn start_with(
        config: NodeConfig,
        manifest: Arc<Manifest>,
        backends: Backends,
        launch: MakeLaunch<'_>,
    ) -> Result<Self, StartError> {
        let entropy = Entropy::open().map_err(StartError::io("opening", "/dev/urandom"))?;
        let shared = Arc::new(Shared::new(Arc::clone(&manifest), &backends, &config, entropy));
        let (events, incoming) = channel();
        let (started, starting) = channel();
        let (ending, ended) = watch::channel(None);
        let handle = NodeHandle::new(Arc::clone(&shared), events.clone(), ended);
        let parts = assemble(config, manifest, backends, shared, (events, incoming), launch)?;
        let driver = Builder::new()
            .name("driver".into())
            .spawn(move || drive(parts, &started, &ending))
            .map_err(StartError::io("starting", "the driver's thread"))?;
        let node = Self { handle, driver: Some(driver) };
        starting.recv().map_err(|_| StartError::Driver)??;
        Ok(node)
    }

    /// Access for callers.
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Resolves when the node has ended, of itself or by a shutdown.
    pub async fn ended(&self) -> Result<(), NodeError> {
        self.handle.ended().await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.handle.begin_shutdown();
        if let Some(driver) = self.driver.take() {
            // Its panic was reported when it happened.
            let _ = driver.join();
        }
    }
}

fn check(config: &NodeConfig) -> Result<(), StartError> {
    match config {
        NodeConfig { partitions: 0, .. } => Err(StartError::Config("there must be at least one partition")),
        NodeConfig { partitions, .. } if *partitions > SLOTS => {
            Err(StartError::Config("there cannot be more than 4096 partitions"))
        }
        NodeConfig { workers: 0, .. } => Err(StartError::Config("there must be at least one worker")),
        NodeConfig { task_workers: 0, .. } => Err(StartError::Config("there must be at least one task worker")),
        NodeConfig { memory, .. } if *memory < crate::limits::MEMORY_MIN => {
            Err(StartError::Config("there must be at least 64 MiB of memory for state"))
        }
        NodeConfig { round_inputs_max: 0, .. } => Err(StartError::Config("a round handles at least one input")),
        NodeConfig { step_timeout, .. } if *step_timeout < Duration::from_millis(1) => {
            Err(StartError::Config("the time limit of a step is too short"))
        }
        _ => Ok(()),
    }
}

/// Starts the workers, and recovers the partitions while they load the application.
fn assemble(
    config: NodeConfig,
    manifest: Arc<Manifest>,
    backends: Backends,
    shared: Arc<Shared>,
    (events, incoming): (Sender<Event>, Receiver<Event>),
    launch: MakeLaunch<'_>,
) -> Result<Parts, StartError> {
    let now = Instant::now();
    let Launchers { steps, tasks } = launch(events.clone())?;
    let pools = steps
        .into_iter()
        .map(|(language, launch)| (language, Pool::new(config.pool(language == Language::Python), launch, now)));
    let mut pool = Pools::new(Arc::clone(&manifest), pools.collect());
    let tasks = tasks.into_iter().map(|(language, launch)| {
        let of_language = match language {
            Language::Python => TaskPoolConfig::processes(config.task_workers),
            Language::Rust => TaskPoolConfig::threads(),
        };
        (language, TaskPool::new(of_language, launch, Arc::clone(&shared.held), now))
    });
    let tasks = TaskPools::new(tasks.collect());
    pool.check(now).map_err(StartError::io("starting", &config.python))?;
    let faults = Faults::from_environment();
    let of_partitions = Config { evict_at_suspension: faults.evict(), ..config.of_partitions() };
    let deployment = Arc::new(Deployment::new(manifest));
    let Recovered { partitions, epoch, tail } = recover(&backends, &of_partitions, 0..config.partitions, &deployment)?;
    watch_log(&*backends.log, Arc::clone(&shared.held), events.clone());
    let spawning = |what: &'static str| StartError::io("starting", what);
    let writer =
        Writer::start(Arc::clone(&backends.state), report_rows(events)).map_err(spawning("the state's writer"))?;
    let maintenance = match &backends.data_dir {
        None => None,
        Some(data_dir) => {
            let started = Maintenance::start(Arc::clone(data_dir), Arc::clone(&shared), Arc::clone(&config.sink));
            Some(started.map_err(spawning("maintenance"))?)
        }
    };
    let sink = config.sink;
    Ok(Parts {
        shared,
        backends,
        partitions,
        first: PartitionId(0),
        epoch,
        tail,
        pool,
        tasks,
        writer,
        maintenance,
        sink,
        events: incoming,
        faults,
        clock: Arc::new(SystemClock),
        network: Arc::new(OneNode),
    })
}

/// The driver's thread.
fn drive(
    parts: Parts,
    started: &Sender<Result<(), StartError>>,
    ending: &watch::Sender<Option<Result<(), NodeError>>>,
) {
    let shared = Arc::clone(&parts.shared);
    let mut driver = Driver::new(parts);
    let begun = driver.begin();
    let go_on = begun.is_ok();
    // Whoever starts the node waits for this.
    let _ = started.send(begun);
    let result = if go_on { driver.run() } else { driver.give_up() };
    shared.enter(Phase::Ended);
    ending.send_replace(Some(result));
}
