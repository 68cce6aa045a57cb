//! Where in a text a member is. JSON is walked through; for YAML the parser is led to the member and asked where it is.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A place in a text; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub line: usize,
    pub column: usize,
}

/// One step of a path such as `containerDefinitions[0].memory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Member(String),
    Index(usize),
}

impl Segment {
    pub(super) fn parse(path: &str) -> Vec<Self> {
        let mut segments = Vec::new();
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let mut pieces = part.split('[');
            let name = pieces.next().unwrap_or_default();
            if !name.is_empty() {
                segments.push(Self::Member(name.to_owned()));
            }
            let indices = pieces.filter_map(|piece| piece.strip_suffix(']')?.parse().ok());
            segments.extend(indices.map(Self::Index));
        }
        segments
    }
}

/// The place in a text that is known to be JSON. A member that is not there is looked for as far as its parents go.
pub(super) fn in_json(text: &str, segments: &[Segment]) -> Place {
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0 };
    let offset = scanner.locate(segments, None);
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

/// Walks through valid JSON; on anything else it stops where it is.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// From the beginning of a value to the offset of what is wanted in it. `name_at` is where the value's own name is.
    fn locate(&mut self, segments: &[Segment], name_at: Option<usize>) -> usize {
        self.skip_space();
        let here = name_at.unwrap_or(self.at);
        match (segments.split_first(), self.peek()) {
            (Some((Segment::Member(wanted), rest)), Some(b'{')) => {
                self.at += 1;
                loop {
                    self.skip_space();
                    if self.peek() != Some(b'"') {
                        return here;
                    }
                    let name_at = self.at;
                    self.skip_string();
                    let name: Option<String> =
                        self.bytes.get(name_at..self.at).and_then(|name| serde_json::from_slice(name).ok());
                    self.skip_space();
                    self.at += 1;
                    if name.as_deref() == Some(wanted) {
                        return self.locate(rest, Some(name_at));
                    }
                    if !self.skip_item() {
                        return here;
                    }
                }
            }
            (Some((Segment::Index(wanted), rest)), Some(b'[')) => {
                self.at += 1;
                for _ in 0..*wanted {
                    if !self.skip_item() {
                        return here;
                    }
                }
                self.skip_space();
                if self.peek() == Some(b']') { here } else { self.locate(rest, None) }
            }
            _ => here,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }

    /// Skips a value and the comma behind it; false where that was the last one.
    fn skip_item(&mut self) -> bool {
        self.skip_value();
        self.skip_space();
        let has_more = self.peek() == Some(b',');
        self.at += usize::from(has_more);
        has_more
    }

    fn skip_value(&mut self) {
        self.skip_space();
        let mut depth = 0usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.skip_string();
                    if depth == 0 {
                        return;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => return,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return;
                    }
                }
                b',' if depth == 0 => return,
                _ => {}
            }
            self.at += 1;
        }
    }
}

/// The place in a text that is known to be YAML, as [`in_json`].
pub(super) fn in_yaml(text: &str, segments: &[Segment]) -> Place {
    for length in (0..=segments.len()).rev() {
        let seed = Wanted(&segments[..length]);
        if let Err(error) = seed.deserialize(serde_yaml_ng::Deserializer::from_str(text))
            && let Some(at) = error.location()
        {
            return Place { line: at.line(), column: at.column() };
        }
    }
    Place { line: 1, column: 1 }
}

/// Goes to a place and fails there, since errors are all that the parser tells places of.
struct Wanted<'a>(&'a [Segment]);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0.first() {
            None => deserializer.deserialize_any(Here),
            Some(Segment::Member(_)) => deserializer.deserialize_map(self),
            Some(Segment::Index(_)) => deserializer.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wanted place")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Segment::Member(wanted), rest)) = self.0.split_first() else { return Ok(()) };
        while let Some(is_wanted) = map.next_key_seed(Key { wanted, fails: rest.is_empty() })? {
            if is_wanted {
                map.next_value_seed(Wanted(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((Segment::Index(wanted), rest)) = self.0.split_first() else { return Ok(()) };
        for _ in 0..*wanted {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(Wanted(rest))?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Fails at a key if it is the last of the path.
struct Key<'a> {
    wanted: &'a str,
    fails: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        match key == self.wanted {
            true if self.fails => Err(E::custom("here")),
            is_wanted => Ok(is_wanted),
        }
    }
}

/// Fails at any value: that is what a visitor does that expects nothing.
struct Here;

impl Visitor<'_> for Here {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "{\n  \"a\": [1, {\"b\": \"x]\\\"\", \"ü\": 2,\n    \"c\": {\"d\": null}}]\n}\n";
    const YAML: &str = "a:\n  - 1\n  - b: x\n    c:\n      d: ~\n    'e': |\n      text\nf: [1, {g: 2}]\n";

    fn check(text: &str, find: fn(&str, &[Segment]) -> Place, path: &str, line: usize, column: usize) {
        assert_eq!(find(text, &Segment::parse(path)), Place { line, column }, "{path}");
    }

    #[test]
    fn json_members_are_found() {
        check(JSON, in_json, "", 1, 1);
        check(JSON, in_json, "a", 2, 3);
        check(JSON, in_json, "a[0]", 2, 9);
        check(JSON, in_json, "a[1]", 2, 12);
        check(JSON, in_json, "a[1].b", 2, 13);
        check(JSON, in_json, "a[1].ü", 2, 26);
        check(JSON, in_json, "a[1].c.d", 3, 11);
    }

    #[test]
    fn what_is_missing_is_told_at_its_parent() {
        check(JSON, in_json, "a[1].c.missing", 3, 5);
        check(JSON, in_json, "a[7].b", 2, 3);
        check(JSON, in_json, "z", 1, 1);
        check(YAML, in_yaml, "a[1].c.missing", 4, 5);
        check(YAML, in_yaml, "a[7].b", 1, 1);
    }

    #[test]
    fn yaml_members_are_found() {
        check(YAML, in_yaml, "a", 1, 1);
        check(YAML, in_yaml, "a[0]", 2, 5);
        check(YAML, in_yaml, "a[1]", 3, 5);
        check(YAML, in_yaml, "a[1].b", 3, 5);
        check(YAML, in_yaml, "a[1].c.d", 5, 7);
        check(YAML, in_yaml, "a[1].e", 6, 5);
        check(YAML, in_yaml, "f[1].g", 8, 9);
    }
}
