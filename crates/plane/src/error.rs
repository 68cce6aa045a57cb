//! API errors: the type, its message, and the HTTP status that carries them.

use serde_json::{Map, Value, json};

/// An error answer of the ECS API.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    /// The error's type, such as `ClientException`.
    pub code: &'static str,
    pub message: String,
    /// 400, or 500 for a `ServerException`.
    pub status: u16,
    /// Further members of the body.
    pub details: Map<String, Value>,
}

impl Fault {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status: 400, details: Map::new() }
    }

    /// The request is not of the operation's shape.
    #[must_use]
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", message)
    }

    /// The plane itself failed, for instance to write.
    #[must_use]
    pub fn server(message: impl Into<String>) -> Self {
        Self { status: 500, ..Self::new("ServerException", message) }
    }

    pub(crate) fn client(message: impl Into<String>) -> Self {
        Self::new("ClientException", message)
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(crate) fn cluster_not_found() -> Self {
        Self::new("ClusterNotFoundException", "Cluster not found.")
    }

    pub(crate) fn unsupported(operation: &str) -> Self {
        Self::new("UnsupportedFeatureException", format!("{operation} is not supported by this control plane."))
    }

    pub(crate) fn unknown_operation(operation: &str) -> Self {
        Self::new("UnknownOperationException", format!("The operation {operation} is unknown."))
    }

    pub(crate) fn other(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, message)
    }

    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.details.insert(name.to_owned(), value);
        self
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({"__type": self.code, "message": self.message});
        if let Value::Object(members) = &mut body {
            members.extend(self.details.clone());
        }
        body
    }

    /// The body of a refused websocket handshake: the short form that agents decode (spec 10 §2.5).
    #[must_use]
    pub fn handshake_body(&self) -> Value {
        json!({ self.code: self.message })
    }
}
