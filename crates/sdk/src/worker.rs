//! Runs Rust services: messages of the server in, messages to the server out. It does no input or output but through
//! its [`Host`], so the simulator drives it like the server does.
//!
//! An invocation is a future. A step polls it until nothing in it can go on; results are handed over one by one, each
//! followed by polls, so that what came first is what the journal says. A future is dropped when its step must run again
//! and rebuilt by running the method over its journal.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::task::{Context, Poll, Wake, Waker};

use protocol::worker::{
    Delivered, FromWorker, Held, JournalStep, OpKind, Outcome, Resume, Start, StepEnd, StepStatus, ToWorker,
};
use protocol::{InvocationId, RunNumber, msgpack};

use crate::application::{Application, Registered};
use crate::cells::Changes;
use crate::error::{CANCELLED, Error, PANIC};
use crate::operation::Operation;
use crate::run::{self, Dead, Host, New, Run, Signal};
use crate::service::{Args, Invoked};
use crate::shelf::Shelf;
use crate::task;

type Future = Pin<Box<dyn std::future::Future<Output = Result<Vec<u8>, Error>> + Send>>;

/// Runs the steps of Rust services.
pub struct Worker {
    application: Application,
    host: Rc<RefCell<dyn Host>>,
    suspended: Arc<Shelf>,
}

/// A method that runs or waits.
pub(crate) struct Invocation {
    pub(crate) run: Option<Box<Run>>,
    future: Option<Future>,
    /// The future was polled before.
    polled: bool,
    result: Option<Result<Vec<u8>, Error>>,
}

impl Worker {
    /// A worker that asks this host for cells.
    pub fn new(application: Application, host: Rc<RefCell<dyn Host>>) -> Self {
        note_panics();
        Self { application, host, suspended: Arc::default() }
    }

    /// Where it keeps what is suspended.
    pub fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.suspended)
    }

    /// Does what a message asks. The answer to START or RESUME; other messages have none.
    pub fn handle(&mut self, message: ToWorker) -> Option<FromWorker> {
        let host = Rc::clone(&self.host);
        run::with_host(&host, || self.act(message))
    }

    fn act(&mut self, message: ToWorker) -> Option<FromWorker> {
        match message {
            ToWorker::Start(start) => Some(self.start(*start)),
            ToWorker::Resume(resume) => Some(self.resume(resume)),
            ToWorker::Evict(invocation) => {
                if let Some(invocation) = self.suspended.take(invocation) {
                    invocation.forget(Dead::Evicted);
                }
                None
            }
            // Answers to `Host::fetch` come by its return; tasks are not for this worker.
            ToWorker::Fetched { .. } | ToWorker::Task(_) | ToWorker::StopTask(_) => None,
        }
    }

    /// Coroutines that wait here.
    pub fn suspended(&self) -> usize {
        self.suspended.len()
    }

    fn start(&mut self, start: Start) -> FromWorker {
        if let Some(old) = self.suspended.take(start.invocation) {
            old.forget(Dead::Evicted);
        }
        let Some(registered) = self.application.find(&start.service).cloned() else {
            let text = format!("there is no service {}", start.service);
            return refused(start.run, start.invocation, &Error::new("sostenuto.CallError", text));
        };
        let id = start.invocation;
        let (invocation, end) = Invocation::execute(&registered, start);
        self.keep(id, invocation, end)
    }

    fn resume(&mut self, resume: Resume) -> FromWorker {
        let Some(mut invocation) = self.suspended.take(resume.invocation) else {
            // It went on from here with something that the server has not taken over (`Shelf::go_on`).
            return FromWorker::Dropped { run: resume.run };
        };
        if let Some(run) = &mut invocation.run {
            run.number = resume.run;
            run.begin_step(resume.clock, resume.slice);
        }
        let end = invocation.step(&resume.delivered);
        self.keep(resume.invocation, invocation, end)
    }

    fn keep(&mut self, id: InvocationId, invocation: Invocation, end: FromWorker) -> FromWorker {
        if matches!(&end, FromWorker::End(end) if end.status == StepStatus::Suspended) {
            self.suspended.put(id, invocation);
        } else {
            invocation.forget(Dead::Evicted);
        }
        end
    }
}

fn refused(run: RunNumber, invocation: InvocationId, error: &Error) -> FromWorker {
    let status = StepStatus::Raised(error.encode());
    FromWorker::End(Box::new(StepEnd { run, invocation, status, ..StepEnd::default() }))
}

impl Invocation {
    /// Runs the method from its beginning: over its journal, then one step more.
    fn execute(registered: &Registered, start: Start) -> (Self, FromWorker) {
        let method = registered.manifest.method(&start.method);
        let mut run = Run::new(New {
            number: start.run,
            invocation: start.invocation,
            service: Arc::clone(&registered.described),
            read_only: method.is_some_and(|method| method.read_only),
            method: start.method.clone(),
            key: start.key,
            seed: start.seed,
            joined: start.in_transaction,
        });
        let mut steps = start.journal.into_iter();
        let first = steps.next();
        match &first {
            None => run.begin_step(start.clock, start.slice.clone()),
            Some(step) => {
                run.replaying = true;
                run.begin_step(step.clock, step.reads.clone());
            }
        }
        let mut invocation = Self { run: Some(run), future: None, polled: false, result: None };
        invocation.begin(registered, &start.method, &start.args);
        let Some(first) = first else {
            let end = invocation.step(&start.delivered);
            return (invocation, end);
        };
        let mut replayed = invocation.replay(0, &first);
        for (index, step) in steps.enumerate() {
            if replayed.is_err() {
                break;
            }
            if let Some(run) = &mut invocation.run {
                run.begin_step(step.clock, step.reads.clone());
            }
            replayed = invocation.replay(index as u64 + 1, &step);
        }
        if let Err(departed) = replayed {
            return (invocation, *departed);
        }
        if let Some(run) = &mut invocation.run {
            run.replaying = false;
            run.begin_step(start.clock, start.slice);
        }
        let end = invocation.step(&start.delivered);
        (invocation, end)
    }

    /// Calls the method: it runs to its end, or becomes a future.
    fn begin(&mut self, registered: &Registered, method: &str, args: &[u8]) {
        let begun = self.within(|| {
            let args = match Args::decode(args) {
                Ok(args) => args,
                Err(error) => return Invoked::Done(Err(error)),
            };
            registered.begin(method, args).unwrap_or_else(|| {
                let text = format!("there is no method {}.{method}", registered.described.name);
                Invoked::Done(Err(Error::new("sostenuto.CallError", text)))
            })
        });
        match begun {
            Ok(Invoked::Done(result)) => self.result = Some(result),
            Ok(Invoked::Future(future)) => self.future = Some(future),
            Err(panicked) => self.result = panicked.map(Err),
        }
    }

    /// Runs user code with the run in its place. `Err(None)` if it was unwound on purpose.
    fn within<T>(&mut self, act: impl FnOnce() -> T) -> Result<T, Option<Error>> {
        let Some(run) = self.run.take() else { return Err(None) };
        run::enter(run);
        let result = catch_unwind(AssertUnwindSafe(act));
        self.run = run::leave();
        result.map_err(|payload| {
            if payload.is::<Signal>() {
                return None;
            }
            Some(panic_error())
        })
    }

    /// Hands over results and runs user code until nothing can go on.
    fn advance(&mut self, delivered: &[Delivered]) -> Result<(), String> {
        if !std::mem::replace(&mut self.polled, true) {
            self.poll();
        }
        for one in delivered {
            if self.result.is_some() || self.is_dead() {
                break;
            }
            let Some(run) = &mut self.run else { break };
            if one.position.is_empty() {
                run.cancel(&cancellation(&one.result));
            } else if !run.deliver(&one.position, &one.result) {
                return Err(format!(
                    "a result for position {} of {}, which waits for none there",
                    one.position, run.target
                ));
            }
            self.poll();
        }
        Ok(())
    }

    fn is_dead(&self) -> bool {
        self.run.as_ref().is_none_or(|run| run.dead.is_some())
    }

    /// Polls the future until it wants to wait.
    fn poll(&mut self) {
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        while let Some(mut future) = self.future.take().filter(|_| !self.is_dead()) {
            flag.0.store(false, Ordering::Relaxed);
            let polled = self.within(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
            match polled {
                Ok(Poll::Pending) => self.future = Some(future),
                Ok(Poll::Ready(result)) => self.result = Some(result),
                Err(panicked) => {
                    self.drop_future(future);
                    self.result = panicked.map(Err);
                }
            }
            self.end_fatally();
            if self.result.is_some() || !flag.0.load(Ordering::Relaxed) {
                break;
            }
        }
        self.leave_transaction();
    }

    /// What went wrong beside the method's result takes its place.
    fn end_fatally(&mut self) {
        let Some(run) = &mut self.run else { return };
        if run.dead.is_some() {
            return;
        }
        if let Some(error) = run.fatal.take() {
            self.result = Some(Err(error));
            if let Some(future) = self.future.take() {
                self.drop_future(future);
            }
        }
    }

    /// The method ended by a panic inside its transaction: that is rolled back before the invocation ends.
    fn leave_transaction(&mut self) {
        let Some(run) = self.run.as_mut().filter(|run| run.opened && run.dead.is_none()) else { return };
        let Some(Err(error)) = self.result.take_if(|result| result.is_err()) else { return };
        run.abandon_inner();
        run.opened = false;
        run.inside = false;
        self.future = Some(Box::pin(async move {
            Operation::new(Ok(OpKind::Rollback(error.encode()))).await?;
            Err(error)
        }));
        self.poll();
    }

    fn drop_future(&mut self, future: Future) {
        // A destructor that panics has nothing to tell any more.
        let _ = self.within(move || drop(future));
    }

    /// Runs a step; the message that ends it.
    pub(crate) fn step(&mut self, delivered: &[Delivered]) -> FromWorker {
        if let Err(text) = self.advance(delivered) {
            self.result = Some(Err(Error::new("sostenuto.InternalError", text)));
        }
        let Some(run) = &mut self.run else { unreachable!("a run stands in its place only while user code runs") };
        let failed = match run.dead.clone() {
            None => None,
            Some(Dead::Failed) => run.fatal.take(),
            Some(Dead::NotNow | Dead::Departed(_) | Dead::Evicted) => return FromWorker::Dropped { run: run.number },
        };
        let service = Arc::clone(&run.service);
        let mut changes = run.cells.finish(|field| service.name_of(field));
        let waits = run.waits();
        let status = match (failed, self.result.take()) {
            (Some(error), _) => {
                changes = Changes::default();
                run.ops.clear();
                StepStatus::NotStorable(error.encode())
            }
            (None, Some(Ok(value))) => StepStatus::Returned(value),
            (None, Some(Err(error))) => StepStatus::Raised(error.encode()),
            (None, None) if waits.is_empty() => {
                let text = format!("{} waits for something that is not durable; effects belong into tasks", run.target);
                StepStatus::Raised(Error::new("builtins.RuntimeError", text).encode())
            }
            (None, None) => StepStatus::Suspended,
        };
        let suspended = status == StepStatus::Suspended;
        FromWorker::End(Box::new(StepEnd {
            run: run.number,
            invocation: run.invocation,
            status,
            reads: changes.reads,
            whole_reads: changes.whole_reads,
            writes: changes.writes,
            ops: std::mem::take(&mut run.ops),
            wait_all: false,
            waits: if suspended { waits } else { Vec::new() },
            logs: std::mem::take(&mut run.output),
            doom: run.doom.take(),
            held: Held::default(),
        }))
    }

    /// Runs a step of the journal: it must do what it did the first time.
    fn replay(&mut self, index: u64, step: &JournalStep) -> Result<(), Box<FromWorker>> {
        let advanced = self.advance(&step.delivered);
        let Some(run) = &mut self.run else { unreachable!("a run stands in its place only while user code runs") };
        let texts: Vec<_> = run.ops.iter().map(|op| (op.position.clone(), op.kind.text())).collect();
        let goes_on = advanced.is_ok() && run.dead.is_none() && self.result.is_none();
        if goes_on && texts == step.ops {
            return Ok(());
        }
        let at = (0..).find(|at| texts.get(*at) != step.ops.get(*at)).unwrap_or_default();
        let show = |op: Option<&(String, String)>| op.map(|(position, text)| format!("at {position}: {text}"));
        let expected = show(step.ops.get(at)).unwrap_or_else(|| "suspended".to_owned());
        let actual = match (&run.dead, &self.result, show(texts.get(at))) {
            (Some(Dead::Departed(what)), ..) => what.clone(),
            (_, _, Some(op)) => op,
            (_, Some(Ok(_)), None) => "return".to_owned(),
            (_, Some(Err(error)), None) => format!("error {error}"),
            (_, None, None) => advanced.err().unwrap_or_else(|| format!("suspended on {}", run.waits().join(", "))),
        };
        let (run, invocation) = (run.number, run.invocation);
        Err(Box::new(FromWorker::Departed { run, invocation, step: index, expected, actual }))
    }

    /// Drops the future without any effect.
    pub(crate) fn forget(mut self, why: Dead) {
        if let Some(run) = &mut self.run {
            run.dead = Some(why);
        }
        if let Some(future) = self.future.take() {
            self.drop_future(future);
        }
    }
}

fn cancellation(result: &Outcome) -> Error {
    let told = match result {
        Outcome::Exception(bytes) if !bytes.is_empty() && bytes.as_slice() != msgpack::NONE => Error::decode(bytes),
        Outcome::Exception(_) | Outcome::Value(_) => Error::new(CANCELLED, ""),
    };
    if told.is_cancelled() { told } else { Error::new(CANCELLED, "") }
}

/// Whether a future wants to be polled again.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

thread_local! {
    /// Message and place of the last panic of a method or task in this thread.
    static PANICKED: Cell<Option<(String, String)>> = const { Cell::new(None) };
}

/// Panics of methods and tasks are results; others are shown as ever.
pub(crate) fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = std::panic::take_hook();
        let note_or_show = move |info: &PanicHookInfo<'_>| {
            if run::is_running() || task::is_running() { note(info) } else { shown(info) }
        };
        std::panic::set_hook(Box::new(note_or_show));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    let place = info.location().map(|place| format!("  at {}:{}:{}\n", place.file(), place.line(), place.column()));
    PANICKED.set(Some((text.unwrap_or_else(|| "a panic".to_owned()), place.unwrap_or_default())));
}

pub(crate) fn panic_error() -> Error {
    let (text, place) = PANICKED.take().unwrap_or_else(|| ("a panic".to_owned(), String::new()));
    let told = format!("panicked: {text}\n{place}");
    Error::new(PANIC, text).with_traceback(told)
}
