//! How a moment stands in the store: as nanoseconds since 1970. A tenth of the core's time went into their text.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(at.as_nanosecond()) {
        Ok(nanoseconds) => serializer.serialize_i64(nanoseconds),
        // Before 1677 or after 2262, such as the Engine's "never" of the year 1.
        Err(_) => at.serialize(serializer),
    }
}

/// Reads both.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    struct Moment;

    impl Visitor<'_> for Moment {
        type Value = Timestamp;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("nanoseconds since 1970, or a date and time")
        }

        fn visit_i64<E: Error>(self, nanoseconds: i64) -> Result<Timestamp, E> {
            Timestamp::from_nanosecond(nanoseconds.into()).map_err(E::custom)
        }

        fn visit_u64<E: Error>(self, nanoseconds: u64) -> Result<Timestamp, E> {
            Timestamp::from_nanosecond(nanoseconds.into()).map_err(E::custom)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_any(Moment)
}

/// The same for a moment that may not have come.
pub(crate) mod option {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        #[derive(Deserialize)]
        struct Stored(#[serde(with = "super")] Timestamp);

        Ok(Option::<Stored>::deserialize(deserializer)?.map(|Stored(at)| at))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Row {
        #[serde(with = "super")]
        at: Timestamp,
        #[serde(with = "super::option")]
        then: Option<Timestamp>,
    }

    fn check(row: &Row, text: &str) {
        assert_eq!(serde_json::to_string(row).unwrap(), text);
        assert_eq!(&serde_json::from_str::<Row>(text).unwrap(), row);
    }

    #[test]
    fn each_moment_comes_back_as_it_was() {
        let at: Timestamp = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
        let never: Timestamp = "0001-01-01T00:00:00Z".parse().unwrap();
        let before: Timestamp = "1969-12-31T23:59:59Z".parse().unwrap();
        check(&Row { at, then: None }, r#"{"at":1767323045123456789,"then":null}"#);
        check(&Row { at: before, then: Some(at) }, r#"{"at":-1000000000,"then":1767323045123456789}"#);
        check(&Row { at: never, then: Some(never) }, r#"{"at":"0001-01-01T00:00:00Z","then":"0001-01-01T00:00:00Z"}"#);
    }

    #[test]
    fn no_other_thing_is_a_moment() {
        for text in [r#"{"at":true,"then":null}"#, r#"{"at":"noon","then":null}"#, r#"{"at":1.5,"then":null}"#] {
            assert!(serde_json::from_str::<Row>(text).is_err(), "{text}");
        }
    }
}
