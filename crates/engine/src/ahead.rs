//! Running ahead: group execution of a hot cell or entity.
//!
//! Calls of one method on the same cells go one after the other: each has its locks only when the one before has ended.
//! If each of them were also sent to its worker only then, every call would cost a round trip between driver and worker.
//! So when a step starts, those that stand in line right behind it are sent along: the worker runs them one after the
//! other, each on what the one before has left ([`protocol::worker::left_by`]).
//!
//! Nothing else changes. Who runs ahead stands in line as before, and what came of it is put aside. When it is granted
//! its cells, their contents are compared with those that it ran on: a step is a function of what it was sent, so if they
//! are the same, its end is what a run now would give, and counts as one; if not, it is dropped and run again. So order,
//! locks, records and recovery know nothing of groups, and a mistake here can only cost time.
//!
//! What such a run sees is what the one before wrote, although that may come to nothing (it is killed by an operator);
//! then it comes to nothing too.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::cell::{CellKey, CellRow};
use protocol::ids::{InvocationId, Micros, PartitionId, RunNumber};
use protocol::manifest::ForeseenCells;
use protocol::message::LockMode;
use protocol::worker::{Slice, Start, StepEnd};

use crate::io::{Effect, Turn};
use crate::limits::{AHEAD_BYTES_MAX, AHEAD_MAX};
use crate::live::{Cancel, Live, Phase, StepContext, TurnState, Want};
use crate::partition::Partition;
use crate::planted::{self, Bug};

/// A run of a first step before it is granted its cells.
#[derive(Clone, Debug)]
pub(crate) struct Ahead {
    run: RunNumber,
    /// The run whose end leaves its cells.
    follows: RunNumber,
    clock: Micros,
    /// What those cells are, once that run has ended and was accepted.
    found: Option<BTreeMap<CellKey, Option<Arc<CellRow>>>>,
    /// How it ended, if it has.
    end: Option<Box<StepEnd>>,
    /// Who follows it.
    next: Option<InvocationId>,
}

impl Live {
    /// Is this the run that it has ahead of its turn?
    pub(crate) fn is_ahead(&self, run: RunNumber) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| ahead.run == run)
    }

    /// Takes in the end of its run ahead, and gives back any other one.
    pub(crate) fn put_aside(&mut self, end: StepEnd) -> Option<StepEnd> {
        let Some(ahead) = self.ahead.as_mut().filter(|ahead| ahead.run == end.run) else { return Some(end) };
        ahead.end = Some(Box::new(end));
        None
    }

    /// The clock of its next step: that of its run ahead, if there is one.
    pub(crate) fn next_clock(&self, now: Micros) -> Micros {
        self.ahead.as_ref().map_or_else(|| now.max(self.clock + 1_000), |ahead| ahead.clock)
    }
}

impl Partition {
    /// A step has been started: those right behind it in line are started too, to follow it.
    pub(crate) fn start_followers(&mut self, leader: InvocationId, turn: &mut Turn) {
        let mut last = leader;
        for id in self.followers(leader) {
            self.start_behind(last, id, turn);
            last = id;
        }
    }

    /// A first step has lined up. If it is the last one there, right behind one that runs already, it is started too: those
    /// that come while a group runs need not wait until it has ended, nor the worker for them.
    pub(crate) fn follow_last(&mut self, id: InvocationId, line: &CellKey, turn: &mut Turn) {
        if let Some(before) = self.runs_before(id, line) {
            self.start_behind(before, id, turn);
        }
    }

    /// Who stands right before the last one in a line, if it runs already and that one can follow.
    fn runs_before(&self, id: InvocationId, line: &CellKey) -> Option<InvocationId> {
        let mut waiting = self.locks.line(line).rev();
        if waiting.next() != Some(id) || self.locks.line_len(line) > self.config.ahead_max {
            return None;
        }
        let waits = waiting.next();
        let before = waits.or_else(|| self.locks.sole_user(line))?;
        let (live, other) = (self.live.get(&before)?, self.live.get(&id)?);
        let is_last = match (&live.ahead, &live.step) {
            (Some(ahead), _) => ahead.next.is_none(),
            (None, Some(step)) => waits.is_none() && step.next.is_none() && self.can_lead(live, step),
            (None, None) => false,
        };
        let is_short = other.row.call.args.len() <= AHEAD_BYTES_MAX / AHEAD_MAX;
        (is_last && is_short && self.is_alike((before, live), (id, other))).then_some(before)
    }

    /// Starts a step that waits, to follow one that has been started.
    fn start_behind(&mut self, before: InvocationId, id: InvocationId, turn: &mut Turn) {
        let run = self.new_run();
        let Some(live) = self.live.get_mut(&before) else { return };
        let (follows, next) = match (&mut live.ahead, &mut live.step) {
            (Some(ahead), _) => (Some(ahead.run), &mut ahead.next),
            (None, Some(step)) => (step.run, &mut step.next),
            (None, None) => return,
        };
        let Some(follows) = follows else { return };
        *next = Some(id);
        let Some(live) = self.live.get_mut(&id) else { return };
        let clock = live.step.as_ref().map_or_else(|| live.next_clock(turn.now), |step| step.clock);
        live.ahead = Some(Box::new(Ahead { run, follows, clock, found: None, end: None, next: None }));
        let start = Start { follows: Some(follows), ..start_of(id, live, run, clock, Slice::default()) };
        self.runs.insert(run, id);
        turn.effects.push(Effect::Start(Box::new(start)));
    }

    /// Who can follow a step that starts: others that begin the same method with the same wants, as they stand in line.
    /// Whoever stands between them would come between them, so nobody behind it follows.
    fn followers(&self, leader: InvocationId) -> Vec<InvocationId> {
        let leads = self.live.get(&leader).and_then(|live| Some((live, live.step.as_ref()?)));
        let Some((live, step)) = leads.filter(|(live, step)| self.can_lead(live, step)) else { return Vec::new() };
        let line = match &live.turn {
            TurnState::Held(turn) => Some(turn),
            TurnState::None => first_exclusive(step.keys.iter().map(|((_, cell), want)| (cell, want.mode))),
            TurnState::Wanted(_) | TurnState::Reentered(_) => None,
        };
        let Some(line) = line else { return Vec::new() };
        let mut bytes = 0;
        let follows = |id: &InvocationId| {
            self.live.get(id).is_some_and(|other| {
                bytes += other.row.call.args.len();
                bytes <= AHEAD_BYTES_MAX && self.is_alike((leader, live), (*id, other))
            })
        };
        self.locks.line(line).take(self.config.ahead_max).take_while(follows).collect()
    }

    /// Can a step that follows this one be told what it will have left?
    fn can_lead(&self, live: &Live, step: &StepContext) -> bool {
        let own =
            |((partition, _), want): (&(PartitionId, CellKey), &Want)| *partition == self.config.id && !want.whole;
        self.runs_alone(live) && step.wholes.is_empty() && step.delivered.is_empty() && step.keys.iter().all(own)
    }

    /// Its next step is its first one and belongs to nobody else.
    fn runs_alone(&self, live: &Live) -> bool {
        let call = &live.row.call;
        live.journal.is_empty()
            && live.inner.is_none()
            && live.transaction.is_none()
            && live.cancel == Cancel::No
            && !live.resident
            && live.ready.is_empty()
            // Who killed a worker takes nobody along.
            && (self.strikes.is_empty() || !self.strikes.keys().any(|(root, _)| *root == call.age.root))
    }

    /// Does the other one wait to begin the same method on the same cells?
    fn is_alike(&self, (id, live): (InvocationId, &Live), (other, waits): (InvocationId, &Live)) -> bool {
        let (call, of_other) = (&live.row.call, &waits.row.call);
        let same = call.method == of_other.method && call.service == of_other.service && call.key == of_other.key;
        if !same || waits.ahead.is_some() || !self.runs_alone(waits) {
            return false;
        }
        let begins = match (&waits.phase, &waits.step) {
            (Phase::Turn, None) => true,
            (Phase::Acquiring(_), Some(step)) => step.delivered.is_empty(),
            _ => false,
        };
        begins && (self.wants_by_method(live) && self.wants_by_method(waits) || self.want_alike(id, other))
    }

    /// Does its first step want what every call of its method wants on its instance, whatever the arguments?
    fn wants_by_method(&self, live: &Live) -> bool {
        let call = &live.row.call;
        let method = self.deployment.method(&call.service, &call.method);
        let foreseen = method.map_or(&[][..], |(_, method)| &method.foreseen);
        live.learned.is_empty() && !foreseen.iter().any(|one| matches!(one.what, ForeseenCells::Entry(_)))
    }

    fn want_alike(&self, one: InvocationId, other: InvocationId) -> bool {
        let keys = |id: InvocationId| match &self.live[&id].step {
            Some(step) => Cow::Borrowed(&step.keys),
            None => Cow::Owned(self.wants(id)),
        };
        let (keys, wants) = (keys(one), keys(other));
        let alike = |(a, b): (&Want, &Want)| a.mode == b.mode && a.whole == b.whole;
        wants.len() == keys.len() && wants.keys().eq(keys.keys()) && wants.values().zip(keys.values()).all(alike)
    }

    /// The end of `run` was accepted, and nobody has been granted anything since: what its cells hold now is what the
    /// next one runs on.
    pub(crate) fn leave_to(&mut self, next: InvocationId, run: RunNumber, cells: impl Iterator<Item = CellKey>) {
        let found = cells.map(|cell| Some((cell.clone(), self.cells.get(&cell)?.row.clone()))).collect();
        let ahead = self.live.get_mut(&next).and_then(|live| live.ahead.as_mut());
        if let Some(ahead) = ahead.filter(|ahead| ahead.follows == run) {
            ahead.found = found;
        }
    }

    /// All cells of the step are granted. True if it was run ahead on the same contents: then it is as if it had been
    /// started now.
    pub(crate) fn is_run_already(&mut self, id: InvocationId, turn: &mut Turn) -> bool {
        if !self.ran_on_this(id) {
            self.forget_ahead(id);
            return false;
        }
        let Some(live) = self.live.get_mut(&id) else { return false };
        let (Some(ahead), Some(context)) = (live.ahead.take(), live.step.as_mut()) else { return false };
        context.run = Some(ahead.run);
        context.next = ahead.next;
        live.phase = Phase::Running;
        live.since = turn.now;
        if let Some(end) = ahead.end {
            self.end_of_step(id, *end, turn);
        }
        true
    }

    /// Is what the step was granted what its run ahead ran on?
    fn ran_on_this(&self, id: InvocationId) -> bool {
        let Some(live) = self.live.get(&id) else { return false };
        let (Some(ahead), Some(context)) = (&live.ahead, &live.step) else { return false };
        let holds = |found: &BTreeMap<CellKey, Option<Arc<CellRow>>>| {
            context.cells.iter().all(|(cell, row)| found.get(cell) == Some(row))
        };
        context.clock == ahead.clock
            && context.wholes.is_empty()
            && context.delivered.is_empty()
            && !live.resident
            && ahead.found.as_ref().is_some_and(|found| holds(found) || planted::is(Bug::AheadUnchecked))
    }

    /// What was to follow `run` has nothing to follow, and so on behind it.
    pub(crate) fn drop_ahead(&mut self, mut id: InvocationId, mut run: RunNumber) {
        loop {
            let Some(live) = self.live.get_mut(&id) else { return };
            let Some(ahead) = live.ahead.take_if(|ahead| ahead.follows == run) else { return };
            self.runs.remove(&ahead.run);
            let Some(next) = ahead.next else { return };
            (id, run) = (next, ahead.run);
        }
    }

    /// It does not run ahead any more, nor does who follows it.
    pub(crate) fn forget_ahead(&mut self, id: InvocationId) {
        let ahead = self.live.get(&id).and_then(|live| live.ahead.as_ref());
        if let Some(follows) = ahead.map(|ahead| ahead.follows) {
            self.drop_ahead(id, follows);
        }
    }
}

/// The cell in whose line those stand that want the same cells.
pub(crate) fn first_exclusive<'a>(mut wants: impl Iterator<Item = (&'a CellKey, LockMode)>) -> Option<&'a CellKey> {
    wants.find(|(_, mode)| *mode == LockMode::Exclusive).map(|(cell, _)| cell)
}

/// START of an invocation's first step, or of one that is rebuilt.
pub(crate) fn start_of(id: InvocationId, live: &Live, run: RunNumber, clock: Micros, slice: Slice) -> Start {
    let call = &live.row.call;
    Start {
        run,
        invocation: id,
        service: call.service.clone(),
        method: call.method.clone(),
        key: call.key.clone(),
        args: call.args.clone(),
        seed: call.seed,
        in_transaction: live.inner.is_some(),
        clock,
        slice,
        ..Start::default()
    }
}
