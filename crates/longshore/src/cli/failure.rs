//! Why a command failed, in one line, and what to do next.

use serde_json::json;

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub what: String,
    /// What to do about it; may have several lines.
    pub next: Option<String>,
    /// The process's exit code.
    pub code: u8,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), next: None, code: 1 }
    }

    /// The command itself was not understood.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self { code: 2, ..Self::new(what) }
    }

    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            eprintln!("{}", json!({"error": self.what, "next": self.next}));
            return;
        }
        eprintln!("longshore: {self}");
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        for line in self.next.iter().flat_map(|next| next.lines()) {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(format!("{error:#}"))
    }
}
