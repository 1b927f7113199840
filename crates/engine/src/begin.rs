//! From "the next step may begin" to "a worker runs it": turn, locks in ascending order of partitions, contents,
//! start or resumption; and the cells that a running step asks for although nobody foresaw them.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::cell::{CellKey, CellRow};
use protocol::ids::{AttemptId, InvocationId, PartitionId, Position, RunNumber, Stamp};
use protocol::limits::SCAN_BYTES_MAX;
use protocol::manifest::{FieldKind, ForeseenCells, Mode};
use protocol::message::{GrantedCell, LockMode, LockRequest, Message};
use protocol::record::{self, Dedup};
use protocol::worker::{
    Delivered, FetchWhat, Held, HeldCell, JournalStep, Resume, Slice, SliceCell, SliceEntry, Start,
};

use crate::ahead::{first_exclusive, start_of};
use crate::deployment::{Numbered, has_entries, mode_of};
use crate::io::{Effect, Query, Submit, Token, Turn};
use crate::keys;
use crate::limits::DELIVERED_BYTES_MAX;
use crate::live::{Phase, Ready, StepContext, TurnState, Want};
use crate::locks::Verdict;
use crate::partition::Partition;
use crate::planted::{self, Bug};
use crate::sizes;

/// Why rows are read.
#[derive(Clone, Debug)]
pub(crate) enum Load {
    Dedup(Box<(Submit, Dedup)>),
    Done {
        token: Token,
        id: InvocationId,
    },
    /// Single cells of a group.
    Cells {
        group: u64,
        cells: Vec<CellKey>,
    },
    /// A whole field of a group, by its membership.
    Whole {
        group: u64,
        membership: CellKey,
    },
    Sweep,
}

/// Several loads that end in one continuation.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    request: LockRequest,
    /// The running step that waits for the answer; `None`: a step that has not begun.
    fetch: Option<RunNumber>,
    outstanding: usize,
    wholes: BTreeMap<CellKey, BTreeMap<CellKey, Arc<CellRow>>>,
    cut: bool,
}

/// Contents of granted cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) cells: BTreeMap<CellKey, Option<Arc<CellRow>>>,
    pub(crate) wholes: BTreeMap<CellKey, BTreeMap<CellKey, Arc<CellRow>>>,
    pub(crate) newest: Position,
}

/// What a lock's name stands for.
enum Named {
    Cell,
    Whole,
    /// Membership by intention, or a turn: has no content.
    Bare,
}

fn strongest(mode: Mode) -> LockMode {
    match mode {
        Mode::Shared => LockMode::Shared,
        Mode::Exclusive => LockMode::Exclusive,
    }
}

fn intention(mode: LockMode) -> LockMode {
    match mode {
        LockMode::Shared | LockMode::IntentionShared => LockMode::IntentionShared,
        LockMode::Exclusive | LockMode::IntentionExclusive => LockMode::IntentionExclusive,
    }
}

/// Adds a want; wants of one name become the stronger one.
pub(crate) fn want(
    wants: &mut BTreeMap<(PartitionId, CellKey), Want>,
    partition: PartitionId,
    cell: CellKey,
    new: Want,
) {
    let entry = wants.entry((partition, cell)).or_insert_with(|| new.clone());
    entry.whole |= new.whole;
    if entry.key.is_none() {
        entry.key = new.key;
    }
    if entry.mode != new.mode {
        let either = |mode| entry.mode == mode || new.mode == mode;
        let exclusive =
            either(LockMode::Exclusive) || (either(LockMode::Shared) && either(LockMode::IntentionExclusive));
        entry.mode = match exclusive {
            true => LockMode::Exclusive,
            false => entry.mode.max(new.mode),
        };
    }
}

impl Partition {
    /// The invocation's next step may begin: its phase is idle.
    pub(crate) fn begin_step(&mut self, id: InvocationId, turn: &mut Turn) {
        if !self.take_turn(id, turn) {
            return;
        }
        let wants = self.wants(id);
        let attempt = self.attempt_of(id);
        let Some(live) = self.live.get_mut(&id) else { return };
        live.clock = live.next_clock(turn.now);
        live.attempts += 1;
        let mut context = Box::new(StepContext {
            attempt,
            clock: live.clock,
            delivered: take_results(&mut live.ready),
            keys: wants.clone(),
            ..StepContext::default()
        });
        for ((partition, cell), want) in wants {
            context.wants.entry(partition).or_default().insert(cell, want);
        }
        live.step = Some(context);
        self.acquire(id, turn);
    }

    /// The attempt on whose behalf the next step runs.
    fn attempt_of(&mut self, id: InvocationId) -> AttemptId {
        let live = &self.live[&id];
        match (&live.transaction, live.inner) {
            (Some(transaction), _) => transaction.attempt,
            (None, Some(inner)) => inner.attempt,
            (None, None) => self.new_attempt(id),
        }
    }

    /// Cells to ask for before the next step: foreseen ones if it is the first, else those whose objects the coroutine
    /// holds; and learned ones.
    pub(crate) fn wants(&self, id: InvocationId) -> BTreeMap<(PartitionId, CellKey), Want> {
        let live = &self.live[&id];
        let mut wants = BTreeMap::new();
        match live.journal.last() {
            None => self.foreseen(id, &mut wants),
            Some(last) => self.held(id, &last.held, &mut wants),
        }
        for ((partition, cell), learned) in &live.learned {
            want(&mut wants, *partition, cell.clone(), learned.clone());
        }
        if let (Some(_), TurnState::Wanted(cell)) = (live.inner, &live.turn) {
            let lock = Want { mode: LockMode::Exclusive, key: None, whole: false };
            want(&mut wants, self.config.id, cell.clone(), lock);
        }
        if let Some(transaction) = live.transaction.as_ref().filter(|t| t.base == live.journal.len()) {
            for ((partition, cell), mode) in &transaction.learned {
                let lock = Want { mode: *mode, key: None, whole: false };
                want(&mut wants, *partition, cell.clone(), lock);
            }
        }
        wants
    }

    /// What a suspended coroutine still refers to.
    fn held(&self, id: InvocationId, held: &Held, wants: &mut BTreeMap<(PartitionId, CellKey), Want>) {
        let one = |cell: &HeldCell| (cell.field.clone(), cell.key.clone().map_or(FetchWhat::Scalar, FetchWhat::Entry));
        let whole = |field: &String| (field.clone(), FetchWhat::Whole);
        for (field, what) in held.cells.iter().map(one).chain(held.wholes.iter().map(whole)) {
            for (partition, cell, lock) in self.locks_for(id, &field, &what).unwrap_or_default() {
                want(wants, partition, cell, lock);
            }
        }
    }

    fn foreseen(&self, id: InvocationId, wants: &mut BTreeMap<(PartitionId, CellKey), Want>) {
        let live = &self.live[&id];
        let call = &live.row.call;
        let Some((_, method)) = self.deployment.method(&call.service, &call.method) else { return };
        for foreseen in &method.foreseen {
            let parts = match &foreseen.what {
                ForeseenCells::Scalar => vec![FetchWhat::Scalar],
                ForeseenCells::Whole => vec![FetchWhat::Whole],
                ForeseenCells::Entry(expression) => {
                    keys::evaluate_all(expression, method, &call.args).into_iter().map(FetchWhat::Entry).collect()
                }
            };
            for what in parts {
                for (partition, cell, lock) in self.locks_for(id, &foreseen.field, &what).unwrap_or_default() {
                    want(wants, partition, cell, lock);
                }
            }
        }
    }

    /// A field of a service, and how its cells lie.
    pub(crate) fn numbered(&self, service: &str, field: &str) -> Option<Numbered> {
        self.numbers.number(service, field).map(|number| self.placed(number))
    }

    /// How the cells of the field with this number lie.
    pub(crate) fn placed(&self, number: u32) -> Numbered {
        Numbered { number, together: self.numbers.kind(number).is_some_and(|kind| kind != FieldKind::Dict) }
    }

    /// The locks that reading this part of a field needs, in the method's mode. `None`: there is no such field or key.
    fn locks_for(&self, id: InvocationId, field: &str, what: &FetchWhat) -> Option<Vec<(PartitionId, CellKey, Want)>> {
        let live = self.live.get(&id)?;
        let call = &live.row.call;
        let (service, method) = self.deployment.method(&call.service, &call.method)?;
        let number = self.numbered(&service.name, field)?;
        let mode = strongest(mode_of(method, field));
        let plain = |mode, key| Want { mode, key, whole: false };
        match what {
            FetchWhat::Scalar => {
                let cell = live.cells.cell(number, None).ok()?;
                Some(vec![(self.partition_of(&cell), cell, plain(mode, None))])
            }
            FetchWhat::Entry(key) => {
                let cell = live.cells.cell(number, Some(key)).ok()?;
                let partition = self.partition_of(&cell);
                let member = (partition, live.cells.membership(number), plain(intention(mode), None));
                Some(vec![(partition, cell, plain(mode, Some(key.clone()))), member])
            }
            FetchWhat::Whole => {
                let membership = live.cells.membership(number);
                let whole = Want { mode, key: None, whole: true };
                let share = live.cells.share(number, self.config.partitions);
                Some(share.into_iter().map(|partition| (partition, membership.clone(), whole.clone())).collect())
            }
        }
    }

    /// Locks for a write that was not asked for as one.
    pub(crate) fn learn_write(
        &mut self,
        id: InvocationId,
        partition: PartitionId,
        cell: CellKey,
        key: Option<Vec<u8>>,
    ) {
        let field = self.placed(cell.field);
        let Some(live) = self.live.get_mut(&id) else { return };
        if cell.key.is_some() {
            let member = live.cells.membership(field);
            let lock = Want { mode: LockMode::IntentionExclusive, key: None, whole: false };
            want(&mut live.learned, partition, member, lock);
        }
        want(&mut live.learned, partition, cell, Want { mode: LockMode::Exclusive, key, whole: false });
    }

    /// Asks for the cells of the next partition; when there is none left, the step runs.
    pub(crate) fn acquire(&mut self, id: InvocationId, turn: &mut Turn) {
        loop {
            let Some(request) = self.next_request(id) else { return self.run_step(id, turn) };
            let partition = match self.live[&id].phase {
                Phase::Acquiring(partition) => partition,
                ref other => unreachable!("asking for cells in phase {other:?}"),
            };
            if partition != self.config.id {
                return self.send(partition, Message::Lock(request), turn);
            }
            if request.transaction {
                self.enlist(request.attempt, request.home, request.age, turn);
            }
            match self.locks.request(request.clone(), false) {
                Verdict::Waiting => {
                    self.waits(&request, turn);
                    let wants = request.wants.iter().map(|(cell, mode)| (cell, *mode));
                    if let Some(line) = first_exclusive(wants).filter(|_| !request.transaction) {
                        self.follow_last(id, line, turn);
                    }
                    return;
                }
                Verdict::Died(blockers) => {
                    self.locks.watch(request.attempt, blockers);
                    return self.died(id, self.config.id, &request.wants, turn);
                }
                Verdict::Granted => {
                    let Some(contents) = self.contents(&request, None, turn) else { return };
                    self.take_contents(id, contents);
                }
            }
        }
    }

    fn next_request(&mut self, id: InvocationId) -> Option<LockRequest> {
        let own = self.config.id;
        let home = self.live.get(&id).and_then(|live| live.inner).map_or(own, |inner| inner.home);
        let live = self.live.get_mut(&id)?;
        let context = live.step.as_mut()?;
        let (partition, wants) = context.wants.pop_first()?;
        live.phase = Phase::Acquiring(partition);
        let attempt = context.attempt;
        let in_transaction = live.transaction.as_ref().map(|transaction| transaction.holds);
        let holds = !context.remote.is_empty()
            || self.locks.holds(attempt)
            || in_transaction.unwrap_or(false)
            || live.inner.is_some_and(|inner| inner.holds);
        Some(LockRequest {
            attempt,
            age: live.row.call.age,
            step: id,
            holds,
            wants: wants.into_iter().map(|(cell, want)| (cell, want.mode)).collect(),
            home,
            transaction: in_transaction.is_some() || live.inner.is_some(),
        })
    }

    /// A waiting request of a step of this or another partition has been granted.
    pub(crate) fn granted(&mut self, request: LockRequest, turn: &mut Turn) {
        if self.home_of(request.step) == self.config.id && !self.still_asks(&request) {
            return;
        }
        if let Some(contents) = self.contents(&request, None, turn) {
            self.hand_over(&request, contents, turn);
        }
    }

    /// Several requests are decided at once, and what comes of one may end the step of another one: its attempt dies.
    fn still_asks(&self, request: &LockRequest) -> bool {
        let live = self.live.get(&request.step).filter(|live| live.phase == Phase::Acquiring(self.config.id));
        let step = live.and_then(|live| live.step.as_ref()).filter(|step| step.attempt == request.attempt);
        step.is_some() && self.locks.uses(request)
    }

    fn hand_over(&mut self, request: &LockRequest, contents: Contents, turn: &mut Turn) {
        let home = self.home_of(request.step);
        if home == self.config.id {
            self.take_contents(request.step, contents);
            return self.acquire(request.step, turn);
        }
        let pack = |row: &Arc<CellRow>| GrantedCell { row: record::encode(&**row) };
        let cells = contents.cells.iter().map(|(cell, row)| (cell.clone(), row.as_ref().map(pack))).collect();
        let wholes = contents
            .wholes
            .iter()
            .map(|(name, entries)| (name.clone(), entries.iter().map(|(c, row)| (c.clone(), pack(row))).collect()))
            .collect();
        let (attempt, step, newest) = (request.attempt, request.step, contents.newest);
        self.send(home, Message::Granted { attempt, step, cells, wholes, newest }, turn);
    }

    /// Another partition granted what a step here asked for.
    pub(crate) fn granted_elsewhere(
        &mut self,
        from: PartitionId,
        attempt: AttemptId,
        step: InvocationId,
        contents: Contents,
        turn: &mut Turn,
    ) {
        let current = self.live.get(&step).is_some_and(|live| {
            live.phase == Phase::Acquiring(from) && live.step.as_ref().is_some_and(|s| s.attempt == attempt)
        });
        if !current {
            // The step was given up meanwhile; whoever did so has the locks released.
            return;
        }
        if let Some(context) = self.live.get_mut(&step).and_then(|live| live.step.as_mut()) {
            context.remote.insert(from);
        }
        self.take_contents(step, contents);
        self.acquire(step, turn);
    }

    fn take_contents(&mut self, id: InvocationId, contents: Contents) {
        let Some(context) = self.live.get_mut(&id).and_then(|live| live.step.as_mut()) else { return };
        context.cells.extend(contents.cells);
        for (membership, entries) in contents.wholes {
            context.wholes.entry(membership).or_default().extend(entries);
        }
        context.newest = context.newest.max(contents.newest);
    }

    /// Contents of what is granted, if all of it is resident; else it is loaded and the continuation follows.
    fn contents(&mut self, request: &LockRequest, fetch: Option<RunNumber>, turn: &mut Turn) -> Option<Contents> {
        let mut missing = Vec::new();
        let mut wholes = Vec::new();
        for (cell, mode) in &request.wants {
            match self.named(cell, *mode) {
                Named::Bare => {}
                Named::Whole => wholes.push(cell.clone()),
                Named::Cell if self.cells.get(cell).is_none() => missing.push(cell.clone()),
                Named::Cell => {}
            }
        }
        if missing.is_empty() && wholes.is_empty() {
            return Some(self.collect(request, BTreeMap::new()));
        }
        let number = self.next_ticket;
        self.next_ticket += 1;
        let outstanding = usize::from(!missing.is_empty()) + wholes.len();
        let group = Group { request: request.clone(), fetch, outstanding, wholes: BTreeMap::new(), cut: false };
        self.groups.insert(number, group);
        if !missing.is_empty() {
            let rows = missing.iter().map(CellKey::row).collect();
            self.load(Load::Cells { group: number, cells: missing }, Query::Rows(rows), turn);
        }
        for membership in wholes {
            let in_one_slot = membership.entity.is_some() || self.placed(membership.field).together;
            let slot = in_one_slot.then_some(membership.slot);
            let (field, entity) = (membership.field, membership.entity.clone());
            let query = Query::Field { slot, field, entity, bytes_max: SCAN_BYTES_MAX };
            self.load(Load::Whole { group: number, membership }, query, turn);
        }
        None
    }

    fn named(&self, cell: &CellKey, mode: LockMode) -> Named {
        let entries = match self.numbers.name(cell.field) {
            None | Some((_, "")) => return Named::Bare,
            Some(_) => self.numbers.kind(cell.field).is_some_and(has_entries),
        };
        match (entries && cell.key.is_none(), mode) {
            (false, _) => Named::Cell,
            (true, LockMode::Shared | LockMode::Exclusive) => Named::Whole,
            (true, LockMode::IntentionShared | LockMode::IntentionExclusive) => Named::Bare,
        }
    }

    /// What the attempt sees: its own writes over the current versions.
    fn collect(&self, request: &LockRequest, wholes: BTreeMap<CellKey, BTreeMap<CellKey, Arc<CellRow>>>) -> Contents {
        let overlay = self.participants.get(&request.attempt).map(|participant| &participant.overlay);
        let mut contents = Contents { wholes, ..Contents::default() };
        for (cell, mode) in &request.wants {
            if !matches!(self.named(cell, *mode), Named::Cell) {
                continue;
            }
            let version = self.cells.get(cell).cloned().unwrap_or_default();
            contents.newest = contents.newest.max(version.position);
            let row = match overlay.and_then(|overlay| overlay.get(cell)) {
                Some(write) => write.put.as_ref().map(|put| Arc::new(provisional(put))),
                None => version.row,
            };
            contents.cells.insert(cell.clone(), row);
        }
        for (membership, entries) in &mut contents.wholes {
            // Any entry may have been deleted by a record that is not durable yet.
            contents.newest = self.state.applied;
            for (cell, write) in overlay.into_iter().flatten() {
                if cell.field == membership.field && cell.entity == membership.entity {
                    match &write.put {
                        Some(put) => entries.insert(cell.clone(), Arc::new(provisional(put))),
                        None => entries.remove(cell),
                    };
                }
            }
        }
        contents
    }

    pub(crate) fn load(&mut self, load: Load, query: Query, turn: &mut Turn) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.loads.insert(ticket, load);
        turn.effects.push(Effect::Load { ticket, query });
    }

    /// Rows have been read.
    pub(crate) fn loaded(&mut self, ticket: u64, rows: Vec<(Vec<u8>, Vec<u8>)>, cut: bool, turn: &mut Turn) {
        let first = rows.first().map(|(_, row)| row.as_slice());
        match self.loads.remove(&ticket) {
            None => {}
            Some(Load::Dedup(boxed)) => {
                let (submit, dedup) = *boxed;
                self.dedup_loaded(submit, dedup, first, turn);
            }
            Some(Load::Done { token, id }) => self.done_loaded(token, id, first, turn),
            Some(Load::Sweep) => self.swept(rows, turn),
            Some(Load::Cells { group, cells }) => {
                let found: BTreeMap<Vec<u8>, Vec<u8>> = rows.into_iter().collect();
                for cell in cells {
                    let row = found.get(&cell.row()).map(|bytes| read_cell(bytes));
                    self.cells.loaded(cell, row);
                }
                self.group_loaded(group, turn);
            }
            Some(Load::Whole { group, membership }) => {
                let entries =
                    rows.iter().filter_map(|(key, row)| Some((CellKey::from_row(key)?, read_cell(row)))).collect();
                if let Some(group) = self.groups.get_mut(&group) {
                    group.wholes.insert(membership, entries);
                    group.cut |= cut;
                }
                self.group_loaded(group, turn);
            }
        }
    }

    fn group_loaded(&mut self, number: u64, turn: &mut Turn) {
        let Some(group) = self.groups.get_mut(&number) else { return };
        group.outstanding -= 1;
        if group.outstanding > 0 {
            return;
        }
        let group = self.groups.remove(&number).expect("the group was just there");
        let step = group.request.step;
        if group.cut {
            if let Some(run) = group.fetch {
                turn.effects.push(Effect::Fetched { run, slice: None });
            }
            return self.scan_too_large(&group.request, turn);
        }
        let contents = self.collect(&group.request, group.wholes);
        let Some(run) = group.fetch else { return self.hand_over(&group.request, contents, turn) };
        self.answer_fetch(run, step, &group.request, contents, turn);
    }

    /// A step (or with it all of its attempt) asks for nothing any more: what is being loaded for it is of no use. A
    /// worker that waits for the answer is told so.
    pub(crate) fn forget_groups(&mut self, attempt: AttemptId, step: Option<InvocationId>, turn: &mut Turn) {
        let of_it = |request: &LockRequest| request.attempt == attempt && step.is_none_or(|id| request.step == id);
        self.groups.retain(|_, group| {
            let forgotten = of_it(&group.request);
            if let (true, Some(run)) = (forgotten, group.fetch) {
                turn.effects.push(Effect::Fetched { run, slice: None });
            }
            !forgotten
        });
    }

    /// Starts or resumes the step on a worker: all cells are granted.
    fn run_step(&mut self, id: InvocationId, turn: &mut Turn) {
        if self.is_run_already(id, turn) {
            return;
        }
        let run = self.new_run();
        let slice = self.slice(id, |_| true);
        let Some(live) = self.live.get_mut(&id) else { return };
        let Some(context) = live.step.as_mut() else { return };
        context.run = Some(run);
        let clock = context.clock;
        let delivered = context.delivered.iter().map(|ready| ready.delivered.clone()).collect();
        live.phase = Phase::Running;
        live.since = turn.now;
        self.runs.insert(run, id);
        if live.resident {
            let resume = Resume { run, invocation: id, clock, slice, delivered };
            return turn.effects.push(Effect::Resume(resume));
        }
        let journal = live.journal.iter().map(|row| journal_step(row)).collect();
        let start = Start { journal, delivered, ..start_of(id, live, run, clock, slice) };
        turn.effects.push(Effect::Start(Box::new(start)));
        self.start_followers(id, turn);
    }

    pub(crate) fn new_run(&mut self) -> RunNumber {
        let run = RunNumber(self.next_run);
        self.next_run += 1;
        run
    }

    /// The granted cells of the invocation's own `self`, as they are shipped.
    fn slice(&self, id: InvocationId, choose: impl Fn(&CellKey) -> bool) -> Slice {
        let mut slice = Slice::default();
        let live = &self.live[&id];
        let Some(context) = &live.step else { return slice };
        let entity = live.cells.entity.as_ref().map(|(_, key)| key);
        let own = |cell: &CellKey| match self.numbers.name(cell.field) {
            Some((service, field)) if service == live.row.call.service && cell.entity.as_ref() == entity => Some(field),
            _ => None,
        };
        for ((_, cell), wanted) in context.keys.iter().filter(|((_, cell), _)| choose(cell)) {
            let (Some(field), Some(row)) = (own(cell), context.cells.get(cell)) else { continue };
            let key = row.as_ref().and_then(|row| row.key.clone()).or_else(|| wanted.key.clone());
            if cell.key.is_some() && key.is_none() {
                // Locked early because an earlier attempt died for it: an absent entry whose key nobody has said yet.
                continue;
            }
            let value = row.as_ref().map(|row| row.value.clone());
            let incarnation = row.as_ref().map_or(0, |row| row.incarnation);
            slice.cells.push(SliceCell { field: field.to_owned(), key, value, incarnation });
        }
        for (membership, entries) in context.wholes.iter().filter(|(cell, _)| choose(cell)) {
            let Some(field) = own(membership) else { continue };
            // An earlier attempt may have died for one partition's share, which is then locked early: not the whole.
            let asked = |partition| context.keys.get(&(partition, membership.clone())).is_some_and(|want| want.whole);
            let share = live.cells.share(self.placed(membership.field), self.config.partitions);
            if !share.into_iter().all(asked) {
                continue;
            }
            slice.wholes.push((field.to_owned(), in_order(entries)));
        }
        slice
    }

    /// A running step wants a cell that was not shipped. It is answered at once: the content, or *not now*.
    pub(crate) fn fetch(&mut self, run: RunNumber, field: &str, what: FetchWhat, turn: &mut Turn) {
        let not_now = |turn: &mut Turn| turn.effects.push(Effect::Fetched { run, slice: None });
        let Some(id) = self.runs.get(&run).copied() else { return not_now(turn) };
        let Some(locks) = self.locks_for(id, field, &what) else { return not_now(turn) };
        let live = self.live.get_mut(&id).expect("a run belongs to a live invocation");
        if live.is_ahead(run) {
            return not_now(turn);
        }
        let context = live.step.as_mut().expect("a running invocation has a step");
        for (partition, cell, lock) in &locks {
            want(&mut context.keys, *partition, cell.clone(), lock.clone());
        }
        let here = locks.iter().all(|(partition, _, _)| *partition == self.config.id);
        let request = LockRequest {
            attempt: context.attempt,
            age: live.row.call.age,
            step: id,
            holds: true,
            wants: locks.iter().map(|(_, cell, want)| (cell.clone(), want.mode)).collect(),
            home: live.inner.map_or(self.config.id, |inner| inner.home),
            transaction: live.inner.is_some() || live.transaction.is_some(),
        };
        if !here || !self.locks.try_request(&request) {
            // The step is dropped and run again when it has what it needs.
            for (partition, cell, lock) in locks {
                want(&mut live.learned, partition, cell, lock);
            }
            return not_now(turn);
        }
        if let Some(contents) = self.contents(&request, Some(run), turn) {
            self.answer_fetch(run, id, &request, contents, turn);
        }
    }

    fn answer_fetch(
        &mut self,
        run: RunNumber,
        id: InvocationId,
        asked: &LockRequest,
        contents: Contents,
        turn: &mut Turn,
    ) {
        if self.runs.get(&run) != Some(&id) {
            return turn.effects.push(Effect::Fetched { run, slice: None });
        }
        self.take_contents(id, contents);
        let slice = self.slice(id, |cell| asked.wants.iter().any(|(wanted, _)| wanted == cell));
        turn.effects.push(Effect::Fetched { run, slice: Some(slice) });
    }
}

/// Results for the next step, in order of arrival: as many as a record has room for.
fn take_results(ready: &mut Vec<Ready>) -> Vec<Ready> {
    let mut bytes = 0;
    let fits = |result: &&Ready| {
        bytes += sizes::ready(result);
        bytes <= DELIVERED_BYTES_MAX
    };
    let count = ready.iter().take_while(fits).count().max(1);
    let later = ready.split_off(count.min(ready.len()));
    std::mem::replace(ready, later)
}

/// Entries of a dict field in Python's order: by insertion.
pub(crate) fn in_order(entries: &BTreeMap<CellKey, Arc<CellRow>>) -> Vec<SliceEntry> {
    let mut rows: Vec<&Arc<CellRow>> = entries.values().collect();
    rows.sort_by_key(|row| row.inserted);
    rows.into_iter().map(|row| (row.key.clone().unwrap_or_default(), row.value.clone(), row.incarnation)).collect()
}

/// A written cell as its own attempt sees it: new entries come last.
fn provisional(put: &record::CellPut) -> CellRow {
    let last = Stamp { time: u64::MAX, counter: put.counter };
    CellRow {
        value: put.value.clone(),
        key: put.key.clone(),
        inserted: put.inserted.unwrap_or(last),
        written: last,
        updates: put.updates,
        incarnation: put.incarnation,
    }
}

pub(crate) fn read_cell(bytes: &[u8]) -> Arc<CellRow> {
    Arc::new(record::decode(bytes, "cell").expect("a stored row is one that we wrote"))
}

fn delivered(row: &record::JournalRow) -> Vec<Delivered> {
    let mut delivered = row.delivered.clone();
    if planted::is(Bug::JournalByPosition) {
        delivered.sort_by(|a, b| a.position.cmp(&b.position));
    }
    delivered
}

fn journal_step(row: &record::JournalRow) -> JournalStep {
    JournalStep {
        clock: row.clock,
        reads: row.reads.clone(),
        delivered: delivered(row),
        ops: row.ops.iter().map(|op| (op.position.clone(), op.text())).collect(),
    }
}
