//! Problem documents, for people.

use std::process::ExitCode;

use serde_json::Value;

use crate::cli::Global;
use crate::client::Reply;
use crate::{FAILED, out};

/// Prints the problem that a server answered with, to stderr.
pub(super) fn failed(reply: &Reply, global: &Global) -> ExitCode {
    out::error(if global.json { reply.text.trim_end().to_owned() } else { text(reply) }.as_str());
    ExitCode::from(FAILED)
}

fn text(reply: &Reply) -> String {
    let document: Value = serde_json::from_str(&reply.text).unwrap_or(Value::Null);
    let field = |name: &str| document.get(name).and_then(Value::as_str);
    let Some(code) = field("code") else {
        let excerpt: String = reply.text.chars().take(500).collect();
        return format!("error: the server answered {}: {excerpt}", reply.status);
    };
    let mut text = format!("error[{code}]: {}", field("detail").or(field("title")).unwrap_or_default());
    for argument in document.get("arguments").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| argument.get(name).and_then(Value::as_str).unwrap_or_default();
        text.push_str(&format!("\n  {}: {}", part("name"), part("problem")));
        if part("problem").starts_with("expected str, got int") {
            text.push_str(r#" (an argument that is JSON is taken as JSON; the text 5 is written '"5"')"#);
        }
    }
    let traceback = document.pointer("/exception/traceback").and_then(Value::as_str);
    for line in traceback.into_iter().flat_map(str::lines) {
        text.push_str(&format!("\n  {line}"));
    }
    if let Some(id) = &reply.invocation {
        text.push_str(&format!("\n  invocation: {id}"));
    }
    text + &format!("\n  more: sostenuto explain {code}")
}
