//! Workers played by a test of a pool.

use std::sync::{Arc, Mutex};

use protocol::worker::{Delivered, Outcome, StepEnd, StepStatus, ToWorker};
use protocol::{InvocationId, RunNumber};

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

/// A step that ran before it was asked for.
struct Step(Fate);

impl Drop for Step {
    fn drop(&mut self) {
        self.0.lock().unwrap().get_or_insert(Err(()));
    }
}

/// An invocation has gone on with the result of the task at this position, and waits again or has returned.
pub(super) fn gone_on(
    invocation: InvocationId,
    after: u64,
    (position, result): (&str, &Outcome),
    suspended: bool,
) -> (Box<WentOn>, Fate) {
    let fate = Fate::default();
    let step = Step(Arc::clone(&fate));
    let accept = Box::new(move |run| {
        *step.0.lock().unwrap() = Some(Ok(run));
        let status = if suspended { StepStatus::Suspended } else { StepStatus::Returned(Vec::new()) };
        Box::new(StepEnd { status, ..StepEnd::default() })
    });
    let delivered = Delivered { position: position.to_owned(), result: result.clone() };
    (Box::new(WentOn { invocation, after: RunNumber(after), delivered, suspended, accept }), fate)
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
