//! Answers of the node as HTTP responses.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::InvocationId;
use protocol::json::Form;
use protocol::message::Exception;
use protocol::worker::Outcome;
use runtime::{Answer, Reply};
use serde_json::{Value, json};

use crate::headers;
use crate::problem::Problem;
use crate::values;

/// A response with a body of text.
pub(crate) fn text(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON response.
pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    text(status, "application/json", body)
}

/// What the node says about an invocation.
pub(crate) fn answer(answer: Answer, form: Form) -> Response {
    let Answer { invocation, reply } = answer;
    let response = match reply {
        Reply::Done { outcome: Outcome::Value(bytes), keep_until, .. } => value(&bytes, form).map(|response| {
            let mut response = response;
            keep_until.inspect(|until| headers::put_expiry(response.headers_mut(), *until));
            response
        }),
        Reply::Done { outcome: Outcome::Exception(bytes), cancelled, keep_until } => {
            let mut response =
                Problem::exception(Exception::from_value(&bytes), cancelled).of(invocation).into_response();
            keep_until.inspect(|until| headers::put_expiry(response.headers_mut(), *until));
            Ok(response)
        }
        Reply::Accepted | Reply::Running => Ok(accepted(invocation)),
        Reply::Problem { code, detail } => Err(Problem::new(code, detail)),
    };
    let mut response = response.unwrap_or_else(|problem| problem.of(invocation).into_response());
    if let Some(id) = invocation {
        headers::put_invocation(response.headers_mut(), id);
    }
    response
}

/// What the node says to an operator's wish: a result that was there before is no answer to it.
pub(crate) fn operator(answer: Answer) -> Response {
    let Answer { invocation, reply } = answer;
    match reply {
        Reply::Problem { code, detail } => Problem::new(code, detail).of(invocation).into_response(),
        Reply::Accepted | Reply::Running => accepted(invocation),
        Reply::Done { .. } => {
            let id = invocation.map_or(Value::Null, |id| Value::from(id.to_string()));
            json(StatusCode::OK, json!({"id": id, "ended": true}).to_string())
        }
    }
}

fn value(bytes: &[u8], form: Form) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, values::to_json(bytes, form)?))
}

/// 202, and where to ask for the result.
fn accepted(invocation: Option<InvocationId>) -> Response {
    let id = invocation.map_or(Value::Null, |id| Value::from(id.to_string()));
    let mut response = json(StatusCode::ACCEPTED, json!({ "id": id }).to_string());
    if let Some(id) = invocation
        && let Ok(location) = HeaderValue::try_from(format!("/_/invocations/{id}/result"))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
