//! JSON: both forms out, the three ways in, and what is said about values that do not fit.

use num_bigint::BigInt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use protocol::json::{self, Form, Mismatch};
use protocol::key::{self, KeyError};
use protocol::manifest::{EnumMember, RecordType};
use protocol::schema::Type;
use protocol::{Value, msgpack};

use crate::python::run;
use crate::strategy;

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.into())
}

fn natural(value: &Value) -> String {
    json::write(value, Form::Natural).unwrap()
}

fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

fn dict(key: Type, value: Type) -> Type {
    Type::Dict(Box::new(key), Box::new(value))
}

fn optional(ty: Type) -> Type {
    Type::Union(vec![ty, Type::None])
}

fn record(name: &str) -> Type {
    Type::Record(name.into())
}

/// A dataclass, enums, and a dataclass that refers to itself.
pub(crate) fn records() -> Vec<RecordType> {
    let member = |name: &str, value: Value| EnumMember { name: name.into(), value: msgpack::encode(&value).unwrap() };
    let fields = vec![
        ("name".into(), Type::Str, false),
        ("price".into(), Type::Decimal, false),
        ("tags".into(), list(Type::Str), true),
    ];
    let node = vec![("value".into(), Type::Int, false), ("next".into(), optional(record("app.Node")), true)];
    let both = |child: &str| vec![("x".into(), Type::Union(vec![record("app.A"), record(child)]), false)];
    vec![
        RecordType { name: "app.Room".into(), fields, ..RecordType::default() },
        RecordType { name: "app.Node".into(), fields: node, ..RecordType::default() },
        RecordType {
            name: "app.Color".into(),
            members: vec![member("RED", text("red")), member("ONE", Value::Int(1))],
            is_enum: true,
            ..RecordType::default()
        },
        RecordType {
            name: "app.Late".into(),
            members: vec![EnumMember { name: "X".into(), value: vec![] }],
            is_enum: true,
            ..RecordType::default()
        },
        RecordType { name: "app.A".into(), fields: both("app.B"), ..RecordType::default() },
        RecordType { name: "app.B".into(), fields: both("app.B"), ..RecordType::default() },
    ]
}

fn typed(text: &str, ty: &Type) -> Result<Value, String> {
    json::read_typed(&json::parse(text.as_bytes()).unwrap(), ty, &records()).map_err(|problem| problem.to_string())
}

#[test]
fn natural_form() {
    let entries = vec![
        (Value::Int(1), Value::None),
        (Value::Bool(true), Value::None),
        (Value::None, Value::None),
        (Value::Float(1.5), Value::None),
        (Value::Bytes(vec![0]), Value::None),
        (Value::Tuple(vec![Value::Int(1), text("a")]), Value::None),
        (Value::Enum("C".into(), Box::new(text("red"))), Value::None),
    ];
    let cases: &[(Value, &str)] = &[
        (Value::BigInt(BigInt::from(10).pow(30)), "1000000000000000000000000000000"),
        (Value::Float(1.0), "1.0"),
        (Value::Float(-0.0), "-0.0"),
        (Value::Float(1e300), "1e300"),
        (Value::Float(f64::NAN), "\"NaN\""),
        (Value::Float(f64::NEG_INFINITY), "\"-Infinity\""),
        (text("a\"\\\n\u{1}é\u{7f}"), "\"a\\\"\\\\\\n\\u0001é\u{7f}\""),
        (Value::Bytes(b"hello".to_vec()), "\"aGVsbG8=\""),
        (Value::Tuple(vec![Value::Int(1), Value::Set(vec![])]), "[1,[]]"),
        (Value::Complex(1.0, f64::INFINITY), "{\"real\":1.0,\"imag\":\"Infinity\"}"),
        (decimal("1.10"), "\"1.10\""),
        (Value::DateTime("2024-01-02T03:04:05;1".into()), "\"2024-01-02T03:04:05\""),
        (Value::TimeDelta(1, 1, 500_000), "86401.5"),
        (Value::TimeDelta(-1, 86399, 999_999), "-0.000001"),
        (Value::TimeDelta(0, 60, 0), "60"),
        (Value::Uuid([0xab; 16]), "\"abababab-abab-abab-abab-abababababab\""),
        (Value::Enum("C".into(), Box::new(Value::Int(1))), "1"),
        (Value::Record("R".into(), vec![("x".into(), Value::Int(1))]), "{\"x\":1}"),
        (
            Value::Dict(entries),
            r#"{"1":null,"true":null,"null":null,"1.5":null,"AA==":null,"[1,\"a\"]":null,"red":null}"#,
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(natural(value), *expected, "{value:?}");
    }
    assert_eq!(json::write_msgpack(&[0x91, 0xc3], Form::Natural).unwrap(), "[true]");
}

#[test]
fn tagged_form() {
    let cases: &[(Value, &str)] = &[
        (Value::Float(f64::NAN), r#"{"$float":"NaN"}"#),
        (Value::Float(f64::from_bits(0xfff8_0000_0000_0001)), r#"{"$float":"0xfff8000000000001"}"#),
        (Value::Float(-0.0), "-0.0"),
        (Value::Bytes(vec![1]), r#"{"$bytes":"AQ=="}"#),
        (Value::Tuple(vec![Value::Int(1)]), r#"{"$tuple":[1]}"#),
        (Value::FrozenSet(vec![text("a")]), r#"{"$frozenset":["a"]}"#),
        (Value::Complex(1.0, -0.0), r#"{"$complex":[1.0,-0.0]}"#),
        (decimal("1.10"), r#"{"$decimal":"1.10"}"#),
        (Value::DateTime("2024-01-02T03:04:05;1".into()), r#"{"$datetime":"2024-01-02T03:04:05;1"}"#),
        (Value::TimeDelta(-1, 2, 3), r#"{"$timedelta":[-1,2,3]}"#),
        (Value::Uuid([1; 16]), r#"{"$uuid":"01010101-0101-0101-0101-010101010101"}"#),
        (Value::Dict(vec![(text("a"), Value::Int(1))]), r#"{"a":1}"#),
        (Value::Dict(vec![(text("$a"), Value::Int(1))]), r#"{"$dict":[["$a",1]]}"#),
        (Value::Dict(vec![(Value::Int(1), Value::None)]), r#"{"$dict":[[1,null]]}"#),
        (Value::Record("R".into(), vec![("x".into(), Value::Int(1))]), r#"{"$record":["R",{"x":1}]}"#),
        (Value::Enum("C".into(), Box::new(Value::Int(1))), r#"{"$enum":["C",1]}"#),
    ];
    for (value, expected) in cases {
        assert_eq!(json::write(value, Form::Tagged).unwrap(), *expected);
        let again = json::read_tagged(&json::parse(expected.as_bytes()).unwrap()).unwrap();
        assert_eq!(msgpack::encode(&again), msgpack::encode(value));
    }
}

#[test]
fn tagged_form_refuses() {
    let cases = [
        (r#"{"$what":1}"#, "no such tag"),
        (r#"{"$tuple":[],"x":1}"#, "no such tag"),
        (r#"{"x":1,"$y":1}"#, "no such tag"),
        (r#"{"$tuple":1}"#, "expected an array, got int 1"),
        (r#"{"$decimal":"x"}"#, "expected what $decimal holds, got str \"x\""),
        (r#"{"$decimal":1.5}"#, "expected what $decimal holds, got float 1.5"),
        (r#"{"$float":"0x3ff0000000000000"}"#, "expected what $float holds"),
        (r#"{"$set":[[]]}"#, "unhashable type: 'list'"),
        (r#"{"$dict":[[1,2],[1.0,3]]}"#, "two names are the same dict key"),
        (r#"{"$dict":[[1]]}"#, "expected [key, value], got list of 1 item"),
        (r#"{"$record":["R"]}"#, "expected [name, {field: value, …}]"),
        (r#"[0,{"a":{"$uuid":"x"}}]"#, "`[1].a[\"$uuid\"]`: expected what $uuid holds, got str \"x\""),
    ];
    for (text, expected) in cases {
        let problem = json::read_tagged(&json::parse(text.as_bytes()).unwrap()).unwrap_err().to_string();
        assert!(problem.contains(expected), "{text}: {problem}");
    }
}

#[test]
fn parses_as_rfc_8259() {
    let json = json::parse(" {\"a\": [1, -0.10e+5, \"\\u00e9\\ud83d\\ude00\\/\"], \"b\": {}} ".as_bytes()).unwrap();
    assert_eq!(json["a"][1].to_string(), "-0.10e+5");
    assert_eq!(json["a"][2], "é😀/");
    let bad = [
        "",
        " ",
        "[1,]",
        "[1",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":1,\"a\":2}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "NaN",
        "nul",
        "tru",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\t\"",
        "1 2",
        "[1 2]",
        "\u{feff}1",
        "'a'",
        "\"\\u\u{e9}\"",
    ];
    for text in bad {
        assert!(json::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(json::parse(b"\"\xff\"").unwrap_err().offset, 1);
    assert_eq!(json::parse(b"[1,]").unwrap_err().to_string(), "malformed JSON at byte 3: a value belongs here");
    assert!(json::parse("[".repeat(1_000_000).as_bytes()).is_err());
    assert!(json::parse(r#"{"$serde_json::private::Number":"x"}"#.as_bytes()).unwrap().is_object());
}

#[test]
fn untyped() {
    let read = |text: &str| json::read_untyped(&json::parse(text.as_bytes()).unwrap());
    assert_eq!(read("9223372036854775808"), Ok(Value::BigInt(BigInt::from(1) << 63)));
    assert_eq!(read("-0"), Ok(Value::Int(0)));
    assert_eq!(read("[1.0,1e2]"), Ok(Value::List(vec![Value::Float(1.0), Value::Float(100.0)])));
    assert_eq!(read("{\"a\":null}"), Ok(Value::Dict(vec![(text("a"), Value::None)])));
    assert_eq!(read("[1e999]").unwrap_err().to_string(), "`[0]`: the number 1e+999 is out of range for float");
    assert!(matches!(read(&"9".repeat(200_000)).unwrap_err().what, Mismatch::Range { .. }));
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(read(&nested(200)).is_ok());
    assert_eq!(read(&nested(201)).unwrap_err().what, Mismatch::TooDeep);
}

#[test]
fn typed_values() {
    let uuid = Value::Uuid([0x12; 16]);
    let room = |fields: Vec<(&str, Value)>| {
        Value::Record("app.Room".into(), fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    };
    let cases: Vec<(&str, Type, Value)> = vec![
        ("{\"a\":1}", Type::Any, Value::Dict(vec![(text("a"), Value::Int(1))])),
        ("5", Type::Float, Value::Float(5.0)),
        ("\"Infinity\"", Type::Float, Value::Float(f64::INFINITY)),
        ("100000000000000000000", Type::Int, Value::BigInt(BigInt::from(10).pow(20))),
        ("\"aGk=\"", Type::Bytes, Value::Bytes(b"hi".to_vec())),
        ("[1,2]", Type::Tuple(vec![Type::Int, Type::Float]), Value::Tuple(vec![Value::Int(1), Value::Float(2.0)])),
        ("[1]", Type::TupleOf(Box::new(Type::Int)), Value::Tuple(vec![Value::Int(1)])),
        ("[1,1.0,1]", Type::Set(Box::new(Type::Any)), Value::Set(vec![Value::Int(1)])),
        ("[\"a\"]", Type::FrozenSet(Box::new(Type::Str)), Value::FrozenSet(vec![text("a")])),
        ("\"1.10\"", Type::Decimal, decimal("1.10")),
        ("1.10", Type::Decimal, decimal("1.10")),
        ("1e5", Type::Decimal, decimal("1E+5")),
        ("\"2024-01-02 03:04:05.120Z\"", Type::DateTime, Value::DateTime("2024-01-02T03:04:05.120000+00:00".into())),
        ("\"2024-01-02\"", Type::DateTime, Value::DateTime("2024-01-02T00:00:00".into())),
        ("\"2024-01-02\"", Type::Date, Value::Date("2024-01-02".into())),
        ("\"03:04+0130\"", Type::Time, Value::Time("03:04:00+01:30".into())),
        ("90061.0000025", Type::TimeDelta, Value::TimeDelta(1, 3661, 2)),
        ("-0.5", Type::TimeDelta, Value::TimeDelta(-1, 86399, 500_000)),
        ("\"12121212-1212-1212-1212-121212121212\"", Type::Uuid, uuid.clone()),
        ("\"12121212121212121212121212121212\"", Type::Uuid, uuid),
        ("{\"1\":2}", dict(Type::Int, Type::Int), Value::Dict(vec![(Value::Int(1), Value::Int(2))])),
        ("{\"true\":2}", dict(Type::Bool, Type::Int), Value::Dict(vec![(Value::Bool(true), Value::Int(2))])),
        (
            "{\"[1,\\\"a\\\"]\":2}",
            dict(Type::Tuple(vec![Type::Int, Type::Str]), Type::Int),
            Value::Dict(vec![(Value::Tuple(vec![Value::Int(1), text("a")]), Value::Int(2))]),
        ),
        (
            "{\"1\":2}",
            dict(Type::Union(vec![Type::Int, Type::Str]), Type::Int),
            Value::Dict(vec![(text("1"), Value::Int(2))]),
        ),
        ("{\"1.5\":2}", dict(Type::Decimal, Type::Int), Value::Dict(vec![(decimal("1.5"), Value::Int(2))])),
        ("\"red\"", record("app.Color"), Value::Enum("app.Color".into(), Box::new(text("red")))),
        ("1.0", record("app.Color"), Value::Enum("app.Color".into(), Box::new(Value::Int(1)))),
        ("7", record("app.Late"), Value::Enum("app.Late".into(), Box::new(Value::Int(7)))),
        ("{\"price\":2,\"name\":\"a\"}", record("app.Room"), room(vec![("name", text("a")), ("price", decimal("2"))])),
        ("{}", record("elsewhere.Unknown"), Value::Dict(vec![])),
        ("null", optional(Type::Decimal), Value::None),
        ("\"x\"", Type::Union(vec![Type::Bytes, Type::Str]), text("x")),
        ("\"1.5\"", Type::Union(vec![Type::Decimal, Type::Int]), decimal("1.5")),
        ("5", Type::Union(vec![Type::Float, Type::Int]), Value::Int(5)),
        ("[\"a\"]", Type::Union(vec![list(Type::Decimal), list(Type::Str)]), Value::List(vec![text("a")])),
    ];
    for (text, ty, expected) in cases {
        assert_eq!(typed(text, &ty), Ok(expected), "{text} as {}", json::type_name(&ty));
    }
}

#[test]
fn typed_problems() {
    let cases: Vec<(&str, Type, &str)> = vec![
        ("true", Type::Int, "expected int, got bool True"),
        ("1.0", Type::Int, "expected int, got float 1.0"),
        ("1", Type::Bool, "expected bool, got int 1"),
        ("1", Type::Str, "expected str, got int 1"),
        ("null", Type::Str, "expected str, got None"),
        ("1e400", Type::Float, "the number 1e+400 is out of range for float"),
        ("[1,\"abc\"]", list(Type::Int), "`[1]`: expected int, got str \"abc\""),
        (
            "{\"a\":{\"b c\":[null]}}",
            dict(Type::Str, dict(Type::Str, list(Type::Int))),
            "`.a[\"b c\"][0]`: expected int, got None",
        ),
        ("{\"x\":1}", dict(Type::Int, Type::Int), "`.x`: expected int, got str \"x\""),
        ("{\"1\":1,\"1.0\":2}", dict(Type::Float, Type::Int), "`[\"1.0\"]`: two names are the same dict key"),
        ("[1]", Type::Tuple(vec![Type::Int; 2]), "expected tuple[int, int] (an array of 2), got list of 1 item"),
        ("[[1]]", Type::Set(Box::new(Type::Any)), "`[0]`: unhashable type: 'list'"),
        ("\"a\"", Type::Bytes, "expected bytes (base64), got str \"a\""),
        ("\"abc\"", Type::Decimal, "expected Decimal (a string or number), got str \"abc\""),
        ("\"2024-02-30\"", Type::Date, "expected date (ISO 8601), got str \"2024-02-30\""),
        ("\"1\"", Type::TimeDelta, "expected timedelta (seconds), got str \"1\""),
        ("1e30", Type::TimeDelta, "expected timedelta (seconds), got float 1e+30"),
        ("\"blue\"", record("app.Color"), "expected app.Color (\"red\", 1), got str \"blue\""),
        ("true", record("app.Color"), "expected app.Color (\"red\", 1), got bool True"),
        ("[]", record("app.Room"), "expected app.Room, got list of 0 items"),
        ("{\"name\":\"a\"}", record("app.Room"), "app.Room lacks the field `price`"),
        ("{\"name\":\"a\",\"prize\":1}", record("app.Room"), "app.Room has no field `prize`"),
        ("{\"name\":\"a\",\"price\":1,\"tags\":[1]}", record("app.Room"), "`.tags[0]`: expected str, got int 1"),
        ("{\"value\":1,\"next\":{\"value\":\"x\"}}", record("app.Node"), "`.next.value`: expected int, got str \"x\""),
        ("1", optional(Type::Str), "expected str | None, got int 1"),
        (
            "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
            Type::Int,
            "expected int, got str \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…\"",
        ),
        ("{\"a\":1,\"b\":2}", list(Type::Any), "expected list, got dict of 2 entries, first \"a\""),
    ];
    for (text, ty, expected) in cases {
        assert_eq!(typed(text, &ty), Err(expected.to_owned()), "{text}");
    }
}

/// Nested unions of like classes end in an answer, not in exponential time.
#[test]
fn nested_unions_are_bounded() {
    let text = "{\"x\":".repeat(150) + "1" + &"}".repeat(150);
    let union = Type::Union(vec![record("app.A"), record("app.B")]);
    assert!(typed(&text, &union).unwrap_err().ends_with("there are too many ways to read this as its type"));
    let list = "{\"value\":1,\"next\":".repeat(150) + "null" + &"}".repeat(150);
    assert!(typed(&list, &optional(record("app.Node"))).is_ok());
}

#[test]
fn keys_of_addresses() {
    let read = |text, ty| json::read_key(text, &ty, &records()).map_err(|problem| problem.to_string());
    assert_eq!(read("5", Type::Int), Ok(Value::Int(5)));
    assert_eq!(read("5", Type::Str), Ok(text("5")));
    assert_eq!(read("red", record("app.Color")), Ok(Value::Enum("app.Color".into(), Box::new(text("red")))));
    assert_eq!(read("x", Type::Int), Err("expected int, got str \"x\"".into()));
}

#[test]
fn names_of_types() {
    let cases = [
        (Type::Any, "Any"),
        (list(Type::Any), "list"),
        (list(Type::Str), "list[str]"),
        (dict(Type::Str, Type::Any), "dict[str, Any]"),
        (Type::TupleOf(Box::new(Type::Int)), "tuple[int, ...]"),
        (Type::Tuple(vec![]), "tuple[()]"),
        (Type::Tuple(vec![Type::Int, optional(Type::Uuid)]), "tuple[int, UUID | None]"),
        (Type::FrozenSet(Box::new(record("app.Room"))), "frozenset[app.Room]"),
    ];
    for (ty, name) in cases {
        assert_eq!(json::type_name(&ty), name);
    }
}

/// Python's json reads what we write, and says what it says itself about plain values.
#[test]
fn python_reads_both_forms() {
    let mut runner = TestRunner::deterministic();
    let values: Vec<Value> = (0..200).map(|_| strategy::value().new_tree(&mut runner).unwrap().current()).collect();
    let lines: Vec<String> =
        values.iter().flat_map(|value| [natural(value), json::write(value, Form::Tagged).unwrap()]).collect();
    let script = "
import sys, json
sys.set_int_max_str_digits(0)
for line in sys.stdin.buffer.read().split(b'\\n'):
    print(json.dumps(json.loads(line), separators=(',', ':')))
";
    let answers = run(script, &lines);
    assert_eq!(answers.len(), lines.len());
    for (line, answer) in lines.iter().zip(&answers).filter(|(line, _)| !line.contains("\\u0000")) {
        let (ours, theirs) = (json::parse(line.as_bytes()), json::parse(answer.as_bytes()));
        // Names of members may be doubled in the natural form; then Python keeps the last.
        let Ok(ours) = ours else { continue };
        let (ours, theirs) = (json::read_untyped(&ours).unwrap(), json::read_untyped(&theirs.unwrap()).unwrap());
        assert_eq!(ours, theirs);
    }
}

/// `Decimal` texts come out as Python writes them.
#[test]
fn decimals_are_normal_as_in_python() {
    let texts = [
        "0",
        "-0",
        "00",
        "1",
        "007.50",
        "1e5",
        "1E+5",
        "-12.30e-9",
        "0.000001",
        "0.0000001",
        "0e10",
        "0E-7",
        "0.00",
        "123e-2",
        "123456789012345678901234567890e-40",
        "1e-6",
        "1e-7",
        "12e1",
        "inf",
        "-Infinity",
        "nan",
        "-NaN12",
        "sNaN007",
        "5.",
        ".5",
        "+3",
    ];
    let lines: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let script = "
import sys, decimal
for line in sys.stdin.read().split('\\n'): print(decimal.Decimal(line))
";
    for (text, theirs) in texts.iter().zip(run(script, &lines)) {
        assert_eq!(typed(&format!("\"{text}\""), &Type::Decimal), Ok(decimal(&theirs)), "{text}");
    }
}

proptest! {
    #[test]
    fn tagged_round_trip(value in strategy::value()) {
        let text = json::write(&value, Form::Tagged).unwrap();
        let again = json::read_tagged(&json::parse(text.as_bytes()).unwrap()).unwrap();
        prop_assert_eq!(msgpack::encode(&again), msgpack::encode(&value));
    }

    #[test]
    fn floats_are_exact(value in any::<f64>()) {
        let text = natural(&Value::Float(value));
        if value.is_finite() {
            prop_assert_eq!(typed(&text, &Type::Float), Ok(Value::Float(value)));
        }
    }

    #[test]
    fn seconds_are_exact(days in -999_999_999..=999_999_999_i64, seconds in 0..86_400_i64, micros in 0..1_000_000_i64) {
        let value = Value::TimeDelta(days, seconds, micros);
        prop_assert_eq!(typed(&natural(&value), &Type::TimeDelta), Ok(value));
    }

    #[test]
    fn base64_is_exact(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
        let value = Value::Bytes(bytes);
        prop_assert_eq!(typed(&natural(&value), &Type::Bytes), Ok(value));
    }

    #[test]
    fn random_texts_never_panic(text in "[\\[\\]{}:,\"\\\\untrfals0-9eE.$ -]{0,40}") {
        if let Ok(json) = json::parse(text.as_bytes()) {
            let _ = json::read_untyped(&json);
            let _ = json::read_tagged(&json);
        }
    }

    #[test]
    fn random_scalars_never_panic(text in "\\PC{0,20}|[0-9TZ:+.;-]{0,35}|[0-9eE+.snainf-]{0,12}") {
        let json = serde_json::Value::String(text);
        for ty in [Type::Bytes, Type::Decimal, Type::DateTime, Type::Date, Type::Time, Type::Uuid, Type::TimeDelta, Type::Float] {
            if let Ok(value) = json::read_typed(&json, &ty, &[]) {
                let malformed = matches!(key::canonical(&value), Err(KeyError::Malformed { .. }));
                prop_assert!(!malformed);
            }
        }
    }

    #[test]
    fn random_numbers_never_panic(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,20})?") {
        for ty in [Type::Any, Type::Int, Type::Float, Type::Decimal, Type::TimeDelta] {
            let _ = typed(&text, &ty);
        }
    }
}
