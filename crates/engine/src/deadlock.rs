//! Turns of entities: taking, re-entering and leaving them, and finding circles of operations that wait for each
//! other's turns.
//!
//! Circles are found by probes (Chandy, Misra and Haas, 1983): whenever an operation begins to wait for a turn, or the
//! turn for which it waits changes hands, a probe follows holder → what its chain has called and has no answer to. If it comes back, the
//! youngest chain of the circle gets the exception `Deadlock` as the result of its call.

use std::collections::BTreeSet;

use protocol::PartitionId;
use protocol::api::key_text;
use protocol::cell::CellKey;
use protocol::ids::{AttemptId, InvocationId};
use protocol::message::{Exception, LockMode, LockRequest, Message, Probe};
use protocol::record::InvocationRow;
use protocol::worker::Outcome;

use crate::io::Turn;
use crate::limits::PROBE_HOPS_MAX;
use crate::live::{AfterFreeze, Pending, Phase, TurnState};
use crate::locks::Verdict;
use crate::partition::Partition;

/// The pseudo-attempt under which an operation outside transactions holds its turn. No attempt has epoch 0.
fn outside(id: InvocationId) -> AttemptId {
    AttemptId { owner: id, epoch: 0, counter: 0 }
}

impl Partition {
    /// Takes the turn that the operation needs. False: it waits.
    pub(crate) fn take_turn(&mut self, id: InvocationId, turn: &mut Turn) -> bool {
        let Some(live) = self.live.get_mut(&id) else { return false };
        let TurnState::Wanted(cell) = live.turn.clone() else { return true };
        let holders: Vec<InvocationId> =
            live.row.call.chain.iter().filter(|held| held.cell == cell).map(|held| held.holder).collect();
        if !holders.is_empty() {
            let entered = self.turns.enter(&cell, id, holders);
            live.turn = TurnState::Reentered(cell);
            if !entered {
                live.phase = Phase::Turn;
                live.since = turn.now;
            }
            return entered;
        }
        if live.inner.is_some() {
            // Inside a transaction the turn is a lock of the attempt, asked for with the first step's cells.
            return true;
        }
        let request = turn_request(&live.row, cell.clone(), self.config.id);
        live.phase = Phase::Turn;
        live.since = turn.now;
        match self.locks.request(request, true) {
            Verdict::Granted => {
                live.turn = TurnState::Held(cell);
                live.phase = Phase::Idle;
                true
            }
            Verdict::Waiting => {
                self.send_probe(id, &cell, turn);
                self.follow_last(id, &cell, turn);
                false
            }
            Verdict::Died(_) => unreachable!("an operation outside transactions never dies for a turn"),
        }
    }

    /// A waiting operation got its turn.
    pub(crate) fn turn_granted(&mut self, id: InvocationId, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let TurnState::Wanted(cell) = live.turn.clone() else { return };
        live.turn = TurnState::Held(cell.clone());
        live.phase = Phase::Idle;
        live.since = turn.now;
        // The turn changed hands: those behind wait for somebody else from now on.
        for waiter in self.locks.outside_waiters_that_hold(&cell) {
            self.send_probe(waiter, &cell, turn);
        }
        self.begin_step(id, turn);
    }

    /// After a restart: an operation that has committed a step has its turn before anybody else.
    pub(crate) fn take_back_turn(&mut self, id: InvocationId) {
        let Some(live) = self.live.get_mut(&id) else { return };
        let TurnState::Wanted(cell) = live.turn.clone() else { return };
        let holders: Vec<InvocationId> =
            live.row.call.chain.iter().filter(|held| held.cell == cell).map(|held| held.holder).collect();
        if holders.is_empty() {
            let request = turn_request(&live.row, cell.clone(), self.config.id);
            self.locks.force(&request, true);
            live.turn = TurnState::Held(cell);
        } else {
            self.turns.enter(&cell, id, holders);
            live.turn = TurnState::Reentered(cell);
        }
    }

    /// An operation ended or gave its turn up.
    pub(crate) fn leave_turn(&mut self, id: InvocationId, held: TurnState, turn: &mut Turn) {
        match held {
            TurnState::None => {}
            TurnState::Held(_) | TurnState::Wanted(_) => self.locks.release(outside(id)),
            TurnState::Reentered(cell) => {
                for next in self.turns.leave(&cell, id) {
                    let Some(live) = self.live.get_mut(&next) else { continue };
                    live.phase = Phase::Idle;
                    live.since = turn.now;
                    self.begin_step(next, turn);
                }
            }
        }
    }

    /// Who stands between a waiting operation and its turn?
    fn turn_blocker(&self, cell: &CellKey, id: InvocationId) -> Option<InvocationId> {
        let live = self.live.get(&id)?;
        match live.turn {
            TurnState::Reentered(_) => self.turns.innermost(cell).filter(|inside| *inside != id),
            TurnState::Wanted(_) => self.locks.outside_holder(cell),
            TurnState::Held(_) | TurnState::None => None,
        }
    }

    /// Follows what stands in the way of an operation. One whose chain holds no turn is waited for by nobody, so it is in
    /// no circle: on a hot entity there are many of those.
    fn send_probe(&self, id: InvocationId, cell: &CellKey, turn: &mut Turn) {
        if self.live.get(&id).is_some_and(|live| live.row.call.chain.is_empty()) {
            return;
        }
        let Some(target) = self.turn_blocker(cell, id) else { return };
        let probe = Probe { initiator: id, target, path: vec![self.path_entry(id)], hops: PROBE_HOPS_MAX };
        self.send(self.home_of(target), Message::Probe(probe), turn);
    }

    /// A step inside a transaction (or a transaction whose attempt died) waits, perhaps for a turn: asks its home to
    /// follow what stands in its way.
    pub(crate) fn probe_transaction(&self, id: InvocationId, turn: &mut Turn) {
        let probe = Probe { initiator: id, target: id, path: Vec::new(), hops: PROBE_HOPS_MAX };
        self.send(self.home_of(id), Message::Probe(probe), turn);
    }

    /// A partition has begun a new epoch; probes that were on their way through it are lost.
    pub(crate) fn probe_again(&self, turn: &mut Turn) {
        for (id, live) in &self.live {
            match (&live.phase, &live.turn) {
                (Phase::Turn, TurnState::Wanted(cell) | TurnState::Reentered(cell)) => self.send_probe(*id, cell, turn),
                (Phase::Acquiring(_) | Phase::Died(..), _) => self.probe_transaction(*id, turn),
                _ => {}
            }
        }
    }

    fn path_entry(&self, id: InvocationId) -> (protocol::ids::Age, InvocationId, String) {
        let call = self.live.get(&id).map(|live| live.row.call.clone()).unwrap_or_default();
        let text = match &call.key {
            Some(key) => format!("{}[{}].{}", call.service, key_text(key), call.method),
            None => format!("{}.{}", call.service, call.method),
        };
        (call.age, id, text)
    }

    /// A probe asks what `target` waits for.
    pub(crate) fn probe(&mut self, mut probe: Probe, turn: &mut Turn) {
        if probe.hops == 0 {
            return;
        }
        probe.hops -= 1;
        let id = probe.target;
        let Some(live) = self.live.get(&id) else { return self.probe_blockers(&probe, turn) };
        let waits = matches!(live.phase, Phase::Turn | Phase::Acquiring(_) | Phase::Died(..));
        if waits && id == probe.initiator && !probe.path.is_empty() {
            return self.circle(probe, turn);
        }
        if waits && probe.path.iter().any(|(_, passed, _)| *passed == id) {
            // A circle that the initiator only leads to; its own members find it.
            return;
        }
        match live.phase {
            Phase::Turn => {
                let (TurnState::Wanted(cell) | TurnState::Reentered(cell)) = live.turn.clone() else { return };
                let Some(next) = self.turn_blocker(&cell, id) else { return };
                probe.path.push(self.path_entry(id));
                probe.target = next;
                self.send(self.home_of(next), Message::Probe(probe), turn);
            }
            // What it has called it will have to wait for, also while it still runs: when it then waits for a call that
            // waits already, nobody sends another probe.
            Phase::Idle
            | Phase::Running
            | Phase::Suspended
            | Phase::Stashing(_)
            | Phase::Preparing(_)
            | Phase::Parked => {
                let children: Vec<InvocationId> = live
                    .pending
                    .values()
                    .filter_map(|pending| match pending {
                        Pending::Call { child, .. } => Some(*child),
                        _ => None,
                    })
                    .collect();
                for child in children {
                    let onward = Probe { target: child, ..probe.clone() };
                    self.send(self.home_of(child), Message::Probe(onward), turn);
                }
            }
            Phase::Acquiring(partition) | Phase::Died(partition, _) => {
                probe.path.push(self.path_entry(id));
                if partition == self.config.id {
                    return self.probe_blockers(&probe, turn);
                }
                // That partition knows what stands in the way there.
                self.send(partition, Message::Probe(probe), turn);
            }
            // Its calls are being dropped.
            Phase::Freezing(_) => {}
        }
    }

    /// Operations whose turns a step inside a transaction, or a dead attempt, waits for on this partition.
    pub(crate) fn turn_holders(&self, step: InvocationId) -> BTreeSet<InvocationId> {
        self.locks.blockers(step, |cell| self.numbers.name(cell.field).is_some_and(|(_, field)| field.is_empty()))
    }

    fn probe_blockers(&self, probe: &Probe, turn: &mut Turn) {
        for target in self.turn_holders(probe.target) {
            let onward = Probe { target, ..probe.clone() };
            self.send(self.home_of(target), Message::Probe(onward), turn);
        }
    }

    /// The probe came back: the youngest chain gives way.
    fn circle(&mut self, probe: Probe, turn: &mut Turn) {
        let Some((_, operation, _)) = probe.path.iter().max_by_key(|(age, id, _)| (*age, *id)).cloned() else { return };
        let cycle = probe.path.into_iter().map(|(_, _, text)| text).collect();
        self.send(self.home_of(operation), Message::Deadlock { operation, cycle }, turn);
    }

    /// This operation gives way: it ends with `Deadlock` without having begun. If it is part of a transaction, that is
    /// given up, and the invocation that began it ends so.
    pub(crate) fn give_way(&mut self, operation: InvocationId, cycle: &[String], turn: &mut Turn) {
        let Some(live) = self.live.get(&operation) else { return };
        if let Some(inner) = live.inner {
            let (root, cycle) = (inner.attempt.owner, cycle.to_vec());
            return self.send(inner.home, Message::Deadlock { operation: root, cycle }, turn);
        }
        let message = format!("calls wait for each other's turns in a circle: {}", cycle.join(" -> "));
        let exception = Exception::encode("sostenuto.Deadlock", &message);
        let waits = matches!(live.phase, Phase::Acquiring(_) | Phase::Died(..) | Phase::Suspended);
        if live.transaction.is_some() && waits {
            return self.abort_transaction(operation, AfterFreeze::Fail(exception), turn);
        }
        if live.phase != Phase::Turn {
            return;
        }
        self.complete(operation, Outcome::Exception(exception), Vec::new(), Vec::new(), None, turn);
    }
}

fn turn_request(row: &InvocationRow, cell: CellKey, home: PartitionId) -> LockRequest {
    let (id, age, holds) = (row.id, row.call.age, !row.call.chain.is_empty());
    let wants = vec![(cell, LockMode::Exclusive)];
    LockRequest { attempt: outside(id), age, step: id, holds, wants, home, transaction: false }
}
