//! Single values that the reference writes in more than one way.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A moment; never-set is `0001-01-01T00:00:00Z` in the row and `None` here, as is what is no time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Time(pub Option<Timestamp>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let at = Value::deserialize(deserializer)?.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        Ok(Self(at.filter(|at| *at > Timestamp::UNIX_EPOCH)))
    }
}

/// A status as a word: a name, or in old rows a decimal number. Empty where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusWord(String);

impl StatusWord {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for StatusWord {
    fn from(word: &str) -> Self {
        Self(word.to_owned())
    }
}

impl<'de> Deserialize<'de> for StatusWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::Null => String::new(),
            Value::String(word) => word,
            other => other.to_string(),
        }))
    }
}
