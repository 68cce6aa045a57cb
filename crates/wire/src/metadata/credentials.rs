//! Credentials of a role, as containers fetch them (spec 30 §2).

use serde::Serialize;

use crate::acs::RoleCredentials;

/// The answer with values. Neither printed nor kept.
#[derive(Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CredentialsDocument<'a> {
    role_arn: &'a str,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: &'a str,
}

impl<'a> From<&'a RoleCredentials> for CredentialsDocument<'a> {
    fn from(credentials: &'a RoleCredentials) -> Self {
        Self {
            role_arn: &credentials.role_arn,
            access_key_id: &credentials.access_key_id,
            secret_access_key: credentials.secret_access_key.expose(),
            token: credentials.session_token.expose(),
            expiration: &credentials.expiration,
        }
    }
}

/// The answer without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialsFault {
    pub code: &'static str,
    pub message: String,
    #[serde(rename = "HTTPErrorCode")]
    pub status: u16,
}
