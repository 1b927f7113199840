//! Stored values to serde's data model.

use num_bigint::BigInt;
use protocol::{Value, msgpack};
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::{Mismatch, Uuid, name};

impl de::Error for Mismatch {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// Gives away a value.
pub(super) struct Deserializer(pub(super) Value);

impl<'de> IntoDeserializer<'de, Mismatch> for Deserializer {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Items(std::vec::IntoIter<Value>);

struct Entries {
    entries: std::vec::IntoIter<(Value, Value)>,
    value: Option<Value>,
}

struct Variant(Value);

impl<'de> de::Deserializer<'de> for Deserializer {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::None => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value) => visitor.visit_i64(value),
            Value::BigInt(value) => visit_big(&value, visitor),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Str(text) | Value::Decimal(text) | Value::DateTime(text) | Value::Date(text) | Value::Time(text) => {
                visitor.visit_string(text)
            }
            Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
            Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
                visitor.visit_seq(Items(items.into_iter()))
            }
            Value::Dict(entries) => visitor.visit_map(Entries { entries: entries.into_iter(), value: None }),
            Value::Complex(re, im) => visitor.visit_seq(Items(vec![Value::Float(re), Value::Float(im)].into_iter())),
            Value::TimeDelta(days, seconds, micros) => {
                visitor.visit_f64((days * 86_400 + seconds) as f64 + micros as f64 / 1e6)
            }
            Value::Uuid(bytes) => visitor.visit_string(Uuid(bytes).to_string()),
            Value::Record(_, fields) => {
                let entries: Vec<_> = fields.into_iter().map(|(name, value)| (Value::Str(name), value)).collect();
                visitor.visit_map(Entries { entries: entries.into_iter(), value: None })
            }
            Value::Enum(_, value) => Self(*value).deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::None => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        match (name, self.0) {
            (name::ANY, value) => {
                visitor.visit_byte_buf(msgpack::encode(&value).map_err(|error| Mismatch(error.to_string()))?)
            }
            (name::UUID, Value::Uuid(bytes)) => visitor.visit_bytes(&bytes),
            (name::UUID | name::BYTES | name::DECIMAL | name::DATE_TIME | name::DATE, value) => {
                Self(value).deserialize_any(visitor)
            }
            (_, value) => visitor.visit_newtype_struct(Self(value)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Str(name) => visitor.visit_enum(Tagged { name, content: Value::None }),
            Value::Enum(_, value) => Self(*value).deserialize_enum("", &[], visitor),
            Value::Dict(mut entries) if entries.len() == 1 => match entries.pop() {
                Some((Value::Str(name), content)) => visitor.visit_enum(Tagged { name, content }),
                _ => Err(Mismatch("a variant's name is a str".into())),
            },
            _ => Err(Mismatch("an enum is a variant's name, or {name: content}".into())),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

fn visit_big<'de, V: Visitor<'de>>(value: &BigInt, visitor: V) -> Result<V::Value, Mismatch> {
    if let Ok(value) = u64::try_from(value) {
        return visitor.visit_u64(value);
    }
    if let Ok(value) = i128::try_from(value) {
        return visitor.visit_i128(value);
    }
    match u128::try_from(value) {
        Ok(value) => visitor.visit_u128(value),
        Err(_) => Err(Mismatch("an int of more than 128 bits has no type in Rust".into())),
    }
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        self.0.next().map(|item| seed.deserialize(Deserializer(item))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mismatch> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Deserializer(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Mismatch> {
        let value = self.value.take().ok_or_else(|| Mismatch("a map's value came before its key".into()))?;
        seed.deserialize(Deserializer(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

struct Tagged {
    name: String,
    content: Value,
}

impl<'de> de::EnumAccess<'de> for Tagged {
    type Error = Mismatch;
    type Variant = Variant;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Variant), Mismatch> {
        let name = seed.deserialize(Deserializer(Value::Str(self.name)))?;
        Ok((name, Variant(self.content)))
    }
}

impl<'de> VariantAccess<'de> for Variant {
    type Error = Mismatch;

    fn unit_variant(self) -> Result<(), Mismatch> {
        match self.0 {
            Value::None => Ok(()),
            _ => Err(Mismatch("this variant has no content".into())),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mismatch> {
        seed.deserialize(Deserializer(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mismatch> {
        de::Deserializer::deserialize_any(Deserializer(self.0), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Mismatch> {
        de::Deserializer::deserialize_any(Deserializer(self.0), visitor)
    }
}
