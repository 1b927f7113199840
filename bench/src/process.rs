//! The measured server: a process on a data directory of its own, ended and removed when dropped.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    cell::Plan,
    client::Client,
    metrics::{self, Counters},
};

const START_TIME_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// Linux reports CPU time to user space in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

static FOLDERS: AtomicU64 = AtomicU64::new(0);

/// A running server.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts one for an application and waits until it is healthy.
    pub(crate) fn start(plan: &Plan, app: &Path) -> Result<Self> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = plan.data.join(format!("sostenuto-bench-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = fs::File::create(folder.join("server.log"))?;
        let child = Command::new(&plan.binary)
            .arg("run")
            .arg(app)
            .args(["--listen", &address.to_string(), "--workers", &plan.workers.to_string(), "--data"])
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", plan.binary.display()))?;
        let mut server = Self { child, folder, address };
        server.wait_healthy()?;
        Ok(server)
    }

    fn wait_healthy(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIME_MAX;
        loop {
            let answer = Client::connect(self.address, false).and_then(|mut client| client.get("/_/health"));
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.output());
            }
            ensure!(Instant::now() < deadline, "the server is not healthy:\n{}", self.output());
            std::thread::sleep(POLL);
        }
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    /// The server's counters now.
    pub(crate) fn counters(&self) -> Result<Counters> {
        let answer = Client::connect(self.address, false)?.get("/_/metrics")?;
        ensure!(answer.status == 200, "no metrics: {}", answer.status);
        Ok(metrics::parse(&answer.body))
    }

    /// CPU seconds of the server and its workers so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let own = self.child.id();
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // A process may end while we look.
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            if let Some((parent, used)) = parent_and_ticks(&stat)
                && (pid == own || parent == own)
            {
                ticks += used;
            }
        }
        Ok(ticks as f64 / TICKS_PER_SECOND)
    }
}

/// Parent and used ticks (user and system) of a line of `/proc/…/stat`.
fn parent_and_ticks(stat: &str) -> Option<(u32, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((u32::try_from(number(1)?).ok()?, number(11)? + number(12)?))
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is left to do about a failure here: the process is gone, or the folder stays in the way of nobody.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::parent_and_ticks;

    #[test]
    fn stat_lines_with_odd_names() {
        let stat = "12 (a) b) S 7 1 1 0 -1 4194560 1 2 3 4 50 6 0 0 20 0 1 0 1 1";
        assert_eq!(parent_and_ticks(stat), Some((7, 56)));
        assert_eq!(parent_and_ticks("nonsense"), None);
    }
}
