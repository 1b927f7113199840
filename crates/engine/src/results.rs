//! Results on their way to a coroutine: of calls, of calls inside transactions, of sleeps; and their delivery, all that
//! are ready together in one step.

use protocol::ids::{InvocationId, Position};
use protocol::message::{CallResult, Exception, InnerResult, Message};
use protocol::record::Accepted;
use protocol::worker::Outcome;

use crate::io::Turn;
use crate::live::{Cancel, Pending, Phase, Ready};
use crate::partition::Partition;

/// A result that the server itself gives: `None`, or an exception.
pub(crate) fn decided(position: &str, exception: Option<Vec<u8>>) -> Ready {
    Ready::own(position, exception.map_or_else(Outcome::default, Outcome::Exception))
}

impl Partition {
    /// The result of a call outside transactions, durable (with its message) or not.
    pub(crate) fn result_arrived(
        &mut self,
        source: Option<Accepted>,
        result: CallResult,
        newest: Position,
        turn: &mut Turn,
    ) {
        let id = result.parent.invocation;
        let position = &result.parent.position;
        let waits = self.live.get(&id).and_then(|live| live.pending.get(position));
        let wanted = matches!(waits, Some(Pending::Call { child, inner: false, .. }) if *child == result.child);
        if !wanted {
            return self.unwanted(source, id, result.child, turn);
        }
        let Some(live) = self.live.get_mut(&id) else { return };
        live.pending.remove(position);
        live.ready.push(Ready { source, child: Some(result.child), newest, ..Ready::own(position, result.outcome) });
        self.maybe_begin_transaction(id, turn);
        self.try_deliver(id, turn);
    }

    /// Nobody waits for this result, or it is here already.
    fn unwanted(&mut self, source: Option<Accepted>, id: InvocationId, child: InvocationId, turn: &mut Turn) {
        if !self.live.contains_key(&id)
            && let Some((to, seq)) = self.calls.remove(&child)
        {
            // Its caller has ended without it; a callee that leaves no record never says that it took the call in.
            self.acknowledge(to, seq, turn.now);
        }
        let Some(source) = source else { return };
        let here = self.live.get(&id).is_some_and(|live| {
            let delivered = live.step.iter().flat_map(|step| &step.delivered);
            let outside = live.transaction.iter().flat_map(|transaction| &transaction.outside);
            let on_its_way = live.ready.iter().chain(delivered).chain(outside).filter_map(|ready| ready.source);
            // When it is sent again, its sender's floor may be another one.
            on_its_way.chain(live.consumed.iter().copied()).any(|s| s.seq == source.seq && s.from == source.from)
        });
        if !here {
            self.send(source.from, Message::Acknowledge { seqs: vec![source.seq] }, turn);
        }
    }

    /// The result of a call inside a transaction.
    pub(crate) fn inner_result(&mut self, inner: InnerResult, turn: &mut Turn) {
        let id = inner.result.parent.invocation;
        let Some(live) = self.live.get_mut(&id) else { return };
        let attempt = live.transaction.as_ref().map(|t| t.attempt).or(live.inner.map(|inner| inner.attempt));
        if attempt != Some(inner.attempt) {
            return;
        }
        let position = inner.result.parent.position;
        let wanted = matches!(
            live.pending.get(&position),
            Some(Pending::Call { child, inner: true, .. }) if *child == inner.result.child
        );
        if !wanted {
            return;
        }
        live.pending.remove(&position);
        live.participants.extend(inner.participants.iter().copied());
        if let Some(own) = &mut live.inner {
            own.holds |= !inner.participants.is_empty();
        }
        live.doom = live.doom.take().or(inner.doom);
        if let Some(transaction) = &mut live.transaction {
            transaction.participants.extend(inner.participants.iter().copied());
            transaction.holds |= !inner.participants.is_empty();
        }
        let child = Some(inner.result.child);
        live.ready.push(Ready { child, ..Ready::own(&position, inner.result.outcome) });
        self.maybe_commit(id, turn);
        self.try_deliver(id, turn);
    }

    pub(crate) fn timer_due(&mut self, id: InvocationId, position: &str, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        if matches!(live.pending.get(position), Some(Pending::Task(_))) {
            return self.retry_task(id, position, turn);
        }
        if live.pending.remove(position).is_some() {
            live.ready.push(decided(position, None));
            self.maybe_begin_transaction(id, turn);
            self.try_deliver(id, turn);
        }
    }

    /// Goes on with a suspended invocation if what it waits for is there.
    pub(crate) fn try_deliver(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        if live.phase != Phase::Suspended {
            return;
        }
        let cancels = live.cancel == Cancel::Asked && live.transaction.is_none() && live.inner.is_none();
        if cancels {
            self.cancel_tasks(id, turn);
        }
        let Some(live) = self.live.get_mut(&id) else { return };
        if cancels {
            live.cancel = Cancel::Delivered;
            let message = "the invocation was cancelled";
            // It waits for nothing that it asked for before; a transaction that has not begun never does.
            live.pending.retain(|_, pending| *pending != Pending::Begin);
            // First: a task that ends with it is not a second cancellation of who waits for it.
            let cancelled = decided("", Some(Exception::encode("asyncio.exceptions.CancelledError", message)));
            live.ready.insert(0, cancelled);
        }
        if live.has_enough() || cancels {
            live.phase = Phase::Idle;
            live.since = turn.now;
            self.begin_step(id, turn);
        }
    }
}
