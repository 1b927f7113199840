//! Tasks: functions with outside effects. A method asks the server for one and gets its recorded result; a thread of the
//! server runs it, as often as its policy and crashes want it, by [`Application::run_task`].
//!
//! Nothing of a task is replayed: time, chance and output are the world's own.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::worker::{OpKind, Outcome, RUST_TASK, TaskCall, TaskRun};
use protocol::{Value, msgpack};
use serde::Serialize;

use crate::application::Application;
use crate::error::{CANCELLED, Error, NOT_STORABLE, Result, TIMED_OUT, TRANSACTION};
use crate::operation::Operation;
use crate::run;
use crate::service::Args;
use crate::storable::Storable;
use crate::value;
use crate::worker::{note_panics, panic_error};

/// How a task is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Tries after the first one that failed.
    pub retries: u32,
    /// How long one try may take.
    pub timeout: Option<Duration>,
    /// Pause after the first try; doubles with each.
    pub backoff: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// It has no outside effect, so it need not wait until what came before it is durable.
    pub pure: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retries: 0,
            timeout: Some(Duration::from_secs(60)),
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            pure: false,
        }
    }
}

/// A function that is a task: implemented by `#[task]`, for a type of the function's name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no task",
    label = "not a function with `#[task]`",
    note = "a task is a function of a module with the attribute `#[task]`; it is registered by its name: \
            `Application::new().task::<charge>()`"
)]
pub trait TaskFunction: 'static {
    /// `shop::billing.charge`.
    const NAME: &'static str;

    /// It is an `async fn`.
    const IS_ASYNC: bool;

    /// How it is run.
    fn policy() -> Policy;

    /// One try.
    fn begin(args: Args) -> Result<Work>;
}

/// The future of a task's body.
pub type WorkFuture = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// One try of a task.
pub enum Work {
    /// It blocks its thread until it has ended.
    Plain(Box<dyn FnOnce() -> Ended + Send>),
    /// It is to be polled.
    Future(WorkFuture),
}

impl Work {
    /// Of a function that is no `async fn`.
    pub fn plain<T: Serialize>(name: &'static str, body: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        Self::Plain(Box::new(move || Ended::of(name, body())))
    }

    /// Of an `async fn`.
    pub fn future<T: Serialize>(name: &'static str, body: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self::Future(Box::pin(async move { Ended::of(name, body.await) }))
    }
}

/// What came of a try.
#[derive(Debug)]
pub struct Ended {
    result: Result<Vec<u8>>,
    is_final: bool,
}

impl Ended {
    fn of<T: Serialize>(name: &str, result: Result<T>) -> Self {
        match result.map(|value| value::encode(&value)) {
            Ok(Ok(bytes)) => Self { result: Ok(bytes), is_final: false },
            Err(error) => Self { result: Err(error), is_final: false },
            // The effect has happened; another try would not make the result another one.
            Ok(Err(mismatch)) => {
                Self::finally(value::not_storable(&format!("the result of the task {name}"), &mismatch))
            }
        }
    }

    fn finally(error: Error) -> Self {
        Self { result: Err(error), is_final: true }
    }

    fn outcome(self) -> (Outcome, bool) {
        match self.result {
            Ok(bytes) => (Outcome::Value(bytes), self.is_final),
            Err(error) => (Outcome::Exception(error.encode()), self.is_final),
        }
    }
}

/// Why whoever polls the future of a try has dropped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// Its time limit is over.
    Late,
    /// Nobody wants its result any more.
    Stopped,
}

/// Takes what a task prints: the stream and a line.
pub type TaskOutput = Box<dyn Fn(u8, String)>;

impl Application {
    /// Runs a try of a task in this thread, to its end. `wait` polls what an `async fn` is. What came of it, and whether
    /// another try is of no use.
    pub fn run_task(
        &self,
        task: &TaskRun,
        output: TaskOutput,
        wait: impl FnOnce(WorkFuture) -> Result<Ended, Interrupted>,
    ) -> (Outcome, bool) {
        note_panics();
        let _inside = Inside::enter(output);
        let name = task.function.rsplit('.').next().unwrap_or_default();
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let args = Args::of_task(name, &task.args);
            match args.and_then(|args| self.find_task(&task.function)?(args)) {
                Ok(Work::Plain(body)) => body(),
                Ok(Work::Future(future)) => wait(future).unwrap_or_else(|why| interrupted(name, task, why)),
                Err(error) => Ended::finally(error),
            }
        }));
        ran.unwrap_or_else(|_| Ended { result: Err(panic_error()), is_final: false }).outcome()
    }

    fn find_task(&self, function: &str) -> Result<fn(Args) -> Result<Work>> {
        let own = function.strip_prefix(RUST_TASK).and_then(|name| self.tasks.get(name));
        own.copied().ok_or_else(|| {
            let (name, path) = (function.rsplit('.').next().unwrap_or_default(), function.trim_start_matches(RUST_TASK));
            let text = format!(
                "this program has no task {path}: add `.task::<{name}>()` to its Application; if the function was moved \
                 or renamed, what asked for it before needs the old one"
            );
            Error::new("sostenuto.CallError", text)
        })
    }
}

fn interrupted(name: &str, task: &TaskRun, why: Interrupted) -> Ended {
    match why {
        Interrupted::Late => {
            let seconds = Duration::from_micros(task.timeout.unwrap_or_default()).as_secs_f64();
            let told = format!("the task {name} took longer than its timeout of {seconds} s");
            Ended { result: Err(Error::new(TIMED_OUT, told)), is_final: false }
        }
        Interrupted::Stopped => Ended::finally(Error::new(CANCELLED, "")),
    }
}

thread_local! {
    /// What takes the output of the task that this thread runs.
    static CURRENT: RefCell<Option<TaskOutput>> = const { RefCell::new(None) };
}

/// Marks the thread as one that runs a task.
struct Inside;

impl Inside {
    fn enter(output: TaskOutput) -> Self {
        CURRENT.with_borrow_mut(|current| *current = Some(output));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| *current = None);
    }
}

/// Whether this thread runs a task.
pub(crate) fn is_running() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// Takes a line if this thread runs a task, else gives it back.
pub(crate) fn print(stream: u8, text: String) -> Option<String> {
    CURRENT.with_borrow(|current| match current {
        Some(output) => {
            output(stream, text);
            None
        }
        None => Some(text),
    })
}

/// A task that a method asks for when it is awaited: it runs at least once, its result is recorded once.
///
/// Awaited elsewhere (in another task, in a test) it is the function itself, run once.
#[must_use = "the task is asked for when it is awaited"]
pub struct Task<T> {
    state: State,
    begin: fn(Args) -> Result<Work>,
    returns: PhantomData<fn() -> T>,
}

enum State {
    /// What to ask for, or why it cannot be asked for; nothing once that was told.
    New(Option<Result<TaskCall>>),
    Asked(Operation),
    Here(WorkFuture),
}

impl<T> Task<T> {
    /// A task; for what `#[task]` makes.
    #[doc(hidden)]
    pub fn of<F: TaskFunction>(args: Vec<Result<Value>>) -> Self {
        let call = || -> Result<TaskCall> {
            let args = args.into_iter().collect::<Result<Vec<_>>>()?;
            let args = msgpack::encode_args(&args, &[])
                .map_err(|error| Error::new(NOT_STORABLE, format!("the arguments of {}: {error}", F::NAME)))?;
            let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            let policy = F::policy();
            Ok(TaskCall {
                function: format!("{RUST_TASK}{}", F::NAME),
                args,
                retries: policy.retries,
                timeout: policy.timeout.map(micros),
                backoff: micros(policy.backoff),
                backoff_max: micros(policy.backoff_max),
                is_pure: policy.pure,
                is_async: F::IS_ASYNC,
            })
        };
        Self { state: State::New(Some(call())), begin: F::begin, returns: PhantomData }
    }

    fn start(&self, call: TaskCall) -> Result<State> {
        let name = call.name().to_owned();
        let Some(inside) = run::try_with(|run| run.in_transaction()) else {
            let future: WorkFuture = match (self.begin)(Args::of_task(&name, &call.args)?)? {
                Work::Plain(body) => Box::pin(async move { body() }),
                Work::Future(future) => future,
            };
            return Ok(State::Here(future));
        };
        if inside {
            let text =
                format!("the task {name} inside a transaction could run more than once; run it before or after it");
            return Err(Error::new(TRANSACTION, text));
        }
        Ok(State::Asked(Operation::new(Ok(OpKind::Task(call)))))
    }
}

impl<T> Unpin for Task<T> {}

impl<T> std::fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.state {
            State::New(Some(Ok(call))) => write!(f, "<task {}>", call.name()),
            State::New(_) | State::Asked(_) | State::Here(_) => f.write_str("<task>"),
        }
    }
}

impl<T: Storable> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::New(call) = &mut self.state
            && let Some(call) = call.take()
        {
            match call.and_then(|call| self.start(call)) {
                Ok(state) => self.state = state,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let outcome = match &mut self.state {
            State::Asked(operation) => Pin::new(operation).poll(cx),
            State::Here(future) => future.as_mut().poll(cx).map(|ended| ended.result),
            State::New(_) => panic!("a task is polled after its end"),
        };
        outcome.map(|outcome| Ok(value::decode(&outcome?)?))
    }
}
