//! Pages of lists. A token is the last key of the page before, in hex: it stays valid while the list
//! changes, and nothing need be remembered.

use crate::error::Fault;

/// The largest page of the list operations, and the size of a page when none is asked for.
const PAGE_MAX: i64 = 100;

/// Cuts a page out of `keys`, which are in listing order. `position` says where in that order a token's
/// key is, also when the key itself is gone: how many keys come up to and including it.
pub(crate) fn page(
    keys: Vec<String>,
    token: Option<&str>,
    max: Option<i64>,
    position: impl Fn(&[String], &str) -> usize,
) -> Result<(Vec<String>, Option<String>), Fault> {
    let max = max.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&max) {
        return Err(Fault::parameter(format!("maxResults must be between 1 and {PAGE_MAX}.")));
    }
    let start = match token {
        None => 0,
        Some(token) => {
            let last = unhex(token).ok_or_else(|| Fault::parameter("Invalid token."))?;
            position(&keys, &last)
        }
    };
    let rest = keys.len().saturating_sub(start);
    let page: Vec<String> = keys.into_iter().skip(start).take(max as usize).collect();
    let next = (rest > page.len()).then(|| page.last().map(|last| hex(last))).flatten();
    Ok((page, next))
}

/// The position in an ascending list.
pub(crate) fn ascending(keys: &[String], last: &str) -> usize {
    keys.partition_point(|key| key.as_str() <= last)
}

/// The position in a list that is in no order of its own; a key that is gone starts the list over.
pub(crate) fn anywhere(keys: &[String], last: &str) -> usize {
    keys.iter().position(|key| key == last).map_or(0, |at| at + 1)
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(token: &str) -> Option<String> {
    if !token.len().is_multiple_of(2) || !token.is_ascii() {
        return None;
    }
    let bytes = (0..token.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok())
        .collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pages_go_on_behind_the_last_key_even_when_it_is_gone() {
        let keys = |list: &[&str]| list.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let (first, token) = page(keys(&["a", "b", "c", "d"]), None, Some(2), ascending).unwrap();
        assert_eq!(first, ["a", "b"]);
        let (second, end) = page(keys(&["a", "c", "d"]), token.as_deref(), Some(2), ascending).unwrap();
        assert_eq!((second, end), (keys(&["c", "d"]), None));
        assert_eq!(page(vec![], Some("zz"), None, ascending).unwrap_err().message, "Invalid token.");
        assert!(page(vec![], None, Some(101), ascending).is_err());
    }
}
