//! Workers in this process: threads that run services written in Rust. The pool holds them like processes.
//!
//! A thread cannot be ended. One whose step takes too long is given up: its run gets the strike, another thread takes
//! its place, and it goes on until user code returns; nobody hears of what it does then. Of threads that were given up
//! and have not returned there is a bounded number: with one more, the node ends, and with it all of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use protocol::worker::{FetchWhat, FromWorker, Outcome, Slice, TaskRun, ToWorker, left_by};
use protocol::{InvocationId, RunNumber};
use tokio::sync::oneshot;

use super::process::Report;
use super::{Death, Launch, Link, WentOn, WorkerEvent, WorkerId};
use crate::limits::{ENDS_TOGETHER_MAX, FOLLOWED_FOR_MAX, SHIPPED_BYTES_KEPT_MAX, THREADS_LOST_MAX};
use crate::sync::mpsc::{Receiver, Sender, channel};
use crate::sync::{AtomicBool, AtomicU64, Mutex, has_passed, thread};

/// Gets cells that were not shipped; `None`: not now.
pub type Fetch = Box<dyn FnMut(RunNumber, &str, FetchWhat) -> Option<Slice>>;

/// Services and tasks that run in this process.
pub trait Native: Send + Sync {
    /// What runs services in one thread; called there.
    fn worker(&self, fetch: Fetch) -> Box<dyn NativeWorker>;

    /// Runs one try of a task in this thread: what came of it, and whether another try is of no use.
    fn task(&self, task: &TaskRun, ties: TaskTies) -> (Outcome, bool);

    /// Goes on in this thread with an invocation that waits at this position for this result of a task, if one of the workers
    /// has it and it needs nothing else.
    fn go_on(&self, _invocation: InvocationId, _position: &str, _result: &Outcome) -> Option<Box<WentOn>> {
        None
    }
}

/// What a try of a task has of the server.
pub struct TaskTies {
    /// Takes what it prints: stream, text.
    pub output: Box<dyn Fn(u8, String)>,
    /// Resolves when nobody wants its result any more.
    pub stopped: oneshot::Receiver<()>,
}

/// Runs steps, one at a time.
pub trait NativeWorker {
    /// Does what a message asks; what is to be said to the server then.
    fn handle(&mut self, message: ToWorker) -> Option<FromWorker>;
}

/// Starts threads.
pub(crate) struct Threads {
    pub(crate) native: Arc<dyn Native>,
    pub(crate) report: Report,
    /// Threads that were given up and have not returned.
    pub(crate) lost: Arc<AtomicUsize>,
}

/// Too many threads do not return.
#[derive(Debug, thiserror::Error)]
#[error(
    "{THREADS_LOST_MAX} threads are in steps of Rust services that do not end, and a thread cannot be ended: the parked \
     invocations name the methods"
)]
pub(crate) struct TooManyLost;

impl TooManyLost {
    /// Whether this is why a thread was not started.
    pub(crate) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

impl Launch for Threads {
    fn launch(&mut self, worker: WorkerId) -> io::Result<Box<dyn Link>> {
        if self.lost.load(Ordering::Acquire) >= THREADS_LOST_MAX {
            return Err(io::Error::other(TooManyLost));
        }
        let (outgoing, messages) = channel();
        let shared = Arc::new(Shared::new(worker, &self.report, &self.lost));
        let (native, of_thread) = (Arc::clone(&self.native), Arc::clone(&shared));
        thread::Builder::new().name(format!("native-{}", worker.0)).spawn(move || {
            // Also tells of a thread that ends by a panic.
            let farewell = Farewell(of_thread);
            serve(&*native, &farewell.0, messages);
        })?;
        Ok(Box::new(Thread { shared, outgoing }))
    }
}

/// The driver's side of a thread.
struct Thread {
    shared: Arc<Shared>,
    outgoing: Sender<Vec<ToWorker>>,
}

/// What a thread and the driver's side of it have in common.
pub(super) struct Shared {
    worker: WorkerId,
    /// The run that it is in.
    word: AtomicU64,
    /// The pool was told that it has ended.
    gone: AtomicBool,
    reason: Mutex<Option<String>>,
    report: Report,
    lost: Arc<AtomicUsize>,
    /// It is one of them.
    was_lost: AtomicBool,
}

impl Shared {
    pub(super) fn new(worker: WorkerId, report: &Report, lost: &Arc<AtomicUsize>) -> Self {
        Self {
            worker,
            word: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            reason: Mutex::default(),
            report: Arc::clone(report),
            lost: Arc::clone(lost),
            was_lost: AtomicBool::new(false),
        }
    }

    /// Nobody listens to it any more.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The thread goes on, but nobody hears of it any more.
    pub(super) fn give_up(&self, reason: String) {
        if self.is_gone() {
            return;
        }
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        self.lost.fetch_add(1, Ordering::AcqRel);
        self.was_lost.store(true, Ordering::Release);
        self.end();
    }

    pub(super) fn say(&self, messages: Vec<FromWorker>) {
        if !messages.is_empty() && !self.is_gone() {
            (self.report)(WorkerEvent::Said(self.worker, messages));
        }
    }

    /// The same, after going on with who waits for it.
    pub(super) fn say_going_on(&self, went_on: Box<WentOn>, messages: Vec<FromWorker>) {
        if !self.is_gone() {
            (self.report)(WorkerEvent::WentOn(went_on, self.worker, messages));
        }
    }

    fn end(&self) {
        if !self.gone.swap(true, Ordering::AcqRel) {
            let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
            let cause = reason.unwrap_or_else(|| "ended".to_owned());
            let word = Some(self.word.load(Ordering::Acquire));
            (self.report)(WorkerEvent::Gone(self.worker, Death { cause, output: String::new(), word }));
        }
    }
}

impl Link for Thread {
    fn send(&self, messages: Vec<ToWorker>) {
        // If the thread has ended, the pool will hear of it.
        let _ = self.outgoing.send(messages);
    }

    fn word(&self) -> Option<u64> {
        Some(self.shared.word.load(Ordering::Acquire))
    }

    fn kill(&self, reason: &str) {
        self.shared.give_up(format!("{reason}; its thread goes on until the method returns"));
    }

    fn check(&self) {}
}

/// In the thread: tells of its end, also by a panic.
pub(super) struct Farewell(pub(super) Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.end();
        if self.0.was_lost.swap(false, Ordering::AcqRel) {
            self.0.lost.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Messages on their way to and from a thread.
struct Mail {
    shared: Arc<Shared>,
    messages: Receiver<Vec<ToWorker>>,
    /// Read and not handled.
    waiting: VecDeque<ToWorker>,
    /// Not sent.
    ends: Vec<FromWorker>,
}

impl Mail {
    /// Waits until there is a message. False if there will be none.
    fn read(&mut self) -> bool {
        match self.messages.recv() {
            Ok(messages) => {
                self.waiting.extend(messages);
                self.waiting.extend(self.messages.try_iter().flatten());
                true
            }
            Err(_) => false,
        }
    }

    fn flush(&mut self) {
        self.shared.say(std::mem::take(&mut self.ends));
    }

    /// What was shipped to a step that the next message follows, or that one which has not come yet may follow.
    fn followed(&self, message: &ToWorker) -> Option<Slice> {
        let ToWorker::Start(start) = message else { return None };
        let follows = match self.waiting.front() {
            Some(ToWorker::Start(next)) => next.follows == Some(start.run),
            Some(_) => false,
            None => start.slice.wholes.is_empty() && cell_bytes(&start.slice) <= SHIPPED_BYTES_KEPT_MAX,
        };
        follows.then(|| start.slice.clone())
    }

    /// Asks for a cell and waits for the answer; other messages wait meanwhile.
    fn fetch(&mut self, run: RunNumber, field: &str, what: FetchWhat) -> Option<Slice> {
        self.ends.push(FromWorker::Fetch { run, field: field.to_owned(), what });
        self.flush();
        loop {
            let is_it = |message: &ToWorker| matches!(message, ToWorker::Fetched { run: of, .. } if *of == run);
            if let Some(at) = self.waiting.iter().position(is_it)
                && let Some(ToWorker::Fetched { slice, .. }) = self.waiting.remove(at)
            {
                return slice;
            }
            if !self.read() {
                return None;
            }
        }
    }
}

/// What the last step has left, for those that follow it.
struct Left {
    last: Option<(RunNumber, Slice)>,
    /// When the first of those that follow each other began, or the last of them came.
    since: Instant,
}

impl Left {
    /// Gives a step that follows another one its cells. False: it cannot follow.
    fn ship(&mut self, message: &mut ToWorker) -> bool {
        let ToWorker::Start(start) = message else { return true };
        let Some(follows) = start.follows else {
            self.since = Instant::now();
            return true;
        };
        let left = self.last.take().filter(|(last, _)| *last == follows);
        let left = left.filter(|_| !has_passed(self.since, FOLLOWED_FOR_MAX));
        let follows = left.is_some();
        start.slice = left.map(|(_, slice)| slice).unwrap_or_default();
        follows
    }
}

/// The thread: runs what comes until nobody can send any more.
fn serve(native: &dyn Native, shared: &Arc<Shared>, messages: Receiver<Vec<ToWorker>>) {
    let mail = Mail { shared: Arc::clone(shared), messages, waiting: VecDeque::new(), ends: Vec::new() };
    let mail = Rc::new(RefCell::new(mail));
    let fetching = Rc::clone(&mail);
    let mut worker = native.worker(Box::new(move |run, field, what| fetching.borrow_mut().fetch(run, field, what)));
    shared.say(vec![FromWorker::Ready { pid: std::process::id(), python: String::new(), problem: None }]);
    let mut left = Left { last: None, since: Instant::now() };
    loop {
        let next = mail.borrow_mut().waiting.pop_front();
        let Some(mut message) = next else {
            mail.borrow_mut().flush();
            if shared.is_gone() || !mail.borrow_mut().read() {
                return;
            }
            // Nobody has waited longer for those that follow.
            left.since = Instant::now();
            continue;
        };
        let run = run_of(&message);
        if !left.ship(&mut message) {
            mail.borrow_mut().ends.push(FromWorker::Dropped { run: RunNumber(run) });
            continue;
        }
        let shipped = mail.borrow().followed(&message);
        shared.word.store(run, Ordering::Release);
        let said = worker.handle(message);
        shared.word.store(0, Ordering::Release);
        left.last = match (shipped, &said) {
            (Some(shipped), Some(FromWorker::End(end))) => left_by(shipped, end).map(|left| (end.run, left)),
            _ => None,
        };
        let mut mail = mail.borrow_mut();
        mail.ends.extend(said);
        if mail.ends.len() >= ENDS_TOGETHER_MAX {
            mail.flush();
        }
    }
}

fn cell_bytes(slice: &Slice) -> usize {
    let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    slice.cells.iter().map(|cell| cell.field.len() + bytes(&cell.key) + bytes(&cell.value)).sum()
}

fn run_of(message: &ToWorker) -> u64 {
    match message {
        ToWorker::Start(start) => start.run.0,
        ToWorker::Resume(resume) => resume.run.0,
        ToWorker::Evict(_) | ToWorker::Fetched { .. } | ToWorker::Task(_) | ToWorker::StopTask(_) => 0,
    }
}
