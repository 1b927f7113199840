//! `sostenuto call`: call a method and print its result.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::problem;
use crate::cli::{Call, Global};
use crate::client::{Client, segment};
use crate::{Usage, out};

pub(super) fn call(options: &Call, global: &Global) -> Result<ExitCode> {
    let mut path = path(&options.target)?;
    if options.detach {
        path.push_str("/send");
    }
    let key = options.idempotency_key.as_deref();
    let headers: Vec<(&str, &str)> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
    let reply = Client::new(&global.server)?.post(&path, &headers, Some(&body(&options.args)))?;
    if !reply.status.is_success() {
        return Ok(problem::failed(&reply, global));
    }
    match (options.detach, global.json) {
        (true, false) => out::line(reply.json()?.get("id").and_then(Value::as_str).unwrap_or_default()),
        _ => out::line(reply.text.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The address: the first part is the service, the last the method, what is between them the key, slashes included.
fn path(target: &str) -> Result<String> {
    let (service, rest) = target
        .split_once('/')
        .filter(|(service, rest)| !service.is_empty() && !rest.is_empty())
        .ok_or_else(|| Usage(format!("`{target}`: a method is named `Service/method` or `Entity/key/method`")))?;
    Ok(match rest.rsplit_once('/') {
        None => format!("/{}/{}", segment(service), segment(rest)),
        Some((key, method)) => format!("/{}/{}/{}", segment(service), segment(key), segment(method)),
    })
}

/// A JSON array: arguments that are JSON exactly as they stand, others as text.
fn body(args: &[String]) -> String {
    let items: Vec<String> = args
        .iter()
        .map(|arg| match protocol::json::parse(arg.as_bytes()) {
            Ok(_) => arg.clone(),
            Err(_) => Value::from(arg.as_str()).to_string(),
        })
        .collect();
    format!("[{}]", items.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_json_if_they_parse_else_text() {
        let args = ["5", "alice", "\"5\"", "[1, {\"a\": null}]", "1e400", "01", "", "True", "123456789012345678901"];
        let args: Vec<String> = args.map(String::from).into();
        let expected = r#"[5,"alice","5",[1, {"a": null}],1e400,"01","","True",123456789012345678901]"#;
        assert_eq!(body(&args), expected);
    }

    #[test]
    fn targets_become_addresses() {
        assert_eq!(path("Hotel/reserve").unwrap(), "/Hotel/reserve");
        assert_eq!(path("Account/a/b c/deposit").unwrap(), "/Account/a%2Fb%20c/deposit");
        assert_eq!(path("Account//deposit").unwrap(), "/Account//deposit");
        for bad in ["Hotel", "/x", "Hotel/", ""] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
