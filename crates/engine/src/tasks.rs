//! Tasks at the home of the invocation that asked for them: handed to the runtime in order and in bounds, tried again by
//! their policy, their result recorded once, cancelled. What runs them is not known here; how many tries a task had is
//! not durable, so after a restart it begins with its first.
//!
//! A result that a step begins with at once is recorded with what that step comes to: nobody sees more of it before. Any
//! other has a record of its own, and it gets one when that step is given up.

use std::sync::Arc;

use protocol::ids::{InvocationId, Position, RunNumber};
use protocol::limits::RECORD_BYTES_MAX;
use protocol::message::{DurableBody, Exception};
use protocol::record::{Body, OpRowKind, TaskResult};
use protocol::worker::{Delivered, Op, Outcome, TaskCall};

use crate::end::{Asked, not_storable};
use crate::io::{Effect, TaskStart, Turn};
use crate::limits::TASKS_IN_FLIGHT_MAX;
use crate::live::{Pending, PendingTask, Phase, Ready, TaskPhase};
use crate::partition::Partition;

/// Bytes of a task's result: it travels in records like the result of a call.
const RESULT_BYTES_MAX: usize = RECORD_BYTES_MAX / 2 - 64 * 1024;

/// A task that nobody has begun.
pub(crate) fn pending(call: TaskCall) -> Pending {
    let (call, after) = (Arc::new(call), Position::default());
    Pending::Task(PendingTask { call, failed: 0, error: String::new(), phase: TaskPhase::Waiting, after })
}

impl Partition {
    /// A step asks for a task.
    pub(crate) fn task_operation(&self, id: InvocationId, op: &Op, call: &TaskCall, asked: &mut Asked) -> OpRowKind {
        let inside = self.live.get(&id).is_some_and(|live| live.transaction.is_some() || live.inner.is_some());
        if inside {
            let message = "a task inside a transaction: run it before or after the transaction";
            let exception = Exception::encode("sostenuto.TransactionError", message);
            asked.failed.push(crate::results::decided(&op.position, Some(exception)));
        } else {
            asked.pending.push((op.position.clone(), pending(call.clone())));
        }
        OpRowKind::Task(call.clone())
    }

    /// The program cancels something that it has asked for and does not wait for any more.
    pub(crate) fn cancel_operation(&mut self, id: InvocationId, position: &str, asked: &mut Asked, turn: &mut Turn) {
        let new = asked.pending.iter().position(|(at, _)| at == position);
        let Some(live) = self.live.get_mut(&id) else { return };
        let pending = match new {
            Some(index) => Some(asked.pending.remove(index).1),
            None => live.pending.remove(position),
        };
        match pending {
            Some(Pending::Call { child, inner: false, .. }) => {
                // Whether it has taken the call in or not: it is not to be made again.
                live.answered.push(child);
                asked.messages.push((self.home_of(child), DurableBody::Cancel { id: child }));
            }
            Some(pending) => self.let_go(id, position, &pending, turn),
            None => {}
        }
    }

    /// Nothing more is to come of a pending operation.
    pub(crate) fn let_go(&mut self, id: InvocationId, position: &str, pending: &Pending, turn: &mut Turn) {
        match pending {
            Pending::Sleep(due) => _ = self.timers.remove(&(*due, id, position.to_owned())),
            Pending::Task(task) => match task.phase {
                TaskPhase::Waiting => {}
                TaskPhase::Backoff(due) => _ = self.timers.remove(&(due, id, position.to_owned())),
                TaskPhase::Handed(run) | TaskPhase::Running(run) => {
                    self.task_runs.remove(&run);
                    turn.effects.push(Effect::StopTask(run));
                    self.hand_tasks(turn);
                }
            },
            Pending::Call { .. } | Pending::Begin | Pending::Commit | Pending::Rollback => {}
        }
    }

    /// Lets the tasks begin that the record at `after` asks for.
    pub(crate) fn begin_tasks(&mut self, id: InvocationId, after: Position, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        for (position, pending) in &mut live.pending {
            if let Pending::Task(task) = pending
                && task.after == Position::default()
            {
                task.after = after;
                self.tasks_waiting.push_back((id, position.clone()));
            }
        }
        self.hand_tasks(turn);
    }

    /// Hands tasks to the runtime while it may have more.
    fn hand_tasks(&mut self, turn: &mut Turn) {
        while self.task_runs.len() < TASKS_IN_FLIGHT_MAX {
            let Some((id, position)) = self.tasks_waiting.pop_front() else { return };
            let Some(live) = self.live.get_mut(&id) else { continue };
            let alone = live.pending.len() == 1;
            let Some(Pending::Task(task)) = live.pending.get_mut(&position) else { continue };
            if task.phase != TaskPhase::Waiting {
                continue;
            }
            let run = RunNumber(self.next_run);
            self.next_run += 1;
            task.phase = TaskPhase::Handed(run);
            let call = Arc::clone(&task.call);
            let after = if call.is_pure { Position::default() } else { task.after };
            let awaited_at = alone.then(|| position.clone());
            let start = TaskStart { run, after, invocation: id, awaited_at, call };
            self.task_runs.insert(run, (id, position));
            turn.effects.push(Effect::StartTask(Box::new(start)));
        }
    }

    fn task_mut(&mut self, id: InvocationId, position: &str) -> Option<&mut PendingTask> {
        match self.live.get_mut(&id)?.pending.get_mut(position)? {
            Pending::Task(task) => Some(task),
            _ => None,
        }
    }

    /// A task worker has begun a run.
    pub(crate) fn task_started(&mut self, run: RunNumber) {
        let Some((id, position)) = self.task_runs.get(&run).cloned() else { return };
        if let Some(task) = self.task_mut(id, &position) {
            task.phase = TaskPhase::Running(run);
        }
    }

    /// A run is over: it gave the task's result, or there is another try.
    pub(crate) fn task_ended(&mut self, run: RunNumber, outcome: Outcome, is_final: bool, turn: &mut Turn) {
        let Some((id, position)) = self.task_runs.remove(&run) else { return };
        let now = turn.now;
        let Some(task) = self.task_mut(id, &position) else { return };
        match &outcome {
            Outcome::Exception(bytes) if !is_final && task.failed < task.call.retries => {
                let factor = 1u64.checked_shl(task.failed).unwrap_or(u64::MAX);
                let pause = task.call.backoff.saturating_mul(factor).min(task.call.backoff_max);
                let exception = Exception::from_value(bytes);
                let class = exception.class.strip_prefix("builtins.").unwrap_or(&exception.class);
                task.error = format!("{class}: {}", exception.message).chars().take(200).collect();
                task.failed += 1;
                let due = now.saturating_add(pause);
                task.phase = TaskPhase::Backoff(due);
                self.timers.insert((due, id, position));
            }
            Outcome::Value(bytes) | Outcome::Exception(bytes) if bytes.len() > RESULT_BYTES_MAX => {
                let (name, len) = (task.call.name(), bytes.len());
                let message = format!("the result of {name} has {len} bytes; the limit is {RESULT_BYTES_MAX}");
                self.task_result(id, position, Outcome::Exception(not_storable(&message)), turn);
            }
            Outcome::Value(_) | Outcome::Exception(_) => self.task_result(id, position, outcome, turn),
        }
        self.hand_tasks(turn);
    }

    /// The pause before another try is over.
    pub(crate) fn retry_task(&mut self, id: InvocationId, position: &str, turn: &mut Turn) {
        if let Some(task) = self.task_mut(id, position).filter(|task| matches!(task.phase, TaskPhase::Backoff(_))) {
            task.phase = TaskPhase::Waiting;
            self.tasks_waiting.push_back((id, position.to_owned()));
            self.hand_tasks(turn);
        }
    }

    /// Delivers the result and has it recorded, once.
    fn task_result(&mut self, id: InvocationId, position: String, outcome: Outcome, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        live.pending.remove(&position);
        live.ready.push(Ready { unrecorded: true, ..Ready::own(&position, outcome) });
        let outside = live.transaction.is_none() && live.inner.is_none();
        let goes_on = live.phase == Phase::Suspended && live.has_enough();
        if !(outside && goes_on) || live.pending.values().any(|pending| *pending == Pending::Begin) {
            self.record_results(id, turn);
        }
        self.maybe_begin_transaction(id, turn);
        self.try_deliver(id, turn);
        if self.live.get(&id).is_some_and(|live| live.phase != Phase::Running) {
            // Its step waits for its cells, which may take long.
            self.record_results(id, turn);
        }
    }

    /// Records what tasks of the invocation gave and no record has.
    pub(crate) fn record_results(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let delivered = live.step.iter_mut().flat_map(|step| &mut step.delivered);
        let unrecorded = live.ready.iter_mut().chain(delivered).filter(|ready| ready.unrecorded);
        let mark = |ready: &mut Ready| {
            ready.unrecorded = false;
            ready.delivered.clone()
        };
        let results: Vec<Delivered> = unrecorded.map(mark).collect();
        for result in results {
            self.log(Body::TaskResult(TaskResult { invocation: id, result }), Vec::new(), turn);
        }
    }

    /// The invocation is cancelled: its tasks end with that, whoever waits for them.
    pub(crate) fn cancel_tasks(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        let tasks = live.pending.iter().filter(|(_, pending)| matches!(pending, Pending::Task(_)));
        let tasks: Vec<(String, Pending)> = tasks.map(|(at, pending)| (at.clone(), pending.clone())).collect();
        for (position, pending) in tasks {
            self.let_go(id, &position, &pending, turn);
            let exception = Exception::encode("asyncio.exceptions.CancelledError", "the invocation was cancelled");
            let Some(live) = self.live.get_mut(&id) else { return };
            live.pending.remove(&position);
            let cancelled = crate::results::decided(&position, Some(exception));
            live.ready.push(cancelled.clone());
            let body = Body::TaskResult(TaskResult { invocation: id, result: cancelled.delivered });
            self.log(body, Vec::new(), turn);
        }
    }
}
