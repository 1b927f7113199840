//! A node as its callers see it: asynchronous calls, each of which becomes a message to the driver and an answer.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use engine::routing::{RouteError, route};
use engine::{Reply, Submit, Token};
use protocol::InvocationId;
use protocol::api::{Description, Invocations};
use protocol::manifest::Manifest;
use protocol::problem::Code;
use protocol::worker::ValueBytes;
use store::Space;
use tokio::sync::{oneshot, watch};

use crate::api::{Answer, Call, Page, Place, Refusal};
use crate::driver::{Event, Request};
use crate::error::NodeError;
use crate::limits;
use crate::metrics::{self, Health, Metric};
use crate::shared::{Phase, Shared, add};
use crate::sync::mpsc::Sender;

/// How a driver ended.
pub(crate) type Ended = watch::Receiver<Option<Result<(), NodeError>>>;

/// Access to a node. Cheap to clone. A future that is dropped takes its wait with it; an accepted invocation goes on.
#[derive(Clone)]
pub struct NodeHandle {
    shared: Arc<Shared>,
    events: Sender<Event>,
    ended: Ended,
}

/// Tells the driver when nobody waits for a token any more.
struct Waiter {
    token: Token,
    events: Sender<Event>,
    answered: bool,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if !self.answered {
            // A driver that has ended remembers nobody.
            let _ = self.events.send(Event::Forget(self.token));
        }
    }
}

impl NodeHandle {
    pub(crate) fn new(shared: Arc<Shared>, events: Sender<Event>, ended: Ended) -> Self {
        Self { shared, events, ended }
    }

    #[cfg(all(test, feature = "interleave"))]
    pub(crate) fn shared_for_tests(&self) -> &Shared {
        &self.shared
    }

    /// The application that runs.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.shared.manifest
    }

    /// Calls a method. The answer rests on durable records only.
    pub async fn submit(&self, call: Call) -> Answer {
        match self.prepare(call) {
            Ok(submit) => self.submit_prepared(submit).await,
            Err(refusal) => Answer::problem(None, refusal.code, refusal.detail),
        }
    }

    /// Gives a call its id, which says where it belongs.
    pub fn prepare(&self, call: Call) -> Result<Submit, Refusal> {
        self.admit(&call)?;
        let (entropy, seed) = self.draw().map_err(|error| {
            Refusal::new(Code::Unavailable, format!("no random bytes can be had from the system: {error}"))
        })?;
        let Call { service, key, method, args, idempotency_key, send } = call;
        let manifest = &self.shared.manifest;
        let id = route(manifest, &service, key.as_deref(), &method, &args, idempotency_key.as_deref(), entropy)
            .map_err(|error| route_refusal(error, &service, &method))?;
        Ok(Submit { token: 0, id, seed, service, key, method, args, idempotency_key, send })
    }

    /// Makes a prepared call, at the node that it belongs to.
    pub async fn submit_prepared(&self, submit: Submit) -> Answer {
        let token = self.shared.token();
        let submit = Box::new(Submit { token, ..submit });
        self.ask(token, |answer| Request::Submit { submit, answer }).await
    }

    /// Waits for the result of an invocation, at most so long; then the reply is [`Reply::Running`].
    pub async fn wait(&self, id: InvocationId, at_most: Duration) -> Answer {
        match tokio::time::timeout(at_most, self.result(id)).await {
            Ok(answer) => answer,
            Err(_) => Answer { invocation: Some(id), reply: Reply::Running },
        }
    }

    /// Waits for the result of an invocation, however long it takes.
    pub async fn result(&self, id: InvocationId) -> Answer {
        let token = self.shared.token();
        self.ask(token, |answer| Request::Wait { token, id, answer }).await
    }

    /// Cancels an invocation; with `kill` no more code of it runs.
    pub async fn cancel(&self, id: InvocationId, kill: bool) -> Answer {
        let token = self.shared.token();
        self.ask(token, |answer| Request::Cancel { token, id, kill, answer }).await
    }

    /// Lets a parked invocation go on.
    pub async fn resume(&self, id: InvocationId) -> Answer {
        let token = self.shared.token();
        self.ask(token, |answer| Request::Resume { token, id, answer }).await
    }

    /// A page of invocations in order of ids: unfinished ones, and finished ones whose results are kept.
    pub async fn list(&self, page: Page) -> Result<Invocations, Refusal> {
        let cursor = page.cursor.as_deref().map(str::parse).transpose();
        let after =
            cursor.map_err(|error| Refusal::new(Code::BadRequest, format!("the cursor is not one: {error}")))?;
        let limit = page.limit.clamp(1, limits::PAGE_ROWS_MAX);
        self.question(|answer| Request::List { states: page.states, after, limit, answer }).await?
    }

    /// One invocation in full.
    pub async fn describe(&self, id: InvocationId) -> Result<Description, Refusal> {
        let found = self.question(|answer| Request::Describe { id, answer }).await??;
        found.ok_or_else(|| Refusal::new(Code::UnknownInvocation, format!("no invocation {id}")))
    }

    /// The stored value at a place; of a whole dict field as a dict, in the order of iteration. Only what is durable.
    pub async fn state(&self, place: Place) -> Result<ValueBytes, Refusal> {
        self.question(|answer| Request::State { place, answer }).await?
    }

    /// How the node is.
    pub fn health(&self) -> Health {
        metrics::health(&self.shared)
    }

    /// The node's numbers.
    pub fn metrics(&self) -> Vec<Metric> {
        metrics::collect(&self.shared)
    }

    /// Ends the node: no new calls, running steps get a bounded time, everything recorded becomes durable.
    pub async fn shutdown(&self) -> Result<(), NodeError> {
        self.begin_shutdown();
        self.ended().await
    }

    /// Resolves when the node has ended, of itself or by a shutdown.
    pub async fn ended(&self) -> Result<(), NodeError> {
        let mut ended = self.ended.clone();
        let result = match ended.wait_for(Option::is_some).await {
            Ok(result) => result.clone(),
            Err(_) => None,
        };
        result.unwrap_or(Err(NodeError::Driver))
    }

    pub(crate) fn begin_shutdown(&self) {
        self.shared.enter(Phase::Closing);
        // A driver that has ended needs no word.
        let _ = self.events.send(Event::Shutdown);
    }

    /// May a call come in now?
    fn admit(&self, call: &Call) -> Result<(), Refusal> {
        let refusal = if self.shared.phase() != Phase::Open {
            Refusal::new(Code::Unavailable, "the node is shutting down")
        } else if self.shared.overloaded.load(Ordering::Relaxed) {
            Refusal::new(Code::Unavailable, "the node's storage does not keep up with its work")
        } else if self.leaves_nothing(call) {
            return Ok(());
        } else if self.shared.crowded.load(Ordering::Relaxed) {
            let detail = "the unfinished invocations take as much memory as they may, see --memory";
            Refusal::new(Code::TooManyInvocations, detail)
        } else if !self.shared.has_room() {
            self.no_room()
        } else {
            return Ok(());
        };
        add(&self.shared.counters.refused, 1);
        Err(refusal)
    }

    fn no_room(&self) -> Refusal {
        if self.shared.log().is_some_and(|log| log.stats().space == Space::Failed) {
            let detail = "no further file of the log can be made: the data directory's disk fails, and is not full; it is \
                          tried again, and calls are taken once it works";
            return Refusal::new(Code::Unavailable, detail);
        }
        Refusal::new(Code::DiskFull, "the data directory's disk is full; free some space, calls are then taken again")
    }

    /// Reading goes on when the disk is full.
    fn leaves_nothing(&self, call: &Call) -> bool {
        let method = self.shared.manifest.service(&call.service).and_then(|service| service.method(&call.method));
        method.is_some_and(|method| method.read_only) && call.idempotency_key.is_none() && !call.send
    }

    fn draw(&self) -> std::io::Result<([u8; 16], [u8; 32])> {
        let mut entropy = self.shared.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((entropy.take()?, entropy.take()?))
    }

    /// Sends a request under `token` and waits for its answer.
    async fn ask(&self, token: Token, request: impl FnOnce(oneshot::Sender<Answer>) -> Request) -> Answer {
        let (sender, answer) = oneshot::channel();
        if let Err(refusal) = self.send(request(sender)) {
            return Answer::problem(None, refusal.code, refusal.detail);
        }
        let mut waiter = Waiter { token, events: self.events.clone(), answered: false };
        let answer = answer.await;
        waiter.answered = true;
        answer.unwrap_or_else(|_| {
            let lost = ended();
            Answer::problem(None, lost.code, lost.detail)
        })
    }

    async fn question<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Refusal> {
        let (sender, answer) = oneshot::channel();
        self.send(request(sender))?;
        answer.await.map_err(|_| ended())
    }

    fn send(&self, request: Request) -> Result<(), Refusal> {
        let queued = &self.shared.requests_queued;
        if queued.fetch_add(1, Ordering::AcqRel) >= limits::REQUESTS_QUEUED_MAX {
            queued.fetch_sub(1, Ordering::AcqRel);
            add(&self.shared.counters.refused, 1);
            return Err(Refusal::new(Code::Unavailable, "too many requests wait already"));
        }
        self.events.send(Event::Request(request)).map_err(|_| ended())
    }
}

fn ended() -> Refusal {
    Refusal::new(
        Code::Unavailable,
        "the node ended before it answered; with an Idempotency-Key it is safe to ask again",
    )
}

fn route_refusal(error: RouteError, service: &str, method: &str) -> Refusal {
    match error {
        RouteError::UnknownService => Refusal::new(Code::UnknownService, format!("no service {service}")),
        RouteError::UnknownMethod => Refusal::new(Code::UnknownMethod, format!("{service} has no method {method}")),
        RouteError::KeyMismatch => Refusal::new(
            Code::UnknownAddress,
            format!("{service} is addressed with a key if and only if it is an entity"),
        ),
        RouteError::BadKey(detail) => Refusal::new(Code::BadKey, detail),
    }
}
