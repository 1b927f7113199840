//! serde's data model to stored values.

use num_bigint::BigInt;
use protocol::{Value, msgpack};
use serde::ser::{self, Serialize};

use super::{Mismatch, name};

impl ser::Error for Mismatch {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// Makes a [`Value`] of what it is given.
pub(super) struct Serializer;

/// A list, tuple or set in the making.
pub(super) struct Items {
    items: Vec<Value>,
    make: fn(Vec<Value>) -> Value,
    /// Of an enum: the variant's name.
    variant: Option<&'static str>,
}

/// A dict or record in the making.
pub(super) struct Entries {
    entries: Vec<(Value, Value)>,
    key: Option<Value>,
    /// Registered name of a record.
    record: Option<&'static str>,
    variant: Option<&'static str>,
}

type Done = Result<Value, Mismatch>;

fn text(text: &str) -> Value {
    Value::Str(text.to_owned())
}

fn variant_of(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => Value::Dict(vec![(text(variant), value)]),
        None => value,
    }
}

fn big(value: BigInt) -> Value {
    i64::try_from(&value).map_or(Value::BigInt(value), Value::Int)
}

/// Python could not read a dict with such a key, or a set with such an element: it finds them by a hash, which what can
/// change has not. No type says this of itself, as serde may make anything of it.
fn hashable(what: &str, value: &Value) -> Result<(), Mismatch> {
    let kind = match value {
        Value::List(_) => "a list",
        Value::Set(_) => "a set",
        Value::Dict(_) => "a dict",
        Value::Tuple(items) => return items.iter().try_for_each(|item| hashable(what, item)),
        Value::Enum(_, value) => return hashable(what, value),
        _ => return Ok(()),
    };
    Err(Mismatch(format!(
        "{what} is or has {kind}, by which Python finds nothing; take a text, a number, or a tuple or array of these"
    )))
}

/// The named newtypes of `types`.
fn special(name: &str, value: Value) -> Done {
    let wrong = || Mismatch(format!("{name} holds something else"));
    Ok(match (name, value) {
        (name::ANY, Value::Bytes(bytes)) => msgpack::decode(&bytes).map_err(|error| Mismatch(error.to_string()))?,
        (name::UUID, Value::Bytes(bytes)) => Value::Uuid(bytes.try_into().map_err(|_| wrong())?),
        (name::BYTES, value @ Value::Bytes(_)) => value,
        (name::DECIMAL, Value::Str(text)) => Value::Decimal(text),
        (name::DATE_TIME, Value::Str(text)) => Value::DateTime(text),
        (name::DATE, Value::Str(text)) => Value::Date(text),
        (name::SET, Value::List(items)) => {
            items.iter().try_for_each(|item| hashable("an element of a set", item))?;
            Value::Set(items)
        }
        (name::ANY | name::UUID | name::BYTES | name::DECIMAL | name::DATE_TIME | name::DATE | name::SET, _) => {
            return Err(wrong());
        }
        (_, value) => value,
    })
}

impl ser::Serializer for Serializer {
    type Ok = Value;
    type Error = Mismatch;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    fn serialize_bool(self, value: bool) -> Done {
        Ok(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Done {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i16(self, value: i16) -> Done {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i32(self, value: i32) -> Done {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i64(self, value: i64) -> Done {
        Ok(Value::Int(value))
    }

    fn serialize_i128(self, value: i128) -> Done {
        Ok(big(value.into()))
    }

    fn serialize_u8(self, value: u8) -> Done {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u16(self, value: u16) -> Done {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u32(self, value: u32) -> Done {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u64(self, value: u64) -> Done {
        Ok(big(value.into()))
    }

    fn serialize_u128(self, value: u128) -> Done {
        Ok(big(value.into()))
    }

    fn serialize_f32(self, value: f32) -> Done {
        Ok(Value::Float(value.into()))
    }

    fn serialize_f64(self, value: f64) -> Done {
        Ok(Value::Float(value))
    }

    fn serialize_char(self, value: char) -> Done {
        Ok(Value::Str(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Done {
        Ok(text(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        Ok(Value::Bytes(value.to_vec()))
    }

    fn serialize_none(self) -> Done {
        Ok(Value::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        Ok(Value::None)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(Value::None)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        Ok(text(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Done {
        special(name, value.serialize(self)?)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        Ok(variant_of(Some(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items, Mismatch> {
        Ok(Items { items: Vec::new(), make: Value::List, variant: None })
    }

    fn serialize_tuple(self, _: usize) -> Result<Items, Mismatch> {
        Ok(Items { items: Vec::new(), make: Value::Tuple, variant: None })
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items, Mismatch> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items, Mismatch> {
        Ok(Items { items: Vec::new(), make: Value::Tuple, variant: Some(variant) })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, Mismatch> {
        Ok(Entries { entries: Vec::new(), key: None, record: None, variant: None })
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Entries, Mismatch> {
        Ok(Entries {
            entries: Vec::new(),
            key: None,
            record: Some(name).filter(|name| name.contains('.')),
            variant: None,
        })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Entries, Mismatch> {
        Ok(Entries { entries: Vec::new(), key: None, record: None, variant: Some(variant) })
    }
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Mismatch> {
        self.items.push(item.serialize(Serializer)?);
        Ok(())
    }

    fn finish(self) -> Done {
        Ok(variant_of(self.variant, (self.make)(self.items)))
    }
}

/// serde has a trait for each kind of sequence, and one for each kind of struct; they do the same here.
macro_rules! collects {
    ($type:ident, $trait:ident, $take:ident($($argument:ident: $of:ty),*) by $by:ident) => {
        impl ser::$trait for $type {
            type Ok = Value;
            type Error = Mismatch;

            fn $take<T: Serialize + ?Sized>(&mut self, $($argument: $of,)* item: &T) -> Result<(), Mismatch> {
                self.$by($($argument,)* item)
            }

            fn end(self) -> Done {
                self.finish()
            }
        }
    };
}

collects!(Items, SerializeSeq, serialize_element() by push);
collects!(Items, SerializeTuple, serialize_element() by push);
collects!(Items, SerializeTupleStruct, serialize_field() by push);
collects!(Items, SerializeTupleVariant, serialize_field() by push);
collects!(Entries, SerializeStruct, serialize_field(name: &'static str) by put);
collects!(Entries, SerializeStructVariant, serialize_field(name: &'static str) by put);

impl Entries {
    fn put<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Mismatch> {
        let value = value.serialize(Serializer).map_err(|Mismatch(text)| Mismatch(format!(".{name}: {text}")))?;
        self.entries.push((text(name), value));
        Ok(())
    }

    fn finish(self) -> Done {
        let Some(record) = self.record else { return Ok(variant_of(self.variant, Value::Dict(self.entries))) };
        let name = |key| match key {
            Value::Str(name) => Some(name),
            _ => None,
        };
        let fields = self.entries.into_iter().filter_map(|(key, value)| Some((name(key)?, value))).collect();
        Ok(Value::Record(record.to_owned(), fields))
    }
}

impl ser::SerializeMap for Entries {
    type Ok = Value;
    type Error = Mismatch;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Mismatch> {
        let key = key.serialize(Serializer)?;
        hashable("a key of a map", &key)?;
        self.key = Some(key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Mismatch> {
        let key = self.key.take().ok_or_else(|| Mismatch("a map's value came before its key".into()))?;
        self.entries.push((key, value.serialize(Serializer)?));
        Ok(())
    }

    fn end(self) -> Done {
        self.finish()
    }
}
