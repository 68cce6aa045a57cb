//! A serde decoder over [`Value`] with Go's habits.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::{Map, Value};

/// Why a text does not fit its shape.
pub type DecodeError = serde_json::Error;

/// Decodes JSON text as Go would: names in any case, `null` as absent.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    from_value(serde_json::from_str(text)?)
}

/// Decodes a parsed value as Go would: names in any case, `null` as absent.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, DecodeError> {
    T::deserialize(Decoder(value))
}

struct Decoder(Value);

impl<'de> IntoDeserializer<'de, DecodeError> for Decoder {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Decoder {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(Items(items.into_iter())),
            Value::Object(members) => {
                visitor.visit_map(Members { rest: members.into_iter(), value: None, fields: &[] })
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Object(members) => {
                visitor.visit_map(Members { rest: exact_names(members, fields).into_iter(), value: None, fields })
            }
            Value::Null => visitor.visit_map(Members { rest: Map::new().into_iter(), value: None, fields }),
            _ => Err(DecodeError::custom(format!("expected an object for {name}"))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            Value::Object(members) if members.len() == 1 => visitor.visit_enum(OneMember(members)),
            _ => Err(DecodeError::custom("expected a name")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// Members under the names that the shape spells, the last of equals winning, `null` left out.
/// Members that the shape does not know stay, for the shape to ignore.
fn exact_names(members: Map<String, Value>, fields: &[&str]) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, value) in members {
        if value.is_null() {
            continue;
        }
        let exact = fields
            .iter()
            .find(|field| **field == name)
            .or_else(|| fields.iter().find(|field| field.eq_ignore_ascii_case(&name)))
            .map_or(name.as_str(), |field| *field)
            .to_owned();
        out.insert(exact, value);
    }
    out
}

struct Items(std::vec::IntoIter<Value>);

impl<'de> SeqAccess<'de> for Items {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        self.0.next().map(|item| seed.deserialize(Decoder(item))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Members {
    rest: serde_json::map::IntoIter,
    value: Option<(String, Value)>,
    fields: &'static [&'static str],
}

impl<'de> MapAccess<'de> for Members {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        match self.rest.next() {
            Some((name, value)) => {
                let key = seed.deserialize(name.as_str().into_deserializer())?;
                self.value = Some((name, value));
                Ok(Some(key))
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let (name, value) = self.value.take().unwrap_or_default();
        seed.deserialize(Decoder(value)).map_err(|error| {
            if self.fields.contains(&name.as_str()) { DecodeError::custom(format!("{name}: {error}")) } else { error }
        })
    }
}

struct OneMember(Map<String, Value>);

impl<'de> EnumAccess<'de> for OneMember {
    type Error = DecodeError;
    type Variant = Decoder;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Decoder), DecodeError> {
        let (name, value) = self.0.into_iter().next().unwrap_or_default();
        Ok((seed.deserialize(IntoDeserializer::<DecodeError>::into_deserializer(name))?, Decoder(value)))
    }
}

impl<'de> VariantAccess<'de> for Decoder {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_struct("", fields, visitor)
    }
}
