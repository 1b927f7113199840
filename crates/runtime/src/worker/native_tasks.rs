//! Task workers in this process: threads that run tasks written in Rust, one at a time each. The pool holds them like
//! processes.
//!
//! A thread cannot be ended. What is an `async fn` is dropped where it waits when its time is over or nobody wants its
//! result; a thread that blocks is given up, another takes its place, and it goes on until the task returns. With too
//! many of these no further thread is started until some have returned: tasks wait, and the server says why.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use protocol::RunNumber;
use protocol::worker::{FromWorker, TaskRun, ToWorker};
use tokio::sync::oneshot;

use super::native::{Farewell, Native, Shared, TaskTies};
use super::process::Report;
use super::{Launch, Link, WorkerId};
use crate::limits::{TASK_OUTPUT_BYTES_MAX, TASK_THREADS_LOST_MAX};
use crate::sync::mpsc::{Receiver, Sender, channel};
use crate::sync::{AtomicU64, Mutex, thread};

/// Starts threads for tasks.
pub(crate) struct TaskThreads {
    pub(crate) native: Arc<dyn Native>,
    pub(crate) report: Report,
    /// Threads that were given up and have not returned.
    pub(crate) lost: Arc<AtomicUsize>,
}

/// Too many threads do not return.
#[derive(Debug, thiserror::Error)]
#[error(
    "{TASK_THREADS_LOST_MAX} threads are in tasks of Rust services that do not end in time, and a thread cannot be ended: \
     further tasks wait until some of them have returned, or the server is started again"
)]
struct TooManyLost;

type Task = (TaskRun, oneshot::Receiver<()>);

impl Launch for TaskThreads {
    fn launch(&mut self, worker: WorkerId) -> io::Result<Box<dyn Link>> {
        if self.lost.load(Ordering::Acquire) >= TASK_THREADS_LOST_MAX {
            return Err(io::Error::other(TooManyLost));
        }
        let (outgoing, tasks) = channel();
        let shared = Arc::new(Shared::new(worker, &self.report, &self.lost));
        let (native, of_thread) = (Arc::clone(&self.native), Arc::clone(&shared));
        thread::Builder::new().name(format!("task-{}", worker.0)).spawn(move || {
            let farewell = Farewell(of_thread);
            serve(&*native, &farewell.0, &tasks);
        })?;
        Ok(Box::new(Thread { shared, outgoing, stop: Mutex::new(None) }))
    }
}

/// The driver's side of a thread.
struct Thread {
    shared: Arc<Shared>,
    outgoing: Sender<Task>,
    /// Stops the run that it was sent last. Dropping it stops that run, too.
    stop: Mutex<Option<(RunNumber, oneshot::Sender<()>)>>,
}

impl Link for Thread {
    fn send(&self, messages: Vec<ToWorker>) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        for message in messages {
            match message {
                ToWorker::Task(task) => {
                    let (stopping, stopped) = oneshot::channel();
                    *stop = Some((task.run, stopping));
                    // If the thread has ended, the pool will hear of it.
                    let _ = self.outgoing.send((*task, stopped));
                }
                ToWorker::StopTask(run) => drop(stop.take_if(|(of, _)| *of == run)),
                // Steps are not for these workers.
                ToWorker::Start(_) | ToWorker::Resume(_) | ToWorker::Evict(_) | ToWorker::Fetched { .. } => {}
            }
        }
    }

    fn word(&self) -> Option<u64> {
        None
    }

    fn kill(&self, reason: &str) {
        self.shared.give_up(format!("{reason}; its thread goes on until the task returns"));
    }

    fn check(&self) {}
}

/// The thread: runs what comes until nobody can send any more.
fn serve(native: &dyn Native, shared: &Arc<Shared>, tasks: &Receiver<Task>) {
    shared.say(vec![FromWorker::Ready { pid: std::process::id(), python: String::new(), problem: None }]);
    while let Ok((task, stopped)) = tasks.recv() {
        let ties = TaskTies { output: output(shared, task.run), stopped };
        let (outcome, is_final) = native.task(&task, ties);
        shared.say(vec![FromWorker::TaskEnd { run: task.run, outcome, is_final }]);
        if shared.is_gone() {
            return;
        }
    }
}

/// Tells what a run prints, as much of it as is kept.
fn output(shared: &Arc<Shared>, run: RunNumber) -> Box<dyn Fn(u8, String)> {
    let (shared, told) = (Arc::clone(shared), AtomicU64::new(0));
    Box::new(move |stream, mut text| {
        let before = told.fetch_add(text.len() as u64, Ordering::Relaxed);
        let left = usize::try_from(TASK_OUTPUT_BYTES_MAX.saturating_sub(before)).unwrap_or(usize::MAX);
        if left == 0 {
            return;
        }
        if text.len() > left {
            text.truncate((0..=left).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default());
            text.push_str("\n[sostenuto: the rest of this task's output was cut]\n");
        }
        shared.say(vec![FromWorker::TaskOutput { run, stream, text }]);
    })
}
