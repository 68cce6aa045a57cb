//! Cycles of image clean-up (spec 20 §6), at an Engine of our own so that nobody else's images are at stake.

use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::Result;
use lab::{Bench, Daemon, Engine, Network, hex};
use serde_json::{Value, json};

use super::commands::Beside;
use crate::support::{bench, setting};

const NOBODY: &str = "e30=";
const LIMIT: Duration = Duration::from_secs(60);

const SETTINGS: [(&str, &str); 4] = [
    ("LONGSHORE_IMAGE_CLEANUP_INTERVAL", "2s"),
    ("ECS_IMAGE_MINIMUM_CLEANUP_AGE", "1s"),
    ("ECS_NUM_IMAGES_DELETE_PER_CYCLE", "5"),
    ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "1s"),
];

/// An Engine with the test image, and a registry for images of a test's own beside it.
struct Shelf {
    registry: Child,
    engine: Engine,
    daemon: Daemon,
    _folder: tempfile::TempDir,
}

/// Free: the network is the Engine's own.
const REGISTRY: &str = "127.0.0.1:5000";

impl Shelf {
    /// `None` for a user who may not have an Engine.
    fn new() -> Result<Option<Self>> {
        if !Daemon::is_possible() {
            lab::leave_out("root, for a private Docker Engine")?;
            return Ok(None);
        }
        let daemon = Daemon::start(Network::None, &[])?;
        daemon.take_image(&Engine::from_env()?, &setting("LONGSHORE_TEST_IMAGE"))?;
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("config.yml");
        let data = folder.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{REGISTRY}'}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n",
            data.display()
        );
        std::fs::write(&config, text)?;
        let mut command = daemon.command("docker-registry");
        command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = command.spawn()?;
        let shelf = Self { registry, engine: daemon.engine(), daemon, _folder: folder };
        lab::wait_for("the registry to take an image", Duration::from_secs(20), || Ok(shelf.image(&["first"]).ok()))?;
        Ok(Some(shelf))
    }

    fn bench(&self) -> Result<Bench> {
        let host = self.daemon.host();
        let [a, b, c, d] = SETTINGS;
        bench(&[a, b, c, d, ("DOCKER_HOST", &host)])
    }

    /// A repository of this test.
    fn repository(&self, name: &str) -> String {
        format!("{REGISTRY}/{name}")
    }

    /// Makes an image like no other, under some names, and puts it into the registry under these. Gives its id; the
    /// Engine keeps it, under the same names.
    fn image(&self, names: &[&str]) -> Result<String> {
        let body = json!({ "Image": setting("LONGSHORE_TEST_IMAGE"), "Cmd": ["true"] });
        let created = self.engine.call("POST", "/containers/create", &body)?;
        let container = created["Id"].as_str().unwrap_or("").to_owned();
        let change = lab::engine::encode(&format!("ENV STAMP={}", hex(8)));
        let path = format!("/commit?container={container}&changes={change}");
        let committed = self.engine.call("POST", &path, &Value::Null);
        self.engine.remove(&container)?;
        let id = committed?["Id"].as_str().unwrap_or("").to_owned();
        for name in names {
            self.engine.tag(&id, &self.repository(name), "v")?;
            self.engine.push(&self.repository(name), "v", NOBODY)?;
        }
        Ok(id)
    }

    /// A task of a container that ends at once.
    fn run(&self, bench: &Bench, name: &str) -> Result<Value> {
        let image = format!("{}:v", self.repository(name));
        bench.run(&[bench.shell("main", "exit 0", json!({ "image": image, "cpu": 2, "memory": 16 }))])
    }

    fn has(&self, image: &str) -> bool {
        self.engine.has_image(image)
    }

    fn has_name(&self, name: &str) -> bool {
        self.has(&format!("{}:v", self.repository(name)))
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        drop(self.registry.kill());
        drop(self.registry.wait());
    }
}

fn eventually(bench: &Bench, what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let held = lab::wait_for(what, LIMIT, || Ok(is_so().then_some(())));
    bench.with_log(held)
}

#[test]
fn images_go_five_at_a_time() -> Result<()> {
    let Some(shelf) = Shelf::new()? else { return Ok(()) };
    let names: Vec<String> = (0..30).map(|number| format!("many{number}")).collect();
    let ids: Vec<String> = names.iter().map(|name| shelf.image(&[name])).collect::<Result<_>>()?;
    let bench = shelf.bench()?;
    // One of them is needed until the others are gone.
    let image = format!("{}:v", shelf.repository("many0"));
    let config = lab::payload::fast_stop();
    let keeper = bench.run(&[bench.container("main", json!({ "image": image, "memory": 16, "config": config }))])?;
    bench.until(&keeper, "RUNNING")?;
    let tasks: Vec<Value> = names[1..].iter().map(|name| shelf.run(&bench, name)).collect::<Result<_>>()?;
    for task in &tasks {
        bench.until(task, "STOPPED")?;
    }
    eventually(&bench, "29 images to go", || ids[1..].iter().all(|id| !shelf.has(id)))?;
    assert!(shelf.has(&ids[0]), "the image of a running task goes never");
    bench.stop_and_wait(&keeper)?;
    eventually(&bench, "the last image to go", || !shelf.has(&ids[0]))?;

    let removed = || -> Vec<u64> {
        let log = bench.agent.log();
        let counts =
            log.lines().filter_map(|line| line.split_once("image clean-up: ")?.1.split_once(" images")?.0.parse().ok());
        counts.collect()
    };
    eventually(&bench, "30 removals in the log", || removed().iter().sum::<u64>() == 30)?;
    let removed = removed();
    assert!(removed.iter().all(|count| *count <= 5), "{removed:?}");
    assert!(shelf.has(&setting("LONGSHORE_TEST_IMAGE")), "an image that no task used is not ours");
    Ok(())
}

#[test]
fn images_go_when_somebody_asks() -> Result<()> {
    let Some(shelf) = Shelf::new()? else { return Ok(()) };
    let id = shelf.image(&["asked"])?;
    let host = shelf.daemon.host();
    let settings = [
        ("ECS_DISABLE_IMAGE_CLEANUP", "true"),
        ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "1s"),
        ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER", "0s"),
        ("DOCKER_HOST", host.as_str()),
    ];
    let bench = bench(&settings)?;
    let task = shelf.run(&bench, "asked")?;
    bench.until(&task, "STOPPED")?;
    let beside = Beside(&bench);
    eventually(&bench, "the task to let go", || {
        beside.json(&["images", "--json"]).is_ok_and(|images| images["images"][0]["holders"] == json!([]))
    })?;
    let images = beside.longshore(&["images"])?;
    assert!(images.stderr.contains("Images do not go by themselves"), "{images:#?}");
    let dry = beside.longshore(&["gc", "--dry-run", "--all"])?;
    assert!(dry.stdout.contains(&format!("would remove image {}:v", shelf.repository("asked"))), "{dry:#?}");
    assert!(shelf.has(&id), "a dry run removes nothing");
    let young = beside.longshore(&["gc"])?;
    assert!(young.stdout.contains("Nothing to remove") && shelf.has(&id), "{young:#?}");
    let gone = beside.longshore(&["gc", "--all"])?;
    assert_eq!(gone.code, Some(0), "{gone:#?}");
    assert!(gone.stdout.contains(&format!("removed image {}:v", shelf.repository("asked"))), "{gone:#?}");
    assert!(!shelf.has(&id));
    Ok(())
}

#[test]
fn names_holders_and_moved_tags() -> Result<()> {
    let Some(shelf) = Shelf::new()? else { return Ok(()) };
    let twice = shelf.image(&["one", "other"])?;
    let held = shelf.image(&["held"])?;
    let moved = shelf.image(&["moving"])?;
    let bench = shelf.bench()?;
    // Held by somebody who is no task, and does not even run.
    let body = json!({ "Image": format!("{}:v", shelf.repository("held")), "Cmd": ["true"] });
    let created = shelf.engine.call("POST", "/containers/create", &body)?;
    let foreign = created["Id"].as_str().unwrap_or("").to_owned();

    let sleep = || -> Result<Value> {
        let image = format!("{}:v", shelf.repository("moving"));
        let config = lab::payload::fast_stop();
        let task = bench.run(&[bench.container("main", json!({ "image": image, "memory": 16, "config": config }))])?;
        bench.until(&task, "RUNNING")?;
        Ok(task)
    };
    let first = sleep()?;
    let tasks: Vec<Value> =
        ["one", "other", "held"].iter().map(|name| shelf.run(&bench, name)).collect::<Result<_>>()?;
    for task in &tasks {
        bench.until(task, "STOPPED")?;
    }
    // The tag moves on while a task still runs what it meant before.
    let newer = shelf.image(&["moving"])?;
    let second = sleep()?;
    eventually(&bench, "the image with two repositories to go", || !shelf.has(&twice))?;
    assert!(!shelf.has_name("one") && !shelf.has_name("other"));
    assert!(shelf.has(&moved), "a running task keeps an image without a name");
    bench.stop_and_wait(&first)?;
    eventually(&bench, "the image that lost its name to go", || !shelf.has(&moved))?;
    assert!(shelf.has_name("moving") && shelf.has(&newer), "what the name means now is in use");
    bench.stop_and_wait(&second)?;
    eventually(&bench, "what the name means now to go", || !shelf.has(&newer))?;
    eventually(&bench, "a refusal", || bench.agent.log().contains("is using its referenced image"))?;
    assert!(shelf.has_name("held") && shelf.has(&held), "another's container keeps its image");
    shelf.engine.remove(&foreign)?;
    eventually(&bench, "the image that was held to go", || !shelf.has(&held))
}
