//! The control API.

use std::time::Duration;

use gateway::backend::Cancel;
use protocol::api::State;
use protocol::problem::Code;
use protocol::{Value, msgpack};
use runtime::Page;

use crate::fake::{id, other_id};
use crate::http::Server;

#[tokio::test]
async fn invocations_are_listed_by_page_and_state() {
    let server = Server::start().await;
    let reply = server.get("/_/invocations?state=parked&cursor=a%2Fb&limit=5").await;
    let document = reply.json();
    assert_eq!(document["invocations"][0]["id"], id().to_string());
    assert_eq!(document["invocations"][0]["state"], "parked");
    assert_eq!(document["next"], "more");
    server.get("/_/invocations?limit=999999").await;
    let pages = server.gateway.backend().pages.lock().unwrap().clone();
    assert_eq!(pages[0], Page { states: vec![State::Parked], cursor: Some("a/b".into()), limit: 5 });
    assert_eq!(pages[1], Page { states: vec![], cursor: None, limit: 1000 });
    server.get("/_/invocations?state=parked,asleep").await.problem(400, "bad_request");
    server.get("/_/invocations?limit=-1").await.problem(400, "bad_request");
}

#[tokio::test]
async fn an_invocation_is_described() {
    let server = Server::start().await;
    let document = server.get(&format!("/_/invocations/{}", id())).await.json();
    assert_eq!(document["id"], id().to_string());
    assert_eq!(document["attempts"], 2);
    assert!(document["journal"].is_array());
    server.get(&format!("/_/invocations/{}", other_id())).await.problem(404, "unknown_invocation");
    server.get("/_/invocations/nonsense").await.problem(404, "unknown_invocation");
    server.get("/_/invocations/%ff").await.problem(400, "bad_request");
}

#[tokio::test]
async fn results_are_waited_for() {
    let server = Server::start().await;
    let path = |id, query: &str| format!("/_/invocations/{id}/result{query}");
    let running = server.get(&path(id(), "")).await;
    assert_eq!((running.status, &running.json()["id"]), (202, &id().to_string().into()));
    let done = server.get(&path(id(), "?wait=30s")).await;
    assert_eq!((done.status, done.body.as_str()), (200, "5"));
    assert!(done.header("x-sostenuto-result-expires").is_some());
    server.get(&path(id(), "?wait=10h")).await;
    server.get(&path(other_id(), "?wait=1")).await.problem(404, "unknown_invocation");
    server.get(&path(id(), "?wait=soon")).await.problem(400, "bad_request");
    let waits = server.gateway.backend().waits.lock().unwrap().clone();
    assert_eq!(waits, [100, 30_000, 300_000, 1000].map(Duration::from_millis));
}

#[tokio::test]
async fn operators_cancel_and_resume() {
    let server = Server::start().await;
    let path = |id, action: &str| format!("/_/invocations/{id}{action}");
    let reply = server.send("DELETE", &path(id(), ""), &[], "").await;
    assert_eq!((reply.status, &reply.json()["id"]), (202, &id().to_string().into()));
    assert_eq!(server.post(&path(id(), "/cancel?kill=1"), "").await.status, 202);
    assert_eq!(*server.gateway.backend().cancels.lock().unwrap(), [Cancel::Deliver, Cancel::Kill]);
    server.post(&path(other_id(), "/cancel"), "").await.problem(404, "unknown_invocation");
    server.post(&path(id(), "/cancel?kill=perhaps"), "").await.problem(400, "bad_request");
    assert_eq!(server.post(&path(id(), "/resume"), "").await.status, 202);
    let ended = server.post(&path(other_id(), "/resume"), "").await;
    assert_eq!((ended.status, &ended.json()["ended"]), (200, &true.into()));
}

#[tokio::test]
async fn state_is_read_by_address() {
    let server = Server::start().await;
    let places = async |path: &str| {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"value":5}"#), "{path}");
        std::mem::take(&mut *server.gateway.backend().places.lock().unwrap())
    };
    let bytes = |value: Value| Some(msgpack::encode(&value).unwrap());
    let place = &places("/_/state/Hotel/count").await[0];
    assert_eq!((place.service.as_str(), &place.key, place.field.as_str()), ("Hotel", &None, "count"));
    assert_eq!(places("/_/state/Hotel/rooms/-3").await[0].entry, bytes(Value::Int(-3)));
    assert_eq!(places("/_/state/Account/a%2Fb/count").await[0].key, bytes(Value::Str("a/b".into())));
    assert_eq!(places("/_/state/Room/7/rooms/1").await[0].key, bytes(Value::Int(7)));
    let tried: Vec<_> = places("/_/state/Hotel/untyped/5").await.into_iter().map(|place| place.entry).collect();
    assert_eq!(tried, [bytes(Value::Str("5".into())), bytes(Value::Int(5))]);
}

#[tokio::test]
async fn state_that_does_not_exist_is_told() {
    let server = Server::start().await;
    server.get("/_/state/Hotl/count").await.problem(404, "unknown_service");
    let document = server.get("/_/state/Hotel/cont").await.problem(404, "unknown_state");
    assert_eq!(document["near"][0], "count");
    server.get("/_/state/Hotel/count/x").await.problem(404, "unknown_state");
    server.get("/_/state/Hotel/rooms/x").await.problem(422, "bad_key");
    server.get("/_/state/Hotel/untyped/x").await.problem(404, "unknown_state");
    server.get("/_/state/Hotel").await.problem(404, "unknown_address");
    server.get("/_/state/Account/alice").await.problem(404, "unknown_address");
}

#[tokio::test]
async fn the_catalogue_lists_services_and_fields() {
    let server = Server::start().await;
    let document = server.get("/_/state").await.json();
    let services = document["services"].as_array().unwrap();
    assert_eq!(services[0]["name"], "Account");
    assert_eq!(services[0]["key"], "str");
    assert_eq!(services[0]["fields"][1]["kind"], "dict");
    assert_eq!(services[0]["fields"][1]["key"], "int");
}

#[tokio::test]
async fn health_metrics_openapi_and_the_page() {
    let server = Server::start().await;
    assert_eq!(server.get("/_/health").await.json()["status"], "ok");
    let metrics = server.get("/_/metrics").await;
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(
        metrics.body.contains("fake 1\n") && metrics.body.contains("sostenuto_http_connections 1\n"),
        "{metrics:?}"
    );
    let document = server.get("/_/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let post = &document["paths"]["/Account/{key}/reserve"]["post"];
    assert_eq!(post["operationId"], "Account.reserve");
    assert!(document["paths"]["/Hotel/reserve/send"]["post"]["responses"]["202"].is_object());
    assert!(document["paths"].get("/Hotel/_hidden").is_none());
    let page = server.get("/_/").await;
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.body.contains("POST /Hotel/reserve") && page.body.contains("/_/openapi.json"));
    assert_eq!(server.get("/").await.header("location"), Some("/_/"));
}

#[tokio::test]
async fn wrong_verbs_name_the_right_ones() {
    let server = Server::start().await;
    for (verb, path, allow) in [
        ("POST", "/_/health".to_owned(), "GET,HEAD"),
        ("DELETE", "/_/invocations".to_owned(), "GET,HEAD"),
        ("POST", format!("/_/invocations/{}", id()), "GET,HEAD,DELETE"),
        ("GET", format!("/_/invocations/{}/cancel", id()), "POST"),
    ] {
        let reply = server.send(verb, &path, &[], "").await;
        reply.problem(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allow), "{path}");
    }
}

#[tokio::test]
async fn each_problem_type_leads_to_its_page() {
    let server = Server::start().await;
    for code in Code::ALL {
        let page = server.get(&format!("/_/problems/{}", code.as_str())).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains(code.title()), "{page:?}");
    }
    let listed = server.get("/_/problems").await.json();
    assert_eq!(listed["problems"].as_array().unwrap().len(), Code::ALL.len());
    server.get("/_/problems/none").await.problem(404, "unknown_address");
    server.get("/_/problems/%ff").await.problem(400, "bad_request");
}
