//! One line of the log: what an event says, and its three shapes (spec 40 §12.3).

use std::fmt::{Debug, Write};

use jiff::Timestamp;
use tracing::field::{Field as Key, Visit};

use super::quote::{push_go_quoted, push_json_message, push_json_string};
use crate::config::{LogFormat, LogLevel};

/// A field beside the message.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) value: Value,
}

/// What a field holds, as far as the formats tell apart.
pub(super) enum Value {
    /// Quoted in every format.
    Text(String),
    /// Bare in every format: numbers and booleans.
    Bare(String),
    /// The shown form of something else: bare in logfmt where that can be read back, a string in JSON.
    Shown(String),
}

/// A line before it has a shape.
pub(super) struct Line {
    pub(super) level: LogLevel,
    pub(super) message: String,
    /// Base name of the source file; only lines without fields show it.
    pub(super) module: Option<&'static str>,
    pub(super) fields: Vec<Field>,
}

impl Line {
    /// What `event` says.
    pub(super) fn of(event: &tracing::Event<'_>, level: LogLevel) -> Self {
        let mut line = Self { level, message: String::new(), module: None, fields: Vec::new() };
        event.record(&mut line);
        let file = event.metadata().file().unwrap_or_default();
        if line.fields.is_empty() {
            line.module = file.rsplit('/').next();
        }
        line
    }

    /// Appends the line to `out`, with its end.
    pub(super) fn render(&self, format: LogFormat, now: Timestamp, out: &mut String) {
        match format {
            LogFormat::Logfmt => self.render_logfmt(now, out),
            LogFormat::Json => self.render_json(now, out),
            // The reference ends no line here; a file of such lines could not be read.
            LogFormat::Windows => {
                out.push_str(&self.message);
                self.push_logfmt_fields(out);
            }
        }
        out.push('\n');
    }

    fn render_logfmt(&self, now: Timestamp, out: &mut String) {
        push(out, format_args!("level={} time={} msg=", name(self.level), Second(now)));
        push_go_quoted(out, &self.message);
        if let Some(module) = self.module {
            push(out, format_args!(" module={module}"));
        }
        self.push_logfmt_fields(out);
    }

    fn push_logfmt_fields(&self, out: &mut String) {
        for Field { name, value } in &self.fields {
            push(out, format_args!(" {name}="));
            match value {
                Value::Text(text) => push_go_quoted(out, text),
                Value::Shown(text) if needs_quotes(text) => push_go_quoted(out, text),
                Value::Shown(text) | Value::Bare(text) => out.push_str(text),
            }
        }
    }

    fn render_json(&self, now: Timestamp, out: &mut String) {
        push(out, format_args!("{{\"level\":\"{}\",\"time\":\"{}\",\"msg\":", name(self.level), Second(now)));
        push_json_message(out, &self.message);
        if let Some(module) = self.module {
            out.push_str(",\"module\":");
            push_json_string(out, module);
        }
        let mut fields: Vec<_> = self.fields.iter().collect();
        fields.sort_by_key(|field| field.name);
        for Field { name, value } in fields {
            out.push(',');
            push_json_string(out, name);
            out.push(':');
            match value {
                Value::Text(text) => push_json_string(out, text),
                Value::Bare(text) => out.push_str(text),
                // A shown string brings its own quotes.
                Value::Shown(text) => push_json_string(out, shown_string(text).unwrap_or(text)),
            }
        }
        out.push('}');
    }
}

impl Visit for Line {
    fn record_debug(&mut self, key: &Key, value: &dyn Debug) {
        if key.name() == "message" {
            push(&mut self.message, format_args!("{value:?}"));
        } else {
            self.add(key, Value::Shown(format!("{value:?}")));
        }
    }

    fn record_str(&mut self, key: &Key, value: &str) {
        if key.name() == "message" {
            self.message.push_str(value);
        } else {
            self.add(key, Value::Text(value.to_owned()));
        }
    }

    fn record_error(&mut self, key: &Key, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            push(&mut text, format_args!(": {cause}"));
            source = cause.source();
        }
        self.add(key, Value::Text(text));
    }

    fn record_i64(&mut self, key: &Key, value: i64) {
        self.add(key, Value::Bare(value.to_string()));
    }

    fn record_u64(&mut self, key: &Key, value: u64) {
        self.add(key, Value::Bare(value.to_string()));
    }

    fn record_bool(&mut self, key: &Key, value: bool) {
        self.add(key, Value::Bare(value.to_string()));
    }

    fn record_f64(&mut self, key: &Key, value: f64) {
        let text = value.to_string();
        self.add(key, if value.is_finite() { Value::Bare(text) } else { Value::Text(text) });
    }
}

impl Line {
    fn add(&mut self, key: &Key, value: Value) {
        // The mark of a critical line became its level.
        if key.name() != super::CRITICAL {
            self.fields.push(Field { name: key.name(), value });
        }
    }
}

const fn name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        LogLevel::Critical | LogLevel::Off => "critical",
    }
}

/// A moment as UTC RFC 3339 with whole seconds.
struct Second(Timestamp);

impl std::fmt::Display for Second {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Fractions are cut, not rounded, as a moment that has not come is misleading.
        write!(f, "{}", Timestamp::from_second(self.0.as_second()).unwrap_or(self.0))
    }
}

/// Whether a shown value cannot stand bare in logfmt. A shown string has its quotes already.
fn needs_quotes(text: &str) -> bool {
    shown_string(text).is_none()
        && (text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=')))
}

/// The inside of a string's debug form, if it has no escapes and so is the string itself.
fn shown_string(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains(['"', '\\'])).then_some(inside)
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail; a broken Debug or Display of a value only cuts its own text.
    let _ = out.write_fmt(text);
}
