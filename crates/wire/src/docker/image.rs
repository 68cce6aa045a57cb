//! Images, pulls and registries.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::lenient::reply;
use crate::secret::Secret;

reply! {
    /// `GET /images/{name}/json`.
    pub struct ImageInspect {
        "Id" => id: String,
        "RepoTags" => repo_tags: Vec<String>,
        /// `name@sha256:…`; empty for images that were never in a registry.
        "RepoDigests" => repo_digests: Vec<String>,
        "Created" => created: Option<Timestamp>,
        /// Bytes.
        "Size" => size: i64,
        "Architecture" => architecture: String,
        "Os" => os: String,
        "Config" => config: ImageConfig,
    }

    /// What an image gives its containers.
    pub struct ImageConfig {
        "User" => user: String,
        "Env" => env: Vec<String>,
        "Cmd" => cmd: Vec<String>,
        "Entrypoint" => entrypoint: Vec<String>,
        "WorkingDir" => working_dir: String,
        "Labels" => labels: BTreeMap<String, String>,
        "Volumes" => volumes: BTreeMap<String, serde_json::Value>,
        "ExposedPorts" => exposed_ports: BTreeMap<String, serde_json::Value>,
        "Healthcheck" => healthcheck: Option<super::Healthcheck>,
    }

    /// One element of `GET /images/json`.
    pub struct ImageSummary {
        "Id" => id: String,
        "RepoTags" => repo_tags: Vec<String>,
        "RepoDigests" => repo_digests: Vec<String>,
        "Created" => created: Option<Timestamp>,
        /// Bytes.
        "Size" => size: i64,
        "Labels" => labels: BTreeMap<String, String>,
    }

    /// One element of the answer to `DELETE /images/{name}`.
    pub struct RemovedImage {
        "Untagged" => untagged: Option<String>,
        "Deleted" => deleted: Option<String>,
    }

    /// One line of a pull, load or import.
    pub struct PullMessage {
        "status" => status: String,
        /// Layer, in its short form; empty for lines about the whole image.
        "id" => id: String,
        "progressDetail" => progress: ProgressDetail,
        "stream" => stream: String,
        /// Set when the operation failed: the HTTP status is 200 by then.
        "error" => error: String,
        "errorDetail" => error_detail: Option<ErrorDetail>,
    }

    /// Bytes done of bytes to do, 0 where unknown.
    pub struct ProgressDetail {
        "current" => current: i64,
        "total" => total: i64,
    }

    /// The error of a [`PullMessage`] once more, structured.
    pub struct ErrorDetail {
        "code" => code: i64,
        "message" => message: String,
    }

    /// `GET /distribution/{name}/json`.
    pub struct DistributionInspect {
        "Descriptor" => descriptor: Descriptor,
    }

    /// What a registry has under a name.
    pub struct Descriptor {
        "mediaType" => media_type: String,
        /// `sha256:…`
        "digest" => digest: String,
        "size" => size: i64,
    }
}

/// Credentials for one registry. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryAuth {
    pub username: String,
    pub password: Secret<String>,
    pub email: String,
    pub server_address: String,
}

impl RegistryAuth {
    /// The JSON object for `X-Registry-Auth`, before its base64. Contains the password.
    pub fn render(&self) -> Secret<String> {
        let members = [
            ("username", self.username.as_str()),
            ("password", self.password.expose().as_str()),
            ("email", self.email.as_str()),
            ("serveraddress", self.server_address.as_str()),
        ];
        let object: serde_json::Map<String, serde_json::Value> = members
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        Secret::new(serde_json::Value::Object(object).to_string())
    }
}
