//! The invocation that this thread executes at the moment: what its fields, calls and clock are answered from.
//!
//! While user code runs, its [`Run`] stands in a place of the thread, so that fields and calls need no handle to it.
//! User code that must not go on (a cell cannot be had now, a replay departed) is unwound; whatever its destructors
//! still ask for is answered without effect.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use protocol::worker::{FetchWhat, Op, OpKind, Outcome, Slice};
use protocol::{InvocationId, Micros, RunNumber};

use crate::cells::{Cells, FieldIndex};
use crate::describe::Described;
use crate::error::{Error, TRANSACTION};
use crate::task;

/// Gets cells that were not shipped. Implemented by whoever runs a [`crate::Worker`].
pub trait Host {
    /// What was asked for; `None`: not now, the step is dropped.
    fn fetch(&mut self, run: RunNumber, field: &str, what: FetchWhat) -> Option<Slice>;
}

/// Why user code of a run must not go on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Dead {
    /// A cell cannot be had now.
    NotNow,
    /// The replay does something else than the journal says: what it does.
    Departed(String),
    /// It was evicted.
    Evicted,
    /// It did what ends it at once; `fatal` says what.
    Failed,
}

/// What unwinds user code.
pub(crate) struct Signal;

/// An operation that was started.
#[derive(Default)]
pub(crate) struct Started {
    /// Who waits for it; nobody, if it was abandoned.
    pub(crate) waker: Option<Waker>,
    pub(crate) outcome: Option<Result<Vec<u8>, Error>>,
    /// Its result is of no interest any more.
    pub(crate) abandoned: bool,
    /// Started while the invocation's own transaction was open.
    pub(crate) inner: bool,
    /// The server can cancel it: a call, a timer or a task.
    pub(crate) can_cancel: bool,
    is_task: bool,
    /// Its outcome is the invocation's cancellation; its own may still come.
    cancelled: bool,
}

/// An invocation and its current step.
pub(crate) struct Run {
    pub(crate) number: RunNumber,
    pub(crate) invocation: InvocationId,
    pub(crate) service: Arc<Described>,
    /// `Service.method`.
    pub(crate) target: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) read_only: bool,
    seed: [u8; 32],
    /// Runs inside a caller's transaction.
    pub(crate) joined: bool,
    /// Our own transaction is open.
    pub(crate) opened: bool,
    /// The future that is polled is inside our own transaction.
    pub(crate) inside: bool,
    clock: Micros,
    ticks: u64,
    /// The step asked for the time.
    pub(crate) told_time: bool,
    draws: u64,
    positions: u64,
    pub(crate) replaying: bool,
    pub(crate) cells: Cells,
    pub(crate) started: BTreeMap<u64, Started>,
    /// Operations that the current step started.
    pub(crate) ops: Vec<Op>,
    pub(crate) output: Vec<(u8, String)>,
    /// A joined transaction was aborted in this step.
    pub(crate) doom: Option<Vec<u8>>,
    /// Ends the invocation with this exception, whatever the method returns.
    pub(crate) fatal: Option<Error>,
    pub(crate) dead: Option<Dead>,
}

thread_local! {
    static CURRENT: RefCell<Option<Box<Run>>> = const { RefCell::new(None) };
    /// Whom it asks for cells.
    static HOST: RefCell<Option<Rc<RefCell<dyn Host>>>> = const { RefCell::new(None) };
}

/// What a run is made of.
pub(crate) struct New {
    pub(crate) number: RunNumber,
    pub(crate) invocation: InvocationId,
    pub(crate) service: Arc<Described>,
    pub(crate) method: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) read_only: bool,
    pub(crate) seed: [u8; 32],
    pub(crate) joined: bool,
}

impl Run {
    pub(crate) fn new(new: New) -> Box<Self> {
        Box::new(Self {
            number: new.number,
            invocation: new.invocation,
            target: format!("{}.{}", new.service.name, new.method),
            service: new.service,
            key: new.key,
            read_only: new.read_only,
            seed: new.seed,
            joined: new.joined,
            opened: false,
            inside: false,
            clock: 0,
            ticks: 0,
            told_time: false,
            draws: 0,
            positions: 0,
            replaying: false,
            cells: Cells::default(),
            started: BTreeMap::new(),
            ops: Vec::new(),
            output: Vec::new(),
            doom: None,
            fatal: None,
            dead: None,
        })
    }

    /// Prepares everything that belongs to one step.
    pub(crate) fn begin_step(&mut self, clock: Micros, slice: Slice) {
        self.clock = clock;
        self.ticks = 0;
        self.told_time = false;
        self.ops.clear();
        self.output.clear();
        self.doom = None;
        self.cells = Cells::default();
        self.ship(slice);
    }

    fn ship(&mut self, slice: Slice) {
        let service = Arc::clone(&self.service);
        self.cells.ship(slice, |name| service.index_of(name));
    }

    /// The clock; each reading in a step is a microsecond later than the last.
    pub(crate) fn now(&mut self) -> Micros {
        let now = self.began() + self.ticks;
        self.ticks += 1;
        now
    }

    /// The clock when the step began.
    pub(crate) fn began(&mut self) -> Micros {
        self.told_time = true;
        self.clock
    }

    /// Bytes that nobody else draws and every replay draws again.
    pub(crate) fn draw(&mut self, bytes: &mut [u8]) {
        let mut hasher = blake3::Hasher::new_keyed(&self.seed);
        hasher.update(&self.draws.to_le_bytes());
        self.draws += 1;
        hasher.finalize_xof().fill(bytes);
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.joined || self.opened
    }

    /// Asks the server for something, whose answer will be delivered to the position.
    pub(crate) fn start(&mut self, kind: OpKind) -> Result<u64, Error> {
        if self.opened && !self.inside {
            let text = "an operation beside an open transaction; await the transaction first";
            return Err(Error::new(TRANSACTION, text));
        }
        let is_task = matches!(kind, OpKind::Task(_));
        let can_cancel = is_task || matches!(kind, OpKind::Call(_) | OpKind::Sleep(_));
        let position = self.ask(kind);
        self.started.insert(position, Started { inner: self.inside, can_cancel, is_task, ..Started::default() });
        Ok(position)
    }

    /// An operation to whose position nothing is delivered.
    pub(crate) fn ask(&mut self, kind: OpKind) -> u64 {
        let position = self.positions;
        self.positions += 1;
        self.ops.push(Op { position: position.to_string(), kind });
        position
    }

    /// Nobody waits for this operation any more: the server cancels it.
    pub(crate) fn drop_operation(&mut self, position: u64) {
        let Some(started) = self.started.get_mut(&position) else { return };
        if started.outcome.is_some() {
            self.started.remove(&position);
            return;
        }
        started.abandoned = true;
        started.waker = None;
        if started.can_cancel && self.dead.is_none() {
            self.ask(OpKind::Cancel(position.to_string()));
        }
    }

    /// The outcome of an operation, once.
    pub(crate) fn take_outcome(&mut self, position: u64, waker: &Waker) -> Option<Result<Vec<u8>, Error>> {
        let started = self.started.get_mut(&position)?;
        let Some(outcome) = started.outcome.take() else {
            started.waker = Some(waker.clone());
            return None;
        };
        if started.cancelled {
            started.abandoned = true;
        } else {
            self.started.remove(&position);
        }
        Some(outcome)
    }

    /// Our own transaction is rolled back: what it left running will get no results.
    pub(crate) fn abandon_inner(&mut self) {
        for started in self.started.values_mut().filter(|started| started.inner && started.outcome.is_none()) {
            started.abandoned = true;
            started.waker = None;
        }
    }

    /// Hands over one result. False if nobody ever asked for it.
    pub(crate) fn deliver(&mut self, position: &str, result: &Outcome) -> bool {
        let Some(started) = position.parse().ok().and_then(|position: u64| self.started.get_mut(&position)) else {
            return false;
        };
        if started.abandoned {
            return true;
        }
        started.outcome = Some(match result {
            Outcome::Value(bytes) => Ok(bytes.clone()),
            Outcome::Exception(bytes) => Err(Error::decode(bytes)),
        });
        if let Some(waker) = started.waker.take() {
            waker.wake();
        }
        true
    }

    /// The invocation is cancelled: everything that it waits for fails.
    pub(crate) fn cancel(&mut self, error: &Error) {
        for started in self.started.values_mut().filter(|started| !started.abandoned && started.outcome.is_none()) {
            started.outcome = Some(Err(error.clone()));
            started.cancelled = true;
            if let Some(waker) = started.waker.take() {
                waker.wake();
            }
        }
    }

    /// Positions whose results let something go on.
    pub(crate) fn waits(&self) -> Vec<String> {
        self.awaited().map(|(position, _)| position.to_string()).collect()
    }

    /// Waits for the result of this task, and for nothing else.
    pub(crate) fn waits_for_task(&self, position: &str) -> bool {
        let mut awaited = self.awaited();
        let first = awaited.next().filter(|(at, started)| started.is_task && position.parse() == Ok(**at));
        first.is_some() && awaited.next().is_none()
    }

    fn awaited(&self) -> impl Iterator<Item = (&u64, &Started)> {
        self.started.iter().filter(|(_, started)| !started.abandoned && started.outcome.is_none())
    }

    /// Has this cell, or this field as a whole, in hand. False if the run is over.
    fn fetch(&mut self, field: FieldIndex, what: FetchWhat) -> bool {
        if self.dead.is_some() {
            return false;
        }
        let name = self.service.name_of(field);
        if self.replaying {
            self.dead = Some(Dead::Departed(format!("a read of {}.{name}", self.service.name)));
            return false;
        }
        // The step's output goes before: nobody waits for it, but the order of a log file tells something.
        let host = HOST.with_borrow(Option::clone);
        let shipped = host.and_then(|host| host.borrow_mut().fetch(self.number, &name, what));
        match shipped {
            Some(slice) => self.ship(slice),
            None => self.dead = Some(Dead::NotNow),
        }
        self.dead.is_none()
    }
}

/// Answers what runs ask for meanwhile. Without it, cells that were not shipped cannot be had.
pub(crate) fn with_host<T>(host: &Rc<RefCell<dyn Host>>, act: impl FnOnce() -> T) -> T {
    let before = HOST.replace(Some(Rc::clone(host)));
    let done = act();
    HOST.set(before);
    done
}

/// Puts a run in its place; returns what was there.
pub(crate) fn enter(run: Box<Run>) {
    CURRENT.with_borrow_mut(|current| *current = Some(run));
}

/// Takes the run out of its place.
pub(crate) fn leave() -> Option<Box<Run>> {
    CURRENT.with_borrow_mut(Option::take)
}

/// Whether this thread executes an invocation.
pub(crate) fn is_running() -> bool {
    // Borrowed for a change: there is one to be changed.
    CURRENT.with(|current| current.try_borrow().map_or(true, |current| current.is_some()))
}

/// Whether this thread executes an invocation that is to go on.
pub(crate) fn is_alive() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(|run| run.dead.is_none()))
}

/// Does something with the current run. `what` is named if there is none.
///
/// # Panics
///
/// Outside of an invocation's method.
pub(crate) fn with<T>(what: &str, act: impl FnOnce(&mut Run) -> T) -> T {
    match try_with(act) {
        Some(done) => done,
        // Not while the place is borrowed: whoever is told of the panic looks there.
        None if task::is_running() => panic!(
            "{what} in a task: a task cannot use fields, make calls, sleep durably or run transactions; do it in the \
             method that runs it"
        ),
        None => panic!("{what} outside of a method: nothing runs that it could belong to"),
    }
}

/// The same, if there is a run.
pub(crate) fn try_with<T>(act: impl FnOnce(&mut Run) -> T) -> Option<T> {
    CURRENT.with_borrow_mut(|current| current.as_mut().map(|run| act(run)))
}

/// Reads a cell, after fetching it if need be. Unwinds user code if the run is over.
pub(crate) fn read<T>(field: FieldIndex, key: Option<&[u8]>, take: impl FnOnce(Option<&[u8]>) -> T) -> T {
    let alive = with("a persistent field", |run| match run.cells.missing(field, key) {
        Some(what) => run.fetch(field, what),
        None => run.dead.is_none(),
    });
    if !alive {
        unwind();
        return take(None);
    }
    let held = with("a persistent field", |run| run.cells.look(field, key).map(<[u8]>::to_vec));
    take(held.as_deref())
}

/// The bytes of what a field begins with.
pub(crate) fn initial(field: FieldIndex) -> Vec<u8> {
    with("a persistent field", |run| run.service.initial(field).to_vec())
}

/// All entries of a field in order.
pub(crate) fn scan(field: FieldIndex) -> Vec<(Vec<u8>, Vec<u8>)> {
    let alive = with("a persistent field", |run| match run.cells.is_whole(field) {
        false => run.fetch(field, FetchWhat::Whole),
        true => run.dead.is_none(),
    });
    if !alive {
        unwind();
        return Vec::new();
    }
    with("a persistent field", |run| run.cells.scan(field))
}

/// Writes a cell; `None` deletes it.
pub(crate) fn write(field: FieldIndex, key: Option<&[u8]>, value: Option<Vec<u8>>) {
    with("a persistent field", |run| {
        if run.dead.is_some() {
            return;
        }
        match value {
            Some(value) => run.cells.put(field, key, value),
            None => run.cells.delete(field, key),
        }
    });
}

/// Leaves user code, unless that is under way: a second panic would end the process.
pub(crate) fn unwind() {
    if !std::thread::panicking() && !with("", |run| run.dead == Some(Dead::Evicted)) {
        resume_unwind(Box::new(Signal));
    }
}

/// The invocation ends at once with this exception, and nothing of the step remains.
pub(crate) fn fail(error: Error) {
    with("a persistent field", |run| {
        if run.dead.is_none() {
            run.fatal = Some(error);
            run.dead = Some(Dead::Failed);
        }
    });
    unwind();
}
