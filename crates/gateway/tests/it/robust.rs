//! What a server on a network meets: large bodies, clients that go away, panics, shutdown.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gateway::Limits;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::http::Server;

const LONG: Duration = Duration::from_secs(20);

/// Waits until so many calls hang.
async fn hanging(server: &Server, count: usize) {
    let reached = async {
        while server.gateway.backend().hanging.load(Ordering::SeqCst) != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, reached).await.expect("the calls came or went");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    for _ in 0..100 {
        connection.send("POST", "/Hotel/reserve", &[], "[\"h1\"]").await;
        assert_eq!(connection.reply().await.unwrap().status, 200);
        connection.send("POST", "/Hotel/reserve", &[], "[").await;
        assert_eq!(connection.reply().await.unwrap().status, 400);
    }
}

#[tokio::test]
async fn a_body_that_nobody_wants_leaves_its_connection_alive() {
    let server = Server::limited(Limits { calls: 0, ..Limits::default() }).await;
    for (verb, path, head) in [
        ("POST", "/Hotl/reserve", ""),
        ("PUT", "/Hotel/reserve", ""),
        ("POST", "/Hotel/reserve", "idempotency-key: \r\n"),
        ("POST", "/Hotel/reserve?tagged=x", ""),
        ("POST", "/Hotel/reserve", ""),
        ("POST", "/_/invocations/nonsense/cancel", ""),
        ("POST", "/_/health", ""),
        ("DELETE", "/_/nothing", "transfer-encoding: chunked\r\n"),
    ] {
        let mut connection = server.connect().await;
        let chunked = head.starts_with("transfer");
        let length = if chunked { "" } else { "content-length: 8\r\n" };
        connection.write(format!("{verb} {path} HTTP/1.1\r\nhost: t\r\n{head}{length}\r\n").as_bytes()).await;
        let refused = timeout(LONG, connection.reply()).await.unwrap().unwrap();
        assert!(refused.status >= 400, "{path}: {refused:?}");
        connection.write(if chunked { b"3\r\n[1]\r\n0\r\n\r\n" } else { b"[1, 2]  " }).await;
        connection.send("GET", "/_/health", &[], "").await;
        let next = timeout(LONG, connection.reply()).await.unwrap();
        assert_eq!(next.map(|reply| reply.status), Some(200), "{verb} {path}");
    }
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_unread() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let head = "POST /Hotel/reserve HTTP/1.1\r\nhost: t\r\ncontent-length: 40000000\r\nexpect: 100-continue\r\n\r\n";
    connection.write(head.as_bytes()).await;
    let reply = timeout(LONG, connection.reply()).await.unwrap().unwrap();
    reply.problem(413, "body_too_large");
    assert_eq!(reply.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_client_that_sends_all_of_a_large_body_sees_the_answer() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let body = vec![b' '; 33 * 1024 * 1024];
    connection.send("POST", "/Hotel/reserve", &[], &body).await;
    let reply = timeout(LONG, connection.reply()).await.unwrap().unwrap();
    reply.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_at_the_limit() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    connection.write(b"POST /Hotel/reserve HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let chunk = [b"100000\r\n".as_slice(), &[b' '; 0x10_0000], b"\r\n"].concat();
    for _ in 0..33 {
        connection.write(&chunk).await;
    }
    connection.write(b"0\r\n\r\n").await;
    let reply = timeout(LONG, connection.reply()).await.unwrap().unwrap();
    reply.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_body_within_the_limit_is_read() {
    let server = Server::start().await;
    let body = format!("[\"{}\"]", "x".repeat(8 * 1024 * 1024));
    assert_eq!(server.post("/Hotel/reserve", &body).await.status, 200);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let server = Server::start().await;
    let mut connections = vec![];
    for _ in 0..20 {
        let mut connection = server.connect().await;
        connection.send("POST", "/Hotel/hang", &[], "").await;
        connections.push(connection);
    }
    hanging(&server, 20).await;
    drop(connections);
    hanging(&server, 0).await;
}

#[tokio::test]
async fn calls_over_the_limit_are_refused_and_the_control_api_answers() {
    let server = Server::limited(Limits { calls: 2, ..Limits::default() }).await;
    let mut connections = vec![];
    for _ in 0..2 {
        let mut connection = server.connect().await;
        connection.send("POST", "/Hotel/hang", &[], "").await;
        connections.push(connection);
    }
    hanging(&server, 2).await;
    server.post("/Hotel/nothing", "").await.problem(503, "unavailable");
    assert_eq!(server.get("/_/invocations").await.status, 200);
    drop(connections);
    hanging(&server, 0).await;
    assert_eq!(server.post("/Hotel/nothing", "").await.status, 200);
}

#[tokio::test]
async fn requests_to_the_control_api_over_the_limit_are_refused() {
    let server = Server::limited(Limits { control_requests: 0, ..Limits::default() }).await;
    server.get("/_/invocations").await.problem(503, "unavailable");
    assert_eq!(server.get("/_/health").await.status, 200);
}

#[tokio::test]
async fn a_connection_over_the_limit_is_answered_and_closed() {
    let server = Server::limited(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = server.connect().await;
    first.send("POST", "/Hotel/nothing", &[], "").await;
    assert_eq!(first.reply().await.unwrap().status, 200);
    let mut second = server.connect().await;
    let reply = timeout(LONG, second.reply()).await.unwrap().unwrap();
    reply.problem(503, "unavailable");
    assert_eq!(reply.header("connection"), Some("close"));
    first.send("POST", "/Hotel/nothing", &[], "").await;
    assert_eq!(first.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_panic_is_a_problem_document_and_the_server_goes_on() {
    let server = Server::start().await;
    server.post("/Hotel/panic", "").await.problem(500, "internal");
    assert_eq!(server.post("/Hotel/reserve", "[\"h1\"]").await.status, 200);
    server.post("/Hotel/garbage", "").await.problem(500, "internal");
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_lets_open_requests_end() {
    let mut server = Server::start().await;
    let mut idle = server.connect().await;
    idle.send("POST", "/Hotel/reserve", &[], "[\"h1\"]").await;
    idle.reply().await.unwrap();
    let mut open = server.connect().await;
    open.write(b"POST /Hotel/reserve HTTP/1.1\r\nhost: t\r\ncontent-length: 6\r\n\r\n[").await;
    let mut hung = server.connect().await;
    hung.send("POST", "/Hotel/hang", &[], "").await;
    hanging(&server, 1).await;
    server.stop();
    assert!(timeout(LONG, idle.reply()).await.unwrap().is_none());
    open.write(b"\"h1\"]").await;
    open.stream.flush().await.unwrap();
    assert_eq!(timeout(LONG, open.reply()).await.unwrap().unwrap().status, 200);
    timeout(LONG, server.ended()).await.unwrap();
}
