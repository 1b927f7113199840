//! A partition: its parts, the dispatch of inputs, the one place where records are proposed, recovery and start.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use protocol::cell::CellKey;
use protocol::ids::{AttemptId, InvocationId, Micros, PartitionId, Position, RunNumber, Slot};
use protocol::manifest::FieldKind;
use protocol::message::{DurableBody, Message};
use protocol::record::{Accepted, BadBytes, Body, CatalogueRow, CellPut, CellWrite, Deploy, Record};
use protocol::worker::FromWorker;
use protocol::{Value, msgpack};

use crate::begin::{Group, Load};
use crate::config::Config;
use crate::deployment::{Cells, Deployment, Numbered, Numbers};
use crate::io::{Effect, Input, Turn};
use crate::limits::{ACKNOWLEDGE_DELAY, ACKNOWLEDGED_MAX, FORGET_PERIOD};
use crate::live::Live;
use crate::locks::LockTable;
use crate::participant::Participant;
use crate::planted::{self, Bug};
use crate::restart::Fence;
use crate::state::State;
use crate::turns::Turns;

/// One partition.
#[derive(Clone, Debug)]
pub struct Partition {
    pub(crate) config: Config,
    pub(crate) deployment: Arc<Deployment>,
    pub(crate) numbers: Numbers,
    pub(crate) state: State,
    /// Only [`Self::enter`] and [`Self::remove`] change who is here.
    pub(crate) live: BTreeMap<InvocationId, Box<Live>>,
    /// About what they take, without their journals.
    pub(crate) live_bytes: usize,
    pub(crate) locks: LockTable,
    pub(crate) turns: Turns,
    pub(crate) cells: crate::cells::CellCache,
    pub(crate) participants: BTreeMap<AttemptId, Participant>,
    pub(crate) dead: BTreeSet<AttemptId>,
    pub(crate) dead_order: VecDeque<AttemptId>,
    pub(crate) runs: BTreeMap<RunNumber, InvocationId>,
    pub(crate) timers: BTreeSet<(Micros, InvocationId, String)>,
    /// Tasks that the runtime has.
    pub(crate) task_runs: BTreeMap<RunNumber, (InvocationId, String)>,
    /// Tasks that wait until it has fewer; may name some that are over.
    pub(crate) tasks_waiting: VecDeque<(InvocationId, String)>,
    pub(crate) loads: BTreeMap<u64, Load>,
    pub(crate) groups: BTreeMap<u64, Group>,
    pub(crate) epochs: BTreeMap<PartitionId, u64>,
    pub(crate) fence: Fence,
    pub(crate) strikes: BTreeMap<(InvocationId, String), u32>,
    /// Idempotency keys of unfinished invocations.
    pub(crate) keys: BTreeMap<(Slot, [u8; 16]), InvocationId>,
    /// Where the outbox holds the call of a child.
    pub(crate) calls: BTreeMap<InvocationId, (PartitionId, u64)>,
    pub(crate) acknowledged: Vec<(PartitionId, u64)>,
    pub(crate) acknowledged_since: Micros,
    pub(crate) settled: Vec<AttemptId>,
    /// Participants that have not yet acknowledged a decision.
    pub(crate) deciding: BTreeMap<AttemptId, BTreeSet<PartitionId>>,
    pub(crate) next_run: u64,
    pub(crate) next_attempt: u64,
    pub(crate) next_ticket: u64,
    pub(crate) next_sweep: Micros,
}

impl Partition {
    /// An empty partition; [`Partition::restore`] and [`Partition::replay`] follow.
    pub fn new(config: Config, deployment: Arc<Deployment>) -> Self {
        let cells = crate::cells::CellCache::new(config.cells_bytes_max);
        Self {
            config,
            deployment,
            numbers: Numbers::default(),
            state: State::default(),
            live: BTreeMap::new(),
            live_bytes: 0,
            locks: LockTable::default(),
            turns: Turns::default(),
            cells,
            participants: BTreeMap::new(),
            dead: BTreeSet::new(),
            dead_order: VecDeque::new(),
            runs: BTreeMap::new(),
            timers: BTreeSet::new(),
            task_runs: BTreeMap::new(),
            tasks_waiting: VecDeque::new(),
            loads: BTreeMap::new(),
            groups: BTreeMap::new(),
            epochs: BTreeMap::new(),
            fence: Fence::default(),
            strikes: BTreeMap::new(),
            keys: BTreeMap::new(),
            calls: BTreeMap::new(),
            deciding: BTreeMap::new(),
            acknowledged: Vec::new(),
            acknowledged_since: 0,
            settled: Vec::new(),
            next_run: 1,
            next_attempt: 1,
            next_ticket: 1,
            next_sweep: 0,
        }
    }

    /// Takes in a stored row of a kind that describes unfinished work; other kinds are ignored.
    pub fn restore(&mut self, key: &[u8], row: &[u8]) -> Result<(), BadBytes> {
        self.state.restore(key, row)
    }

    /// Applies a record of the log during recovery: only rows come out.
    pub fn replay(&mut self, position: Position, record: &Record, turn: &mut Turn) {
        let changes = self.state.apply(position, record);
        turn.writes.extend(changes.rows.into_iter().map(|(key, row)| (position, key, row)));
    }

    /// The numbers of services and fields, and the current deployment.
    pub fn catalogue(&self) -> &CatalogueRow {
        &self.state.catalogue
    }

    /// Makes the deployment current. `first` is the catalogue of partition 0, on which this is called first: all
    /// partitions give the same numbers.
    pub fn deploy(&mut self, first: &CatalogueRow, turn: &mut Turn) {
        let manifest = self.deployment.manifest();
        self.numbers = Numbers::new(first, manifest);
        let mut catalogue: Vec<_> =
            first.entries.iter().filter(|entry| !self.state.catalogue.entries.contains(entry)).cloned().collect();
        catalogue.extend(self.numbers.missing(manifest));
        if catalogue.is_empty() && self.state.catalogue.deployment == manifest.deployment {
            return;
        }
        let deployment = manifest.deployment;
        let mut entries = self.state.catalogue.entries.clone();
        entries.extend(catalogue.iter().cloned());
        self.numbers = Numbers::new(&CatalogueRow { entries, deployment }, manifest);
        let seeds = self.seeds(&catalogue);
        let time = self.time(turn);
        self.log(Body::Deploy(Deploy { deployment, catalogue, seeds, time }), Vec::new(), turn);
    }

    /// Initial entries of new dict fields that live on this partition.
    fn seeds(&self, new: &[(String, String, u32)]) -> Vec<CellWrite> {
        let mut seeds = Vec::new();
        for (service, name, number) in new {
            let Some(field) = self.deployment.manifest().service(service).and_then(|s| s.field(name)) else { continue };
            let Ok(Value::Dict(entries)) = msgpack::decode(&field.initial) else { continue };
            if field.kind != FieldKind::Dict {
                continue;
            }
            let number = Numbered { number: *number, together: false };
            let Ok(cells) = Cells::new(service, None) else { continue };
            for (counter, (key, value)) in entries.iter().enumerate() {
                let (Ok(key), Ok(value)) = (msgpack::encode(key), msgpack::encode(value)) else { continue };
                let Ok(cell) = cells.cell(number, Some(&key)) else { continue };
                if cell.slot.partition(self.config.partitions) == self.config.id {
                    let put = CellPut { value, key: Some(key), counter: counter as u32, ..CellPut::default() };
                    seeds.push(CellWrite { cell, put: Some(put) });
                }
            }
        }
        seeds
    }

    /// After the whole log has been read: tell the others of the new epoch, send unacknowledged messages again, take
    /// the locks of promises and the turns of suspended operations, and go on with unfinished work.
    pub fn start(&mut self, turn: &mut Turn) {
        if planted::is(Bug::ForgottenDecision) {
            self.state.decisions.clear();
        }
        self.numbers = Numbers::new(&self.state.catalogue, self.deployment.manifest());
        self.next_sweep = turn.now + FORGET_PERIOD;
        self.begin_epoch(turn);
        self.resume_promises(turn);
        self.revive_all(turn);
        self.send_outbox(None, turn);
        self.settle(turn);
    }

    /// Takes in one input.
    pub fn handle(&mut self, input: Input, turn: &mut Turn) {
        match input {
            Input::Submit(submit) => self.submit(*submit, turn),
            Input::Message { from, message } => self.message(from, message, turn),
            Input::Worker(FromWorker::End(end)) => self.step_ended(*end, turn),
            Input::Worker(FromWorker::Fetch { run, field, what }) => self.fetch(run, &field, what, turn),
            Input::Worker(FromWorker::Dropped { run }) => self.step_dropped(run, turn),
            Input::Worker(FromWorker::Departed { run, step, expected, actual, .. }) => {
                self.departed(run, step, &expected, &actual, turn);
            }
            // The pool deals with it; a partition has nothing to do.
            Input::Worker(
                FromWorker::Ready { .. }
                | FromWorker::Busy(_)
                | FromWorker::TaskEnd { .. }
                | FromWorker::TaskOutput { .. },
            ) => {}
            Input::TaskStarted { run } => self.task_started(run),
            Input::TaskEnded { run, outcome, is_final } => self.task_ended(run, outcome, is_final, turn),
            Input::WorkersLost { runs, suspended, cause } => self.workers_lost(&runs, &suspended, &cause, turn),
            Input::Crowded { invocation } => self.crowded(invocation, turn),
            Input::Loaded { ticket, rows, cut } => self.loaded(ticket, rows, cut, turn),
            Input::Await { token, id } => self.wait_for(token, id, turn),
            Input::Forget { token } => self.forget_client(token),
            Input::Cancel { token, id, kill } => self.cancel(token, id, kill, turn),
            Input::Unpark { token, id } => self.unpark(token, id, turn),
            Input::Tick => self.tick(turn),
        }
        self.settle(turn);
        if self.acknowledged.len() > ACKNOWLEDGED_MAX {
            self.log(Body::Nothing, Vec::new(), turn);
        }
        let locks = &self.locks;
        self.cells.trim(|cell| locks.is_held(cell));
    }

    /// When the partition wants a [`Input::Tick`] at the latest.
    pub fn next_wake(&self) -> Option<Micros> {
        let timer = self.timers.first().map(|(due, _, _)| *due);
        let acknowledge = (!self.acknowledged.is_empty() || !self.settled.is_empty())
            .then(|| self.acknowledged_since + ACKNOWLEDGE_DELAY);
        timer.into_iter().chain(acknowledge).chain(Some(self.next_sweep)).min()
    }

    /// Nothing is held, waited for, owed or under way: for tests of leaks.
    pub fn is_quiet(&self) -> bool {
        let idle = self.live.is_empty() && self.locks.is_empty() && self.participants.is_empty();
        idle && self.state.prepared.is_empty() && self.unfinished_bytes() == 0 && self.fence.is_over()
    }

    /// About how many bytes of memory its unfinished invocations take.
    pub fn unfinished_bytes(&self) -> usize {
        self.live_bytes + self.state.invocations.bytes()
    }

    pub(crate) fn enter(&mut self, id: InvocationId, live: Box<Live>) {
        self.live_bytes += live.bytes();
        self.live.insert(id, live);
    }

    pub(crate) fn remove(&mut self, id: InvocationId) -> Option<Box<Live>> {
        let live = self.live.remove(&id)?;
        self.live_bytes -= live.bytes();
        Some(live)
    }

    fn tick(&mut self, turn: &mut Turn) {
        while let Some((due, id, position)) = self.timers.first().cloned() {
            if due > turn.now {
                break;
            }
            self.timers.remove(&(due, id, position.clone()));
            self.timer_due(id, &position, turn);
        }
        let waiting = !self.acknowledged.is_empty() || !self.settled.is_empty();
        if waiting && self.acknowledged_since + ACKNOWLEDGE_DELAY <= turn.now {
            self.log(Body::Nothing, Vec::new(), turn);
        }
        if self.next_sweep <= turn.now {
            self.next_sweep = turn.now + FORGET_PERIOD;
            self.sweep(turn);
        }
    }

    /// Appends a record, applies it, and carries out what follows from every record alike: rows, the cell cache,
    /// messages of the outbox, acknowledgements.
    pub(crate) fn log(&mut self, body: Body, accepts: Vec<Accepted>, turn: &mut Turn) -> Position {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        let settled = std::mem::take(&mut self.settled);
        let record = Record { version: 1, accepts, acknowledged, settled, body };
        let position = turn.next;
        turn.next.0 += 1;
        let changes = self.state.apply(position, &record);
        turn.writes.extend(changes.rows.into_iter().map(|(key, row)| (position, key, row)));
        for (cell, row) in changes.cells {
            self.cells.written(cell, row, position);
        }
        for (to, seq) in changes.sent {
            self.send_durable(to, seq, position, turn);
        }
        let mut seqs: BTreeMap<PartitionId, Vec<u64>> = BTreeMap::new();
        for accepted in &record.accepts {
            seqs.entry(accepted.from).or_default().push(accepted.seq);
        }
        for (to, seqs) in seqs {
            let message = Message::Acknowledge { seqs };
            turn.effects.push(Effect::Send { to, after: position, message });
        }
        turn.records.push(record);
        position
    }

    fn send_durable(&mut self, to: PartitionId, seq: u64, after: Position, turn: &mut Turn) {
        let floor = self.state.floor(to);
        let Some(body) = self.state.outbox.get(&to).and_then(|messages| messages.get(&seq)).cloned() else { return };
        if let DurableBody::Call { id, call } = &body
            && call.parent.is_some()
        {
            self.calls.insert(*id, (to, seq));
        }
        turn.effects.push(Effect::Send { to, after, message: Message::Durable { seq, floor, body } });
    }

    /// Sends everything unacknowledged again, to all partitions or to one.
    pub(crate) fn send_outbox(&mut self, only: Option<PartitionId>, turn: &mut Turn) {
        let rows: Vec<_> = self
            .state
            .outbox
            .iter()
            .filter(|(to, _)| only.is_none_or(|wanted| wanted == **to))
            .flat_map(|(to, messages)| messages.keys().map(|seq| (*to, *seq)))
            .collect();
        for (to, seq) in rows {
            if planted::is(Bug::LostReply) && matches!(self.state.outbox[&to][&seq], DurableBody::Result(_)) {
                continue;
            }
            self.send_durable(to, seq, self.state.applied, turn);
        }
    }

    /// A volatile message. It may rest on anything that is applied.
    pub(crate) fn send(&self, to: PartitionId, message: Message, turn: &mut Turn) {
        turn.effects.push(Effect::Send { to, after: self.state.applied, message });
    }

    /// An own message that its receiver has logged; a later record says so.
    pub(crate) fn acknowledge(&mut self, to: PartitionId, seq: u64, now: Micros) {
        if self.acknowledged.is_empty() {
            self.acknowledged_since = now;
        }
        self.acknowledged.push((to, seq));
    }

    /// Hybrid time of a commit decision now.
    pub(crate) fn time(&self, turn: &Turn) -> u64 {
        turn.now.max(self.state.meta.time + 1)
    }

    pub(crate) fn new_attempt(&mut self, owner: InvocationId) -> AttemptId {
        let counter = self.next_attempt;
        if !planted::is(Bug::ReusedAttempt) {
            self.next_attempt += 1;
        }
        AttemptId { owner, epoch: self.config.epoch, counter }
    }

    pub(crate) fn others(&self) -> Vec<PartitionId> {
        (0..self.config.partitions).map(PartitionId).filter(|id| *id != self.config.id).collect()
    }

    pub(crate) fn home_of(&self, id: InvocationId) -> PartitionId {
        id.slot().partition(self.config.partitions)
    }

    pub(crate) fn partition_of(&self, cell: &CellKey) -> PartitionId {
        cell.slot.partition(self.config.partitions)
    }
}
