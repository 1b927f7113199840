//! Futures side by side: all of them, or the first. In program order, so that a replay does the same.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::error::{Error, Result, TIMED_OUT, TRANSACTION};
use crate::operation::sleep;
use crate::run;

/// A tuple of futures that [`join`] takes.
pub trait Join {
    /// The tuple of their outputs.
    type Output;

    /// Runs them to the end.
    fn join(self) -> impl Future<Output = Self::Output>;
}

/// Runs the futures of a tuple side by side and waits for all of them. They begin in order.
///
/// An `Err` ends nothing: the others run on, and each output says how it went.
pub async fn join<J: Join>(futures: J) -> J::Output {
    futures.join().await
}

macro_rules! join_tuple {
    ($($future:ident $place:tt),*) => {
        #[expect(non_snake_case, reason = "types and variables of one name")]
        impl<$($future: Future),*> Join for ($($future,)*) {
            type Output = ($($future::Output,)*);

            async fn join(self) -> Self::Output {
                $(let mut $future = Part::new(Box::pin(self.$place));)*
                std::future::poll_fn(|cx| {
                    let mut all = true;
                    $(all &= $future.poll(cx);)*
                    if all { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                ($($future.take(),)*)
            }
        }
    };
}

join_tuple!(A 0, B 1);
join_tuple!(A 0, B 1, C 2);
join_tuple!(A 0, B 1, C 2, D 3);
join_tuple!(A 0, B 1, C 2, D 3, E 4);
join_tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
join_tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
join_tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// A future and what came of it.
struct Part<F: Future> {
    future: F,
    output: Option<F::Output>,
}

impl<F: Future + Unpin> Part<F> {
    fn new(future: F) -> Self {
        Self { future, output: None }
    }

    /// True if it has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if self.output.is_none()
            && let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx)
        {
            self.output = Some(output);
        }
        self.output.is_some()
    }

    fn take(self) -> F::Output {
        self.output.expect("it has ended")
    }
}

/// Runs any number of futures side by side; their outputs in order. An `Err` ends nothing.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut parts: Vec<_> =
        futures.into_iter().map(|future| (Part::new(Box::pin(future)), Arc::new(Flag::default()))).collect();
    let mut left = parts.len();
    std::future::poll_fn(|cx| {
        for (part, flag) in parts.iter_mut().filter(|(part, _)| part.output.is_none()) {
            // Of hundreds, mostly one has something new.
            if flag.take(cx.waker()) && part.poll(&mut Context::from_waker(&Waker::from(Arc::clone(flag)))) {
                left -= 1;
            }
        }
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    parts.into_iter().map(|(part, _)| part.take()).collect()
}

/// Whether one of many futures wants to be polled.
#[derive(Default)]
struct Flag {
    polled: AtomicBool,
    woken: AtomicBool,
    parent: std::sync::Mutex<Option<Waker>>,
}

impl Flag {
    fn take(&self, parent: &Waker) -> bool {
        *self.parent.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(parent.clone());
        let first = !self.polled.swap(true, Ordering::Relaxed);
        self.woken.swap(false, Ordering::Relaxed) || first
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        let parent = self.parent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

/// Waits for a future, but not for ever: after `time` it is dropped, which cancels what it waits for, and the result is
/// an error ([`Error::is_timeout`]). Which came first is recorded. Refused in a transaction.
pub async fn timeout<T>(time: Duration, future: impl Future<Output = T>) -> Result<T> {
    if run::with("timeout()", |run| run.in_transaction()) {
        let text = "timeout() inside a transaction would hold its locks; use it around the transaction";
        return Err(Error::new(TRANSACTION, text));
    }
    let mut future = pin!(future);
    let mut timer = pin!(sleep(time));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        timer.as_mut().poll(cx).map(|passed| Err(passed.err().unwrap_or_else(|| Error::new(TIMED_OUT, ""))))
    })
    .await
}
