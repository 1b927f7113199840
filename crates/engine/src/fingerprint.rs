//! What tells two states of a partition apart, as text: for checks that walk through all states and must know which of
//! them they have seen. Not used by a running node.
//!
//! Left out is what cannot change what happens next: counters from which new names are taken, notes for people, cached
//! contents of cells (the rows of the partition say the same). Positions count from the durable one, below which they
//! are all alike.

use std::fmt::{self, Debug, Write};

use protocol::ids::{AttemptId, InvocationId, Position, RunNumber};

use crate::live::{Live, StepContext};
use crate::partition::Partition;
use crate::state::State;

impl Partition {
    /// Writes everything that decides what this partition does next. `durable` is the position of its log from which
    /// positions count.
    pub fn fingerprint(&self, durable: Position, out: &mut dyn Write) -> fmt::Result {
        let out = &mut Canonical::new(durable, out);
        // Named one by one, so that nobody adds a part and forgets it here.
        let Self {
            config: _,
            deployment: _,
            numbers: _,
            state,
            live,
            locks,
            turns,
            cells,
            participants,
            dead,
            dead_order: _,
            runs,
            timers,
            task_runs,
            tasks_waiting,
            loads,
            groups,
            epochs,
            fence,
            strikes,
            keys,
            calls,
            acknowledged,
            acknowledged_since,
            settled,
            deciding,
            next_run: _,
            next_attempt: _,
            next_ticket: _,
            next_sweep: _,
            live_bytes: _,
        } = self;
        durable_part(state, out)?;
        for (id, live) in live {
            out.part(id)?;
            out.part(&plain(live))?;
        }
        locks.fingerprint(out)?;
        let newer = cells.newer(durable);
        let parts: [&dyn Debug; 14] = [
            turns,
            &newer,
            participants,
            dead,
            &runs.values().collect::<Vec<_>>(),
            timers,
            &(task_runs, tasks_waiting, loads),
            groups,
            &(epochs, fence),
            strikes,
            keys,
            calls,
            &sorted(acknowledged),
            &(sorted(settled), deciding, (!acknowledged.is_empty()).then_some(acknowledged_since)),
        ];
        parts.into_iter().try_for_each(|part| out.part(part))
    }

    /// On whose behalf a run of a step is under way.
    pub fn attempt_of_run(&self, run: RunNumber) -> Option<AttemptId> {
        Some(self.live.get(self.runs.get(&run)?)?.step.as_ref()?.attempt)
    }

    /// Whose step a run is.
    pub fn invocation_of_run(&self, run: RunNumber) -> Option<InvocationId> {
        self.runs.get(&run).copied()
    }

    /// Nothing is unfinished and nobody has to be told anything any more.
    pub fn is_settled(&self) -> bool {
        let told = self.state.outbox.values().all(|messages| messages.is_empty());
        self.is_quiet() && told && self.state.decisions.is_empty() && self.deciding.is_empty() && self.runs.is_empty()
    }
}

fn durable_part(state: &State, out: &mut Canonical) -> fmt::Result {
    let State { invocations, outbox, inbox, prepared, decisions, catalogue: _, meta, applied } = state;
    let parts: [&dyn Debug; 7] = [invocations, outbox, inbox, prepared, decisions, meta, applied];
    parts.into_iter().try_for_each(|part| out.part(part))
}

/// Without what is there for people, and without names of runs.
fn plain(live: &Live) -> Live {
    let step = live.step.as_deref().cloned();
    let step = step.map(|step| Box::new(StepContext { run: step.run.map(|_| RunNumber(0)), ..step }));
    Live { since: 0, attempts: 0, note: None, step, ..live.clone() }
}

fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    let mut items = items.to_vec();
    items.sort();
    items
}

/// Passes text of [`Debug`] on, with positions that count from the durable one and runs without their numbers.
pub struct Canonical<'a> {
    durable: Position,
    out: &'a mut dyn Write,
    inside: Inside,
}

/// Where in the text of a number with a name one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Name(Named),
    Bracket(Named),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Position,
    Run,
}

impl<'a> Canonical<'a> {
    /// Passes on to `out`.
    pub fn new(durable: Position, out: &'a mut dyn Write) -> Self {
        Self { durable, out, inside: Inside::Nothing }
    }

    /// Writes one part.
    pub fn part(&mut self, part: &dyn Debug) -> fmt::Result {
        write!(self, "{part:?};")
    }

    fn number(&self, named: Named, text: &str) -> u64 {
        match named {
            Named::Run => 0,
            Named::Position => text.parse::<u64>().unwrap_or(0).saturating_sub(self.durable.0),
        }
    }
}

impl Write for Canonical<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (next, replaced) = match (self.inside, text) {
            (_, "Position") => (Inside::Name(Named::Position), None),
            (_, "RunNumber") => (Inside::Name(Named::Run), None),
            (Inside::Name(named), "(") => (Inside::Bracket(named), None),
            (Inside::Bracket(named), digits) => (Inside::Nothing, Some(self.number(named, digits))),
            _ => (Inside::Nothing, None),
        };
        self.inside = next;
        match replaced {
            Some(number) => write!(self.out, "{number}"),
            None => self.out.write_str(text),
        }
    }
}
