//! Clients of the task server, as people's containers have them: AWS's SDKs for Python, JavaScript and Rust, the AWS
//! CLI, and OpenTelemetry's detectors. Each runs in a container of a task, with the environment that the agent gave
//! it, on this machine's files; only the address is loopback's, since the container shares the host's network.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use aws::connect::ConnectorOptions;
use aws::credentials::{ChainOptions, ROTATING_FILE};
use aws::http::HttpClient;
use aws::{Connector, CredentialsChain, Imds};
use lab::Bench;
use lab::payload::fast_stop;
use serde_json::{Value, json};

use crate::support::{bench, differences, end_of, setting};

const SOON: Duration = Duration::from_secs(90);

/// The name of a task's first keys, and of those that follow.
const FIRST: &str = "AKIAFIRST";
const SECOND: &str = "AKIASECOND";

/// The control plane names containers; the agent only passes it on.
const CONTAINER_ARN: &str = "arn:aws:ecs:us-west-2:123456789012:container/c/t/0a1b2c3d-0000-4000-8000-1234567890ab";

/// Puts loopback in the place of the fixed address; then the client runs in the host's file system.
const PROLOGUE: &str = r#"
here=127.0.0.1:51679
export AWS_CONTAINER_CREDENTIALS_FULL_URI="http://$here$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
export ECS_CONTAINER_METADATA_URI="${ECS_CONTAINER_METADATA_URI/169.254.170.2/$here}"
export ECS_CONTAINER_METADATA_URI_V4="${ECS_CONTAINER_METADATA_URI_V4/169.254.170.2/$here}"
unset AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
export AWS_EC2_METADATA_DISABLED=true NO_PROXY='*' HOME=/nonexistent PATH=/usr/local/bin:/usr/bin:/bin
"#;

/// Five minutes before the end of keys, AWS's clients hold that for the time to refresh them.
const NEAR: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// Keys that end so soon.
fn keys(name: &str, life: jiff::SignedDuration) -> Value {
    json!({
        "credentialsId": "0a1b2c3d-0000-4000-8000-1234567890ab", "accessKeyId": name,
        "secretAccessKey": format!("secret-of-{name}"), "sessionToken": format!("token-of-{name}"),
        "roleArn": "arn:aws:iam::123456789012:role/app", "expiration": end_of(life),
    })
}

/// How the scripts show a set of keys.
fn shown(name: &str) -> String {
    format!("keys {name} secret-of-{name} token-of-{name}")
}

/// A client that runs in a container and writes to a file.
struct Client<'b> {
    bench: &'b Bench,
    task: Value,
    file: PathBuf,
}

impl<'b> Client<'b> {
    /// Runs a line of shell, without quotes, on this machine's files.
    fn start(bench: &'b Bench, line: &str) -> Result<Self> {
        Self::start_with(bench, line, &keys(FIRST, NEAR))
    }

    /// The same with other keys.
    fn start_with(bench: &'b Bench, line: &str, keys: &Value) -> Result<Self> {
        let file = bench.agent.folder().join(format!("client-{}.txt", lab::hex(8)));
        let script = format!("{PROLOGUE}exec chroot /host /bin/sh -c 'exec > {} 2>&1; {line}'\n", file.display());
        let members = json!({
            "mountPoints": [{ "sourceVolume": "host", "containerPath": "/host", "readOnly": false }], "memory": 512,
            "containerArn": CONTAINER_ARN, "config": fast_stop(), "hostConfig": { "NetworkMode": "host" },
        });
        let task = bench.run_with(
            &[bench.shell("main", &script, members)],
            json!({
                "roleCredentials": keys, "launchType": "EC2",
                "volumes": [{ "name": "host", "type": "host", "host": { "sourcePath": "/" } }],
            }),
        )?;
        bench.until(&task, "RUNNING")?;
        Ok(Self { bench, task, file })
    }

    fn output(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap_or_default()
    }

    /// Waits until the client has written this.
    fn says(&self, text: &str) -> Result<()> {
        let said = lab::wait_for(text, SOON, || Ok(self.output().contains(text).then_some(())));
        said.with_context(|| format!("the client said: {}", self.output()))
    }

    /// The control plane sends newer keys, as it does before the old ones end.
    fn refresh(&self) -> Result<()> {
        let message = json!({
            "messageId": "refresh", "taskArn": self.task["arn"], "roleType": "TaskApplication",
            "roleCredentials": keys(SECOND, NEAR),
        });
        self.bench.plane.send("IAMRoleCredentialsMessage", &message)?;
        self.bench.plane.acknowledged("IAMRoleCredentialsAckRequest", "refresh", SOON).map(drop)
    }

    /// Waits for the client's good end; its output.
    fn ends(&self) -> Result<String> {
        let (stopped, _) = self.bench.plane.until(self.task["arn"].as_str().unwrap_or_default(), "STOPPED", SOON)?;
        assert_eq!(stopped["containers"][0]["exitCode"], 0, "{stopped}\n{}", self.output());
        Ok(self.output())
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// A program of the Python environment that `cargo xtask test` made.
fn python(program: &str) -> String {
    Path::new(&setting("LONGSHORE_TEST_PROGRAMS")).join(program).display().to_string()
}

/// A script for Node, beside the packages that `cargo xtask test` installed: it looks for them where it lies.
fn node(name: &str) -> Result<String> {
    let copy = PathBuf::from(setting("LONGSHORE_TEST_NODE")).join(name);
    std::fs::copy(script(name), &copy).with_context(|| format!("copying {name} to {}", copy.display()))?;
    Ok(format!("node {}", copy.display()))
}

#[test]
fn botocore_resolves_and_refreshes() -> Result<()> {
    let bench = bench(&[])?;
    let line = format!("{} {} {SECOND}", python("python"), script("container_credentials.py").display());
    let client = Client::start(&bench, &line)?;
    client.says(&shown(FIRST))?;
    client.refresh()?;
    let output = client.ends()?;
    assert!(output.starts_with("method container-role\n") && output.contains(&shown(SECOND)), "{output}");
    Ok(())
}

#[test]
fn the_aws_cli_takes_the_keys() -> Result<()> {
    let bench = bench(&[])?;
    let client = Client::start(&bench, &format!("{} {} configure list", python("python"), python("aws")))?;
    let output = client.ends()?;
    // It shows the ends of keys, and where they are from.
    for name in ["access_key", "secret_key"] {
        let line = output.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
        assert!(line.contains("IRST ") && line.contains("container-role"), "{output}");
    }
    Ok(())
}

#[test]
fn the_javascript_sdk_resolves_and_refreshes() -> Result<()> {
    let bench = bench(&[])?;
    let client = Client::start(&bench, &format!("{} {SECOND}", node("container_credentials.mjs")?))?;
    client.says(&shown(FIRST))?;
    client.refresh()?;
    let output = client.ends()?;
    assert!(output.contains(&shown(SECOND)), "{output}");
    Ok(())
}

/// Names the variable that makes this program the Rust client; its value is how the last keys are called.
const RUST_CLIENT: &str = "LONGSHORE_TEST_RUST_CLIENT";

/// The container provider of `aws-config` by way of the chain through which the agent itself asks it. It reads the
/// environment of its process, so this test program runs in the container too, with the test below alone.
#[test]
fn the_rust_sdk_resolves_and_refreshes() -> Result<()> {
    let bench = bench(&[])?;
    let program = std::env::current_exe()?;
    let only = "--exact clients::containers::the_rust_client --nocapture";
    let line = format!("exec env {RUST_CLIENT}={SECOND} {} {only}", program.display());
    // Our chain asks again when a tenth of the keys' life is left.
    let client = Client::start_with(&bench, &line, &keys(FIRST, jiff::SignedDuration::from_secs(10)))?;
    client.says(&shown(FIRST))?;
    client.refresh()?;
    let output = client.ends()?;
    assert!(output.contains("method ContainerEndpoint\n") && output.contains(&shown(SECOND)), "{output}");
    Ok(())
}

/// The client of the test above, in its container; by itself it has nothing to do.
#[test]
fn the_rust_client() -> Result<()> {
    let Ok(last) = std::env::var(RUST_CLIENT) else { return Ok(()) };
    let options = ChainOptions {
        external: false,
        region: None,
        http: HttpClient::new(Connector::new(ConnectorOptions::default())),
        imds: Imds::blackholed(),
        rotating_file: ROTATING_FILE.into(),
    };
    let chain = CredentialsChain::new(options, &|name| std::env::var(name).ok());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut seen = String::new();
    lab::wait_for("the last keys", SOON, || {
        let keys = runtime.block_on(chain.credentials())?;
        if keys.access_key_id != seen {
            let token = keys.session_token.as_ref().map(|token| token.expose().as_str()).unwrap_or_default();
            println!("method {}", chain.source().unwrap_or_default());
            println!("keys {} {} {token}", keys.access_key_id, keys.secret.expose());
            seen = keys.access_key_id;
        }
        Ok((seen == last).then_some(()))
    })
}

/// What both detectors must find, by the names of the semantic conventions.
fn check_attributes(client: &Client<'_>, output: &str) -> Result<()> {
    let found: Value = serde_json::from_str(output.trim()).with_context(|| output.to_owned())?;
    let task = client.task["arn"].as_str().unwrap_or_default();
    let expected = json!({
        "cloud.provider": "aws", "cloud.platform": "aws_ecs",
        "container.id": client.bench.containers(&client.task)?.first(),
        "aws.ecs.cluster.arn": client.bench.plane.cluster_arn(), "aws.ecs.task.arn": task,
        "aws.ecs.task.family": "fam", "aws.ecs.task.revision": "7", "aws.ecs.launchtype": "ec2",
        "aws.ecs.container.arn": CONTAINER_ARN,
    });
    let wrong = differences(&found, &expected);
    assert!(wrong.is_empty(), "{wrong:?}\n{found}");
    Ok(())
}

#[test]
fn opentelemetry_for_python_finds_the_task() -> Result<()> {
    let bench = bench(&[])?;
    let client = Client::start(&bench, &format!("{} {}", python("python"), script("ecs_resource.py").display()))?;
    let output = client.ends()?;
    check_attributes(&client, &output)
}

#[test]
fn opentelemetry_for_javascript_finds_the_task() -> Result<()> {
    let bench = bench(&[])?;
    let client = Client::start(&bench, &node("ecs_resource.mjs")?)?;
    let output = client.ends()?;
    check_attributes(&client, &output)
}
