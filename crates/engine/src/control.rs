//! What operators and failures do to invocations: workers that die, strikes and parking, departures from the journal,
//! cancellation.

use std::sync::Arc;

use protocol::ids::{InvocationId, RunNumber};
use protocol::message::{DoomReason, DurableBody, Exception, LockRequest, Message};
use protocol::problem::Code;
use protocol::record::{Accepted, Body, Parked, StatusChange};
use protocol::worker::Outcome;

use crate::io::{Effect, Reply, Token, Turn};
use crate::limits::STRIKES_MAX;
use crate::live::{AfterFreeze, Cancel, Pending, Phase, TurnState};
use crate::partition::Partition;

impl Partition {
    /// Workers died. Exactly the run that was executing gets a strike; everything else is rebuilt.
    pub(crate) fn workers_lost(
        &mut self,
        runs: &[(RunNumber, bool)],
        suspended: &[InvocationId],
        cause: &str,
        turn: &mut Turn,
    ) {
        for id in suspended {
            self.coroutine_lost(*id, turn);
        }
        // The strike first: it counts also if what is done for the others ends that run.
        let (struck, others): (Vec<_>, Vec<_>) = runs.iter().copied().partition(|(_, struck)| *struck);
        for (run, struck) in struck.into_iter().chain(others) {
            let Some(id) = self.runs.remove(&run) else { continue };
            if self.live.get(&id).is_some_and(|live| live.is_ahead(run)) {
                self.forget_ahead(id);
                if struck && self.strike(id) {
                    self.poisoned(id, cause, turn);
                }
                continue;
            }
            if let Some(live) = self.live.get_mut(&id) {
                live.resident = false;
                live.note = Some(format!("run {} ended: {cause}", run.0));
            }
            match struck && self.strike(id) {
                true => self.poisoned(id, cause, turn),
                false => self.run_lost(id, turn),
            }
        }
    }

    /// Workers have no room for a coroutine: it is rebuilt from its journal when it goes on. What is in a transaction stays,
    /// since its attempt would die, again and again.
    pub(crate) fn crowded(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        if live.phase == Phase::Suspended && live.transaction.is_none() && live.inner.is_none() {
            self.drop_coroutine(id, turn);
        }
    }

    fn coroutine_lost(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        if !live.resident {
            return;
        }
        live.resident = false;
        self.attempt_lost(id, turn);
    }

    /// If the invocation is part of a transaction, the attempt dies. Returns whether it is.
    fn attempt_lost(&mut self, id: InvocationId, turn: &mut Turn) -> bool {
        let Some(live) = self.live.get(&id) else { return false };
        if let Some(inner) = live.inner {
            let doom = Message::Doom { attempt: inner.attempt, reason: DoomReason::WorkerLost };
            self.send(inner.home, doom, turn);
            return true;
        }
        let in_transaction = live.transaction.is_some();
        if in_transaction {
            self.abort_transaction(id, AfterFreeze::Retry, turn);
        }
        in_transaction
    }

    fn run_lost(&mut self, id: InvocationId, turn: &mut Turn) {
        if !self.attempt_lost(id, turn) {
            self.run_again(id, turn);
        }
    }

    /// Counts a strike against the method of this root; true if it was the last.
    fn strike(&mut self, id: InvocationId) -> bool {
        let Some(live) = self.live.get(&id) else { return false };
        let call = &live.row.call;
        let strikes = self.strikes.entry((call.age.root, format!("{}.{}", call.service, call.method))).or_default();
        *strikes += 1;
        *strikes >= STRIKES_MAX
    }

    fn poisoned(&mut self, id: InvocationId, cause: &str, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        let call = &live.row.call;
        let name = format!("{}.{}", call.service, call.method);
        let reason = format!("{name} ended its worker {STRIKES_MAX} times; the last time: {cause}");
        self.strikes.remove(&(call.age.root, name));
        self.stop(id, reason, turn);
    }

    /// Parks the invocation, or the root of its transaction.
    fn stop(&mut self, id: InvocationId, reason: String, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        match (live.inner, live.transaction.is_some()) {
            (Some(inner), _) => {
                let doom = Message::Doom { attempt: inner.attempt, reason: DoomReason::Poison(reason) };
                self.send(inner.home, doom, turn);
            }
            (None, true) => self.abort_transaction(id, AfterFreeze::Park(reason), turn),
            (None, false) => self.park(id, reason, turn),
        }
    }

    /// Stops an invocation outside transactions until an operator acts. One that has committed a step keeps its turn.
    pub(crate) fn park(&mut self, id: InvocationId, reason: String, turn: &mut Turn) {
        self.drop_coroutine(id, turn);
        self.give_up_step(id, turn);
        let Some(live) = self.live.get_mut(&id) else { return };
        let parked = Parked { reason: reason.clone(), at: turn.now };
        live.parked = Some(parked.clone());
        live.phase = Phase::Parked;
        live.since = turn.now;
        let clients = std::mem::take(&mut live.clients);
        let cancel = live.cancel != Cancel::No;
        let passes_on = live.journal.is_empty();
        self.log_status(id, Some(parked), cancel, turn);
        for token in clients {
            self.refuse(token, id, Code::Parked, &reason, turn);
        }
        if passes_on {
            self.pass_turn(id, turn);
        }
        turn.effects.push(Effect::Notice(format!("{id} is parked: {reason}")));
    }

    /// A parked operation that has not begun gives its turn on and will ask again.
    fn pass_turn(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let held = live.turn.clone();
        if let TurnState::Held(cell) | TurnState::Reentered(cell) = &held {
            live.turn = TurnState::Wanted(cell.clone());
        }
        self.leave_turn(id, held, turn);
    }

    fn log_status(&mut self, id: InvocationId, parked: Option<Parked>, cancel: bool, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let accept = (!live.logged).then(|| Arc::clone(&live.row));
        live.logged = true;
        let accepts: Vec<Accepted> = live.source.take().into_iter().collect();
        let change = StatusChange { invocation: id, accept, parked, cancel };
        self.log(Body::Status(change), accepts, turn);
    }

    /// A replay asked for something else than the journal holds.
    pub(crate) fn departed(&mut self, run: RunNumber, step: u64, expected: &str, actual: &str, turn: &mut Turn) {
        let Some(id) = self.runs.remove(&run) else { return };
        self.forget_ahead(id);
        if let Some(live) = self.live.get_mut(&id) {
            live.resident = false;
        }
        let reason = format!(
            "its code departed from its journal at step {step}: the journal has `{expected}`, the code now does \
             `{actual}`; restore the code and resume it, or cancel it"
        );
        self.stop(id, reason, turn);
    }

    /// A whole-field read went over its bound.
    pub(crate) fn scan_too_large(&mut self, request: &LockRequest, turn: &mut Turn) {
        let id = request.step;
        let limit = protocol::limits::SCAN_BYTES_MAX >> 20;
        let message = format!(
            "reading a whole field of more than {limit} MiB; read single entries, or keep a smaller index of them"
        );
        if self.home_of(id) == self.config.id {
            return self.fail(id, &Exception::encode(SCAN_TOO_LARGE, &message), turn);
        }
        // The step waits at its home; what it holds here goes when its attempt ends.
        let (attempt, reason) = (request.attempt, DoomReason::Poison(message));
        self.send(request.home, Message::Doom { attempt, reason }, turn);
    }

    /// Ends an invocation outside a worker with an exception.
    pub(crate) fn fail(&mut self, id: InvocationId, exception: &[u8], turn: &mut Turn) {
        self.drop_coroutine(id, turn);
        let Some(live) = self.live.get(&id) else { return };
        if live.transaction.is_some() {
            return self.abort_transaction(id, AfterFreeze::Fail(exception.to_vec()), turn);
        }
        let inner = live.inner.is_some();
        self.give_up_step(id, turn);
        let outcome = Outcome::Exception(exception.to_vec());
        match inner {
            true => self.complete_inner(id, outcome, turn),
            false => self.complete(id, outcome, Vec::new(), Vec::new(), None, turn),
        }
    }

    /// An operator lets a parked invocation go on.
    pub(crate) fn unpark(&mut self, token: Token, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else {
            return self.refuse(token, id, Code::UnknownInvocation, "no unfinished invocation has this id", turn);
        };
        if live.parked.take().is_none() {
            return self.refuse(token, id, Code::BadRequest, "the invocation is not parked", turn);
        }
        let call = &live.row.call;
        if self.deployment.method(&call.service, &call.method).is_none() {
            let detail = format!("{}.{} does not exist in this deployment", call.service, call.method);
            live.parked = Some(Parked { reason: detail.clone(), at: turn.now });
            return self.refuse(token, id, Code::BadRequest, &detail, turn);
        }
        let cancel = live.cancel != Cancel::No;
        self.log_status(id, None, cancel, turn);
        self.reply(token, id, Reply::Accepted, turn);
        self.go_on(id, turn);
    }

    /// An operator cancels an invocation.
    pub(crate) fn cancel(&mut self, token: Token, id: InvocationId, kill: bool, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else {
            return self.refuse(token, id, Code::UnknownInvocation, "no unfinished invocation has this id", turn);
        };
        if let Some(inner) = live.inner {
            let detail = format!("it is part of a transaction; cancel its root {}", inner.attempt.owner);
            return self.refuse(token, id, Code::BadRequest, &detail, turn);
        }
        match kill {
            true => self.kill(id, turn),
            false => self.ask_to_cancel(id, None, turn),
        }
        self.reply(token, id, Reply::Accepted, turn);
    }

    /// A caller that was cancelled cancels the calls that it waits for.
    pub(crate) fn cancel_arrived(&mut self, source: Accepted, id: InvocationId, turn: &mut Turn) {
        if self.live.contains_key(&id) && !self.state.accepted(source.from, source.seq) {
            return self.ask_to_cancel(id, Some(source), turn);
        }
        self.send(source.from, Message::Acknowledge { seqs: vec![source.seq] }, turn);
    }

    fn ask_to_cancel(&mut self, id: InvocationId, source: Option<Accepted>, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let began = !live.journal.is_empty() || live.phase == Phase::Running;
        if !began || live.phase == Phase::Parked && live.journal.is_empty() {
            // No code of it has run: there is nothing to tell it.
            if let Some(source) = source {
                self.send(source.from, Message::Acknowledge { seqs: vec![source.seq] }, turn);
            }
            return self.kill(id, turn);
        }
        if live.cancel != Cancel::No {
            // Asked again, because a crash took the acknowledgement: its next record takes this one in.
            live.consumed.extend(source);
            return;
        }
        live.cancel = Cancel::Asked;
        live.parked = None;
        let waits_for: Vec<InvocationId> = live
            .pending
            .values()
            .filter_map(|pending| match pending {
                Pending::Call { child, inner: false, .. } => Some(*child),
                _ => None,
            })
            .collect();
        let was_parked = live.phase == Phase::Parked;
        live.consumed.extend(source);
        self.log_status(id, None, true, turn);
        self.cancel_tasks(id, turn);
        if !waits_for.is_empty() {
            let cancel = |child: InvocationId| (self.home_of(child), DurableBody::Cancel { id: child });
            let messages = waits_for.into_iter().map(cancel).collect();
            self.log_step(id, Vec::new(), messages, None, None, turn);
        }
        if self.live.get(&id).is_some_and(|live| live.transaction.is_some()) {
            return self.abort_transaction(id, AfterFreeze::Retry, turn);
        }
        if was_parked {
            return self.go_on(id, turn);
        }
        self.try_deliver(id, turn);
    }

    /// Ends the invocation without running its code: committed steps stay, turn and waits are released.
    fn kill(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get(&id) else { return };
        if live.transaction.is_some() {
            if matches!(live.phase, Phase::Died(..)) {
                if let Some(live) = self.live.get_mut(&id) {
                    let transaction = live.transaction.take();
                    live.ready = transaction.map(|transaction| transaction.outside).unwrap_or_default();
                    live.phase = Phase::Idle;
                }
                return self.finish_killed(id, turn);
            }
            return self.abort_transaction(id, AfterFreeze::Kill, turn);
        }
        self.drop_coroutine(id, turn);
        self.give_up_step(id, turn);
        self.finish_killed(id, turn);
    }
}

pub(crate) const SCAN_TOO_LARGE: &str = "sostenuto.ScanTooLarge";
