//! What all requests share, and the table of routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use protocol::problem::Code;
use tokio::sync::Semaphore;

use crate::backend::Backend;
use crate::body::Memory;
use crate::counters::Counters;
use crate::limits::Limits;
use crate::problem::Problem;
use crate::{calls, control};

/// The front door of one node.
#[derive(Debug)]
pub struct Gateway<B> {
    pub(crate) backend: B,
    pub(crate) bodies: Memory,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) calls: Semaphore,
    pub(crate) control: Semaphore,
    pub(crate) counters: Counters,
}

impl<B: Backend> Gateway<B> {
    /// A front door for this node.
    pub fn new(backend: B, limits: Limits) -> Self {
        Self {
            backend,
            bodies: Memory::new(),
            connections: Arc::new(Semaphore::new(limits.connections)),
            calls: Semaphore::new(limits.calls),
            control: Semaphore::new(limits.control_requests),
            counters: Counters::default(),
        }
    }

    /// The node.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// All routes.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/", get(|| async { Redirect::temporary("/_/") }))
            .merge(control::router(self))
            .fallback(calls::unrouted::<B>)
            .method_not_allowed_fallback(wrong_verb)
            .with_state(self.clone())
    }
}

/// (The router adds `Allow`.)
async fn wrong_verb(verb: Method, request: Request) -> Response {
    let detail = format!("`{}` takes another HTTP method than {verb}; see the header `Allow`.", request.uri().path());
    Problem::new(Code::MethodNotAllowed, detail).into_response()
}
