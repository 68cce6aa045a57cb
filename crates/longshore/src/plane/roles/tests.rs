#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::*;

fn write(path: &Path, expiration: Option<&str>) {
    let mut keys = json!({"Version": 1, "AccessKeyId": "AKIA1", "SecretAccessKey": "hush", "SessionToken": "tok"});
    if let Some(expiration) = expiration {
        keys["Expiration"] = json!(expiration);
    }
    std::fs::write(path, keys.to_string()).unwrap();
}

fn of_file(path: &Path) -> Roles {
    Roles::new(Source::new(Choice::File(path.to_owned()), "us-east-1").unwrap().0)
}

#[test]
fn choices_are_read_and_others_named() {
    let read = |text: &str| text.parse::<Choice>();
    assert_eq!(read("none"), Ok(Choice::None));
    assert_eq!(read("caller"), Ok(Choice::Caller));
    assert_eq!(read("assume-role"), Ok(Choice::AssumeRole));
    assert_eq!(read("profile:dev:eu"), Ok(Choice::Profile("dev:eu".into())));
    assert_eq!(read("file:/a:b.json"), Ok(Choice::File("/a:b.json".into())));
    for wrong in ["", "profile:", "file:", "file", "/a.json", "Caller"] {
        assert!(read(wrong).unwrap_err().contains("profile:NAME"), "{wrong}");
    }
}

#[test]
fn a_file_has_either_shape_and_errors_keep_its_secrets() {
    let plain =
        r#"{"AccessKeyId":"A","SecretAccessKey":"s","SessionToken":"t","Expiration":"2031-01-01T00:00:00+00:00"}"#;
    let nested = format!(r#"{{"Credentials":{plain},"AssumedRoleUser":{{}}}}"#);
    for text in [plain, &nested] {
        let found = file::parse(text).unwrap();
        assert_eq!((found.access_key_id.as_str(), found.secret.expose().as_str()), ("A", "s"));
        assert_eq!(found.expires, "2031-01-01T00:00:00Z".parse().ok());
    }
    let bare = file::parse(r#"{"AccessKeyId":"A","SecretAccessKey":"s"}"#).unwrap();
    assert!(bare.session_token.is_none() && bare.expires.is_none());
    for wrong in [
        "{\"SecretAccessKey\":\"hush\"}",
        "{\"AccessKeyId\":1,\"SecretAccessKey\":\"hush\"}",
        "\"hush\"",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush\",\"Expiration\":\"hush\"}",
    ] {
        let error = file::parse(wrong).unwrap_err();
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn a_file_that_all_can_read_is_warned_about() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    write(&path, None);
    for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let (_, warning) = Source::new(Choice::File(path.clone()), "us-east-1").unwrap();
        assert_eq!(warning.is_some(), is_open, "{mode:o}");
    }
    let missing = Source::new(Choice::File(directory.path().join("none")), "us-east-1").unwrap_err();
    assert!(missing.starts_with("cannot read"), "{missing}");
}

#[tokio::test]
async fn values_are_joined_at_the_last_moment_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    write(&path, Some("2531-01-01T00:00:00Z"));
    let roles = of_file(&path);
    let granted = roles.obtain("arn:task/1", RoleKind::TaskApplication, "arn:role", None).await.unwrap();
    let id = granted.credentials_id.clone();
    assert_eq!((id.len(), granted.expires), (36, "2531-01-01T00:00:00Z".parse().unwrap()));
    let other = roles.obtain("arn:task/1", RoleKind::TaskExecution, "arn:role", None).await.unwrap();
    assert_ne!(other.credentials_id, id);

    let named = json!({"credentialsId": id, "roleArn": "arn:role"});
    let filled = json!({"credentialsId": id, "roleArn": "arn:role", "accessKeyId": "AKIA1", "secretAccessKey": "hush",
        "sessionToken": "tok", "expiration": "2531-01-01T00:00:00Z"});
    let mut payload = json!({"type": "PayloadMessage", "message": {"tasks": [{"arn": "a", "roleCredentials": named}]}});
    assert!(roles.fill(&mut payload));
    assert_eq!(payload["message"]["tasks"][0]["roleCredentials"], filled);
    let mut refresh = json!({"type": "IAMRoleCredentialsMessage", "message": {"roleCredentials": named}});
    assert!(roles.fill(&mut refresh));
    assert_eq!(refresh["message"]["roleCredentials"], filled);
    let mut heartbeat = json!({"type": "HeartbeatMessage", "message": {}});
    assert!(roles.fill(&mut heartbeat));
    assert!(!format!("{roles:?}{granted:?}").contains("hush"));
    assert!(!format!("{granted:?}").contains(&id));

    roles.forget(&id);
    let mut late = json!({"type": "IAMRoleCredentialsMessage", "message": {"roleCredentials": named}});
    assert!(!roles.fill(&mut late), "a message without values must not go out");
}

#[tokio::test]
async fn what_has_no_end_gets_one_and_what_is_over_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    write(&path, None);
    let roles = of_file(&path);
    let ask = || roles.obtain("arn:task/1", RoleKind::TaskApplication, "arn:role", Some("id-1".into()));
    let granted = ask().await.unwrap();
    assert_eq!(granted.credentials_id, "id-1");
    let life = granted.expires.duration_since(Timestamp::now());
    assert!(life > SignedDuration::from_mins(59) && life <= SignedDuration::from_mins(60), "{life}");
    write(&path, Some("2001-01-01T00:00:00Z"));
    let refused = ask().await.unwrap_err();
    assert!(refused.is_final && refused.reason.contains("expired at 2001-01-01T00:00:00Z"), "{refused:?}");
}
