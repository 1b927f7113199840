//! A small HTTP/1.1 client that sends exactly what a test says.

use std::net::SocketAddr;
use std::sync::Arc;

use gateway::{Gateway, Limits};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fake::Fake;

/// A front door on a free port, with a pretended node behind it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Arc<Gateway<Fake>>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::limited(Limits::default()).await
    }

    pub(crate) async fn limited(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = Arc::new(Gateway::new(Fake::new(), limits));
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(gateway::serve(listener, gateway.clone(), async move {
            let _ = stopped.await;
        }));
        Self { address, gateway, stop: Some(stop), served }
    }

    /// Begins the shutdown.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(self) {
        self.served.await.unwrap();
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection { stream: TcpStream::connect(self.address).await.unwrap(), unread: vec![] }
    }

    /// One request on its own connection. `head` are header lines.
    pub(crate) async fn send(&self, verb: &str, path: &str, head: &[&str], body: impl AsRef<[u8]>) -> Reply {
        let mut connection = self.connect().await;
        connection.send(verb, path, head, body).await;
        connection.reply().await.expect("a reply")
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, &[], body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) async fn send(&mut self, verb: &str, path: &str, head: &[&str], body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let mut text = format!("{verb} {path} HTTP/1.1\r\nhost: test\r\n");
        for line in head {
            text.push_str(&format!("{line}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        self.write(text.as_bytes()).await;
        self.write(body).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next reply; `None` if the connection ended before it.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
        while self.unread.len() < length {
            self.more().await?;
        }
        let body = String::from_utf8(self.unread.drain(..length).collect()).unwrap();
        Some(Reply { status, headers, body })
    }

    async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 16384];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(n) => {
                self.unread.extend_from_slice(&buffer[..n]);
                Some(())
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Checks that it is a well-formed problem document with this status and code, and gives it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let document = self.json();
        assert_eq!((self.status, document["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(document["status"], status);
        assert_eq!(document["type"], format!("/_/problems/{code}"));
        for name in ["title", "detail"] {
            assert!(document[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {self:?}");
        }
        assert!(["ingress", "invocation"].contains(&document["source"].as_str().unwrap()));
        let retryable = document["retryable"].as_bool().unwrap();
        assert_eq!(self.header("retry-after").is_some(), retryable, "{self:?}");
        document
    }
}
