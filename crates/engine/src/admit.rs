//! How invocations come in: clients' calls, calls and sends of other invocations, calls inside transactions; and how
//! unfinished ones are revived after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::cell::{self, CellKey, kind};
use protocol::ids::{Age, InvocationId};
use protocol::limits::VALUE_BYTES_MAX;
use protocol::message::{Call, CallResult, Exception, InnerCall, Message};
use protocol::problem::Code;
use protocol::record::{self, Accepted, Body, Dedup, DedupRow, DoneRow, InvocationRow, JournalRow, OpRow, OpRowKind};
use protocol::worker::Outcome;

use crate::begin::Load;
use crate::deployment::Cells;
use crate::io::{Effect, Query, Reply, Submit, Token, Turn};
use crate::live::{Cancel, Inner, Live, Pending, Phase, Ready, TurnState};
use crate::partition::Partition;
use crate::planted::{self, Bug};
use crate::routing;

impl Partition {
    /// A client's call.
    pub(crate) fn submit(&mut self, submit: Submit, turn: &mut Turn) {
        let Some(text) = &submit.idempotency_key else { return self.create(submit, None, turn) };
        let dedup =
            routing::dedup(submit.id, &submit.service, submit.key.as_deref(), &submit.method, text, &submit.args);
        if !self.join_unfinished(&submit, dedup, turn) {
            let row = cell::dedup_row(dedup.slot, &dedup.scope);
            self.load(Load::Dedup(Box::new((submit, dedup))), Query::Rows(vec![row]), turn);
        }
    }

    /// The same key is in flight: the client waits for that invocation.
    fn join_unfinished(&mut self, submit: &Submit, dedup: Dedup, turn: &mut Turn) -> bool {
        let known = self.keys.get(&(dedup.slot, dedup.scope)).copied();
        let Some(id) = known.filter(|_| !planted::is(Bug::NotJoined)) else { return false };
        let known = self.live.get(&id).and_then(|live| live.row.dedup).map(|dedup| dedup.arguments);
        match known {
            Some(arguments) if arguments == dedup.arguments => self.join(id, submit.token, submit.send, turn),
            _ => self.refuse(submit.token, id, Code::KeyReused, KEY_REUSED, turn),
        }
        true
    }

    /// What is remembered of a key has been read.
    pub(crate) fn dedup_loaded(&mut self, submit: Submit, dedup: Dedup, row: Option<&[u8]>, turn: &mut Turn) {
        if self.join_unfinished(&submit, dedup, turn) {
            return;
        }
        let Some(bytes) = row else { return self.create(submit, Some(dedup), turn) };
        let known: DedupRow = record::decode(bytes, "remembered key").expect("a stored row is one that we wrote");
        if known.arguments != dedup.arguments {
            self.refuse(submit.token, known.id, Code::KeyReused, KEY_REUSED, turn);
        } else if submit.send {
            self.reply(submit.token, known.id, Reply::Accepted, turn);
        } else {
            self.wait_for(submit.token, known.id, turn);
        }
    }

    fn create(&mut self, submit: Submit, dedup: Option<Dedup>, turn: &mut Turn) {
        if submit.args.len() > VALUE_BYTES_MAX {
            let detail = format!(
                "arguments of {} bytes; at present the limit is {VALUE_BYTES_MAX} bytes once they are encoded",
                submit.args.len()
            );
            return self.refuse(submit.token, submit.id, Code::BodyTooLarge, &detail, turn);
        }
        if self.live.len() >= self.config.invocations_max && !planted::is(Bug::AdmitsAll) {
            let detail = format!("this partition has {} unfinished invocations, its limit", self.live.len());
            return self.refuse(submit.token, submit.id, Code::TooManyInvocations, &detail, turn);
        }
        let call = Call {
            service: submit.service,
            key: submit.key,
            method: submit.method,
            args: submit.args,
            seed: submit.seed,
            accepted: turn.now,
            age: Age { accepted: turn.now, root: submit.id },
            parent: None,
            chain: Vec::new(),
        };
        let id = submit.id;
        let row = self.invocation_row(id, call, dedup, submit.send || dedup.is_some());
        let Some(live) = self.new_live(row, turn) else {
            return self.refuse(submit.token, id, Code::UnknownMethod, "the method does not exist", turn);
        };
        self.enter(id, live);
        if let Some(dedup) = dedup {
            self.keys.insert((dedup.slot, dedup.scope), id);
        }
        self.join(id, submit.token, submit.send, turn);
        self.begin_step(id, turn);
    }

    fn invocation_row(&self, id: InvocationId, call: Call, dedup: Option<Dedup>, keep_result: bool) -> InvocationRow {
        let method = self.deployment.method(&call.service, &call.method);
        let method_digest = method.map_or(0, |(_, method)| method.digest);
        let deployment = self.deployment.manifest().deployment;
        InvocationRow { id, call, dedup, keep_result, deployment, method_digest }
    }

    /// A client waits for an unfinished invocation (or only for its acceptance).
    pub(crate) fn join(&mut self, id: InvocationId, token: Token, send: bool, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        if !send {
            match &live.parked {
                Some(parked) => {
                    let detail = parked.reason.clone();
                    self.refuse(token, id, Code::Parked, &detail, turn);
                }
                None => live.clients.push(token),
            }
            return;
        }
        if !live.logged {
            live.logged = true;
            let row = Arc::clone(&live.row);
            let accepts = live.source.take().into_iter().collect();
            self.log(Body::Accept(row), accepts, turn);
        }
        self.reply(token, id, Reply::Accepted, turn);
    }

    /// A client waits for the result of an invocation that may have ended.
    pub(crate) fn wait_for(&mut self, token: Token, id: InvocationId, turn: &mut Turn) {
        if self.live.contains_key(&id) {
            return self.join(id, token, false, turn);
        }
        let row = cell::invocation_row(kind::DONE, id);
        self.load(Load::Done { token, id }, Query::Rows(vec![row]), turn);
    }

    pub(crate) fn done_loaded(&mut self, token: Token, id: InvocationId, row: Option<&[u8]>, turn: &mut Turn) {
        let Some(bytes) = row else {
            let detail = format!("{id} is unknown, or its result is past its retention");
            return self.refuse(token, id, Code::UnknownInvocation, &detail, turn);
        };
        let row: DoneRow = record::decode(bytes, "kept result").expect("a stored row is one that we wrote");
        let (outcome, cancelled, keep_until) = (row.done.outcome, row.done.cancelled, row.done.keep_until);
        self.reply(token, id, Reply::Done { outcome, cancelled, keep_until }, turn);
    }

    pub(crate) fn forget_client(&mut self, token: Token) {
        for live in self.live.values_mut() {
            live.clients.retain(|client| *client != token);
        }
    }

    /// An answer that rests on everything applied so far.
    pub(crate) fn reply(&self, token: Token, invocation: InvocationId, reply: Reply, turn: &mut Turn) {
        turn.effects.push(Effect::Reply { token, after: self.state.applied, invocation, reply });
    }

    pub(crate) fn refuse(&self, token: Token, id: InvocationId, code: Code, detail: &str, turn: &mut Turn) {
        self.reply(token, id, Reply::Problem { code, detail: detail.to_owned() }, turn);
    }

    /// A call or send of another invocation, outside transactions.
    pub(crate) fn call_arrived(&mut self, source: Accepted, id: InvocationId, call: Call, turn: &mut Turn) {
        if self.state.accepted(source.from, source.seq) {
            return self.send(source.from, Message::Acknowledge { seqs: vec![source.seq] }, turn);
        }
        if self.live.contains_key(&id) {
            return;
        }
        let keep_result = call.parent.is_none();
        let parent = call.parent.clone();
        let row = self.invocation_row(id, call, None, keep_result);
        let Some(mut live) = self.new_live(row, turn) else {
            // The method vanished between the deployments of caller and callee.
            if let Some(parent) = parent {
                let result = CallResult { child: id, parent, outcome: vanished() };
                let to = self.home_of(result.parent.invocation);
                self.send(to, Message::Result { result, newest: self.state.applied }, turn);
            }
            return;
        };
        live.source = Some(source);
        self.enter(id, live);
        self.begin_step(id, turn);
    }

    /// A call inside a transaction.
    pub(crate) fn inner_call(&mut self, inner: InnerCall, turn: &mut Turn) {
        let over = self.is_dead(inner.attempt) || self.is_past(inner.attempt, inner.home);
        if over || self.live.contains_key(&inner.id) {
            return;
        }
        self.enlist(inner.attempt, inner.home, inner.call.age, turn);
        let parent = inner.call.parent.clone().unwrap_or_default();
        let row = self.invocation_row(inner.id, inner.call, None, false);
        let Some(mut live) = self.new_live(row, turn) else {
            let result = CallResult { child: inner.id, parent, outcome: vanished() };
            return self.answer_inner(inner.attempt, result, BTreeSet::from([self.config.id]), None, turn);
        };
        live.inner = Some(Inner { attempt: inner.attempt, home: inner.home, holds: inner.holds });
        self.enter(inner.id, live);
        self.begin_step(inner.id, turn);
    }

    /// `None` if the deployment has no such method.
    fn new_live(&self, row: InvocationRow, turn: &Turn) -> Option<Box<Live>> {
        let call = &row.call;
        let (service, method) = self.deployment.method(&call.service, &call.method)?;
        let cells = Cells::new(&service.name, call.key.as_deref()).ok()?;
        let mut turn_state = TurnState::None;
        if let (Some((slot, key)), false) = (&cells.entity, method.read_only) {
            let field = self.numbers.number(&service.name, "")?;
            turn_state = TurnState::Wanted(CellKey { slot: *slot, field, entity: Some(key.clone()), key: None });
        }
        Some(Box::new(Live { row: Arc::new(row), cells, turn: turn_state, since: turn.now, ..Live::default() }))
    }

    /// After a restart: all unfinished invocations stand where their last record left them. Turns of operations that
    /// have committed a step are taken before anything else may ask for them.
    pub(crate) fn revive_all(&mut self, turn: &mut Turn) {
        let mut ids: Vec<InvocationId> = self.state.invocations.ids().collect();
        // Outermost first: an operation enters a turn within the one that called it.
        ids.sort_by_key(|id| self.state.invocations[*id].row.call.chain.len());
        for id in &ids {
            self.revive(*id, turn);
        }
        for id in &ids {
            if self.live.get(id).is_some_and(|live| !live.journal.is_empty()) {
                self.take_back_turn(*id);
            }
        }
        for id in ids {
            self.go_on(id, turn);
        }
    }

    fn revive(&mut self, id: InvocationId, turn: &mut Turn) {
        let stored = self.state.invocations[id].clone();
        let Some(mut live) = self.new_live((*stored.row).clone(), turn) else {
            let call = &stored.row.call;
            let reason = format!("{}.{} does not exist in this deployment", call.service, call.method);
            let mut live = Box::new(Live { row: stored.row.clone(), logged: true, since: turn.now, ..Live::default() });
            live.journal = stored.journal;
            live.journal_logged = live.journal.len();
            self.enter(id, live);
            return self.park(id, reason, turn);
        };
        live.logged = true;
        live.journal = stored.journal;
        live.journal_logged = live.journal.len();
        let status = stored.status.unwrap_or_default();
        live.parked = status.parked;
        live.cancel = if status.cancel { Cancel::Asked } else { Cancel::No };
        if let Some(dedup) = live.row.dedup {
            self.keys.insert((dedup.slot, dedup.scope), id);
        }
        revive_pending(&mut live, &stored.task_results, &mut self.timers, id);
        let cancelled = live.cancel == Cancel::Asked;
        self.enter(id, live);
        match cancelled {
            true => self.cancel_tasks(id, turn),
            false => self.begin_tasks(id, self.state.applied, turn),
        }
    }

    /// Goes on with a revived or resumed invocation from where its journal ends.
    pub(crate) fn go_on(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        live.since = turn.now;
        if live.parked.is_some() {
            live.phase = Phase::Parked;
        } else if live.journal.is_empty() {
            live.phase = Phase::Idle;
            self.begin_step(id, turn);
        } else {
            live.phase = Phase::Suspended;
            self.maybe_begin_transaction(id, turn);
            self.try_deliver(id, turn);
        }
    }
}

const KEY_REUSED: &str = "the Idempotency-Key was used before with other arguments; use a new key for a new request";

fn vanished() -> Outcome {
    let message = "the method does not exist in the deployment of the callee";
    Outcome::Exception(Exception::encode("builtins.AttributeError", message))
}

/// Which operations of the journal have no result yet, and which results are known from the journal itself.
fn revive_pending(
    live: &mut Live,
    task_results: &BTreeMap<String, Outcome>,
    timers: &mut BTreeSet<(u64, InvocationId, String)>,
    id: InvocationId,
) {
    let delivered: BTreeSet<&str> =
        live.journal.iter().flat_map(|step| &step.delivered).map(|delivered| delivered.position.as_str()).collect();
    if delivered.contains("") {
        live.cancel = Cancel::Delivered;
    }
    let mut pending = Vec::new();
    let mut ready = Vec::new();
    let cancelled = cancelled(&live.journal);
    for (inner, op) in operations(&live.journal) {
        if delivered.contains(op.position.as_str()) || cancelled.contains(op.position.as_str()) {
            continue;
        }
        let waits = match &op.kind {
            // The transaction is over, and its calls are gone with it.
            OpRowKind::Call { .. } if inner => continue,
            OpRowKind::Call { child, target } => Pending::Call { child: *child, target: target.clone(), inner: false },
            OpRowKind::Sleep(due) => {
                if !planted::is(Bug::TimerLost) {
                    timers.insert((*due, id, op.position.clone()));
                }
                Pending::Sleep(*due)
            }
            // Whoever was cancelled does not wait for it any more.
            OpRowKind::Begin if live.cancel == Cancel::Delivered && !is_after_cancellation(live, op) => continue,
            OpRowKind::Begin => Pending::Begin,
            OpRowKind::Send { .. } | OpRowKind::Cancel(_) => continue,
            OpRowKind::Task(call) => match task_results.get(&op.position) {
                Some(outcome) => {
                    ready.push(Ready::own(&op.position, outcome.clone()));
                    continue;
                }
                None => crate::tasks::pending(call.clone()),
            },
            // Only decided transactions are in the journal.
            OpRowKind::Commit(exception) => {
                ready.push(crate::results::decided(&op.position, exception.clone()));
                continue;
            }
            OpRowKind::Rollback => {
                ready.push(crate::results::decided(&op.position, None));
                continue;
            }
        };
        pending.push((op.position.clone(), waits));
    }
    if let Some(last) = live.journal.last().cloned() {
        live.await_what(&last);
        live.clock = last.clock;
    }
    live.pending.extend(pending);
    live.ready = ready;
}

/// Positions of operations that the program has cancelled.
fn cancelled(journal: &[Arc<JournalRow>]) -> BTreeSet<&str> {
    let ops = journal.iter().flat_map(|step| &step.ops);
    ops.filter_map(|op| match &op.kind {
        OpRowKind::Cancel(position) => Some(position.as_str()),
        _ => None,
    })
    .collect()
}

/// Operations of a journal, and whether each was asked for inside a transaction of the invocation.
fn operations(journal: &[Arc<JournalRow>]) -> Vec<(bool, &OpRow)> {
    let (mut begins, mut ends) = (BTreeSet::new(), BTreeSet::new());
    let mut inside = false;
    let mut operations = Vec::new();
    for step in journal {
        for delivered in &step.delivered {
            inside |= begins.contains(delivered.position.as_str());
            inside &= !ends.contains(delivered.position.as_str());
        }
        for op in &step.ops {
            match op.kind {
                OpRowKind::Begin => drop(begins.insert(op.position.as_str())),
                OpRowKind::Commit(_) | OpRowKind::Rollback => drop(ends.insert(op.position.as_str())),
                OpRowKind::Call { .. }
                | OpRowKind::Send { .. }
                | OpRowKind::Sleep(_)
                | OpRowKind::Task(_)
                | OpRowKind::Cancel(_) => {}
            }
            operations.push((inside, op));
        }
    }
    operations
}

/// Was this beginning asked for after the cancellation was delivered?
fn is_after_cancellation(live: &Live, begin: &OpRow) -> bool {
    let cancelled = live.journal.iter().position(|step| step.delivered.iter().any(|d| d.position.is_empty()));
    let asked = live.journal.iter().position(|step| step.ops.iter().any(|op| op.position == begin.position));
    asked >= cancelled
}
