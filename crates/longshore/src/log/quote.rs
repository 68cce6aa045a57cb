//! Quoting as Go does it: for logfmt and for messages in JSON (spec 40 §12.3).

use std::fmt::Write;

/// Go's `%q`.
pub(super) fn push_go_quoted(out: &mut String, text: &str) {
    quote(out, text, |out, c| match c {
        '\u{7}' => out.push_str("\\a"),
        '\u{b}' => out.push_str("\\v"),
        c if u32::from(c) < 0x20 || c == '\u{7f}' => hex(out, "\\x", u32::from(c), 2),
        c if u32::from(c) < 0x1_0000 => hex(out, "\\u", u32::from(c), 4),
        c => hex(out, "\\U", u32::from(c), 8),
    });
}

/// A message in JSON: as Go's `%q` wherever that is JSON, and else what JSON has for it. The reference writes the
/// escapes that JSON lacks, and strict readers lose the line (spec 40 §20, 14).
pub(super) fn push_json_message(out: &mut String, text: &str) {
    quote(out, text, push_utf16);
}

/// A string in JSON as Go encodes it, with HTML's special characters escaped.
pub(super) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => push_utf16(out, c),
            c if u32::from(c) < 0x20 => push_utf16(out, c),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn quote(out: &mut String, text: &str, unprintable: impl Fn(&mut String, char)) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if is_printable(c) => out.push(c),
            c => unprintable(out, c),
        }
    }
    out.push('"');
}

fn push_utf16(out: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        hex(out, "\\u", u32::from(*unit), 4);
    }
}

fn hex(out: &mut String, prefix: &str, number: u32, digits: usize) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{prefix}{number:0digits$x}");
}

fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // A mark that combines is escaped only at a text's beginning, so it must not stand there.
    let mut bytes = [b'a'; 5];
    let length = c.encode_utf8(&mut bytes[1..]).len();
    std::str::from_utf8(&bytes[..=length]).is_ok_and(|text| text.escape_debug().count() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> [String; 3] {
        [push_go_quoted, push_json_message, push_json_string].map(|push| {
            let mut out = String::new();
            push(&mut out, text);
            out
        })
    }

    #[test]
    fn plain_text_is_only_quoted() {
        assert_eq!(all("héllo e\u{301} 日本"), ["\"héllo e\u{301} 日本\""; 3]);
    }

    #[test]
    fn escapes() {
        assert_eq!(
            all("a\"b\\c\n\t\r\u{7}\u{b}\u{1b}\u{7f}<&>\u{a0}\u{e0001}"),
            [
                r#""a\"b\\c\n\t\r\a\v\x1b\x7f<&>\u00a0\U000e0001""#.to_owned(),
                r#""a\"b\\c\n\t\r\u0007\u000b\u001b\u007f<&>\u00a0\udb40\udc01""#.to_owned(),
                format!("{}\u{7f}{}\u{a0}\u{e0001}\"", r#""a\"b\\c\n\t\r\u0007\u000b\u001b"#, r"\u003c\u0026\u003e"),
            ]
        );
    }
}
