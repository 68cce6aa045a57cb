//! Registry credentials as people write them for Docker (spec 20 §5.4, spec 40 §7.3).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use wire::docker::RegistryAuth;
use wire::ids::ImageRef;
use wire::secret::Secret;

/// Under this key Docker Hub's credentials are found.
const HUB: &str = "index.docker.io/v1/";

/// How the credentials of a registry are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `username` and `password`.
    Docker,
    /// `auth`: both in base64, with a colon between them.
    Dockercfg,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    username: String,
    password: Secret<String>,
    email: String,
    auth: Secret<String>,
}

/// The credentials for an image's registry, from a JSON object by registry; empty ones where there are none or the
/// text does not read.
#[must_use]
pub fn for_image(format: Format, text: &str, image: &ImageRef) -> RegistryAuth {
    let entries: BTreeMap<String, Entry> = wire::gojson::from_str(text).unwrap_or_default();
    let Some((key, entry)) = find(&entries, image) else { return RegistryAuth::default() };
    let server_address = key.to_owned();
    let email = entry.email.clone();
    match format {
        Format::Docker => {
            RegistryAuth { username: entry.username.clone(), password: entry.password.clone(), email, server_address }
        }
        Format::Dockercfg => {
            let decoded = STANDARD.decode(entry.auth.expose().trim()).unwrap_or_default();
            let text = String::from_utf8(decoded).unwrap_or_default();
            let (username, password) = text.split_once(':').unwrap_or((&text, ""));
            let password = Secret::new(password.trim_end_matches('\0').to_owned());
            RegistryAuth { username: username.to_owned(), password, email, server_address }
        }
    }
}

/// The entry whose key is the registry's host, the longest prefix of the image first.
fn find<'a>(entries: &'a BTreeMap<String, Entry>, image: &ImageRef) -> Option<(&'a str, &'a Entry)> {
    let repository = image.normalized_repository();
    let host = repository.split('/').next().unwrap_or_default();
    let stripped = |key: &'a str| key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    if matches!(host, "docker.io" | "registry-1.docker.io") {
        return entries.iter().map(|(key, entry)| (stripped(key), entry)).find(|(key, _)| *key == HUB);
    }
    entries
        .iter()
        .map(|(key, entry)| (stripped(key), entry))
        .filter(|(key, _)| key.split('/').next() == Some(host))
        .max_by_key(|(key, _)| if repository.starts_with(key) { key.len() + 1 } else { 0 })
}
