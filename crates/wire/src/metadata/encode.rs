//! JSON text as Go's encoder writes it (spec 30 §0.1): `<`, `>`, `&` and two line separators escaped, floats in
//! their shortest form without a needless fraction.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// Compact, without a final newline.
///
/// # Errors
/// A value cannot be written: NaN or infinity.
pub fn to_vec<T: Serialize + ?Sized>(document: &T) -> Result<Vec<u8>, serde_json::Error> {
    write(document, GoStyle(CompactFormatter))
}

/// One tab per level, without a final newline.
///
/// # Errors
/// As [`to_vec`].
pub fn to_vec_indented<T: Serialize + ?Sized>(document: &T) -> Result<Vec<u8>, serde_json::Error> {
    write(document, GoStyle(PrettyFormatter::with_indent(b"\t")))
}

fn write<T: Serialize + ?Sized, F: Formatter>(document: &T, style: GoStyle<F>) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::with_capacity(1024);
    document.serialize(&mut Serializer::with_formatter(&mut text, style))?;
    Ok(text)
}

struct GoStyle<F>(F);

fn write_float<W: ?Sized + Write>(writer: &mut W, value: f64) -> io::Result<()> {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => write!(writer, "{digits}e+{exponent}"),
            _ => writer.write_all(text.as_bytes()),
        };
    }
    write!(writer, "{value}")
}

impl<F: Formatter> Formatter for GoStyle<F> {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write_float(writer, value)
    }

    /// Go widens: 0.1 becomes 0.10000000149011612 (spec 30 §8.3).
    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        write_float(writer, f64::from(value))
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, special) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = special.chars();
            if let Some(special) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(special))?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check<T: Serialize>(value: T, expected: &str) {
        assert_eq!(String::from_utf8(to_vec(&value).unwrap()).unwrap(), expected);
    }

    #[test]
    fn numbers_are_short() {
        check(256.0, "256");
        check(0.25, "0.25");
        check(0.0, "0");
        check(-2.5, "-2.5");
        check(1e20, "100000000000000000000");
        check(1e21, "1e+21");
        check(1.5e-7, "1.5e-7");
        check(0.000001, "0.000001");
        check(0.1_f32, "0.10000000149011612");
        check(u64::MAX, "18446744073709551615");
    }

    #[test]
    fn what_html_minds_is_escaped() {
        check("a<b>&'c\"\u{2028}é\n", r#""a\u003cb\u003e\u0026'c\"\u2028é\n""#);
        check(json!({"<": [1]}), r#"{"\u003c":[1]}"#);
    }

    #[test]
    fn an_indented_text_has_tabs_and_no_last_line_end() {
        let text = to_vec_indented(&json!({"a": [1], "b": []})).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "{\n\t\"a\": [\n\t\t1\n\t],\n\t\"b\": []\n}");
    }
}
