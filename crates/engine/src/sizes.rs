//! How many bytes things take in a record: never less than they do, and little more. A record has a limit, and one over
//! it would end the node, so whatever adds to one asks here first.

use protocol::cell::CellRow;
use protocol::limits::RECORD_BYTES_MAX;
use protocol::message::{Call, DurableBody, Turn};
use protocol::record::{CellWrite, JournalRow, OpRow, OpRowKind};
use protocol::worker::{Op, OpKind, Outcome, Slice, StepStatus, Target, TaskCall};

use crate::live::Ready;

/// What a record may hold of journal, writes, calls and results: all but what frames them.
pub(crate) const CONTENT_BYTES_MAX: usize = RECORD_BYTES_MAX - 32 * 1024;

/// Heads of a few fields: tags, lengths, numbers.
const HEADS: usize = 24;
/// An invocation's id.
const ID: usize = 18;

/// A call without names, key and arguments: heads, seed, times, the ids of call, root and parent.
const CALL: usize = 2 * HEADS + 34 + 18 + 3 * ID;

/// A result on its way to a coroutine: in the journal, with the message that brought it.
pub(crate) fn ready(ready: &Ready) -> usize {
    2 * HEADS + ready.delivered.position.len() + outcome(&ready.delivered.result)
}

pub(crate) fn outcome(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Value(bytes) | Outcome::Exception(bytes) => bytes.len(),
    }
}

/// A step in the journal, without its operations.
pub(crate) fn journal(row: &JournalRow) -> usize {
    let delivered = row.delivered.iter().map(|one| 2 * HEADS + one.position.len() + outcome(&one.result));
    let waits = row.waits.iter().map(|position| 3 + position.len());
    let held = row.held.cells.iter().map(|cell| HEADS + cell.field.len() + cell.key.as_ref().map_or(0, Vec::len));
    let wholes = row.held.wholes.iter().map(|field| 3 + field.len());
    slice(&row.reads) + delivered.chain(waits).chain(held).chain(wholes).sum::<usize>()
}

/// A step in the journal with its operations.
pub(crate) fn step(row: &JournalRow) -> usize {
    journal(row) + row.ops.iter().map(operation_row).sum::<usize>()
}

fn operation_row(row: &OpRow) -> usize {
    let what = match &row.kind {
        OpRowKind::Call { target, .. } => ID + 4 + target.len(),
        OpRowKind::Task(call) => task(call),
        OpRowKind::Cancel(position) => position.len(),
        OpRowKind::Send { target } => 4 + target.len(),
        OpRowKind::Commit(doom) => HEADS + doom.as_ref().map_or(0, Vec::len),
        OpRowKind::Sleep(_) | OpRowKind::Begin | OpRowKind::Rollback => 9,
    };
    8 + row.position.len() + what
}

/// Exactly, as a step may ask for thousands of tasks.
fn task(call: &TaskCall) -> usize {
    let text = |length: usize| head(length as u64) + length;
    let numbers =
        head(call.retries.into()) + call.timeout.map_or(1, head) + head(call.backoff) + head(call.backoff_max);
    let flags = 2;
    1 + text(call.function.len()) + text(call.args.len()) + numbers + flags
}

/// Bytes of a number, or of the length of something, in CBOR.
fn head(number: u64) -> usize {
    match number {
        0..=0x17 => 1,
        0x18..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

fn slice(reads: &Slice) -> usize {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let cells = reads.cells.iter().map(|cell| HEADS + cell.field.len() + length(&cell.key) + length(&cell.value));
    let entries = reads.wholes.iter().flat_map(|(_, entries)| entries);
    cells.sum::<usize>() + entries.map(|(key, value, _)| HEADS + key.len() + value.len()).sum::<usize>()
}

/// An operation in the journal.
pub(crate) fn operation(op: &Op) -> usize {
    let what = match &op.kind {
        OpKind::Call(target) | OpKind::Send(target) => ID + 4 + target.service.len() + target.method.len(),
        OpKind::Task(call) => task(call),
        OpKind::Cancel(position) => position.len(),
        OpKind::Sleep(_) | OpKind::Begin | OpKind::Commit | OpKind::Rollback(_) => 9,
    };
    8 + op.position.len() + what
}

/// The message of an operation, if it sends one outside of transactions.
pub(crate) fn operation_message(op: &Op, chain: &[Turn]) -> usize {
    match &op.kind {
        OpKind::Call(target) => call_to(target) + op.position.len() + turns(chain),
        OpKind::Send(target) => call_to(target),
        OpKind::Cancel(_) => HEADS + ID,
        OpKind::Sleep(_) | OpKind::Task(_) | OpKind::Begin | OpKind::Commit | OpKind::Rollback(_) => 0,
    }
}

/// A call, without the turns of those who wait for it.
pub(crate) fn call(call: &Call) -> usize {
    CALL + named(&call.service, &call.method, call.key.as_deref(), &call.args)
}

fn call_to(target: &Target) -> usize {
    CALL + named(&target.service, &target.method, target.key.as_deref(), &target.args)
}

fn named(service: &str, method: &str, key: Option<&[u8]>, args: &[u8]) -> usize {
    service.len() + method.len() + key.map_or(0, <[u8]>::len) + args.len()
}

fn turns(chain: &[Turn]) -> usize {
    let key = |turn: &Turn| turn.cell.entity.as_ref().map_or(0, Vec::len);
    chain.iter().map(|turn| HEADS + ID + key(turn)).sum()
}

/// A message that waits for a commit.
pub(crate) fn message(body: &DurableBody) -> usize {
    match body {
        DurableBody::Call { call: of, .. } => call(of) + turns(&of.chain),
        DurableBody::Result(result) => 2 * HEADS + 2 * ID + result.parent.position.len() + outcome(&result.outcome),
        DurableBody::Cancel { .. } => HEADS + ID,
    }
}

/// A write.
pub(crate) fn write(write: &CellWrite) -> usize {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let put = write.put.as_ref().map_or(0, |put| 2 * HEADS + put.value.len() + length(&put.key));
    HEADS + length(&write.cell.entity) + length(&write.cell.key) + put
}

/// A stored cell.
pub(crate) fn cell(row: &CellRow) -> usize {
    3 * HEADS + row.value.len() + row.key.as_ref().map_or(0, Vec::len)
}

/// The result of a step that ends its method.
pub(crate) fn status(status: &StepStatus) -> usize {
    match status {
        StepStatus::Suspended => 0,
        StepStatus::Returned(bytes) | StepStatus::Raised(bytes) | StepStatus::NotStorable(bytes) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::cell::CellKey;
    use protocol::ids::{InvocationId, PartitionId, Stamp};
    use protocol::message::Parent;
    use protocol::record::{self, CellPut, Step};
    use protocol::worker::{Delivered, Held, HeldCell, SliceCell};

    use super::*;

    const LARGE: u64 = u64::MAX;

    fn target() -> Target {
        Target { service: "S".into(), key: Some(vec![1; 3]), method: "m".into(), args: vec![0x92; 2] }
    }

    fn id() -> InvocationId {
        InvocationId([0xff; 16])
    }

    /// Bytes that a step of this kind adds to a record, and what we say that it adds.
    fn added(fill: impl Fn(&mut Step), said: usize) {
        let bytes = |step: Step| record::encode(&step).len();
        let mut filled = Step::default();
        fill(&mut filled);
        let real = bytes(filled) - bytes(Step::default());
        assert!(real <= said, "{real} bytes, and we said {said}");
        assert!(said <= 5 * real + 64, "{real} bytes, and we said {said}: far too much");
    }

    fn journal_of(row: JournalRow, count: usize) {
        let said = count * journal(&row);
        let row = Arc::new(row);
        added(|step| step.journal = vec![Arc::clone(&row); count], said + 16 * count);
    }

    #[test]
    fn results_and_reads() {
        let delivered = Delivered { position: "12.345".into(), result: Outcome::Value(vec![1]) };
        journal_of(JournalRow { delivered: vec![delivered; 1000], ..JournalRow::default() }, 2);
        journal_of(JournalRow { waits: vec!["12345".into(); 1000], ..JournalRow::default() }, 2);
        let cell = SliceCell { field: "f".into(), key: Some(vec![1]), value: Some(vec![2; 300]), incarnation: LARGE };
        let entry = (vec![1], vec![2], LARGE);
        let reads = Slice { cells: vec![cell; 100], wholes: vec![("field".into(), vec![entry; 300])] };
        let held = Held { cells: vec![HeldCell { field: "f".into(), key: None }; 50], wholes: vec!["g".into()] };
        journal_of(JournalRow { reads, held, clock: LARGE, ..JournalRow::default() }, 2);
    }

    #[test]
    fn operations_and_their_messages() {
        let task = TaskCall { function: "module.f".into(), args: vec![0x90; 4], backoff: LARGE, ..TaskCall::default() };
        let ops = [
            OpKind::Call(target()),
            OpKind::Task(task.clone()),
            OpKind::Sleep(LARGE),
            OpKind::Cancel("1".into()),
            OpKind::Send(target()),
            OpKind::Begin,
            OpKind::Commit,
        ];
        let rows = [
            OpRowKind::Call { child: id(), target: "S.m".into() },
            OpRowKind::Task(task),
            OpRowKind::Sleep(LARGE),
            OpRowKind::Cancel("1".into()),
            OpRowKind::Send { target: "S.m".into() },
            OpRowKind::Begin,
            OpRowKind::Commit(Some(vec![1; 30])),
        ];
        for (kind, row) in ops.into_iter().zip(rows) {
            let op = Op { position: "123.4".into(), kind };
            let row = OpRow { position: op.position.clone(), kind: row };
            let said = match op.kind {
                // Its doom comes with its row only.
                OpKind::Commit => operation_row(&row),
                _ => operation(&op).min(operation_row(&row)),
            };
            let rows = vec![row; 100];
            added(
                |step| step.journal = vec![Arc::new(JournalRow { ops: rows.clone(), ..JournalRow::default() })],
                100 * said + 16,
            );
        }
        let call = Call {
            service: "S".into(),
            key: Some(vec![1; 3]),
            method: "m".into(),
            args: vec![0x92; 2],
            seed: [0xff; 32],
            accepted: LARGE,
            parent: Some(Parent { invocation: id(), position: "123.4".into() }),
            age: protocol::ids::Age { accepted: LARGE, root: id() },
            chain: Vec::new(),
        };
        let op = Op { position: "123.4".into(), kind: OpKind::Call(target()) };
        let body = DurableBody::Call { id: id(), call };
        assert!(message(&body) <= operation_message(&op, &[]));
        let said = 100 * message(&body);
        added(|step| step.messages = vec![(PartitionId(500), body.clone()); 100], said + 16);
    }

    #[test]
    fn a_task_has_exactly_as_many_bytes() {
        for number in [0, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, LARGE] {
            let length = number.min(70_000) as usize;
            let call = TaskCall {
                function: "f".repeat(length),
                args: vec![0x90; length],
                retries: number.min(u32::MAX.into()) as u32,
                timeout: (number > 30).then_some(number),
                backoff: number,
                backoff_max: LARGE - number,
                is_pure: number > 100,
                is_async: number > 1000,
            };
            assert_eq!(task(&call), record::encode(&call).len(), "{number}");
        }
    }

    #[test]
    fn writes() {
        let last = Stamp { time: LARGE, counter: u32::MAX };
        let put = CellPut {
            value: vec![1],
            key: Some(vec![2]),
            inserted: Some(last),
            updates: u32::MAX,
            counter: u32::MAX,
            incarnation: LARGE,
        };
        let cell = CellKey { field: u32::MAX, key: Some(vec![3]), entity: Some(vec![4]), ..CellKey::default() };
        let one = CellWrite { cell, put: Some(put) };
        let said = 100 * write(&one);
        added(|step| step.writes = vec![one.clone(); 100], said + 16);
    }
}
