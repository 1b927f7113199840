//! The control API, `/_/…`: one file per group of routes.

mod health;
mod invocations;
mod page;
mod problems;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use protocol::problem::Code;

use crate::backend::Backend;
use crate::gateway::Gateway;
use crate::problem::Problem;

type Shared<B> = State<Arc<Gateway<B>>>;

pub(crate) fn router<B: Backend>(gateway: &Arc<Gateway<B>>) -> Router<Arc<Gateway<B>>> {
    let bounded = Router::new()
        .route("/_/invocations", get(invocations::list::<B>))
        .route("/_/invocations/{id}", get(invocations::describe::<B>).delete(invocations::cancel::<B>))
        .route("/_/invocations/{id}/result", get(invocations::result::<B>))
        .route("/_/invocations/{id}/cancel", post(invocations::cancel::<B>))
        .route("/_/invocations/{id}/resume", post(invocations::resume::<B>))
        .route("/_/state", get(state::catalogue::<B>))
        .route("/_/state/{*place}", get(state::read::<B>))
        .route_layer(from_fn_with_state(gateway.clone(), bounded::<B>));
    Router::new()
        .route("/_", get(page::page::<B>))
        .route("/_/", get(page::page::<B>))
        .route("/_/health", get(health::health::<B>))
        .route("/_/metrics", get(health::metrics::<B>))
        .route("/_/openapi.json", get(page::openapi::<B>))
        .route("/_/problems", get(problems::list))
        .route("/_/problems/{code}", get(problems::page))
        .merge(bounded)
}

/// Bounds the requests that ask partitions.
async fn bounded<B: Backend>(State(gateway): Shared<B>, request: Request, next: Next) -> Response {
    match gateway.control.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => Problem::new(Code::Unavailable, "Too many requests to the control API; try again.").into_response(),
    }
}
