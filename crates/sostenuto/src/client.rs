//! Talking to a server's HTTP interface.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::{Method, Request, Response, StatusCode, Uri};
use ureq::{Agent, Body};

use crate::Usage;

/// Time for making a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of a reply; beyond, the command fails.
const REPLY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// What need not be escaped in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A server's HTTP interface.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    server: String,
}

/// What a server said.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) invocation: Option<String>,
    pub(crate) text: String,
}

/// No server answers.
#[derive(Debug)]
pub(crate) struct Unreachable(String);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

impl Client {
    pub(crate) fn new(server: &str) -> Result<Self> {
        let server = server.trim_end_matches('/');
        let server = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
        let uri: Uri = server.parse().map_err(|_| Usage(format!("`{server}` is not the address of a server")))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(Usage(format!("`{server}`: the server's address is `http://host:port`")).into());
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .max_redirects(0)
            .proxy(None)
            .build();
        Ok(Self { agent: config.new_agent(), server })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::GET, path, &[], None)
    }

    /// A POST; with a body it is JSON.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Result<Reply> {
        self.send(Method::POST, path, headers, body)
    }

    fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Result<Reply> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.server));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.unwrap_or_default().to_owned());
        let request = request.map_err(|error| Usage(format!("the request cannot be made: {error}")))?;
        let response = self.agent.run(request).map_err(|error| self.unreachable(&error))?;
        self.reply(response)
    }

    fn reply(&self, mut response: Response<Body>) -> Result<Reply> {
        let status = response.status();
        let header = response.headers().get("x-sostenuto-invocation");
        let invocation = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.body_mut().with_config().limit(REPLY_BYTES_MAX);
        let bytes = body.read_to_vec().map_err(|error| self.unreachable(&error))?;
        let text = String::from_utf8(bytes).context("the server's reply is not UTF-8 text")?;
        Ok(Reply { status, invocation, text })
    }

    fn unreachable(&self, error: &ureq::Error) -> anyhow::Error {
        let server = &self.server;
        let text = match error {
            ureq::Error::Io(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused => format!(
                "no server answers at {server}\n  start one with `sostenuto run APP`, or name another with `--server URL`"
            ),
            ureq::Error::HostNotFound => format!("{server}: the host is not known"),
            ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed => format!("{server} cannot be reached: {error}"),
            _ => format!(
                "the connection to {server} ended before the reply: {error}\n  \
                 a call may have taken effect; with `--idempotency-key K` it can be repeated safely"
            ),
        };
        Unreachable(text).into()
    }
}

impl Reply {
    /// The reply's JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text)
            .map_err(|_| anyhow!("the server's reply ({}) is not JSON: {}", self.status, excerpt(&self.text)))
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Escapes a text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
