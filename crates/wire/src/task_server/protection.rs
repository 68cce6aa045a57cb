//! Bodies of task protection requests (spec 30 §4.1).

use serde_json::Value;

/// A change that a task asks for. `null` and absent are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    pub is_protected: Option<bool>,
    /// How long it is to be protected.
    pub minutes: Option<i64>,
}

impl Wish {
    /// The first JSON value of a body: names in any case, unknown ones refused, whole minutes only.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let first = serde_json::Deserializer::from_slice(body).into_iter::<Value>().next()?.ok()?;
        let members = match first {
            Value::Null => return Some(Self::default()),
            Value::Object(members) => members,
            _ => return None,
        };
        let mut wish = Self::default();
        for (name, value) in members {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            match value {
                Value::Null if is("ProtectionEnabled") || is("ExpiresInMinutes") => {}
                Value::Bool(value) if is("ProtectionEnabled") => wish.is_protected = Some(value),
                Value::Number(number) if is("ExpiresInMinutes") => wish.minutes = Some(number.as_i64()?),
                _ => return None,
            }
        }
        Some(wish)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bodies_are_read_strictly() {
        let wish = |is_protected, minutes| Some(Wish { is_protected, minutes });
        for (body, expected) in [
            (r#"{"ProtectionEnabled":true}"#, wish(Some(true), None)),
            (r#"{"protectionenabled":false,"EXPIRESINMINUTES":-5} trailing"#, wish(Some(false), Some(-5))),
            (r#"{"ProtectionEnabled":null}"#, wish(None, None)),
            ("null", wish(None, None)),
            ("{}", wish(None, None)),
            ("", None),
            ("[]", None),
            (r#"{"ProtectionEnabled":"true"}"#, None),
            (r#"{"ExpiresInMinutes":60.0}"#, None),
            (r#"{"ExpiresInMinutes":6e1}"#, None),
            (r#"{"Other":1}"#, None),
            (r#"{"Other":null}"#, None),
        ] {
            assert_eq!(Wish::parse(body.as_bytes()), expected, "{body}");
        }
    }
}
