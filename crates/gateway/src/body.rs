//! Reading request bodies, bounded in size, in memory over all requests, and in silence.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use protocol::limits::BODY_BYTES_MAX;
use protocol::problem::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::{
    BODIES_BYTES_MAX, BODY_CHUNK_BYTES, BODY_SILENCE_MAX, REFUSED_BODY_BYTES_MAX, REFUSED_BODY_TIME_MAX,
};
use crate::problem::Problem;

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
    pub(crate) async fn read(&self, headers: &HeaderMap, mut body: Body) -> Result<Held, Problem> {
        if declared_len(headers).is_some_and(|len| len > BODY_BYTES_MAX as u64) {
            refuse(headers, body);
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let mut share: Option<OwnedSemaphorePermit> = None;
        while let Some(data) = next(&mut body).await? {
            if bytes.len() + data.len() > BODY_BYTES_MAX {
                refuse(headers, body);
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

/// Reads what is left of a body that nobody wants, up to a bound: beyond it the connection is closed.
pub(crate) async fn discard(mut body: Body) {
    let mut left = REFUSED_BODY_BYTES_MAX;
    while let Ok(Some(data)) = next(&mut body).await {
        if data.len() >= left {
            return;
        }
        left -= data.len();
    }
}

/// The next piece of data; `None` at the end.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = timeout(BODY_SILENCE_MAX, body.frame()).await.map_err(|_| silent(BODY_SILENCE_MAX))?;
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

/// A client that sends before it reads would see a broken connection instead of the answer: its bytes are dropped
/// for a while in the background. One that asked first (`Expect: 100-continue`) gets the answer at once.
fn refuse(headers: &HeaderMap, mut body: Body) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    tokio::spawn(timeout(REFUSED_BODY_TIME_MAX, async move {
        let mut dropped = 0;
        while let Ok(Some(data)) = next(&mut body).await {
            dropped += data.len();
            if dropped > REFUSED_BODY_BYTES_MAX {
                return;
            }
        }
    }));
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
