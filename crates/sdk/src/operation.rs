//! What a method can wait for: calls, timers, tasks, the ends of a transaction. A future that asks the server when it
//! is first polled, and is answered at its position in the program.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::worker::{OpKind, Target};
use protocol::{Value, msgpack};

use crate::error::{Error, NOT_STORABLE, Result, TRANSACTION};
use crate::run;
use crate::storable::Storable;
use crate::value;

/// An operation whose outcome is bytes.
#[derive(Debug)]
#[must_use = "nothing happens until it is awaited"]
pub(crate) struct Operation {
    state: State,
}

#[derive(Debug)]
enum State {
    /// What to ask for, or why it cannot be asked for.
    New(Result<OpKind>),
    Waiting(u64),
    Done,
}

impl Operation {
    pub(crate) fn new(kind: Result<OpKind>) -> Self {
        Self { state: State::New(kind) }
    }
}

impl Future for Operation {
    type Output = Result<Vec<u8>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let position = match std::mem::replace(&mut self.state, State::Done) {
            State::New(kind) => match kind.and_then(|kind| run::with("a call", |run| run.start(kind))) {
                Ok(position) => position,
                Err(error) => return Poll::Ready(Err(error)),
            },
            State::Waiting(position) => position,
            State::Done => panic!("an operation is polled after its end"),
        };
        match run::with("a call", |run| run.take_outcome(position, cx.waker())) {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                self.state = State::Waiting(position);
                Poll::Pending
            }
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let State::Waiting(position) = self.state {
            // Without a run, everything around it is being forgotten.
            run::try_with(|run| run.drop_operation(position));
        }
    }
}

/// A call of a method of another service: made when it is awaited, exactly once.
#[derive(Debug)]
#[must_use = "the call is made when it is awaited, or by `send`"]
pub struct Call<T> {
    operation: Operation,
    returns: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// A call; for generated clients.
    #[doc(hidden)]
    pub fn new(service: &str, key: Option<Result<Vec<u8>>>, method: &str, args: Vec<Result<Value>>) -> Self {
        let target = || -> Result<Target> {
            let args = args.into_iter().collect::<Result<Vec<_>>>()?;
            let args = msgpack::encode_args(&args, &[])
                .map_err(|error| Error::new(NOT_STORABLE, format!("the arguments of {service}.{method}: {error}")))?;
            Ok(Target { service: service.to_owned(), key: key.transpose()?, method: method.to_owned(), args })
        };
        Self { operation: Operation::new(target().map(OpKind::Call)), returns: PhantomData }
    }

    /// Makes the call without waiting for it: it runs once this step is durable, and nobody gets its result.
    pub fn send(mut self) -> Result<()> {
        let State::New(kind) = std::mem::replace(&mut self.operation.state, State::Done) else { return Ok(()) };
        let OpKind::Call(target) = kind? else { return Ok(()) };
        run::with("a send", |run| {
            if run.read_only {
                let text = format!("{} only reads, so it cannot send: take `&mut self`", run.target);
                return Err(Error::new("builtins.RuntimeError", text));
            }
            run.ask(OpKind::Send(target));
            Ok(())
        })
    }
}

impl<T> Unpin for Call<T> {}

impl<T: Storable> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.operation).poll(cx).map(|outcome| Ok(value::decode(&outcome?)?))
    }
}

/// Waits for a time, also over restarts. Refused in a transaction, whose locks it would hold.
pub async fn sleep(time: Duration) -> Result<()> {
    let kind = run::with("sleep()", |run| {
        if run.in_transaction() {
            let text = "sleep() inside a transaction would hold its locks; sleep before or after it";
            return Err(Error::new(TRANSACTION, text));
        }
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Ok(OpKind::Sleep(run.began().saturating_add(micros)))
    });
    Operation::new(kind).await.map(drop)
}
