//! The durable part of a partition: what its records have made of it. Changes only by [`State::apply`], which makes no
//! choice and reads nothing but the record and what earlier records left.
//!
//! In memory it mirrors what is unfinished: invocations with their journals, messages not yet acknowledged, promises
//! and decisions. Cells and kept results live in stored rows only.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::cell::{self, CellKey, CellRow, kind};
use protocol::ids::{AttemptId, InvocationId, PartitionId, Position, Stamp};
use protocol::message::DurableBody;
use protocol::record::{
    self, BadBytes, Body, CatalogueRow, CellWrite, DecisionRow, Dedup, DedupRow, Deploy, DoneRow, Forgotten, InboxRow,
    InvocationRow, JournalRow, MetaRow, PreparedRow, Record, Resolved, StatusChange, StatusRow, Step, TaskResult,
};
use protocol::worker::{Delivered, Outcome};

use crate::planted::{self, Bug};
use crate::rows::{RowChange, RowValue};
use crate::sizes;

/// An unfinished invocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) row: Arc<InvocationRow>,
    /// `None` while there is no row of it.
    pub(crate) status: Option<StatusRow>,
    pub(crate) journal: Vec<Arc<JournalRow>>,
    /// Results of tasks that no step has taken yet, by position.
    pub(crate) task_results: BTreeMap<String, Outcome>,
    /// Bytes of journal and results, its part of [`Unfinished::bytes`].
    bytes: usize,
}

/// The unfinished invocations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unfinished {
    by_id: BTreeMap<InvocationId, Stored>,
    bytes: usize,
}

impl Unfinished {
    pub(crate) fn has(&self, id: InvocationId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = InvocationId> {
        self.by_id.keys().copied()
    }

    /// Of their journals, and of results that no step has taken.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes one that is there.
    fn change<T>(&mut self, id: InvocationId, change: impl FnOnce(&mut Stored) -> T) -> Option<T> {
        let stored = self.by_id.get_mut(&id)?;
        let before = stored.bytes;
        let result = change(stored);
        self.bytes = self.bytes - before + stored.bytes;
        Some(result)
    }

    fn insert(&mut self, row: Arc<InvocationRow>) {
        if let Some(before) = self.by_id.insert(row.id, Stored { row, ..Stored::default() }) {
            self.bytes -= before.bytes;
        }
    }

    fn remove(&mut self, id: InvocationId) -> Option<Stored> {
        let stored = self.by_id.remove(&id)?;
        self.bytes -= stored.bytes;
        Some(stored)
    }
}

impl Stored {
    fn append(&mut self, row: Arc<JournalRow>) {
        self.bytes += sizes::step(&row);
        self.journal.push(row);
    }

    /// True if there was none at this position.
    fn put_result(&mut self, position: String, result: Outcome) -> bool {
        self.bytes += sizes::outcome(&result);
        let before = self.task_results.insert(position, result);
        self.bytes -= before.as_ref().map_or(0, sizes::outcome);
        before.is_none()
    }

    /// True if there was one at this position.
    fn take_result(&mut self, position: &str) -> bool {
        let before = self.task_results.remove(position);
        self.bytes -= before.as_ref().map_or(0, sizes::outcome);
        before.is_some()
    }
}

impl std::ops::Index<InvocationId> for Unfinished {
    type Output = Stored;

    fn index(&self, id: InvocationId) -> &Stored {
        &self.by_id[&id]
    }
}

/// Durable state, mirrored.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) invocations: Unfinished,
    pub(crate) outbox: BTreeMap<PartitionId, BTreeMap<u64, DurableBody>>,
    pub(crate) inbox: BTreeMap<PartitionId, InboxRow>,
    pub(crate) prepared: BTreeMap<AttemptId, PreparedRow>,
    pub(crate) decisions: BTreeMap<AttemptId, DecisionRow>,
    pub(crate) catalogue: CatalogueRow,
    pub(crate) meta: MetaRow,
    /// Position of the last record applied.
    pub(crate) applied: Position,
}

/// Rows that a record changes, in order.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) rows: Vec<(Vec<u8>, RowChange)>,
    /// Cells among them, for the cache.
    pub(crate) cells: Vec<(CellKey, Option<Arc<CellRow>>)>,
    /// Messages that entered the outbox: receiver, sequence number.
    pub(crate) sent: Vec<(PartitionId, u64)>,
}

impl Changes {
    fn put(&mut self, key: Vec<u8>, row: Vec<u8>) {
        self.rows.push((key, RowChange::Put(RowValue::Bytes(row))));
    }

    /// Says that there was no such row if `is_new`, which whoever has its like in memory knows.
    fn put_new(&mut self, is_new: bool, key: Vec<u8>, row: RowValue) {
        let change = if is_new { RowChange::Insert } else { RowChange::Put };
        self.rows.push((key, change(row)));
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.rows.push((key, RowChange::Delete));
    }
}

fn peer(id: PartitionId) -> [u8; 2] {
    id.0.to_be_bytes()
}

fn attempt_suffix(attempt: AttemptId) -> Vec<u8> {
    record::encode(&attempt)
}

fn outbox_row(to: PartitionId, seq: u64) -> Vec<u8> {
    let mut suffix = peer(to).to_vec();
    suffix.extend_from_slice(&seq.to_be_bytes());
    cell::partition_row(kind::OUTBOX, &suffix)
}

/// Key of the retention index: time until which a result is kept, invocation.
pub(crate) fn expiry_row(keep_until: u64, id: InvocationId) -> Vec<u8> {
    let mut suffix = keep_until.to_be_bytes().to_vec();
    suffix.extend_from_slice(&id.0);
    cell::partition_row(kind::EXPIRY, &suffix)
}

impl State {
    /// Takes in a stored row of an unfinished kind; rows of other kinds are left where they are.
    pub(crate) fn restore(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), BadBytes> {
        let Some((&row_kind, suffix)) = key.get(2..).and_then(<[u8]>::split_first) else { return Ok(()) };
        match row_kind {
            kind::INVOCATION => self.restore_invocation(record::decode(bytes, "invocation")?),
            kind::STATUS => {
                let status = record::decode(bytes, "status")?;
                self.restore_part(suffix, |stored| stored.status = Some(status));
            }
            kind::JOURNAL => {
                let row = Arc::new(record::decode(bytes, "journal step")?);
                // Rows come in order of their keys, so of their indexes.
                self.restore_part(suffix, |stored| stored.append(row));
            }
            kind::TASK_RESULT => {
                let Delivered { position, result } = record::decode(bytes, "result of a task")?;
                self.restore_part(suffix, |stored| _ = stored.put_result(position, result));
            }
            kind::OUTBOX => {
                let (to, seq) = peer_and_seq(suffix);
                self.outbox.entry(to).or_default().insert(seq, record::decode(bytes, "outgoing message")?);
            }
            kind::INBOX => {
                let (from, _) = peer_and_seq(suffix);
                self.inbox.insert(from, record::decode(bytes, "inbox")?);
            }
            kind::PREPARED => {
                let row: PreparedRow = record::decode(bytes, "prepared attempt")?;
                self.prepared.insert(row.attempt, row);
            }
            kind::DECISION => {
                let attempt = record::decode(suffix, "attempt")?;
                self.decisions.insert(attempt, record::decode(bytes, "decision")?);
            }
            kind::CATALOGUE => self.catalogue = record::decode(bytes, "catalogue")?,
            kind::META => self.meta = record::decode(bytes, "counters")?,
            _ => {}
        }
        Ok(())
    }

    /// The rows of an invocation may come in any order.
    fn restore_part(&mut self, suffix: &[u8], restore: impl FnOnce(&mut Stored)) {
        let id = invocation_of(suffix);
        self.invocations.by_id.entry(id).or_default();
        self.invocations.change(id, restore);
    }

    fn restore_invocation(&mut self, row: InvocationRow) {
        let id = row.id;
        self.invocations.by_id.entry(id).or_default().row = Arc::new(row);
    }

    /// Applies a record. Everything it leads to follows from it and from the records before it.
    pub(crate) fn apply(&mut self, position: Position, record: &Record) -> Changes {
        assert_eq!(record.version, 1, "a record of a later version must be refused when it is read");
        let mut changes = Changes::default();
        let time = self.meta.time;
        self.applied = position;
        self.apply_header(record, &mut changes);
        match &record.body {
            Body::Nothing => {}
            Body::Deploy(deploy) => self.apply_deploy(deploy, &mut changes),
            Body::Accept(row) => self.apply_accept(row, &mut changes),
            Body::Step(step) => self.apply_step(step, &mut changes),
            Body::Prepared(row) => {
                let key = cell::partition_row(kind::PREPARED, &attempt_suffix(row.attempt));
                let is_new = self.prepared.insert(row.attempt, row.clone()).is_none();
                changes.put_new(is_new, key, RowValue::Bytes(record::encode(row)));
            }
            Body::Resolved(resolved) => self.apply_resolved(resolved, &mut changes),
            Body::Status(change) => self.apply_status(change, &mut changes),
            Body::Forget(forgotten) => forgotten.iter().for_each(|one| forget(one, &mut changes)),
            Body::TaskResult(result) => self.apply_task_result(result, &mut changes),
        }
        if self.meta.time != time || !changes.sent.is_empty() {
            changes.put(cell::partition_row(kind::META, &[]), record::encode(&self.meta));
        }
        changes
    }

    fn apply_header(&mut self, record: &Record, changes: &mut Changes) {
        for accepted in &record.accepts {
            let inbox = self.inbox.entry(accepted.from).or_default();
            accept(inbox, accepted.seq, accepted.floor);
            changes.put(cell::partition_row(kind::INBOX, &peer(accepted.from)), record::encode(inbox));
        }
        for (to, seq) in &record.acknowledged {
            if self.outbox.get_mut(to).is_some_and(|messages| messages.remove(seq).is_some()) {
                changes.delete(outbox_row(*to, *seq));
            }
        }
        for attempt in &record.settled {
            if self.decisions.remove(attempt).is_some() {
                changes.delete(cell::partition_row(kind::DECISION, &attempt_suffix(*attempt)));
            }
        }
    }

    fn apply_deploy(&mut self, deploy: &Deploy, changes: &mut Changes) {
        self.catalogue.entries.extend(deploy.catalogue.iter().cloned());
        self.catalogue.deployment = deploy.deployment;
        changes.put(cell::partition_row(kind::CATALOGUE, &[]), record::encode(&self.catalogue));
        self.write_cells(&deploy.seeds, deploy.time, changes);
    }

    fn apply_accept(&mut self, row: &Arc<InvocationRow>, changes: &mut Changes) {
        let is_new = !self.invocations.has(row.id);
        let key = cell::invocation_row(kind::INVOCATION, row.id);
        changes.put_new(is_new, key, RowValue::Invocation(Arc::clone(row)));
        self.remember(row, changes);
    }

    fn remember(&mut self, row: &Arc<InvocationRow>, changes: &mut Changes) {
        if let Some(dedup) = row.dedup {
            let remembered = DedupRow { id: row.id, arguments: dedup.arguments };
            changes.put(cell::dedup_row(dedup.slot, &dedup.scope), record::encode(&remembered));
        }
        self.invocations.insert(Arc::clone(row));
    }

    fn apply_step(&mut self, step: &Step, changes: &mut Changes) {
        if let Some(row) = &step.accept {
            match step.done {
                None => self.apply_accept(row, changes),
                // Accepted and finished in one record: only the key needs to be remembered.
                Some(_) => self.remember(row, changes),
            }
        }
        self.write_cells(&step.writes, step.time, changes);
        for (to, body) in &step.messages {
            self.send(*to, body.clone(), changes);
        }
        if let Some(commit) = &step.commit {
            let row = DecisionRow { participants: commit.participants.clone(), time: step.time };
            self.meta.time = self.meta.time.max(step.time);
            let key = cell::partition_row(kind::DECISION, &attempt_suffix(commit.attempt));
            let bytes = record::encode(&row);
            let is_new = self.decisions.insert(commit.attempt, row).is_none();
            changes.put_new(is_new, key, RowValue::Bytes(bytes));
        }
        match &step.done {
            Some(_) => self.finish(step, changes),
            None => self.append_journal(step, changes),
        }
    }

    fn append_journal(&mut self, step: &Step, changes: &mut Changes) {
        self.invocations.change(step.invocation, |stored| {
            for row in &step.journal {
                let key = cell::journal_row(step.invocation, stored.journal.len() as u64);
                // Steps only join a journal; they go with it.
                changes.put_new(true, key, RowValue::Journal(Arc::clone(row)));
                for delivered in &row.delivered {
                    if stored.take_result(&delivered.position) {
                        changes.delete(cell::task_result_row(step.invocation, &delivered.position));
                    }
                }
                stored.append(Arc::clone(row));
            }
        });
    }

    fn finish(&mut self, step: &Step, changes: &mut Changes) {
        let Some(stored) = self.invocations.remove(step.invocation) else { return };
        let Some(done) = &step.done else { return };
        let id = step.invocation;
        if step.accept.is_none() {
            changes.delete(cell::invocation_row(kind::INVOCATION, id));
        }
        if stored.status.is_some() {
            changes.delete(cell::invocation_row(kind::STATUS, id));
        }
        for index in 0..stored.journal.len() {
            changes.delete(cell::journal_row(id, index as u64));
        }
        for position in stored.task_results.keys() {
            changes.delete(cell::task_result_row(id, position));
        }
        let Some(keep_until) = done.keep_until else { return };
        let call = &stored.row.call;
        let row = DoneRow {
            service: call.service.clone(),
            key: call.key.clone(),
            method: call.method.clone(),
            accepted: call.accepted,
            done: done.clone(),
            dedup: stored.row.dedup,
        };
        changes.put(cell::invocation_row(kind::DONE, id), record::encode(&row));
        changes.put(expiry_row(keep_until, id), stored.row.dedup.map_or_else(Vec::new, |dedup| record::encode(&dedup)));
    }

    fn apply_resolved(&mut self, resolved: &Resolved, changes: &mut Changes) {
        let Some(row) = self.prepared.remove(&resolved.attempt) else { return };
        changes.delete(cell::partition_row(kind::PREPARED, &attempt_suffix(resolved.attempt)));
        if let Some(time) = resolved.committed {
            self.write_cells(&row.writes, time, changes);
            for (to, body) in row.messages {
                if planted::is(Bug::ForgottenSend) {
                    continue;
                }
                self.send(to, body, changes);
            }
        }
    }

    fn apply_status(&mut self, change: &StatusChange, changes: &mut Changes) {
        if let Some(row) = &change.accept {
            self.apply_accept(row, changes);
        }
        let status = StatusRow { parked: change.parked.clone(), cancel: change.cancel };
        let key = cell::invocation_row(kind::STATUS, change.invocation);
        let bytes = record::encode(&status);
        let is_new = self.invocations.change(change.invocation, |stored| stored.status.replace(status).is_none());
        if let Some(is_new) = is_new {
            changes.put_new(is_new, key, RowValue::Bytes(bytes));
        }
    }

    fn apply_task_result(&mut self, entry: &TaskResult, changes: &mut Changes) {
        let Delivered { position, result } = &entry.result;
        let put = |stored: &mut Stored| stored.put_result(position.clone(), result.clone());
        if let Some(is_new) = self.invocations.change(entry.invocation, put) {
            let key = cell::task_result_row(entry.invocation, position);
            changes.put_new(is_new, key, RowValue::Bytes(record::encode(&entry.result)));
        }
    }

    fn send(&mut self, to: PartitionId, body: DurableBody, changes: &mut Changes) {
        let index = usize::from(to.0);
        if self.meta.next_seq.len() <= index {
            self.meta.next_seq.resize(index + 1, 0);
        }
        let seq = self.meta.next_seq[index];
        self.meta.next_seq[index] += 1;
        let bytes = record::encode(&body);
        let is_new = self.outbox.entry(to).or_default().insert(seq, body).is_none();
        changes.put_new(is_new, outbox_row(to, seq), RowValue::Bytes(bytes));
        changes.sent.push((to, seq));
    }

    fn write_cells(&mut self, writes: &[CellWrite], time: u64, changes: &mut Changes) {
        if writes.is_empty() {
            return;
        }
        self.meta.time = self.meta.time.max(time);
        let left_out = usize::from(planted::is(Bug::PartialStep) && writes.len() > 1);
        for write in &writes[..writes.len() - left_out] {
            let row = write.put.as_ref().map(|put| {
                let written = Stamp { time, counter: put.counter };
                let inserted = put.inserted.unwrap_or(written);
                let (value, key) = (put.value.clone(), put.key.clone());
                let (updates, incarnation) = (put.updates, put.incarnation);
                Arc::new(CellRow { value, key, inserted, written, updates, incarnation })
            });
            let value = row.clone().map(RowValue::Cell);
            changes.rows.push((write.cell.row(), value.map_or(RowChange::Delete, RowChange::Put)));
            changes.cells.push((write.cell.clone(), row));
        }
    }

    /// Is this message of `from` taken in already?
    pub(crate) fn accepted(&self, from: PartitionId, seq: u64) -> bool {
        let below = |inbox: &InboxRow| seq < inbox.below && !planted::is(Bug::InboxMoved);
        self.inbox.get(&from).is_some_and(|inbox| below(inbox) || inbox.above.binary_search(&seq).is_ok())
    }

    /// Lowest sequence number to `to` that is not settled.
    pub(crate) fn floor(&self, to: PartitionId) -> u64 {
        let unsettled = self.outbox.get(&to).and_then(|messages| messages.first_key_value()).map(|(seq, _)| *seq);
        unsettled.unwrap_or_else(|| self.meta.next_seq.get(usize::from(to.0)).copied().unwrap_or(0))
    }
}

fn invocation_of(suffix: &[u8]) -> InvocationId {
    let mut bytes = [0; 16];
    let len = suffix.len().min(16);
    bytes[..len].copy_from_slice(&suffix[..len]);
    InvocationId(bytes)
}

fn peer_and_seq(suffix: &[u8]) -> (PartitionId, u64) {
    let number = |bytes: Option<&[u8]>| {
        bytes.unwrap_or_default().iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    (PartitionId(number(suffix.get(..2)) as u16), number(suffix.get(2..10)))
}

fn accept(inbox: &mut InboxRow, seq: u64, floor: u64) {
    if let Err(index) = inbox.above.binary_search(&seq)
        && seq >= inbox.below
    {
        inbox.above.insert(index, seq);
    }
    inbox.below = inbox.below.max(floor);
    let below = &mut inbox.below;
    inbox.above.retain(|seq| {
        if *seq == *below && !planted::is(Bug::InboxGrows) {
            *below += 1;
        }
        *seq >= *below
    });
}

fn forget(one: &Forgotten, changes: &mut Changes) {
    changes.delete(cell::invocation_row(kind::DONE, one.id));
    changes.delete(expiry_row(one.keep_until, one.id));
    if let Some(Dedup { slot, scope, .. }) = one.dedup.filter(|_| !planted::is(Bug::KeyKept)) {
        changes.delete(cell::dedup_row(slot, &scope));
    }
}
