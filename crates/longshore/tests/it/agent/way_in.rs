//! The way in from containers, in a network of its own with a Docker Engine of its own: packet rules are put there,
//! put back and removed, with each tool that the machine has, and those of others stay.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lab::agent::{Signal, get};
use lab::{Agent, Daemon, Engine, Network, Plane, payload, wait_for};
use serde_json::{Value, json};

use crate::support::{LONGSHORE, ended, setting};

const SOON: Duration = Duration::from_secs(30);

/// Without -T, with which the static busybox of Debian breaks down.
/// Metadata and credentials; 3 and 4 tell which of them did not come.
const FETCH: &str = r#"
for round in 1 2 3 4 5; do
  document=$(timeout 3 wget -qO- "$ECS_CONTAINER_METADATA_URI_V4/task") &&
    keys=$(timeout 3 wget -qO- "http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") && break
  sleep 1
done
case "$document" in *'"Family":"fam"'*) ;; *) exit 3 ;; esac
case "$keys" in *AKIAWAYIN*) ;; *) exit 4 ;; esac
"#;

/// Instance metadata, which 5 says to be there, and 0 not to be.
const ASK_IMDS: &str = "timeout 3 wget -qO- http://169.254.169.254/ && exit 5; exit 0";

/// The reference's rules as its supervisor gives them to iptables (spec 40 §15.3); the operation is left open.
const OF_INIT: [&str; 5] = [
    "-t nat -A PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:51679",
    "-t filter -I INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
    "-t filter -I INPUT -p tcp --dport 51678 ! -i lo -j DROP",
    "-t filter -I INPUT -p tcp --dport 51678 -i docker0 -j ACCEPT",
    "-t nat -A OUTPUT -p tcp -d 169.254.170.2 --dport 80 -j REDIRECT --to-ports 51679",
];

/// A network of its own, with an Engine in it.
struct Site {
    daemon: Daemon,
    image: String,
}

impl Site {
    /// `None` where this needs more rights or programs than there are.
    fn new() -> Result<Option<Self>> {
        if !Daemon::is_possible() || !["dockerd", "iptables", "ip"].into_iter().all(lab::has) {
            lab::leave_out("root, dockerd, iptables and ip")?;
            return Ok(None);
        }
        let daemon = Daemon::start(Network::Own, &[])?;
        let image = setting("LONGSHORE_TEST_IMAGE");
        daemon.take_image(&Engine::from_env()?, &image)?;
        Ok(Some(Self { daemon, image }))
    }

    /// Runs a command within, which must succeed.
    fn run(&self, line: &str) -> Result<String> {
        let mut words = line.split(' ');
        let mut command = self.daemon.command(words.next().unwrap_or_default());
        let done = ended({
            command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        })?;
        if done.code != Some(0) {
            bail!("{line}: {done:?}");
        }
        Ok(done.stdout)
    }

    fn longshore(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<crate::support::Ended> {
        let mut command = self.daemon.command(LONGSHORE);
        command.args(arguments).env("DOCKER_HOST", self.daemon.host()).envs(environment.iter().copied());
        ended(command)
    }

    /// All rules of all tools, sorted.
    fn rules(&self) -> Result<Vec<String>> {
        let mut rules = Vec::new();
        for tool in ["iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"] {
            let listing = self.run(&format!("{tool}-save")).unwrap_or_default();
            rules.extend(listing.lines().filter(|line| line.starts_with("-A")).map(|line| format!("{tool} {line}")));
        }
        rules.sort();
        Ok(rules)
    }

    fn ours(&self) -> Result<Vec<String>> {
        let mut ours = self.rules()?;
        ours.retain(|rule| rule.contains("longshore"));
        if let Ok(tables) = self.run("nft list tables") {
            ours.extend(tables.lines().filter(|table| table.contains("longshore")).map(str::to_owned));
        }
        Ok(ours)
    }

    fn routes_localnet(&self, interface: &str) -> Result<bool> {
        let path = format!("/proc/sys/net/ipv4/conf/{interface}/route_localnet");
        self.daemon.within(move || Ok(std::fs::read_to_string(path)?.trim() == "1"))
    }

    /// Listens on the address of instance metadata.
    fn serve_imds(&self) -> Result<()> {
        self.run("ip addr add 169.254.169.254/32 dev lo")?;
        let listener = self.daemon.within(|| Ok(TcpListener::bind((Ipv4Addr::new(169, 254, 169, 254), 80))?))?;
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut request = [0; 1024];
                // Whatever it asks.
                drop(stream.read(&mut request));
                drop(stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nimds"));
            }
        });
        Ok(())
    }

    /// A control plane and an agent within.
    fn agent(&self, environment: &[(&str, &str)]) -> Result<Joined<'_>> {
        let plane = Plane::on(self.daemon.within(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?))?)?;
        let holder = self.daemon.holder().to_string();
        let command = ["nsenter", "--target", &holder, "--net", "--", LONGSHORE, "agent"];
        let host = self.daemon.host();
        let mut all = vec![
            ("DOCKER_HOST", host.as_str()),
            ("ECS_IMAGE_PULL_BEHAVIOR", "prefer-cached"),
            ("LONGSHORE_NETFILTER_INTERVAL", "1s"),
        ];
        all.extend_from_slice(environment);
        let mut agent = Agent::new(&command, &plane, &all)?;
        agent.start()?;
        agent.ready(&plane, SOON)?;
        Ok(Joined { agent, plane, site: self })
    }
}

/// An agent within.
struct Joined<'a> {
    agent: Agent,
    plane: Plane,
    site: &'a Site,
}

impl Joined<'_> {
    fn start(&self, script: &str, host_config: Value) -> Result<Value> {
        let members = json!({ "hostConfig": host_config, "config": payload::fast_stop() });
        let container = payload::shell("main", &self.site.image, script, members);
        let credentials = json!({ "roleCredentials": {
            "credentialsId": lab::hex(32), "accessKeyId": "AKIAWAYIN", "secretAccessKey": "s", "sessionToken": "t",
            "roleArn": "arn:aws:iam::123456789012:role/app", "expiration": "2031-01-01T00:00:00Z",
        }});
        let task = payload::task(&self.plane.task_arn(), self.plane.cluster_arn(), &[container], credentials);
        self.plane.payload(std::slice::from_ref(&task))?;
        Ok(task)
    }

    fn until(&self, task: &Value, status: &str) -> Result<Value> {
        let heard = self.plane.until(task["arn"].as_str().unwrap_or_default(), status, SOON);
        heard.map(|(body, _)| body).with_context(|| format!("the agent's log ends:\n{}", self.agent.log_tail()))
    }

    /// Exit codes of scripts that run side by side.
    fn exit_codes(&self, scripts: &[(&str, Value)]) -> Result<Vec<Option<i64>>> {
        let tasks: Result<Vec<Value>> =
            scripts.iter().map(|(script, host_config)| self.start(script, host_config.clone())).collect();
        let ended: Result<Vec<Value>> = tasks?.iter().map(|task| self.until(task, "STOPPED")).collect();
        Ok(ended?.iter().map(|change| change["containers"][0]["exitCode"].as_i64()).collect())
    }

    /// What `/v1/health` says of the rules, once `is_it` agrees.
    fn rules(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait_for(what, SOON, || {
            last = self.site.daemon.within(health)?["rules"].clone();
            Ok(is_it(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("last: {last}\nthe agent's log ends:\n{}", self.agent.log_tail()))
    }
}

fn health() -> Result<Value> {
    let (_, body) = get(51678, "/v1/health")?;
    Ok(serde_json::from_str(&body)?)
}

fn host_mode() -> Value {
    json!({ "NetworkMode": "host" })
}

/// Without the chains that the test flushes, as a firewall does.
fn comparable(rules: Vec<String>) -> Vec<String> {
    rules.into_iter().filter(|rule| !rule.contains("-A PREROUTING") && !rule.contains("-A OUTPUT")).collect()
}

#[test]
fn containers_reach_the_task_server_through_rules_that_come_back() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    site.serve_imds()?;
    site.run("iptables -t filter -I INPUT -p tcp --dport 51678 -s 198.51.100.7 -j DROP")?;
    site.run("iptables -t nat -A POSTROUTING -d 198.51.100.7 -j ACCEPT")?;
    let before = comparable(site.rules()?);
    assert!(!site.routes_localnet("docker0")?);
    let tools = ["iptables-nft", "iptables-legacy", "nft"];
    for tool in tools.into_iter().filter(|tool| Path::new("/usr/sbin").join(tool).exists()) {
        let environment = [
            ("LONGSHORE_NETFILTER", "own"),
            ("LONGSHORE_NETFILTER_TOOL", tool),
            ("LONGSHORE_BRIDGE_BLOCK_IMDS", "true"),
        ];
        let mut joined = site.agent(&environment)?;
        let rules = joined.rules("the rules to be in place", |rules| rules["inPlace"] == true)?;
        assert_eq!((&rules["mode"], &rules["imdsBlocked"]), (&json!("own"), &json!(true)), "{tool}: {rules}");
        let codes = joined.exit_codes(&[
            (FETCH, json!({})),
            (FETCH, host_mode()),
            (ASK_IMDS, json!({})),
            (ASK_IMDS, host_mode()),
        ])?;
        assert_eq!(codes, [Some(0), Some(0), Some(0), Some(5)], "{tool}\n{}", joined.agent.log_tail());

        // As a restart of a firewall does it.
        let repairs = rules["repairs"].as_u64().unwrap_or(0);
        match tool {
            "nft" => site.run("nft delete table ip longshore_agent")?,
            tool => site.run(&format!("{tool} -t nat -F PREROUTING"))? + &site.run(&format!("{tool} -t raw -F"))?,
        };
        joined.rules("the rules to come back", |rules| rules["repairs"].as_u64() > Some(repairs))?;
        assert!(joined.agent.log().contains("packet rules were gone, and were put back"), "{tool}");
        let codes = joined.exit_codes(&[(FETCH, json!({})), (ASK_IMDS, json!({}))])?;
        assert_eq!(codes, [Some(0), Some(0)], "{tool}, after the flush\n{}", joined.agent.log_tail());

        assert!(joined.agent.stop(Signal::Term)?.success());
        assert_eq!(site.ours()?, Vec::<String>::new(), "{tool}: of ours nothing stays");
        assert_eq!(comparable(site.rules()?), before, "{tool}: what was there stays");
        assert!(!site.routes_localnet("docker0")?, "{tool}");
        assert!(!site.run("ip route")?.contains("169.254.170.2"), "{tool}");
    }
    Ok(())
}

#[test]
fn the_block_outlives_the_agent_as_long_as_tasks_do() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    site.serve_imds()?;
    // Told to block, but not to see to the way in.
    let environment = [("LONGSHORE_BRIDGE_BLOCK_IMDS", "true")];
    let mut joined = site.agent(&environment)?;
    let task = joined.start("trap 'exit 0' TERM; while :; do sleep 1; done", json!({}))?;
    joined.until(&task, "RUNNING")?;
    let ours = site.ours()?;
    assert!(
        !ours.is_empty()
            && ours.iter().all(|rule| rule.contains("PREROUTING -i docker0") || rule.contains("-i docker0")),
        "{ours:#?}"
    );
    // Killed, so that a second one finds what the first left.
    joined.agent.stop(Signal::Kill)?;
    assert_eq!(site.ours()?, ours);
    joined.agent.start()?;
    joined.agent.ready(&joined.plane, SOON)?;
    joined.agent.stop(Signal::Term)?;
    assert_eq!(site.ours()?, ours, "the task goes on running");
    joined.agent.start()?;
    joined.agent.ready(&joined.plane, SOON)?;
    joined.plane.payload(&[payload::stopped(&task)])?;
    joined.until(&task, "STOPPED")?;
    joined.agent.stop(Signal::Term)?;
    assert_eq!(site.ours()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn rules_of_the_supervisor_are_its_own() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let empty = site.rules()?;
    // What the reference's supervisor installed, ours removes.
    for rule in OF_INIT {
        site.run(&format!("iptables {rule}"))?;
    }
    let of_reference = site.rules()?;
    let removed = site.longshore(&["init", "remove"], &[])?;
    assert_eq!((removed.code, site.rules()?), (Some(0), empty.clone()), "{removed:?}");
    let missing = site.longshore(&["init", "check"], &[])?;
    assert!(missing.code == Some(1) && missing.stdout.contains("missing"), "{missing:?}");

    // Ours are the same, however often they are installed; so the reference's supervisor can remove them.
    for _ in 0..2 {
        let installed = site.longshore(&["init", "install"], &[])?;
        assert_eq!(installed.code, Some(0), "{installed:?}");
    }
    let is_v4 = |rules: Vec<String>| rules.into_iter().filter(|rule| rule.starts_with("iptables")).collect::<Vec<_>>();
    assert_eq!(is_v4(site.rules()?), is_v4(of_reference));
    assert!(site.routes_localnet("all")?);
    assert_eq!(site.longshore(&["init", "check"], &[])?.code, Some(0));

    // An agent that is told to own the rules takes none that are there, and leaves them at its end.
    let installed = site.rules()?;
    for mode in ["own", "watch"] {
        let mut joined = site.agent(&[("LONGSHORE_NETFILTER", mode)])?;
        joined.rules("the rules to be in place", |rules| rules["inPlace"] == true)?;
        let codes = joined.exit_codes(&[(FETCH, json!({})), (FETCH, host_mode())])?;
        assert_eq!(codes, [Some(0), Some(0)], "{mode}\n{}", joined.agent.log_tail());
        assert!(joined.agent.stop(Signal::Term)?.success());
        assert_eq!(site.rules()?, installed, "{mode}");
        assert!(site.routes_localnet("all")?, "{mode}");
    }

    // One that only watches says so when they are gone, and again when they are back.
    let mut joined = site.agent(&[])?;
    joined.rules("the rules to be in place", |rules| rules["inPlace"] == true)?;
    site.run("iptables -t nat -F OUTPUT")?;
    let rules = joined.rules("the loss to be noticed", |rules| rules["inPlace"] == false)?;
    assert_eq!(rules["missing"], json!(["host network: 169.254.170.2:80 to port 51679"]));
    assert_eq!(site.daemon.within(health)?["status"], "impaired");
    assert!(joined.agent.log().contains("packet rules for 169.254.170.2 are gone"), "{}", joined.agent.log_tail());
    assert_eq!(site.longshore(&["init", "install"], &[])?.code, Some(0));
    joined.rules("the repair to be noticed", |rules| rules["inPlace"] == true)?;
    joined.agent.stop(Signal::Term)?;
    for rule in OF_INIT {
        site.run(&format!("iptables {}", rule.replace("-A ", "-D ").replace("-I ", "-D ")))?;
    }
    assert_eq!(site.longshore(&["init", "remove"], &[])?.code, Some(0));
    assert!(!site.routes_localnet("all")?);
    Ok(())
}

#[test]
fn local_mode_says_what_it_lacks_and_goes_on() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let start = |program: &[&str], name: &str| -> Result<std::process::Child> {
        let mut command = site.daemon.command(program[0]);
        command.args(&program[1..]).args(["--data-dir"]).arg(folder.path().join("data")).args(["local", "--port", "0"]);
        command
            .env("DOCKER_HOST", site.daemon.host())
            .env("LONGSHORE_NETFILTER_INTERVAL", "1s")
            .env("HOME", folder.path());
        let out = std::fs::File::create(folder.path().join(name))?;
        Ok(command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?)
    };
    let says = |name: &str, what: &str| {
        let found = wait_for(what, SOON, || {
            let said = std::fs::read_to_string(folder.path().join(name))?;
            Ok(said.contains(what).then_some(()))
        });
        found.with_context(|| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default())
    };
    let ends = |mut child: std::process::Child, signal| -> Result<()> {
        lab::agent::send(&child, signal)?;
        lab::agent::wait(&mut child, SOON).map(drop)
    };

    // Root without the right to change networks.
    let child = start(&["setpriv", "--bounding-set=-net_admin", "--", LONGSHORE], "denied")?;
    says("denied", "Containers cannot reach 169.254.170.2 (task metadata and credentials): that takes root.")?;
    says("denied", "longshore run FILE")?;
    ends(child, Signal::Term)?;
    assert_eq!(site.ours()?, Vec::<String>::new());

    // On another port than the usual, and killed: its rules lead nowhere.
    let taken = site.daemon.within(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 51679))?))?;
    let child = start(&[LONGSHORE], "killed")?;
    wait_for("rules", SOON, || Ok(Some(site.ours()?).filter(|ours| ours.len() > 2)))?;
    ends(child, Signal::Kill)?;
    assert!(!site.ours()?.is_empty());
    drop(taken);
    let child = start(&[LONGSHORE], "again")?;
    wait_for("rules to the usual port alone", SOON, || {
        let ours = site.ours()?;
        let leads: Vec<_> = ours.iter().filter(|rule| rule.contains("169.254.170.2")).collect();
        Ok((leads.len() == 2 && leads.iter().all(|rule| rule.ends_with("51679"))).then_some(()))
    })?;
    // Nothing is listened to beyond loopback here, so nothing has to be guarded.
    assert!(!site.ours()?.iter().any(|rule| rule.contains("51678")));
    ends(child, Signal::Term)?;
    assert_eq!(site.ours()?, Vec::<String>::new());
    Ok(())
}
