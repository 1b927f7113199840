//! Golden vectors of what is on disk: the bytes of records and rows never change meaning.

use std::sync::Arc;

use protocol::cell::{CellKey, CellRow};
use protocol::ids::{Age, AttemptId, DeploymentId, InvocationId, PartitionId, Slot, Stamp};
use protocol::message::{Call, CallResult, DurableBody, Parent};
use protocol::record::{
    Accepted, Body, CellPut, CellWrite, Commit, Deploy, Done, Forgotten, InvocationRow, JournalRow, OpRow, OpRowKind,
    Parked, PreparedRow, Record, Resolved, StatusChange, Step, TaskResult, decode, encode,
};
use protocol::worker::{Delivered, Held, HeldCell, Outcome, Slice, SliceCell};

fn id(byte: u8) -> InvocationId {
    InvocationId::new(Slot(7), [byte; 16])
}

fn attempt() -> AttemptId {
    AttemptId { owner: id(1), epoch: 2, counter: 3 }
}

fn cell() -> CellKey {
    CellKey { slot: Slot(9), field: 4, entity: Some(vec![1, 2]), key: Some(vec![3]) }
}

fn write() -> CellWrite {
    let put = CellPut {
        value: vec![0xc3],
        key: Some(vec![0xa1, b'k']),
        inserted: Some(Stamp { time: 5, counter: 6 }),
        updates: 7,
        counter: 8,
        incarnation: 9,
    };
    CellWrite { cell: cell(), put: Some(put) }
}

fn call() -> Call {
    Call {
        service: "Hotel".into(),
        key: Some(vec![0xa1, b'h']),
        method: "reserve".into(),
        args: vec![0x90],
        seed: [9; 32],
        accepted: 10,
        age: Age { accepted: 10, root: id(1) },
        parent: Some(Parent { invocation: id(2), position: "0.1".into() }),
        chain: Vec::new(),
    }
}

fn journal() -> JournalRow {
    let reads = Slice {
        cells: vec![SliceCell { field: "f".into(), key: Some(vec![1]), value: None, incarnation: 13 }],
        wholes: vec![("g".into(), vec![(vec![1], vec![2], 14)])],
    };
    let op = |position: &str, kind| OpRow { position: position.into(), kind };
    JournalRow {
        clock: 11,
        reads,
        delivered: vec![Delivered { position: "0".into(), result: Outcome::Exception(vec![0xc0]) }],
        ops: vec![
            op("1", OpRowKind::Call { child: id(3), target: "A.b".into() }),
            op("2", OpRowKind::Send { target: "A.c".into() }),
            op("3", OpRowKind::Sleep(12)),
            op("4", OpRowKind::Begin),
            op("5", OpRowKind::Commit(Some(vec![0xc0]))),
            op("6", OpRowKind::Rollback),
        ],
        wait_all: true,
        waits: vec!["1".into()],
        held: Held {
            cells: vec![HeldCell { field: "f".into(), key: Some(vec![1]) }, HeldCell::default()],
            wholes: vec!["g".into()],
        },
    }
}

fn row() -> InvocationRow {
    InvocationRow {
        id: id(1),
        call: call(),
        dedup: None,
        keep_result: true,
        deployment: DeploymentId([4; 16]),
        method_digest: 5,
    }
}

fn bodies() -> Vec<(&'static str, Body)> {
    let result = CallResult { child: id(3), parent: Parent::default(), outcome: Outcome::Value(vec![0xc2]) };
    let step = Step {
        invocation: id(1),
        accept: Some(Arc::new(row())),
        journal: vec![Arc::new(journal())],
        writes: vec![write(), CellWrite { cell: cell(), put: None }],
        messages: vec![
            (PartitionId(1), DurableBody::Call { id: id(3), call: call() }),
            (PartitionId(2), DurableBody::Result(result)),
            (PartitionId(3), DurableBody::Cancel { id: id(4) }),
        ],
        consumed: Vec::new(),
        time: 13,
        commit: Some(Commit { attempt: attempt(), participants: vec![PartitionId(1)] }),
        done: Some(Done { outcome: Outcome::Value(vec![0xc0]), at: 14, keep_until: Some(15), cancelled: false }),
    };
    let prepared = PreparedRow {
        attempt: attempt(),
        home: PartitionId(0),
        writes: vec![write()],
        messages: Vec::new(),
        age: Age { accepted: 10, root: id(1) },
    };
    let status = StatusChange {
        invocation: id(1),
        accept: None,
        parked: Some(Parked { reason: "why".into(), at: 16 }),
        cancel: true,
    };
    let deploy = Deploy {
        deployment: DeploymentId([4; 16]),
        catalogue: vec![("Hotel".into(), "hotels".into(), 2)],
        seeds: vec![write()],
        time: 17,
    };
    let forgotten = Forgotten { id: id(1), keep_until: 18, dedup: None };
    vec![
        ("nothing", Body::Nothing),
        ("deploy", Body::Deploy(deploy)),
        ("accept", Body::Accept(Arc::new(row()))),
        ("step", Body::Step(Box::new(step))),
        ("prepared", Body::Prepared(prepared)),
        ("resolved", Body::Resolved(Resolved { attempt: attempt(), committed: Some(19) })),
        ("status", Body::Status(status)),
        ("forget", Body::Forget(vec![forgotten])),
    ]
}

fn record(body: Body) -> Record {
    Record {
        version: 1,
        accepts: vec![Accepted { from: PartitionId(1), seq: 20, floor: 21 }],
        acknowledged: vec![(PartitionId(2), 22)],
        settled: vec![attempt()],
        body,
    }
}

#[test]
fn records_round_trip() {
    for (name, body) in bodies() {
        let before = record(body);
        let after: Record = decode(&encode(&before), "record").unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(before, after, "{name}");
    }
}

#[test]
fn results_of_tasks_round_trip() {
    let delivered = Delivered { position: "0".into(), result: Outcome::Value(vec![0xc0]) };
    let before = record(Body::TaskResult(TaskResult { invocation: id(1), result: delivered }));
    assert_eq!(before, decode::<Record>(&encode(&before), "record").unwrap());
}

/// Digests of the encodings, so that a change of any byte is seen. A new kind of record gets a new line; a line never
/// changes once a release has written it.
#[test]
fn golden() {
    let expected = include_str!("records.golden");
    let mut actual = String::new();
    for (name, body) in bodies() {
        actual += &format!("{name} {}\n", hex(&protocol::ids::digest(&[&encode(&record(body))])));
    }
    let row = CellRow {
        value: vec![0xc3],
        key: Some(vec![0xa1]),
        inserted: Stamp { time: 1, counter: 2 },
        written: Stamp { time: 3, counter: 4 },
        updates: 5,
        incarnation: 6,
    };
    actual += &format!("cell {} {}\n", hex(&cell().row()), hex(&encode(&row)));
    assert_eq!(expected, actual);
}

#[test]
fn cell_keys_come_back_from_their_rows() {
    let scalar = CellKey { entity: None, key: None, ..cell() };
    for key in [cell(), scalar, CellKey { entity: None, ..cell() }, CellKey { key: None, ..cell() }] {
        assert_eq!(CellKey::from_row(&key.row()), Some(key));
    }
}

#[test]
fn damaged_records_are_errors_not_panics() {
    for (_, body) in bodies() {
        let bytes = encode(&record(body));
        for cut in 0..bytes.len() {
            assert!(decode::<Record>(&bytes[..cut], "record").is_err());
        }
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0x55;
            let _ = decode::<Record>(&damaged, "record");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
