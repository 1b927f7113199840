//! Runs other programs: echoes what they print, keeps the lines by which test runners close, ends them at a limit.

use std::{
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

const POLL: Duration = Duration::from_millis(50);

/// The checkout.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Where cargo builds to.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A cargo command in the checkout.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), arguments)
}

/// A program in the checkout, without input.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// How a program ended.
pub(crate) struct Ended {
    /// It succeeded within its time.
    pub(crate) ok: bool,
    /// It was stopped at its limit.
    pub(crate) late: bool,
    /// The lines by which test runners close.
    pub(crate) closing: Vec<String>,
}

/// Runs a program to its end or limit.
pub(crate) fn run(mut command: Command, limit: Duration) -> Result<Ended> {
    let shown = format!("{command:?}");
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().with_context(|| format!("starting {shown}"))?;
    let closing = Arc::new(Mutex::new(Vec::new()));
    let readers = [
        child.stdout.take().map(|pipe| echo(pipe, Arc::clone(&closing))),
        child.stderr.take().map(|pipe| echo(pipe, Arc::clone(&closing))),
    ];
    let status = wait(&mut child, limit)?;
    if status.is_some() {
        // After a stop the pipes may still be held by grandchildren; then nobody waits for them.
        for reader in readers.into_iter().flatten() {
            reader.join().map_err(|_| anyhow::anyhow!("a reader of {shown} panicked"))?;
        }
    }
    let closing = closing.lock().map(|lines| lines.clone()).unwrap_or_default();
    Ok(Ended { ok: status.is_some_and(|status| status.success()), late: status.is_none(), closing })
}

/// Waits; `None` if the limit came first and the process was ended.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

fn echo(pipe: impl Read + Send + 'static, closing: Arc<Mutex<Vec<String>>>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            println!("{line}");
            if closes(&line)
                && let Ok(mut lines) = closing.lock()
            {
                lines.push(line);
            }
        }
    })
}

/// Is this a line by which a test runner closes?
fn closes(line: &str) -> bool {
    let unittest = line == "OK" || line.starts_with("OK (") || line.starts_with("FAILED (") || line.starts_with("Ran ");
    unittest || line.starts_with("test result: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_kept() {
        let script =
            "echo 'test result: ok. 3 passed'; echo noise; echo 'Ran 2 tests in 1s' >&2; echo 'OK (skipped=1)' >&2";
        let ended = run(program("sh", &["-c", script]), Duration::from_secs(20)).expect("runs");
        assert!(ended.ok && !ended.late);
        assert_eq!(ended.closing.len(), 3);
    }

    #[test]
    fn a_late_program_is_ended() {
        let ended = run(program("sleep", &["60"]), Duration::from_millis(100)).expect("runs");
        assert!(ended.late && !ended.ok);
    }
}
