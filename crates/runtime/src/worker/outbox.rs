//! What a worker process is sent: by whoever has it to say if that is short and the socket takes it at once, which spares a
//! change of threads, otherwise by a thread that may wait. Nobody else ever waits for a worker to read.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, PoisonError};

use protocol::worker::{FrameError, Resident, ToWorker, encode_to_worker};
use rustix::net::SendFlags;

use super::process::lock;
use crate::limits;

/// Messages on their way to one process.
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// What the thread has to write first: the end of a frame that the socket did not take.
    rest: Vec<u8>,
    messages: Vec<ToWorker>,
    /// The thread has something to write, so everything else must come after it.
    is_behind: bool,
    is_closed: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.messages.is_empty()
    }
}

/// Why nothing more can be sent.
pub(crate) enum SendError {
    /// A message that cannot be written into a frame.
    Frame(FrameError),
    /// The process is gone, or does not read.
    Socket,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self { queue: Mutex::default(), changed: Condvar::new() }
    }

    /// Sends messages after those from before, and never waits for the socket.
    pub(crate) fn send(&self, socket: &UnixStream, resident: &Mutex<Resident>, messages: Vec<ToWorker>) {
        let mut queue = lock(&self.queue);
        if queue.is_closed {
            // The pool will hear that the process is gone.
            return;
        }
        let is_short =
            !queue.is_behind && messages.iter().map(ToWorker::weight).sum::<usize>() < limits::SENT_AT_ONCE_MAX;
        // What cannot be encoded, the thread finds out again and tells.
        match is_short.then(|| encode_to_worker(&messages, &mut lock(resident))) {
            Some(Ok(frame)) => queue.rest = unsent(socket, frame),
            _ => queue.messages.extend(messages),
        }
        if !queue.is_empty() {
            queue.is_behind = true;
            self.changed.notify_one();
        }
    }

    /// Writes what could not be sent at once, until it is closed or that is no longer possible.
    pub(crate) fn write(&self, mut socket: &UnixStream, resident: &Mutex<Resident>) -> Result<(), SendError> {
        while let Some((rest, messages)) = self.take() {
            let written = socket.write_all(&rest).map_err(|_| SendError::Socket);
            if let Err(error) = written.and_then(|()| write_all(socket, resident, &messages)) {
                self.close();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits for something to write. `None` if it is closed.
    fn take(&self) -> Option<(Vec<u8>, Vec<ToWorker>)> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.is_closed {
                return None;
            }
            if !queue.is_empty() {
                return Some((std::mem::take(&mut queue.rest), std::mem::take(&mut queue.messages)));
            }
            queue.is_behind = false;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing more is sent.
    pub(crate) fn close(&self) {
        let mut queue = lock(&self.queue);
        *queue = Queue { is_closed: true, ..Queue::default() };
        self.changed.notify_one();
    }
}

/// Gives a frame to the socket; what is left is what it does not take at once.
fn unsent(socket: &UnixStream, mut frame: Vec<u8>) -> Vec<u8> {
    let sent = rustix::net::send(socket, &frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    // An error is met again by the thread, which may wait.
    frame.drain(..sent.unwrap_or_default());
    frame
}

/// Writes one frame, or one for each message if they do not fit into one.
fn write_all(mut socket: &UnixStream, resident: &Mutex<Resident>, messages: &[ToWorker]) -> Result<(), SendError> {
    let mut write = |frame: Vec<u8>| socket.write_all(&frame).map_err(|_: io::Error| SendError::Socket);
    let encode = |messages: &[ToWorker]| encode_to_worker(messages, &mut lock(resident));
    if messages.is_empty() {
        return Ok(());
    }
    match encode(messages) {
        Ok(frame) => write(frame),
        Err(error) if messages.len() == 1 => Err(SendError::Frame(error)),
        Err(_) => messages
            .iter()
            .try_for_each(|message| write(encode(std::slice::from_ref(message)).map_err(SendError::Frame)?)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::thread;

    use protocol::worker::{FrameReader, TaskRun, decode_to_worker};
    use protocol::{RunNumber, Value};

    use super::*;

    /// A task whose arguments are so long.
    fn task(run: u64, bytes: usize) -> ToWorker {
        let args = protocol::msgpack::encode(&Value::Bytes(vec![7; bytes])).unwrap();
        ToWorker::Task(Box::new(TaskRun { run: RunNumber(run), args, ..TaskRun::default() }))
    }

    fn run_of(message: &ToWorker) -> u64 {
        match message {
            ToWorker::Task(task) => task.run.0,
            other => panic!("{other:?}"),
        }
    }

    /// Reads until so many messages have come, or the stream ends.
    fn received(mut socket: &UnixStream, count: usize) -> Vec<u64> {
        let (mut frames, mut runs, mut buffer) = (FrameReader::new(), Vec::new(), vec![0; 4096]);
        while runs.len() < count {
            let len = socket.read(&mut buffer).unwrap();
            if len == 0 {
                break;
            }
            frames.push(&buffer[..len]);
            while let Some(frame) = frames.pop().unwrap() {
                runs.extend(decode_to_worker(frame).unwrap().iter().map(run_of));
            }
        }
        runs
    }

    #[test]
    fn what_is_short_needs_no_thread() {
        let ((ours, theirs), outbox, resident) =
            (UnixStream::pair().unwrap(), Outbox::new(), Mutex::new(Resident::none()));
        for run in 0..10 {
            outbox.send(&ours, &resident, vec![task(2 * run, 10), task(2 * run + 1, 10)]);
        }
        assert_eq!(received(&theirs, 20), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn nobody_waits_for_a_process_that_does_not_read_and_the_order_stays() {
        let ((ours, theirs), outbox, resident) =
            (UnixStream::pair().unwrap(), Outbox::new(), Mutex::new(Resident::none()));
        let large = |run: u64| if run.is_multiple_of(7) { 2 * limits::SENT_AT_ONCE_MAX } else { 1000 };
        // Far more than a socket takes.
        let (first, all) = (2000, 4000);
        (0..first).for_each(|run| outbox.send(&ours, &resident, vec![task(run, large(run))]));
        thread::scope(|scope| {
            let writes = scope.spawn(|| outbox.write(&ours, &resident).is_ok());
            let sends =
                scope.spawn(|| (first..all).for_each(|run| outbox.send(&ours, &resident, vec![task(run, large(run))])));
            assert_eq!(received(&theirs, all as usize), (0..all).collect::<Vec<_>>());
            sends.join().unwrap();
            outbox.close();
            assert!(writes.join().unwrap());
        });
        outbox.send(&ours, &resident, vec![task(all, 10)]);
        drop(ours);
        assert!(received(&theirs, 1).is_empty(), "closed");
    }

    #[test]
    fn a_process_that_is_gone_ends_the_thread() {
        let ((ours, theirs), outbox, resident) =
            (UnixStream::pair().unwrap(), Outbox::new(), Mutex::new(Resident::none()));
        drop(theirs);
        outbox.send(&ours, &resident, vec![task(1, 10)]);
        assert!(matches!(outbox.write(&ours, &resident), Err(SendError::Socket)));
        outbox.send(&ours, &resident, vec![task(2, 10)]);
        assert!(lock(&outbox.queue).is_empty(), "nothing is kept for it");
    }

    #[test]
    fn a_message_that_cannot_be_sent_is_told_after_those_before() {
        let ((ours, theirs), outbox, resident) =
            (UnixStream::pair().unwrap(), Outbox::new(), Mutex::new(Resident::none()));
        let broken = TaskRun { run: RunNumber(3), args: vec![0xc1], ..TaskRun::default() };
        outbox.send(&ours, &resident, vec![task(1, 10), task(2, 10), ToWorker::Task(Box::new(broken))]);
        assert!(matches!(outbox.write(&ours, &resident), Err(SendError::Frame(_))));
        assert_eq!(received(&theirs, 2), [1, 2]);
    }
}
