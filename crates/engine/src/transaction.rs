//! Transactions at their home: beginning, commit over several partitions, and the two-round abort (freeze, release).
//!
//! While a transaction runs nothing of it is durable. An attempt that dies is frozen everywhere before anything is
//! released, so that no part of it can read a state that no serial order explains; then the body runs again: the
//! coroutine is rebuilt by replay up to the transaction's beginning, with a new attempt.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::cell::CellKey;
use protocol::ids::{AttemptId, InvocationId, PartitionId, Position};
use protocol::message::{DoomReason, Exception, LockMode, Message, Vote};
use protocol::record::{Commit, JournalRow, OpRowKind};
use protocol::worker::Outcome;

use crate::control::SCAN_TOO_LARGE;
use crate::end::not_storable;
use crate::io::{Effect, Turn};
use crate::live::{AfterFreeze, Cancel, Freezing, Pending, Phase, Preparing, Transaction};
use crate::locks::join;
use crate::participant::Participant;
use crate::partition::Partition;
use crate::planted::{self, Bug};
use crate::results::decided;
use crate::sizes::{self, CONTENT_BYTES_MAX};

/// Why a transaction does not commit whose parts on one partition are over a record's limit.
fn too_large() -> Vec<u8> {
    let message = format!(
        "the transaction reads, writes and sends more than one record holds, {CONTENT_BYTES_MAX} bytes for what it has on \
         one partition: do it in several transactions"
    );
    not_storable(&message)
}

impl Partition {
    /// Begins the transaction that a suspended invocation asks for, once everything it called before has answered.
    pub(crate) fn maybe_begin_transaction(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        if live.transaction.is_some() || live.phase != Phase::Suspended || live.cancel == Cancel::Asked {
            return;
        }
        let begin = live.pending.iter().find(|(_, pending)| **pending == Pending::Begin).map(|(p, _)| p.clone());
        let Some(begin) = begin else { return };
        if live.pending.len() > 1 {
            return;
        }
        let transaction = Transaction { begin, outside: live.ready.clone(), ..Transaction::default() };
        self.begin_attempt(id, transaction, turn);
    }

    fn begin_attempt(&mut self, id: InvocationId, mut transaction: Transaction, turn: &mut Turn) {
        let attempt = self.new_attempt(id);
        let Some(live) = self.live.get_mut(&id) else { return };
        transaction.attempt = attempt;
        transaction.base = live.journal.len();
        transaction.participants = BTreeSet::new();
        transaction.holds = false;
        transaction.newest = Position::default();
        transaction.blockers_gone.clear();
        transaction.output = live.output.len();
        live.ready = transaction.outside.clone();
        live.ready.push(decided(&transaction.begin, None));
        live.pending.remove(&transaction.begin);
        live.participants.clear();
        live.doom = None;
        live.learned.clear();
        live.transaction = Some(transaction);
        live.phase = Phase::Idle;
        live.since = turn.now;
        let age = live.row.call.age;
        self.enlist(attempt, self.config.id, age, turn);
        self.begin_step(id, turn);
    }

    /// Commits or rolls back if the program asked for it and nothing of the transaction runs any more.
    pub(crate) fn maybe_commit(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        let Some(transaction) = &live.transaction else { return };
        if live.phase != Phase::Suspended {
            return;
        }
        if live.pending.values().any(|pending| *pending == Pending::Rollback) {
            return self.abort_transaction(id, AfterFreeze::Rollback, turn);
        }
        let calls = live.pending.values().any(|pending| matches!(pending, Pending::Call { .. }));
        let commits = live.pending.values().any(|pending| *pending == Pending::Commit);
        if calls || !commits {
            return;
        }
        if !live.ready.is_empty() {
            // Results that nobody has waited for yet are gone with the transaction: the coroutine gets them before.
            if let Some(live) = self.live.get_mut(&id) {
                live.phase = Phase::Idle;
            }
            return self.begin_step(id, turn);
        }
        if let Some(exception) = live.doom.clone() {
            return self.abort_transaction(id, AfterFreeze::Doomed(exception), turn);
        }
        let here = self.participants.get(&transaction.attempt).map_or(0, Participant::bytes);
        if live.unlogged_bytes + here > CONTENT_BYTES_MAX {
            return self.abort_transaction(id, AfterFreeze::Doomed(too_large()), turn);
        }
        let others = transaction.participants.iter().copied().filter(|p| *p != self.config.id).collect();
        self.prepare(id, others, turn);
    }

    /// Asks all other participants to promise. Used by transactions and by steps over several partitions.
    pub(crate) fn prepare(&mut self, id: InvocationId, others: BTreeSet<PartitionId>, turn: &mut Turn) {
        let Some(attempt) = self.current_attempt(id) else { return };
        let Some(live) = self.live.get_mut(&id) else { return };
        live.phase = Phase::Preparing(Preparing { awaiting: others.clone(), ..Preparing::default() });
        live.since = turn.now;
        for to in &others {
            self.send(*to, Message::Prepare { attempt }, turn);
        }
        if others.is_empty() {
            self.decide(id, turn);
        }
    }

    pub(crate) fn current_attempt(&self, id: InvocationId) -> Option<AttemptId> {
        let live = self.live.get(&id)?;
        let step = live.step.as_ref().map(|step| step.attempt);
        live.transaction.as_ref().map(|transaction| transaction.attempt).or(step)
    }

    /// A participant's vote.
    pub(crate) fn voted(
        &mut self,
        from: PartitionId,
        attempt: AttemptId,
        vote: Vote,
        newest: Position,
        turn: &mut Turn,
    ) {
        let id = attempt.owner;
        if self.current_attempt(id) != Some(attempt) {
            return;
        }
        let Some(live) = self.live.get_mut(&id) else { return };
        let Phase::Preparing(preparing) = &mut live.phase else { return };
        if !preparing.awaiting.remove(&from) {
            return;
        }
        match vote {
            Vote::Prepared => preparing.writers.push(from),
            Vote::Stands => preparing.readers.push(from),
            Vote::Refused => return self.lost_participant(id, turn),
            Vote::TooLarge => return self.abort_transaction(id, AfterFreeze::Doomed(too_large()), turn),
        }
        let all = preparing.awaiting.is_empty();
        live.newest = live.newest.max(newest);
        if all {
            self.decide(id, turn);
        }
    }

    /// A participant does not know the attempt any more: run it again.
    pub(crate) fn lost_participant(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        if live.transaction.is_some() {
            return self.abort_transaction(id, AfterFreeze::Retry, turn);
        }
        // A step over several partitions: nothing of it has become durable anywhere but as a promise.
        self.drop_coroutine(id, turn);
        self.run_again(id, turn);
    }

    /// Everybody promised: the home's record is the decision.
    fn decide(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(attempt) = self.current_attempt(id) else { return };
        let Some(live) = self.live.get_mut(&id) else { return };
        let Phase::Preparing(preparing) = std::mem::take(&mut live.phase) else { return };
        let participants = preparing.writers.clone();
        let commit = (!participants.is_empty()).then_some(Commit { attempt, participants });
        let before = turn.next;
        match live.transaction.is_some() {
            true => self.commit_transaction(id, commit, turn),
            false => self.end_outside(id, commit, turn),
        }
        let time = self.state.decisions.get(&attempt).map(|decision| decision.time);
        debug_assert!(preparing.writers.is_empty() || time.is_some(), "a decision with writers is logged: {before:?}");
        if !preparing.writers.is_empty() {
            self.deciding.insert(attempt, preparing.writers.iter().copied().collect());
        }
        for to in preparing.writers {
            self.send(to, Message::Decide { attempt, committed: time }, turn);
        }
        for to in preparing.readers {
            self.send(to, Message::Release { attempt }, turn);
        }
    }

    fn commit_transaction(&mut self, id: InvocationId, commit: Option<Commit>, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let Some(transaction) = live.transaction.take() else { return };
        let participant = self.participants.remove(&transaction.attempt).unwrap_or_default();
        live.newest = live.newest.max(transaction.newest).max(participant.newest);
        let position = live.pending.iter().find(|(_, p)| **p == Pending::Commit).map(|(position, _)| position.clone());
        let position = position.unwrap_or_default();
        live.pending.remove(&position);
        live.ready.push(decided(&position, None));
        live.phase = Phase::Suspended;
        live.since = turn.now;
        let writes: Vec<_> = participant.overlay.into_values().collect();
        if commit.is_some() || !writes.is_empty() || !participant.messages.is_empty() {
            self.log_step(id, writes, participant.messages, commit, None, turn);
        }
        let after = self.state.applied;
        for (invocation, method, lines) in participant.output {
            turn.effects.push(Effect::Print { after, invocation, method, lines });
        }
        self.locks.release(transaction.attempt);
        self.after_transaction(id, turn);
    }

    fn after_transaction(&mut self, id: InvocationId, turn: &mut Turn) {
        if self.config.evict_at_suspension {
            self.drop_coroutine(id, turn);
        }
        self.try_deliver(id, turn);
    }

    /// First round of an abort. Idempotent: a second reason while one is under way changes nothing, but for an
    /// operator's kill.
    pub(crate) fn abort_transaction(&mut self, id: InvocationId, then: AfterFreeze, turn: &mut Turn) {
        let Some(attempt) = self.live.get(&id).and_then(|live| Some(live.transaction.as_ref()?.attempt)) else {
            return;
        };
        let Some(live) = self.live.get_mut(&id) else { return };
        if let Phase::Freezing(freezing) = &mut live.phase {
            if then == AfterFreeze::Kill {
                freezing.then = then;
            }
            return;
        }
        let mut others: BTreeSet<PartitionId> = self.others().into_iter().collect();
        if planted::is(Bug::NoFreeze) {
            others.clear();
        }
        let keeps_coroutine = matches!(then, AfterFreeze::Rollback | AfterFreeze::Doomed(_));
        if !keeps_coroutine {
            self.drop_coroutine(id, turn);
            self.drop_run(id, turn);
        }
        let stood = self.participants.get(&attempt).is_some_and(|participant| !participant.frozen);
        self.freeze_here(attempt, turn);
        let Some(live) = self.live.get_mut(&id) else { return };
        live.phase = Phase::Freezing(Freezing { awaiting: others.clone(), then, stood });
        live.since = turn.now;
        for to in &others {
            self.send(*to, Message::Freeze { attempt }, turn);
        }
        if others.is_empty() {
            self.frozen_everywhere(id, turn);
        }
    }

    /// A running step of a dying attempt: its end will be dropped, and its coroutine after it.
    fn drop_run(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        live.resident = false;
        let Some(context) = live.step.take() else { return };
        if context.run.is_some_and(|run| self.runs.remove(&run).is_some()) {
            turn.effects.push(Effect::Evict(id));
        }
    }

    /// A partition has frozen the attempt.
    pub(crate) fn frozen(
        &mut self,
        from: PartitionId,
        attempt: AttemptId,
        stood: bool,
        newest: Position,
        turn: &mut Turn,
    ) {
        let id = attempt.owner;
        if self.current_attempt(id) != Some(attempt) {
            return;
        }
        let Some(live) = self.live.get_mut(&id) else { return };
        let takes_part = live.transaction.as_ref().is_some_and(|t| t.participants.contains(&from));
        let Phase::Freezing(freezing) = &mut live.phase else { return };
        if !freezing.awaiting.remove(&from) {
            return;
        }
        freezing.stood &= stood || !takes_part;
        let all = freezing.awaiting.is_empty();
        live.newest = live.newest.max(newest);
        if all {
            self.frozen_everywhere(id, turn);
        }
    }

    /// Nothing of the attempt runs any more: second round, and what follows.
    fn frozen_everywhere(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let Phase::Freezing(freezing) = std::mem::take(&mut live.phase) else { return };
        let Some(transaction) = live.transaction.take() else { return };
        live.since = turn.now;
        let attempt = transaction.attempt;
        let read = self.participants.get(&attempt).map(|participant| participant.newest).unwrap_or_default();
        self.release_here(attempt, turn);
        for to in self.others() {
            self.send(to, Message::Release { attempt }, turn);
        }
        self.has_stopped(attempt, turn);
        match freezing.then {
            AfterFreeze::Rollback | AfterFreeze::Doomed(_) if !freezing.stood => self.retry(id, transaction, turn),
            AfterFreeze::Rollback => self.rolled_back(id, transaction, read, None, turn),
            AfterFreeze::Doomed(exception) => self.rolled_back(id, transaction, read, Some(exception), turn),
            AfterFreeze::Retry => self.retry(id, transaction, turn),
            AfterFreeze::RetryAfter(partition) if transaction.blockers_gone.contains(&partition) => {
                self.retry(id, transaction, turn)
            }
            AfterFreeze::RetryAfter(partition) => {
                self.rewind(id, &transaction, turn);
                let Some(live) = self.live.get_mut(&id) else { return };
                live.phase = Phase::Died(partition, attempt);
                live.transaction = Some(transaction);
                self.probe_transaction(id, turn);
            }
            AfterFreeze::Park(reason) => {
                self.rewind(id, &transaction, turn);
                self.unbegin(id, transaction);
                self.park(id, reason, turn);
            }
            AfterFreeze::Fail(exception) => {
                self.rewind(id, &transaction, turn);
                self.unbegin(id, transaction);
                self.complete(id, Outcome::Exception(exception), Vec::new(), Vec::new(), None, turn);
            }
            AfterFreeze::Kill => {
                self.rewind(id, &transaction, turn);
                self.unbegin(id, transaction);
                self.finish_killed(id, turn);
            }
        }
    }

    /// The program's abort: like a commit without writes. The attempt's journal stays, so it replays as an abort.
    fn rolled_back(
        &mut self,
        id: InvocationId,
        transaction: Transaction,
        read: Position,
        exception: Option<Vec<u8>>,
        turn: &mut Turn,
    ) {
        let Some(live) = self.live.get_mut(&id) else { return };
        live.newest = live.newest.max(transaction.newest).max(read);
        let ends = [Pending::Rollback, Pending::Commit];
        let position = live.pending.iter().find(|(_, p)| ends.contains(p)).map(|(position, _)| position.clone());
        let position = position.unwrap_or_default();
        if exception.is_some() {
            let rows = live.journal[transaction.base..].iter_mut();
            let is_end = |row: &&mut Arc<JournalRow>| row.ops.iter().any(|op| op.position == position);
            for row in rows.filter(is_end) {
                for op in Arc::make_mut(row).ops.iter_mut().filter(|op| op.position == position) {
                    op.kind = OpRowKind::Commit(exception.clone());
                }
            }
        }
        // Calls of the transaction that still ran are gone with it.
        live.pending
            .retain(|_, pending| !ends.contains(pending) && !matches!(pending, Pending::Call { inner: true, .. }));
        live.ready.retain(|ready| ready.child.is_none());
        live.ready.push(decided(&position, exception));
        live.doom = None;
        live.phase = Phase::Suspended;
        self.after_transaction(id, turn);
    }

    /// Back to the transaction's beginning: what the attempt did in memory is forgotten.
    fn rewind(&mut self, id: InvocationId, transaction: &Transaction, turn: &mut Turn) {
        self.drop_coroutine(id, turn);
        self.drop_run(id, turn);
        let Some(live) = self.live.get_mut(&id) else { return };
        live.journal.truncate(transaction.base);
        live.output.truncate(transaction.output);
        live.pending.clear();
        live.ready.clear();
        live.participants.clear();
        live.doom = None;
        live.learned.clear();
        live.unlogged_bytes = live.journal[live.journal_logged..].iter().map(|row| sizes::step(row)).sum();
    }

    fn unbegin(&mut self, id: InvocationId, transaction: Transaction) {
        let Some(live) = self.live.get_mut(&id) else { return };
        live.pending.insert(transaction.begin, Pending::Begin);
        live.ready = transaction.outside;
        live.phase = Phase::Suspended;
    }

    fn retry(&mut self, id: InvocationId, transaction: Transaction, turn: &mut Turn) {
        self.rewind(id, &transaction, turn);
        let cancelled = self.live.get(&id).is_some_and(|live| live.cancel == Cancel::Asked);
        if cancelled {
            self.unbegin(id, transaction);
            return self.try_deliver(id, turn);
        }
        self.begin_attempt(id, transaction, turn);
    }

    /// A step asked for cells of a partition and its attempt must die.
    pub(crate) fn died(
        &mut self,
        id: InvocationId,
        partition: PartitionId,
        wants: &[(CellKey, LockMode)],
        turn: &mut Turn,
    ) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let Some(attempt) = live.step.as_ref().map(|step| step.attempt) else { return };
        live.note = Some(format!("attempt {} gave way to an older one", live.attempts));
        if let Some(inner) = live.inner {
            let reason = DoomReason::Conflict { wants: wants.to_vec(), partition };
            return self.send(inner.home, Message::Doom { attempt, reason }, turn);
        }
        if live.transaction.is_some() {
            return self.doomed(attempt, DoomReason::Conflict { wants: wants.to_vec(), partition }, turn);
        }
        // A step over several partitions, that holds something elsewhere: it learns what it wanted, lets go, waits.
        let learned = live.step.as_ref().map(|step| step.keys.clone()).unwrap_or_default();
        live.learned.extend(learned);
        if self.give_up_step(id, turn)
            && let Some(live) = self.live.get_mut(&id)
        {
            live.phase = Phase::Died(partition, attempt);
        }
    }

    /// A part of a transaction that runs here cannot go on.
    pub(crate) fn doomed(&mut self, attempt: AttemptId, reason: DoomReason, turn: &mut Turn) {
        let id = attempt.owner;
        let Some(live) = self.live.get_mut(&id) else { return };
        if live.transaction.is_none() {
            return self.step_doomed(id, attempt, reason, turn);
        }
        let Some(transaction) = live.transaction.as_mut().filter(|t| t.attempt == attempt) else { return };
        let then = match reason {
            DoomReason::Conflict { wants, partition } => {
                for (cell, mode) in wants {
                    let entry = transaction.learned.entry((partition, cell)).or_insert(mode);
                    *entry = join(*entry, mode);
                }
                AfterFreeze::RetryAfter(partition)
            }
            DoomReason::WorkerLost => AfterFreeze::Retry,
            DoomReason::Poison(why) => AfterFreeze::Park(why),
        };
        self.abort_transaction(id, then, turn);
    }

    /// A step outside transactions cannot have what it asked another partition for.
    fn step_doomed(&mut self, id: InvocationId, attempt: AttemptId, reason: DoomReason, turn: &mut Turn) {
        if self.current_attempt(id) != Some(attempt) {
            return;
        }
        match reason {
            DoomReason::Poison(why) => self.fail(id, &Exception::encode(SCAN_TOO_LARGE, &why), turn),
            DoomReason::Conflict { .. } | DoomReason::WorkerLost => self.lost_participant(id, turn),
        }
    }

    /// Those that a dead attempt waited for have ended on the partition on which it died to them. (Others say so too,
    /// when they release an attempt that nobody waits for there: that means nothing.)
    pub(crate) fn blockers_gone(&mut self, from: PartitionId, attempt: AttemptId, turn: &mut Turn) {
        let id = attempt.owner;
        let Some(live) = self.live.get_mut(&id) else { return };
        if let Some(transaction) = live.transaction.as_mut().filter(|t| t.attempt == attempt) {
            // It may come before the news that the attempt died there.
            transaction.blockers_gone.insert(from);
        }
        if live.phase != Phase::Died(from, attempt) {
            return;
        }
        live.phase = Phase::Idle;
        match live.transaction.take() {
            Some(transaction) => self.retry(id, transaction, turn),
            None => self.begin_step(id, turn),
        }
    }

    /// The invocation was ended by an operator without running its code.
    pub(crate) fn finish_killed(&mut self, id: InvocationId, turn: &mut Turn) {
        if let Some(live) = self.live.get_mut(&id) {
            live.cancel = Cancel::Delivered;
        }
        let exception = Exception::encode("asyncio.exceptions.CancelledError", "killed by an operator");
        self.complete(id, Outcome::Exception(exception), Vec::new(), Vec::new(), None, turn);
    }
}
