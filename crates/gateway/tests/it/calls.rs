//! Calls: addresses, conversions, headers, and each row of the list of errors.

use protocol::Value;
use protocol::problem::Code;

use crate::fake::id;
use crate::http::Server;

fn args(positional: &[Value], named: &[(&str, Value)]) -> Value {
    let named = named.iter().map(|(name, value)| (Value::Str((*name).into()), value.clone())).collect();
    Value::Tuple(vec![Value::List(positional.to_vec()), Value::Dict(named)])
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

#[tokio::test]
async fn a_call_gives_its_result_and_its_id() {
    let server = Server::start().await;
    let reply = server.post("/Hotel/reserve", r#"["h1", 2]"#).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "\"done\""));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("x-sostenuto-invocation"), Some(id().to_string().as_str()));
    assert_eq!(reply.header("x-sostenuto-result-expires"), None);
    let (call, key, given) = server.gateway.backend().last_call();
    assert_eq!((call.service.as_str(), call.method.as_str(), key), ("Hotel", "reserve", None));
    assert_eq!(given, args(&[text("h1"), Value::Int(2)], &[]));
}

#[tokio::test]
async fn arguments_go_by_position_by_name_or_not_at_all() {
    let server = Server::start().await;
    let given = async |path: &str, body: &str| {
        let reply = server.post(path, body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        server.gateway.backend().last_call().2
    };
    let named = given("/Hotel/reserve", r#"{"price": "9.90", "hotel": "h1"}"#).await;
    assert_eq!(named, args(&[text("h1")], &[("price", Value::Decimal("9.90".into()))]));
    assert_eq!(given("/Hotel/nothing", "").await, args(&[], &[]));
    assert_eq!(given("/Hotel/nothing", " \n").await, args(&[], &[]));
    let tagged = given("/Hotel/refused?tagged=1", r#"[{"$decimal": "1.10"}]"#).await;
    assert_eq!(tagged, args(&[Value::Decimal("1.10".into())], &[]));
}

#[tokio::test]
async fn results_come_natural_or_tagged() {
    let server = Server::start().await;
    let natural = server.post("/Hotel/exact", "").await;
    assert_eq!(natural.body, r#"["1.10",9223372036854775807,[]]"#);
    let tagged = server.post("/Hotel/exact?tagged=1", "").await;
    assert!(tagged.body.contains("$decimal") && tagged.body.contains("$tuple"), "{tagged:?}");
}

#[tokio::test]
async fn keys_are_decoded_and_converted() {
    let server = Server::start().await;
    let key = async |path: &str| {
        let reply = server.post(path, "").await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        server.gateway.backend().last_call().1.unwrap()
    };
    assert_eq!(key("/Account/alice/nothing").await, text("alice"));
    assert_eq!(key("/Account/a%2Fb%20%C3%BC/nothing").await, text("a/b ü"));
    assert_eq!(key("/Account/5/nothing").await, text("5"));
    assert_eq!(key("/Room/-7/nothing").await, Value::Int(-7));
    let uuid = "123E4567-e89b-12d3-a456-426614174000";
    assert!(matches!(key(&format!("/Ticket/{uuid}/nothing")).await, Value::Uuid([0x12, 0x3e, ..])));
    server.post("/Room/seven/nothing", "").await.problem(422, "bad_key");
    server.post("/Ticket/7/nothing", "").await.problem(422, "bad_key");
    server.post(&format!("/Account/{}/nothing", "k".repeat(5000)), "").await.problem(422, "bad_key");
    server.post("/Account/%FF/nothing", "").await.problem(400, "bad_request");
}

#[tokio::test]
async fn send_is_accepted_at_once() {
    let server = Server::start().await;
    for (path, head) in [
        ("/Hotel/reserve/send", ""),
        ("/Account/alice/reserve/send", ""),
        ("/Hotel/reserve", "Prefer: respond-async"),
        ("/Hotel/reserve", "prefer: wait=5, respond-async"),
    ] {
        let head: Vec<&str> = [head].into_iter().filter(|line| !line.is_empty()).collect();
        let reply = server.send("POST", path, &head, r#"["h1"]"#).await;
        assert_eq!(reply.status, 202, "{path}: {reply:?}");
        assert_eq!(reply.json()["id"], id().to_string());
        assert_eq!(reply.header("x-sostenuto-invocation"), Some(id().to_string().as_str()));
        assert_eq!(reply.header("location"), Some(format!("/_/invocations/{}/result", id()).as_str()));
        assert!(server.gateway.backend().last_call().0.send);
    }
}

#[tokio::test]
async fn idempotency_keys_are_passed_on_and_bounded() {
    let server = Server::start().await;
    let send = async |head: &[&str]| server.send("POST", "/Hotel/reserve", head, r#"["h1"]"#).await;
    let reply = send(&["Idempotency-Key: order-1"]).await;
    assert_eq!(reply.header("x-sostenuto-result-expires"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(server.gateway.backend().last_call().0.idempotency_key.as_deref(), Some("order-1"));
    let long = format!("Idempotency-Key: {}", "k".repeat(513));
    for bad in [&["Idempotency-Key:"][..], &["Idempotency-Key: a", "Idempotency-Key: b"], &[&long]] {
        let document = send(bad).await.problem(422, "bad_arguments");
        assert_eq!(document["arguments"][0]["name"], "Idempotency-Key");
    }
}

#[tokio::test]
async fn unknown_names_propose_near_ones() {
    let server = Server::start().await;
    let document = server.post("/Hotl/reserve", "[]").await.problem(404, "unknown_service");
    assert_eq!(document["near"][0], "Hotel");
    assert!(document["detail"].as_str().unwrap().contains("did you mean `Hotel`?"));
    let document = server.post("/Hotel/reverse", "[]").await.problem(404, "unknown_method");
    assert_eq!(document["near"][0], "reserve");
    server.post("/Hotel/_hidden", "[]").await.problem(404, "unknown_method");
    server.get("/Hotl/reserve").await.problem(404, "unknown_service");
}

#[tokio::test]
async fn addresses_of_another_shape_are_unknown() {
    let server = Server::start().await;
    for path in [
        "/Hotel",
        "/Hotel/alice/reserve",
        "/Hotel/reserve/",
        "/Account/reserve",
        "/Account/reserve/send",
        "/Account/a/b/c/d",
        "/_/nothing",
        "//Hotel/reserve",
        "/Hotel/reserve/send/send",
    ] {
        let reply = server.post(path, "[]").await;
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
        assert!(reply.json()["code"].as_str().unwrap().starts_with("unknown_"), "{path}");
    }
    server.post("/Hotel/alice/reserve", "").await.problem(404, "unknown_address");
    server.post("/Account/reserve", "").await.problem(404, "unknown_address");
    server.post("/Account/reserve/send", "").await.problem(404, "unknown_address");
}

#[tokio::test]
async fn other_verbs_are_not_allowed() {
    let server = Server::start().await;
    for verb in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let reply = server.send(verb, "/Hotel/reserve", &[], "").await;
        reply.problem(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some("POST"), "{verb}");
    }
}

#[tokio::test]
async fn malformed_json_is_told_with_line_and_column() {
    let server = Server::start().await;
    for (body, place) in [
        ("[\"h1\",\n  oops]", "line 2, column 3"),
        ("[\"ü\", ]", "line 1, column 7"),
        ("[1", "line 1, column 3"),
        ("{'a': 1}", "line 1, column 2"),
        ("[NaN]", "line 1, column 2"),
    ] {
        let document = server.post("/Hotel/reserve", body).await.problem(400, "malformed_json");
        assert!(document["detail"].as_str().unwrap().contains(place), "{body}: {document}");
    }
    server.send("POST", "/Hotel/reserve", &[], b"[\"\xff\"]").await.problem(400, "malformed_json");
}

#[tokio::test]
async fn each_argument_that_does_not_fit_is_named() {
    let server = Server::start().await;
    let names = async |body: &str| {
        let document = server.post("/Hotel/reserve", body).await.problem(422, "bad_arguments");
        let arguments = document["arguments"].as_array().unwrap().clone();
        assert!(arguments.iter().all(|a| !a["problem"].as_str().unwrap().is_empty()));
        arguments.iter().map(|a| a["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("[]").await, "hotel");
    assert_eq!(names(r#"["h1", "two"]"#).await, "nights");
    assert_eq!(names(r#"["h1", 2, 3]"#).await, "[2]");
    assert_eq!(names(r#"{"nights": "x", "extra": 1}"#).await, "hotel nights extra");
    assert_eq!(names("5").await, "");
    assert!(server.gateway.backend().calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn exceptions_show_type_message_and_traceback() {
    let server = Server::start().await;
    let reply = server.post("/Hotel/fail", "").await;
    let document = reply.problem(500, "exception");
    assert_eq!(document["source"], "invocation");
    assert_eq!(document["detail"], "ValueError: no money");
    assert_eq!(document["exception"]["type"], "ValueError");
    assert_eq!(document["exception"]["message"], "no money");
    assert!(document["exception"]["traceback"].is_string());
    assert_eq!(reply.header("x-sostenuto-invocation"), Some(id().to_string().as_str()));
    assert_eq!(document["instance"], format!("/_/invocations/{}", id()));
    server.post("/Hotel/cancelled", "").await.problem(499, "cancelled");
    server.post("/Hotel/unstorable", "").await.problem(500, "not_storable");
}

#[tokio::test]
async fn each_code_leaves_as_a_problem_document() {
    let server = Server::start().await;
    for code in Code::ALL {
        let reply = server.post("/Hotel/refused", &format!("[\"{}\"]", code.as_str())).await;
        let document = reply.problem(code.status(), code.as_str());
        assert_eq!(document["retryable"], code.retryable());
        assert!(document["detail"].as_str().unwrap().starts_with("because of"));
    }
}
