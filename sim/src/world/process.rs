//! Worker processes: what the pools of a node start, and what runs in them. Messages wait in mailboxes until the world
//! lets a process work.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::RunNumber;
use protocol::ids::InvocationId;
use protocol::worker::{FromWorker, Slice, TaskRun, ToWorker};
use runtime::stepped::{Launch, Link, WentOn, WorkerId};

use crate::coroutine::Coroutine;

/// What the pool has of a process.
#[derive(Default)]
pub struct Mail {
    inbox: Mutex<VecDeque<ToWorker>>,
    /// The strike word.
    pub word: AtomicU64,
    killed: Mutex<Option<String>>,
    closed: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mail {
    /// The next message; while user code waits for a fetch, only its answer.
    pub fn take(&self, fetching: bool) -> Option<ToWorker> {
        let mut inbox = locked(&self.inbox);
        if !fetching {
            return inbox.pop_front();
        }
        let at = inbox.iter().position(|message| matches!(message, ToWorker::Fetched { .. }))?;
        inbox.remove(at)
    }

    pub fn has(&self, fetching: bool) -> bool {
        let inbox = locked(&self.inbox);
        if fetching {
            return inbox.iter().any(|message| matches!(message, ToWorker::Fetched { .. }));
        }
        !inbox.is_empty()
    }

    /// Runs that wait in the mailbox.
    pub fn runs(&self) -> usize {
        locked(&self.inbox).iter().filter(|message| matches!(message, ToWorker::Start(_))).count()
    }

    /// Why the pool wants the process to end.
    pub fn killed(&self) -> Option<String> {
        let killed = locked(&self.killed).take();
        killed.or_else(|| self.closed.load(Ordering::Relaxed).then(|| "ended".to_owned()))
    }
}

struct SimLink {
    mail: Arc<Mail>,
}

impl Link for SimLink {
    fn send(&self, messages: Vec<ToWorker>) {
        locked(&self.mail.inbox).extend(messages);
    }

    fn word(&self) -> Option<u64> {
        Some(self.mail.word.load(Ordering::Relaxed))
    }

    fn kill(&self, reason: &str) {
        locked(&self.mail.killed).get_or_insert_with(|| reason.to_owned());
    }

    fn check(&self) {}
}

impl Drop for SimLink {
    fn drop(&mut self) {
        self.mail.closed.store(true, Ordering::Relaxed);
    }
}

/// Which kind of work a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Steps,
    Tasks,
}

/// Processes that were started and that the world does not know yet.
pub(super) type Board = Arc<Mutex<Vec<(Kind, WorkerId, Arc<Mail>)>>>;

/// Takes what is on the board.
pub(super) fn started(board: &Board) -> Vec<(Kind, WorkerId, Arc<Mail>)> {
    std::mem::take(&mut *locked(board))
}

/// Starts processes.
pub(super) struct SimLaunch {
    pub(super) kind: Kind,
    pub(super) board: Board,
}

impl Launch for SimLaunch {
    fn launch(&mut self, worker: WorkerId) -> io::Result<Box<dyn Link>> {
        let mail = Arc::new(Mail::default());
        locked(&self.board).push((self.kind, worker, Arc::clone(&mail)));
        Ok(Box::new(SimLink { mail }))
    }
}

/// What went on behind which run of a task.
pub(super) type Steps = BTreeMap<RunNumber, Box<WentOn>>;

/// A process.
pub struct Process {
    pub mail: Arc<Mail>,
    pub coroutines: BTreeMap<InvocationId, Coroutine>,
    /// Waits for the answer to a fetch.
    pub blocked: Option<Coroutine>,
    pub tasks: Vec<TaskRun>,
    /// Coroutines that went on from here: the pool does not know yet, or must be told that they are not here.
    pub went: BTreeSet<InvocationId>,
    /// Of task workers: what went on behind a task whose end was said, by its run.
    pub(super) went_on: Steps,
    /// The run that has just ended, and what it has left in its cells.
    pub left: Option<(RunNumber, Slice)>,
    /// It works, or has a turn coming.
    pub busy: bool,
    /// It was killed; the pool has not heard of it yet.
    pub dead: bool,
    pub busy_until: u64,
    /// Said and not heard yet: when it left the process, when it arrives.
    pub said: VecDeque<(u64, u64, FromWorker)>,
    /// Nothing that is said arrives before what was said earlier.
    pub heard_until: u64,
}

impl Process {
    pub fn new(mail: Arc<Mail>) -> Self {
        Self {
            mail,
            coroutines: BTreeMap::new(),
            blocked: None,
            tasks: Vec::new(),
            went: BTreeSet::new(),
            went_on: Steps::new(),
            left: None,
            busy: false,
            dead: false,
            busy_until: 0,
            said: VecDeque::new(),
            heard_until: 0,
        }
    }
}
