//! What goes wrong, and the network between nodes.

use std::sync::PoisonError;

use protocol::message::Message;
use store::faulty::Survivors;

use super::process::Kind;
use super::{Event, Parcel, World};
use crate::happenings::Happening;
use crate::plan::{At, FAULTS_END, Fault};

impl World {
    pub(super) fn fault(&mut self, fault: &Fault) {
        self.trace(|| format!("FAULT {fault:?}"));
        let now = self.time.now();
        let later = |events: u64, fault| (self.events + events, fault);
        match *fault {
            Fault::PowerLoss(node) => {
                let survivors = self.survivors();
                self.crash(node, survivors);
            }
            Fault::AtEvent(events, At::PowerLoss, node) => self.at_event.push(later(events, Fault::PowerLoss(node))),
            Fault::AtEvent(events, At::Crash, node) => self.at_event.push(later(events, Fault::ProcessCrash(node))),
            Fault::AtEvent(events, At::Kill, node) => self.at_event.push(later(events, Fault::KillWorker(node))),
            Fault::SyncsFail(node) => self.machines[node].disk.fail_syncs(true),
            Fault::ProcessCrash(node) => self.crash(node, Survivors::Process),
            Fault::KillWorker(node) => self.kill_one(node, Kind::Steps),
            Fault::KillTaskWorker(node) => self.kill_one(node, Kind::Tasks),
            Fault::Disk(node, after, fault) => {
                let disk = &self.machines[node].disk;
                disk.fail_at(disk.operations() + after, fault);
            }
            Fault::DiskFull(node, long) => {
                let disk = &self.machines[node].disk;
                disk.set_capacity(Some(disk.used()));
                self.later(long, Event::DiskFree(node));
            }
            Fault::Stall(node, long) => self.machines[node].stalled_until = now + long,
            Fault::SlowWorkers(node, long, factor) => {
                self.machines[node].slow_until = now + long;
                self.machines[node].slow_factor = factor;
            }
            Fault::ClockJump(node, micros) => {
                self.counts.note(Happening::ClockJump, 1);
                self.machines[node].clock.jump(micros);
            }
            Fault::CrashInRecovery(node, operation) => {
                let survivors = self.survivors();
                self.crash(node, survivors);
                self.machines[node].crash_in_recovery = Some(operation);
            }
        }
    }

    /// What a loss of power leaves of what was not synced.
    pub(super) fn survivors(&mut self) -> Survivors {
        match self.rng.below(6) {
            0 => Survivors::None,
            1 => Survivors::All,
            _ => Survivors::Seeded(self.rng.number()),
        }
    }

    /// Takes over what a node has handed to the network.
    pub(super) fn post(&mut self, node: usize) {
        let Some(up) = &self.machines[node].up else { return };
        let messages = std::mem::take(&mut *up.outbox.lock().unwrap_or_else(PoisonError::into_inner));
        let sent_by = self.machines[node].life;
        for (from, to, message) in messages {
            let receiver = self.plan.node_of(to.0);
            let sent_to = self.machines[receiver].life;
            let after = self.delay(self.plan.net) * self.plan.slowness(from.0, to.0);
            let arrives = (self.time.now() + after).max(self.links.get(&(from, to)).map_or(0, |last| last + 1));
            self.links.insert((from, to), arrives);
            self.sent += 1;
            self.counts.note(Happening::MessageDelayed, u64::from(after > 10 * self.plan.net));
            let sender = (node, sent_by);
            let parcel = Box::new(Parcel { sender, sent_to, from, to, number: self.sent, message });
            let again =
                matches!(parcel.message, Message::Durable { .. }) && self.plan.duplicates && self.rng.once_in(4);
            if again && self.time.now() < FAULTS_END {
                let late = arrives + self.delay(self.plan.net * 10);
                self.counts.note(Happening::MessageDuplicated, 1);
                self.at(late, Event::Deliver(parcel.clone()));
            }
            self.at(arrives, Event::Deliver(parcel));
        }
    }

    pub(super) fn deliver(&mut self, parcel: Parcel) {
        let Parcel { sender, sent_to, from, to, number, message } = parcel;
        let receiver = self.plan.node_of(to.0);
        let cut = self.cut.get(&sender).is_some_and(|cut| self.time.now() > *cut);
        let machine = &self.machines[receiver];
        let arrives = machine.up.is_some() && machine.life == sent_to && !cut;
        let newest = self.newest.entry(receiver).or_default();
        self.counts.note(Happening::MessageReordered, u64::from(arrives && number < *newest));
        self.counts.note(Happening::MessageLost, u64::from(!arrives));
        *newest = number.max(*newest);
        self.trace(|| {
            let text = format!("{message:?}");
            let text: String = text.chars().take(200).collect();
            format!("{from} -> {to}{}: {text}", if arrives { "" } else { " (lost)" })
        });
        if let Some(up) = self.machines[receiver].up.as_ref().filter(|_| arrives) {
            up.node.message(from, to, message);
            self.poke(receiver);
        }
    }

    fn kill_one(&mut self, node: usize, kind: Kind) {
        let Some(up) = &self.machines[node].up else { return };
        let workers: Vec<_> = up.processes.keys().filter(|(of, _)| *of == kind).map(|(_, worker)| *worker).collect();
        if workers.is_empty() {
            return;
        }
        let worker = *self.rng.pick(&workers);
        let readable = !self.rng.once_in(4);
        let killed = if kind == Kind::Steps { Happening::WorkerKilled } else { Happening::TaskWorkerKilled };
        self.counts.note(killed, 1);
        self.die(node, kind, worker, "was killed by signal 9", readable);
    }
}
