//! One machine: a disk, a state, and the node that runs on them while it is up.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::ids::{InvocationId, PartitionId};
use protocol::manifest::Manifest;
use protocol::message::Message;
use runtime::stepped::{SteppedNode, WorkerId, World as Parts};
use runtime::{Network, NodeConfig, Sink};
use store::faulty::{FaultyDisk, Survivors};
use store::file_log::{FileLog, FileLogOptions};
use store::{Log, State};

use super::ahead::Ahead;
use super::clock::{NodeClock, Time};
use super::process::{Board, Kind, Process, SimLaunch};
use super::state::SimState;
use crate::chronicle::{self, Watched};
use crate::plan::Plan;
use crate::rng::Rng;

/// Messages that nodes have handed over.
pub type Outbox = Arc<Mutex<Vec<(PartitionId, PartitionId, Message)>>>;

struct SimNetwork(Outbox);

impl Network for SimNetwork {
    fn send(&self, from: PartitionId, to: PartitionId, message: Message) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((from, to, message));
    }
}

/// Invocations whose steps a node runs again since somebody last asked.
#[derive(Default)]
pub struct Reruns(Mutex<Vec<InvocationId>>);

impl Reruns {
    pub fn take(&self) -> Vec<InvocationId> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Reruns {
    fn output(&self, _: InvocationId, _: &str, _: &[(u8, String)]) {}

    fn notice(&self, _: &str) {}

    fn runs_again(&self, invocation: InvocationId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(invocation);
    }
}

/// Random bytes of a seed.
struct Draws(Rng);

impl Read for Draws {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for chunk in buffer.chunks_mut(8) {
            let bytes = self.0.number().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(buffer.len())
    }
}

fn config_of(plan: &Plan, reruns: &Arc<Reruns>) -> NodeConfig {
    NodeConfig {
        partitions: plan.partitions,
        workers: plan.workers,
        task_workers: plan.task_workers,
        retention: std::time::Duration::from_micros(plan.retention),
        invocations_max: plan.invocations_max,
        round_inputs_max: plan.round_inputs_max,
        state_delay: std::time::Duration::from_micros(plan.state_delay),
        coroutines_max: plan.coroutines_max(),
        sink: Arc::clone(reruns) as Arc<dyn Sink>,
        ..NodeConfig::default()
    }
}

/// A running node.
pub struct Up {
    pub node: SteppedNode,
    pub log: Arc<FileLog>,
    pub(super) board: Board,
    pub outbox: Outbox,
    pub reruns: Arc<Reruns>,
    pub processes: BTreeMap<(Kind, WorkerId), Process>,
    pub(super) ahead: Ahead,
    /// When its driver next looks around, and whether other parts have a turn coming.
    pub round_at: Option<u64>,
    pub committing: bool,
    pub allocating: bool,
    pub writing: bool,
    pub covering: bool,
    pub written: u64,
    /// When the next checkpoint is due.
    pub maintain_at: u64,
}

/// One machine.
pub struct Machine {
    pub disk: FaultyDisk,
    pub state: Arc<SimState>,
    pub clock: Arc<NodeClock>,
    pub chronicle: chronicle::Shared,
    /// Counts its starts; unique over all machines.
    pub life: u32,
    pub up: Option<Up>,
    /// It syncs nothing before this time.
    pub stalled_until: u64,
    pub slow_until: u64,
    pub slow_factor: u64,
    /// How the last start failed on purpose: the next one finds this disk.
    pub crash_in_recovery: Option<u64>,
}

impl Machine {
    pub fn new(plan: &Plan, time: &Time) -> Self {
        Self {
            disk: FaultyDisk::new(),
            state: Arc::new(SimState::new(plan.partitions)),
            clock: Arc::new(NodeClock::new(time)),
            chronicle: chronicle::Shared::default(),
            life: 0,
            up: None,
            stalled_until: 0,
            slow_until: 0,
            slow_factor: 1,
            crash_in_recovery: None,
        }
    }

    /// Starts the node on what the machine has.
    pub fn start(&mut self, index: usize, plan: &Plan, manifest: &Arc<Manifest>) -> Result<(), StartFailure> {
        let trap = self.crash_in_recovery.take().map(|operation| self.disk.operations() + operation);
        if let Some(trap) = trap {
            self.disk.fail_at(trap, store::faulty::Fault::Crash);
        }
        let owned = plan.nodes[index].clone();
        let options = FileLogOptions {
            segment_bytes: plan.segment_bytes,
            log_id: Some(index as u64 + 1),
            ..FileLogOptions::default()
        };
        let log = FileLog::open_stepped(Arc::new(self.disk.clone()), options);
        let log = Arc::new(log.map_err(|error| self.failure(&error.to_string()))?);
        let recovered = chronicle::lock(&self.chronicle).recovered(&log);
        recovered.map_err(StartFailure::Lost)?;
        for partition in owned.clone() {
            let applied = self.state.applied(partition).expect("the state has all partitions");
            if applied > log.tail() {
                let text =
                    format!("the state of partition {partition} is at {applied}, the log ends at {}", log.tail());
                return Err(StartFailure::Lost(text));
            }
        }
        let (board, outbox, reruns) = (Board::default(), Outbox::default(), Arc::<Reruns>::default());
        let launch = |kind| Box::new(SimLaunch { kind, board: Arc::clone(&board) });
        let parts = Parts {
            config: config_of(plan, &reruns),
            manifest: Arc::clone(manifest),
            owned,
            evict_at_suspension: plan.evict,
            log: Arc::new(Watched::new(&log, &self.chronicle)),
            state: Arc::clone(&self.state) as Arc<dyn State>,
            clock: Arc::clone(&self.clock) as Arc<dyn runtime::Clock>,
            network: Arc::new(SimNetwork(Arc::clone(&outbox))),
            entropy: Box::new(Draws(Rng::new(plan.seed ^ (u64::from(self.life) << 40)))),
            launch: launch(Kind::Steps),
            launch_tasks: (launch(Kind::Tasks), launch(Kind::Tasks)),
        };
        let node = SteppedNode::open(parts).map_err(|error| self.failure(&error.to_string()))?;
        // Recovery was shorter: a machine that has lost its power would not just find that its disk is gone.
        if let Some(trap) = trap {
            self.disk.spare(trap);
        }
        self.up = Some(Up {
            node,
            log,
            board,
            outbox,
            reruns,
            processes: BTreeMap::new(),
            ahead: Ahead::default(),
            round_at: None,
            committing: false,
            allocating: false,
            writing: false,
            covering: false,
            written: 0,
            maintain_at: 0,
        });
        Ok(())
    }

    fn failure(&self, error: &str) -> StartFailure {
        // Only disks that were told to fail say so.
        let expected = ["injected", "other error", "no storage space"];
        if expected.iter().any(|text| error.contains(text)) {
            StartFailure::Disk
        } else {
            StartFailure::Lost(error.to_owned())
        }
    }

    /// The node is gone. `survivors`: what the disk keeps. True if the state has lost something.
    pub fn crash(&mut self, survivors: Survivors, rng: &mut Rng) -> bool {
        if let Some(up) = self.up.take() {
            chronicle::lock(&self.chronicle).takes(up.node.unlogged());
        }
        self.disk = self.disk.crash(survivors);
        let (state, lost) = self.state.crash(survivors == Survivors::Process, rng);
        self.state = Arc::new(state);
        lost
    }
}

/// Why a node does not start.
pub enum StartFailure {
    /// The disk failed on purpose.
    Disk,
    /// Something is not there that should be.
    Lost(String),
}
