//! An HTTP server that does nothing, on axum and two threads in a process of its own: what the clients, the sockets and
//! the machine can do at most.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};
use axum::{Router, routing::post};

use crate::{
    http::Request,
    load::{Load, Traffic},
    report::Figures,
};

const THREADS: usize = 2;

/// Measures it.
pub(crate) fn measure(load: Load) -> Result<Figures> {
    let echo = Echo::start()?;
    let load = Load { warm: load.warm / 2, measured: load.measured / 2, ..load };
    let seen = load.run(echo.address, &Echoes, || Ok(()))?;
    Ok(Figures::of_seen("echo", "axum", load.clients, &seen))
}

/// What the echo server is asked.
pub(crate) struct Echoes;

impl Traffic for Echoes {
    fn request(&self, _: usize, _: u64) -> Request {
        Request::new("/echo", "[1]")
    }

    fn accepts(&self, _: usize, _: u64, body: &str) -> bool {
        body == "1"
    }
}

/// The process, ended when dropped.
struct Echo {
    child: Child,
    address: SocketAddr,
}

impl Echo {
    fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("echo")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the echo server")?;
        let mut line = String::new();
        let out = child.stdout.take().context("the echo server has no output")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line)?;
        let address = line.trim().parse().with_context(|| format!("the echo server said {line:?}"))?;
        Ok(Self { child, address })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It is gone already, or it cannot be helped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says where it listens, then serves until it is killed.
pub(crate) fn main() -> Result<()> {
    let address = serve_in_background()?;
    let mut out = std::io::stdout();
    writeln!(out, "{address}")?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}

/// Serves from threads that end with the process.
pub(crate) fn serve_in_background() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, Router::new().route("/echo", post(async || "1"))).await
        })
    });
    Ok(address)
}
