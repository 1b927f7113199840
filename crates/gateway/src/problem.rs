//! Problem documents (RFC 9457): the one form in which this server says that something went wrong.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::InvocationId;
use protocol::message::Exception;
use protocol::problem::{Code, Source};
use runtime::Refusal;
use serde_json::{Map, Value, json};

use crate::{headers, reply};

/// Seconds after which a client may try again.
const RETRY_AFTER_SECONDS: u32 = 1;
/// The same for a full disk, which does not empty itself.
const RETRY_AFTER_FULL_DISK_SECONDS: u32 = 30;

/// A problem on its way to a client. (A box, because most results are none.)
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.detail)]
pub(crate) struct Problem(Box<Content>);

#[derive(Debug)]
struct Content {
    code: Code,
    detail: String,
    arguments: Vec<ArgumentProblem>,
    exception: Option<Exception>,
    near: Vec<String>,
    invocation: Option<InvocationId>,
    connection: Connection,
}

/// What is wrong with one argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArgumentProblem {
    pub(crate) name: String,
    pub(crate) problem: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Keep,
    Close,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Content {
            code,
            detail: detail.into(),
            arguments: vec![],
            exception: None,
            near: vec![],
            invocation: None,
            connection: Connection::Keep,
        }))
    }

    /// Arguments that do not fit.
    pub(crate) fn arguments(detail: impl Into<String>, arguments: Vec<ArgumentProblem>) -> Self {
        let mut problem = Self::new(Code::BadArguments, detail);
        problem.0.arguments = arguments;
        problem
    }

    /// An exception that ended an invocation.
    pub(crate) fn exception(exception: Exception, cancelled: bool) -> Self {
        let code = match exception.class.as_str() {
            _ if cancelled => Code::Cancelled,
            "sostenuto.NotStorable" => Code::NotStorable,
            _ => Code::UserException,
        };
        let class = python_name(&exception.class);
        let detail =
            if exception.message.is_empty() { class.to_owned() } else { format!("{class}: {}", exception.message) };
        let mut problem = Self::new(code, detail);
        problem.0.exception = Some(exception);
        problem
    }

    /// Adds names that may have been meant.
    pub(crate) fn near(mut self, near: Vec<String>) -> Self {
        self.0.detail.push_str(&crate::near::did_you_mean(&near));
        self.0.near = near;
        self
    }

    /// Says which invocation it is about.
    pub(crate) fn of(mut self, invocation: Option<InvocationId>) -> Self {
        self.0.invocation = invocation;
        self
    }

    /// Closes the connection after the answer: the rest of the request is unread.
    pub(crate) fn closing(mut self) -> Self {
        self.0.connection = Connection::Close;
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// The document's text.
    pub(crate) fn to_json(&self) -> String {
        self.document().to_string()
    }

    fn document(&self) -> Value {
        let Content { code, detail, arguments, exception, near, invocation, .. } = &*self.0;
        let mut document = Map::new();
        let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
        put("type", json!(type_uri(*code)));
        put("title", json!(code.title()));
        put("status", json!(code.status()));
        put("detail", json!(detail));
        if let Some(id) = invocation {
            put("instance", json!(format!("/_/invocations/{id}")));
        }
        put("code", json!(code.as_str()));
        put("source", json!(source_name(code.source())));
        put("retryable", json!(code.retryable()));
        if !near.is_empty() {
            put("near", json!(near));
        }
        if !arguments.is_empty() {
            let named = arguments.iter().map(|a| json!({"name": a.name, "problem": a.problem}));
            put("arguments", named.collect());
        }
        if let Some(exception) = exception {
            let class = python_name(&exception.class);
            put("exception", json!({"type": class, "message": exception.message, "traceback": exception.traceback}));
        }
        Value::Object(document)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code, refusal.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = reply::text(status(self.0.code), "application/problem+json", self.to_json());
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after_seconds(self.0.code) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.connection == Connection::Close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(id) = self.0.invocation {
            headers::put_invocation(headers, id);
        }
        response
    }
}

/// Address of a code's page on this server.
pub(crate) fn type_uri(code: Code) -> String {
    format!("/_/problems/{}", code.as_str())
}

fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn retry_after_seconds(code: Code) -> Option<u32> {
    match code {
        Code::TooManyInvocations | Code::Unavailable => Some(RETRY_AFTER_SECONDS),
        Code::DiskFull => Some(RETRY_AFTER_FULL_DISK_SECONDS),
        _ => None,
    }
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::Ingress => "ingress",
        Source::Invocation => "invocation",
    }
}

/// A class as a Python traceback spells it: built-in ones without their module.
fn python_name(class: &str) -> &str {
    class.strip_prefix("builtins.").unwrap_or(class)
}
