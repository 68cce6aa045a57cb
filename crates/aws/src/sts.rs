//! One call of the Security Token Service: `AssumeRole`, as a signed request of the old query kind whose answer is XML.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use jiff::Timestamp;

use crate::credentials::{Credentials, CredentialsSource};
use crate::http::HttpClient;
use crate::json11::{CallError, CallErrorKind, signed_post};
use crate::sign::Signing;

const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";
const VERSION: &str = "2011-06-15";
/// Answers are a few kilobytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// A client of the service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sts {
    pub http: HttpClient,
    /// Base URL; see [`crate::EndpointRules::endpoint`] with `STS`.
    pub endpoint: Uri,
    pub region: String,
    pub credentials: CredentialsSource,
}

/// Which role, and under which name its session shows in audit logs.
#[derive(Clone, Copy, Debug)]
pub struct AssumeRole<'a> {
    pub role_arn: &'a str,
    /// Two to 64 characters of `\w+=,.@-`.
    pub session_name: &'a str,
    /// How long the credentials are to hold: 15 minutes to the role's own limit, in seconds.
    pub duration: Duration,
}

impl Sts {
    /// Credentials of a role. One attempt; finding the caller's own credentials counts towards `deadline`.
    ///
    /// # Errors
    /// See [`CallErrorKind`].
    pub async fn assume_role(&self, role: &AssumeRole<'_>, deadline: Duration) -> Result<Credentials, CallError> {
        let outcome = tokio::time::timeout(deadline, self.exchange(role)).await;
        outcome.unwrap_or(Err(CallErrorKind::Timeout { after: deadline })).map_err(|kind| CallError {
            service: "STS",
            operation: "AssumeRole".to_owned(),
            kind,
        })
    }

    async fn exchange(&self, role: &AssumeRole<'_>) -> Result<Credentials, CallErrorKind> {
        let own = self.credentials.credentials().await.map_err(CallErrorKind::Credentials)?;
        let request = self.request(role, &own)?;
        let (parts, body) = self.http.send(request, MAX_ANSWER).await?.into_parts();
        let text = String::from_utf8_lossy(&body);
        let request_id = element(&text, "RequestId");
        if !parts.status.is_success() {
            return Err(CallErrorKind::Service {
                code: element(&text, "Code").unwrap_or_else(|| "UnknownError".to_owned()),
                message: element(&text, "Message").unwrap_or_default(),
                status: parts.status.as_u16(),
                request_id,
            });
        }
        read(&text).map_err(|reason| CallErrorKind::Decode { reason: reason.to_owned(), request_id })
    }

    fn request(&self, role: &AssumeRole<'_>, own: &Credentials) -> Result<Request<Bytes>, CallErrorKind> {
        let body = format!(
            "Action=AssumeRole&Version={VERSION}&RoleArn={}&RoleSessionName={}&DurationSeconds={}",
            encode(role.role_arn),
            encode(role.session_name),
            role.duration.as_secs()
        );
        let signing = Signing { credentials: own, region: &self.region, service: "sts", now: Timestamp::now() };
        let signed = [("content-type", CONTENT_TYPE)];
        signed_post(Request::builder(), &self.endpoint, &signing, &signed, body.into_bytes())
    }
}

fn read(answer: &str) -> Result<Credentials, &'static str> {
    let found = part(answer, "Credentials").ok_or("no Credentials in it")?;
    let text = |name: &str| element(found, name).filter(|text| !text.is_empty());
    let id = text("AccessKeyId").ok_or("no AccessKeyId in it")?;
    let secret = text("SecretAccessKey").ok_or("no SecretAccessKey in it")?;
    let mut credentials = Credentials::new(id, secret, text("SessionToken"));
    let expires = text("Expiration").map(|at| at.parse());
    credentials.expires = expires.transpose().map_err(|_| "its Expiration is no time")?;
    Ok(credentials)
}

/// What stands between an element's tags, the first of that name.
fn part<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = xml;
    loop {
        let (_, after) = rest.split_once(&format!("<{name}"))?;
        // Not an element whose name only begins like this.
        if after.starts_with('>') || after.starts_with(char::is_whitespace) {
            let (_, content) = after.split_once('>')?;
            return content.split_once(&format!("</{name}>")).map(|(content, _)| content);
        }
        rest = after;
    }
}

/// An element's text.
fn element(xml: &str, name: &str) -> Option<String> {
    let text = part(xml, name)?.trim();
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(plain.replace("&amp;", "&"))
}

/// Percent-encoding of all but the unreserved characters.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::connect::{Connector, ConnectorOptions};
    use crate::testing::{Answer, Server};

    const GRANTED: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIA1</AccessKeyId>
      <SecretAccessKey>s/+&amp;e</SecretAccessKey>
      <SessionToken>tok==</SessionToken>
      <Expiration>2031-02-03T04:05:06Z</Expiration>
    </Credentials>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>
</AssumeRoleResponse>"#;

    async fn ask(answer: Answer) -> (Result<Credentials, CallError>, Server) {
        let server = Server::script(vec![answer]).await;
        let sts = Sts {
            http: HttpClient::new(Connector::new(ConnectorOptions::default())),
            endpoint: server.url.parse().unwrap(),
            region: "eu-west-1".to_owned(),
            credentials: Credentials::new("AK", "sk", None).into(),
        };
        let role = AssumeRole {
            role_arn: "arn:aws:iam::1:role/path/web app",
            session_name: "task-1",
            duration: Duration::from_secs(3600),
        };
        (sts.assume_role(&role, Duration::from_secs(10)).await, server)
    }

    #[tokio::test]
    async fn a_role_is_assumed_by_one_signed_form() {
        let (found, server) = ask(Answer::Reply("200 OK", "", GRANTED.to_owned())).await;
        let found = found.unwrap();
        assert_eq!((found.access_key_id.as_str(), found.secret.expose().as_str()), ("ASIA1", "s/+&e"));
        assert_eq!(found.session_token.unwrap().expose(), "tok==");
        assert_eq!(found.expires, "2031-02-03T04:05:06Z".parse().ok());
        let seen = server.seen();
        assert_eq!(
            seen[0].body,
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fpath%2Fweb%20app\
             &RoleSessionName=task-1&DurationSeconds=3600"
        );
        assert!(seen[0].header("authorization").unwrap().contains("/eu-west-1/sts/aws4_request"));
    }

    #[tokio::test]
    async fn a_refusal_is_told_with_code_and_message() {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User a is not \
                    authorized to perform &quot;sts:AssumeRole&quot;</Message></Error><RequestId>r-2</RequestId>\
                    </ErrorResponse>";
        let (found, _server) = ask(Answer::Reply("403 Forbidden", "", body.to_owned())).await;
        let error = found.unwrap_err();
        assert_eq!(
            (error.code(), error.is_retryable(), error.request_id()),
            (Some("AccessDenied"), false, Some("r-2"))
        );
        assert_eq!(error.message(), "User a is not authorized to perform \"sts:AssumeRole\"");
    }

    #[tokio::test]
    async fn what_is_no_answer_is_no_credentials() {
        for body in [
            "",
            "<Credentials>",
            "<Credentials><AccessKeyId>A</AccessKeyId></Credentials>",
            "<CredentialsX></CredentialsX>",
        ] {
            let (found, _server) = ask(Answer::Reply("200 OK", "", body.to_owned())).await;
            assert!(matches!(found.unwrap_err().kind, CallErrorKind::Decode { .. }), "{body}");
        }
    }
}
