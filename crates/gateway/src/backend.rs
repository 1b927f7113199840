//! What the front door needs of a node, as a trait: [`runtime::NodeHandle`] has it, and tests have one that pretends.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use protocol::InvocationId;
use protocol::api::{Description, Invocations};
use protocol::manifest::Manifest;
use protocol::worker::ValueBytes;
use runtime::{Answer, Call, Health, NodeHandle, Page, Place, Refusal};

/// A running node. A future that is dropped means that its client went away: nothing of it may stay behind, except
/// that an accepted invocation goes on.
pub trait Backend: Send + Sync + 'static {
    /// The application that runs.
    fn manifest(&self) -> &Arc<Manifest>;

    /// Calls a method.
    fn submit(&self, call: Call) -> impl Future<Output = Answer> + Send;

    /// Waits for the result of an invocation, at most so long; then the reply is [`runtime::Reply::Running`].
    fn wait(&self, id: InvocationId, at_most: Duration) -> impl Future<Output = Answer> + Send;

    /// Cancels an invocation.
    fn cancel(&self, id: InvocationId, how: Cancel) -> impl Future<Output = Answer> + Send;

    /// Lets a parked invocation go on.
    fn resume(&self, id: InvocationId) -> impl Future<Output = Answer> + Send;

    /// A page of invocations.
    fn list(&self, page: Page) -> impl Future<Output = Result<Invocations, Refusal>> + Send;

    /// One invocation in full.
    fn describe(&self, id: InvocationId) -> impl Future<Output = Result<Description, Refusal>> + Send;

    /// A stored value: of a scalar field, of one entry, or of a whole dict field.
    fn state(&self, place: Place) -> impl Future<Output = Result<ValueBytes, Refusal>> + Send;

    /// How the node is.
    fn health(&self) -> Health;

    /// The node's numbers, as Prometheus text.
    fn metrics(&self) -> String;
}

/// How to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// Deliver `CancelledError`; the method may clean up.
    Deliver,
    /// Run no more code.
    Kill,
}

impl Backend for NodeHandle {
    fn manifest(&self) -> &Arc<Manifest> {
        self.manifest()
    }

    async fn submit(&self, call: Call) -> Answer {
        self.submit(call).await
    }

    async fn wait(&self, id: InvocationId, at_most: Duration) -> Answer {
        self.wait(id, at_most).await
    }

    async fn cancel(&self, id: InvocationId, how: Cancel) -> Answer {
        self.cancel(id, how == Cancel::Kill).await
    }

    async fn resume(&self, id: InvocationId) -> Answer {
        self.resume(id).await
    }

    async fn list(&self, page: Page) -> Result<Invocations, Refusal> {
        self.list(page).await
    }

    async fn describe(&self, id: InvocationId) -> Result<Description, Refusal> {
        self.describe(id).await
    }

    async fn state(&self, place: Place) -> Result<ValueBytes, Refusal> {
        self.state(place).await
    }

    fn health(&self) -> Health {
        self.health()
    }

    fn metrics(&self) -> String {
        runtime::metrics::prometheus(&self.metrics())
    }
}
