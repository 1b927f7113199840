//! Accepting connections: bounded in number, closed when silent, drained at shutdown; a panic is a 500, not a broken
//! connection.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use protocol::problem::Code;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};

use crate::backend::Backend;
use crate::body::Unread;
use crate::calls;
use crate::gateway::Gateway;
use crate::limits::{DRAIN_TIME_MAX, HEAD_TIME_MAX};
use crate::problem::Problem;

/// Pause after a failed accept: mostly the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time to write the answer to a connection over the limit.
const REFUSE_TIME_MAX: Duration = Duration::from_secs(1);

/// Serves until `shutdown` is done, then lets open requests end for a while.
pub async fn serve<B: Backend>(listener: TcpListener, gateway: Arc<Gateway<B>>, shutdown: impl Future<Output = ()>) {
    let router = gateway.router();
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(_) => {
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match gateway.connections.clone().try_acquire_owned() {
            Ok(place) => {
                drop(tokio::spawn(connection(stream, place, gateway.clone(), router.clone(), graceful.watcher())))
            }
            Err(_) => {
                gateway.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(timeout(REFUSE_TIME_MAX, refuse(stream)));
            }
        }
    }
    drop(listener);
    let _ = timeout(DRAIN_TIME_MAX, graceful.shutdown()).await;
}

/// Serves one connection. What ends it early (the client went away, spoke no HTTP, was silent) concerns nobody else.
async fn connection<B: Backend>(
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    gateway: Arc<Gateway<B>>,
    router: Router,
    watcher: Watcher,
) {
    let _ = stream.set_nodelay(true);
    let _open = gateway.counters.connections.enter();
    let service = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let body = Unread::new(&head.headers, body);
        let (gateway, service) = (gateway.clone(), service.clone());
        async move {
            let _open = gateway.counters.requests.enter();
            let response = if calls::may_be_at(head.uri.path()) {
                guarded(calls::call(&gateway, &head, body)).await
            } else {
                let answer = Service::call(&service, Request::from_parts(head, Body::new(body)));
                guarded(async {
                    let Ok(response) = answer.await;
                    response
                })
                .await
            };
            gateway.counters.answered(response.status());
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_TIME_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let _ = watcher.watch(connection).await;
}

/// The answer; a panic on the way to it becomes a problem document.
async fn guarded(answer: impl Future<Output = Response>) -> Response {
    let mut answer = pin!(answer);
    poll_fn(|context: &mut Context<'_>| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
        Ok(polled) => polled,
        Err(_) => {
            let detail = "The server failed on this request; its log has the details.";
            Poll::Ready(Problem::new(Code::Internal, detail).closing().into_response())
        }
    })
    .await
}

/// Tells a client that there is no place for its connection. Its request is not read.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let body = Problem::new(Code::Unavailable, "Too many connections; try again.").to_json();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
         content-type: application/problem+json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    stream.shutdown().await
}
