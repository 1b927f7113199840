//! Steps that go on behind a task in Rust before the node asks for them, in the thread that the task was in.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::RunNumber;
use protocol::ids::InvocationId;
use protocol::worker::{Delivered, Outcome, StepEnd, StepStatus, TaskRun};
use runtime::stepped::{WentOn, WorkerId};

use super::World;
use super::process::{Kind, Process};
use crate::coroutine::Coroutine;
use crate::happenings::Happening;

/// Numbers of their runs, which the node gives them later: apart from all that it gives.
const FIRST_RUN: u64 = 1 << 62;

/// What the node made of steps: taken over as these runs, or not.
type Settled = Arc<Mutex<Vec<(u64, Option<RunNumber>)>>>;

/// Steps of a node that went on and that it has neither taken over nor rejected.
#[derive(Default)]
pub(super) struct Ahead {
    steps: BTreeMap<u64, (WorkerId, Coroutine, bool)>,
    settled: Settled,
    count: u64,
}

/// What the node has of a step.
struct Step {
    number: u64,
    /// None once it was taken over.
    end: Option<Box<StepEnd>>,
    settled: Settled,
}

impl Step {
    fn settle(&self, run: Option<RunNumber>) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).push((self.number, run));
    }

    fn accept(mut self, run: RunNumber) -> Box<StepEnd> {
        self.settle(Some(run));
        self.end.take().expect("it is taken over once")
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.end.is_some() {
            self.settle(None);
        }
    }
}

impl World {
    /// The thread of a task goes on with the coroutine that waits for it and for nothing else, if it wants to.
    pub(super) fn go_on(&mut self, node: usize, task: &TaskRun, result: &Outcome) -> Option<Box<WentOn>> {
        let (invocation, position) = task.awaited_by.as_ref()?;
        let life = self.machines[node].life;
        if self.rng.once_in(4) {
            return None;
        }
        let up = self.machines[node].up.as_mut()?;
        let mut steps = up.processes.iter_mut().filter(|((kind, _), process)| *kind == Kind::Steps && !process.dead);
        let waits = |process: &Process| process.coroutines.get(invocation).is_some_and(|it| it.waits_at(position));
        let ((_, worker), process) = steps.find(|(_, process)| waits(process))?;
        let mut coroutine = process.coroutines.remove(invocation)?;
        process.went.insert(*invocation);
        let (worker, after) = (*worker, coroutine.start.run);
        let number = FIRST_RUN + up.ahead.count;
        up.ahead.count += 1;
        self.recorder.borrow_mut().runs_ahead(*invocation, number, life);
        let delivered = Delivered { position: position.clone(), result: result.clone() };
        let settled = Arc::clone(&up.ahead.settled);
        let Some(end) = coroutine.goes_on(number, &delivered) else {
            self.in_vain(Happening::WentOnInVain, *invocation, number, life);
            return None;
        };
        let suspended = end.status == StepStatus::Suspended;
        let up = self.machines[node].up.as_mut()?;
        up.ahead.steps.insert(number, (worker, coroutine, suspended));
        let step = Step { number, end: Some(end), settled };
        let accept = Box::new(|run| step.accept(run));
        Some(Box::new(WentOn { invocation: *invocation, after, delivered, suspended, accept }))
    }

    fn in_vain(&mut self, why: Happening, invocation: InvocationId, number: u64, life: u32) {
        self.counts.note(why, 1);
        self.recorder.borrow_mut().drops(invocation, number, life);
    }

    /// Puts back what the node has taken over, before it is asked to go on with that, and forgets the rest.
    pub(super) fn hear_of_ahead(&mut self, node: usize) {
        let life = self.machines[node].life;
        let Some(up) = self.machines[node].up.as_mut() else { return };
        let settled = take(&mut *up.ahead.settled.lock().unwrap_or_else(PoisonError::into_inner));
        let mut rejected = Vec::new();
        for (number, taken_over) in settled {
            let Some((worker, mut coroutine, suspended)) = up.ahead.steps.remove(&number) else { continue };
            let invocation = coroutine.start.invocation;
            let Some(run) = taken_over else {
                rejected.push((invocation, number));
                continue;
            };
            self.counts.note(Happening::WentOn, 1);
            let Some(process) = up.processes.get_mut(&(Kind::Steps, worker)).filter(|it| !it.dead) else { continue };
            process.went.remove(&invocation);
            if suspended {
                coroutine.start.run = run;
                process.coroutines.insert(invocation, coroutine);
            }
        }
        for (invocation, number) in rejected {
            self.in_vain(Happening::WentOnElsewhere, invocation, number, life);
        }
    }
}
