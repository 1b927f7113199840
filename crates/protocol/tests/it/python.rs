//! Asking the real CPython: one process per batch, hexadecimal lines in and out.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use protocol::Value;

/// Runs a script with these lines on its standard input and gives the lines of its output.
pub(crate) fn run(script: &str, lines: &[String]) -> Vec<String> {
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 is needed to run these tests");
    let mut input = child.stdin.take().unwrap();
    let text = lines.join("\n");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    assert!(output.status.success(), "python3 failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A Python expression that makes the object which stands for this value in `marshal`: extension kinds are tuples that
/// begin with `...`.
pub(crate) fn marshal_expression(value: &Value) -> String {
    expression(value, &extension_tuple)
}

/// A Python expression that makes the value itself. Needs `from decimal import *`, `from datetime import *`,
/// `from uuid import *` and the classes of [`CLASSES`].
pub(crate) fn expression_of(value: &Value) -> String {
    expression(value, &object)
}

/// Python definitions of the classes that [`expression_of`] uses.
pub(crate) const CLASSES: &str = "
import sys
sys.setrecursionlimit(10000)
from decimal import *
from datetime import *
from uuid import *
from struct import unpack
class R:
    def __init__(self, name, fields): self.name, self.fields = name, fields
    def __eq__(self, other): return isinstance(other, R) and (self.name, self.fields) == (other.name, other.fields)
    def __hash__(self): return hash((self.name, self.fields))
class E:
    def __init__(self, name, value): self.name, self.value = name, value
    def __eq__(self, other): return isinstance(other, E) and (self.name, self.value) == (other.name, other.value)
    def __hash__(self): return hash((self.name, self.value))
def dt(text):
    fold = text.endswith(';1')
    return datetime.fromisoformat(text.removesuffix(';1')).replace(fold=int(fold))
";

fn expression(value: &Value, extension: &dyn Fn(&Value) -> String) -> String {
    let all = |items: &[Value]| items.iter().map(|item| expression(item, extension) + ",").collect::<String>();
    match value {
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(value) => format!("({value})"),
        Value::BigInt(value) => format!("({value})"),
        Value::Float(value) => float(*value),
        Value::Complex(re, im) => format!("complex({},{})", float(*re), float(*im)),
        Value::Str(text) => string(text),
        Value::Bytes(bytes) => bytes_of(bytes),
        Value::List(items) => format!("[{}]", all(items)),
        Value::Tuple(items) => format!("({})", all(items)),
        Value::Set(items) => format!("set([{}])", all(items)),
        Value::FrozenSet(items) => format!("frozenset([{}])", all(items)),
        Value::Dict(entries) => {
            let entries = entries.iter().map(|(key, value)| (expression(key, extension), expression(value, extension)));
            format!("{{{}}}", entries.map(|(key, value)| format!("{key}:{value},")).collect::<String>())
        }
        other => extension(other),
    }
}

fn extension_tuple(value: &Value) -> String {
    let inner = |value: &Value| expression(value, &extension_tuple);
    match value {
        Value::Decimal(text) => format!("(...,4,{})", string(text)),
        Value::DateTime(text) => format!("(...,5,{})", string(text)),
        Value::TimeDelta(d, s, us) => format!("(...,6,{d},{s},{us})"),
        Value::Uuid(bytes) => format!("(...,7,{})", bytes_of(bytes)),
        Value::Record(name, fields) => {
            let fields = fields.iter().map(|(field, value)| format!("({},{}),", string(field), inner(value)));
            format!("(...,9,{},({}))", string(name), fields.collect::<String>())
        }
        Value::Enum(name, value) => format!("(...,10,{},{})", string(name), inner(value)),
        Value::Date(text) => format!("(...,12,{})", string(text)),
        Value::Time(text) => format!("(...,13,{})", string(text)),
        other => panic!("{other:?} is native"),
    }
}

fn object(value: &Value) -> String {
    match value {
        Value::Decimal(text) => format!("Decimal({})", string(text)),
        Value::DateTime(text) => format!("dt({})", string(text)),
        Value::TimeDelta(d, s, us) => format!("timedelta({d},{s},{us})"),
        Value::Uuid(bytes) => format!("UUID(bytes={})", bytes_of(bytes)),
        Value::Record(name, fields) => {
            let fields = fields.iter().map(|(field, value)| format!("({},{}),", string(field), expression_of(value)));
            format!("R({},({}))", string(name), fields.collect::<String>())
        }
        Value::Enum(name, value) => format!("E({},{})", string(name), expression_of(value)),
        Value::Date(text) => format!("date.fromisoformat({})", string(text)),
        Value::Time(text) => format!("time.fromisoformat({})", string(text)),
        other => panic!("{other:?} is native"),
    }
}

fn float(value: f64) -> String {
    format!("unpack('<d',bytes.fromhex('{}'))[0]", hex(&value.to_bits().to_le_bytes()))
}

fn string(text: &str) -> String {
    format!("bytes.fromhex('{}').decode()", hex(text.as_bytes()))
}

fn bytes_of(bytes: &[u8]) -> String {
    format!("bytes.fromhex('{}')", hex(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
