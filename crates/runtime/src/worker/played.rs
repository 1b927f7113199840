//! Workers played by a test of a pool.

use std::sync::{Arc, Mutex};

use protocol::RunNumber;
use protocol::worker::{Delivered, Outcome, StepEnd, StepStatus, ToWorker};

use super::{Launch, Link, WentOn, WorkerId};

/// What a pool told its workers, and which it killed.
#[derive(Default)]
pub(super) struct Said {
    pub(super) messages: Vec<(WorkerId, ToWorker)>,
    pub(super) killed: Vec<(WorkerId, String)>,
    pub(super) launched: u64,
}

/// Where a test hears it.
pub(super) type Ear = Arc<Mutex<Said>>;

/// Starts workers that only listen: the test says what they answer.
pub(super) struct Launcher(pub(super) Ear);

struct Line(WorkerId, Ear);

impl Launch for Launcher {
    fn launch(&mut self, worker: WorkerId) -> std::io::Result<Box<dyn Link>> {
        self.0.lock().unwrap().launched += 1;
        Ok(Box::new(Line(worker, Arc::clone(&self.0))))
    }
}

/// What became of a step: the run that it was taken over as, or that it was rejected.
pub(super) type Fate = Arc<Mutex<Option<Result<RunNumber, ()>>>>;

/// A step that ran before it was asked for, after which the invocation waits again.
pub(super) struct Step {
    after: RunNumber,
    delivered: Delivered,
    pub(super) suspended: bool,
    pub(super) fate: Fate,
}

impl Step {
    pub(super) fn new(after: u64, position: &str, result: &Outcome) -> Self {
        let delivered = Delivered { position: position.to_owned(), result: result.clone() };
        Self { after: RunNumber(after), delivered, suspended: true, fate: Fate::default() }
    }
}

impl WentOn for Step {
    fn after(&self) -> RunNumber {
        self.after
    }

    fn delivered(&self) -> &Delivered {
        &self.delivered
    }

    fn suspended(&self) -> bool {
        self.suspended
    }

    fn accept(self: Box<Self>, run: RunNumber) -> Box<StepEnd> {
        *self.fate.lock().unwrap() = Some(Ok(run));
        let status = if self.suspended { StepStatus::Suspended } else { StepStatus::Returned(Vec::new()) };
        Box::new(StepEnd { status, ..StepEnd::default() })
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.fate.lock().unwrap().get_or_insert(Err(()));
    }
}

impl Link for Line {
    fn send(&self, messages: Vec<ToWorker>) {
        self.1.lock().unwrap().messages.extend(messages.into_iter().map(|message| (self.0, message)));
    }

    fn word(&self) -> Option<u64> {
        None
    }

    fn kill(&self, reason: &str) {
        self.1.lock().unwrap().killed.push((self.0, reason.to_owned()));
    }

    fn check(&self) {}
}
