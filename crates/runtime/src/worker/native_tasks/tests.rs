//! Threads and their lot; with the feature `interleave` in every kind of order.

use protocol::InvocationId;
use protocol::worker::Outcome;

use super::super::native::{Fetch, NativeWorker};
use super::super::played::gone_on;
use super::super::{WentOn, WorkerEvent};
use super::*;
use crate::sync::mpsc::{Receiver, channel};

const WORKERS: u64 = 3;

/// `meet` returns when as many tasks have come as there are workers, `pass` at once. Who waits at `slow` goes on when
/// that is let go.
#[derive(Default)]
struct Meeting {
    came: Mutex<u64>,
    all: Condvar,
    /// It has come, it may leave.
    slow: Mutex<(bool, bool)>,
}

impl Native for Meeting {
    fn worker(&self, _: Fetch) -> Box<dyn NativeWorker> {
        unreachable!("these workers run no steps")
    }

    fn task(&self, task: &TaskRun, _: TaskTies) -> (Outcome, bool) {
        if task.function == "meet" {
            let mut came = self.came.lock().unwrap();
            *came += 1;
            self.all.notify_all();
            while *came < WORKERS {
                came = self.all.wait(came).unwrap();
            }
        }
        (Outcome::Value(Vec::new()), false)
    }

    fn go_on(&self, invocation: InvocationId, position: &str, result: &Outcome) -> Option<Box<WentOn>> {
        if position == "slow" {
            let mut slow = self.slow.lock().unwrap();
            slow.0 = true;
            self.all.notify_all();
            while !slow.1 {
                slow = self.all.wait(slow).unwrap();
            }
        }
        Some(gone_on(invocation, 0, (position, result), true).0)
    }
}

/// A task that somebody waits for at this position.
fn waited_for(run: u64, position: &str) -> Vec<ToWorker> {
    let awaited_by = Some((InvocationId::default(), position.to_owned()));
    vec![ToWorker::Task(Box::new(TaskRun { run: RunNumber(run), awaited_by, ..TaskRun::default() }))]
}

fn task(run: u64, function: &str) -> Vec<ToWorker> {
    let task = TaskRun { run: RunNumber(run), function: function.into(), ..TaskRun::default() };
    vec![ToWorker::Task(Box::new(task))]
}

/// What workers said: started, ended runs, ended.
struct Heard {
    events: Receiver<WorkerEvent>,
    ready: u64,
    ended: Vec<u64>,
    went_on: usize,
    gone: Vec<(u64, String)>,
}

impl Heard {
    fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            match self.events.recv().unwrap() {
                WorkerEvent::WentOn(step, _, messages) => {
                    assert!(matches!(messages.as_slice(), [FromWorker::TaskEnd { .. }]), "{step:?} {messages:?}");
                    self.went_on += 1;
                    self.ended.extend(messages.iter().filter_map(|message| match message {
                        FromWorker::TaskEnd { run, .. } => Some(run.0),
                        _ => None,
                    }));
                }
                WorkerEvent::Said(_, messages) => {
                    for message in messages {
                        match message {
                            FromWorker::Ready { .. } => self.ready += 1,
                            FromWorker::TaskEnd { run, .. } => self.ended.push(run.0),
                            _ => panic!("these workers say nothing else"),
                        }
                    }
                }
                WorkerEvent::Gone(worker, death) => self.gone.push((worker.0, death.cause)),
            }
        }
    }
}

fn start() -> (Vec<Box<dyn Link>>, Heard, Arc<AtomicUsize>) {
    start_with(Arc::default())
}

fn start_with(meeting: Arc<Meeting>) -> (Vec<Box<dyn Link>>, Heard, Arc<AtomicUsize>) {
    let (events, received) = channel();
    let events = Mutex::new(events);
    let report: Report = Arc::new(move |event| drop(events.lock().unwrap().send(event)));
    let mut threads = TaskThreads::new(meeting, report);
    let lost = Arc::clone(&threads.lost);
    let links = (0..WORKERS).map(|worker| threads.launch(WorkerId(worker)).unwrap()).collect();
    let mut heard = Heard { events: received, ready: 0, ended: Vec::new(), went_on: 0, gone: Vec::new() };
    heard.until(|heard| heard.ready == WORKERS);
    (links, heard, lost)
}

/// Each waits for the others: if one waited behind another for its thread, none would end.
fn none_waits_behind_one_that_blocks() {
    let (links, mut heard, _) = start();
    for (run, link) in links.iter().enumerate() {
        link.send(task(run as u64, "meet"));
    }
    heard.until(|heard| heard.ended.len() == WORKERS as usize);
    let (last, others) = links.split_last().unwrap();
    for (run, link) in others.iter().enumerate() {
        link.send_with_others(task(100 + run as u64, "pass"));
    }
    last.send(task(99 + WORKERS, "pass"));
    heard.until(|heard| heard.ended.len() == 2 * WORKERS as usize);
    // The last one is told something that wakes nobody by itself.
    links[0].send_with_others(task(200, "pass"));
    links[1].send(vec![ToWorker::StopTask(RunNumber(7))]);
    heard.until(|heard| heard.ended.contains(&200));
    drop(links);
    heard.until(|heard| heard.gone.len() == WORKERS as usize);
    heard.ended.sort_unstable();
    assert_eq!(heard.ended, [0, 1, 2, 100, 101, 102, 200]);
}

/// One worker is given up while its task may have begun or ended; the threads of the others are theirs.
fn the_thread_of_one_that_is_given_up_ends_with_it() {
    let (links, mut heard, lost) = start();
    links[0].send(task(0, "pass"));
    links[0].kill("was ended");
    heard.until(|heard| heard.gone.len() == 1);
    assert_eq!(heard.gone, [(0, "was ended; its thread goes on until the task returns".to_owned())]);
    for (run, link) in links.iter().enumerate().skip(1) {
        link.send(task(run as u64, "pass"));
    }
    heard.until(|heard| heard.ended.contains(&1) && heard.ended.contains(&2));
    drop(links);
    heard.until(|heard| heard.gone.len() == WORKERS as usize);
    // All threads have ended when nobody holds what only they share.
    while Arc::strong_count(&lost) > 1 {
        thread::yield_now();
    }
    assert_eq!(lost.load(Ordering::Acquire), 0, "no thread counts as lost any more");
}

/// A worker is given up while its thread may go on with who waited: of the task's end is heard at most once, and of
/// what goes on only with it.
fn the_end_of_a_task_is_told_once() {
    let (links, mut heard, lost) = start();
    links[0].send(waited_for(0, "0"));
    links[1].send(waited_for(1, "1"));
    links[0].kill("was ended");
    heard.until(|heard| heard.gone.len() == 1 && heard.ended.contains(&1));
    drop(links);
    heard.until(|heard| heard.gone.len() == WORKERS as usize);
    while Arc::strong_count(&lost) > 1 {
        thread::yield_now();
    }
    heard.ended.sort_unstable();
    assert!(matches!(heard.ended.as_slice(), [1] | [0, 1]), "{:?}", heard.ended);
    assert!((1..=heard.ended.len()).contains(&heard.went_on), "{}", heard.went_on);
}

/// The task has ended in time; it is the step behind it that is given up.
fn who_is_given_up_while_it_goes_on_tells_of_the_task() {
    let meeting = Arc::new(Meeting::default());
    let (links, mut heard, lost) = start_with(Arc::clone(&meeting));
    links[0].send(waited_for(0, "slow"));
    let mut slow = meeting.slow.lock().unwrap();
    while !slow.0 {
        slow = meeting.all.wait(slow).unwrap();
    }
    drop(slow);
    links[0].kill("was ended");
    heard.until(|heard| heard.gone.len() == 1);
    assert_eq!((heard.ended.as_slice(), lost.load(Ordering::Acquire)), ([0].as_slice(), 1));
    meeting.slow.lock().unwrap().1 = true;
    meeting.all.notify_all();
    drop((links, meeting));
    heard.until(|heard| heard.gone.len() == WORKERS as usize);
    while Arc::strong_count(&lost) > 1 {
        thread::yield_now();
    }
    assert_eq!((heard.ended.len(), heard.went_on, lost.load(Ordering::Acquire)), (1, 0, 0));
}

/// Each of them once, or in many orders.
macro_rules! tests_of {
    ($($scenario:ident)*) => {
        mod of_threads {
            $(
                #[test]
                fn $scenario() {
                    #[cfg(feature = "interleave")]
                    shuttle::check_random(super::$scenario, 2_000);
                    #[cfg(not(feature = "interleave"))]
                    super::$scenario();
                }
            )*
        }
    };
}

tests_of! {
    the_end_of_a_task_is_told_once
    who_is_given_up_while_it_goes_on_tells_of_the_task
    none_waits_behind_one_that_blocks
    the_thread_of_one_that_is_given_up_ends_with_it
}
