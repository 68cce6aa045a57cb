//! Everything outward that is not the local Docker Engine: connections (proxy, TLS), signed JSON 1.1
//! calls, credentials, instance metadata, and the websocket handshake.
//!
//! A shell: it performs one attempt per call and reports what happened. Whether and when to try again
//! is decided by its callers.

pub mod connect;
pub mod credentials;
pub mod endpoint;
pub mod http;
pub mod imds;
pub mod json11;
pub mod proxy;
pub mod sign;
pub mod sts;
pub mod websocket;

#[cfg(test)]
mod testing;

pub use connect::{ConnectError, Connector, ConnectorOptions, TlsOrTcpStream};
pub use credentials::{Credentials, CredentialsChain, CredentialsError, CredentialsSource};
pub use endpoint::EndpointRules;
pub use imds::{Imds, ImdsError, MetadataItem};
pub use json11::{CallError, Json11};
pub use proxy::Proxies;
pub use sign::sign_frame;
pub use sts::Sts;
pub use websocket::{HandshakeError, open_websocket};

/// How settings are looked up by name; in production the process environment.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;
