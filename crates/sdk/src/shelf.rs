//! Where a worker keeps suspended invocations, so that the thread in which a task has ended goes on with the method that
//! waits for it: what is known by then is all that the next step depends on, in most cases. The server asks for that
//! step as ever, and has the answer already ([`WentOn::accept`]) if it asks for the very same.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::worker::{Delivered, FromWorker, Outcome, Slice, StepEnd, StepStatus};
use protocol::{InvocationId, RunNumber};

use crate::run::Dead;
use crate::worker::Invocation;

/// A place in a program whose step could not be had that way waits for the server so often.
const TIMES_LEFT_OUT: u32 = 64;
/// Places that are left out; beyond, all are tried again.
const LEFT_OUT_MAX: usize = 1_000;
/// A step that takes longer is left to the worker, as nobody hears of the task's end meanwhile.
const STEP_TIME_MAX: Duration = Duration::from_millis(1);

/// Suspended invocations.
#[derive(Default)]
pub struct Shelf(Mutex<Content>);

#[derive(Default)]
struct Content {
    invocations: HashMap<InvocationId, Invocation>,
    /// Went on with what the server did not take over. Whoever goes on next lets go of them: user code may run.
    rejected: Vec<Invocation>,
    /// Steps that are going on, and since when.
    going_on: Vec<(Place, Instant)>,
    /// Places, and how often they are still left out.
    left_out: HashMap<Place, u32>,
}

/// A method and a position in it, hashed: of two that are taken for one, one is left out without need.
type Place = u64;

impl Shelf {
    pub(crate) fn take(&self, id: InvocationId) -> Option<Invocation> {
        self.lock().invocations.remove(&id)
    }

    pub(crate) fn put(&self, id: InvocationId, invocation: Invocation) {
        let before = self.lock().invocations.insert(id, invocation);
        // Not under the lock: user code may run.
        if let Some(before) = before {
            before.forget(Dead::Evicted);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().invocations.len()
    }

    /// Goes on with an invocation that waits for a task's result at this position and for nothing else. None if it is not
    /// here or cannot go on without the server: it needs a cell, or the time. Then the server's RESUME finds nothing here.
    pub fn go_on(self: &Arc<Self>, id: InvocationId, position: &str, result: &Outcome) -> Option<WentOn> {
        let (mut invocation, place, began) = self.take_to_go_on(id, position)?;
        let delivered = Delivered { position: position.to_owned(), result: result.clone() };
        let mut after = RunNumber::default();
        if let Some(run) = &mut invocation.run {
            after = run.number;
            run.begin_step(0, Slice::default());
        }
        let end = invocation.step(std::slice::from_ref(&delivered));
        let told_time = invocation.run.as_ref().is_none_or(|run| run.told_time);
        let end = match end {
            FromWorker::End(end) if !told_time => Some(end),
            _ => None,
        };
        let mut content = self.lock();
        if let Some(at) = content.going_on.iter().position(|known| *known == (place, began)) {
            content.going_on.swap_remove(at);
        }
        if end.is_none() || began.elapsed() > STEP_TIME_MAX {
            content.leave_out(place);
        }
        drop(content);
        let suspended = end.as_ref().is_some_and(|end| end.status == StepStatus::Suspended);
        let left = match suspended {
            true => Some(invocation),
            false => {
                invocation.forget(Dead::Evicted);
                None
            }
        };
        Some(WentOn { after, delivered, end: Some(end?), id, left, place, shelf: Arc::clone(self) })
    }

    fn take_to_go_on(&self, id: InvocationId, position: &str) -> Option<(Invocation, Place, Instant)> {
        let mut content = self.lock();
        let Content { invocations, rejected, going_on, left_out } = &mut *content;
        let run = invocations.get(&id)?.run.as_ref().filter(|run| run.waits_for_task(position))?;
        let place = BuildHasherDefault::<DefaultHasher>::default().hash_one((&run.target, position));
        if let Some(times) = left_out.get_mut(&place) {
            *times -= 1;
            if *times == 0 {
                left_out.remove(&place);
            }
            return None;
        }
        let began = Instant::now();
        // One that hangs must not take more threads with it.
        if going_on.iter().any(|(of, since)| *of == place && began.duration_since(*since) > STEP_TIME_MAX) {
            return None;
        }
        let (invocation, rejected) = (invocations.remove(&id)?, std::mem::take(rejected));
        going_on.push((place, began));
        drop(content);
        rejected.into_iter().for_each(|rejected| rejected.forget(Dead::Evicted));
        Some((invocation, place, began))
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn leave_out(&mut self, place: Place) {
        if self.left_out.len() >= LEFT_OUT_MAX {
            self.left_out.clear();
        }
        self.left_out.insert(place, TIMES_LEFT_OUT);
    }
}

/// A step that the server has not asked for yet. Whoever drops it rejects it.
pub struct WentOn {
    /// The run that had suspended the invocation.
    pub after: RunNumber,
    /// What was handed to it.
    pub delivered: Delivered,
    /// What it did; none once it was taken over.
    end: Option<Box<StepEnd>>,
    id: InvocationId,
    /// If it waits again.
    left: Option<Invocation>,
    place: Place,
    shelf: Arc<Shelf>,
}

impl WentOn {
    /// The invocation waits again.
    pub fn suspended(&self) -> bool {
        self.left.is_some()
    }

    /// The server takes it over as this run: what it did. What waits again is where it was.
    pub fn accept(mut self, run: RunNumber) -> Box<StepEnd> {
        if let Some(mut invocation) = self.left.take() {
            if let Some(of) = &mut invocation.run {
                of.number = run;
            }
            self.shelf.put(self.id, invocation);
        }
        self.end.take().unwrap_or_default()
    }
}

impl Drop for WentOn {
    fn drop(&mut self) {
        if self.end.is_some() {
            let mut content = self.shelf.lock();
            content.leave_out(self.place);
            content.rejected.extend(self.left.take());
        }
    }
}
