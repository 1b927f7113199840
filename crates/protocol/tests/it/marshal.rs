//! Marshal: against CPython in both directions, and bytes that are no plain data.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use protocol::marshal::{self, Error};
use protocol::{Value, msgpack};

use crate::python::{hex, marshal_expression, run, unhex};
use crate::strategy;

#[test]
fn golden() {
    let cases: &[(Value, &str)] = &[
        (Value::None, "4e"),
        (Value::Bool(true), "54"),
        (Value::Bool(false), "46"),
        (Value::Int(-2), "69feffffff"),
        (Value::Int(1 << 31), "6c03000000000000000200"),
        (Value::Int(i64::MIN), "6cfbffffff00000000000000000800"),
        (Value::Float(1.5), "67000000000000f83f"),
        (Value::Complex(1.0, -2.0), "79000000000000f03f00000000000000c0"),
        (Value::Str("é".into()), "7502000000c3a9"),
        (Value::Bytes(vec![1]), "730100000001"),
        (Value::List(vec![Value::None]), "5b010000004e"),
        (Value::Tuple(vec![Value::None]), "28010000004e"),
        (Value::Dict(vec![(Value::None, Value::Bool(true))]), "7b4e5430"),
        (Value::Set(vec![Value::Int(2), Value::Int(1)]), "3c0200000069010000006902000000"),
        (Value::FrozenSet(vec![Value::None]), "3e010000004e"),
        (Value::Decimal("1".into()), "28030000002e6904000000750100000031"),
        (Value::TimeDelta(1, 2, 3), "28050000002e6906000000690100000069020000006903000000"),
        (
            Value::Record("P".into(), vec![("x".into(), Value::None)]),
            "28040000002e690900000075010000005028010000002802000000750100000078 4e",
        ),
        (Value::Enum("C".into(), Box::new(Value::None)), "28040000002e690a00000075010000004 34e"),
    ];
    for (value, bytes) in cases {
        let bytes = unhex(bytes);
        assert_eq!(hex(&marshal::encode(value).unwrap()), hex(&bytes), "{value:?}");
        let decoded = marshal::decode(&bytes).unwrap();
        assert_eq!(msgpack::encode(&decoded), msgpack::encode(value));
    }
}

/// CPython writes the same bytes for the same object, and reads ours as that object.
#[test]
fn same_bytes_as_cpython() {
    let mut runner = TestRunner::deterministic();
    let values: Vec<Value> = (0..1500).map(|_| strategy::value().new_tree(&mut runner).unwrap().current()).collect();
    let lines: Vec<String> = values
        .iter()
        .map(|value| format!("{} {}", hex(&marshal::encode(value).unwrap()), marshal_expression(value)))
        .collect();
    let script = "
import sys, marshal
from struct import unpack
sys.setrecursionlimit(10000)
for line in sys.stdin:
    ours, _, expression = line.partition(' ')
    theirs = marshal.dumps(eval(expression), 2)
    loaded = marshal.loads(bytes.fromhex(ours))
    assert marshal.dumps(loaded, 2).hex() == ours, expression
    print(theirs.hex())
";
    let theirs = run(script, &lines);
    assert_eq!(theirs.len(), values.len());
    for (value, theirs) in values.iter().zip(&theirs) {
        assert_eq!(&hex(&marshal::encode(value).unwrap()), theirs, "{value:?}");
        let decoded = marshal::decode(&unhex(theirs)).unwrap();
        assert_eq!(msgpack::encode(&decoded), msgpack::encode(value), "{value:?}");
    }
}

#[test]
fn refuses_what_is_not_plain_data() {
    let cases: &[(&str, Error)] = &[
        ("", Error::Truncated { offset: 0 }),
        ("4e4e", Error::Trailing { offset: 1 }),
        ("63", Error::Type { byte: b'c', offset: 0 }),
        ("7200000000", Error::Type { byte: b'r', offset: 0 }),
        ("5b0100000053", Error::Type { byte: b'S', offset: 5 }),
        ("e34e", Error::Type { byte: 0xe3, offset: 0 }),
        ("2e", Error::Misplaced { offset: 0 }),
        ("30", Error::Misplaced { offset: 0 }),
        ("5bffffffff", Error::Length { offset: 1 }),
        ("5bffffff7f", Error::Truncated { offset: 5 }),
        ("75ffffff7f", Error::Truncated { offset: 5 }),
        ("7501000000ff", Error::Utf8 { offset: 5 }),
        ("750400000061eda080", Error::Surrogate { offset: 6 }),
        ("7b4e", Error::Truncated { offset: 2 }),
        ("6c010000000080", Error::Digits { offset: 0 }),
        ("6c010000000000", Error::Digits { offset: 0 }),
        ("6cffffff7f", Error::IntTooLarge { offset: 0 }),
        ("6c00000080", Error::IntTooLarge { offset: 0 }),
        ("28010000002e", Error::Extension { offset: 0 }),
        ("28030000002e69630000004e", Error::Extension { offset: 0 }),
        ("28030000002e69040000004e", Error::Extension { offset: 0 }),
    ];
    for (bytes, error) in cases {
        assert_eq!(marshal::decode(&unhex(bytes)), Err(*error), "{bytes}");
    }
    let message = marshal::decode(&unhex("63")).unwrap_err().to_string();
    assert_eq!(message, "marshal holds type byte 0x63 ('c') at byte 0, which is not plain data");
}

#[test]
fn depth_is_limited() {
    let lists = |levels: usize| [b"[\x01\0\0\0".repeat(levels), b"N".to_vec()].concat();
    assert!(marshal::decode(&lists(200)).is_ok());
    assert_eq!(marshal::decode(&lists(201)), Err(Error::TooDeep { offset: 1000 }));
    assert!(marshal::decode(&lists(1_000_000)).is_err());
    assert!(marshal::decode(&vec![b'{'; 1_000_000]).is_err());
}

proptest! {
    #[test]
    fn round_trip(value in strategy::value()) {
        let packed = msgpack::encode(&value).unwrap();
        let bytes = marshal::encode(&value).unwrap();
        let mut again = Vec::new();
        marshal::to_msgpack(&bytes, &mut again).unwrap();
        prop_assert_eq!(again, packed);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(prop::sample::select(b"NTFilgyus([{0<>.\0\x01\x04\x09".to_vec()), 0..200)) {
        let _ = marshal::decode(&bytes);
    }

    #[test]
    fn mutated_bytes_never_panic(value in strategy::value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = marshal::encode(&value).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(value) = marshal::decode(&bytes) {
            prop_assert!(marshal::encode(&value).is_ok());
        }
    }
}
