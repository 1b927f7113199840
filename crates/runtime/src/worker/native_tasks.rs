//! Task workers in this process: threads that run tasks written in Rust, one at a time each. The pool holds them like
//! processes.
//!
//! The threads take what the pool gave to any of them from one [`Lot`]: so tasks that begin together and take
//! microseconds wake one thread or two, and not one each. A thread calls for another before it begins a task that is not
//! the last one there, so that none waits behind one that blocks. There are as many threads that can take something as
//! workers that can be given something.
//!
//! A thread cannot be ended. What is an `async fn` is dropped where it waits when its time is over or nobody wants its
//! result; a thread that blocks is given up, another takes its place, and it goes on until the task returns. With too
//! many of these no further thread is started until some have returned: tasks wait, and the server says why.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use protocol::RunNumber;
use protocol::worker::{FromWorker, Outcome, TaskRun, ToWorker};
use tokio::sync::oneshot;

use super::native::{Farewell, Native, Shared, TaskTies};
use super::process::Report;
use super::{Launch, Link, WorkerId};
use crate::limits::{GOES_ON_FOR_MAX, TASK_OUTPUT_BYTES_MAX, TASK_THREADS_LOST_MAX};
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, has_passed, thread};

/// Starts threads for tasks.
pub(crate) struct TaskThreads {
    native: Arc<dyn Native>,
    report: Report,
    /// Threads that were given up and have not returned.
    lost: Arc<AtomicUsize>,
    lot: Arc<Lot>,
}

impl TaskThreads {
    pub(crate) fn new(native: Arc<dyn Native>, report: Report) -> Self {
        Self { native, report, lost: Arc::default(), lot: Arc::default() }
    }
}

/// Too many threads do not return.
#[derive(Debug, thiserror::Error)]
#[error(
    "{TASK_THREADS_LOST_MAX} threads are in tasks of Rust services that do not end in time, and a thread cannot be ended: \
     further tasks wait until some of them have returned, or the server is started again"
)]
struct TooManyLost;

impl Launch for TaskThreads {
    fn launch(&mut self, worker: WorkerId) -> io::Result<Box<dyn Link>> {
        if self.lost.load(Ordering::Acquire) >= TASK_THREADS_LOST_MAX {
            return Err(io::Error::other(TooManyLost));
        }
        let shared = Arc::new(Shared::new(worker, &self.report, &self.lost));
        let (native, lot, own) = (Arc::clone(&self.native), Arc::clone(&self.lot), Arc::clone(&shared));
        thread::Builder::new().name(format!("task-{}", worker.0)).spawn(move || {
            own.say(vec![FromWorker::Ready { pid: std::process::id(), python: String::new(), problem: None }]);
            drop(own);
            let bed = Arc::default();
            while serve(&*native, lot.take(&bed)) {}
        })?;
        let seat = Arc::new(Seat { shared, place: Mutex::new(Place::Free) });
        Ok(Box::new(Worker { seat, lot: Arc::clone(&self.lot), stop: Mutex::new(None) }))
    }
}

/// A worker, as threads and the driver's side see it.
struct Seat {
    shared: Arc<Shared>,
    place: Mutex<Place>,
}

enum Place {
    /// Nothing is to be done for it.
    Free,
    /// A job of it is in the lot, or in a thread.
    Busy,
    /// Its task has ended as it says; since then a thread goes on with the method that waits for it.
    GoesOn(FromWorker, Instant),
    /// A thread ends for it: the one that has its job.
    GivenUp,
}

impl Seat {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it was, and what it is from now on. None if it was given up, which it stays.
    fn turn_to(&self, next: Place) -> Option<Place> {
        let mut place = self.place();
        match *place {
            Place::GivenUp => None,
            _ => Some(std::mem::replace(&mut *place, next)),
        }
    }
}

/// What a thread is to do for one of the workers.
struct Job {
    seat: Arc<Seat>,
    /// The worker ends without one, and a thread with it.
    task: Option<(TaskRun, oneshot::Receiver<()>)>,
}

/// What no thread has taken yet, in order. The pool gives a worker one task at a time: there are no more than workers.
#[derive(Default)]
struct Lot(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Threads that sleep. Who fell asleep last is woken first: what it works with is still near, and the others need no
    /// memory of their own at hand.
    asleep: Vec<Arc<Bed>>,
    /// One of them was woken and is on its way.
    called: bool,
}

/// Where a thread sleeps.
#[derive(Default)]
struct Bed {
    woken: Condvar,
    /// Whoever wakes it takes it out of those that sleep.
    asleep: AtomicBool,
}

impl Waiting {
    /// The thread to be woken. None while one is on its way, which wakes the next if need be.
    fn calls(&mut self) -> Option<Arc<Bed>> {
        let called = if self.jobs.is_empty() || self.called { None } else { self.asleep.pop() };
        if let Some(bed) = &called {
            self.called = true;
            bed.asleep.store(false, Ordering::Relaxed);
        }
        called
    }
}

impl Lot {
    /// Nobody is woken for it.
    fn put(&self, job: Job) {
        self.lock().jobs.push_back(job);
    }

    /// Wakes a thread, if there is something for it.
    fn wake(&self) {
        Self::unlock(self.lock());
    }

    fn take(&self, bed: &Arc<Bed>) -> Job {
        let mut waiting = self.lock();
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                Self::unlock(waiting);
                return job;
            }
            bed.asleep.store(true, Ordering::Relaxed);
            waiting.asleep.push(Arc::clone(bed));
            while bed.asleep.load(Ordering::Relaxed) {
                waiting = bed.woken.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.called = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a thread, if there is something for it.
    fn unlock(mut waiting: MutexGuard<'_, Waiting>) {
        let called = waiting.calls();
        drop(waiting);
        if let Some(bed) = called {
            bed.woken.notify_one();
        }
    }
}

/// The driver's side of a worker.
struct Worker {
    seat: Arc<Seat>,
    lot: Arc<Lot>,
    /// Stops the run that it was sent last. Dropping it stops that run, too.
    stop: Mutex<Option<(RunNumber, oneshot::Sender<()>)>>,
}

impl Worker {
    fn put(&self, place: Place, task: Option<(TaskRun, oneshot::Receiver<()>)>) {
        *self.seat.place() = place;
        self.lot.put(Job { seat: Arc::clone(&self.seat), task });
    }

    fn tell(&self, messages: Vec<ToWorker>) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        for message in messages {
            match message {
                ToWorker::Task(task) => {
                    let (stopping, stopped) = oneshot::channel();
                    *stop = Some((task.run, stopping));
                    self.put(Place::Busy, Some((*task, stopped)));
                }
                ToWorker::StopTask(run) => drop(stop.take_if(|(of, _)| *of == run)),
                // Steps are not for these workers.
                ToWorker::Start(_) | ToWorker::Resume(_) | ToWorker::Evict(_) | ToWorker::Fetched { .. } => {}
            }
        }
    }
}

impl Link for Worker {
    fn send(&self, messages: Vec<ToWorker>) {
        self.tell(messages);
        self.lot.wake();
    }

    fn send_with_others(&self, messages: Vec<ToWorker>) {
        self.tell(messages);
    }

    fn word(&self) -> Option<u64> {
        None
    }

    fn kill(&self, reason: &str) {
        let mut place = self.seat.place();
        let before = std::mem::replace(&mut *place, Place::GivenUp);
        let is_free = matches!(before, Place::Free);
        if let Place::GoesOn(end, _) = before {
            self.seat.shared.say(vec![end]);
        }
        self.seat.shared.give_up(format!("{reason}; its thread goes on until the task returns"));
        drop(place);
        if is_free {
            self.put(Place::GivenUp, None);
            self.lot.wake();
        }
    }

    fn check(&self) {
        let too_long = matches!(&*self.seat.place(), Place::GoesOn(_, since) if has_passed(*since, GOES_ON_FOR_MAX));
        if too_long {
            self.kill("had a step that takes long behind its task");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A thread ends with each worker; who gives one up, or panics, sees to that.
        if !self.seat.shared.is_gone() {
            self.lot.put(Job { seat: Arc::clone(&self.seat), task: None });
            self.lot.wake();
        }
    }
}

/// Tells that the worker has ended unless it is kept, so also when the thread panics.
struct Ending(Option<Arc<Shared>>);

impl Drop for Ending {
    fn drop(&mut self) {
        drop(self.0.take().map(Farewell));
    }
}

/// In a thread: does a job. False if the thread ends, as the worker has.
fn serve(native: &dyn Native, Job { seat, task }: Job) -> bool {
    let mut ending = Ending(Some(Arc::clone(&seat.shared)));
    let Some((task, stopped)) = task.filter(|_| matches!(*seat.place(), Place::Busy)) else { return false };
    let ties = TaskTies { output: output(&seat.shared, task.run), stopped };
    let (outcome, is_final) = native.task(&task, ties);
    let end = FromWorker::TaskEnd { run: task.run, outcome: outcome.clone(), is_final };
    if seat.turn_to(Place::GoesOn(end, Instant::now())).is_none() {
        return false;
    }
    let went_on = match (&task.awaited_by, &outcome) {
        (Some((invocation, position)), Outcome::Value(_)) => native.go_on(*invocation, position, &outcome),
        _ => None,
    };
    // Free before the pool hears that it is.
    let Some(Place::GoesOn(end, _)) = seat.turn_to(Place::Free) else { return false };
    match went_on {
        Some(went_on) => seat.shared.say_going_on(went_on, vec![end]),
        None => seat.shared.say(vec![end]),
    }
    ending.0 = None;
    true
}

/// Tells what a run prints, as much of it as is kept.
fn output(shared: &Arc<Shared>, run: RunNumber) -> Box<dyn Fn(u8, String)> {
    let (shared, told) = (Arc::clone(shared), AtomicU64::new(0));
    Box::new(move |stream, mut text| {
        let before = told.fetch_add(text.len() as u64, Ordering::Relaxed);
        let left = usize::try_from(TASK_OUTPUT_BYTES_MAX.saturating_sub(before)).unwrap_or(usize::MAX);
        if left == 0 {
            return;
        }
        if text.len() > left {
            text.truncate((0..=left).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default());
            text.push_str("\n[sostenuto: the rest of this task's output was cut]\n");
        }
        shared.say(vec![FromWorker::TaskOutput { run, stream, text }]);
    })
}

#[cfg(test)]
mod tests;
