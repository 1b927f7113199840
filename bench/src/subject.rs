//! Whom a workload is run on: our server with services in Python or in Rust, or a peer.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::{
    http::Client,
    load::{Seen, Traffic},
    metrics::{self, Counters},
    peer::Restate,
    process::{Folder, Process, free_address},
    workload::{Language, Workload},
};

/// Where programs and applications are, and where data goes.
pub(crate) struct Places {
    /// The server.
    pub(crate) binary: PathBuf,
    /// The program with services in Rust.
    pub(crate) services: PathBuf,
    /// The interpreter of services in Python.
    pub(crate) python: Option<PathBuf>,
    /// The applications in Python.
    pub(crate) apps: PathBuf,
    /// What was installed of the peers.
    pub(crate) peers: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) workers: usize,
    /// What `--memory` is told, if anything.
    pub(crate) memory: Option<String>,
    /// What `--coroutines` is told, if anything.
    pub(crate) coroutines: Option<usize>,
}

/// Whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Ours(Language),
    Restate(Language),
}

impl Subject {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Ours(language) => language.name().to_owned(),
            Self::Restate(language) => format!("restate-{}", language.name()),
        }
    }

    /// Starts it on an empty data directory and waits until it answers.
    pub(crate) fn start(self, places: &Places, workload: Workload) -> Result<Box<dyn Running>> {
        Ok(match self {
            Self::Ours(language) => Box::new(Ours::of_workload(places, language, workload)?),
            Self::Restate(language) => Box::new(Restate::start(places, language)?),
        })
    }
}

/// A subject that runs.
pub(crate) trait Running {
    /// Where requests go.
    fn address(&self) -> SocketAddr;
    /// Its processes; their children count, too.
    fn processes(&self) -> Vec<u32>;
    /// The counters that it has.
    fn counters(&self) -> Result<Counters>;
    /// Prepares the state of a workload.
    fn set_up(&self, workload: Workload) -> Result<()>;
    /// The workload's requests as this subject understands them.
    fn traffic(&self, workload: Workload) -> Box<dyn Traffic>;
    /// Checks the state that the workload left.
    fn verify(&self, workload: Workload, seen: &Seen) -> Result<()>;
    /// `kill -9` and a start on the same data, until it answers a request again.
    fn restart(&mut self) -> Result<()>;
}

/// Our server.
pub(crate) struct Ours {
    process: Process,
    address: SocketAddr,
    program: Vec<String>,
    folder: Folder,
}

impl Ours {
    fn of_workload(places: &Places, language: Language, workload: Workload) -> Result<Self> {
        match language {
            Language::Python => Self::python(places, &places.apps.join(workload.folder()), &[]),
            Language::Rust => Self::rust(places, &[]),
        }
    }

    /// Runs an application in Python.
    pub(crate) fn python(places: &Places, app: &Path, options: &[String]) -> Result<Self> {
        let mut program = vec![text(&places.binary), "run".to_owned(), text(app)];
        program.extend(places.python.iter().flat_map(|python| ["--python".to_owned(), text(python)]));
        Self::start(places, program, options)
    }

    /// Runs the services in Rust.
    pub(crate) fn rust(places: &Places, options: &[String]) -> Result<Self> {
        Self::start(places, vec![text(&places.services)], options)
    }

    fn start(places: &Places, mut program: Vec<String>, options: &[String]) -> Result<Self> {
        let folder = Folder::make(&places.data)?;
        let address = free_address()?;
        program.extend(["--listen".to_owned(), address.to_string()]);
        program.extend(["--workers".to_owned(), places.workers.to_string()]);
        program.extend(places.coroutines.iter().flat_map(|count| ["--coroutines".to_owned(), count.to_string()]));
        program.extend(places.memory.iter().flat_map(|memory| ["--memory".to_owned(), memory.clone()]));
        program.extend(["--data".to_owned(), text(&folder.path().join("data"))]);
        program.extend_from_slice(options);
        let process = launch(&program, &folder, address)?;
        Ok(Self { process, address, program, folder })
    }

    /// Bytes of the data directory.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.folder.bytes()
    }

    pub(crate) fn client(&self) -> Result<Client> {
        Client::connect(self.address)
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn launch(program: &[String], folder: &Folder, address: SocketAddr) -> Result<Process> {
    let mut command = Command::new(&program[0]);
    let mut process = Process::start(command.args(&program[1..]), folder.path().join("server.log"))?;
    process.wait_healthy(address, "/_/health")?;
    Ok(process)
}

impl Running for Ours {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.process.id()]
    }

    fn counters(&self) -> Result<Counters> {
        let answer = Client::connect(self.address)?.get("/_/metrics")?;
        ensure!(answer.status == 200, "no metrics: {}", answer.status);
        Ok(metrics::parse(&answer.body))
    }

    fn set_up(&self, workload: Workload) -> Result<()> {
        workload.set_up(&mut Client::connect(self.address)?)
    }

    fn traffic(&self, workload: Workload) -> Box<dyn Traffic> {
        Box::new(workload)
    }

    fn verify(&self, workload: Workload, seen: &Seen) -> Result<()> {
        workload.verify(&mut Client::connect(self.address)?, seen)
    }

    fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = launch(&self.program, &self.folder, self.address)?;
        Ok(())
    }
}
