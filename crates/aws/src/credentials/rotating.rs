//! The rotating credentials file: an INI file that something outside keeps fresh (spec 10 §1.5).

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::Credentials;
use crate::Lookup;

/// So that the file is read again every minute.
const LIFE: SignedDuration = SignedDuration::from_mins(1);

#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    profile: String,
}

impl RotatingFile {
    pub(super) fn from_vars(path: PathBuf, lookup: Lookup<'_>) -> Self {
        let profile = lookup("ECS_ALTERNATE_CREDENTIAL_PROFILE").filter(|name| !name.is_empty());
        Self { path, profile: profile.unwrap_or_else(|| "default".to_owned()) }
    }

    pub(super) async fn provide(&self, now: Timestamp) -> Result<Credentials, String> {
        let path = self.path.display();
        let text = tokio::fs::read_to_string(&self.path).await.map_err(|error| format!("{path}: {error}"))?;
        let mut found = parse_profile(&text, &self.profile)
            .ok_or_else(|| format!("{path}: no keys in profile {}", self.profile))?;
        found.expires = now.checked_add(LIFE).ok();
        Ok(found)
    }
}

/// The keys of `[profile]` in a shared credentials file; None when it or a key is missing.
fn parse_profile(text: &str, profile: &str) -> Option<Credentials> {
    let mut inside = false;
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = section.trim() == profile;
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| inside) else { continue };
        let value = Some(value.trim().to_owned()).filter(|v| !v.is_empty());
        match key.trim().to_ascii_lowercase().as_str() {
            "aws_access_key_id" => id = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    Some(Credentials::new(id?, secret?, token))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const FILE: &str = "# keys\n[default]\naws_access_key_id = A\nAWS_SECRET_ACCESS_KEY=s=1==\n\n; more\n\
        [ other ]\naws_access_key_id=B\naws_secret_access_key=t\naws_session_token = tok\nregion=x\n[half]\naws_access_key_id=C\n";

    #[test]
    fn profiles_are_read_by_name() {
        assert_eq!(parse_profile(FILE, "default").unwrap(), Credentials::new("A", "s=1==", None));
        assert_eq!(parse_profile(FILE, "other").unwrap(), Credentials::new("B", "t", Some("tok".into())));
        assert_eq!(parse_profile(FILE, "half"), None);
        assert_eq!(parse_profile(FILE, "none"), None);
        assert_eq!(parse_profile("junk\n[", "default"), None);
    }
}
