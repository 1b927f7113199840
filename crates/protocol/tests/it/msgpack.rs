//! Canonical msgpack: golden vectors, round trips, and bytes that are no value.

use num_bigint::BigInt;
use proptest::prelude::*;
use protocol::Value;
use protocol::msgpack::{self, Error, Unencodable};

use crate::python::{hex, unhex};
use crate::strategy;

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

#[test]
fn golden_scalars() {
    let cases: &[(Value, &str)] = &[
        (Value::None, "c0"),
        (Value::Bool(false), "c2"),
        (Value::Bool(true), "c3"),
        (Value::Int(0), "00"),
        (Value::Int(127), "7f"),
        (Value::Int(128), "cc80"),
        (Value::Int(256), "cd0100"),
        (Value::Int(65536), "ce00010000"),
        (Value::Int(1 << 32), "cf0000000100000000"),
        (Value::Int(i64::MAX), "cf7fffffffffffffff"),
        (Value::Int(-1), "ff"),
        (Value::Int(-32), "e0"),
        (Value::Int(-33), "d0df"),
        (Value::Int(-129), "d1ff7f"),
        (Value::Int(-32769), "d2ffff7fff"),
        (Value::Int(i64::MIN), "d38000000000000000"),
        (Value::BigInt(BigInt::from(u64::MAX)), "cfffffffffffffffff"),
        (Value::BigInt(BigInt::from(1) << 64), "c70908010000000000000000"),
        (Value::BigInt(BigInt::from(i64::MIN) - 1), "c70908ff7fffffffffffffff"),
        (Value::Float(1.5), "cb3ff8000000000000"),
        (text("é"), "a2c3a9"),
        (Value::Bytes(vec![1, 2]), "c4020102"),
        (Value::Complex(1.0, -2.0), "d80b3ff0000000000000c000000000000000"),
        (Value::Decimal("1.10".into()), "d604312e3130"),
        (Value::DateTime("2024-01-02T03:04:05".into()), "c71305323032342d30312d30325430333a30343a3035"),
        (Value::Date("2024-01-02".into()), "c70a0c323032342d30312d3032"),
        (Value::Time("03:04:05".into()), "d70d30333a30343a3035"),
        (Value::TimeDelta(-1, 86399, 999_999), "c70c0693ffce0001517fce000f423f"),
        (Value::Uuid([0x11; 16]), "d80711111111111111111111111111111111"),
    ];
    check(cases);
}

#[test]
fn golden_containers() {
    let cases: &[(Value, &str)] = &[
        (Value::List(vec![Value::Int(1), Value::None]), "9201c0"),
        (Value::Tuple(vec![]), "d40190"),
        (Value::Tuple(vec![Value::Int(1)]), "d5019101"),
        (Value::Dict(vec![(text("b"), Value::Int(1)), (text("a"), Value::Int(2))]), "82a16201a16102"),
        (Value::Set(vec![text("b"), text("a")]), "c7050292a161a162"),
        (Value::FrozenSet(vec![Value::Int(2), Value::Int(1)]), "c70303920102"),
        (Value::Record("m.P".into(), vec![("x".into(), Value::Int(1))]), "c7090992a36d2e5081a17801"),
        (Value::Enum("m.C".into(), Box::new(Value::Int(1))), "c7060a92a36d2e4301"),
    ];
    check(cases);
}

fn check(cases: &[(Value, &str)]) {
    for (value, bytes) in cases {
        assert_eq!(hex(&msgpack::encode(value).unwrap()), *bytes, "{value:?}");
        let decoded = msgpack::decode(&unhex(bytes)).unwrap();
        assert_eq!(hex(&msgpack::encode(&decoded).unwrap()), *bytes, "{value:?}");
    }
}

#[test]
fn lengths_take_the_shortest_header() {
    for (len, head) in
        [(31, "bf"), (32, "d920"), (255, "d9ff"), (256, "da0100"), (65535, "daffff"), (65536, "db00010000")]
    {
        let value = text(&"x".repeat(len));
        let bytes = msgpack::encode(&value).unwrap();
        assert!(hex(&bytes).starts_with(head), "{len}");
        assert_eq!(msgpack::decode(&bytes), Ok(value));
    }
    for (len, head) in [(15, "9f"), (16, "dc0010"), (65536, "dd00010000")] {
        let value = Value::List(vec![Value::None; len]);
        let bytes = msgpack::encode(&value).unwrap();
        assert!(hex(&bytes).starts_with(head), "{len}");
        assert_eq!(msgpack::decode(&bytes), Ok(value));
    }
    for (len, head) in [(15, "8f"), (16, "de0010"), (65536, "df00010000")] {
        let value = Value::Dict(vec![(Value::None, Value::None); len]);
        let bytes = msgpack::encode(&value).unwrap();
        assert!(hex(&bytes).starts_with(head), "{len}");
        assert_eq!(msgpack::decode(&bytes), Ok(value));
    }
}

#[test]
fn refuses_what_is_not_one_value() {
    let cases: &[(&str, Error)] = &[
        ("", Error::Truncated { offset: 0 }),
        ("c0c0", Error::Trailing { offset: 1 }),
        ("a1ff", Error::Utf8 { offset: 1 }),
        ("a3eda080", Error::Utf8 { offset: 1 }),
        ("c1", Error::Byte { byte: 0xc1, offset: 0 }),
        ("d45500", Error::Extension { code: 0x55, offset: 2 }),
        ("dd7fffffff", Error::Truncated { offset: 5 }),
        ("df7fffffff", Error::Truncated { offset: 5 }),
        ("c6ffffffff", Error::Truncated { offset: 5 }),
        ("d40101", Error::Payload { code: 1, offset: 2 }),
        ("d50190c0", Error::Trailing { offset: 3 }),
        ("c70208", Error::Truncated { offset: 3 }),
        ("c70008", Error::Payload { code: 8, offset: 3 }),
        ("d40700", Error::Payload { code: 7, offset: 2 }),
        ("c70c0693ffce00015180ce000f423f", Error::Payload { code: 6, offset: 3 }),
    ];
    for (bytes, error) in cases {
        assert_eq!(msgpack::decode(&unhex(bytes)), Err(*error), "{bytes}");
    }
}

#[test]
fn depth_is_limited_on_both_sides() {
    let nest = |levels| (0..levels).fold(Value::None, |value, _| Value::Tuple(vec![value]));
    let deepest = msgpack::encode(&nest(200)).unwrap();
    assert_eq!(msgpack::decode(&deepest), Ok(nest(200)));
    assert_eq!(msgpack::encode(&nest(201)), Err(Unencodable::TooDeep));
    let lists = [vec![0x91; 201], vec![0xc0]].concat();
    assert_eq!(msgpack::decode(&lists), Err(Error::TooDeep { offset: 200 }));
    assert!(msgpack::decode(&vec![0x91; 1_000_000]).is_err());
    assert!(msgpack::decode(&vec![0x81; 1_000_000]).is_err());
}

#[test]
fn arguments() {
    let (positional, named) = (vec![Value::Int(1), text("a")], vec![("x".to_owned(), Value::None)]);
    let bytes = msgpack::encode_args(&positional, &named).unwrap();
    assert_eq!(hex(&bytes), "c7090192920 1a16181a178c0".replace(' ', ""));
    assert_eq!(msgpack::decode_args(&bytes), Ok((positional, named)));
    assert_eq!(msgpack::encode_args(&[], &[]).unwrap(), msgpack::NO_ARGS);
    assert_eq!(msgpack::encode(&Value::None).unwrap(), msgpack::NONE);
    assert_eq!(msgpack::decode_args(msgpack::NONE), Err(Error::Args));
}

proptest! {
    #[test]
    fn round_trip(value in strategy::value()) {
        let bytes = msgpack::encode(&value).unwrap();
        let again = msgpack::encode(&msgpack::decode(&bytes).unwrap()).unwrap();
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = msgpack::decode(&bytes);
        let _ = msgpack::decode_args(&bytes);
    }

    #[test]
    fn mutated_bytes_never_panic(value in strategy::value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = msgpack::encode(&value).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(value) = msgpack::decode(&bytes) {
            prop_assert!(msgpack::encode(&value).is_ok());
        }
        let _ = protocol::marshal::from_msgpack(&bytes, &mut Vec::new());
    }
}
