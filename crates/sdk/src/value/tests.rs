//! Round trips, and what does not fit.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Value;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Room {
    number: u16,
    guests: Vec<String>,
    price: Option<Decimal>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "shop.Room")]
struct Named {
    number: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line { from: (i8, i8), to: (i8, i8) },
    Pair(u8, u8),
}

fn round<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) -> Value {
    let bytes = encode(&value).unwrap();
    assert_eq!(decode::<T>(&bytes).unwrap(), value);
    msgpack::decode(&bytes).unwrap()
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

#[test]
fn rust_values_are_stored_as_the_table_says() {
    assert_eq!(round(7_u8), Value::Int(7));
    assert_eq!(round(u64::MAX), Value::BigInt(u64::MAX.into()));
    assert_eq!(round(u128::MAX), Value::BigInt(u128::MAX.into()));
    assert_eq!(round(i128::MIN), Value::BigInt(i128::MIN.into()));
    assert_eq!(round(1.5_f32), Value::Float(1.5));
    assert_eq!(round('x'), text("x"));
    assert_eq!(round(()), Value::None);
    assert_eq!(round(None::<u8>), Value::None);
    assert_eq!(round((1_u8, true)), Value::Tuple(vec![Value::Int(1), Value::Bool(true)]));
    assert_eq!(round(BTreeSet::from([1_u8])), Value::List(vec![Value::Int(1)]));
    assert_eq!(round(BTreeMap::from([(1_u8, 'x')])), Value::Dict(vec![(Value::Int(1), text("x"))]));
    assert_eq!(round(Set(BTreeSet::from([1_u8]))), Value::Set(vec![Value::Int(1)]));
    assert_eq!(round(Uuid([7; 16])), Value::Uuid([7; 16]));
    assert_eq!(round(Bytes(vec![1, 2])), Value::Bytes(vec![1, 2]));
    assert_eq!(round(DateTime("2026-11-21T08:00:00".into())), Value::DateTime("2026-11-21T08:00:00".into()));
    assert_eq!(round(Date("2026-11-21".into())), Value::Date("2026-11-21".into()));
    assert_eq!(round(Any(Value::Complex(1.0, 2.0))), Value::Complex(1.0, 2.0));
    assert_eq!(round(Shape::Point), text("Point"));
    assert_eq!(round(Shape::Circle(1.0)), Value::Dict(vec![(text("Circle"), Value::Float(1.0))]));
    round(Shape::Line { from: (0, 0), to: (1, -1) });
    round(Shape::Pair(1, 2));
    let room = Room { number: 3, guests: vec!["ann".into()], price: Some(Decimal("9.50".into())) };
    let fields = vec![
        (text("number"), Value::Int(3)),
        (text("guests"), Value::List(vec![text("ann")])),
        (text("price"), Value::Decimal("9.50".into())),
    ];
    assert_eq!(round(room), Value::Dict(fields));
    assert_eq!(round(Named { number: 3 }), Value::Record("shop.Room".into(), vec![("number".into(), Value::Int(3))]));
}

#[test]
fn what_python_cannot_hash_is_neither_a_key_nor_in_a_set() {
    #[derive(Serialize)]
    struct Shop {
        by_days: BTreeMap<Vec<u8>, u8>,
    }
    let told = "a key of a map is or has a list, by which Python finds nothing";
    let refused = |encoded: Result<Vec<u8>, Mismatch>| encoded.unwrap_err().0;
    let shop = Shop { by_days: BTreeMap::from([(vec![1], 2)]) };
    assert!(refused(encode(&shop)).starts_with(&format!(".by_days: {told}")), "{}", refused(encode(&shop)));
    assert!(refused(encode(&BTreeMap::from([((1, vec![2]), 3)]))).contains(told));
    assert!(refused(encode(&BTreeMap::from([(Some(BTreeSet::from([1])), 3)]))).contains(told));
    assert!(refused(encode(&BTreeMap::from([(BTreeMap::from([(1, 2)]), 3)]))).contains("is or has a dict"));
    assert!(refused(encode(&BTreeMap::from([(Set(BTreeSet::from([1])), 3)]))).contains("is or has a set"));
    assert!(refused(encode(&Set(BTreeSet::from([vec![1]])))).contains("an element of a set is or has a list"));
    // The same as values, and keys that Python has, too.
    round(BTreeMap::from([(1_u8, vec![1_u8])]));
    round(BTreeMap::from([((1_u8, "x".to_owned()), 2_u8)]));
    assert_eq!(
        round(BTreeMap::from([([1_u8, 2], 3_u8)])),
        Value::Dict(vec![(Value::Tuple(vec![Value::Int(1), Value::Int(2)]), Value::Int(3))])
    );
    round(BTreeMap::from([(Uuid([1; 16]), 3_u8)]));
    round(Set(BTreeSet::from([(1_u8, 2_u8)])));
}

#[test]
fn values_of_other_types_say_what_is_wrong() {
    let wrong = from_value::<Room>(Value::Dict(vec![(text("number"), text("three"))])).unwrap_err();
    assert!(wrong.0.contains("expected u16"), "{wrong}");
    let missing = from_value::<Room>(Value::Dict(vec![(text("number"), Value::Int(3))])).unwrap_err();
    assert!(missing.0.contains("missing field `guests`"), "{missing}");
    assert!(from_value::<u8>(Value::Int(256)).is_err());
    assert!(from_value::<u128>(Value::BigInt(num_bigint::BigInt::from(1) << 200)).is_err());
    assert!("12-34".parse::<Uuid>().is_err());
}

#[test]
fn what_python_stored_comes_as_the_nearest_type() {
    assert_eq!(from_value::<Vec<u8>>(Value::Tuple(vec![Value::Int(1)])).unwrap(), [1]);
    assert_eq!(from_value::<f64>(Value::Int(2)).unwrap(), 2.0);
    assert_eq!(from_value::<String>(Value::Uuid([0; 16])).unwrap(), "00000000-0000-0000-0000-000000000000");
    let dataclass = Value::Record("models.Room".into(), vec![("number".into(), Value::Int(5))]);
    assert_eq!(from_value::<Named>(dataclass).unwrap(), Named { number: 5 });
    assert_eq!(from_value::<Shape>(Value::Enum("models.Shape".into(), Box::new(text("Point")))).unwrap(), Shape::Point);
}
