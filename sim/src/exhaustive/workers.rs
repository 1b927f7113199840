//! Workers of a copied world: coroutines as the messages that made them, so that a copy is cheap and a resumption runs
//! them again; and what user code saw.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use engine::Input;
use protocol::ids::{AttemptId, InvocationId, PartitionId, RunNumber};
use protocol::worker::{FromWorker, Resume, Slice, Start, StepEnd, StepStatus, left_by};

use super::world::{Digest, World};
use crate::coroutine::{Coroutine, Progress};
use crate::program::decode_int;
use crate::recorder::Witness;

/// What a coroutine was told.
#[derive(Clone, Debug)]
enum Told {
    Start(Start),
    Resume(Resume),
    Fetched(Slice),
}

/// A suspended coroutine.
#[derive(Clone)]
pub(super) struct Suspended {
    pub(super) partition: PartitionId,
    history: Rc<Vec<Told>>,
}

/// A run on a worker, and what it will say next.
#[derive(Clone)]
pub(super) struct Run {
    invocation: InvocationId,
    attempt: Option<AttemptId>,
    history: Rc<Vec<Told>>,
    says: FromWorker,
    evicted: bool,
}

/// Whose step: attempt, invocation, number of the step.
pub(super) type SeenKey = (AttemptId, InvocationId, usize);

/// What user code did in a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) reads: BTreeMap<String, i64>,
    pub(super) writes: BTreeMap<String, i64>,
    /// A node crashed after it.
    pub(super) crashed: bool,
}

impl World {
    pub(super) fn start_run(&mut self, id: PartitionId, start: Start) {
        self.coroutines.remove(&start.invocation);
        let (run, invocation) = (start.run, start.invocation);
        let mut start = start;
        if let Some(follows) = start.follows {
            let Some(left) = self.left(id, follows) else {
                let says = FromWorker::Dropped { run };
                let run = Run { invocation, attempt: None, history: Rc::default(), says, evicted: false };
                self.runs.insert((id, start.run), run);
                return;
            };
            start.slice = left;
        }
        self.execute(id, run, invocation, vec![Told::Start(start)]);
    }

    /// What a run will leave in its cells, if it can be followed.
    fn left(&self, id: PartitionId, run: RunNumber) -> Option<Slice> {
        let leader = self.runs.get(&(id, run))?;
        match (leader.history.first()?, &leader.says) {
            (Told::Start(start), FromWorker::End(end)) => left_by(start.slice.clone(), end),
            _ => None,
        }
    }

    pub(super) fn resume_run(&mut self, id: PartitionId, resume: Resume) {
        let Some(held) = self.coroutines.remove(&resume.invocation) else {
            return self.violated(format!("{}: no worker holds the coroutine to be resumed", resume.invocation));
        };
        let (run, invocation) = (resume.run, resume.invocation);
        let mut history = Rc::unwrap_or_clone(held.history);
        history.push(Told::Resume(resume));
        self.execute(id, run, invocation, history);
    }

    pub(super) fn fetched(&mut self, id: PartitionId, run: RunNumber, slice: Option<Slice>) {
        let Some(running) = self.runs.get_mut(&(id, run)) else { return };
        match slice {
            Some(slice) => {
                let invocation = running.invocation;
                let mut history = Vec::clone(&running.history);
                history.push(Told::Fetched(slice));
                self.execute(id, run, invocation, history);
            }
            None => running.says = FromWorker::Dropped { run },
        }
    }

    /// Runs user code until it has something to say.
    fn execute(&mut self, id: PartitionId, run: RunNumber, invocation: InvocationId, history: Vec<Told>) {
        let attempt = self.engine(id).attempt_of_run(run);
        let says = match again(&self.setup.app, &history) {
            Progress::End(end) => {
                self.saw(attempt, &history, &end);
                FromWorker::End(end)
            }
            Progress::Fetch(field, what) => FromWorker::Fetch { run, field, what },
            Progress::Departed { step, expected, actual } => {
                self.violated(format!("{invocation} departed from its journal at step {step}: {expected} / {actual}"));
                return;
            }
            Progress::Died => unreachable!("no service here ends its worker"),
        };
        let evicted = self.runs.get(&(id, run)).is_some_and(|run| run.evicted);
        self.runs.insert((id, run), Run { invocation, attempt, history: Rc::new(history), says, evicted });
    }

    /// What a step read and wrote is remembered with its attempt.
    fn saw(&mut self, attempt: Option<AttemptId>, history: &[Told], end: &StepEnd) {
        let Some(attempt) = attempt else { return };
        let Some(Told::Start(start)) = history.first() else { return };
        let entity = start.key.as_deref().map_or_else(String::new, |key| format!("({})", decode_int(key)));
        let name = |field: &str, key: Option<&Vec<u8>>| {
            let key = key.map_or_else(String::new, |key| format!("[{}]", decode_int(key)));
            format!("{}{entity}.{field}{key}", start.service)
        };
        let mut seen = Seen::default();
        for (field, key) in &end.reads {
            seen.reads.insert(name(field, key.as_ref()), shipped(history, field, key.as_ref()));
        }
        for write in &end.writes {
            let value = write.value.as_deref().map_or(0, decode_int);
            seen.writes.insert(name(&write.field, write.key.as_ref()), value);
        }
        if seen == Seen::default() {
            return;
        }
        let said = format!("       unit {attempt} {seen:?}");
        self.say(|| said);
        let step = start.journal.len() + history.iter().filter(|told| matches!(told, Told::Resume(_))).count();
        Rc::make_mut(&mut self.seen).insert((attempt, start.invocation, step), seen);
    }

    pub(super) fn report(&mut self, id: PartitionId, run: RunNumber) {
        let Some(running) = self.runs.get(&(id, run)).cloned() else { return };
        if !matches!(running.says, FromWorker::Fetch { .. }) {
            self.runs.remove(&(id, run));
        }
        if let FromWorker::End(end) = &running.says
            && end.status == StepStatus::Suspended
            && !running.evicted
        {
            let held = Suspended { partition: id, history: running.history };
            self.coroutines.insert(running.invocation, held);
        }
        self.handle(id, Input::Worker(running.says));
    }

    pub(super) fn evict(&mut self, invocation: InvocationId) {
        if let Some(run) = self.runs.values_mut().rfind(|run| run.invocation == invocation) {
            run.evicted = true;
        }
        self.coroutines.remove(&invocation);
    }

    pub(super) fn kill(&mut self, id: PartitionId, run: RunNumber, struck: bool) {
        self.deaths -= 1;
        self.runs.remove(&(id, run));
        let runs = vec![(run, struck)];
        self.handle(id, Input::WorkersLost { runs, suspended: Vec::new(), cause: "it was killed".to_owned() });
    }

    pub(super) fn forget(&mut self, id: PartitionId, invocation: InvocationId) {
        self.deaths -= 1;
        self.coroutines.remove(&invocation);
        let suspended = vec![invocation];
        self.handle(id, Input::WorkersLost { runs: Vec::new(), suspended, cause: "it was killed".to_owned() });
    }

    /// The node of a log is gone, and its workers with it.
    pub(super) fn lose_workers(&mut self, log: usize) {
        let logs = self.setup.configuration.logs.clone();
        self.runs.retain(|(id, _), _| logs[usize::from(id.0)] != log);
        self.coroutines.retain(|_, held| logs[usize::from(held.partition.0)] != log);
        for seen in Rc::make_mut(&mut self.seen).values_mut() {
            seen.crashed = true;
        }
    }

    pub(super) fn digest_workers(&self, whole: &mut Digest) {
        let mut runs: Vec<String> = Vec::new();
        for ((id, run), running) in &self.runs {
            let mut text = String::new();
            let current = self.engine(*id).invocation_of_run(*run) == Some(running.invocation);
            let Run { invocation, attempt, history, says, evicted } = running;
            write!(text, "{id} {invocation} {attempt:?} {current} {evicted}").expect("a string takes everything");
            let mut plain = engine::Canonical::new(protocol::Position(0), &mut text);
            plain.part(history).and_then(|()| plain.part(says)).expect("a string takes everything");
            runs.push(text);
        }
        runs.sort();
        write!(whole, "{runs:?}").expect("a digest takes everything");
        for (id, held) in &self.coroutines {
            write!(whole, "{id} {}", held.partition).expect("a digest takes everything");
            let mut plain = engine::Canonical::new(protocol::Position(0), whole);
            plain.part(&held.history).expect("a digest takes everything");
        }
    }
}

/// What the coroutine says last when it is told all this.
fn again(app: &Rc<crate::program::App>, history: &[Told]) -> Progress {
    let mut running: Option<(Coroutine, Progress)> = None;
    for told in history {
        let next = match (told, running.take()) {
            (Told::Start(start), _) => Coroutine::start(app, start, &Witness::default()),
            (Told::Resume(resume), Some((mut coroutine, _))) => {
                let progress = coroutine.resume(resume);
                (coroutine, progress)
            }
            (Told::Fetched(slice), Some((mut coroutine, _))) => {
                let progress = coroutine.fetched(slice);
                (coroutine, progress)
            }
            (Told::Resume(_) | Told::Fetched(_), None) => unreachable!("a coroutine is started first"),
        };
        running = Some(next);
    }
    running.expect("a coroutine was started").1
}

/// The value of a cell as the last step was given it; 0 if it is absent.
fn shipped(history: &[Told], field: &str, key: Option<&Vec<u8>>) -> i64 {
    for told in history.iter().rev() {
        let slice = match told {
            Told::Start(start) => &start.slice,
            Told::Resume(resume) => &resume.slice,
            Told::Fetched(slice) => slice,
        };
        if let Some(cell) = slice.cells.iter().find(|cell| cell.field == field && cell.key.as_ref() == key) {
            return cell.value.as_deref().map_or(0, decode_int);
        }
    }
    0
}
