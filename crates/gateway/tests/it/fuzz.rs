//! Random requests: whatever comes, the answer is well-formed and the server goes on.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;
use tokio::time::{Duration, timeout};

use crate::fake::id;
use crate::http::Server;

fn segment() -> impl Strategy<Value = String> {
    let known = ["Hotel", "Account", "Room", "Ticket", "reserve", "exact", "fail", "nothing", "send", "_", "state"];
    let control = ["invocations", "result", "cancel", "resume", "health", "metrics", "openapi.json", "problems", ""];
    prop_oneof![
        4 => prop::sample::select(known.to_vec()).prop_map(String::from),
        2 => prop::sample::select(control.to_vec()).prop_map(String::from),
        1 => Just(id().to_string()),
        2 => "[a-zA-Z0-9_.~-]{0,12}",
        2 => "(%[0-9A-Fa-f]{2}|%|[+&;=:@]){0,6}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let query = prop_oneof![
        2 => Just(String::new()),
        1 => "\\?(tagged|wait|state|limit|cursor|kill)=[a-z0-9%.-]{0,6}",
        1 => "\\?[a-z=&%0-9]{0,16}",
    ];
    (prop::collection::vec(segment(), 0..6), query).prop_map(|(parts, query)| format!("/{}{query}", parts.join("/")))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let json = "[\\[\\]{}\",: a-z0-9.eE+\\\\u-]{0,60}";
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        json.prop_map(String::into_bytes),
        Just(b"[\"h1\", 2]".to_vec()),
        Just([b"[".repeat(100_000), b"]".repeat(100_000)].concat()),
        Just(format!("[\"h1\", {}]", "9".repeat(5000)).into_bytes()),
        Just(b"[\"h1\", 1e999999999]".to_vec()),
    ]
}

fn head() -> impl Strategy<Value = Vec<String>> {
    let line = prop_oneof![
        "(Idempotency-Key|Prefer|Content-Type|Accept|Expect|X-[A-Z]{1,3}): [ -~]{0,30}",
        Just("Idempotency-Key: \u{fc}\u{1f980}".to_owned()),
    ];
    prop::collection::vec(line, 0..4)
}

#[test]
fn whatever_comes_is_answered() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let verb = prop::sample::select(vec!["GET", "POST", "POST", "POST", "PUT", "DELETE", "BREW"]);
    let config = Config { cases: 1500, failure_persistence: None, ..Config::default() };
    let check = |(verb, path, head, body): (&str, String, Vec<String>, Vec<u8>)| {
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let reply = runtime.block_on(async {
            timeout(Duration::from_secs(20), server.send(verb, &path, &head, &body)).await.expect("an answer in time")
        });
        prop_assert!((100..600).contains(&reply.status));
        if reply.status >= 400 && !reply.body.is_empty() {
            let problem = reply.json();
            prop_assert!(problem["code"].is_string(), "{:?}", reply);
            prop_assert!(problem["code"] != "internal", "{:?}", reply);
        }
        Ok(())
    };
    TestRunner::new(config).run(&(verb, path(), head(), body()), check).unwrap();
    let after = runtime.block_on(server.post("/Hotel/reserve", "[\"h1\"]"));
    assert_eq!(after.status, 200);
}
