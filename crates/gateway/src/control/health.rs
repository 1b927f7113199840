//! `/_/health` and `/_/metrics`: for load balancers, supervisors and Prometheus.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use runtime::Health;
use serde_json::json;

use super::Shared;
use crate::backend::Backend;
use crate::reply;

/// `GET /_/health`: 200 if the node takes calls, else 503.
pub(super) async fn health<B: Backend>(State(gateway): Shared<B>) -> Response {
    let Health { ready, workers, has_room, durable_lag, closing } = gateway.backend.health();
    let (status, word) = if ready { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    let document = json!({
        "status": word,
        "workers": workers,
        "disk_has_room": has_room,
        "records_not_durable": durable_lag,
        "closing": closing,
        "deployment": gateway.backend.manifest().deployment.to_string(),
    });
    reply::json(status, document.to_string())
}

/// `GET /_/metrics`
pub(super) async fn metrics<B: Backend>(State(gateway): Shared<B>) -> Response {
    let text = gateway.backend.metrics() + &gateway.counters.render();
    reply::text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
}
