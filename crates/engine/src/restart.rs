//! Restarts: what a partition does when another one has begun a new epoch, and what it may not do before all others
//! have dealt with its own.
//!
//! The locks of attempts that were not prepared are gone with a restart, at once, while parts of those attempts may still
//! run on other nodes. So there are two rounds, as in an abort. *Hello* is the first one: whoever hears it gives up its
//! attempts that may have lost locks there, and freezes those whose home began anew. *Quiet* is the second one: until all
//! others have said it, the partition grants nothing (its *fence* is closed), and they keep what frozen attempts of its
//! older epochs hold. Partitions of one log restart together, so a world of one log needs none of this.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ids::{AttemptId, InvocationId, PartitionId, Position};
use protocol::message::{DoomReason, Message};

use crate::config::Config;
use crate::io::Turn;
use crate::live::{AfterFreeze, Phase};
use crate::partition::Partition;
use crate::planted::{self, Bug};

/// What this partition and the others owe each other after a restart of either.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fence {
    /// Partitions of other logs that have not said that they have heard of this epoch: parts of attempts of older epochs
    /// may run there.
    unheard: BTreeSet<PartitionId>,
    /// Partitions whose *Quiet* is awaited. While there is one, no locks are granted.
    awaited: BTreeSet<PartitionId>,
    /// Partitions to which *Quiet* is to be said.
    owed: BTreeMap<PartitionId, Owed>,
}

#[derive(Clone, Debug)]
struct Owed {
    /// The epoch that was heard of.
    heard: u64,
    /// Own attempts from before that are not frozen everywhere yet.
    attempts: BTreeSet<AttemptId>,
}

impl Fence {
    pub(crate) fn new(config: &Config) -> Self {
        let others = || (0..config.partitions).map(PartitionId).filter(|id| *id != config.id);
        let unheard: BTreeSet<PartitionId> = others().filter(|id| !config.same_log.contains(&id.0)).collect();
        let awaited = if unheard.is_empty() { BTreeSet::new() } else { others().collect() };
        Self { unheard, awaited, owed: BTreeMap::new() }
    }

    /// Whose word is awaited before locks are granted.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = PartitionId> {
        self.awaited.iter().copied()
    }

    /// Nobody owes anybody anything.
    pub(crate) fn is_over(&self) -> bool {
        self.unheard.is_empty() && self.awaited.is_empty() && self.owed.is_empty()
    }

    /// To whom *Quiet* can be said, and of which of their epochs.
    fn pay(&mut self) -> Vec<(PartitionId, u64)> {
        if !self.unheard.is_empty() {
            return Vec::new();
        }
        let paid: Vec<_> =
            self.owed.iter().filter(|(_, owed)| owed.attempts.is_empty()).map(|(to, owed)| (*to, owed.heard)).collect();
        self.owed.retain(|_, owed| !owed.attempts.is_empty());
        paid
    }
}

impl Partition {
    /// Is there a partition that does not restart together with this one?
    pub(crate) fn has_other_logs(&self) -> bool {
        self.others().iter().any(|id| !self.config.same_log.contains(&id.0))
    }

    /// Before anything is taken back from the log: tells the others of the new epoch, and grants nothing until they have
    /// answered.
    pub(crate) fn begin_epoch(&mut self, turn: &mut Turn) {
        self.fence = Fence::new(&self.config);
        if self.fence.awaited().next().is_some() && !planted::is(Bug::NoFence) {
            self.locks.close();
        }
        for to in self.others() {
            self.send(to, Message::Hello { epoch: self.config.epoch, heard: 0 }, turn);
        }
    }

    /// A partition began a new epoch: what it held in memory is gone. Or it only says that it has heard of this one's.
    pub(crate) fn hello(&mut self, from: PartitionId, epoch: u64, heard: u64, turn: &mut Turn) {
        if heard == self.config.epoch {
            self.fence.unheard.remove(&from);
        }
        let known = self.epochs.entry(from).or_default();
        if *known < epoch {
            *known = epoch;
            // It has forgotten ours, by which it refuses what is left of our older attempts.
            self.send(from, Message::Hello { epoch: self.config.epoch, heard: epoch }, turn);
            self.drop_attempts_of(from, epoch, turn);
            self.participant_restarted(from, turn);
            self.owe_quiet(from, epoch);
            self.send_outbox(Some(from), turn);
            self.probe_again(turn);
        }
        self.say_quiet(turn);
    }

    /// Attempts of the sender from its older epochs have stopped everywhere, and so have its others that may have lost
    /// locks here, if that is said of this epoch.
    pub(crate) fn quiet(&mut self, from: PartitionId, epoch: u64, heard: u64, turn: &mut Turn) {
        for attempt in self.attempts_before(from, epoch) {
            if !self.state.prepared.contains_key(&attempt) {
                self.release_here(attempt, turn);
            }
        }
        if heard == self.config.epoch && self.fence.awaited.remove(&from) && self.fence.awaited.is_empty() {
            self.locks.open();
        }
    }

    /// What takes part here of attempts that a partition coordinated before this epoch.
    fn attempts_before(&self, home: PartitionId, epoch: u64) -> Vec<AttemptId> {
        self.participants
            .iter()
            .filter(|(attempt, participant)| participant.home == home && attempt.epoch < epoch)
            .map(|(attempt, _)| *attempt)
            .collect()
    }

    /// Attempts that `home` coordinated in older epochs never happened, unless they are promised here. Parts of them may
    /// run on nodes that have not heard of it, so they keep their locks until `home` is quiet.
    fn drop_attempts_of(&mut self, home: PartitionId, epoch: u64, turn: &mut Turn) {
        let at_once = !self.has_other_logs() || planted::is(Bug::HastyRelease);
        for attempt in self.attempts_before(home, epoch) {
            if self.state.prepared.contains_key(&attempt) {
                self.send(home, Message::AskDecision { attempt }, turn);
            } else if at_once {
                self.release_here(attempt, turn);
            } else {
                self.freeze_here(attempt, turn);
            }
        }
    }

    /// All transactions have just been given up; *Quiet* is due when they are frozen everywhere.
    fn owe_quiet(&mut self, to: PartitionId, heard: u64) {
        if !self.has_other_logs() {
            return;
        }
        let freezing = self.live.values().filter(|live| matches!(live.phase, Phase::Freezing(_)));
        let attempts = freezing.filter_map(|live| Some(live.transaction.as_ref()?.attempt)).collect();
        self.fence.owed.insert(to, Owed { heard, attempts });
    }

    /// An attempt of this home is frozen everywhere.
    pub(crate) fn has_stopped(&mut self, attempt: AttemptId, turn: &mut Turn) {
        for owed in self.fence.owed.values_mut() {
            owed.attempts.remove(&attempt);
        }
        self.say_quiet(turn);
    }

    fn say_quiet(&mut self, turn: &mut Turn) {
        for (to, heard) in self.fence.pay() {
            self.send(to, Message::Quiet { epoch: self.config.epoch, heard }, turn);
        }
    }

    /// Locks that attempts of this home had at `from` are gone, and calls inside transactions that ran there.
    fn participant_restarted(&mut self, from: PartitionId, turn: &mut Turn) {
        let ids: Vec<InvocationId> = self.live.keys().copied().collect();
        for id in ids {
            let Some(live) = self.live.get(&id) else { continue };
            let step_there = live.step.as_ref().is_some_and(|step| step.remote.contains(&from));
            let asks_there = live.phase == Phase::Acquiring(from) && from != self.config.id;
            match (&live.phase, live.transaction.is_some(), live.inner) {
                (Phase::Freezing(_), true, _) => {
                    let Some(attempt) = self.current_attempt(id) else { continue };
                    self.frozen(from, attempt, false, Position::default(), turn);
                }
                (Phase::Died(partition, attempt), _, _) if *partition == from => {
                    let attempt = *attempt;
                    self.blockers_gone(from, attempt, turn);
                }
                (Phase::Died(..), _, _) => {}
                (_, true, _) => self.abort_transaction(id, AfterFreeze::Retry, turn),
                (_, false, Some(inner)) if step_there || asks_there => {
                    let reason = DoomReason::WorkerLost;
                    self.send(inner.home, Message::Doom { attempt: inner.attempt, reason }, turn);
                }
                (_, false, None) if step_there || asks_there => self.lost_participant(id, turn),
                _ => {}
            }
        }
        for (attempt, waiting) in self.deciding.clone() {
            if let (true, Some(decision)) = (waiting.contains(&from), self.state.decisions.get(&attempt)) {
                self.send(from, Message::Decide { attempt, committed: Some(decision.time) }, turn);
            }
        }
    }
}
