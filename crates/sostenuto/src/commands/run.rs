//! `sostenuto run`: compile an application, start a node and serve it until a signal.

mod greeting;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gateway::{Gateway, Limits};
use protocol::manifest::Manifest;
use runtime::{Node, NodeConfig, NodeError, StartError, WriteSink};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sdk::Application;
use store::OpenError;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::check;
use crate::app::{self, Sources};
use crate::cli::Serve;
use crate::{FAILED, native, out};

/// Exit code of a process that was interrupted twice: 128 + SIGINT, as shells say it.
const INTERRUPTED: i32 = 130;
/// How long a data directory in use is tried, and how often.
const LOCK_TIME_MAX: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Serves Python applications, Rust services, or both.
pub(crate) fn run(paths: &[PathBuf], options: &Serve, native: Application, json: bool) -> Result<ExitCode> {
    let sources = if paths.is_empty() { app::nothing()? } else { app::read(paths)? };
    let compiled = check::compile(&sources);
    check::show(&compiled.diagnostics, &sources);
    let Some(manifest) = compiled.manifest else {
        out::error(&check::summary(&compiled.diagnostics, &sources));
        return Ok(ExitCode::from(FAILED));
    };
    let manifest = native::join(manifest, &native)?;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(options, json, &sources, Arc::new(manifest), native))
}

async fn serve(
    options: &Serve,
    json: bool,
    sources: &Sources,
    manifest: Arc<Manifest>,
    native: Application,
) -> Result<ExitCode> {
    // First of all, so that a port in use is told before the data directory is touched.
    let listener = bind(options.listen).await?;
    let address = listener.local_addr()?;
    let data = data_dir(options.data.as_deref(), sources)?;
    let mut signals = Signals::new()?;
    let config = NodeConfig { native: native::runner(native, Handle::current()), ..config(options, data.clone()) };
    let starting = tokio::task::spawn_blocking({
        let manifest = manifest.clone();
        move || start(&config, &manifest)
    });
    let node = tokio::select! {
        node = starting => node?.with_context(|| format!("{}: the node does not start", sources.name))?,
        () = signals.next() => std::process::exit(INTERRUPTED),
    };
    greeting::greet(address, &data, &manifest, json);
    let result = until_signal(listener, &node, signals).await;
    node.handle().shutdown().await.context("the node did not end well")?;
    result?;
    out::error("sostenuto: stopped");
    Ok(ExitCode::SUCCESS)
}

/// Starts the node. A server that was killed this moment may leave its lock to a child that has not quite begun to
/// run, so a directory in use is tried for a while.
fn start(config: &NodeConfig, manifest: &Arc<Manifest>) -> Result<Node, StartError> {
    let deadline = Instant::now() + LOCK_TIME_MAX;
    loop {
        match Node::start(config.clone(), manifest.clone()) {
            Err(StartError::Open(OpenError::InUse { .. })) if Instant::now() < deadline => {
                std::thread::sleep(LOCK_PAUSE)
            }
            started => return started,
        }
    }
}

/// Serves until a signal comes or the node ends by itself. A second signal ends the process at once.
async fn until_signal(listener: TcpListener, node: &Node, mut signals: Signals) -> Result<(), NodeError> {
    let (stop, mut stopped) = watch::channel(());
    let gateway = Arc::new(Gateway::new(node.handle(), Limits::default()));
    let serving = tokio::spawn(gateway::serve(listener, gateway, async move {
        // An error means that the sender is gone, which also ends the service.
        let _ = stopped.changed().await;
    }));
    let result = tokio::select! {
        () = signals.next() => Ok(()),
        ended = node.ended() => ended,
    };
    out::error("sostenuto: stopping; once more to stop at once");
    tokio::spawn(async move {
        signals.next().await;
        std::process::exit(INTERRUPTED);
    });
    drop(stop);
    // Its panic was reported when it happened.
    let _ = serving.await;
    result
}

/// Each client takes an open file; many systems begin with 1024 and allow far more.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Without it the server serves fewer clients at a time; it is no reason not to serve.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another program listens there; choose another one with --listen".into(),
            std::io::ErrorKind::PermissionDenied => "that needs more rights; choose a port above 1023".into(),
            std::io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
            _ => error.to_string(),
        };
        anyhow::anyhow!("cannot listen on {address}: {reason}")
    })
}

/// The data directory: as told, else in the application's folder, where the same command finds it again from any
/// working directory, and where it moves along with the application.
fn data_dir(told: Option<&Path>, sources: &Sources) -> Result<PathBuf> {
    if let Some(told) = told {
        std::fs::create_dir_all(told).with_context(|| format!("{}: cannot be made", told.display()))?;
        return Ok(told.to_owned());
    }
    let hidden = sources.folder.join(".sostenuto");
    let path = hidden.join(&sources.name);
    let make = || {
        std::fs::create_dir_all(&path)?;
        let ignore = hidden.join(".gitignore");
        if ignore.exists() { Ok(()) } else { std::fs::write(ignore, "*\n") }
    };
    make().with_context(|| format!("{}: cannot be made; choose a place with --data DIR", path.display()))?;
    Ok(path)
}

fn config(options: &Serve, data: PathBuf) -> NodeConfig {
    let default = NodeConfig::default();
    NodeConfig {
        data_dir: Some(data),
        partitions: options.partitions,
        workers: options.workers.map_or(default.workers, usize::from),
        python: options.python.clone().unwrap_or(default.python.clone()),
        retention: options.retention,
        step_timeout: options.step_timeout,
        memory: options.memory,
        coroutines_max: options.coroutines,
        sink: Arc::new(WriteSink::new(std::io::stdout(), std::io::stderr())),
        ..default
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
