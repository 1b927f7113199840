//! The end of a step: what it wrote, read and asked for becomes a record (outside transactions) or part of its attempt
//! (inside); then the invocation waits, ends, begins a transaction, or commits one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::cell::{CellKey, CellRow};
use protocol::ids::{InvocationId, PartitionId, Position, RunNumber, child_seed};
use protocol::limits::{RECORD_BYTES_MAX, VALUE_BYTES_MAX};
use protocol::message::{Call, CallResult, DurableBody, Exception, InnerCall, LockMode, Message, Parent, Turn as Held};
use protocol::record::{Body, CellPut, CellWrite, Commit, Done, JournalRow, OpRow, OpRowKind, Step};
use protocol::worker::{Op, OpKind, Outcome, Slice, SliceCell, StepEnd, StepStatus, StepWrite, Target};

use crate::begin::in_order;
use crate::io::{Effect, Reply, Turn};
use crate::limits::{JOURNAL_STEPS_MAX, OPERATIONS_MAX, UNLOGGED_BYTES_SOON};
use crate::live::{Cancel, Live, Pending, Phase, Ready, StepContext, TurnState};
use crate::partition::Partition;
use crate::planted::{self, Bug};
use crate::routing;
use crate::sizes::{self, CONTENT_BYTES_MAX};

/// Writes of a step by the partition of their cells.
type Writes = BTreeMap<PartitionId, Vec<CellWrite>>;

/// A cell that was written without a lock for it: partition, cell, dict key.
type Uncovered = (PartitionId, CellKey, Option<Vec<u8>>);

/// What a step's operations come to.
#[derive(Default)]
pub(crate) struct Asked {
    rows: Vec<OpRow>,
    pub(crate) messages: Vec<(PartitionId, DurableBody)>,
    inner: Vec<(PartitionId, InnerCall)>,
    pub(crate) pending: Vec<(String, Pending)>,
    pub(crate) failed: Vec<Ready>,
}

impl Partition {
    /// A worker has run a step to its end.
    pub(crate) fn step_ended(&mut self, end: StepEnd, turn: &mut Turn) {
        let Some(id) = self.runs.remove(&end.run) else {
            // Of a run that was given up. Unless a newer one takes its place, its coroutine must go too.
            let suspended = matches!(end.status, StepStatus::Suspended);
            if suspended && !self.live.get(&end.invocation).is_some_and(|live| live.is_with_worker()) {
                turn.effects.push(Effect::Evict(end.invocation));
            }
            return;
        };
        let Some(end) = self.live.get_mut(&id).and_then(|live| live.put_aside(end)) else { return };
        self.end_of_step(id, end, turn);
    }

    /// The current step of an invocation has ended.
    pub(crate) fn end_of_step(&mut self, id: InvocationId, end: StepEnd, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        live.resident = matches!(end.status, StepStatus::Suspended);
        let writes = match self.writes(id, &end) {
            Ok(writes) => writes,
            Err(uncovered) => return self.rerun_with(id, uncovered, turn),
        };
        // The last step of an invocation is never replayed: it needs no journal.
        let journal = match end.status {
            StepStatus::Suspended => self.journal_row(id, &end),
            StepStatus::Returned(_) | StepStatus::Raised(_) | StepStatus::NotStorable(_) => JournalRow::default(),
        };
        if let Some(exception) = self.refused(id, &end, &journal, &writes) {
            return self.fail(id, &exception, turn);
        }
        let writes = if matches!(end.status, StepStatus::NotStorable(_)) { Writes::new() } else { writes };
        self.keep_end(id, end, journal, writes, turn);
    }

    /// Why the step's end cannot be kept, as the exception that ends the invocation.
    fn refused(&mut self, id: InvocationId, end: &StepEnd, journal: &JournalRow, writes: &Writes) -> Option<Vec<u8>> {
        self.waits_for_too_much(id, end)
            .or_else(|| self.unlogged_too_large(id, end, journal))
            .or_else(|| step_too_large(end, writes))
            .or_else(|| self.record_too_large(id, end, writes))
    }

    /// Everything that is not logged yet goes into one record, which has a limit.
    fn unlogged_too_large(&mut self, id: InvocationId, end: &StepEnd, journal: &JournalRow) -> Option<Vec<u8>> {
        if !matches!(end.status, StepStatus::Suspended) {
            return None;
        }
        let live = self.live.get_mut(&id)?;
        live.unlogged_bytes += sizes::journal(journal) + end.ops.iter().map(sizes::operation).sum::<usize>();
        let limit = CONTENT_BYTES_MAX;
        if live.unlogged_bytes <= limit {
            return None;
        }
        let message = format!(
            "the steps since its last record read, received and asked for {} bytes; the limit is {limit}: read less \
             before a call, or call less at once",
            live.unlogged_bytes
        );
        Some(not_storable(&message))
    }

    /// What one invocation waits for at once has a limit.
    fn waits_for_too_much(&self, id: InvocationId, end: &StepEnd) -> Option<Vec<u8>> {
        let live = self.live.get(&id)?;
        let waits = live.pending.len() + live.ready.len() + end.ops.len();
        if waits <= OPERATIONS_MAX {
            return None;
        }
        let message =
            format!("it would wait for {waits} calls, tasks and sleeps at once; the limit is {OPERATIONS_MAX}");
        Some(not_storable(&message))
    }

    /// A step outside of transactions leaves one record of all that it wrote and sent, with the journal until then.
    fn record_too_large(&self, id: InvocationId, end: &StepEnd, writes: &Writes) -> Option<Vec<u8>> {
        let live = self.live.get(&id)?;
        if live.inner.is_some() || live.transaction.is_some() || planted::is(Bug::TooLarge) {
            return None;
        }
        let chain = if end.ops.is_empty() { Vec::new() } else { self.chain_of(live, id) };
        let messages: usize = end.ops.iter().map(|op| sizes::operation_message(op, &chain)).sum();
        let written: usize = writes.values().flatten().map(sizes::write).sum();
        let journal = if matches!(end.status, StepStatus::Suspended) { live.unlogged_bytes } else { 0 };
        let bytes = journal + messages + written + sizes::status(&end.status);
        if bytes <= CONTENT_BYTES_MAX {
            return None;
        }
        let (calls, cells) = (end.ops.len(), writes.values().map(Vec::len).sum::<usize>());
        let message = format!(
            "one step with {calls} calls, tasks and sleeps and {cells} written cells takes {bytes} bytes of the log; \
             the limit is {CONTENT_BYTES_MAX}: do it in several"
        );
        Some(not_storable(&message))
    }

    /// The step's writes as record entries, or the cells among them that are not locked for writing.
    fn writes(&self, id: InvocationId, end: &StepEnd) -> Result<Writes, Vec<Uncovered>> {
        let live = &self.live[&id];
        let Some(context) = &live.step else { return Ok(Writes::new()) };
        let mut writes = Writes::new();
        let mut uncovered = Vec::new();
        for (counter, write) in end.writes.iter().enumerate() {
            let Some(field) = self.numbered(&live.row.call.service, &write.field) else { continue };
            let Ok(cell) = live.cells.cell(field, write.key.as_deref()) else { continue };
            let partition = self.partition_of(&cell);
            let exclusive = |name: &CellKey, whole: bool| {
                let lock = context.keys.get(&(partition, name.clone()));
                lock.is_some_and(|want| want.mode == LockMode::Exclusive && (!whole || want.whole))
            };
            let membership = live.cells.membership(field);
            if !exclusive(&cell, false) && !exclusive(&membership, true) {
                uncovered.push((partition, cell, write.key.clone()));
                continue;
            }
            let whole = context.wholes.get(&membership).and_then(|entries| entries.get(&cell));
            let old = context.cells.get(&cell).and_then(Option::as_ref).or(whole);
            if let Some(write) = cell_write(cell, write, old, counter as u32) {
                writes.entry(partition).or_default().push(write);
            }
        }
        if uncovered.is_empty() { Ok(writes) } else { Err(uncovered) }
    }

    /// The step is run again with locks that it turned out to need.
    fn rerun_with(&mut self, id: InvocationId, uncovered: Vec<Uncovered>, turn: &mut Turn) {
        for (partition, cell, key) in uncovered {
            self.learn_write(id, partition, cell, key);
        }
        turn.effects.push(Effect::RunsAgain(id));
        self.drop_coroutine(id, turn);
        self.run_again(id, turn);
    }

    pub(crate) fn drop_coroutine(&mut self, id: InvocationId, turn: &mut Turn) {
        if let Some(live) = self.live.get_mut(&id).filter(|live| live.resident) {
            live.resident = false;
            turn.effects.push(Effect::Evict(id));
        }
    }

    /// A run was dropped because a cell could not be had at once.
    pub(crate) fn step_dropped(&mut self, run: RunNumber, turn: &mut Turn) {
        let Some(id) = self.runs.remove(&run) else { return };
        if let Some(live) = self.live.get_mut(&id) {
            if live.is_ahead(run) {
                return self.forget_ahead(id);
            }
            live.resident = false;
        }
        self.run_again(id, turn);
    }

    /// Gives up the current run of a step and begins it again. Outside transactions it lets go of everything first;
    /// inside, the attempt keeps what earlier steps retained.
    pub(crate) fn run_again(&mut self, id: InvocationId, turn: &mut Turn) {
        if self.give_up_step(id, turn) {
            self.begin_step(id, turn);
        }
    }

    /// Ends the step without any trace; its results are delivered again. False if there is no such step.
    pub(crate) fn give_up_step(&mut self, id: InvocationId, turn: &mut Turn) -> bool {
        let own = self.config.id;
        self.forget_ahead(id);
        let Some(live) = self.live.get_mut(&id) else { return false };
        let Some(context) = live.step.take() else { return false };
        let asking = match live.phase {
            Phase::Acquiring(partition) => Some(partition),
            _ => None,
        };
        if let Some(run) = context.run {
            self.runs.remove(&run);
        }
        let follower = context.run.zip(context.next);
        let mut ready = context.delivered;
        ready.append(&mut live.ready);
        live.ready = ready;
        live.phase = Phase::Idle;
        live.since = turn.now;
        let in_transaction = live.inner.is_some() || live.transaction.is_some();
        let held = match &live.turn {
            TurnState::Held(cell) if live.inner.is_some() => Some(cell.clone()),
            _ => None,
        };
        let mut asked = context.remote;
        asked.extend(asking.filter(|partition| *partition != own));
        if in_transaction {
            // What it was granted elsewhere stays with the attempt: as retained locks, that siblings may take.
            live.participants.extend(asked.iter().copied());
            if let Some(transaction) = &mut live.transaction {
                transaction.holds |= !asked.is_empty();
                transaction.participants.extend(asked.iter().copied());
            }
            if let Some(inner) = &mut live.inner {
                inner.holds |= !asked.is_empty();
            }
            self.locks.end_step(context.attempt, id, false, held.as_ref());
        } else if !planted::is(Bug::LeakedLock) {
            self.locks.release(context.attempt);
        }
        self.forget_groups(context.attempt, Some(id), turn);
        if let Some((run, next)) = follower {
            self.drop_ahead(next, run);
        }
        self.record_results(id, turn);
        for to in asked {
            let attempt = context.attempt;
            let message = match in_transaction {
                true => Message::Stash { attempt, step: id, writes: Vec::new() },
                false => Message::Release { attempt },
            };
            self.send(to, message, turn);
        }
        true
    }

    /// The end is accepted: journal it, and take other partitions in if they hold cells of the step.
    fn keep_end(&mut self, id: InvocationId, end: StepEnd, journal: JournalRow, mut writes: Writes, turn: &mut Turn) {
        let own = self.config.id;
        let Some(live) = self.live.get_mut(&id) else { return };
        let Some(context) = live.step.as_mut() else { return };
        live.output.extend(end.logs.iter().cloned());
        live.doom = live.doom.take().or_else(|| end.doom.clone());
        context.local = writes.remove(&own).unwrap_or_default();
        context.journal = Some(journal);
        context.end = Some(Box::new(end));
        let remote = context.remote.clone();
        let attempt = context.attempt;
        if remote.is_empty() {
            return self.stashed_everywhere(id, turn);
        }
        live.phase = Phase::Stashing(remote.clone());
        live.since = turn.now;
        for to in remote {
            let writes = writes.remove(&to).unwrap_or_default();
            self.send(to, Message::Stash { attempt, step: id, writes }, turn);
        }
    }

    fn journal_row(&self, id: InvocationId, end: &StepEnd) -> JournalRow {
        let live = &self.live[&id];
        let Some(context) = &live.step else { return JournalRow::default() };
        JournalRow {
            clock: context.clock,
            reads: self.reads(live, context, end),
            delivered: context.delivered.iter().map(|ready| ready.delivered.clone()).collect(),
            ops: Vec::new(),
            wait_all: end.wait_all,
            waits: end.waits.clone(),
            held: end.held.clone(),
        }
    }

    fn reads(&self, live: &Live, context: &StepContext, end: &StepEnd) -> Slice {
        let mut reads = Slice::default();
        let number = |field: &str| self.numbered(&live.row.call.service, field);
        for (field, key) in &end.reads {
            let row = number(field).and_then(|number| {
                let cell = live.cells.cell(number, key.as_deref()).ok()?;
                // An entry may have come with the whole field.
                let whole = context.wholes.get(&live.cells.membership(number)).and_then(|whole| whole.get(&cell));
                context.cells.get(&cell).and_then(Option::as_ref).or(whole)
            });
            let stored = row.and_then(|row| row.key.clone()).or_else(|| key.clone());
            let value = row.map(|row| row.value.clone());
            let incarnation = row.map_or(0, |row| row.incarnation);
            reads.cells.push(SliceCell { field: field.clone(), key: stored, value, incarnation });
        }
        for field in &end.whole_reads {
            let entries = number(field).and_then(|number| context.wholes.get(&live.cells.membership(number)));
            reads.wholes.push((field.clone(), entries.map(in_order).unwrap_or_default()));
        }
        reads
    }

    /// All partitions that hold cells of the step have its writes.
    pub(crate) fn stashed_everywhere(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        if live.inner.is_some() || live.transaction.is_some() {
            return self.end_in_transaction(id, turn);
        }
        let remote = live.step.as_ref().map(|context| context.remote.clone()).unwrap_or_default();
        if remote.is_empty() {
            return self.end_outside(id, None, turn);
        }
        self.prepare(id, remote, turn);
    }

    /// The step commits on its own.
    pub(crate) fn end_outside(&mut self, id: InvocationId, commit: Option<Commit>, turn: &mut Turn) {
        let Some((mut context, end)) = self.take_end(id) else { return };
        let asked = self.operations(id, &context, &end, turn);
        self.bookkeep(id, &context);
        let mut writes = std::mem::take(&mut context.local);
        if planted::is(Bug::HalfRecord) && writes.len() > 1 {
            writes.pop();
        }
        // Nobody is granted anything before this input has been dealt with.
        self.locks.release(context.attempt);
        let follower = context.run.zip(context.next);
        let cells = if follower.is_some() { std::mem::take(&mut context.cells) } else { BTreeMap::new() };
        let as_it_said = matches!(end.status, StepStatus::Returned(_) | StepStatus::Raised(_));
        match end.status {
            StepStatus::Suspended => self.suspend(id, context, asked, writes, commit, turn),
            StepStatus::Returned(value) => {
                self.complete(id, Outcome::Value(value), writes, asked.messages, commit, turn);
            }
            StepStatus::Raised(exception) | StepStatus::NotStorable(exception) => {
                self.complete(id, Outcome::Exception(exception), writes, asked.messages, commit, turn);
            }
        }
        match follower {
            Some((run, next)) if as_it_said => self.leave_to(next, run, cells.into_keys()),
            Some((run, next)) => self.drop_ahead(next, run),
            None => {}
        }
    }

    fn take_end(&mut self, id: InvocationId) -> Option<(Box<StepContext>, StepEnd)> {
        let live = self.live.get_mut(&id)?;
        let mut context = live.step.take()?;
        let end = *context.end.take()?;
        live.learned.clear();
        live.newest = live.newest.max(context.newest);
        Some((context, end))
    }

    /// What the delivered results rest on becomes part of the invocation.
    fn bookkeep(&mut self, id: InvocationId, context: &StepContext) {
        let Some(live) = self.live.get_mut(&id) else { return };
        for ready in &context.delivered {
            live.newest = live.newest.max(ready.newest);
            if let Some(source) = ready.source.filter(|source| !live.consumed.contains(source)) {
                live.consumed.push(source);
            }
            if let Some(child) = ready.child.filter(|child| !live.answered.contains(child)) {
                live.answered.push(child);
            }
        }
    }

    fn suspend(
        &mut self,
        id: InvocationId,
        context: Box<StepContext>,
        asked: Asked,
        writes: Vec<CellWrite>,
        commit: Option<Commit>,
        turn: &mut Turn,
    ) {
        let lasts = |pending: &Pending| matches!(pending, Pending::Sleep(_) | Pending::Task(_));
        let lasts = asked.pending.iter().any(|(_, pending)| lasts(pending));
        let much = self.live.get(&id).is_some_and(|live| live.unlogged_bytes > UNLOGGED_BYTES_SOON);
        let unrecorded = context.delivered.iter().any(|ready| ready.unrecorded);
        let must_log =
            !writes.is_empty() || commit.is_some() || !asked.messages.is_empty() || lasts || much || unrecorded;
        self.append_journal(id, context.journal, asked.rows);
        self.wait(id, asked.pending, asked.failed, turn);
        if must_log {
            let after = self.log_step(id, writes, asked.messages, commit, None, turn);
            self.begin_tasks(id, after, turn);
        }
        self.after_suspension(id, turn);
    }

    /// The finished step joins the journal in memory.
    fn append_journal(&mut self, id: InvocationId, journal: Option<JournalRow>, ops: Vec<OpRow>) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let row = JournalRow { ops, ..journal.unwrap_or_default() };
        live.await_what(&row);
        live.journal.push(Arc::new(row));
    }

    fn wait(&mut self, id: InvocationId, pending: Vec<(String, Pending)>, failed: Vec<Ready>, turn: &Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        for (position, waits) in pending {
            if let Pending::Sleep(due) = waits {
                self.timers.insert((due, id, position.clone()));
            }
            live.pending.insert(position, waits);
        }
        live.ready.extend(failed);
        live.phase = Phase::Suspended;
        live.since = turn.now;
    }

    /// A suspended invocation outside transactions: too long a journal, the test switch, a transaction, results.
    fn after_suspension(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        if live.journal.len() > JOURNAL_STEPS_MAX {
            let reason = format!("its journal has over {JOURNAL_STEPS_MAX} steps; split the work into several calls");
            return self.park(id, reason, turn);
        }
        if self.config.evict_at_suspension {
            self.drop_coroutine(id, turn);
        }
        self.maybe_begin_transaction(id, turn);
        self.try_deliver(id, turn);
    }

    /// Logs everything of the invocation that is not logged yet.
    pub(crate) fn log_step(
        &mut self,
        id: InvocationId,
        writes: Vec<CellWrite>,
        messages: Vec<(PartitionId, DurableBody)>,
        commit: Option<Commit>,
        done: Option<Done>,
        turn: &mut Turn,
    ) -> Position {
        let time = self.time(turn);
        let live = self.live.get_mut(&id).expect("only a live invocation logs a step");
        let accept = (!live.logged).then(|| Arc::clone(&live.row));
        let journal = match done {
            None => live.journal[live.journal_logged..].to_vec(),
            Some(_) => Vec::new(),
        };
        live.logged = true;
        live.journal_logged = live.journal.len();
        live.unlogged_bytes = 0;
        let mut accepts: Vec<_> = live.source.take().into_iter().collect();
        accepts.append(&mut live.consumed);
        let mut answered = std::mem::take(&mut live.answered);
        if done.is_some() {
            accepts.extend(live.ready.iter().filter_map(|ready| ready.source));
            answered.extend(live.ready.iter().filter_map(|ready| ready.child));
        }
        for child in answered {
            if let Some((to, seq)) = self.calls.remove(&child) {
                self.acknowledge(to, seq, turn.now);
            }
        }
        let step = Step { invocation: id, accept, journal, writes, messages, consumed: Vec::new(), time, commit, done };
        let position = self.log(Body::Step(Box::new(step)), accepts, turn);
        if let Some(live) = self.live.get_mut(&id) {
            live.newest = Position::default();
        }
        self.print(id, position, turn);
        position
    }

    fn print(&mut self, id: InvocationId, after: Position, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let lines = std::mem::take(&mut live.output);
        if !lines.is_empty() {
            let method = format!("{}.{}", live.row.call.service, live.row.call.method);
            turn.effects.push(Effect::Print { after, invocation: id, method, lines });
        }
    }

    /// The invocation ends outside transactions. Without anything to remember, no record is written.
    pub(crate) fn complete(
        &mut self,
        id: InvocationId,
        outcome: Outcome,
        writes: Vec<CellWrite>,
        mut messages: Vec<(PartitionId, DurableBody)>,
        commit: Option<Commit>,
        turn: &mut Turn,
    ) {
        let Some(live) = self.live.get(&id) else { return };
        let cancelled = live.cancel == Cancel::Delivered && is_cancellation(&outcome);
        let retention = self.config.retention / if planted::is(Bug::KeptShort) { 2 } else { 1 };
        let keep_until = live.row.keep_result.then(|| turn.now + retention);
        let parent = live.row.call.parent.clone();
        // A call that arrives again must not have an effect that its first answer denied.
        let recorded = live.source.is_some() && !self.is_read_only(&live.row.call);
        let must_log = live.logged
            || recorded
            || live.row.keep_result
            || commit.is_some()
            || !writes.is_empty()
            || !messages.is_empty()
            || live.consumed.iter().chain(live.ready.iter().filter_map(|r| r.source.as_ref())).next().is_some();
        let result = parent.map(|parent| CallResult { child: id, parent, outcome: outcome.clone() });
        if must_log {
            if let Some(result) = result {
                messages.push((self.home_of(result.parent.invocation), DurableBody::Result(result)));
            }
            let done = Done { outcome: outcome.clone(), at: turn.now, keep_until, cancelled };
            let after = self.log_step(id, writes, messages, commit, Some(done), turn);
            return self.leave(id, after, Reply::Done { outcome, cancelled, keep_until }, turn);
        }
        let newest = if planted::is(Bug::ReadOnlyReply) { Position::default() } else { live.newest };
        if let Some(result) = result {
            let to = self.home_of(result.parent.invocation);
            turn.effects.push(Effect::Send { to, after: newest, message: Message::Result { result, newest } });
        }
        self.print(id, newest, turn);
        self.leave(id, newest, Reply::Done { outcome, cancelled, keep_until }, turn);
    }

    fn is_read_only(&self, call: &Call) -> bool {
        self.deployment.method(&call.service, &call.method).is_some_and(|(_, method)| method.read_only)
    }

    /// Forgets an ended invocation: answers its clients, gives its turn on, drops its timers.
    pub(crate) fn leave(&mut self, id: InvocationId, after: Position, reply: Reply, turn: &mut Turn) {
        self.forget_ahead(id);
        let Some(live) = self.remove(id) else { return };
        for token in live.clients {
            turn.effects.push(Effect::Reply { token, after, invocation: id, reply: reply.clone() });
        }
        for (position, pending) in &live.pending {
            self.let_go(id, position, pending, turn);
        }
        if let Some(dedup) = live.row.dedup {
            self.keys.remove(&(dedup.slot, dedup.scope));
        }
        if live.row.call.age.root == id {
            self.strikes.retain(|(root, _), _| *root != id);
        }
        if live.resident {
            turn.effects.push(Effect::Evict(id));
        }
        self.leave_turn(id, live.turn, turn);
    }

    /// A step inside a transaction: its writes join the attempt, its locks are retained.
    fn end_in_transaction(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some((context, end)) = self.take_end(id) else { return };
        let asked = self.operations(id, &context, &end, turn);
        self.bookkeep(id, &context);
        let attempt = context.attempt;
        let held_here = self.locks.holds(attempt);
        if let Some(participant) = self.participants.get_mut(&attempt) {
            participant.stash(context.local.clone());
            participant.newest = participant.newest.max(context.newest);
            participant.messages.extend(asked.messages.iter().cloned());
        }
        let own = self.config.id;
        let Some(live) = self.live.get_mut(&id) else { return };
        if let (Some(_), TurnState::Wanted(cell)) = (live.inner, &live.turn) {
            live.turn = TurnState::Held(cell.clone());
        }
        let turn_cell = match &live.turn {
            TurnState::Held(cell) => Some(cell.clone()),
            _ => None,
        };
        live.participants.extend(context.remote.iter().copied());
        live.participants.insert(own);
        if let Some(inner) = &mut live.inner {
            inner.holds |= held_here || !context.remote.is_empty();
        }
        if let Some(transaction) = &mut live.transaction {
            transaction.holds |= held_here || !context.remote.is_empty();
            transaction.participants.extend(live.participants.iter().copied());
        }
        self.locks.end_step(attempt, id, true, turn_cell.as_ref());
        match end.status {
            StepStatus::Suspended => {
                self.append_journal(id, context.journal, asked.rows);
                self.wait(id, asked.pending, asked.failed, turn);
                self.send_inner(id, asked.inner, turn);
                self.maybe_commit(id, turn);
                self.try_deliver(id, turn);
            }
            StepStatus::Returned(value) => self.complete_inner(id, Outcome::Value(value), turn),
            StepStatus::Raised(exception) | StepStatus::NotStorable(exception) => {
                self.complete_inner(id, Outcome::Exception(exception), turn);
            }
        }
    }

    fn send_inner(&mut self, id: InvocationId, calls: Vec<(PartitionId, InnerCall)>, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        let outstanding =
            live.pending.values().filter(|pending| matches!(pending, Pending::Call { inner: true, .. })).count();
        let holds = outstanding > 1
            || live.transaction.as_ref().map_or_else(|| live.inner.is_some(), |transaction| transaction.holds);
        if let Some(transaction) = self.live.get_mut(&id).and_then(|live| live.transaction.as_mut()) {
            transaction.holds |= holds;
        }
        for (to, mut call) in calls {
            call.holds = holds;
            self.send(to, Message::Inner(call), turn);
        }
    }

    /// Operations of a step: child ids, messages, and what the coroutine waits for from now on.
    fn operations(&mut self, id: InvocationId, context: &StepContext, end: &StepEnd, turn: &mut Turn) -> Asked {
        let mut asked = Asked::default();
        if matches!(end.status, StepStatus::NotStorable(_)) {
            return asked;
        }
        let in_transaction = self.live.get(&id).is_some_and(|live| live.transaction.is_some());
        for op in &end.ops {
            let kind = match &op.kind {
                OpKind::Call(target) => self.call_operation(id, context, op, target, false, &mut asked, turn),
                OpKind::Send(target) => self.call_operation(id, context, op, target, true, &mut asked, turn),
                OpKind::Sleep(due) => {
                    asked.pending.push((op.position.clone(), Pending::Sleep(*due)));
                    OpRowKind::Sleep(*due)
                }
                OpKind::Task(call) => self.task_operation(id, op, call, &mut asked),
                OpKind::Cancel(position) => {
                    self.cancel_operation(id, position, &mut asked, turn);
                    OpRowKind::Cancel(position.clone())
                }
                OpKind::Begin => {
                    asked.pending.push((op.position.clone(), Pending::Begin));
                    OpRowKind::Begin
                }
                OpKind::Commit | OpKind::Rollback(_) if !in_transaction => {
                    // Its beginning was cancelled.
                    asked.failed.push(crate::results::decided(&op.position, None));
                    match op.kind {
                        OpKind::Commit => OpRowKind::Commit(None),
                        _ => OpRowKind::Rollback,
                    }
                }
                OpKind::Commit => {
                    asked.pending.push((op.position.clone(), Pending::Commit));
                    OpRowKind::Commit(None)
                }
                OpKind::Rollback(_) => {
                    asked.pending.push((op.position.clone(), Pending::Rollback));
                    OpRowKind::Rollback
                }
            };
            asked.rows.push(OpRow { position: op.position.clone(), kind });
        }
        asked
    }

    #[expect(clippy::too_many_arguments, reason = "one arm of the match above, with all that it needs")]
    fn call_operation(
        &mut self,
        id: InvocationId,
        context: &StepContext,
        op: &Op,
        target: &Target,
        one_way: bool,
        asked: &mut Asked,
        turn: &Turn,
    ) -> OpRowKind {
        let name = format!("{}.{}", target.service, target.method);
        let live = &self.live[&id];
        let inside = live.transaction.is_some() || live.inner.is_some();
        let attempt = inside.then_some(context.attempt);
        let slot = self.target_slot(target);
        let child = InvocationId::child(id, attempt, &op.position, slot.clone().ok().flatten());
        let row = match one_way {
            true => OpRowKind::Send { target: name.clone() },
            false => OpRowKind::Call { child, target: name.clone() },
        };
        if let Err(message) = slot {
            let exception = Exception::encode("builtins.AttributeError", &message);
            if !one_way {
                asked.failed.push(crate::results::decided(&op.position, Some(exception)));
            }
            return row;
        }
        let parent = (!one_way).then(|| Parent { invocation: id, position: op.position.clone() });
        let call = Call {
            service: target.service.clone(),
            key: target.key.clone(),
            method: target.method.clone(),
            args: target.args.clone(),
            seed: child_seed(&live.row.call.seed, child),
            accepted: turn.now,
            age: live.row.call.age,
            parent,
            // A send does not run within its sender: it carries no turns.
            chain: if one_way { Vec::new() } else { self.chain_of(live, id) },
        };
        let to = self.home_of(child);
        if !one_way {
            let waits = Pending::Call { child, target: name, inner: inside };
            asked.pending.push((op.position.clone(), waits));
        }
        match (inside, one_way) {
            (true, false) => {
                let home = live.inner.map_or(self.config.id, |inner| inner.home);
                let inner = InnerCall { attempt: context.attempt, home, id: child, call, holds: true };
                asked.inner.push((to, inner));
            }
            (_, _) => asked.messages.push((to, DurableBody::Call { id: child, call })),
        }
        row
    }

    /// Slot of a call's target, or why there is no such target.
    fn target_slot(&self, target: &Target) -> Result<Option<protocol::Slot>, String> {
        let Some((service, method)) = self.deployment.method(&target.service, &target.method) else {
            return Err(format!("no service has the method {}.{}", target.service, target.method));
        };
        if service.entity_key.is_some() != target.key.is_some() {
            let wants = if target.key.is_some() { "takes no key" } else { "needs a key" };
            return Err(format!("{} {wants}", target.service));
        }
        routing::slot(service, target.key.as_deref(), method, &target.args)
            .map_err(|error| format!("{}: the key cannot be one: {error:?}", target.service))
    }

    fn chain_of(&self, live: &Live, id: InvocationId) -> Vec<Held> {
        let mut chain = live.row.call.chain.clone();
        match &live.turn {
            // Inside a transaction the turn is granted together with the first step's cells.
            TurnState::Held(cell) | TurnState::Reentered(cell) => {
                chain.push(Held { cell: cell.clone(), holder: id });
            }
            TurnState::Wanted(cell) if live.inner.is_some() => {
                chain.push(Held { cell: cell.clone(), holder: id });
            }
            TurnState::Wanted(_) | TurnState::None => {}
        }
        chain
    }

    /// A call inside a transaction ends; its parent's home hears of it, and of the partitions that take part.
    pub(crate) fn complete_inner(&mut self, id: InvocationId, outcome: Outcome, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let Some(inner) = live.inner else {
            // The worker ends an open transaction before a method ends; this one did not.
            let reason = "the method ended inside its own transaction".to_owned();
            return self.abort_transaction(id, crate::live::AfterFreeze::Park(reason), turn);
        };
        let Some(parent) = live.row.call.parent.clone() else { return };
        let participants = std::mem::take(&mut live.participants);
        let doom = live.doom.take();
        let lines = std::mem::take(&mut live.output);
        let method = format!("{}.{}", live.row.call.service, live.row.call.method);
        if let (false, Some(participant)) = (lines.is_empty(), self.participants.get_mut(&inner.attempt)) {
            participant.output.push((id, method, lines));
        }
        self.locks.end_step(inner.attempt, id, true, None);
        let result = CallResult { child: id, parent, outcome };
        self.answer_inner(inner.attempt, result, participants, doom, turn);
        let position = self.state.applied;
        self.leave(id, position, Reply::Running, turn);
    }

    pub(crate) fn answer_inner(
        &mut self,
        attempt: protocol::AttemptId,
        result: CallResult,
        participants: BTreeSet<PartitionId>,
        doom: Option<Vec<u8>>,
        turn: &mut Turn,
    ) {
        let to = self.home_of(result.parent.invocation);
        let participants = participants.into_iter().collect();
        let inner = protocol::message::InnerResult { attempt, result, participants, doom };
        self.send(to, Message::InnerResult(inner), turn);
    }
}

/// Does this outcome say that a cancellation ended the method?
fn is_cancellation(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Value(_) => false,
        Outcome::Exception(bytes) => Exception::from_value(bytes).class.ends_with("CancelledError"),
    }
}

/// The exception of what is over a limit of what can be stored.
pub(crate) fn not_storable(message: &str) -> Vec<u8> {
    Exception::encode("sostenuto.NotStorable", message)
}

/// A value has a limit, and what the program writes and hands over in one step.
fn step_too_large(end: &StepEnd, writes: &Writes) -> Option<Vec<u8>> {
    let refuse = |message: String| Some(not_storable(&message));
    let mut total = 0;
    for write in &end.writes {
        let bytes = write.value.as_ref().map_or(0, Vec::len);
        if bytes > VALUE_BYTES_MAX && !planted::is(Bug::TooLarge) {
            let place = &write.field;
            return refuse(format!("{place}: a value of {bytes} bytes; the limit is {VALUE_BYTES_MAX} bytes per cell"));
        }
        total += bytes + write.key.as_ref().map_or(0, Vec::len);
    }
    let calls: usize = end.ops.iter().map(argument_bytes).sum();
    let bytes = total + calls + sizes::status(&end.status);
    let limit = RECORD_BYTES_MAX / 2 - 64 * 1024;
    if bytes <= limit || planted::is(Bug::TooLarge) {
        return None;
    }
    let cells: usize = writes.values().map(Vec::len).sum();
    refuse(format!("one step has {bytes} bytes of writes ({cells} cells), calls and result; the limit is {limit}"))
}

/// What the program hands over with an operation.
fn argument_bytes(op: &Op) -> usize {
    match &op.kind {
        OpKind::Call(target) | OpKind::Send(target) => target.args.len(),
        OpKind::Task(task) => task.args.len(),
        OpKind::Rollback(exception) => exception.len(),
        OpKind::Sleep(_) | OpKind::Begin | OpKind::Commit | OpKind::Cancel(_) => 0,
    }
}

/// The record entry of a write; `None` if it changes nothing.
fn cell_write(cell: CellKey, write: &StepWrite, old: Option<&Arc<CellRow>>, counter: u32) -> Option<CellWrite> {
    let Some(value) = &write.value else {
        return old.map(|_| CellWrite { cell, put: None });
    };
    let incarnation = write.incarnation.or(old.map(|row| row.incarnation)).unwrap_or(0);
    if !write.fresh && old.is_some_and(|row| row.value == *value && row.incarnation == incarnation) {
        return None;
    }
    let kept = old.filter(|_| !write.fresh);
    let put = CellPut {
        value: value.clone(),
        key: kept.map_or_else(|| write.key.clone(), |row| row.key.clone()),
        // A provisional stamp of the own attempt is not final yet.
        inserted: kept.map(|row| row.inserted).filter(|stamp| stamp.time != u64::MAX),
        updates: kept.map_or(0, |row| row.updates.saturating_add(1)),
        counter: match kept {
            Some(row) if row.inserted.time == u64::MAX => row.inserted.counter,
            _ => counter,
        },
        incarnation,
    };
    Some(CellWrite { cell, put: Some(put) })
}
