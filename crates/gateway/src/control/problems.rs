//! `/_/problems/{code}`: what a problem document's `type` leads to.

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use protocol::problem::Code;
use serde_json::{Value, json};

use crate::address;
use crate::pages;
use crate::problem::{Problem, type_uri};
use crate::reply;

/// `GET /_/problems`
pub(super) async fn list() -> Response {
    let codes: Value = Code::ALL
        .iter()
        .map(|code| {
            json!({
                "code": code.as_str(),
                "status": code.status(),
                "retryable": code.retryable(),
                "title": code.title(),
                "type": type_uri(*code),
            })
        })
        .collect();
    reply::json(StatusCode::OK, json!({ "problems": codes }).to_string())
}

/// `GET /_/problems/{code}`
pub(super) async fn page(uri: Uri) -> Result<Response, Problem> {
    let segments = address::segments(uri.path())?;
    let code = segments.get(2).map_or("", AsRef::as_ref);
    let page = pages::page(code).ok_or_else(|| {
        Problem::new(Code::UnknownAddress, format!("There is no problem `{code}`; see `/_/problems`."))
    })?;
    Ok(reply::text(StatusCode::OK, "text/markdown; charset=utf-8", page))
}
