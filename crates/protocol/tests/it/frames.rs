//! Worker frames: every message both ways, the stream of frames, and what CPython sees and sends.

use proptest::prelude::*;
use protocol::ids::{InvocationId, RunNumber};
use protocol::manifest::*;
use protocol::schema::Type;
use protocol::worker::*;
use protocol::{Value, msgpack};

use crate::python::{hex, run, unhex};

fn packed(value: Value) -> Vec<u8> {
    msgpack::encode(&value).unwrap()
}

fn slice() -> Slice {
    Slice {
        cells: vec![
            SliceCell { field: "n".into(), key: None, value: Some(packed(Value::Int(1))), incarnation: u64::MAX },
            SliceCell { field: "d".into(), key: Some(packed(Value::None)), ..SliceCell::default() },
        ],
        wholes: vec![("w".into(), vec![(packed(Value::Int(1)), packed(Value::Decimal("1.10".into())), 7)])],
    }
}

fn delivered() -> Vec<Delivered> {
    vec![
        Delivered { position: "0".into(), result: Outcome::Value(packed(Value::None)) },
        Delivered { position: "1.0".into(), result: Outcome::Exception(packed(Value::Tuple(vec![]))) },
    ]
}

fn to_worker() -> Vec<ToWorker> {
    let id = InvocationId([7; 16]);
    let step = JournalStep {
        clock: 5,
        reads: slice(),
        delivered: delivered(),
        ops: vec![("0".into(), "call Hotel.reserve".into())],
    };
    vec![
        ToWorker::Start(Box::new(Start {
            run: RunNumber(u64::MAX),
            invocation: id,
            service: "Hotel".into(),
            method: "reserve".into(),
            key: Some(packed(Value::Str("k".into()))),
            args: packed(Value::Tuple(vec![Value::List(vec![Value::Int(1)]), Value::Dict(vec![])])),
            seed: [9; 32],
            in_transaction: true,
            clock: 1_700_000_000_000_000,
            slice: slice(),
            journal: vec![step],
            delivered: delivered(),
            follows: Some(RunNumber(u64::MAX)),
        })),
        ToWorker::Start(Box::new(Start { args: msgpack::NO_ARGS.to_vec(), ..Start::default() })),
        ToWorker::Resume(Resume {
            run: RunNumber(2),
            invocation: id,
            clock: 6,
            slice: slice(),
            delivered: delivered(),
        }),
        ToWorker::Evict(id),
        ToWorker::Fetched { run: RunNumber(3), slice: None },
        ToWorker::Fetched { run: RunNumber(3), slice: Some(slice()) },
        ToWorker::Task(Box::new(TaskRun {
            run: RunNumber(4),
            function: "app.fetch".into(),
            args: msgpack::NO_ARGS.to_vec(),
            timeout: Some(5_000_000),
            is_async: true,
            ..TaskRun::default()
        })),
        ToWorker::Task(Box::new(TaskRun { args: msgpack::NO_ARGS.to_vec(), ..TaskRun::default() })),
        ToWorker::StopTask(RunNumber(4)),
    ]
}

fn step_end() -> StepEnd {
    let target =
        Target { service: "Flight".into(), key: None, method: "reserve".into(), args: msgpack::NO_ARGS.to_vec() };
    let ops = [
        OpKind::Call(target.clone()),
        OpKind::Send(Target { key: Some(packed(Value::Int(1))), ..target }),
        OpKind::Sleep(77),
        OpKind::Begin,
        OpKind::Commit,
        OpKind::Rollback(packed(Value::Str("no".into()))),
        OpKind::Task(TaskCall {
            function: "app.fetch".into(),
            args: msgpack::NO_ARGS.to_vec(),
            retries: 3,
            timeout: None,
            backoff: 500_000,
            backoff_max: 60_000_000,
            is_pure: true,
            is_async: false,
        }),
        OpKind::Cancel("2.0".into()),
    ];
    StepEnd {
        run: RunNumber(1),
        invocation: InvocationId([1; 16]),
        status: StepStatus::Suspended,
        reads: vec![("n".into(), None), ("d".into(), Some(packed(Value::Int(1))))],
        whole_reads: vec!["w".into()],
        writes: vec![
            StepWrite { field: "n".into(), key: None, value: Some(packed(Value::Int(2))), ..StepWrite::default() },
            StepWrite {
                field: "d".into(),
                key: Some(packed(Value::Int(1))),
                value: None,
                fresh: true,
                incarnation: Some(u64::MAX),
            },
        ],
        ops: ops.into_iter().enumerate().map(|(i, kind)| Op { position: format!("2.{i}"), kind }).collect(),
        wait_all: true,
        waits: vec!["2.0".into(), "2.2".into()],
        logs: vec![(0, "hello\n".into()), (2, "logged".into())],
        doom: Some(packed(Value::None)),
        held: Held {
            cells: vec![
                HeldCell { field: "n".into(), key: None },
                HeldCell { field: "d".into(), key: Some(packed(Value::Int(1))) },
            ],
            wholes: vec!["w".into()],
        },
    }
}

fn from_worker() -> Vec<FromWorker> {
    let run = RunNumber(4);
    let end = |status| FromWorker::End(Box::new(StepEnd { status, ..StepEnd::default() }));
    vec![
        FromWorker::End(Box::new(step_end())),
        end(StepStatus::Returned(packed(Value::None))),
        end(StepStatus::Raised(packed(Value::Int(1)))),
        end(StepStatus::NotStorable(packed(Value::Int(2)))),
        FromWorker::Fetch { run, field: "f".into(), what: FetchWhat::Scalar },
        FromWorker::Fetch { run, field: "f".into(), what: FetchWhat::Entry(packed(Value::None)) },
        FromWorker::Fetch { run, field: "f".into(), what: FetchWhat::Whole },
        FromWorker::Dropped { run },
        FromWorker::Departed {
            run,
            invocation: InvocationId([2; 16]),
            step: 3,
            expected: "a".into(),
            actual: "b".into(),
        },
        FromWorker::TaskEnd { run, outcome: Outcome::Value(packed(Value::Int(1))), is_final: false },
        FromWorker::TaskEnd { run, outcome: Outcome::Exception(packed(Value::Tuple(vec![]))), is_final: true },
        FromWorker::TaskOutput { run, stream: 2, text: "logged\n".into() },
        FromWorker::Busy(1234),
        FromWorker::Ready { pid: 17, python: "3.11.7".into(), problem: None },
        FromWorker::Ready { pid: 17, python: "3.11.7".into(), problem: Some(packed(Value::Str("E".into()))) },
    ]
}

#[test]
fn every_message_to_a_worker_and_back() {
    let frame = encode_to_worker(&to_worker(), &mut Resident::none()).unwrap();
    assert_eq!(decode_to_worker(&frame[4..]).unwrap(), to_worker());
}

#[test]
fn every_message_from_a_worker_and_back() {
    let frame = encode_from_worker(&from_worker()).unwrap();
    assert_eq!(decode_from_worker(&frame[4..], &mut Resident::none()).unwrap(), from_worker());
}

#[test]
fn golden_evict() {
    let frame = encode_to_worker(&[ToWorker::Evict(InvocationId([7; 16]))], &mut Resident::none()).unwrap();
    assert_eq!(hex(&frame), "24000000 5b01000000 2802000000 6903000000 7310000000".replace(' ', "") + &"07".repeat(16));
}

/// The layout of a START as Python code sees it.
#[test]
fn cpython_reads_a_start() {
    let frame = encode_to_worker(&to_worker()[..1], &mut Resident::none()).unwrap();
    let script = "
import marshal
[message] = marshal.loads(bytes.fromhex(input()))
tag, run, invocation, service, method, key, args, seed, flags, clock, slice, journal, delivered, follows = message
assert follows == 2**64 - 1
assert (tag, run, invocation, service, method) == (1, 2**64 - 1, b'\\7' * 16, 'Hotel', 'reserve')
assert marshal.loads(key) == 'k' and marshal.loads(args) == ([1], {}) and seed == b'\\t' * 32
assert (flags, clock) == (1, 1_700_000_000_000_000)
cells, wholes = slice
assert cells == [('n', None, marshal.dumps(1, 2), 2**64 - 1), ('d', marshal.dumps(None, 2), None, 0)]
assert wholes == [('w', [(marshal.dumps(1, 2), marshal.dumps((..., 4, '1.10'), 2), 7)])]
assert journal == [(5, slice, delivered, [('0', 'call Hotel.reserve')])]
assert delivered == [('0', 0, marshal.dumps(None, 2)), ('1.0', 1, marshal.dumps((), 2))]
print('ok')
";
    assert_eq!(run(script, &[hex(&frame[4..])]), ["ok"]);
}

/// A large value is sent once; then its name is, and what the worker says that it keeps is named as well.
#[test]
fn cpython_keeps_values() {
    let mut resident = Resident::new(8, 100);
    let mut frame = |value: &str| {
        let value = Some(packed(Value::Str(value.into())));
        let cells = vec![SliceCell { field: "f".into(), value, ..SliceCell::default() }];
        let resume = Resume { slice: Slice { cells, ..Slice::default() }, ..Resume::default() };
        let fetched = ToWorker::Fetched { run: RunNumber(1), slice: Some(resume.slice.clone()) };
        encode_to_worker(&[ToWorker::Resume(resume), fetched], &mut resident).unwrap()
    };
    let small = frame("small");
    let frames = [small, frame("quite large"), frame("quite large")];
    let script = "
import marshal
value = marshal.dumps('quite large', 2)
small, new, named = [marshal.loads(bytes.fromhex(input())) for _ in range(3)]
small, again = small
assert small[4] == again[2] == ([('f', None, marshal.dumps('small', 2), 0)], [])
first, second, told = new
assert first[4] == ([('f', None, (0, value), 0)], []) and second[2] == ([('f', None, 0, 0)], []) and told == (5, [])
assert [message[-1 if message[0] == 4 else 4][0][0][2] for message in named[:-1]] == [0, 0] and named[-1] == (5, [])
end = (10, 1, bytes(16), 0, marshal.dumps(None, 2), ([], []), [('f', None, marshal.dumps('quite other', 2), False, None, 1)],
       [], (0, []), [], None, ([], []))
print(marshal.dumps([end], 2).hex())
print(marshal.dumps([(*end[:6], [('f', None, None, False, None, 1)], *end[7:])], 2).hex())
";
    let lines = run(script, &frames.map(|frame| hex(&frame[4..])));
    let [FromWorker::End(end)] = &decode_from_worker(&unhex(&lines[0]), &mut resident).unwrap()[..] else {
        panic!("an END")
    };
    let other = end.writes[0].value.clone();
    assert_eq!(other, Some(packed(Value::Str("quite other".into()))));
    let cells = vec![SliceCell { field: "f".into(), value: other, ..SliceCell::default() }];
    let resume = Resume { slice: Slice { cells, ..Slice::default() }, ..Resume::default() };
    let frame = encode_to_worker(&[ToWorker::Resume(resume)], &mut resident).unwrap();
    let script = "
import marshal
message, told = marshal.loads(bytes.fromhex(input()))
assert message[4] == ([('f', None, 1, 0)], []) and told == (5, [])
print('ok')
";
    assert_eq!(run(script, &[hex(&frame[4..])]), ["ok"]);
    // Nothing is kept of what is not there.
    assert!(decode_from_worker(&unhex(&lines[1]), &mut resident).is_err());
}

#[test]
fn cpython_writes_an_end() {
    let script = "
import marshal
v = lambda x: marshal.dumps(x, 2)
args = v(([], {}))
ops = [('2.0', 0, 'Flight', None, 'reserve', args), ('2.1', 1, 'Flight', v(1), 'reserve', args), ('2.2', 2, 77),
       ('2.3', 3), ('2.4', 4), ('2.5', 5, v('no')),
       ('2.6', 6, 'app.fetch', args, 3, None, 500000, 60000000, 1), ('2.7', 7, '2.0')]
end = (10, 1, b'\\1' * 16, 2, None, ([('n', None), ('d', v(1))], ['w']),
       [('n', None, v(2), False, None), ('d', v(1), None, True, 2**64 - 1)], ops, (1, ['2.0', '2.2']),
       [(0, 'hello\\n'), (2, 'logged')], v(None), ([('n', None), ('d', v(1))], ['w']))
print(marshal.dumps([end], 2).hex())
print(marshal.dumps([(14, 17, '3.11.7', None), (11, 4, 'f', ...), (13, 1, bytes(16), 0, '\\ud800', 'b')], 2).hex())
";
    let lines = run(script, &[]);
    assert_eq!(
        decode_from_worker(&unhex(&lines[0]), &mut Resident::none()).unwrap(),
        [FromWorker::End(Box::new(step_end()))]
    );
    let others = decode_from_worker(&unhex(&lines[1]), &mut Resident::none()).unwrap();
    assert!(matches!(&others[2], FromWorker::Departed { expected, .. } if expected.contains('\u{fffd}')));
}

fn manifest() -> Manifest {
    let method = Method {
        name: "reserve".into(),
        parameters: vec![
            Parameter { name: "id".into(), ty: Type::Str, ..Parameter::default() },
            Parameter { name: "rest".into(), kind: ParameterKind::VarKeyword, ..Parameter::default() },
        ],
        coloured: true,
        ..Method::default()
    };
    let service = Service {
        name: "Hotel".into(),
        entity_key: Some(Type::Str),
        fields: vec![Field { name: "h".into(), kind: FieldKind::Dict, initial: vec![0x80], ..Field::default() }],
        methods: vec![method],
        clients: vec![("flight".into(), "Flight".into())],
        ..Service::default()
    };
    let module = Module {
        name: "app".into(),
        path: "app.py".into(),
        source: "x".into(),
        lowered: "yy".into(),
        map: vec![MapPiece { lowered: 0, start: 0, end: 1, verbatim: true }],
        package: false,
    };
    let record = RecordType { name: "app.Room".into(), is_enum: true, ..RecordType::default() };
    Manifest { services: vec![service], modules: vec![module], records: vec![record], ..Manifest::default() }
}

#[test]
fn cpython_reads_init() {
    let options = InitOptions { values: vec![("strike_file".into(), Value::Str("s".into()))] };
    let frame = encode_init(&manifest(), &options).unwrap();
    let script = "
import marshal
[message] = marshal.loads(bytes.fromhex(input()))
assert message == (0,
    [('app', 'app.py', 'x', 'yy', [(0, 0, 1, True)], False)],
    [('Hotel', 'app', True, False, [('h', 1, marshal.dumps({}, 2), False)],
      [('reserve', True, False, [('id', 0, 'str', False), ('rest', 4, 'Any', False)])], [('flight', 'Flight')])],
    [('app.Room', True)], {'strike_file': 's'}), message
print('ok')
";
    assert_eq!(run(script, &[hex(&frame[4..])]), ["ok"]);
    let broken = Manifest { modules: vec![], ..manifest() };
    assert_eq!(encode_init(&broken, &options), Err(FrameError::Module { index: 0 }));
}

#[test]
fn stream_of_frames() {
    let frames = [
        encode_to_worker(&to_worker(), &mut Resident::none()).unwrap(),
        encode_to_worker(&[], &mut Resident::none()).unwrap(),
    ];
    let bytes = frames.concat();
    for chunk in [1, 3, 100, bytes.len()] {
        let (mut reader, mut got) = (FrameReader::new(), Vec::new());
        for part in bytes.chunks(chunk) {
            reader.push(part);
            while let Some(frame) = reader.pop().unwrap() {
                got.push(frame.to_vec());
            }
        }
        assert!(reader.is_empty());
        assert_eq!(got, [&frames[0][4..], &frames[1][4..]]);
    }
    let mut reader = FrameReader::new();
    reader.push(&(64 * 1024 * 1024 + 1_u32).to_le_bytes());
    assert_eq!(reader.pop(), Err(FrameError::TooLarge { len: 64 * 1024 * 1024 + 1 }));
}

#[test]
fn refuses_malformed_messages() {
    let script = "
import marshal
for messages in [[()], [(99,)], [(12,)], [(12, -1)], [(12, 'x')], [('x',)], [5], 5, [(14, 1, 'x', b'c')], [(14, 2**40, 'x', None)],
                 [(11, 1, 'f', b'')], [(13, 1, b'short', 0, '', '')], [(11, 1, '\\ud800', None)]]:
    print(marshal.dumps(messages, 2).hex())
";
    for line in run(script, &[]) {
        assert!(decode_from_worker(&unhex(&line), &mut Resident::none()).is_err(), "{line}");
    }
}

proptest! {
    #[test]
    fn mutated_frames_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut frame = encode_from_worker(&from_worker()).unwrap();
        let at = at.index(frame.len() - 4);
        frame[4 + at] = byte;
        let _ = decode_from_worker(&frame[4..], &mut Resident::none());
        let mut frame = encode_to_worker(&to_worker(), &mut Resident::none()).unwrap();
        frame[4 + at] = byte;
        let _ = decode_to_worker(&frame[4..]);
    }
}

/// What a template is ordered, as CPython reads it, and what CPython says in its place.
#[test]
fn cpython_is_ordered_to_fork_and_tells_of_ends() {
    let script = "
import marshal, sys
for line in sys.stdin:
    frame = bytes.fromhex(line)
    assert int.from_bytes(frame[:4], 'little') == len(frame) - 4
    for message in marshal.loads(frame[4:]):
        assert message in ((30, 2**64 - 1, {'tasks': True}), (31, 7)), message
print(marshal.dumps([(32, 2**64 - 1, 2**31), (33, 7, 15), (33, 0, 3 << 8)], 2).hex())
";
    let options = InitOptions { values: vec![("tasks".into(), Value::Bool(true))] };
    let frames = [encode_fork(u64::MAX, &options).unwrap(), encode_kill(7).unwrap()];
    let lines = run(script, &frames.map(|frame| hex(&frame)));
    let expected = [
        FromTemplate::Forked { worker: u64::MAX, pid: 1 << 31 },
        FromTemplate::Ended { worker: 7, status: 15 },
        FromTemplate::Ended { worker: 0, status: 768 },
    ];
    assert_eq!(decode_from_template(&unhex(&lines[0])).unwrap(), expected);
    assert!(decode_from_worker(&unhex(&lines[0]), &mut Resident::none()).is_err());
}
