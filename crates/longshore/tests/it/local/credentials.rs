//! Credentials of task roles in local mode, as a container sees them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::SignedDuration;
use lab::agent::Signal;
use serde_json::{Value, json};

use crate::support::{Ended, Home, Local, end_of, setting};

const LIMIT: Duration = Duration::from_secs(60);
const ROLE: &str = "arn:aws:iam::111122223333:role/web";

/// Asks for its credentials once a second, and says what it was told.
const ASK: &str = "while true; do wget -q -O - http://127.0.0.1:51679$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; \
                   echo; sleep 1; done";

/// A task with a role, in the host's network: there the task server is on loopback.
fn definition(home: &Home, family: &str, script: &str) -> Result<String> {
    let definition = json!({ "family": family, "taskRoleArn": ROLE, "networkMode": "host", "containerDefinitions": [{
        "name": "main", "image": setting("LONGSHORE_TEST_IMAGE"), "memory": 32, "stopTimeout": 2,
        "command": ["sh", "-c", script],
    }]});
    home.write(&format!("{family}.json"), &definition.to_string())
}

fn start(home: &Home, file: &str) -> Result<String> {
    let ended = home.longshore(&["run", "--detach", file])?;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    Ok(ended.stdout.trim().rsplit('/').next().context("no id")?.to_owned())
}

/// The first answer that the container was given with this access key.
fn seen(home: &Home, local: &Local, id: &str, key: &str) -> Result<Value> {
    lab::wait_for(&format!("the container to see {key}"), LIMIT, || {
        let logs = home.longshore(&["logs", id])?.stdout;
        let mut answers =
            logs.lines().filter_map(|line| serde_json::from_str::<Value>(line.get(line.find('{')?..)?).ok());
        let report = local.get(&format!("/longshore/v1/tasks/{id}"))?;
        assert_ne!(report["lastStatus"], "STOPPED", "{report}");
        Ok(answers.find(|answer| answer["AccessKeyId"] == key))
    })
}

/// No file below the data directory has this text in it.
fn is_nowhere(home: &Home, secret: &str) -> Result<()> {
    let mut folders = vec![home.data()];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_type()?.is_file() {
                // Some are replaced while we look.
                let Ok(bytes) = std::fs::read(entry.path()) else { continue };
                count += 1;
                let is_here = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!is_here, "{} has a secret in it", entry.path().display());
            }
        }
    }
    assert!(count >= 3, "only {count} files were looked at");
    Ok(())
}

fn keys(number: u32, seconds: i64) -> String {
    let document = json!({"Version": 1, "AccessKeyId": format!("AKIAFILE{number}"),
        "SecretAccessKey": format!("file-secret-{number}"), "SessionToken": "file-token",
        "Expiration": end_of(SignedDuration::from_secs(seconds))});
    document.to_string()
}

#[test]
fn a_file_gives_credentials_and_its_next_contents_before_they_end() -> Result<()> {
    let home = Home::new()?;
    let path = home.write("keys.json", &keys(1, 12))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let mut local = home.local_with(&["--task-credentials", &format!("file:{path}")], &[])?;
    let id = start(&home, &definition(&home, "from-file", ASK)?)?;
    let first = seen(&home, &local, &id, "AKIAFILE1")?;
    assert_eq!(
        (&first["SecretAccessKey"], &first["Token"], &first["RoleArn"]),
        (&json!("file-secret-1"), &json!("file-token"), &json!(ROLE)),
        "{first}"
    );
    home.write("keys.json", &keys(2, 3600))?;
    let second = seen(&home, &local, &id, "AKIAFILE2")?;
    assert_eq!(second["SecretAccessKey"], "file-secret-2");

    let described = home.longshore(&["describe", &id])?;
    for words in ["were obtained", "were refreshed"] {
        assert!(described.stdout.contains(words), "{words} is missing:\n{}", described.stdout);
    }
    for secret in ["file-secret-", "file-token"] {
        is_nowhere(&home, secret)?;
        assert!(!described.stdout.contains(secret));
    }

    // Killed and started again, the container goes on with the id that it has.
    local.stop(Signal::Kill)?;
    home.write("keys.json", &keys(3, 3600))?;
    let local = home.local_with(&["--task-credentials", &format!("file:{path}")], &[])?;
    seen(&home, &local, &id, "AKIAFILE3")?;
    assert_eq!(home.longshore(&["stop", &id])?.code, Some(0));
    Ok(())
}

/// A token service that knows one call. Every set of keys has a number, and holds twelve seconds.
struct Sts {
    endpoint: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Sts {
    fn start(is_willing: bool) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (kept, count) = (Arc::clone(&bodies), AtomicUsize::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is no concern of the next.
                drop(Self::answer(stream, is_willing, &kept, &count));
            }
        });
        Ok(Self { endpoint, bodies })
    }

    fn answer(mut stream: TcpStream, is_willing: bool, kept: &Mutex<Vec<String>>, count: &AtomicUsize) -> Result<()> {
        stream.set_read_timeout(Some(LIMIT))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut headers, mut line) = (BTreeMap::new(), String::new());
        while reader.read_line(&mut line)? > 2 {
            if let Some((name, value)) = line.trim().split_once(": ") {
                headers.insert(name.to_ascii_lowercase(), value.to_owned());
            }
            line.clear();
        }
        let mut body = vec![0; headers.get("content-length").context("no length")?.parse()?];
        reader.read_exact(&mut body)?;
        let signed = headers.get("authorization").is_some_and(|text| text.contains("Credential=AKIACALLER/"));
        kept.lock().unwrap().push(format!("{} signed={signed}", String::from_utf8_lossy(&body)));
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        let expires = end_of(SignedDuration::from_secs(12));
        let (status, body) = if is_willing {
            let keys = format!(
                "<AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>sts-secret-{number}</SecretAccessKey>\
                 <SessionToken>sts-token</SessionToken><Expiration>{expires}</Expiration>"
            );
            let result = format!("<AssumeRoleResult><Credentials>{keys}</Credentials></AssumeRoleResult>");
            ("200 OK", format!("<AssumeRoleResponse>{result}</AssumeRoleResponse>"))
        } else {
            let error = "<Error><Code>AccessDenied</Code><Message>not with me</Message></Error>";
            ("403 Forbidden", format!("<ErrorResponse>{error}</ErrorResponse>"))
        };
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")?;
        Ok(())
    }

    fn environment(&self) -> [(&str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL_STS", &self.endpoint),
            ("AWS_ACCESS_KEY_ID", "AKIACALLER"),
            ("AWS_SECRET_ACCESS_KEY", "caller-secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("NO_PROXY", "127.0.0.1"),
        ]
    }
}

#[test]
fn a_role_is_assumed_and_assumed_again_before_the_end() -> Result<()> {
    let home = Home::new()?;
    let sts = Sts::start(true)?;
    let mut local = home.local_with(&["--task-credentials", "assume-role"], &sts.environment())?;
    let id = start(&home, &definition(&home, "assumed", ASK)?)?;
    for number in 1..=2 {
        let answer = seen(&home, &local, &id, &format!("ASIA{number}"))?;
        assert_eq!(answer["SecretAccessKey"], format!("sts-secret-{number}"), "{answer}");
    }
    let bodies = sts.bodies.lock().unwrap().clone();
    assert!(bodies.len() >= 2, "{bodies:?}");
    for wanted in ["Action=AssumeRole", "role%2Fweb", &format!("RoleSessionName={id}"), "signed=true"] {
        assert!(bodies[0].contains(wanted), "{wanted} is not in {}", bodies[0]);
    }
    for secret in ["sts-secret-", "sts-token", "caller-secret"] {
        is_nowhere(&home, secret)?;
    }
    assert_eq!(home.longshore(&["stop", &id])?.code, Some(0));
    assert_eq!(local.stop(Signal::Term)?, Some(0));
    Ok(())
}

#[test]
fn a_role_that_may_not_be_assumed_keeps_the_task_from_starting() -> Result<()> {
    let home = Home::new()?;
    let sts = Sts::start(false)?;
    let file = definition(&home, "denied", "true")?;
    let mut command = home.command(&["run", "--task-credentials", "assume-role", &file]);
    command.envs(sts.environment());
    let ended: Ended = crate::support::ended(command)?;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let wanted = format!("ECS was unable to assume the role '{ROLE}' that was provided for this task.");
    assert!(ended.stderr.contains(&wanted) && ended.stderr.contains("not with me"), "{ended:#?}");
    assert_eq!(home.containers()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn without_a_source_the_task_runs_and_says_what_is_missing() -> Result<()> {
    let home = Home::new()?;
    let script = "echo uri=$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI.";
    let ended = home.longshore(&["run", &definition(&home, "none", script)?])?;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("uri=."), "{ended:#?}");
    assert!(ended.stderr.contains(ROLE) && ended.stderr.contains("--task-credentials"), "{ended:#?}");
    Ok(())
}

#[test]
fn sources_that_are_none_are_refused_at_once() -> Result<()> {
    let home = Home::new()?;
    for (source, wanted) in [("somewhere", "profile:NAME"), ("file:/no/such/file", "cannot read /no/such/file")] {
        let ended = home.longshore(&["local", "--port", "0", "--task-credentials", source])?;
        assert!(ended.code.is_some_and(|code| code != 0) && ended.stderr.contains(wanted), "{ended:#?}");
    }
    let open = home.write("open-keys.json", &keys(1, 60))?;
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644))?;
    let file = definition(&home, "open", "true")?;
    let mut command = home.command(&["run", &file]);
    command.env("LONGSHORE_TASK_CREDENTIALS", format!("file:{open}"));
    let ended = crate::support::ended(command)?;
    assert!(ended.code == Some(0) && ended.stderr.contains("chmod 600"), "{ended:#?}");
    Ok(())
}
