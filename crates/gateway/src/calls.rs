//! Calls of methods: `POST /{Service}/{method}` and `POST /{Entity}/{key}/{method}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method as Verb, Request, header, request};
use axum::response::{IntoResponse, Response};
use protocol::json::Form;
use protocol::manifest::Manifest;
use protocol::problem::Code;
use runtime::Call;

use crate::address::{self, Address};
use crate::backend::Backend;
use crate::body::Readable;
use crate::gateway::Gateway;
use crate::problem::Problem;
use crate::query::Query;
use crate::{headers, reply, values};

/// Can a call be at this path? Calls need no router, which costs as much as the rest of the way to their method.
pub(crate) fn may_be_at(path: &str) -> bool {
    path.len() > 1 && !path.starts_with("/_")
}

/// What the router has nothing for.
pub(crate) async fn unrouted<B: Backend>(State(gateway): State<Arc<Gateway<B>>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    call(&gateway, &head, body).await
}

/// Takes a call, or says what is wrong with it.
pub(crate) async fn call<B: Backend>(gateway: &Gateway<B>, head: &request::Parts, body: impl Readable) -> Response {
    match take(gateway, head, body).await {
        Ok(response) => response,
        Err(problem) => {
            let wrong_verb = problem.code() == Code::MethodNotAllowed;
            let mut response = problem.into_response();
            if wrong_verb {
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            response
        }
    }
}

async fn take<B: Backend>(
    gateway: &Gateway<B>,
    head: &request::Parts,
    body: impl Readable,
) -> Result<Response, Problem> {
    let address = address::resolve(gateway.backend.manifest(), head.uri.path())?;
    if head.method != Verb::POST {
        let detail = format!("Methods are called with POST, not {}.", head.method);
        return Err(Problem::new(Code::MethodNotAllowed, detail));
    }
    let form = Query::of(&head.uri)?.form()?;
    let idempotency_key = headers::idempotency_key(&head.headers)?;
    let _place = gateway.calls.try_acquire().map_err(|_| overloaded())?;
    let body = gateway.bodies.read(&head.headers, body).await?;
    let call = Call {
        idempotency_key,
        send: address.send || headers::prefers_send(&head.headers),
        ..checked(gateway.backend.manifest(), &address, &body.bytes, form)?
    };
    drop(body);
    Ok(reply::answer(gateway.backend.submit(call).await, form))
}

/// The call, if its key and arguments fit the method.
fn checked(manifest: &Manifest, address: &Address<'_>, body: &[u8], form: Form) -> Result<Call, Problem> {
    let Address { service, key, method, .. } = address;
    let key = match (key, &service.entity_key) {
        (Some(text), Some(ty)) => Some(values::entity_key(manifest, text, ty)?),
        _ => None,
    };
    let args = values::arguments(manifest, method, body, form)?;
    Ok(Call { service: service.name.clone(), key, method: method.name.clone(), args, ..Call::default() })
}

fn overloaded() -> Problem {
    Problem::new(Code::Unavailable, "Too many calls wait for their reply on this node; try again.")
}
