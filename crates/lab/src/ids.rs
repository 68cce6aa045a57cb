//! Random names.

use std::hash::{BuildHasher, Hasher, RandomState};

/// `length` random hexadecimal digits.
#[must_use]
pub fn hex(length: usize) -> String {
    let mut text = String::new();
    while text.len() < length {
        text.push_str(&format!("{:016x}", RandomState::new().build_hasher().finish()));
    }
    text.truncate(length);
    text
}
