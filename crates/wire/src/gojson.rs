//! What Go's JSON decoder does that serde does not, because the reference agent decodes with it:
//! member names match in any case, `null` counts as absent, and JSON text can be decoded *onto* an
//! existing value (spec 10 traps 16, spec 20 §4.1).

mod decode;
mod duration;
mod overlay;

pub use decode::{DecodeError, from_str, from_value};
pub use duration::{DurationError, parse_duration, render_duration};
pub(crate) use overlay::kind_of;
pub use overlay::{Member, Shape, overlay};

#[cfg(test)]
mod tests;
