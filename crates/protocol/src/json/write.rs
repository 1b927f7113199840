//! Values to JSON text, in both forms.

use std::fmt::Write as _;

use super::{Form, base64, text};
use crate::limits::DEPTH_MAX;
use crate::msgpack::{self, Unencodable};
use crate::value::Value;

/// The JSON text of a value.
pub fn write(value: &Value, form: Form) -> Result<String, Unencodable> {
    let mut out = String::new();
    Writer { form, out: &mut out }.value(value, 0)?;
    Ok(out)
}

/// The JSON text of a value in msgpack.
pub fn write_msgpack(bytes: &[u8], form: Form) -> Result<String, msgpack::Error> {
    let value = msgpack::decode(bytes)?;
    Ok(write(&value, form).expect("a decoded value is within the limits"))
}

/// A text in double quotes.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    put_string(text, &mut out);
    out
}

struct Writer<'a> {
    form: Form,
    out: &'a mut String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Unencodable> {
        match value {
            Value::None => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) => self.display(value),
            Value::BigInt(value) => self.display(value),
            Value::Str(text) => put_string(text, self.out),
            Value::List(_)
            | Value::Tuple(_)
            | Value::Set(_)
            | Value::FrozenSet(_)
            | Value::Dict(_)
            | Value::Record(..)
            | Value::Enum(..) => {
                if depth == DEPTH_MAX {
                    return Err(Unencodable::TooDeep);
                }
                match self.form {
                    Form::Natural => self.natural_container(value, depth + 1)?,
                    Form::Tagged => self.tagged_container(value, depth + 1)?,
                }
            }
            scalar => match self.form {
                Form::Natural => self.natural_scalar(scalar),
                Form::Tagged => self.tagged_scalar(scalar),
            },
        }
        Ok(())
    }

    fn natural_scalar(&mut self, value: &Value) {
        match value {
            Value::Float(value) => self.natural_float(*value),
            Value::Bytes(bytes) => self.base64(bytes),
            Value::Complex(re, im) => {
                self.out.push_str("{\"real\":");
                self.natural_float(*re);
                self.out.push_str(",\"imag\":");
                self.natural_float(*im);
                self.out.push('}');
            }
            Value::Decimal(text) => put_string(text, self.out),
            Value::DateTime(text) | Value::Date(text) | Value::Time(text) => put_string(without_fold(text), self.out),
            Value::TimeDelta(days, seconds, micros) => self.out.push_str(&text::seconds(*days, *seconds, *micros)),
            Value::Uuid(bytes) => put_string(&text::uuid(bytes), self.out),
            _ => {}
        }
    }

    fn natural_float(&mut self, value: f64) {
        if value.is_finite() {
            self.float(value);
        } else {
            put_string(not_finite(value), self.out);
        }
    }

    fn natural_container(&mut self, value: &Value, depth: usize) -> Result<(), Unencodable> {
        match value {
            Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
                self.array(items, depth)
            }
            Value::Dict(entries) => self.object(entries, depth, |(key, value)| Ok((natural_key(key)?, value))),
            Value::Record(_, fields) => self.object(fields, depth, |(name, value)| Ok((name.clone(), value))),
            Value::Enum(_, value) => self.value(value, depth),
            _ => Ok(()),
        }
    }

    fn tagged_scalar(&mut self, value: &Value) {
        let (tag, text) = match value {
            Value::Float(value) => return self.tagged_float(*value),
            Value::Bytes(bytes) => {
                self.out.push_str("{\"$bytes\":");
                self.base64(bytes);
                return self.out.push('}');
            }
            Value::Complex(re, im) => {
                self.out.push_str("{\"$complex\":[");
                self.tagged_float(*re);
                self.out.push(',');
                self.tagged_float(*im);
                return self.out.push_str("]}");
            }
            Value::TimeDelta(days, seconds, micros) => {
                let _ = write!(self.out, "{{\"$timedelta\":[{days},{seconds},{micros}]}}");
                return;
            }
            Value::Decimal(text) => ("decimal", text.as_str()),
            Value::DateTime(text) => ("datetime", text.as_str()),
            Value::Date(text) => ("date", text.as_str()),
            Value::Time(text) => ("time", text.as_str()),
            Value::Uuid(bytes) => {
                let _ = write!(self.out, "{{\"$uuid\":\"{}\"}}", text::uuid(bytes));
                return;
            }
            _ => return,
        };
        let _ = write!(self.out, "{{\"${tag}\":");
        put_string(text, self.out);
        self.out.push('}');
    }

    fn tagged_float(&mut self, value: f64) {
        const NAN: u64 = 0x7ff8_0000_0000_0000;
        if value.is_finite() {
            self.float(value);
        } else if value.is_nan() && value.to_bits() != NAN {
            let _ = write!(self.out, "{{\"$float\":\"{:#018x}\"}}", value.to_bits());
        } else {
            let _ = write!(self.out, "{{\"$float\":\"{}\"}}", not_finite(value));
        }
    }

    fn tagged_container(&mut self, value: &Value, depth: usize) -> Result<(), Unencodable> {
        let tag = match value {
            Value::List(items) => return self.array(items, depth),
            Value::Dict(entries) => return self.tagged_dict(entries, depth),
            Value::Tuple(_) => "tuple",
            Value::Set(_) => "set",
            Value::FrozenSet(_) => "frozenset",
            Value::Record(..) => "record",
            Value::Enum(..) => "enum",
            _ => return Ok(()),
        };
        let _ = write!(self.out, "{{\"${tag}\":");
        match value {
            Value::Record(name, fields) => {
                self.out.push('[');
                put_string(name, self.out);
                self.out.push(',');
                self.object(fields, depth, |(name, value)| Ok((name.clone(), value)))?;
                self.out.push(']');
            }
            Value::Enum(name, member) => {
                self.out.push('[');
                put_string(name, self.out);
                self.out.push(',');
                self.value(member, depth)?;
                self.out.push(']');
            }
            Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => self.array(items, depth)?,
            _ => {}
        }
        self.out.push('}');
        Ok(())
    }

    fn tagged_dict(&mut self, entries: &[(Value, Value)], depth: usize) -> Result<(), Unencodable> {
        let plain = |key: &Value| matches!(key, Value::Str(name) if !name.starts_with('$'));
        if entries.iter().all(|(key, _)| plain(key)) {
            return self.object(entries, depth, |(key, value)| Ok((natural_key(key)?, value)));
        }
        self.out.push_str("{\"$dict\":[");
        for (i, (key, value)) in entries.iter().enumerate() {
            self.out.push_str(if i > 0 { ",[" } else { "[" });
            self.value(key, depth)?;
            self.out.push(',');
            self.value(value, depth)?;
            self.out.push(']');
        }
        self.out.push_str("]}");
        Ok(())
    }

    fn array(&mut self, items: &[Value], depth: usize) -> Result<(), Unencodable> {
        self.out.push('[');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.value(item, depth)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn object<T>(
        &mut self,
        entries: &[T],
        depth: usize,
        member: impl Fn(&T) -> Result<(String, &Value), Unencodable>,
    ) -> Result<(), Unencodable> {
        self.out.push('{');
        for (i, entry) in entries.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            let (name, value) = member(entry)?;
            put_string(&name, self.out);
            self.out.push(':');
            self.value(value, depth)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        let _ = write!(self.out, "{value}");
    }

    /// The shortest digits that give this float again, always with a point or an exponent.
    fn float(&mut self, value: f64) {
        let _ = write!(self.out, "{value:?}");
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.out.push('"');
        base64::encode_into(bytes, self.out);
        self.out.push('"');
    }
}

/// A dict key as the name of a member: its natural text, whatever its type.
fn natural_key(key: &Value) -> Result<String, Unencodable> {
    if let Value::Str(text) = key {
        return Ok(text.clone());
    }
    let text = write(key, Form::Natural)?;
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    Ok(match (key, inner) {
        (Value::Enum(_, member), _) => natural_key(member)?,
        (_, Some(plain)) => plain.to_owned(),
        (_, None) => text,
    })
}

fn without_fold(text: &str) -> &str {
    text.strip_suffix(";1").unwrap_or(text)
}

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn put_string(text: &str, out: &mut String) {
    out.push('"');
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[start..at]);
        start = at + 1;
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[start..]);
    out.push('"');
}
