//! Values for property tests.

use std::collections::HashSet;

use num_bigint::BigInt;
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::{Value, key, msgpack};

/// Any value that Python could hold: sets have distinct elements, dicts distinct keys.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::List),
            vec(inner.clone(), 0..6).prop_map(Value::Tuple),
            vec((hashable(), inner.clone()), 0..6).prop_map(distinct_keys),
            vec(("\\$?.{0,6}", inner.clone()), 0..20).prop_map(|entries| {
                distinct_keys(entries.into_iter().map(|(key, value)| (Value::Str(key), value)).collect())
            }),
            vec(hashable(), 0..6).prop_map(|items| Value::Set(distinct(items))),
            vec(hashable(), 0..20).prop_map(|items| Value::FrozenSet(distinct(items))),
            (name(), vec((name(), inner.clone()), 0..4)).prop_map(|(name, fields)| record(name, fields)),
            (name(), inner).prop_map(|(name, value)| Value::Enum(name, Box::new(value))),
        ]
    })
}

/// A value that can be a key.
pub(crate) fn hashable() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Tuple),
            vec(inner, 0..3).prop_map(|items| Value::FrozenSet(distinct(items))),
        ]
    })
}

/// A value that contains no other.
pub(crate) fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        int(),
        big(),
        float().prop_map(Value::Float),
        (float(), float()).prop_map(|(re, im)| Value::Complex(re, im)),
        ".{0,40}".prop_map(Value::Str),
        vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        prop_oneof!["-?[0-9]{1,20}", "-?[0-9]{1,9}\\.[0-9]{1,9}", "-?[0-9](\\.[0-9])?E[+-][0-9]{1,3}"]
            .prop_map(Value::Decimal),
        temporal(),
        any::<[u8; 16]>().prop_map(Value::Uuid),
    ]
}

fn temporal() -> impl Strategy<Value = Value> {
    let date = (1..=9999, 1..=12, 1..=28).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
    let micros = prop_oneof![Just(String::new()), (1..1_000_000).prop_map(|us| format!(".{us:06}"))];
    let zone = prop_oneof![
        Just(String::new()),
        Just("+00:00".to_owned()),
        (0..24, 0..60).prop_map(|(h, m)| format!("+{h:02}:{m:02}")),
        (0..24, 1..60).prop_map(|(h, m)| format!("-{h:02}:{m:02}")),
    ];
    let time =
        (0..24, 0..60, 0..60, micros, zone).prop_map(|(h, m, s, us, zone)| format!("{h:02}:{m:02}:{s:02}{us}{zone}"));
    prop_oneof![
        date.clone().prop_map(Value::Date),
        time.clone().prop_map(Value::Time),
        (date, time, any::<bool>()).prop_map(|(date, time, fold)| {
            Value::DateTime(format!("{date}T{time}{}", if fold { ";1" } else { "" }))
        }),
        (-999_999_999..=999_999_999_i64, 0..86_400_i64, 0..1_000_000_i64)
            .prop_map(|(d, s, us)| Value::TimeDelta(d, s, us)),
    ]
}

fn int() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>(),
        -300..300_i64,
        (0..64_u32, -2..=2_i64).prop_map(|(bits, off)| (1_i64 << bits).wrapping_add(off)),
        (0..64_u32, -2..=2_i64).prop_map(|(bits, off)| (-1_i64 << bits).wrapping_add(off)),
    ]
    .prop_map(Value::Int)
}

fn big() -> impl Strategy<Value = Value> {
    let magnitude = prop_oneof![
        (63..400_u32, -2..=2_i64).prop_map(|(bits, off)| (BigInt::from(1) << bits) + off),
        any::<u64>().prop_map(BigInt::from),
        vec(any::<u8>(), 8..60).prop_map(|bytes| BigInt::from_bytes_be(num_bigint::Sign::Plus, &bytes)),
    ];
    (magnitude, any::<bool>()).prop_map(|(magnitude, negative)| {
        let value = if negative { -magnitude } else { magnitude };
        i64::try_from(&value).map_or(Value::BigInt(value), Value::Int)
    })
}

pub(crate) fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        any::<u64>().prop_map(f64::from_bits),
        (-50..50_i32).prop_map(|n| f64::from(n) / 4.0),
        Just(-0.0),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::NAN),
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z]{1,5}(\\.[A-Z][a-z]{0,4})?"
}

fn record(name: String, mut fields: Vec<(String, Value)>) -> Value {
    let mut seen = HashSet::new();
    fields.retain(|(field, _)| seen.insert(field.clone()));
    Value::Record(name, fields)
}

fn distinct(items: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    items.into_iter().filter(|item| seen.insert(identity(item))).collect()
}

fn distinct_keys(entries: Vec<(Value, Value)>) -> Value {
    let mut seen = HashSet::new();
    Value::Dict(entries.into_iter().filter(|(key, _)| seen.insert(identity(key))).collect())
}

/// What tells keys apart; NaN, which is no key of a cell, by its bits.
fn identity(value: &Value) -> Vec<u8> {
    key::canonical(value).or_else(|_| msgpack::encode(value)).unwrap()
}
