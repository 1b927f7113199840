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
//! After a restart the table may be *closed*: until it is opened, everybody waits (see [`crate::restart`]).
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
    /// Cells where something has changed since the last [`LockTable::settle`].
    dirty: BTreeMap<CellKey, Change>,
    watchers: Vec<(AttemptId, BTreeSet<AttemptId>)>,
    /// Whoever asks stands in line, and nothing is decided.
    closed: bool,
    /// A planted mistake: who waits is never told to die later.
    #[cfg(test)]
    arrival_only: bool,
    /// Requests that were judged, and waiters that were looked at for it.
    #[cfg(test)]
    work: std::cell::Cell<u64>,
}

/// What may have changed for those who wait for a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Somebody more holds it or waits for it: who holds something may have to die.
    More,
    /// Somebody less: anybody may be granted it.
    Less,
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
    holders: BTreeMap<AttemptId, Holder>,
    /// How many hold it in each mode.
    modes: Modes,
    /// Who waits, by what is wanted: compatible requests, however many, need not look at each other.
    lines: BTreeMap<LockMode, BTreeSet<Ticket>>,
    /// Those of the waiters whose attempts (or call chains) hold something: they may have to die.
    uneasy: BTreeSet<Ticket>,
    /// Those of the waiters that want other cells as well.
    wider: BTreeSet<Ticket>,
    /// Those of the waiters that are judged again when the cell changes: all but those that watch another one.
    watchers: BTreeSet<Ticket>,
}

impl Entry {
    /// Who holds the cell alone, in the mode that goes with no other.
    fn sole_holder(&self) -> Option<AttemptId> {
        let alone = self.modes.of(LockMode::Exclusive) == 1 && self.holders.len() == 1;
        self.holders.keys().next().copied().filter(|_| alone)
    }

    fn waits(&self, ticket: &Ticket) -> bool {
        self.lines.values().any(|line| line.contains(ticket))
    }

    fn line_up(&mut self, ticket: Ticket, mode: LockMode) {
        let before = self.leave_line(&ticket);
        self.lines.entry(before.map_or(mode, |before| join(before, mode))).or_default().insert(ticket);
    }

    /// The mode for which it waited.
    fn leave_line(&mut self, ticket: &Ticket) -> Option<LockMode> {
        let mode = self.lines.iter_mut().find_map(|(mode, line)| line.remove(ticket).then_some(*mode))?;
        if self.lines.get(&mode).is_some_and(BTreeSet::is_empty) {
            self.lines.remove(&mode);
        }
        Some(mode)
    }

    /// Changes what an attempt holds; it is no holder any more when it has neither retained the cell nor steps.
    fn change(&mut self, attempt: AttemptId, change: impl FnOnce(&mut Holder)) {
        let Some(holder) = self.holders.get_mut(&attempt) else { return };
        let before = holder.mode();
        change(holder);
        let after = holder.mode();
        if before != after {
            self.modes.count(before, after);
        }
        if after.is_none() {
            self.holders.remove(&attempt);
        }
    }

    /// Does a holder of another attempt stand in the way of a request for this mode?
    fn is_held_against(&self, request: &LockRequest, mode: LockMode) -> bool {
        if LockTable::ignores(mode) {
            return false;
        }
        let own = self.holders.get(&request.attempt).and_then(Holder::mode);
        let own = usize::from(own.is_some_and(|own| !compatible(own, mode)));
        self.modes.against(mode) > own
    }

    /// Nobody holds it or waits for it.
    fn is_idle(&self) -> bool {
        self.holders.is_empty() && self.lines.is_empty()
    }
}

const MODES: [LockMode; 4] =
    [LockMode::IntentionShared, LockMode::IntentionExclusive, LockMode::Shared, LockMode::Exclusive];

/// Holders counted by mode.
#[derive(Clone, Copy, Debug, Default)]
struct Modes([usize; MODES.len()]);

impl Modes {
    fn of(&self, mode: LockMode) -> usize {
        self.0[mode as usize]
    }

    fn count(&mut self, before: Option<LockMode>, after: Option<LockMode>) {
        if let Some(mode) = before {
            self.0[mode as usize] -= 1;
        }
        if let Some(mode) = after {
            self.0[mode as usize] += 1;
        }
    }

    /// How many hold it in a mode that does not go with this one.
    fn against(&self, wanted: LockMode) -> usize {
        MODES.into_iter().filter(|held| !compatible(*held, wanted)).map(|held| self.of(held)).sum()
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

impl Obstacles {
    /// Who holds the cell against a request that may have to die of it.
    fn take_holders(&mut self, entry: &Entry, request: &LockRequest, mode: LockMode) {
        let own = priority(request);
        for holder in entry.holders.values() {
            let against = holder.mode().is_some_and(|held| !compatible(held, mode));
            if against && holder.attempt != request.attempt {
                self.elders_hold |= holder.outside || holder.priority < own;
                self.attempts.insert(holder.attempt);
            }
        }
    }
}

impl LockTable {
    /// Ask for cells. Waits in line unless granted or told to die.
    pub(crate) fn request(&mut self, mut request: LockRequest, outside: bool) -> Verdict {
        request.holds |= self.held.contains_key(&request.attempt);
        let verdict = if self.closed { Verdict::Waiting } else { self.judge(&request, outside) };
        match verdict {
            Verdict::Granted => {
                self.grant(&request, outside);
                Verdict::Granted
            }
            Verdict::Waiting => {
                let ticket = (priority(&request), request.attempt, request.step);
                for (cell, mode) in &request.wants {
                    let entry = self.entries.entry(cell.clone()).or_default();
                    entry.line_up(ticket, *mode);
                    entry.watchers.insert(ticket);
                    if request.holds {
                        entry.uneasy.insert(ticket);
                    }
                    if request.wants.len() > 1 {
                        entry.wider.insert(ticket);
                    }
                    // A new waiter may be the elder for whom a younger attempt that holds something must die.
                    note(&mut self.dirty, cell, Change::More);
                }
                self.queued.entry(request.attempt).or_default().insert(ticket);
                self.waiting.insert(ticket, Pending { request, outside, watched: None });
                self.watch_holder(ticket);
                Verdict::Waiting
            }
            Verdict::Died(blockers) => Verdict::Died(blockers),
        }
    }

    /// Ask for cells; `false` leaves no trace.
    pub(crate) fn try_request(&mut self, request: &LockRequest) -> bool {
        let granted = !self.closed && self.judge(request, false) == Verdict::Granted;
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

    /// From now on grant nothing, but what is forced.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Is nothing granted yet?
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The next [`LockTable::settle`] judges all that wait.
    pub(crate) fn open(&mut self) {
        self.closed = false;
        for (cell, _) in self.waiting.values().flat_map(|pending| &pending.request.wants) {
            note(&mut self.dirty, cell, Change::Less);
        }
    }

    /// Judge again all waiting requests that a change may concern, until nothing changes. Returns what was decided.
    pub(crate) fn settle(&mut self) -> Vec<(LockRequest, bool, Verdict)> {
        let mut decided = Vec::new();
        if self.closed {
            return decided;
        }
        while let Some((cell, change)) = self.dirty.pop_first() {
            let mut last = None;
            while let Some(ticket) = self.concerned(&cell, change, last) {
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
            if self.entries.get(&cell).is_some_and(Entry::is_idle) {
                self.entries.remove(&cell);
            }
        }
        decided
    }

    /// The next waiter of a cell, after one, whose verdict may not be to wait.
    ///
    /// Where one attempt holds the cell alone, all others conflict with it, and who holds nothing waits; so on a hot cell
    /// a change costs what the few others cost, however many stand in line.
    fn concerned(&self, cell: &CellKey, change: Change, after: Option<Ticket>) -> Option<Ticket> {
        let entry = self.entries.get(cell)?;
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let uneasy = entry.uneasy.range(range).next();
        if change == Change::More {
            return uneasy.copied();
        }
        let Some(holder) = entry.sole_holder() else { return entry.watchers.range(range).next().copied() };
        let siblings = self.queued.get(&holder).and_then(|own| own.range(range).find(|own| entry.waits(own)));
        uneasy.into_iter().chain(siblings).min().copied()
    }

    /// Chooses which cells are watched for a waiting request: one that has a conflicting holder, if that is enough to
    /// make it wait, else all.
    fn watch_holder(&mut self, ticket: Ticket) {
        let Some(pending) = self.waiting.get(&ticket) else { return };
        let blocked = |(cell, mode): &&(CellKey, LockMode)| {
            self.entries.get(cell).is_some_and(|entry| entry.is_held_against(&pending.request, *mode))
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
            let Some(holder) = entry.holders.get(&attempt) else { continue };
            let mode = holder.steps.iter().filter(|(id, _)| *id == step).map(|(_, mode)| *mode).reduce(join);
            let Some(mode) = mode else { continue };
            entry.change(attempt, |holder| {
                holder.steps.retain(|(id, _)| *id != step);
                if retain {
                    holder.retained = Some(holder.retained.map_or(mode, |kept| join(kept, mode)));
                }
            });
            if !entry.holders.contains_key(&attempt) {
                self.forget_held(&cell, attempt);
            }
            note(&mut self.dirty, &cell, Change::Less);
        }
    }

    /// An attempt ended: everything it holds or waits for is let go.
    pub(crate) fn release(&mut self, attempt: AttemptId) {
        self.unqueue_attempt(attempt);
        for cell in self.held.remove(&attempt).unwrap_or_default() {
            if let Some(entry) = self.entries.get_mut(&cell) {
                entry.change(attempt, |holder| {
                    holder.retained = None;
                    holder.steps.clear();
                });
            }
            note(&mut self.dirty, &cell, Change::Less);
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
        self.entries.get(turn)?.holders.values().find(|holder| holder.outside).map(|holder| holder.attempt.owner)
    }

    /// Does the step that asked for this have it?
    pub(crate) fn uses(&self, request: &LockRequest) -> bool {
        let uses = |holder: &Holder| holder.steps.iter().any(|(step, _)| *step == request.step);
        let mut cells = request.wants.iter().map(|(cell, _)| self.entries.get(cell));
        cells.all(|entry| entry.and_then(|entry| entry.holders.get(&request.attempt)).is_some_and(uses))
    }

    /// Who waits to hold this cell alone, as they stand in line.
    pub(crate) fn line(&self, cell: &CellKey) -> impl DoubleEndedIterator<Item = InvocationId> {
        self.waiting_alone(cell).into_iter().flatten().map(|(_, _, step)| *step)
    }

    /// How many they are.
    pub(crate) fn line_len(&self, cell: &CellKey) -> usize {
        self.waiting_alone(cell).map_or(0, BTreeSet::len)
    }

    fn waiting_alone(&self, cell: &CellKey) -> Option<&BTreeSet<Ticket>> {
        self.entries.get(cell)?.lines.get(&LockMode::Exclusive)
    }

    /// The step that uses a cell which its attempt holds alone, if it is one step.
    pub(crate) fn sole_user(&self, cell: &CellKey) -> Option<InvocationId> {
        let entry = self.entries.get(cell)?;
        match entry.holders.get(&entry.sole_holder()?)?.steps.as_slice() {
            [(step, _)] => Some(*step),
            _ => None,
        }
    }

    /// Who holds a cell, for people: owner and whether it is a transaction's step.
    pub(crate) fn holders(&self, cell: &CellKey) -> Vec<InvocationId> {
        self.entries
            .get(cell)
            .map(|entry| entry.holders.keys().map(|holder| holder.owner).collect())
            .unwrap_or_default()
    }

    /// Does anybody hold this cell?
    pub(crate) fn is_held(&self, cell: &CellKey) -> bool {
        self.entries.get(cell).is_some_and(|entry| !entry.holders.is_empty())
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
                for holder in self.entries.get(cell).into_iter().flat_map(|entry| entry.holders.values()) {
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
        out.part(&(&self.dirty, &self.watchers, self.closed))
    }

    fn judge(&self, request: &LockRequest, outside: bool) -> Verdict {
        #[cfg(test)]
        self.work.set(self.work.get() + 1);
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
        for (cell, mode) in &request.wants {
            let Some(entry) = self.entries.get(cell) else { continue };
            if let Some(own) = entry.holders.get(&request.attempt) {
                let used = own.steps.iter().any(|(step, held)| *step != request.step && !compatible(*held, *mode));
                found.siblings |= used && !planted::is(Bug::Siblings);
            }
            if entry.is_held_against(request, *mode) {
                found.held = true;
                if request.holds {
                    found.take_holders(entry, request, *mode);
                }
            }
        }
        if found.held && !request.holds {
            // It waits whatever else stands in the way: those behind a hot cell must not look at each other.
            return found;
        }
        for (cell, mode) in &request.wants {
            let lines = self.entries.get(cell).into_iter().flat_map(|entry| &entry.lines);
            for (_, line) in lines.filter(|(wanted, _)| !compatible(**wanted, *mode)) {
                if self.has_elders(line, request, &mut found) && !request.holds {
                    return found;
                }
            }
        }
        found
    }

    /// Do older attempts wait in this line, so that the request must not overtake them? One is enough to know for a
    /// request that holds nothing.
    fn has_elders(&self, line: &BTreeSet<Ticket>, request: &LockRequest, found: &mut Obstacles) -> bool {
        let own = priority(request);
        for ticket in line.iter().take_while(|ticket| ticket.0 < own) {
            #[cfg(test)]
            self.work.set(self.work.get() + 1);
            if ticket.1 != request.attempt && !self.waits_for_turn(&self.waiting[ticket].request) {
                found.elders_wait = true;
                found.attempts.insert(ticket.1);
                if !request.holds {
                    break;
                }
            }
        }
        found.elders_wait
    }

    /// Does it wait for the turn of an operation outside transactions? Until that has ended it holds nobody up: the
    /// operation may need the other cells that it waits for.
    fn waits_for_turn(&self, request: &LockRequest) -> bool {
        request.wants.iter().any(|(cell, _)| {
            // A turn has one holder, so others that are no turns are not searched.
            let turn = self.entries.get(cell).filter(|entry| entry.sole_holder().is_some());
            let mut holders = turn.into_iter().flat_map(|entry| entry.holders.values());
            holders.any(|holder| holder.outside && holder.attempt != request.attempt)
        })
    }

    fn ignores(mode: LockMode) -> bool {
        planted::is(Bug::SharedWrite) && mode == LockMode::Shared
    }

    fn grant(&mut self, request: &LockRequest, outside: bool) {
        for (cell, mode) in &request.wants {
            let entry = self.entries.entry(cell.clone()).or_default();
            entry.holders.entry(request.attempt).or_insert_with(|| Holder {
                attempt: request.attempt,
                priority: priority(request),
                outside,
                retained: None,
                steps: Vec::new(),
            });
            entry.change(request.attempt, |holder| holder.steps.push((request.step, *mode)));
            self.held.entry(request.attempt).or_default().insert(cell.clone());
            note(&mut self.dirty, cell, Change::More);
            if outside {
                // Those who wait for this turn hold up nobody from now on, wherever else they stand in line.
                let waiters = entry.wider.iter().filter_map(|ticket| self.waiting.get(ticket));
                for (cell, _) in waiters.flat_map(|pending| &pending.request.wants) {
                    #[cfg(test)]
                    self.work.set(self.work.get() + 1);
                    note(&mut self.dirty, cell, Change::Less);
                }
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
                entry.leave_line(&ticket);
                entry.uneasy.remove(&ticket);
                entry.wider.remove(&ticket);
                entry.watchers.remove(&ticket);
            }
            note(&mut self.dirty, cell, Change::Less);
        }
        Some(pending)
    }

    fn forget_held(&mut self, cell: &CellKey, attempt: AttemptId) {
        if let Some(cells) = self.held.get_mut(&attempt) {
            cells.remove(cell);
            if cells.is_empty() {
                self.held.remove(&attempt);
            }
        }
    }
}

fn note(dirty: &mut BTreeMap<CellKey, Change>, cell: &CellKey, change: Change) {
    match dirty.get_mut(cell) {
        Some(noted) => *noted = (*noted).max(change),
        None => {
            dirty.insert(cell.clone(), change);
        }
    }
}

#[cfg(test)]
mod tests;
