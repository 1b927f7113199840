//! What people see of unfinished invocations: state, what they wait for and for how long, and what can be done.

use protocol::api::{Description, Invocation, JournalEntry, State, Waiting, key_text, time_text};
use protocol::cell::CellKey;
use protocol::ids::{InvocationId, Micros};

use crate::io::Listed;
use crate::live::{Live, Pending, PendingTask, Phase, TaskPhase, TurnState};
use crate::partition::Partition;

impl Partition {
    /// All unfinished invocations, by id.
    pub fn list(&self, now: Micros) -> Vec<Listed> {
        self.live.iter().map(|(id, live)| Listed { invocation: self.summary(*id, live, now), id: *id }).collect()
    }

    /// One unfinished invocation in full.
    pub fn describe(&self, id: InvocationId, now: Micros) -> Option<Description> {
        let live = self.live.get(&id)?;
        let journal = live.journal.iter().enumerate().map(|(step, row)| JournalEntry {
            step: step as u64,
            clock: row.clock,
            delivered: row.delivered.iter().map(|delivered| delivered.position.clone()).collect(),
            operations: row.ops.iter().map(|op| format!("{}: {}", op.position, op.text())).collect(),
            reads: (row.reads.cells.len() + row.reads.wholes.len()) as u64,
        });
        let tasks = live.pending.iter().filter_map(|(position, pending)| match pending {
            Pending::Task(task) => Some(format!("{position}: {}", task_text(task, now))),
            _ => None,
        });
        Some(Description {
            invocation: self.summary(id, live, now),
            parent: live.row.call.parent.as_ref().map(|parent| parent.invocation.to_string()),
            partition: self.config.id.0,
            journal: journal.collect(),
            attempts: live.attempts,
            tasks: tasks.collect(),
            note: live.parked.as_ref().map(|parked| parked.reason.clone()).or_else(|| live.note.clone()),
        })
    }

    fn summary(&self, id: InvocationId, live: &Live, now: Micros) -> Invocation {
        let call = &live.row.call;
        let waiting = self.waiting(id, live, now);
        let state = match live.phase {
            Phase::Parked => State::Parked,
            Phase::Idle | Phase::Running | Phase::Stashing(_) | Phase::Preparing(_) => State::Running,
            Phase::Turn | Phase::Acquiring(_) if live.journal.is_empty() && waiting.is_none() => State::Accepted,
            _ => State::Waiting,
        };
        Invocation {
            id: id.to_string(),
            service: call.service.clone(),
            key: call.key.as_deref().map(key_text),
            method: call.method.clone(),
            state,
            age_ms: now.saturating_sub(call.accepted) / 1_000,
            waiting,
        }
    }

    fn waiting(&self, id: InvocationId, live: &Live, now: Micros) -> Option<Waiting> {
        let (reason, what, action) = self.reason(id, live, now)?;
        let age_ms = now.saturating_sub(live.since) / 1_000;
        Some(Waiting { reason: reason.into(), what, age_ms, action: action.into() })
    }

    fn reason(&self, id: InvocationId, live: &Live, now: Micros) -> Option<(&'static str, String, &'static str)> {
        const CANCEL: &str = "cancel";
        match &live.phase {
            Phase::Idle => None,
            Phase::Running => Some(("worker", "its step runs or stands in a worker's queue".into(), CANCEL)),
            Phase::Turn | Phase::Acquiring(_) if self.is_fenced(live) => Some(("restart", self.fence_text(), CANCEL)),
            Phase::Turn => Some(("turn", self.turn_text(live), "cancel it, or resume or cancel the holder")),
            Phase::Acquiring(partition) => Some(("lock", self.lock_text(id, live, partition.0), CANCEL)),
            Phase::Suspended => self.suspension(live, now),
            Phase::Stashing(on) => Some(("commit", format!("writes on their way to {} partitions", on.len()), CANCEL)),
            Phase::Preparing(p) => Some(("commit", format!("promises of {} partitions", p.awaiting.len()), CANCEL)),
            Phase::Freezing(f) => {
                Some(("retry", format!("its attempt ends on {} partitions", f.awaiting.len()), CANCEL))
            }
            Phase::Died(partition, _) => {
                Some(("retry", format!("older work on partition {partition} that its attempt gave way to"), CANCEL))
            }
            Phase::Parked => {
                let why = live.parked.as_ref().map(|parked| parked.reason.clone()).unwrap_or_default();
                Some(("resume", why, "resume or cancel"))
            }
        }
    }

    fn suspension(&self, live: &Live, now: Micros) -> Option<(&'static str, String, &'static str)> {
        let awaited = |position: &&String| live.waits.contains(*position);
        let position = live.pending.keys().find(awaited).or_else(|| live.pending.keys().next())?;
        match &live.pending[position] {
            Pending::Call { child, target, .. } => Some(("call", format!("{target} ({child})"), "cancel")),
            Pending::Sleep(due) => Some(("sleep", format!("until {}", time_text(*due)), "cancel")),
            Pending::Task(task) => Some(("task", task_text(task, now), "cancel")),
            Pending::Begin => Some(("call", "earlier calls, before its transaction begins".into(), "cancel")),
            Pending::Commit | Pending::Rollback => Some(("commit", "calls of its transaction".into(), "cancel")),
        }
    }

    /// Does it wait for locks of this partition that nobody is granted yet?
    fn is_fenced(&self, live: &Live) -> bool {
        let here = match (&live.phase, &live.turn) {
            (Phase::Turn, turn) => matches!(turn, TurnState::Wanted(_)),
            (Phase::Acquiring(partition), _) => *partition == self.config.id,
            _ => false,
        };
        here && self.locks.is_closed()
    }

    fn fence_text(&self) -> String {
        let awaited: Vec<String> = self.fence.awaited().map(|partition| partition.to_string()).collect();
        let (these, own) = (awaited.join(", "), self.config.id);
        format!(
            "the other nodes to confirm that nothing from before the restart of partition {own} runs there: {these}"
        )
    }

    fn turn_text(&self, live: &Live) -> String {
        let (TurnState::Wanted(cell) | TurnState::Held(cell) | TurnState::Reentered(cell)) = &live.turn else {
            return "its entity's turn".into();
        };
        let holders = match live.turn {
            TurnState::Reentered(_) => self.turns.innermost(cell).into_iter().collect(),
            _ => self.locks.holders(cell),
        };
        format!("{}, held by {}", self.cell_text(cell), self.names(&holders))
    }

    fn lock_text(&self, id: InvocationId, live: &Live, partition: u16) -> String {
        let attempt = live.step.as_ref().map(|step| step.attempt).unwrap_or_default();
        let Some(wants) = self.locks.wanted(attempt, id) else { return format!("cells of partition {partition}") };
        for (cell, _) in wants {
            let holders: Vec<InvocationId> =
                self.locks.holders(cell).into_iter().filter(|holder| *holder != attempt.owner).collect();
            if !holders.is_empty() {
                return format!("{}, held by {}", self.cell_text(cell), self.names(&holders));
            }
        }
        "cells that older work waits for".into()
    }

    fn names(&self, ids: &[InvocationId]) -> String {
        let name = |id: &InvocationId| match self.live.get(id) {
            Some(live) => {
                let parked = if live.phase == Phase::Parked { ", parked" } else { "" };
                format!("{}.{} ({id}{parked})", live.row.call.service, live.row.call.method)
            }
            None => id.to_string(),
        };
        ids.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    fn cell_text(&self, cell: &CellKey) -> String {
        match self.numbers.name(cell.field) {
            Some((service, "")) => format!("the turn of {service}"),
            Some((service, field)) => format!("{service}.{field}"),
            None => "a cell".into(),
        }
    }
}

/// `fetch, attempt 2 of 4, next try in 3 s: ValueError: …`
fn task_text(task: &PendingTask, now: Micros) -> String {
    let (name, tries) = (task.call.name(), u64::from(task.call.retries) + 1);
    let attempt = format!("{name}, attempt {} of {tries}", u64::from(task.failed) + 1);
    let before = if task.error.is_empty() { String::new() } else { format!("; the last one: {}", task.error) };
    match task.phase {
        TaskPhase::Waiting => format!("{attempt}, waits for tasks that were asked for before it{before}"),
        TaskPhase::Handed(_) => format!("{attempt}, waits for a free task worker{before}"),
        TaskPhase::Running(_) => format!("{attempt}, runs{before}"),
        TaskPhase::Backoff(due) => {
            let seconds = due.saturating_sub(now).div_ceil(1_000_000);
            format!("{attempt}, next try in {seconds} s{before}")
        }
    }
}
