//! The lock table of one partition: strict two-phase locks on cells with wait-die by age.
//!
//! A lock is held by a *step* on behalf of an attempt and retained by the attempt when the step ends. The rules are
//! those of wait-die (Rosenkrantz, Stearns and Lewis, 1978) with two changes that give progress without restarts in
//! the common case: an attempt that holds nothing may wait whatever its age, and gets all cells of one partition in
//! one go; an attempt that holds something is judged again whenever holders or waiters of a cell change.
//!
//! An *outside* owner is an entity operation outside transactions that takes its turn: it never dies (circles of turns
//! are found by probes), and no attempt waits for it while it holds something.
//!
//! Loading cells and telling anybody of a verdict is not done here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use protocol::cell::CellKey;
use protocol::ids::{Age, AttemptId, InvocationId};
use protocol::message::{LockMode, LockRequest};

use crate::fingerprint::Canonical;
use crate::planted::{self, Bug};

/// Order of waiting: age of the root, then the owner of the attempt. Survives retries.
type Priority = (Age, InvocationId);

/// A waiting request: its priority, attempt and step.
type Ticket = (Priority, AttemptId, InvocationId);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All cells are held.
    Granted,
    /// It stands in line; a later [`LockTable::settle`] tells.
    Waiting,
    /// The attempt must die and wait for these to end.
    Died(BTreeSet<AttemptId>),
}

/// The lock table.
#[derive(Clone, Debug, Default)]
pub(crate) struct LockTable {
    entries: BTreeMap<CellKey, Entry>,
    waiting: BTreeMap<Ticket, Pending>,
    /// Tickets of each attempt that waits.
    queued: BTreeMap<AttemptId, BTreeSet<Ticket>>,
    held: BTreeMap<AttemptId, BTreeSet<CellKey>>,
    dirty: BTreeSet<CellKey>,
    watchers: Vec<(AttemptId, BTreeSet<AttemptId>)>,
    /// A planted mistake: who waits is never told to die later.
    #[cfg(test)]
    arrival_only: bool,
}

#[derive(Clone, Debug)]
struct Pending {
    request: LockRequest,
    outside: bool,
    /// The cell whose holder alone makes it wait, if it holds nothing: until that cell changes it is not judged again.
    watched: Option<CellKey>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    holders: Vec<Holder>,
    waiters: BTreeSet<Ticket>,
    /// Those of the waiters whose attempts (or call chains) hold something: they may have to die.
    uneasy: BTreeSet<Ticket>,
    /// Those of the waiters that are judged again when the cell changes: all but those that watch another one.
    watchers: BTreeSet<Ticket>,
}

impl Entry {
    /// Who holds the cell alone, in the mode that goes with no other.
    fn sole_holder(&self) -> Option<AttemptId> {
        match self.holders.as_slice() {
            [holder] if holder.mode() == Some(LockMode::Exclusive) => Some(holder.attempt),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Holder {
    attempt: AttemptId,
    priority: Priority,
    outside: bool,
    retained: Option<LockMode>,
    steps: Vec<(InvocationId, LockMode)>,
}

impl Holder {
    fn mode(&self) -> Option<LockMode> {
        self.steps.iter().map(|(_, mode)| *mode).chain(self.retained).reduce(join)
    }
}

/// The weakest mode that covers both.
pub(crate) fn join(a: LockMode, b: LockMode) -> LockMode {
    use LockMode::{Exclusive, IntentionExclusive, IntentionShared, Shared};
    match (a, b) {
        (x, y) if x == y => x,
        (IntentionShared, other) | (other, IntentionShared) => other,
        (IntentionExclusive | Shared | Exclusive, IntentionExclusive | Shared | Exclusive) => Exclusive,
    }
}

/// Can two attempts hold these together?
fn compatible(a: LockMode, b: LockMode) -> bool {
    use LockMode::{Exclusive, IntentionExclusive, IntentionShared, Shared};
    match (a, b) {
        (Exclusive, _) | (_, Exclusive) => false,
        (IntentionShared, _) | (_, IntentionShared) => true,
        (Shared, Shared) | (IntentionExclusive, IntentionExclusive) => true,
        (Shared, IntentionExclusive) | (IntentionExclusive, Shared) => false,
    }
}

fn priority(request: &LockRequest) -> Priority {
    (request.age, request.attempt.owner)
}

/// What stands in the way of a request.
#[derive(Default)]
struct Obstacles {
    /// A conflicting holder is older, or outside.
    elders_hold: bool,
    /// A conflicting holder exists.
    held: bool,
    /// An older attempt waits in a conflicting mode.
    elders_wait: bool,
    /// Another step of the same attempt uses the cell.
    siblings: bool,
    /// All of them but siblings.
    attempts: BTreeSet<AttemptId>,
}

impl LockTable {
    /// Ask for cells. Waits in line unless granted or told to die.
    pub(crate) fn request(&mut self, mut request: LockRequest, outside: bool) -> Verdict {
        request.holds |= self.held.contains_key(&request.attempt);
        match self.judge(&request, outside) {
            Verdict::Granted => {
                self.grant(&request, outside);
                Verdict::Granted
            }
            Verdict::Waiting => {
                let ticket = (priority(&request), request.attempt, request.step);
                for (cell, _) in &request.wants {
                    let entry = self.entries.entry(cell.clone()).or_default();
                    entry.waiters.insert(ticket);
                    entry.watchers.insert(ticket);
                    if request.holds {
                        entry.uneasy.insert(ticket);
                    }
                    // A new waiter may be the elder for whom a younger attempt that holds something must die.
                    self.dirty.insert(cell.clone());
                }
                self.queued.entry(request.attempt).or_default().insert(ticket);
                self.waiting.insert(ticket, Pending { request, outside, watched: None });
                Verdict::Waiting
            }
            Verdict::Died(blockers) => Verdict::Died(blockers),
        }
    }

    /// Ask for cells; `false` leaves no trace.
    pub(crate) fn try_request(&mut self, request: &LockRequest) -> bool {
        let granted = self.judge(request, false) == Verdict::Granted;
        if granted {
            self.grant(request, false);
        }
        granted
    }

    /// Take cells whatever stands in the way: for attempts that were prepared before a restart, and for operations that
    /// had begun, when nobody else holds anything yet.
    pub(crate) fn force(&mut self, request: &LockRequest, outside: bool) {
        self.grant(request, outside);
    }

    /// Judge again all waiting requests that a change may concern, until nothing changes. Returns what was decided.
    pub(crate) fn settle(&mut self) -> Vec<(LockRequest, bool, Verdict)> {
        let mut decided = Vec::new();
        while let Some(cell) = self.dirty.pop_first() {
            let mut last = None;
            while let Some(ticket) = self.concerned(&cell, last) {
                last = Some(ticket);
                let Some(pending) = self.waiting.get(&ticket) else { continue };
                let verdict = self.judge(&pending.request, pending.outside);
                #[cfg(test)]
                if self.arrival_only && matches!(verdict, Verdict::Died(_)) {
                    continue;
                }
                let late = planted::is(Bug::JudgedOnArrival) && matches!(verdict, Verdict::Died(_));
                if verdict == Verdict::Waiting || late {
                    self.watch_holder(ticket);
                    continue;
                }
                let pending = self.unqueue(ticket).expect("the ticket was just found");
                if verdict == Verdict::Granted {
                    self.grant(&pending.request, pending.outside);
                }
                decided.push((pending.request, pending.outside, verdict));
            }
            if self.entries.get(&cell).is_some_and(|entry| entry.holders.is_empty() && entry.waiters.is_empty()) {
                self.entries.remove(&cell);
            }
        }
        decided
    }

    /// The next waiter of a cell, after one, whose verdict may not be to wait.
    ///
    /// Where one attempt holds the cell alone, all others conflict with it, and who holds nothing waits; so on a hot cell
    /// a change costs what the few others cost, however many stand in line.
    fn concerned(&self, cell: &CellKey, after: Option<Ticket>) -> Option<Ticket> {
        let entry = self.entries.get(cell)?;
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let Some(holder) = entry.sole_holder() else { return entry.watchers.range(range).next().copied() };
        let uneasy = entry.uneasy.range(range).next();
        let siblings =
            self.queued.get(&holder).and_then(|own| own.range(range).find(|own| entry.waiters.contains(own)));
        uneasy.into_iter().chain(siblings).min().copied()
    }

    /// Chooses which cells are watched for a waiting request: one that has a conflicting holder, if that is enough to
    /// make it wait, else all.
    fn watch_holder(&mut self, ticket: Ticket) {
        let Some(pending) = self.waiting.get(&ticket) else { return };
        let blocked = |(cell, mode): &&(CellKey, LockMode)| {
            let holders = self.entries.get(cell).into_iter().flat_map(|entry| &entry.holders);
            holders.into_iter().any(|holder| Self::conflicts(holder, &pending.request, *mode))
        };
        let found = pending.request.wants.iter().find(blocked).map(|(cell, _)| cell.clone());
        let watched = found.filter(|_| !pending.request.holds);
        if watched == pending.watched {
            return;
        }
        for (cell, _) in &pending.request.wants {
            let Some(entry) = self.entries.get_mut(cell) else { continue };
            if watched.as_ref().is_none_or(|watched| watched == cell) {
                entry.watchers.insert(ticket);
            } else {
                entry.watchers.remove(&ticket);
            }
        }
        if let Some(pending) = self.waiting.get_mut(&ticket) {
            pending.watched = watched;
        }
    }

    /// Tell [`LockTable::gone`] of `dead` when all `blockers` have ended here.
    pub(crate) fn watch(&mut self, dead: AttemptId, blockers: BTreeSet<AttemptId>) {
        self.watchers.push((dead, blockers));
    }

    /// Will [`LockTable::gone`] tell of this attempt?
    pub(crate) fn watches(&self, dead: AttemptId) -> bool {
        self.watchers.iter().any(|(watched, _)| *watched == dead)
    }

    /// Dead attempts whose blockers have all ended here since the last call.
    pub(crate) fn gone(&mut self) -> Vec<AttemptId> {
        if self.watchers.is_empty() {
            return Vec::new();
        }
        let watchers = std::mem::take(&mut self.watchers);
        let (over, rest): (Vec<_>, Vec<_>) =
            watchers.into_iter().partition(|(_, blockers)| blockers.iter().all(|attempt| !self.is_here(*attempt)));
        self.watchers = rest;
        over.into_iter().map(|(dead, _)| dead).collect()
    }

    fn is_here(&self, attempt: AttemptId) -> bool {
        self.held.contains_key(&attempt) || self.queued.contains_key(&attempt)
    }

    /// A step ended. `retain`: its attempt keeps the locks (but for `except`, which the step keeps itself).
    pub(crate) fn end_step(&mut self, attempt: AttemptId, step: InvocationId, retain: bool, except: Option<&CellKey>) {
        self.unqueue_step(attempt, step);
        let Some(cells) = self.held.get(&attempt) else { return };
        let cells: Vec<CellKey> = cells.iter().filter(|cell| Some(*cell) != except).cloned().collect();
        for cell in cells {
            let Some(entry) = self.entries.get_mut(&cell) else { continue };
            let Some(holder) = entry.holders.iter_mut().find(|holder| holder.attempt == attempt) else { continue };
            let mode = holder.steps.iter().filter(|(id, _)| *id == step).map(|(_, mode)| *mode).reduce(join);
            let Some(mode) = mode else { continue };
            holder.steps.retain(|(id, _)| *id != step);
            if retain {
                holder.retained = Some(holder.retained.map_or(mode, |kept| join(kept, mode)));
            }
            if holder.mode().is_none() {
                self.drop_holder(&cell, attempt);
            }
            self.dirty.insert(cell);
        }
    }

    /// An attempt ended: everything it holds or waits for is let go.
    pub(crate) fn release(&mut self, attempt: AttemptId) {
        self.unqueue_attempt(attempt);
        for cell in self.held.remove(&attempt).unwrap_or_default() {
            if let Some(entry) = self.entries.get_mut(&cell) {
                entry.holders.retain(|holder| holder.attempt != attempt);
            }
            self.dirty.insert(cell);
        }
    }

    /// Forget the waiting requests of an attempt.
    pub(crate) fn unqueue_attempt(&mut self, attempt: AttemptId) {
        for ticket in self.queued.get(&attempt).cloned().unwrap_or_default() {
            self.unqueue(ticket);
        }
    }

    fn unqueue_step(&mut self, attempt: AttemptId, step: InvocationId) {
        if let Some(ticket) = self.ticket(attempt, step) {
            self.unqueue(ticket);
        }
    }

    /// Does the attempt hold anything here?
    pub(crate) fn holds(&self, attempt: AttemptId) -> bool {
        self.held.contains_key(&attempt)
    }

    /// The operation outside transactions that holds this turn.
    pub(crate) fn outside_holder(&self, turn: &CellKey) -> Option<InvocationId> {
        self.entries.get(turn)?.holders.iter().find(|holder| holder.outside).map(|holder| holder.attempt.owner)
    }

    /// Who holds a cell, for people: owner and whether it is a transaction's step.
    pub(crate) fn holders(&self, cell: &CellKey) -> Vec<InvocationId> {
        self.entries.get(cell).map(|entry| entry.holders.iter().map(|h| h.attempt.owner).collect()).unwrap_or_default()
    }

    /// Operations that wait for a turn as outside owners while their call chains hold other turns.
    pub(crate) fn outside_waiters_that_hold(&self, turn: &CellKey) -> Vec<InvocationId> {
        let uneasy = self.entries.get(turn).into_iter().flat_map(|entry| &entry.uneasy);
        let outside = uneasy.filter(|ticket| self.waiting.get(ticket).is_some_and(|pending| pending.outside));
        outside.map(|(_, _, step)| *step).collect()
    }

    /// Operations that hold a turn for which a waiting step stands in line, or for which attempts of its died here:
    /// operations outside transactions, and others of its own attempt. (Other locks of its attempt are held by steps
    /// that run; they end by themselves.)
    pub(crate) fn blockers(&self, step: InvocationId, is_turn: impl Fn(&CellKey) -> bool) -> BTreeSet<InvocationId> {
        let mut found = BTreeSet::new();
        let waits = self.waiting.iter().filter(|(ticket, pending)| ticket.2 == step && !pending.outside);
        for (_, Pending { request, .. }) in waits {
            for (cell, _) in request.wants.iter().filter(|(cell, _)| is_turn(cell)) {
                for holder in self.entries.get(cell).into_iter().flat_map(|entry| &entry.holders) {
                    if holder.outside {
                        found.insert(holder.attempt.owner);
                    } else if holder.attempt == request.attempt {
                        found.extend(holder.steps.iter().map(|(id, _)| *id).filter(|id| *id != step));
                    }
                }
            }
        }
        let watched = self.watchers.iter().filter(|(dead, _)| dead.owner == step).flat_map(|(_, blockers)| blockers);
        found.extend(watched.filter(|attempt| attempt.epoch == 0).map(|attempt| attempt.owner));
        found
    }

    /// The cells that a waiting step asks for.
    pub(crate) fn wanted(&self, attempt: AttemptId, step: InvocationId) -> Option<&[(CellKey, LockMode)]> {
        Some(&self.waiting[&self.ticket(attempt, step)?].request.wants)
    }

    fn ticket(&self, attempt: AttemptId, step: InvocationId) -> Option<Ticket> {
        self.queued.get(&attempt)?.iter().find(|ticket| ticket.2 == step).copied()
    }

    /// Is anything held or waited for? (Tests ask: no lock may leak.)
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.waiting.is_empty()
    }

    /// Who holds and who waits, see [`crate::Partition::fingerprint`].
    pub(crate) fn fingerprint(&self, out: &mut Canonical) -> fmt::Result {
        out.part(&self.entries)?;
        for (ticket, Pending { request, outside, watched }) in &self.waiting {
            out.part(&(ticket, &request.wants, request.holds, outside, watched))?;
        }
        out.part(&(&self.dirty, &self.watchers))
    }

    fn judge(&self, request: &LockRequest, outside: bool) -> Verdict {
        let obstacles = self.obstacles(request);
        let free = !obstacles.held && !obstacles.elders_wait;
        if free && !obstacles.siblings {
            Verdict::Granted
        } else if outside || !request.holds || free || (!obstacles.elders_hold && !obstacles.elders_wait) {
            Verdict::Waiting
        } else {
            Verdict::Died(obstacles.attempts)
        }
    }

    fn obstacles(&self, request: &LockRequest) -> Obstacles {
        let mut found = Obstacles::default();
        let own = priority(request);
        for (cell, mode) in &request.wants {
            for holder in self.entries.get(cell).into_iter().flat_map(|entry| &entry.holders) {
                Self::holder_obstacle(holder, request, *mode, own, &mut found);
            }
        }
        if found.held && !request.holds {
            // It waits whatever else stands in the way: those behind a hot cell must not look at each other.
            return found;
        }
        for (cell, mode) in &request.wants {
            for ticket in self.entries.get(cell).into_iter().flat_map(|entry| &entry.waiters) {
                if ticket.0 >= own {
                    break;
                }
                let waiting = &self.waiting[ticket].request;
                let wants = waiting.wants.iter().filter(|(c, _)| c == cell).map(|(_, m)| *m).reduce(join);
                let conflicts = ticket.1 != request.attempt && wants.is_some_and(|wanted| !compatible(wanted, *mode));
                if conflicts && !self.waits_for_turn(waiting) {
                    found.elders_wait = true;
                    found.attempts.insert(ticket.1);
                    if !request.holds {
                        return found;
                    }
                }
            }
        }
        found
    }

    /// Does it wait for the turn of an operation outside transactions? Until that has ended it holds nobody up: the
    /// operation may need the other cells that it waits for.
    fn waits_for_turn(&self, request: &LockRequest) -> bool {
        request.wants.iter().any(|(cell, _)| {
            let holders = self.entries.get(cell).into_iter().flat_map(|entry| &entry.holders);
            holders.into_iter().any(|holder| holder.outside && holder.attempt != request.attempt)
        })
    }

    fn holder_obstacle(holder: &Holder, request: &LockRequest, mode: LockMode, own: Priority, found: &mut Obstacles) {
        if holder.attempt == request.attempt {
            let used = holder.steps.iter().any(|(step, held)| *step != request.step && !compatible(*held, mode));
            found.siblings |= used && !planted::is(Bug::Siblings);
        } else if Self::conflicts(holder, request, mode) {
            found.held = true;
            found.elders_hold |= holder.outside || holder.priority < own;
            found.attempts.insert(holder.attempt);
        }
    }

    /// Does a holder of another attempt stand in the way of a request for this mode?
    fn conflicts(holder: &Holder, request: &LockRequest, mode: LockMode) -> bool {
        let other = holder.attempt != request.attempt;
        other && holder.mode().is_some_and(|held| !compatible(held, mode)) && !Self::ignores(mode)
    }

    fn ignores(mode: LockMode) -> bool {
        planted::is(Bug::SharedWrite) && mode == LockMode::Shared
    }

    fn grant(&mut self, request: &LockRequest, outside: bool) {
        for (cell, mode) in &request.wants {
            let entry = self.entries.entry(cell.clone()).or_default();
            let step = (request.step, *mode);
            match entry.holders.iter_mut().find(|holder| holder.attempt == request.attempt) {
                Some(holder) => holder.steps.push(step),
                None => entry.holders.push(Holder {
                    attempt: request.attempt,
                    priority: priority(request),
                    outside,
                    retained: None,
                    steps: vec![step],
                }),
            }
            self.held.entry(request.attempt).or_default().insert(cell.clone());
            self.dirty.insert(cell.clone());
            if outside {
                // Those who wait for this turn hold up nobody from now on.
                let waiters = entry.waiters.iter().filter_map(|ticket| self.waiting.get(ticket));
                let cells = waiters.flat_map(|pending| &pending.request.wants).map(|(cell, _)| cell.clone());
                self.dirty.extend(cells);
            }
        }
    }

    fn unqueue(&mut self, ticket: Ticket) -> Option<Pending> {
        let pending = self.waiting.remove(&ticket)?;
        if let Some(tickets) = self.queued.get_mut(&ticket.1) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.queued.remove(&ticket.1);
            }
        }
        for (cell, _) in &pending.request.wants {
            if let Some(entry) = self.entries.get_mut(cell) {
                entry.waiters.remove(&ticket);
                entry.uneasy.remove(&ticket);
                entry.watchers.remove(&ticket);
            }
            self.dirty.insert(cell.clone());
        }
        Some(pending)
    }

    fn drop_holder(&mut self, cell: &CellKey, attempt: AttemptId) {
        if let Some(entry) = self.entries.get_mut(cell) {
            entry.holders.retain(|holder| holder.attempt != attempt);
        }
        if let Some(cells) = self.held.get_mut(&attempt) {
            cells.remove(cell);
            if cells.is_empty() {
                self.held.remove(&attempt);
            }
        }
    }
}

#[cfg(test)]
mod tests;
