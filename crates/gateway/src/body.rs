//! Reading request bodies, bounded in size, in memory over all requests, and in silence; and not reading them.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use protocol::limits::BODY_BYTES_MAX;
use protocol::problem::Code;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::{
    BODIES_BYTES_MAX, BODY_CHUNK_BYTES, BODY_SILENCE_MAX, REFUSED_BODY_BYTES_MAX, REFUSED_BODY_TIME_MAX,
};
use crate::problem::Problem;

/// A request's body as it comes. What a handler leaves unread (it found something wrong before, or wants no body) is
/// read and dropped in the background for a while: else the connection would be closed under a client that sends all of
/// it, or already its next request, before it reads the answer.
#[derive(Debug)]
pub(crate) struct Unread {
    body: Option<Incoming>,
    /// The client waits to be asked for the body (`Expect: 100-continue`), and was not.
    unasked: bool,
}

impl Unread {
    pub(crate) fn new(head: &HeaderMap, body: Incoming) -> Self {
        Self { body: Some(body), unasked: head.contains_key(header::EXPECT) }
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.unasked = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if self.unasked || self.is_end_stream() {
            return;
        }
        // Without a runtime the server is ending, and its connections with it.
        if let (Some(body), Ok(runtime)) = (self.body.take(), Handle::try_current()) {
            runtime.spawn(timeout(REFUSED_BODY_TIME_MAX, discard(body)));
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut left = REFUSED_BODY_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let len = frame.data_ref().map_or(0, Bytes::len);
        if len > left {
            return;
        }
        left -= len;
    }
}

/// A body that comes in pieces.
pub(crate) trait Readable: HttpBody<Data = Bytes, Error: Display> + Unpin {}

impl<B: HttpBody<Data = Bytes, Error: Display> + Unpin> Readable for B {}

/// Memory for the bodies of all requests.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Semaphore>);

/// A body in memory, and its share of [`Memory`].
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    _share: Option<OwnedSemaphorePermit>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BODIES_BYTES_MAX / BODY_CHUNK_BYTES)))
    }

    /// Reads a body to its end.
    pub(crate) async fn read(&self, headers: &HeaderMap, mut body: impl Readable) -> Result<Held, Problem> {
        if declared_len(headers).is_some_and(|len| len > BODY_BYTES_MAX as u64) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let mut share: Option<OwnedSemaphorePermit> = None;
        while let Some(data) = next(&mut body).await? {
            if bytes.len() + data.len() > BODY_BYTES_MAX {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
            self.grow(&mut share, bytes.len())?;
        }
        Ok(Held { bytes, _share: share })
    }

    /// Makes `share` large enough for `len` bytes. The first chunk of a body is free.
    fn grow(&self, share: &mut Option<OwnedSemaphorePermit>, len: usize) -> Result<(), Problem> {
        let held = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = (len / BODY_CHUNK_BYTES).saturating_sub(held);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let permit = self.0.clone().try_acquire_many_owned(more).map_err(|_| {
            Problem::new(Code::Unavailable, "The memory for request bodies is used up; try again.").closing()
        })?;
        match share {
            Some(share) => share.merge(permit),
            None => *share = Some(permit),
        }
        Ok(())
    }
}

/// The next piece of data; `None` at the end.
async fn next(body: &mut impl Readable) -> Result<Option<Bytes>, Problem> {
    loop {
        let mut frame = body.frame();
        // Most bodies have come with their head: a timer is for those that have not.
        let frame = match poll_fn(|context| Poll::Ready(Pin::new(&mut frame).poll(context))).await {
            Poll::Ready(frame) => frame,
            Poll::Pending => timeout(BODY_SILENCE_MAX, frame).await.map_err(|_| silent(BODY_SILENCE_MAX))?,
        };
        match frame {
            None => return Ok(None),
            Some(Err(cause)) => {
                return Err(Problem::new(Code::BadRequest, format!("The body broke off: {cause}.")).closing());
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn declared_len(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large() -> Problem {
    Problem::new(Code::BodyTooLarge, format!("The body is over {BODY_BYTES_MAX} bytes.")).closing()
}

fn silent(time: Duration) -> Problem {
    Problem::new(Code::BadRequest, format!("No more of the body came for {} s.", time.as_secs())).closing()
}
