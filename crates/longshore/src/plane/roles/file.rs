//! Credentials in a file, for work without AWS: what a `credential_process` prints, or what `aws sts assume-role` does.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aws::Credentials;
use jiff::Timestamp;
use serde::Deserialize;
use wire::secret::Secret;

/// Both shapes: the members at the top, or below `Credentials`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    credentials: Option<Keys>,
    #[serde(flatten)]
    own: Keys,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Keys {
    access_key_id: String,
    secret_access_key: Secret<String>,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// The file's credentials.
///
/// # Errors
/// It cannot be read, or is not of that shape. The text has nothing of the contents.
pub(super) fn read(path: &Path) -> Result<Credentials, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    parse(&text).map_err(|reason| format!("{}: {reason}", path.display()))
}

pub(super) fn parse(text: &str) -> Result<Credentials, String> {
    // serde's own words may quote a value, so only the place is told.
    let document: Document = serde_json::from_str(text)
        .map_err(|error| format!("not JSON of credentials (line {}, column {})", error.line(), error.column()))?;
    let keys = document.credentials.unwrap_or(document.own);
    if keys.access_key_id.is_empty() || keys.secret_access_key.expose().is_empty() {
        return Err("AccessKeyId and SecretAccessKey are wanted, as `aws configure export-credentials --format \
                    process` prints them"
            .to_owned());
    }
    let mut credentials =
        Credentials::new(keys.access_key_id, keys.secret_access_key.expose().as_str(), keys.session_token);
    let expires = keys.expiration.filter(|text| !text.is_empty()).map(|text| text.parse::<Timestamp>());
    credentials.expires = expires.transpose().map_err(|_| "its Expiration is no time".to_owned())?;
    Ok(credentials)
}

/// What is to be said of a file that others can read.
pub(super) fn warning(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o004 != 0).then(|| {
        let path = path.display();
        format!("{path} has keys in it and can be read by every user of this machine: chmod 600 {path}")
    })
}
