//! Transactions over several steps and services.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use protocol::worker::OpKind;

use crate::error::{ABORTED, Error, Result, TRANSACTION};
use crate::operation::Operation;
use crate::run;

/// Runs `body` as a transaction: serializable, over all services that it calls, all or nothing. An `Err` aborts it and
/// is returned. Conflicts with others are retried by the runtime and never seen. Inside another transaction it joins
/// that one; then an `Err` dooms the whole.
///
/// ```ignore
/// let booked = transaction(async {
///     let (room, seat) = join((self.hotel.reserve(hotel, user), self.flight.reserve(flight, user))).await;
///     if room? && seat? { Ok(()) } else { abort("sold out") }
/// });
/// ```
pub async fn transaction<T>(body: impl Future<Output = Result<T>>) -> Result<T> {
    let is_own = run::with("transaction()", |run| {
        if run.joined || run.inside {
            return Ok(false);
        }
        if run.opened || !run.waits().is_empty() {
            let text = "a transaction begins alone: await what was started before it, and do not join() two of them";
            return Err(Error::new(TRANSACTION, text));
        }
        Ok(true)
    })?;
    if !is_own {
        let result = body.await;
        if let Err(error) = &result {
            let exception = error.encode();
            run::with("transaction()", |run| {
                run.doom.get_or_insert(exception);
            });
        }
        return result;
    }
    let open = Open::begin().await?;
    let result = Inside { body: pin!(body) }.await;
    open.end();
    match result {
        Ok(value) => {
            Operation::new(Ok(OpKind::Commit)).await?;
            Ok(value)
        }
        Err(error) => {
            run::with("transaction()", run::Run::abandon_inner);
            Operation::new(Ok(OpKind::Rollback(error.encode()))).await?;
            Err(error)
        }
    }
}

/// Ends the transaction around it: `return abort("sold out");`. Nothing of it remains.
pub fn abort<T>(reason: impl Into<String>) -> Result<T> {
    if !run::with("abort()", |run| run.in_transaction()) {
        let text = "abort() outside a transaction: return an error of your own instead";
        return Err(Error::new(TRANSACTION, text));
    }
    Err(Error::new(ABORTED, reason))
}

/// A transaction that has begun and not ended.
struct Open {
    ended: bool,
}

impl Open {
    async fn begin() -> Result<Self> {
        let begin = Operation::new(Ok(OpKind::Begin)).await;
        run::with("transaction()", |run| run.opened = begin.is_ok());
        begin.map(|_| Self { ended: false })
    }

    fn end(mut self) {
        self.ended = true;
        run::with("transaction()", |run| run.opened = false);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        run::try_with(|run| {
            // A panic in the body unwinds through here, too; the worker then rolls back.
            if run.dead.is_none() && !std::thread::panicking() {
                let text =
                    "a transaction was dropped before its end; put timeout() or race() inside or around the method";
                run.fatal.get_or_insert(Error::new(TRANSACTION, text));
            }
        });
    }
}

/// Marks what is polled as being inside the transaction.
struct Inside<'a, F> {
    body: Pin<&'a mut F>,
}

impl<F: Future> Future for Inside<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        run::with("transaction()", |run| run.inside = true);
        let _mark = Mark;
        self.body.as_mut().poll(cx)
    }
}

/// Takes the mark away, also when the body panics.
struct Mark;

impl Drop for Mark {
    fn drop(&mut self) {
        run::try_with(|run| run.inside = false);
    }
}
