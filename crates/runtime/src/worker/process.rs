//! One worker process, forked from the [`Template`]: a socket pair, a thread that reads frames from it, one that writes
//! those that cannot be sent at once ([`Outbox`]), one that shows what it writes to its raw output. The driver is never
//! blocked by any of them.

use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use protocol::Value;
use protocol::manifest::Manifest;
use protocol::worker::{FrameError, FrameReader, InitOptions, Resident, ToWorker, decode_from_worker, encode_init};

use super::outbox::{Outbox, SendError};
use super::package::WorkerDir;
use super::strike::StrikeFile;
use super::template::{End, Template};
use super::{Death, Launch, Link, WorkerEvent, WorkerId};
use crate::faults::resident_bytes_min;
use crate::limits;
use crate::sink::Sink;

/// Takes what workers report; called in their threads.
pub(crate) type Report = Arc<dyn Fn(WorkerEvent) + Send + Sync>;

/// What processes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Steps,
    Tasks,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Steps => "worker",
            Self::Tasks => "task worker",
        }
    }
}

/// How long output is waited for that a process has left behind.
pub(crate) const OUTPUT_WAIT: Duration = Duration::from_millis(200);

/// Starts the template, and another one when it has ended.
pub(crate) struct Templates {
    pub(crate) interpreter: PathBuf,
    pub(crate) dir: WorkerDir,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) present: Mutex<Option<Arc<Template>>>,
}

/// Starts CPython processes.
#[derive(Clone)]
pub(crate) struct Python {
    pub(crate) purpose: Purpose,
    pub(crate) templates: Arc<Templates>,
    pub(crate) report: Report,
}

impl Launch for Python {
    fn launch(&mut self, worker: WorkerId) -> io::Result<Box<dyn Link>> {
        let dir = &self.templates.dir;
        let strike = StrikeFile::create(&dir.strike_file(self.purpose.name(), worker.0))?;
        let values = match self.purpose {
            Purpose::Steps => vec![
                ("strike_file".to_owned(), text(strike.path())),
                ("resident_bytes_min".to_owned(), Value::Int(resident_bytes_min() as i64)),
            ],
            Purpose::Tasks => vec![("tasks".to_owned(), Value::Bool(true))],
        };
        let number = match self.purpose {
            Purpose::Steps => 2 * worker.0,
            Purpose::Tasks => 2 * worker.0 + 1,
        };
        let template = self.templates.present()?;
        let (ours, theirs) = UnixStream::pair()?;
        let (output, raw) = io::pipe()?;
        template.fork(number, &InitOptions { values }, theirs, raw).map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            worker,
            purpose: self.purpose,
            socket: ours,
            outbox: Outbox::new(),
            template,
            number,
            strike,
            resident: Mutex::new(match self.purpose {
                Purpose::Steps => Resident::new(resident_bytes_min(), limits::RESIDENT_BYTES_MAX),
                Purpose::Tasks => Resident::none(),
            }),
            reason: Mutex::default(),
            tail: Mutex::default(),
        });
        self.spawn_threads(&shared, output)?;
        Ok(Box::new(Process { shared }))
    }
}

/// INIT of the template. Also called without a directory, to learn early whether the manifest can be sent at all.
pub(crate) fn init_frame(manifest: &Manifest, dir: Option<&WorkerDir>) -> Result<Vec<u8>, FrameError> {
    let options = |dir: &WorkerDir| vec![("code_folder".to_owned(), text(&dir.code_folder()))];
    encode_init(manifest, &InitOptions { values: dir.map(options).unwrap_or_default() })
}

fn text(path: &Path) -> Value {
    Value::Str(path.to_string_lossy().into_owned())
}

impl Templates {
    /// The template, started if there is none.
    pub(crate) fn present(&self) -> io::Result<Arc<Template>> {
        let mut present = lock(&self.present);
        if let Some(template) = present.as_ref().filter(|template| !template.is_over()) {
            return Ok(Arc::clone(template));
        }
        let init = init_frame(&self.manifest, Some(&self.dir)).map_err(io::Error::other)?;
        let template = Arc::new(Template::start(self.command(), init, Arc::clone(&self.sink))?);
        Ok(Arc::clone(present.insert(template)))
    }

    fn command(&self) -> Command {
        let mut path = self.dir.package_root().into_os_string();
        if let Some(inherited) = std::env::var_os("PYTHONPATH").filter(|inherited| !inherited.is_empty()) {
            path.push(":");
            path.push(inherited);
        }
        let mut command = Command::new(&self.interpreter);
        command
            .args(["-m", "sostenuto.worker.template"])
            .env("PYTHONPATH", path)
            .env("PYTHONHASHSEED", "0")
            .env("PYTHONUNBUFFERED", "1")
            // An interrupt from the terminal is for the server, which lets running steps end.
            .process_group(0);
        command
    }
}

impl Python {
    fn spawn_threads(&self, shared: &Arc<Shared>, output: PipeReader) -> io::Result<()> {
        let spawn = |name: &str| thread::Builder::new().name(format!("{name}-{}", shared.worker.0));
        let writing = Arc::clone(shared);
        spawn("worker-write").spawn(move || {
            // That the socket takes no more, its reader sees, too.
            if let Err(SendError::Frame(error)) = writing.outbox.write(&writing.socket, &writing.resident) {
                writing.kill(&format!("was ended, because a message could not be sent to it: {error}"));
            }
        })?;
        let (shown, output_ended) = channel();
        let (showing, sink) = (Arc::clone(shared), Arc::clone(&self.templates.sink));
        spawn("worker-output").spawn(move || {
            let name = format!("{} {}", showing.purpose.name(), showing.worker.0);
            show_output(&name, &showing.tail, output, &*sink);
            // Nobody listens any more if the process was given up.
            let _ = shown.send(());
        })?;
        let (reading, report) = (Arc::clone(shared), Arc::clone(&self.report));
        spawn("worker-read").spawn(move || {
            let read = read_frames(&reading.socket, |frames| report_frames(frames, &reading, &report));
            if let Err(error) = read {
                reading.kill(&format!("was ended, because it sent a {error}"));
            }
            let death = reading.bury(&output_ended);
            report(WorkerEvent::Gone(reading.worker, death));
        })?;
        Ok(())
    }
}

/// The driver's side of a process.
struct Process {
    shared: Arc<Shared>,
}

/// What the threads of a process share.
struct Shared {
    worker: WorkerId,
    purpose: Purpose,
    socket: UnixStream,
    outbox: Outbox,
    template: Arc<Template>,
    /// Its number there.
    number: u64,
    strike: StrikeFile,
    /// Values that it keeps.
    resident: Mutex<Resident>,
    /// Why the server ended it.
    reason: Mutex<Option<String>>,
    /// End of its raw output.
    tail: Mutex<String>,
}

impl Link for Process {
    fn send(&self, messages: Vec<ToWorker>) {
        self.shared.outbox.send(&self.shared.socket, &self.shared.resident, messages);
    }

    fn word(&self) -> Option<u64> {
        self.shared.strike.read()
    }

    fn kill(&self, reason: &str) {
        self.shared.kill(reason);
    }

    fn check(&self) {
        if self.shared.template.has_ended(self.shared.number) {
            self.shared.close();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.shared.outbox.close();
        self.shared.close();
    }
}

impl Shared {
    fn kill(&self, reason: &str) {
        lock(&self.reason).get_or_insert_with(|| reason.to_owned());
        self.template.kill(self.number);
        self.close();
    }

    /// Both sides read the end of the stream, also if a child of the process still holds the socket.
    fn close(&self) {
        // Fails only if it is closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Waits for the end of the process, which comes by itself or is made to come.
    fn bury(&self, output_ended: &Receiver<()>) -> Death {
        self.close();
        let End { cause, output } = self.wait();
        self.template.forget(self.number);
        // A child that inherited the output may keep it open.
        let _ = output_ended.recv_timeout(OUTPUT_WAIT);
        let cause = lock(&self.reason).take().unwrap_or(cause);
        let output = output + &std::mem::take(&mut *lock(&self.tail));
        Death { cause, output, word: self.strike.read() }
    }

    fn wait(&self) -> End {
        let end = self.template.wait(self.number, limits::WORKER_EXIT_WAIT).or_else(|| {
            self.template.kill(self.number);
            self.template.wait(self.number, limits::WORKER_EXIT_WAIT)
        });
        end.unwrap_or_else(|| End { cause: "was lost: it does not end".to_owned(), output: String::new() })
    }
}

/// Reads until the stream ends, and hands over the frames that are there after each part of it. Why they were no good, if
/// that is what has ended it.
pub(crate) fn read_frames(
    mut socket: &UnixStream,
    mut take: impl FnMut(&mut FrameReader) -> Result<(), FrameError>,
) -> Result<(), FrameError> {
    let mut frames = FrameReader::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = match socket.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(()),
        };
        frames.push(&buffer[..len]);
        take(&mut frames)?;
    }
}

fn report_frames(frames: &mut FrameReader, shared: &Shared, report: &Report) -> Result<(), FrameError> {
    let mut messages = Vec::new();
    while let Some(frame) = frames.pop()? {
        messages.extend(decode_from_worker(frame, &mut lock(&shared.resident))?);
    }
    if !messages.is_empty() {
        report(WorkerEvent::Said(shared.worker, messages));
    }
    Ok(())
}

/// What user code prints comes in messages; this is what an interpreter or a native library writes by itself.
pub(crate) fn show_output(name: &str, tail_kept: &Mutex<String>, output: PipeReader, sink: &dyn Sink) {
    let mut lines = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match (&mut lines).take(limits::WORKER_OUTPUT_LINE_BYTES as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line);
        let mut tail = lock(tail_kept);
        tail.push_str(&line);
        if tail.len() > limits::WORKER_OUTPUT_TAIL_BYTES {
            let cut = tail.len() - limits::WORKER_OUTPUT_TAIL_BYTES;
            let cut = (cut..tail.len()).find(|&at| tail.is_char_boundary(at)).unwrap_or(cut);
            tail.drain(..cut);
        }
        drop(tail);
        sink.notice(&format!("{name}: {}", line.trim_end()));
    }
}

pub(crate) fn describe(status: &io::Result<ExitStatus>) -> String {
    match status {
        Err(error) => format!("was lost: {error}"),
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exited with status {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}{}", signal_name(signal)),
            (None, None) => "ended".to_owned(),
        },
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

/// All updates under these locks are single steps, so a panic elsewhere has left nothing half-done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
