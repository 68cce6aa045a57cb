//! Decoding JSON *onto* a value that is already there, as Go does (spec 20 §4.1): members that are
//! present replace scalars and lists and merge into maps; `null` clears lists, maps and pointers
//! and leaves scalars; names match in any case; unknown members are ignored.

use serde_json::{Map, Value};

/// What a member is, as far as overlaying needs to know.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    Bool,
    Int,
    Text,
    /// A pointer to a scalar, list or nested struct without defaults: replaced, or cleared by `null`.
    Pointer,
    /// Replaced as a whole.
    List,
    /// Merged key by key; keys are data and keep their case.
    Map,
    /// Merged member by member.
    Struct(&'static [Member]),
    /// A pointer to a struct: merged where one is there, cleared by `null`.
    StructPointer(&'static [Member]),
    /// Text or a list of text (Docker's `Cmd` and `Entrypoint`).
    TextOrList,
}

/// A member's name as Docker spells it, and what it is.
#[derive(Debug, Clone, Copy)]
pub struct Member(pub &'static str, pub Shape);

/// Decodes `over` onto `base`. The error is Go's own wording, which reasons show to users.
pub fn overlay(base: &mut Map<String, Value>, over: &Value, members: &[Member]) -> Result<(), String> {
    overlay_at(base, over, members, "")
}

fn overlay_at(base: &mut Map<String, Value>, over: &Value, members: &[Member], path: &str) -> Result<(), String> {
    let over = match over {
        Value::Object(over) => over,
        Value::Null => return Ok(()),
        other => return Err(mismatch(other, path, "struct")),
    };
    for (name, value) in over {
        let found =
            members.iter().find(|m| m.0 == name).or_else(|| members.iter().find(|m| m.0.eq_ignore_ascii_case(name)));
        let Some(Member(exact, shape)) = found else {
            continue;
        };
        let path = if path.is_empty() { (*exact).to_owned() } else { format!("{path}.{exact}") };
        match shape {
            Shape::Bool => scalar(base, exact, value, value.is_boolean(), &path, "bool")?,
            Shape::Int => scalar(base, exact, value, value.is_i64() || value.is_u64(), &path, "int64")?,
            Shape::Text => scalar(base, exact, value, value.is_string(), &path, "string")?,
            Shape::Pointer => {
                base.insert((*exact).to_owned(), value.clone());
            }
            Shape::List => {
                if !value.is_null() && !value.is_array() {
                    return Err(mismatch(value, &path, "slice"));
                }
                base.insert((*exact).to_owned(), value.clone());
            }
            Shape::TextOrList => {
                let list = match value {
                    Value::String(_) => Value::Array(vec![value.clone()]),
                    Value::Null | Value::Array(_) => value.clone(),
                    other => return Err(mismatch(other, &path, "strslice.StrSlice")),
                };
                base.insert((*exact).to_owned(), list);
            }
            Shape::Map => match value {
                Value::Null => {
                    base.insert((*exact).to_owned(), Value::Null);
                }
                Value::Object(more) => {
                    let slot = base.entry((*exact).to_owned()).or_insert(Value::Null);
                    if !slot.is_object() {
                        *slot = Value::Object(Map::new());
                    }
                    if let Value::Object(slot) = slot {
                        slot.extend(more.clone());
                    }
                }
                other => return Err(mismatch(other, &path, "map")),
            },
            Shape::Struct(inner) | Shape::StructPointer(inner) => {
                if value.is_null() {
                    if matches!(shape, Shape::StructPointer(_)) {
                        base.insert((*exact).to_owned(), Value::Null);
                    }
                    continue;
                }
                let slot = base.entry((*exact).to_owned()).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(slot) = slot {
                    overlay_at(slot, value, inner, &path)?;
                }
            }
        }
    }
    Ok(())
}

fn scalar(
    base: &mut Map<String, Value>,
    name: &str,
    value: &Value,
    fits: bool,
    path: &str,
    wanted: &str,
) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    if !fits {
        return Err(mismatch(value, path, wanted));
    }
    base.insert(name.to_owned(), value.clone());
    Ok(())
}

/// What Go's decoder calls a value.
pub(crate) const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn mismatch(value: &Value, path: &str, wanted: &str) -> String {
    let kind = kind_of(value);
    if path.is_empty() {
        format!("json: cannot unmarshal {kind} into Go value of type {wanted}")
    } else {
        format!("json: cannot unmarshal {kind} into Go struct field {path} of type {wanted}")
    }
}
