//! The ECS JSON 1.1 API (spec 10 §1, §4): what the agent sends, what the control plane answers,
//! and what people's tools say to it.
//!
//! One rule holds for every shape here: an `Option` is omitted when it is `None`, anything else is
//! always present. So a list that the protocol leaves out when empty is an `Option<Vec<_>>`
//! (see [`unless_empty`]), and a list that readers index without asking is a plain `Vec`.
//! Unknown members are ignored and missing ones take their default; so do those that are `null`, once
//! [`without_nulls`] has gone over what came in.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Whether a member is left out of the JSON text.
trait Unset {
    fn is_unset(&self) -> bool {
        false
    }
}

impl<T> Unset for Option<T> {
    fn is_unset(&self) -> bool {
        self.is_none()
    }
}

impl<T> Unset for Vec<T> {}
impl<K, V> Unset for BTreeMap<K, V> {}
impl Unset for String {}
impl Unset for bool {}
impl Unset for i64 {}

/// Defines shapes with serde both ways, camelCase names and the rule of the module's head.
macro_rules! shapes {
    ($($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$fmeta:meta])* pub $field:ident: $kind:ty,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $(
                $(#[$fmeta])*
                #[serde(skip_serializing_if = "crate::ecs::Unset::is_unset")]
                pub $field: $kind,
            )*
        }

        impl crate::ecs::Unset for $name {}
    )*};
}

mod cluster;
mod instance;
mod state_change;
mod task;
mod task_definition;

pub use cluster::*;
pub use instance::*;
pub use state_change::*;
pub use task::*;
pub use task_definition::*;

/// The prefix of `X-Amz-Target`; the operation's name follows after a dot.
pub const TARGET_PREFIX: &str = "AmazonEC2ContainerServiceV20141113";

/// The media type of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// What came in, less every member that is `null`: to AWS's own clients such a one is not there.
#[must_use]
pub fn without_nulls(text: Value) -> Value {
    match text {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(entries) => Value::Array(entries.into_iter().map(without_nulls).collect()),
        plain => plain,
    }
}

/// A list for a member that is omitted when it has no entry.
#[must_use]
pub fn unless_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// A point in time on the wire: epoch seconds as a JSON number with at most three decimals.
/// Held as epoch milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct EpochSeconds(i64);

impl EpochSeconds {
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl From<jiff::Timestamp> for EpochSeconds {
    fn from(time: jiff::Timestamp) -> Self {
        Self(time.as_millisecond())
    }
}

impl Serialize for EpochSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 {
            serializer.serialize_i64(self.0 / 1000)
        } else {
            serializer.serialize_f64(self.0 as f64 / 1000.0)
        }
    }
}

impl<'de> Deserialize<'de> for EpochSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Ok(Self((seconds * 1000.0).round() as i64))
    }
}

shapes! {
    /// A tag of a resource.
    pub struct Tag {
        pub key: String,
        pub value: String,
    }

    /// A name with its value, as environments and attachment details use.
    pub struct KeyValuePair {
        pub name: String,
        pub value: String,
    }

    /// What could not be found or placed, inside an otherwise successful answer.
    pub struct Failure {
        pub arn: Option<String>,
        pub reason: Option<String>,
        pub detail: Option<String>,
    }

    /// The body of an answer with a status of 400 or more. `message` also arrives as `Message`.
    pub struct ApiError {
        /// The error's type, perhaps with a namespace before a `#`: see [`ApiError::code`].
        #[serde(rename = "__type")]
        pub kind: String,
        #[serde(alias = "Message")]
        pub message: String,
    }

    /// ListTagsForResource: the request.
    pub struct ListTagsForResourceRequest {
        pub resource_arn: String,
    }

    /// ListTagsForResource: the answer.
    pub struct ListTagsForResourceResponse {
        pub tags: Vec<Tag>,
    }

    /// TagResource: the request; the answer is empty.
    pub struct TagResourceRequest {
        pub resource_arn: String,
        pub tags: Vec<Tag>,
    }

    /// UntagResource: the request; the answer is empty.
    pub struct UntagResourceRequest {
        pub resource_arn: String,
        pub tag_keys: Vec<String>,
    }
}

impl ApiError {
    /// The error's type without its namespace.
    #[must_use]
    pub fn code(&self) -> &str {
        self.kind.rsplit('#').next().unwrap_or(&self.kind)
    }
}

#[cfg(test)]
mod tests;
