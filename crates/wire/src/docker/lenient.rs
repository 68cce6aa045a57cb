//! Reading what daemons of every age really send: `null` for absent, Go's zero time for "never", values of later
//! releases. Daemons omit, add and null members between releases, and one odd member must not lose a whole reply.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::secret::Secret;

/// A type with a lenient reading, in which `null` counts as absent.
pub(super) trait FromReply: Sized {
    fn from_reply<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// The same where the member is optional; for times this also turns Go's zero time into `None`.
    fn optional_from_reply<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        Ok(Option::<Lenient<Self>>::deserialize(deserializer)?.map(|value| value.0))
    }
}

/// Lets serde's own containers hold leniently read elements.
struct Lenient<T>(T);

impl<'de, T: FromReply> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::from_reply(deserializer).map(Self)
    }
}

/// The `deserialize_with` of every reply member.
pub(super) fn member<'de, D: Deserializer<'de>, T: FromReply>(deserializer: D) -> Result<T, D::Error> {
    T::from_reply(deserializer)
}

/// Gives types whose strict reading is right except for `null` their lenient one.
macro_rules! null_is_default {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::docker::lenient::FromReply for $type {
            fn from_reply<'de, D: serde::de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(<Option<$type> as serde::de::Deserialize>::deserialize(deserializer)?.unwrap_or_default())
            }
        }
    )+};
}
pub(super) use null_is_default;

null_is_default!(bool, i32, i64, u64, f64, String, serde_json::Value, serde_json::Map<String, serde_json::Value>);

impl<T: FromReply> FromReply for Vec<T> {
    fn from_reply<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Option::<Vec<Lenient<T>>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(list.into_iter().map(|element| element.0).collect())
    }
}

impl<T: FromReply> FromReply for BTreeMap<String, T> {
    fn from_reply<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Option::<BTreeMap<String, Lenient<T>>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(map.into_iter().map(|(key, value)| (key, value.0)).collect())
    }
}

impl<T: FromReply> FromReply for Option<T> {
    fn from_reply<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::optional_from_reply(deserializer)
    }
}

impl<T: FromReply> FromReply for Secret<T> {
    fn from_reply<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::from_reply(deserializer).map(Self::new)
    }
}

impl FromReply for Timestamp {
    fn from_reply<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::optional_from_reply(deserializer)?.unwrap_or(Self::UNIX_EPOCH))
    }

    /// RFC 3339 text or Unix seconds. Go's zero time, an empty text and text that is no time are `None`.
    fn optional_from_reply<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        deserializer.deserialize_any(TimeVisitor(PhantomData))
    }
}

/// Seconds of 0001-01-01T00:00:00Z, Go's zero time, by which Docker means "never".
const GO_ZERO_SECONDS: i64 = -62_135_596_800;

struct TimeVisitor(PhantomData<Timestamp>);

impl<'de> Visitor<'de> for TimeVisitor {
    type Value = Option<Timestamp>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.parse::<Timestamp>().ok().filter(|time| time.as_second() > GO_ZERO_SECONDS))
    }

    fn visit_i64<E>(self, seconds: i64) -> Result<Self::Value, E> {
        Ok(Timestamp::from_second(seconds).ok().filter(|time| time.as_second() > 0))
    }

    fn visit_u64<E>(self, seconds: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(seconds)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .filter(|time| time.as_second() > 0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Text of an enum value; `null` reads as empty.
pub(super) fn enum_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    Ok(Option::<Cow<'de, str>>::deserialize(deserializer)?.unwrap_or_default())
}

/// A reply struct: each member with the name that it has on the wire, public, optional and null-tolerant.
macro_rules! reply {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $wire:literal => $field:ident: $type:ty,)*
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(rename = $wire, default, deserialize_with = "crate::docker::lenient::member")]
                pub $field: $type,
            )*
        }

        $crate::docker::lenient::null_is_default!($name);
    )+};
}
pub(super) use reply;

/// An enum of the daemon's: known values by name, any other kept as text.
macro_rules! open_enum {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A value not known here, as sent; empty when the daemon sent none.
            Other(String),
        }

        impl $name {
            /// The value as it is on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Other(String::new())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::docker::lenient::enum_text(deserializer).map(|text| Self::from(&*text))
            }
        }

        $crate::docker::lenient::null_is_default!($name);
    )+};
}
pub(super) use open_enum;
