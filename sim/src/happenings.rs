//! How often which fault or unusual thing has really occurred: a fault that is drawn and hits nothing proves nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Something that goes wrong, or that only happens when something does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    // The network between nodes.
    MessageDelayed,
    MessageReordered,
    MessageDuplicated,
    MessageLost,
    // Between clients and nodes.
    RequestLost,
    RequestRepeated,
    ReplyLost,
    ReplyRepeated,
    ConnectionEnded,
    // Nodes and workers.
    PowerLoss,
    ProcessCrash,
    CrashInRecovery,
    NodeEnded,
    WorkerKilled,
    TaskWorkerKilled,
    WorkersSlow,
    ClockJump,
    // Disks.
    WriteTorn,
    WritesLost,
    WritesReordered,
    StateLost,
    OperationFailed,
    SyncFailed,
    SyncStalled,
    DiskFull,
    // What the system does then.
    InvocationCancelled,
    TaskFailed,
    RustTaskTried,
    RustTaskPanicked,
    CoroutineEvicted,
    CoroutineRebuilt,
    AttemptAbandoned,
    RunAhead,
    NotFollowed,
    WentOn,
    WentOnInVain,
    WentOnElsewhere,
}

impl Happening {
    pub const ALL: &[Self] = &[
        Self::MessageDelayed,
        Self::MessageReordered,
        Self::MessageDuplicated,
        Self::MessageLost,
        Self::RequestLost,
        Self::RequestRepeated,
        Self::ReplyLost,
        Self::ReplyRepeated,
        Self::ConnectionEnded,
        Self::PowerLoss,
        Self::ProcessCrash,
        Self::CrashInRecovery,
        Self::NodeEnded,
        Self::WorkerKilled,
        Self::TaskWorkerKilled,
        Self::WorkersSlow,
        Self::ClockJump,
        Self::WriteTorn,
        Self::WritesLost,
        Self::WritesReordered,
        Self::StateLost,
        Self::OperationFailed,
        Self::SyncFailed,
        Self::SyncStalled,
        Self::DiskFull,
        Self::InvocationCancelled,
        Self::TaskFailed,
        Self::RustTaskTried,
        Self::RustTaskPanicked,
        Self::CoroutineEvicted,
        Self::CoroutineRebuilt,
        Self::AttemptAbandoned,
        Self::RunAhead,
        Self::NotFollowed,
        Self::WentOn,
        Self::WentOnInVain,
        Self::WentOnElsewhere,
    ];

    pub fn text(self) -> &'static str {
        match self {
            Self::MessageDelayed => "messages arrived long after they were sent",
            Self::MessageReordered => "messages overtook others to the same node",
            Self::MessageDuplicated => "messages arrived twice",
            Self::MessageLost => "messages were lost with a node",
            Self::RequestLost => "requests were lost",
            Self::RequestRepeated => "requests were sent again with their key",
            Self::ReplyLost => "replies were lost",
            Self::ReplyRepeated => "replies came more than once",
            Self::ConnectionEnded => "clients lost their connection to a node that died",
            Self::PowerLoss => "machines lost power",
            Self::ProcessCrash => "node processes died",
            Self::CrashInRecovery => "nodes died while they recovered",
            Self::NodeEnded => "nodes ended themselves because of their disk",
            Self::WorkerKilled => "workers died",
            Self::TaskWorkerKilled => "task workers died",
            Self::WorkersSlow => "steps ran on slow workers",
            Self::ClockJump => "wall clocks jumped",
            Self::WriteTorn => "writes were torn",
            Self::WritesLost => "losses of power took unsynced writes",
            Self::WritesReordered => "losses of power took a write and left a later one",
            Self::StateLost => "losses of power took batches of the state",
            Self::OperationFailed => "disk operations failed",
            Self::SyncFailed => "syncs failed",
            Self::SyncStalled => "syncs stalled",
            Self::DiskFull => "writes found the disk full",
            Self::InvocationCancelled => "invocations were cancelled or killed",
            Self::TaskFailed => "tasks failed",
            Self::RustTaskTried => "tries of tasks in Rust",
            Self::RustTaskPanicked => "tasks in Rust panicked",
            Self::CoroutineEvicted => "coroutines were evicted",
            Self::CoroutineRebuilt => "coroutines were rebuilt from a journal",
            Self::AttemptAbandoned => "attempts of transactions came to nothing",
            Self::RunAhead => "steps ran ahead of their turn",
            Self::NotFollowed => "steps were to run ahead and could not",
            Self::WentOn => "steps went on behind a task before they were asked for",
            Self::WentOnInVain => "steps behind a task needed a cell or the time",
            Self::WentOnElsewhere => "steps went on behind a task and something else was asked for",
        }
    }
}

/// How often each occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Happening, u64>);

impl Counts {
    pub fn note(&mut self, what: Happening, times: u64) {
        if times > 0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    pub fn of(&self, what: Happening) -> u64 {
        self.0.get(&what).copied().unwrap_or(0)
    }

    pub fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, times)| self.note(*what, *times));
    }

    /// One line for each.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for what in Happening::ALL {
            let _ = writeln!(text, "{:>10} {}", self.of(*what), what.text());
        }
        text
    }
}
