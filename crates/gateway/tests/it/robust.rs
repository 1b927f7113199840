//! What a server on a network meets: large bodies, clients that go away, panics, shutdown.

use std::sync::atomic::Ordering;
use std::time::Duration;

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
