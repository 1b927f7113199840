//! Cell keys: golden vectors, what is refused, and equality against real Python objects.

use num_bigint::BigInt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use protocol::Value;
use protocol::key::{KeyError, canonical};

use crate::python::{CLASSES, expression_of, hex, run};
use crate::strategy;

fn decimal(text: &str) -> Value {
    Value::Decimal(text.into())
}

#[test]
fn golden() {
    let cases: &[(Value, &str)] = &[
        (Value::None, "01"),
        (Value::Bool(true), "0202"),
        (Value::Int(-1), "0201"),
        (Value::Float(0.1), "03006d0007cdcccccccccc0c"),
        (Value::Float(0.5), "0300010001 01"),
        (decimal("-0.10"), "030101010101"),
        (Value::BigInt(BigInt::from(1) << 64), "0300800100 0101"),
        (Value::Float(f64::INFINITY), "04"),
        (decimal("-Infinity"), "05"),
        (Value::Complex(1.0, 2.0), "0602020204"),
        (Value::Str("é".into()), "0702c3a9"),
        (Value::Bytes(vec![1]), "080101"),
        (Value::Tuple(vec![Value::None, Value::Int(0)]), "0902010200"),
        (Value::FrozenSet(vec![Value::Int(1), Value::Bool(true), Value::None]), "0a02010202"),
        (Value::DateTime("1970-01-01T01:00:00+01:00".into()), "0b8080e4a9d582ecdc01"),
        (Value::DateTime("1970-01-01T00:00:00;1".into()), "0c8080e4a9d582ecdc01"),
        (Value::Date("1970-01-01".into()), "0dd8e957"),
        (Value::Time("01:00:00+01:00".into()), "0e00"),
        (Value::Time("00:00:01".into()), "0f80897a"),
        (Value::TimeDelta(0, 0, 1), "1002"),
        (Value::Uuid([3; 16]), "1103030303030303030303030303030303"),
        (Value::Enum("C".into(), Box::new(Value::Int(1))), "1201430101"),
        (Value::Record("P".into(), vec![("x".into(), Value::Int(1))]), "13015001 0701780202"),
    ];
    for (value, bytes) in cases {
        assert_eq!(hex(&canonical(value).unwrap()), bytes.replace(' ', ""), "{value:?}");
    }
}

#[test]
fn equal_numbers_are_one_entry() {
    let huge = Value::BigInt(BigInt::from(10).pow(40));
    let groups: &[&[Value]] = &[
        &[
            Value::Int(1),
            Value::Bool(true),
            Value::Float(1.0),
            decimal("1.000"),
            decimal("10E-1"),
            Value::Complex(1.0, -0.0),
        ],
        &[Value::Int(0), Value::Bool(false), Value::Float(-0.0), decimal("-0E+99"), Value::Complex(-0.0, 0.0)],
        &[Value::Float(0.5), decimal("0.5"), decimal("5E-1")],
        &[Value::Float(0.1), decimal("0.1000000000000000055511151231257827021181583404541015625")],
        &[decimal("0.1")],
        &[huge, decimal("1E+40")],
        &[Value::Float(1e40)],
        &[Value::Int(i64::MAX), decimal("9223372036854775807")],
        &[Value::Float(9_223_372_036_854_775_808.0), Value::BigInt(BigInt::from(1) << 63)],
        &[Value::Int(i64::MIN), Value::Float(-9_223_372_036_854_775_808.0), decimal("-9223372036854775808")],
        &[Value::Float(f64::INFINITY), decimal("inf"), Value::Complex(f64::INFINITY, 0.0)],
        &[Value::Str("1".into())],
        &[Value::Bytes(b"1".into())],
    ];
    let keys: Vec<Vec<_>> = groups.iter().map(|group| group.iter().map(|v| canonical(v).unwrap()).collect()).collect();
    for (i, group) in keys.iter().enumerate() {
        assert!(group.iter().all(|key| key == &group[0]), "{:?}", groups[i]);
        assert!(keys[..i].iter().all(|other| other[0] != group[0]), "{:?}", groups[i]);
    }
}

#[test]
fn refused() {
    let malformed = |kind, text: &str| KeyError::Malformed { kind, text: text.into() };
    let cases = [
        (Value::List(vec![]), KeyError::Unhashable { kind: "list" }),
        (Value::Tuple(vec![Value::Dict(vec![])]), KeyError::Unhashable { kind: "dict" }),
        (Value::FrozenSet(vec![Value::Set(vec![])]), KeyError::Unhashable { kind: "set" }),
        (Value::Float(f64::NAN), KeyError::NaN),
        (Value::Complex(0.0, f64::NAN), KeyError::NaN),
        (decimal("sNaN12"), KeyError::NaN),
        (decimal("1.2.3"), malformed("Decimal", "1.2.3")),
        (decimal(""), malformed("Decimal", "")),
        (decimal("1E"), malformed("Decimal", "1E")),
        (decimal("1E99999999999999999999"), malformed("Decimal", "1E99999999999999999999")),
        (Value::Date("2023-02-29".into()), malformed("date", "2023-02-29")),
        (Value::DateTime("2023-02-28".into()), malformed("datetime", "2023-02-28")),
        (Value::DateTime("2023-02-28é".into()), malformed("datetime", "2023-02-28é")),
        (Value::Time("24:00:00".into()), malformed("time", "24:00:00")),
        (Value::Time("é0:00:00".into()), malformed("time", "é0:00:00")),
        (Value::Str("x".repeat(40_000)), KeyError::TooLarge),
        (Value::BigInt(BigInt::from(1) << 40_000), KeyError::TooLarge),
        (decimal(&"9".repeat(20_000)), KeyError::TooLarge),
        (Value::Tuple(vec![Value::Str("x".repeat(20_000)); 2]), KeyError::TooLarge),
        ((0..201).fold(Value::None, |inner, _| Value::Tuple(vec![inner])), KeyError::TooDeep),
    ];
    for (value, error) in cases {
        assert_eq!(canonical(&value), Err(error), "{value:?}");
    }
    assert_eq!(KeyError::Unhashable { kind: "list" }.to_string(), "unhashable type: 'list'");
    assert!(canonical(&decimal("1E+999999999999")).unwrap().len() < 20);
}

/// Numbers and times that often meet, in several types.
fn close() -> impl Strategy<Value = Value> {
    let number = (-8..=8_i32, 0..4_u8).prop_map(|(quarters, kind)| {
        let value = f64::from(quarters) / 4.0;
        match kind {
            0 if quarters % 4 == 0 => Value::Int(i64::from(quarters / 4)),
            1 => Value::Float(value),
            2 => Value::Decimal(format!("{value:.2}")),
            _ => Value::Complex(value, 0.0),
        }
    });
    let large = (50..70_u32, -1..=1_i64, 0..4_u8).prop_map(|(bits, off, kind)| {
        let exact = (BigInt::from(1) << bits) + off;
        match kind {
            0 => Value::Decimal(exact.to_string()),
            1 => Value::Float(2_f64.powi(bits as i32) + off as f64),
            2 => Value::Decimal(format!("{exact}00E-2")),
            _ => i64::try_from(&exact).map_or(Value::BigInt(exact), Value::Int),
        }
    });
    let zone = prop::sample::select(vec!["", "+00:00", "+01:00", "-01:00", "+00:00:30"]);
    let times = (0..3, 0..3, zone, any::<bool>(), 0..3_u8).prop_map(|(h, m, zone, fold, kind)| match kind {
        0 => Value::Time(format!("{:02}:{m:02}:00{zone}", h + 5)),
        1 => Value::Date(format!("2024-02-2{}", 7 + h)),
        _ => Value::DateTime(format!("2024-02-29T{:02}:{m:02}:30{zone}{}", h + 5, if fold { ";1" } else { "" })),
    });
    let others = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        "[ab]{0,1}".prop_map(Value::Str),
        "[ab]{0,1}".prop_map(|text| Value::Bytes(text.into_bytes())),
        (0..2_i64, 0..2_i64).prop_map(|(d, s)| Value::TimeDelta(d, s, 0)),
        (0..2_i64).prop_map(|n| Value::Enum("C".into(), Box::new(Value::Int(n)))),
    ];
    let leaf = prop_oneof![3 => number, 2 => large, 2 => times, 2 => others];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Tuple),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::FrozenSet),
            inner.prop_map(|value| Value::Record("P".into(), vec![("x".into(), value)])),
        ]
    })
}

/// Two keys have the same bytes exactly if Python's dict counts them as one.
#[test]
fn equality_is_that_of_python_dicts() {
    let mut runner = TestRunner::deterministic();
    let mut make = |strategy: &dyn Fn(&mut TestRunner) -> Value| strategy(&mut runner);
    let wide = |runner: &mut TestRunner| strategy::hashable().new_tree(runner).unwrap().current();
    let near = |runner: &mut TestRunner| close().new_tree(runner).unwrap().current();
    let groups: Vec<Vec<Value>> = (0..150)
        .map(|i| (0..40).map(|_| make(if i % 5 == 0 { &wide } else { &near })).collect())
        .map(|group: Vec<Value>| group.into_iter().filter(|value| canonical(value).is_ok()).collect())
        .collect();
    let lines: Vec<String> = groups
        .iter()
        .map(|group| format!("[{}]", group.iter().map(|value| expression_of(value) + ",").collect::<String>()))
        .collect();
    let script = format!(
        "{CLASSES}
for line in sys.stdin:
    entries = {{}}
    print(*[entries.setdefault(key, i) for i, key in enumerate(eval(line))])
"
    );
    let answers = run(&script, &lines);
    let mut merged = 0;
    for (group, answer) in groups.iter().zip(&answers) {
        let keys: Vec<_> = group.iter().map(|value| canonical(value).unwrap()).collect();
        for (i, first) in answer.split_whitespace().enumerate() {
            let first: usize = first.parse().unwrap();
            let ours = keys.iter().position(|key| *key == keys[i]).unwrap();
            assert_eq!(ours, first, "{:?} against {:?} and {:?}", group[i], group[first], group[ours]);
            merged += usize::from(first < i);
        }
    }
    assert!(merged > 300, "the test has lost its force: {merged}");
}

proptest! {
    /// No key's bytes begin with another's.
    #[test]
    fn prefix_free(a in close(), b in close()) {
        if let (Ok(a), Ok(b)) = (canonical(&a), canonical(&b)) {
            prop_assert!(a == b || !a.starts_with(&b));
        }
    }

    #[test]
    fn texts_never_panic(text in "\\PC{0,20}|[0-9TZ:+.;-]{0,35}|[0-9eE+.snainf-]{0,12}") {
        for value in [Value::Decimal(text.clone()), Value::DateTime(text.clone()), Value::Date(text.clone()), Value::Time(text)] {
            let _ = canonical(&value);
        }
    }
}
