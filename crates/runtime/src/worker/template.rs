//! The template: one Python process that has loaded the library and compiled the application, and of which workers are
//! forked copies. What all of them need is loaded once, and in memory once. It runs no user code, so it has no threads, no
//! open files and no state of the application when it forks. If it dies the workers go on, and the next one to be
//! started starts another template.
//!
//! A worker's socket and raw output travel to it over a socket pair, which is its standard input. Its workers are not our
//! children: it tells us how they end.

use std::collections::HashMap;
use std::io::{self, IoSlice, PipeWriter, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use protocol::worker::{
    FrameError, FrameReader, FromTemplate, InitOptions, decode_from_template, encode_fork, encode_kill,
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process};

use super::process::{OUTPUT_WAIT, describe, lock, read_frames, show_output};
use crate::sink::Sink;

/// A running template. Dropping it lets it end.
pub(crate) struct Template {
    shared: Arc<Shared>,
    orders: Sender<Order>,
}

/// A frame, and what travels with it.
struct Order {
    frame: Vec<u8>,
    files: Vec<OwnedFd>,
}

/// What the threads share.
struct Shared {
    socket: UnixStream,
    child: Mutex<Child>,
    /// End of its raw output.
    tail: Mutex<String>,
    forks: Mutex<Forks>,
    changed: Condvar,
}

#[derive(Default)]
struct Forks {
    workers: HashMap<u64, Fork>,
    /// How the template ended.
    end: Option<String>,
}

#[derive(Clone, Copy)]
enum Fork {
    Ordered,
    Runs(u32),
    Ended(i32),
}

/// How a worker ended.
pub(crate) struct End {
    pub(crate) cause: String,
    /// What its template wrote, if it ended before the worker began.
    pub(crate) output: String,
}

impl Template {
    /// Starts the process and sends it INIT.
    pub(crate) fn start(mut command: Command, init: Vec<u8>, sink: Arc<dyn Sink>) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let (output, raw) = io::pipe()?;
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(raw.try_clone()?).stderr(raw);
        let child = Mutex::new(command.spawn()?);
        // It holds our copies of what the process was given.
        drop(command);
        let (tail, forks, changed) = (Mutex::default(), Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { socket: ours, child, tail, forks, changed });
        let (orders, ordered) = channel();
        let template = Self { shared: Arc::clone(&shared), orders };
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let writing = Arc::clone(&shared);
        spawn("template-write").spawn(move || write_orders(&writing.socket, &ordered))?;
        let (shown, output_ended) = channel();
        let showing = Arc::clone(&shared);
        spawn("template-output").spawn(move || {
            show_output("worker template", &showing.tail, output, &*sink);
            // Nobody listens any more if the process was given up.
            let _ = shown.send(());
        })?;
        spawn("template-read").spawn(move || {
            // It ends, or says something that it should not.
            if read_frames(&shared.socket, |frames| take_frames(frames, &shared)).is_err() {
                // Fails only if it has ended by itself.
                let _ = lock(&shared.child).kill();
            }
            shared.bury(&output_ended);
        })?;
        // If the writer is gone, the process is, and the reader sees it.
        let _ = template.orders.send(Order { frame: init, files: Vec::new() });
        Ok(template)
    }

    /// Has it ended? Then it starts nothing more.
    pub(crate) fn is_over(&self) -> bool {
        lock(&self.shared.forks).end.is_some()
    }

    /// Lets it start a worker with these files. If it ends before that, the worker's socket is closed.
    pub(crate) fn fork(
        &self,
        worker: u64,
        options: &InitOptions,
        socket: UnixStream,
        raw: PipeWriter,
    ) -> Result<(), FrameError> {
        let frame = encode_fork(worker, options)?;
        lock(&self.shared.forks).workers.insert(worker, Fork::Ordered);
        // Dropped with its files if the writer is gone.
        let _ = self.orders.send(Order { frame, files: vec![socket.into(), raw.into()] });
        Ok(())
    }

    /// Has this worker ended?
    pub(crate) fn has_ended(&self, worker: u64) -> bool {
        matches!(lock(&self.shared.forks).workers.get(&worker), Some(Fork::Ended(_)))
    }

    /// Ends a worker at once.
    pub(crate) fn kill(&self, worker: u64) {
        let forks = lock(&self.shared.forks);
        match (forks.workers.get(&worker), &forks.end) {
            (Some(Fork::Runs(pid)), Some(_)) => kill(*pid),
            (Some(Fork::Ordered | Fork::Runs(_)), None) => {
                let frame = encode_kill(worker).expect("a number has a frame");
                let _ = self.orders.send(Order { frame, files: Vec::new() });
            }
            _ => {}
        }
    }

    /// Waits until a worker has ended; `None` if it does not in this time. A template that has not even begun to start
    /// it then is ended.
    pub(crate) fn wait(&self, worker: u64, time_max: Duration) -> Option<End> {
        let deadline = Instant::now() + time_max;
        let mut forks = lock(&self.shared.forks);
        loop {
            let fork = forks.workers.get(&worker).copied().expect("its fork was ordered");
            let end = |cause| Some(End { cause, output: String::new() });
            match (fork, &forks.end) {
                (Fork::Ended(status), _) => return end(describe(&Ok(ExitStatus::from_raw(status)))),
                (Fork::Ordered, Some(cause)) => {
                    return Some(End { cause: cause.clone(), output: lock(&self.shared.tail).clone() });
                }
                (Fork::Runs(pid), Some(_)) => {
                    kill(pid);
                    return end("ended without a trace, since its template had ended before it".to_owned());
                }
                (Fork::Ordered | Fork::Runs(_), None) => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if matches!(fork, Fork::Ordered) {
                    // Fails only if it has ended by itself.
                    let _ = lock(&self.shared.child).kill();
                }
                return None;
            }
            forks = self.shared.changed.wait_timeout(forks, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nobody will ask about this worker again.
    pub(crate) fn forget(&self, worker: u64) {
        lock(&self.shared.forks).workers.remove(&worker);
    }
}

impl Shared {
    /// Waits for the template's end, and says it to all.
    fn bury(&self, output_ended: &Receiver<()>) {
        let status = lock(&self.child).wait();
        // A worker that inherited its output may keep it open.
        let _ = output_ended.recv_timeout(OUTPUT_WAIT);
        lock(&self.forks).end = Some(describe(&status));
        self.changed.notify_all();
    }

    fn take(&self, message: FromTemplate) {
        let (FromTemplate::Forked { worker, .. } | FromTemplate::Ended { worker, .. }) = message;
        // One that was forgotten is of no interest.
        if let Some(fork) = lock(&self.forks).workers.get_mut(&worker) {
            *fork = match message {
                FromTemplate::Forked { pid, .. } => Fork::Runs(pid),
                FromTemplate::Ended { status, .. } => Fork::Ended(status),
            };
        }
        self.changed.notify_all();
    }
}

/// Ends when nobody can order anything any more, or the process is gone; closes the connection.
fn write_orders(socket: &UnixStream, orders: &Receiver<Order>) {
    while let Ok(Order { frame, files }) = orders.recv() {
        if write_order(socket, &frame, &files).is_err() {
            break;
        }
    }
    // The process reads the end of the stream and ends.
    let _ = socket.shutdown(std::net::Shutdown::Write);
}

fn write_order(mut socket: &UnixStream, frame: &[u8], files: &[OwnedFd]) -> io::Result<()> {
    if files.is_empty() {
        return socket.write_all(frame);
    }
    let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&files)), "there is room for two");
    // They travel with the first byte.
    let sent = sendmsg(socket, &[IoSlice::new(frame)], &mut ancillary, SendFlags::NOSIGNAL)?;
    socket.write_all(&frame[sent..])
}

fn take_frames(frames: &mut FrameReader, shared: &Shared) -> Result<(), FrameError> {
    while let Some(frame) = frames.pop()? {
        decode_from_template(frame)?.into_iter().for_each(|message| shared.take(message));
    }
    Ok(())
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Fails only if it has ended.
        let _ = kill_process(pid, Signal::KILL);
    }
}
