//! What goes wrong, and the network between nodes.

use std::sync::PoisonError;

use protocol::ids::PartitionId;
use protocol::message::Message;
use store::faulty::Survivors;

use super::process::Kind;
use super::{Event, World};
use crate::plan::{FAULTS_END, Fault};

impl World {
    pub(super) fn fault(&mut self, fault: &Fault) {
        self.trace(|| format!("FAULT {fault:?}"));
        let now = self.time.now();
        match *fault {
            Fault::PowerLoss(node) => {
                let survivors = self.survivors();
                self.crash(node, survivors);
            }
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
            Fault::ClockJump(node, micros) => self.machines[node].clock.jump(micros),
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
            let mut after = self.delay(self.plan.net);
            if (from.0 + to.0) % 2 == 1 {
                after *= self.plan.slow_link;
            }
            let arrives = (self.time.now() + after).max(self.links.get(&(from, to)).map_or(0, |last| last + 1));
            self.links.insert((from, to), arrives);
            let again = matches!(message, Message::Durable { .. }) && self.plan.duplicates && self.rng.once_in(4);
            if again && self.time.now() < FAULTS_END {
                let late = arrives + self.delay(self.plan.net * 10);
                let copy = Box::new(message.clone());
                self.at(late, Event::Deliver(node, sent_by, sent_to, from, to, copy));
            }
            self.at(arrives, Event::Deliver(node, sent_by, sent_to, from, to, Box::new(message)));
        }
    }

    pub(super) fn deliver(
        &mut self,
        (sender, sent_by): (usize, u32),
        sent_to: u32,
        (from, to): (PartitionId, PartitionId),
        message: Message,
    ) {
        let receiver = self.plan.node_of(to.0);
        let cut = self.cut.get(&(sender, sent_by)).is_some_and(|cut| self.time.now() > *cut);
        let machine = &self.machines[receiver];
        let arrives = machine.up.is_some() && machine.life == sent_to && !cut;
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
        self.die(node, kind, worker, "was killed by signal 9", readable);
    }
}
