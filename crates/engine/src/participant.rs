//! A partition as a participant: cells that it grants to attempts of this and other homes, the overlay of their writes,
//! promises, outcomes, freezes. And the dispatch of messages between partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::cell::{CellKey, CellRow};
use protocol::ids::{Age, AttemptId, InvocationId, PartitionId, Position};
use protocol::message::{DoomReason, DurableBody, GrantedCell, LockMode, LockRequest, Message, Vote};
use protocol::record::{Accepted, Body, CellWrite, PreparedRow, Resolved};

use crate::begin::{Contents, read_cell};
use crate::io::{Effect, Reply, Turn};
use crate::limits::DEAD_ATTEMPTS_MAX;
use crate::live::Phase;
use crate::locks::Verdict;
use crate::partition::Partition;
use crate::planted::{self, Bug};
use crate::sizes::{self, CONTENT_BYTES_MAX};

/// Output of a call: invocation, method, lines.
type Output = (InvocationId, String, Vec<(u8, String)>);

/// An attempt that holds cells here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Participant {
    pub(crate) home: PartitionId,
    pub(crate) age: Age,
    /// Nothing more is granted to it.
    pub(crate) frozen: bool,
    /// Its writes here.
    pub(crate) overlay: BTreeMap<CellKey, CellWrite>,
    counter: u32,
    /// One-way calls that leave if it commits.
    pub(crate) messages: Vec<(PartitionId, DurableBody)>,
    /// Newest position among the versions that it read here.
    pub(crate) newest: Position,
    /// Output of its calls here.
    pub(crate) output: Vec<Output>,
}

impl Participant {
    /// Takes a step's writes in. Counters go on over the steps, so that insertions keep their order; within a step they
    /// are those of the whole step, which may write on other partitions too.
    pub(crate) fn stash(&mut self, writes: Vec<CellWrite>) {
        let base = self.counter;
        for mut write in writes {
            let earlier = self.overlay.get(&write.cell).and_then(|write| write.put.as_ref());
            let keeps = earlier.filter(|earlier| {
                write.put.as_ref().is_some_and(|put| put.inserted.is_none() && put.updates > earlier.updates)
            });
            let keeps = keeps.map(|earlier| earlier.counter);
            if let Some(put) = &mut write.put {
                self.counter = self.counter.max(base.saturating_add(put.counter).saturating_add(1));
                put.counter = keeps.unwrap_or_else(|| base.saturating_add(put.counter));
            }
            self.overlay.insert(write.cell.clone(), write);
        }
    }
}

impl Participant {
    /// What it takes in a record.
    pub(crate) fn bytes(&self) -> usize {
        let messages = self.messages.iter().map(|(_, body)| sizes::message(body));
        self.overlay.values().map(sizes::write).chain(messages).sum()
    }
}

impl Partition {
    /// A message of a partition.
    pub(crate) fn message(&mut self, from: PartitionId, message: Message, turn: &mut Turn) {
        // Positions of another log mean nothing here, and whatever comes from one rests on durable records.
        let foreign = !self.config.same_log.contains(&from.0);
        let ours = |position: Position| if foreign { Position::default() } else { position };
        match message {
            Message::Hello { epoch, heard } => self.hello(from, epoch, heard, turn),
            Message::Quiet { epoch, heard } => self.quiet(from, epoch, heard, turn),
            Message::Durable { seq, floor, body } => self.durable(Accepted { from, seq, floor }, body, turn),
            Message::Acknowledge { seqs } => self.acknowledged_by(from, &seqs, turn),
            Message::Result { result, newest } => self.result_arrived(None, result, ours(newest), turn),
            Message::Lock(request) => self.lock_request(request, turn),
            Message::Granted { attempt, step, cells, wholes, newest } => {
                let contents = unpack(cells, wholes, ours(newest));
                self.granted_elsewhere(from, attempt, step, contents, turn);
            }
            Message::Died { attempt, step, wants } => {
                if self.live.get(&step).is_some_and(|live| live.step.as_ref().is_some_and(|s| s.attempt == attempt)) {
                    self.died(step, from, &wants, turn);
                }
            }
            Message::BlockersGone { attempt } => self.blockers_gone(from, attempt, turn),
            Message::Stash { attempt, step, writes } => self.stash(from, attempt, step, writes, turn),
            Message::Stashed { attempt, step, stands } => self.stashed(from, attempt, step, stands, turn),
            Message::Inner(inner) => self.inner_call(inner, turn),
            Message::InnerResult(inner) => self.inner_result(inner, turn),
            Message::Prepare { attempt } => self.prepare_asked(from, attempt, turn),
            Message::PrepareAnswer { attempt, vote, newest } => self.voted(from, attempt, vote, ours(newest), turn),
            Message::Decide { attempt, committed } => self.decided(from, attempt, committed, turn),
            Message::Decided { attempt } => self.outcome_logged(from, attempt, turn),
            Message::AskDecision { attempt } => self.decision_asked(from, attempt, turn),
            Message::Freeze { attempt } => self.freeze_asked(from, attempt, turn),
            Message::Frozen { attempt, stood, newest } => self.frozen(from, attempt, stood, ours(newest), turn),
            Message::Release { attempt } => self.release_asked(from, attempt, turn),
            Message::Doom { attempt, reason } => self.doomed(attempt, reason, turn),
            Message::Probe(probe) => self.probe(probe, turn),
            Message::Deadlock { operation, cycle } => self.give_way(operation, &cycle, turn),
        }
    }

    fn durable(&mut self, source: Accepted, body: DurableBody, turn: &mut Turn) {
        match body {
            DurableBody::Call { id, call } => self.call_arrived(source, id, call, turn),
            DurableBody::Result(result) => self.result_arrived(Some(source), result, Position::default(), turn),
            DurableBody::Cancel { id } => self.cancel_arrived(source, id, turn),
        }
    }

    fn acknowledged_by(&mut self, from: PartitionId, seqs: &[u64], turn: &Turn) {
        for seq in seqs {
            if self.state.outbox.get(&from).is_some_and(|messages| messages.contains_key(seq)) {
                self.acknowledge(from, *seq, turn.now);
            }
        }
    }

    /// An attempt takes part here.
    pub(crate) fn enlist(&mut self, current: AttemptId, home: PartitionId, age: Age, turn: &mut Turn) {
        if self.participants.contains_key(&current) {
            return;
        }
        // A newer attempt of the same owner implies the end of its older ones. Those of older epochs of its home may not
        // have been stopped everywhere: see `quiet`.
        let older: Vec<AttemptId> = self
            .participants
            .keys()
            .filter(|a| a.owner == current.owner && **a < current && !self.state.prepared.contains_key(a))
            .copied()
            .collect();
        for attempt in older {
            self.freeze_here(attempt, turn);
            if attempt.epoch == current.epoch || !self.has_other_logs() {
                self.release_here(attempt, turn);
            }
        }
        self.participants.insert(current, Participant { home, age, ..Participant::default() });
    }

    fn lock_request(&mut self, request: LockRequest, turn: &mut Turn) {
        let frozen = self.participants.get(&request.attempt).is_some_and(|participant| participant.frozen);
        if frozen || self.is_dead(request.attempt) || self.is_past(request.attempt, request.home) {
            return;
        }
        self.enlist(request.attempt, request.home, request.age, turn);
        match self.locks.request(request.clone(), false) {
            Verdict::Waiting => self.waits(&request, turn),
            Verdict::Granted => self.granted(request, turn),
            Verdict::Died(blockers) => self.tell_died(&request, blockers, turn),
        }
    }

    /// A request stands in line; if that is behind a turn, it may be a circle.
    pub(crate) fn waits(&self, request: &LockRequest, turn: &mut Turn) {
        if request.transaction && !self.turn_holders(request.step).is_empty() {
            self.probe_transaction(request.step, turn);
        }
    }

    fn tell_died(&mut self, request: &LockRequest, blockers: BTreeSet<AttemptId>, turn: &mut Turn) {
        self.locks.watch(request.attempt, blockers);
        let home = self.home_of(request.step);
        if home == self.config.id {
            return self.died(request.step, home, &request.wants, turn);
        }
        let (attempt, step, wants) = (request.attempt, request.step, request.wants.clone());
        self.send(home, Message::Died { attempt, step, wants }, turn);
    }

    /// Decides everything that changes of locks allow or forbid now.
    pub(crate) fn settle(&mut self, turn: &mut Turn) {
        loop {
            let decided = self.locks.settle();
            let gone = self.locks.gone();
            if decided.is_empty() && gone.is_empty() {
                return;
            }
            for (request, outside, verdict) in decided {
                match verdict {
                    Verdict::Granted if outside => self.turn_granted(request.step, turn),
                    Verdict::Granted => self.granted(request, turn),
                    Verdict::Died(blockers) => self.tell_died(&request, blockers, turn),
                    Verdict::Waiting => unreachable!("a decided request does not wait"),
                }
            }
            for attempt in gone {
                self.send(self.home_of(attempt.owner), Message::BlockersGone { attempt }, turn);
            }
        }
    }

    fn stash(
        &mut self,
        from: PartitionId,
        attempt: AttemptId,
        step: InvocationId,
        writes: Vec<CellWrite>,
        turn: &mut Turn,
    ) {
        self.forget_groups(attempt, Some(step), turn);
        let stands = match self.participants.get_mut(&attempt) {
            Some(participant) if !participant.frozen && self.locks.holds(attempt) => {
                participant.stash(writes);
                self.locks.end_step(attempt, step, true, None);
                true
            }
            _ => false,
        };
        self.send(from, Message::Stashed { attempt, step, stands }, turn);
    }

    fn stashed(&mut self, from: PartitionId, attempt: AttemptId, step: InvocationId, stands: bool, turn: &mut Turn) {
        let Some(live) = self.live.get_mut(&step) else { return };
        if live.step.as_ref().map(|context| context.attempt) != Some(attempt) {
            return;
        }
        let inner = live.inner;
        let Phase::Stashing(awaiting) = &mut live.phase else { return };
        if !awaiting.remove(&from) {
            return;
        }
        let all = awaiting.is_empty();
        match (stands, inner) {
            (false, Some(inner)) => {
                let reason = DoomReason::WorkerLost;
                self.send(inner.home, Message::Doom { attempt, reason }, turn);
            }
            (false, None) => self.lost_participant(step, turn),
            (true, _) if all => self.stashed_everywhere(step, turn),
            (true, _) => {}
        }
    }

    fn prepare_asked(&mut self, from: PartitionId, attempt: AttemptId, turn: &mut Turn) {
        let prepared = self.state.prepared.contains_key(&attempt);
        let (vote, newest) = match self.participants.get(&attempt) {
            None => (Vote::Refused, Position::default()),
            Some(participant) if participant.frozen => (Vote::Refused, Position::default()),
            Some(participant)
                if planted::is(Bug::LostPromise)
                    || participant.overlay.is_empty() && participant.messages.is_empty() =>
            {
                (Vote::Stands, participant.newest)
            }
            Some(participant) if !prepared && participant.bytes() > CONTENT_BYTES_MAX => {
                (Vote::TooLarge, participant.newest)
            }
            Some(participant) => {
                let newest = participant.newest;
                if !prepared {
                    let row = PreparedRow {
                        attempt,
                        home: participant.home,
                        writes: participant.overlay.values().cloned().collect(),
                        messages: participant.messages.clone(),
                        age: participant.age,
                    };
                    self.log(Body::Prepared(row), Vec::new(), turn);
                }
                (Vote::Prepared, newest)
            }
        };
        self.send(from, Message::PrepareAnswer { attempt, vote, newest }, turn);
    }

    /// The outcome of a promise.
    fn decided(&mut self, from: PartitionId, attempt: AttemptId, committed: Option<u64>, turn: &mut Turn) {
        if self.state.prepared.contains_key(&attempt) {
            let after = self.log(Body::Resolved(Resolved { attempt, committed }), Vec::new(), turn);
            let output = self.participants.get_mut(&attempt).map(|p| std::mem::take(&mut p.output)).unwrap_or_default();
            if committed.is_some() {
                for (invocation, method, lines) in output {
                    turn.effects.push(Effect::Print { after, invocation, method, lines });
                }
            }
        }
        self.release_here(attempt, turn);
        self.send(from, Message::Decided { attempt }, turn);
    }

    fn outcome_logged(&mut self, from: PartitionId, attempt: AttemptId, turn: &Turn) {
        let Some(waiting) = self.deciding.get_mut(&attempt) else { return };
        waiting.remove(&from);
        if waiting.is_empty() {
            self.deciding.remove(&attempt);
            if self.acknowledged.is_empty() && self.settled.is_empty() {
                self.acknowledged_since = turn.now;
            }
            self.settled.push(attempt);
        }
    }

    /// A participant asks what became of its promise. Presumed abort: an attempt without a decision never happened.
    fn decision_asked(&mut self, from: PartitionId, attempt: AttemptId, turn: &mut Turn) {
        let committed = self.state.decisions.get(&attempt).map(|decision| decision.time);
        if committed.is_none() && self.current_attempt(attempt.owner) == Some(attempt) {
            // Still under way: it will be told.
            return;
        }
        self.send(from, Message::Decide { attempt, committed }, turn);
    }

    fn freeze_asked(&mut self, from: PartitionId, attempt: AttemptId, turn: &mut Turn) {
        let participant = self.participants.get(&attempt);
        let stood = participant.is_some_and(|participant| !participant.frozen);
        let newest = participant.map(|participant| participant.newest).unwrap_or_default();
        self.freeze_here(attempt, turn);
        self.send(from, Message::Frozen { attempt, stood, newest }, turn);
    }

    /// Grants the attempt nothing more, drops its calls here and their coroutines.
    pub(crate) fn freeze_here(&mut self, attempt: AttemptId, turn: &mut Turn) {
        match self.participants.get_mut(&attempt) {
            Some(participant) => participant.frozen = true,
            None => self.bury(attempt),
        }
        self.locks.unqueue_attempt(attempt);
        self.forget_groups(attempt, None, turn);
        let inner: Vec<InvocationId> = self
            .live
            .iter()
            .filter(|(_, live)| live.inner.is_some_and(|inner| inner.attempt == attempt))
            .map(|(id, _)| *id)
            .collect();
        for id in inner {
            let Some(live) = self.remove(id) else { continue };
            let running = live.step.as_ref().and_then(|step| step.run);
            if let Some(run) = running {
                self.runs.remove(&run);
            }
            if running.is_some() || live.resident {
                turn.effects.push(Effect::Evict(id));
            }
            for token in live.clients {
                self.reply(token, id, Reply::Running, turn);
            }
            self.leave_turn(id, live.turn, turn);
        }
    }

    fn release_asked(&mut self, from: PartitionId, attempt: AttemptId, turn: &mut Turn) {
        self.release_here(attempt, turn);
        if !self.locks.watches(attempt) {
            // Its home may wait for those that it died to here before a restart of this partition. Whether it was frozen
            // does not tell: after the restart a late request may have made it a participant again.
            self.send(from, Message::BlockersGone { attempt }, turn);
        }
    }

    /// Lets go of everything that the attempt has here.
    pub(crate) fn release_here(&mut self, attempt: AttemptId, turn: &mut Turn) {
        if self.state.prepared.contains_key(&attempt) {
            self.log(Body::Resolved(Resolved { attempt, committed: None }), Vec::new(), turn);
        }
        self.freeze_here(attempt, turn);
        self.participants.remove(&attempt);
        self.bury(attempt);
        self.locks.release(attempt);
        if planted::is(Bug::LateAbort) {
            let newer = self.participants.keys().find(|a| a.owner == attempt.owner && **a > attempt).copied();
            newer.into_iter().for_each(|newer| self.locks.release(newer));
        }
    }

    fn bury(&mut self, attempt: AttemptId) {
        if self.dead.insert(attempt) {
            self.dead_order.push_back(attempt);
        }
        while self.dead_order.len() > DEAD_ATTEMPTS_MAX {
            if let Some(oldest) = self.dead_order.pop_front() {
                self.dead.remove(&oldest);
            }
        }
    }

    /// Is the attempt of an older epoch of its home than the one that is known? A part of it on a third partition may
    /// not have heard of that yet.
    pub(crate) fn is_past(&self, attempt: AttemptId, home: PartitionId) -> bool {
        let current = if home == self.config.id { Some(&self.config.epoch) } else { self.epochs.get(&home) };
        current.is_some_and(|epoch| attempt.epoch < *epoch)
    }

    pub(crate) fn is_dead(&self, attempt: AttemptId) -> bool {
        self.dead.contains(&attempt)
    }

    /// After a restart: promises hold their locks again and ask for their outcome.
    pub(crate) fn resume_promises(&mut self, turn: &mut Turn) {
        for row in self.state.prepared.values().cloned().collect::<Vec<_>>() {
            let mut wants = Vec::new();
            for write in &row.writes {
                wants.push((write.cell.clone(), LockMode::Exclusive));
                if write.cell.key.is_some() {
                    let mut membership = CellKey { key: None, ..write.cell.clone() };
                    if membership.entity.is_none() {
                        membership.slot = protocol::Slot(0);
                    }
                    wants.push((membership, LockMode::IntentionExclusive));
                }
            }
            let (attempt, home) = (row.attempt, row.home);
            let step = attempt.owner;
            let request = LockRequest { attempt, age: row.age, step, holds: true, wants, home, transaction: true };
            self.locks.force(&request, false);
            self.locks.end_step(attempt, step, true, None);
            let overlay = row.writes.iter().map(|write| (write.cell.clone(), write.clone())).collect();
            let participant =
                Participant { home, age: row.age, overlay, messages: row.messages, ..Participant::default() };
            self.participants.insert(attempt, participant);
            self.send(home, Message::AskDecision { attempt }, turn);
        }
        for (attempt, decision) in self.state.decisions.clone() {
            self.deciding.insert(attempt, decision.participants.iter().copied().collect());
            for to in decision.participants {
                self.send(to, Message::Decide { attempt, committed: Some(decision.time) }, turn);
            }
        }
    }
}

type PackedWholes = Vec<(CellKey, Vec<(CellKey, GrantedCell)>)>;

fn unpack(cells: Vec<(CellKey, Option<GrantedCell>)>, wholes: PackedWholes, newest: Position) -> Contents {
    let row = |packed: &GrantedCell| read_cell(&packed.row);
    let entries = |packed: Vec<(CellKey, GrantedCell)>| -> BTreeMap<CellKey, Arc<CellRow>> {
        packed.into_iter().map(|(cell, packed)| (cell, row(&packed))).collect()
    };
    Contents {
        cells: cells.into_iter().map(|(cell, packed)| (cell, packed.as_ref().map(row))).collect(),
        wholes: wholes.into_iter().map(|(name, packed)| (name, entries(packed))).collect(),
        newest,
    }
}
