//! Restate with the same workloads, as `peers/restate` installs it: the server, and a service with its SDK.
//!
//! Its defaults are left alone. It keeps what each handler did durable as we do; a transfer is two calls, each exactly
//! once, without isolation, since it has no transactions.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    http::{Client, Request},
    load::{Seen, Traffic},
    metrics::Counters,
    process::{Folder, Process, free_address},
    subject::{Places, Running},
    workload::{ACCOUNTS, Draw, Language, TALLIES, Workload},
};

/// Balances begin here.
const FUNDS: i64 = 1000;

/// Is there such a workload? The Rust SDK cannot await many runs at once, so its fan-out calls another handler.
pub(crate) fn has(workload: Workload) -> bool {
    use Workload::{Counter, Fanout, Hello5, Hot, Noop, NoopKey, Transfer};
    matches!(workload, Noop | NoopKey | Hello5 | Counter | Hot | Transfer | Fanout)
}

/// A server and a service.
pub(crate) struct Restate {
    server: Process,
    service: Process,
    command: ServerCommand,
    ingress: SocketAddr,
    /// Removed after the processes have ended.
    _folder: Folder,
}

/// How its server is started, the first time and again.
struct ServerCommand {
    program: std::path::PathBuf,
    folder: std::path::PathBuf,
    ingress: SocketAddr,
    admin: SocketAddr,
    node: SocketAddr,
}

impl ServerCommand {
    fn start(&self) -> Result<Process> {
        let mut command = Command::new(&self.program);
        command
            .arg("--no-logo")
            .env("RESTATE_DISABLE_TELEMETRY", "true")
            .env("RESTATE_BASE_DIR", self.folder.join("data"))
            .env("RESTATE_BIND_IP", "127.0.0.1")
            .env("RESTATE_LISTEN_MODE", "tcp")
            .env("RESTATE_BIND_PORT", self.node.port().to_string())
            .env("RESTATE_INGRESS__BIND_PORT", self.ingress.port().to_string())
            .env("RESTATE_ADMIN__BIND_PORT", self.admin.port().to_string())
            .env("RESTATE_NODE_NAME", "bench")
            .env("RESTATE_LOG_FILTER", "warn");
        let mut process = Process::start(&mut command, self.folder.join("restate.log"))?;
        process.wait_healthy(self.admin, "/health")?;
        process.wait_healthy(self.ingress, "/restate/health")?;
        Ok(process)
    }
}

impl Restate {
    pub(crate) fn start(places: &Places, language: Language) -> Result<Self> {
        let installed = places.peers.join("restate");
        let program = installed.join("node_modules/@restatedev/restate-server-linux-x64/bin/restate-server");
        ensure!(program.exists(), "{} is not there: `cargo xtask bench --peer restate` installs it", program.display());
        let folder = Folder::make(&places.data)?;
        let service_address = free_address()?;
        let port = service_address.port().to_string();
        let mut command = match language {
            Language::Rust => Command::new(installed.join("rust/release/restate-services")),
            Language::Python => {
                let mut command = Command::new(installed.join("venv/bin/python"));
                command.arg(installed.join("services.py"));
                command
            }
        };
        let service = Process::start(command.arg(&port), folder.path().join("service.log"))?;
        let command = ServerCommand {
            program,
            folder: folder.path().to_path_buf(),
            ingress: free_address()?,
            admin: free_address()?,
            node: free_address()?,
        };
        let server = command.start()?;
        let mut restate = Self { server, service, ingress: command.ingress, command, _folder: folder };
        restate.deploy(service_address)?;
        restate.wait_answering()?;
        Ok(restate)
    }

    fn deploy(&mut self, service: SocketAddr) -> Result<()> {
        let admin = self.command.admin;
        self.service.wait_until("deployed", || {
            let body = format!(r#"{{"uri":"http://{service}"}}"#);
            let answer = Client::connect(admin)?.post(&Request::new("/deployments", body))?;
            ensure!(answer.status / 100 == 2, "{} {}", answer.status, answer.body);
            Ok(())
        })
    }

    fn wait_answering(&mut self) -> Result<()> {
        let ingress = self.ingress;
        self.server.wait_until("answering", || {
            let answer = Client::connect(ingress)?.post(&RestateTraffic(Workload::Noop).request(0, 0))?;
            ensure!(answer.status / 100 == 2, "{} {}", answer.status, answer.body);
            Ok(())
        })
    }

    fn number(client: &mut Client, path: &str) -> Result<i64> {
        let answer = client.post(&Request::new(path, ""))?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
        answer.body.trim().parse().with_context(|| format!("{path}: {}", answer.body))
    }
}

impl Running for Restate {
    fn address(&self) -> SocketAddr {
        self.ingress
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.server.id(), self.service.id()]
    }

    fn counters(&self) -> Result<Counters> {
        Ok(Counters::new())
    }

    fn set_up(&self, workload: Workload) -> Result<()> {
        if has(workload) { Ok(()) } else { bail!("there is no {} for it", workload.name()) }
    }

    fn traffic(&self, workload: Workload) -> Box<dyn Traffic> {
        Box::new(RestateTraffic(workload))
    }

    fn verify(&self, workload: Workload, seen: &Seen) -> Result<()> {
        let mut client = Client::connect(self.ingress)?;
        let mut sum = |object: &str, prefix: &str, count: u64| -> Result<i64> {
            (0..count).map(|n| Self::number(&mut client, &format!("/{object}/{prefix}{n}/get"))).sum()
        };
        match workload {
            Workload::Counter => {
                let total = sum("Tally", "t", TALLIES)?;
                ensure!(total.unsigned_abs() == seen.answers, "{} answers, {total} counted", seen.answers);
            }
            Workload::Hot => {
                let count = Self::number(&mut client, "/Tally/hot/get")?;
                ensure!(count.unsigned_abs() == seen.answers, "{} answers, {count} counted", seen.answers);
            }
            Workload::Transfer => {
                let (total, expected) = (sum("Account", "a", ACCOUNTS)?, ACCOUNTS.cast_signed() * FUNDS);
                ensure!(total == expected, "{expected} at first, {total} at the end");
            }
            _ => {}
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server = self.command.start()?;
        self.wait_answering()
    }
}

/// The requests of a workload to its ingress.
struct RestateTraffic(Workload);

impl Traffic for RestateTraffic {
    fn request(&self, client: usize, number: u64) -> Request {
        let mut draw = Draw::new(client as u64, number);
        match self.0 {
            Workload::Counter => Request::new(format!("/Tally/t{}/add", draw.below(TALLIES)), "1"),
            Workload::Hot => Request::new("/Tally/hot/add", "1"),
            Workload::Transfer => {
                let (source, target) = draw.two_accounts();
                Request::new("/Bench/transfer", format!(r#"{{"source":"a{source}","target":"a{target}","amount":1}}"#))
            }
            Workload::Hello5 => Request::new("/Bench/hello5", ""),
            Workload::Fanout => Request::new("/Bench/fanout", ""),
            _ => Request::new("/Bench/noop", ""),
        }
    }

    fn accepts(&self, _: usize, _: u64, body: &str) -> bool {
        match self.0 {
            Workload::Hello5 => body.contains("Lima"),
            Workload::Fanout => body == "4950",
            _ => true,
        }
    }
}
