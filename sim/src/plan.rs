//! What a seed decides before anything happens: the shape of the world, how fast its parts are, and its faults.

use std::ops::Range;

use crate::rng::Rng;
use crate::workload::Workload;

/// What can come with one certain event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    PowerLoss,
    Crash,
    Kill,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The machine loses what was not synced.
    PowerLoss(usize),
    /// The process dies; its files stay as they are.
    ProcessCrash(usize),
    /// It comes after so many more events, wherever things are then.
    AtEvent(u64, At, usize),
    /// A worker dies.
    KillWorker(usize),
    /// A task worker dies.
    KillTaskWorker(usize),
    /// The so-manieth change to the disk from now on goes wrong.
    Disk(usize, u64, store::faulty::Fault),
    /// The next sync fails.
    SyncsFail(usize),
    /// For so long no space is left.
    DiskFull(usize, u64),
    /// For so long nothing is synced.
    Stall(usize, u64),
    /// For so long workers are slow by this factor.
    SlowWorkers(usize, u64, u64),
    /// The wall clock is wrong by so much.
    ClockJump(usize, i64),
    /// The process starts again at once in the middle of its recovery.
    CrashInRecovery(usize, u64),
}

/// The world of a seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub workload: Workload,
    pub partitions: u16,
    /// Partitions of each node; one log each.
    pub nodes: Vec<Range<u16>>,
    pub workers: usize,
    pub task_workers: usize,
    pub round_inputs_max: usize,
    /// How long durable rows may wait to be written to the state together.
    pub state_delay: u64,
    /// Small, so that segments change often, and large enough for the workload's records.
    pub segment_bytes: u64,
    /// Time between two checkpoints, each with a trim.
    pub maintenance: u64,
    pub evict: bool,
    /// Microseconds.
    pub retention: u64,
    pub invocations_max: usize,
    pub clients: usize,
    /// Typical times in microseconds.
    pub write: u64,
    pub sync: u64,
    pub apply: u64,
    pub checkpoint: u64,
    pub net: u64,
    pub step: u64,
    pub think: u64,
    /// One of so many requests, or of replies, is lost; 0: none.
    pub lossy: u64,
    /// Requests are sent twice, messages between nodes arrive twice.
    pub duplicates: bool,
    /// Some links are slower by this factor.
    pub slow_link: u64,
    /// Which: a bit for each pair of partitions, and for each direction.
    slow_links: u64,
    /// Everything else is fast: much happens while a message is on its way.
    only_links: bool,
    pub faults: Vec<(u64, Fault)>,
}

/// A retention that a run waits for, in microseconds: longer than any client waits before it asks again.
pub const SHORT_RETENTION: u64 = 120_000_000;

/// More partitions than a world has.
const PARTITIONS_END: u16 = 6;

/// When faults stop, in microseconds.
pub const FAULTS_END: u64 = 3_000_000;

impl Plan {
    /// Coroutines that the workers of a node keep: few now and then. Drawn apart, so that older seeds' worlds are what they
    /// were but for this.
    pub fn coroutines_max(&self) -> usize {
        let few = Rng::new(self.seed ^ 0x5e1f).once_in(4);
        if few { 2 } else { runtime::limits::COROUTINES_MAX_DEFAULT }
    }

    /// The world of a seed.
    pub fn new(seed: u64, workload: Option<Workload>) -> Self {
        let mut rng = Rng::new(seed);
        let chosen = *rng.pick(Workload::ALL);
        let partitions = rng.range(1, u64::from(PARTITIONS_END)) as u16;
        let nodes = nodes(&mut rng, partitions);
        let fast = rng.once_in(3);
        let mut plan = Self {
            seed,
            workload: workload.unwrap_or(chosen),
            partitions,
            workers: rng.range(1, 4) as usize,
            task_workers: rng.range(1, 3) as usize,
            round_inputs_max: *rng.pick(&[1, 2, 5, 20, 64]),
            state_delay: 0,
            segment_bytes: 128 * 1024,
            maintenance: *rng.pick(&[20_000, 300_000, 10_000_000]),
            evict: rng.once_in(4),
            retention: if rng.once_in(4) { SHORT_RETENTION } else { 86_400_000_000 },
            invocations_max: if rng.once_in(8) { 3 } else { 100_000 },
            clients: rng.range(2, 8) as usize,
            write: 20,
            sync: if fast { 100 } else { *rng.pick(&[400, 2_000, 20_000]) },
            apply: *rng.pick(&[50, 500, 20_000]),
            checkpoint: *rng.pick(&[5_000, 100_000, 1_000_000]),
            net: *rng.pick(&[50, 300, 1_000]),
            step: *rng.pick(&[30, 100, 1_000]),
            think: *rng.pick(&[10, 1_000, 20_000]),
            lossy: *rng.pick(&[0, 0, 30, 8]),
            duplicates: rng.once_in(2),
            slow_link: *rng.pick(&[1, 1, 5, 20]),
            slow_links: rng.number() & rng.number(),
            only_links: false,
            faults: Vec::new(),
            nodes,
        };
        plan.only_links = rng.once_in(4) || plan.workload == Workload::Glances && rng.once_in(2);
        if plan.only_links {
            plan.wait_for_links_only();
        }
        if plan.round_inputs_max <= 5 {
            plan.segment_bytes = 32 * 1024;
        }
        // A record takes a fourth of a segment at most.
        plan.segment_bytes = plan.segment_bytes.max(4 * plan.workload.record_bytes_max());
        plan.faults = plan.draw_faults(&mut rng);
        plan.state_delay = *rng.pick(&[0, 2_000, 100_000]);
        plan
    }

    fn wait_for_links_only(&mut self) {
        let [write, sync, net, step, think, slow_link] = [5, 50, 50, 30, 10, 100];
        *self = Self { write, sync, net, step, think, slow_link, ..self.clone() };
    }

    fn draw_faults(&self, rng: &mut Rng) -> Vec<(u64, Fault)> {
        let most = if self.only_links { 25 } else { 9 };
        let count = if rng.once_in(5) { 0 } else { rng.range(1, most) };
        // Where everything is fast, all is soon over.
        let span = *rng.pick(if self.only_links { &[20_000, 100_000] } else { &[20_000, 200_000, FAULTS_END] });
        let mut faults: Vec<_> = (0..count).map(|_| (rng.below(span), self.draw_fault(rng))).collect();
        faults.sort_by_key(|(at, _)| *at);
        faults
    }

    fn draw_fault(&self, rng: &mut Rng) -> Fault {
        let node = rng.below(self.nodes.len() as u64) as usize;
        let long = *rng.pick(&[2_000, 50_000, 1_000_000]);
        let crashes = self.only_links && rng.once_in(2);
        match rng.below(if crashes { 4 } else { 18 }) {
            0..=2 => Fault::PowerLoss(node),
            3 => Fault::ProcessCrash(node),
            4 | 5 => Fault::KillWorker(node),
            6 => Fault::KillTaskWorker(node),
            7 => Fault::Disk(node, rng.below(20), store::faulty::Fault::Crash),
            8 => Fault::Disk(node, rng.below(20), store::faulty::Fault::Torn(rng.below(3_000) as usize)),
            9 => Fault::Disk(node, rng.below(20), store::faulty::Fault::Error(std::io::ErrorKind::Other)),
            10 => Fault::DiskFull(node, long),
            11 => Fault::Stall(node, long),
            12 => Fault::SlowWorkers(node, long, *rng.pick(&[20, 1_000, 1_000_000])),
            13 | 14 => Fault::AtEvent(rng.below(400), *rng.pick(&[At::PowerLoss, At::Crash, At::Kill, At::Kill]), node),
            15 => Fault::SyncsFail(node),
            _ if rng.once_in(2) => Fault::CrashInRecovery(node, rng.below(12)),
            _ => Fault::ClockJump(node, rng.range(0, 20_000_000) as i64 - 10_000_000),
        }
    }

    /// By which factor messages from one partition to another are slower.
    pub fn slowness(&self, from: u16, to: u16) -> u64 {
        let is_slow = self.slow_links >> (from * PARTITIONS_END + to) & 1 == 1;
        if is_slow { self.slow_link } else { 1 }
    }

    /// The node that has a partition.
    pub fn node_of(&self, partition: u16) -> usize {
        self.nodes.iter().position(|owned| owned.contains(&partition)).expect("each partition has a node")
    }
}

/// One node for all, one for each, or anything between.
fn nodes(rng: &mut Rng, partitions: u16) -> Vec<Range<u16>> {
    let cut_at_each = match rng.below(3) {
        0 => 0,
        1 => 1,
        _ => 2,
    };
    let mut nodes = Vec::new();
    let mut start = 0;
    for next in 1..partitions {
        if cut_at_each == 1 || cut_at_each == 2 && rng.once_in(2) {
            nodes.push(start..next);
            start = next;
        }
    }
    nodes.push(start..partitions);
    nodes
}
