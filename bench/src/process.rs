//! Measured processes, ended when dropped, and what they and their children use.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::http::Client;

const START_TIME_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);
/// Linux counts what disks write in these.
const SECTOR_BYTES: u64 = 512;
/// Linux reports CPU time to user space in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

static FOLDERS: AtomicU64 = AtomicU64::new(0);

/// A folder of this run, removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn make(parent: &Path) -> Result<Self> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("sostenuto-bench-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Bytes of the files in it, at any depth, as the disk counts them.
    pub(crate) fn bytes(&self) -> u64 {
        allocated(&self.0)
    }
}

/// What goes away while we look counts as nothing.
fn allocated(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => allocated(&entry.path()),
        Ok(data) => data.blocks() * SECTOR_BYTES,
        Err(_) => 0,
    });
    bytes.sum()
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in the way of nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An address of the loopback interface that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A process whose output goes to a file.
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = fs::File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { child, name, log })
    }

    /// Waits until something that fails at first succeeds.
    pub(crate) fn wait_until<T>(&mut self, what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let deadline = Instant::now() + START_TIME_MAX;
        loop {
            let problem = match attempt() {
                Ok(value) => return Ok(value),
                Err(problem) => problem,
            };
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.output());
            }
            ensure!(Instant::now() < deadline, "{} is not {what}: {problem}\n{}", self.name, self.output());
            std::thread::sleep(POLL);
        }
    }

    /// Waits until a page answers with 200.
    pub(crate) fn wait_healthy(&mut self, address: SocketAddr, page: &str) -> Result<()> {
        self.wait_until("healthy", || {
            let answer = Client::connect(address)?.get(page)?;
            ensure!(answer.status == 200, "{page}: {} {}", answer.status, answer.body);
            Ok(())
        })
    }

    fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits for its end.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is gone already, or it cannot be helped.
        let _ = self.kill();
    }
}

/// What processes and their children have used so far, and hold now.
#[derive(Clone, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    /// The same by the names of threads, without their numbers; threads that have ended are not in it.
    pub(crate) threads: BTreeMap<String, f64>,
    /// Written to disks, by all processes of the machine: what the kernel counts for one process is whole pages of the
    /// page cache, up to a mebibyte for a record.
    pub(crate) disk_bytes: u64,
    /// Proportional set sizes.
    pub(crate) memory_bytes: u64,
}

impl Usage {
    /// Of these processes and all that they have started.
    pub(crate) fn of(roots: &[u32]) -> Result<Self> {
        let mut usage = Self { disk_bytes: disk_bytes(), ..Self::default() };
        for pid in with_children(roots)? {
            let folder = PathBuf::from(format!("/proc/{pid}"));
            // A process may end while we look.
            let Ok(stat) = fs::read_to_string(folder.join("stat")) else { continue };
            let ticks = parent_and_ticks(&stat).map_or(0, |(_, ticks)| ticks);
            usage.cpu_seconds += ticks as f64 / TICKS_PER_SECOND;
            usage.add_threads(&folder.join("task"));
            usage.memory_bytes += number_of(&folder.join("smaps_rollup"), "Pss:") * 1024;
        }
        Ok(usage)
    }

    fn add_threads(&mut self, tasks: &Path) {
        for thread in fs::read_dir(tasks).into_iter().flatten().flatten() {
            let file = |name| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            let Some((_, ticks)) = parent_and_ticks(&file("stat")) else { continue };
            let name = file("comm").trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
            *self.threads.entry(name).or_default() += ticks as f64 / TICKS_PER_SECOND;
        }
    }
}

fn with_children(roots: &[u32]) -> Result<BTreeSet<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some((parent, _)) = parent_and_ticks(&stat) {
            parents.push((pid, parent));
        }
    }
    let mut found: BTreeSet<u32> = roots.iter().copied().collect();
    loop {
        let known = found.len();
        found.extend(
            parents.iter().filter(|(_, parent)| found.contains(parent)).map(|(pid, _)| *pid).collect::<Vec<_>>(),
        );
        if found.len() == known {
            return Ok(found);
        }
    }
}

/// Parent and used ticks (user and system) of a line of `/proc/…/stat`.
fn parent_and_ticks(stat: &str) -> Option<(u32, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((u32::try_from(number(1)?).ok()?, number(11)? + number(12)?))
}

/// Bytes written to all disks since the machine started.
fn disk_bytes() -> u64 {
    let text = fs::read_to_string("/proc/diskstats").unwrap_or_default();
    let whole = |name: &str| Path::new("/sys/block").join(name).exists();
    let sectors = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        whole(fields.get(2)?).then(|| fields.get(9)?.parse::<u64>().ok())?
    });
    sectors.sum::<u64>() * SECTOR_BYTES
}

/// The number after a name in one of the kernel's files; 0 if it is not there.
fn number_of(path: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Usage, parent_and_ticks};

    #[test]
    fn stat_lines_with_odd_names() {
        let stat = "12 (a) b) S 7 1 1 0 -1 4194560 1 2 3 4 50 6 0 0 20 0 1 0 1 1";
        assert_eq!(parent_and_ticks(stat), Some((7, 56)));
        assert_eq!(parent_and_ticks("nonsense"), None);
    }

    #[test]
    fn this_process_holds_memory() {
        assert!(Usage::of(&[std::process::id()]).expect("/proc is there").memory_bytes > 100_000);
    }
}
