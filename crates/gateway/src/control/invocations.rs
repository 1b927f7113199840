//! `/_/invocations`: list, describe, result, cancel, resume.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use protocol::InvocationId;
use protocol::api;
use protocol::problem::Code;
use runtime::Page;

use super::Shared;
use crate::address;
use crate::backend::{Backend, Cancel};
use crate::limits::{PAGE_DEFAULT, PAGE_MAX, WAIT_MAX, WAIT_MIN};
use crate::problem::Problem;
use crate::query::{self, Query};
use crate::reply;

const STATES: &[(&str, api::State)] = &[
    ("accepted", api::State::Accepted),
    ("running", api::State::Running),
    ("waiting", api::State::Waiting),
    ("parked", api::State::Parked),
    ("completed", api::State::Completed),
    ("failed", api::State::Failed),
    ("cancelled", api::State::Cancelled),
];

/// `GET /_/invocations?state=…&cursor=…&limit=…` (several states with commas between them)
pub(super) async fn list<B: Backend>(State(gateway): Shared<B>, uri: Uri) -> Result<Response, Problem> {
    let page = page(&Query::of(&uri)?)?;
    let invocations = gateway.backend.list(page).await?;
    document(serde_json::to_string(&invocations))
}

fn page(query: &Query) -> Result<Page, Problem> {
    let states = query.get("state").map(states).transpose()?.unwrap_or_default();
    let limit = query.number("limit")?.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    Ok(Page { states, cursor: query.get("cursor").map(str::to_owned), limit })
}

/// One state, or several with commas between them.
fn states(text: &str) -> Result<Vec<api::State>, Problem> {
    let known = |wanted: &str| STATES.iter().find(|(name, _)| *name == wanted).map(|(_, state)| *state);
    text.split(',').map(known).collect::<Option<_>>().ok_or_else(|| {
        let names: Vec<&str> = STATES.iter().map(|(name, _)| *name).collect();
        query::bad("state", text, &names.join(", "))
    })
}

/// `GET /_/invocations/{id}`
pub(super) async fn describe<B: Backend>(State(gateway): Shared<B>, uri: Uri) -> Result<Response, Problem> {
    let id = id(&uri)?;
    let description = gateway.backend.describe(id).await.map_err(|refusal| Problem::from(refusal).of(Some(id)))?;
    document(serde_json::to_string(&description))
}

/// `GET /_/invocations/{id}/result?wait=30s`
pub(super) async fn result<B: Backend>(State(gateway): Shared<B>, uri: Uri) -> Result<Response, Problem> {
    let id = id(&uri)?;
    let query = Query::of(&uri)?;
    let form = query.form()?;
    let at_most = query.duration("wait")?.unwrap_or(WAIT_MIN).clamp(WAIT_MIN, WAIT_MAX);
    Ok(reply::answer(gateway.backend.wait(id, at_most).await, form))
}

/// `DELETE /_/invocations/{id}?kill=1` and `POST /_/invocations/{id}/cancel?kill=1`
pub(super) async fn cancel<B: Backend>(State(gateway): Shared<B>, uri: Uri) -> Result<Response, Problem> {
    let id = id(&uri)?;
    let query = Query::of(&uri)?;
    let how = if query.switch("kill")? { Cancel::Kill } else { Cancel::Deliver };
    Ok(reply::operator(gateway.backend.cancel(id, how).await))
}

/// `POST /_/invocations/{id}/resume`
pub(super) async fn resume<B: Backend>(State(gateway): Shared<B>, uri: Uri) -> Result<Response, Problem> {
    let id = id(&uri)?;
    Ok(reply::operator(gateway.backend.resume(id).await))
}

/// Of `/_/invocations/{id}` and what lies below.
fn id(uri: &Uri) -> Result<InvocationId, Problem> {
    let segments = address::segments(uri.path())?;
    let text = segments.get(2).map_or("", AsRef::as_ref);
    text.parse().map_err(|cause| Problem::new(Code::UnknownInvocation, format!("`{text}` is no invocation: {cause}.")))
}

fn document(text: serde_json::Result<String>) -> Result<Response, Problem> {
    let text = text.map_err(|cause| Problem::new(Code::Internal, cause.to_string()))?;
    Ok(reply::json(StatusCode::OK, text))
}
