//! A node without threads, processes, sockets and clocks: the same driver, worker pools, overlay and recovery as in
//! [`crate::Node`], and whoever owns it decides when anything happens. For simulators.
//!
//! What it does not have of a real node: the threads of driver, log and state writer and the queues between them (here
//! each is called), processes and their sockets (here the owner plays them), and the data directory with its full
//! copies (here the owner keeps log and state).

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use engine::{Config, Deployment, Partition};
use protocol::manifest::{Language, Manifest};
use protocol::message::Message;
use protocol::{PartitionId, Position};
use store::state::Entry;
use store::{Log, LogRecord, State};
use tokio::sync::watch;

pub use crate::worker::{Death, Launch, Link, WentOn, WorkerEvent, WorkerId};

use crate::backends::Backends;
use crate::clock::Clock;
use crate::config::NodeConfig;
use crate::driver::{Driver, Event, Parts, report_rows, watch_log};
use crate::entropy::Entropy;
use crate::error::{NodeError, StartError};
use crate::faults::Faults;
use crate::handle::NodeHandle;
use crate::maintenance::Maintenance;
use crate::network::Network;
use crate::recovery::{Recovered, recover};
use crate::rows::writer::{StateWriter, Writer};
use crate::shared::Shared;
use crate::sync::mpsc::{Receiver, Sender, channel};
use crate::worker::pool::Pool;
use crate::worker::pools::Pools;
use crate::worker::task_pools::TaskPools;
use crate::worker::tasks::{TaskPool, TaskPoolConfig};

/// What a node is made of and what it reaches.
pub struct World {
    /// Settings. The data directory and the interpreter are not looked at.
    pub config: NodeConfig,
    /// The application.
    pub manifest: Arc<Manifest>,
    /// Which partitions are its own.
    pub owned: Range<u16>,
    /// Drop each coroutine when it suspends.
    pub evict_at_suspension: bool,
    /// Its log.
    pub log: Arc<dyn Log>,
    /// Its state.
    pub state: Arc<dyn State>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The other nodes.
    pub network: Arc<dyn Network>,
    /// Random bytes.
    pub entropy: Box<dyn Read + Send>,
    /// Starts workers.
    pub launch: Box<dyn Launch>,
    /// Starts task workers of either kind: those that are processes, those that are threads.
    pub launch_tasks: (Box<dyn Launch>, Box<dyn Launch>),
}

/// A node whose owner decides when anything happens.
pub struct SteppedNode {
    driver: Driver,
    handle: NodeHandle,
    events: Sender<Event>,
    writer: StateWriter,
    maintenance: Receiver<()>,
    /// Handles wait for the end of a real node here.
    _ending: watch::Sender<Option<Result<(), NodeError>>>,
}

impl SteppedNode {
    /// Recovers the partitions. Nothing is sent before [`SteppedNode::begin`].
    pub fn open(world: World) -> Result<Self, StartError> {
        let World { config, manifest, owned, evict_at_suspension, log, state, clock, network, entropy, .. } = world;
        let backends = Backends { log, state, data_dir: None };
        let shared = Arc::new(Shared::new(Arc::clone(&manifest), &backends, &config, Entropy::from(entropy)));
        let (events, incoming) = channel();
        let (ending, ended) = watch::channel(None);
        let handle = NodeHandle::new(Arc::clone(&shared), events.clone(), ended);
        let of_partitions = Config { evict_at_suspension, same_log: owned.clone(), ..config.of_partitions() };
        let first = PartitionId(owned.start);
        let deployment = Arc::new(Deployment::new(Arc::clone(&manifest)));
        let Recovered { partitions, epoch, tail } = recover(&backends, &of_partitions, owned, &deployment)?;
        watch_log(&*backends.log, Arc::clone(&shared.held), events.clone());
        let (writer, state_writer) = Writer::stepped(Arc::clone(&backends.state), report_rows(events.clone()));
        let (maintenance, asked) = Maintenance::stepped();
        let now = clock.steady();
        // Whatever its language, the owner runs it.
        let pool = Pool::new(config.pool(true), world.launch, now);
        let (of_processes, of_threads) = world.launch_tasks;
        let tasks =
            TaskPool::new(TaskPoolConfig::processes(config.task_workers), of_processes, Arc::clone(&shared.held), now);
        let rust_tasks = TaskPool::new(TaskPoolConfig::threads(), of_threads, Arc::clone(&shared.held), now);
        let driver = Driver::new(Parts {
            pool: Pools::new(manifest, vec![(Language::Python, pool)]),
            tasks: TaskPools::new(vec![(Language::Python, tasks), (Language::Rust, rust_tasks)]),
            shared,
            backends,
            partitions,
            first,
            epoch,
            tail,
            writer,
            maintenance: Some(maintenance),
            sink: config.sink,
            events: incoming,
            faults: Faults::from_environment(),
            clock,
            network,
        });
        Ok(Self { driver, handle, events, writer: state_writer, maintenance: asked, _ending: ending })
    }

    /// Makes the deployment current and lets unfinished work go on.
    pub fn begin(&mut self) {
        self.driver.deploy();
    }

    /// Access for clients.
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// One round of the driver: everything that it was told of, and what follows from it.
    pub fn round(&mut self) -> Result<(), NodeError> {
        self.driver.round(None).map(drop)
    }

    /// When the driver wants a round although it is told nothing.
    pub fn patience(&self) -> Duration {
        self.driver.patience()
    }

    /// Tells the driver something of a worker.
    pub fn worker(&self, event: WorkerEvent) {
        // The driver lives as long as this.
        let _ = self.events.send(Event::Worker(event));
    }

    /// Tells the driver something of a task worker.
    pub fn task_worker(&self, event: WorkerEvent) {
        let _ = self.events.send(Event::TaskWorker(event));
    }

    /// A message of another node's partition has arrived.
    pub fn message(&self, from: PartitionId, to: PartitionId, message: Message) {
        let _ = self.events.send(Event::Message(from, to, message));
    }

    /// Writes durable rows to the state; false if there are none.
    pub fn write_state(&mut self) -> bool {
        self.writer.step()
    }

    /// Does the driver want the state to be synced and the log to be trimmed?
    pub fn wants_maintenance(&self) -> bool {
        self.maintenance.try_recv().is_ok()
    }

    /// The partitions of this node.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &Partition)> {
        self.driver.partitions()
    }

    /// All rows of a partition: those of the state under those that it does not have yet.
    pub fn rows(&self, partition: PartitionId) -> Result<Vec<Entry>, NodeError> {
        self.driver.rows(partition)
    }

    /// The position up to which the driver knows that the log is durable.
    pub fn durable(&self) -> Position {
        self.driver.durable()
    }

    /// Records that wait for room in the log. What they commit, later steps may have read.
    pub fn unlogged(&self) -> &[LogRecord] {
        self.driver.unlogged()
    }

    /// What the driver holds.
    pub fn holds(&self) -> Holds {
        self.driver.holds()
    }
}

/// What a driver holds, for checks of leaks and bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Answers, output, tasks and messages that wait for the watermark.
    pub held: usize,
    /// Clients that wait.
    pub tokens: usize,
    /// Inputs that wait for a round.
    pub inputs: usize,
    /// Rows that the state does not have.
    pub overlay_rows: usize,
    /// Runs that workers have.
    pub running: usize,
    /// Runs that wait for a worker.
    pub queued: usize,
    /// Suspended coroutines.
    pub suspended: usize,
    /// Tasks that task workers have.
    pub tasks_running: usize,
}
