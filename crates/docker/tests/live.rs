//! The client against a real Docker Engine. The image is made here, so that no registry is needed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use docker::{Change, Engine, ExecCreate, Filters, Kind, ListContainers, ListImages, LogOptions, LogSource};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use wire::docker::{Action, ApiVersion, ContainerStatus, RegistryAuth, Stats, VolumeCreate};

/// Nothing here takes so long unless it hangs.
const HANG: Duration = Duration::from_secs(60);

fn engine() -> Engine {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    Engine::connect(&host).unwrap()
}

/// A name that no other test and no other run has.
fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("longshore-test-{what}-{}-{}", now % 1_000_000_000_000, COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Removes what a test left behind under its name, also when it failed.
struct Leftovers(String);

impl Drop for Leftovers {
    fn drop(&mut self) {
        let name = self.0.clone();
        let remove = async move {
            let engine = engine();
            // Most of it is gone already.
            let _ = engine.remove(&name, true, true).await;
            let _ = engine.remove_volume(&name, true).await;
            let images = ListImages { all: false, filters: Filters::new().with("reference", format!("{name}:*")) };
            for tag in engine.images(&images).await.into_iter().flatten().flat_map(|image| image.repo_tags) {
                let _ = engine.remove_image(&tag, true).await;
            }
        };
        // A runtime cannot wait inside another one's thread.
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(remove))
        });
        let _ = thread.join();
    }
}

/// An image with nothing but busybox.
async fn image(engine: &Engine, name: &str) {
    let busybox = std::fs::read("/bin/busybox").expect("a static busybox");
    let mut tar = Vec::new();
    let mut add = |path: &str, mode: &str, kind: u8, link: &str, data: &[u8]| {
        let mut header = [0_u8; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[100..107].copy_from_slice(mode.as_bytes());
        header[108..115].copy_from_slice(b"0000000");
        header[116..123].copy_from_slice(b"0000000");
        header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[148..156].copy_from_slice(b"        ");
        header[156] = kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..263].copy_from_slice(b"ustar\0");
        header[263..265].copy_from_slice(b"00");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&header);
        tar.extend_from_slice(data);
        tar.resize(tar.len().next_multiple_of(512), 0);
    };
    add("bin/busybox", "0000755", b'0', "", &busybox);
    for applet in ["sh", "cat", "sleep", "true"] {
        add(&format!("bin/{applet}"), "0000777", b'2', "busybox", b"");
    }
    tar.resize(tar.len() + 1024, 0);
    let id = engine.import(name, tar.into(), &["ENV PATH=/bin", "CMD [\"/bin/sh\"]"]).await.unwrap();
    assert!(id.starts_with("sha256:"), "{id}");
}

fn request(image: &str, script: &str) -> Value {
    json!({
        "Image": image,
        "Cmd": ["sh", "-c", script],
        "Labels": {"longshore.test": "1"},
        "Env": ["TOKEN=hunter2"],
        "HostConfig": {"NetworkMode": "none", "CpuShares": 2, "Memory": 33_554_432},
    })
}

#[tokio::test]
async fn the_daemon_introduces_itself() {
    let engine = engine();
    engine.ping().await.unwrap();
    let versions = engine.negotiate().await.unwrap();
    assert!(versions.usable.contains(&versions.default) && versions.default >= ApiVersion::v1(21));
    assert!(!engine.version().await.unwrap().version.is_empty());
    let info = engine.info().await.unwrap();
    assert!(info.mem_total > 0 && info.cpus > 0);
    engine.plugins(&Filters::new().with("enabled", "true").with("capability", "volumedriver")).await.unwrap();
    let networks = engine.networks(&Filters::new().with("driver", "host")).await.unwrap();
    assert_eq!(engine.inspect_network(&networks[0].name).await.unwrap().id, networks[0].id);
}

#[tokio::test]
async fn a_container_from_creation_to_removal() {
    let engine = engine();
    let name = unique("life");
    let _leftovers = Leftovers(name.clone());
    let image_name = format!("{name}:v1");
    image(&engine, &image_name).await;

    let since = jiff::Timestamp::now();
    let mut events = engine.events(Some(since), &Filters::new().with("container", &name)).await.unwrap();
    let script = "echo out; echo err >&2; trap 'exit 7' TERM; while true; do sleep 0.05; done";
    let created =
        engine.create_container(&name, &request(&image_name, script), Some(ApiVersion::v1(18))).await.unwrap();
    let conflict = engine.create_container(&name, &request(&image_name, script), None).await.unwrap_err();
    assert_eq!(conflict.kind(), Kind::Conflict);
    let before = engine.inspect(&name).await.unwrap();
    assert_eq!((before.state.status, before.state.started_at), (ContainerStatus::Created, None));

    assert_eq!(engine.start(&created.id, None).await.unwrap(), Change::Made);
    assert_eq!(engine.start(&created.id, None).await.unwrap(), Change::None);
    let running = engine.inspect(&created.id).await.unwrap();
    assert!(running.state.running && running.state.pid > 0 && running.state.started_at.is_some());
    assert_eq!((running.plain_name(), running.config.labels["longshore.test"].as_str()), (name.as_str(), "1"));
    assert_eq!((running.host_config.network_mode.as_str(), running.host_config.memory), ("none", 33_554_432));
    assert!(!format!("{running:?}").contains("hunter2"));
    let listed =
        engine.containers(&ListContainers { all: false, filters: Filters::new().with("name", &name) }).await.unwrap();
    assert_eq!((listed.len(), listed[0].id.as_str()), (1, created.id.as_str()));
    assert!(!engine.top(&name, "").await.unwrap().processes.is_empty());

    let sample: Stats = serde_json::from_slice(&engine.stats(&name, true).await.unwrap()).unwrap();
    assert!(sample.read.is_some() && sample.memory_stats.usage > 0);
    let mut stats = engine.stats_stream(&name).await.unwrap();
    assert!(serde_json::from_slice::<Stats>(&stats.next().await.unwrap().unwrap()).unwrap().read.is_some());
    drop(stats);

    let mut logs = engine.logs(&name, &LogOptions { follow: true, ..LogOptions::default() }).await.unwrap();
    let mut written = Vec::new();
    while written.len() < 2 {
        written.push(tokio::time::timeout(HANG, logs.next()).await.unwrap().unwrap().unwrap());
    }
    written.sort_by_key(|(source, _)| *source == LogSource::Stderr);
    assert_eq!(written, [(LogSource::Stdout, "out\n".into()), (LogSource::Stderr, "err\n".into())]);

    assert_eq!(engine.stop(&created.id, 30).await.unwrap(), Change::Made);
    let ended = engine.inspect(&created.id).await.unwrap();
    assert_eq!((ended.state.status, ended.state.exit_code), (ContainerStatus::Exited, 7));
    assert!(ended.state.finished_at.is_some());

    let mut actions = Vec::new();
    while !actions.contains(&Action::Stop) {
        let event = tokio::time::timeout(HANG, events.next()).await.unwrap().unwrap();
        assert_eq!(event.actor.id, created.id);
        if event.action == Action::Die {
            assert_eq!(event.exit_code(), Some(7));
        }
        actions.push(event.action);
    }
    actions.retain(|action| matches!(action, Action::Create | Action::Start | Action::Die | Action::Stop));
    assert_eq!(actions, [Action::Create, Action::Start, Action::Die, Action::Stop]);

    engine.remove(&created.id, false, true).await.unwrap();
    let gone = engine.inspect(&created.id).await.unwrap_err();
    assert_eq!(gone.reference_text(), format!("Error response from daemon: No such container: {}", created.id));

    let tag = format!("{name}:v2");
    engine.tag(&image_name, &tag).await.unwrap();
    let inspected = engine.inspect_image(&tag).await.unwrap();
    assert!(inspected.repo_tags.contains(&tag) && inspected.config.env == ["PATH=/bin"]);
    let filters = Filters::new().with("reference", format!("{name}:*"));
    assert_eq!(engine.images(&ListImages { all: false, filters }).await.unwrap()[0].id, inspected.id);
    engine.remove_image(&tag, false).await.unwrap();
    assert!(engine.remove_image(&image_name, false).await.unwrap().iter().any(|removed| removed.deleted.is_some()));
    assert_eq!(engine.inspect_image(&tag).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_start_that_fails_says_why() {
    let engine = engine();
    let name = unique("nostart");
    let _leftovers = Leftovers(name.clone());
    image(&engine, &name).await;
    let body = json!({"Image": name, "Cmd": ["/no/such/binary"], "HostConfig": {"NetworkMode": "none"}});
    engine.create_container(&name, &body, None).await.unwrap();
    let text = engine.start(&name, None).await.unwrap_err().reference_text();
    assert!(text.starts_with("Error response from daemon: "), "{text}");
    assert!(text.contains("exec: \"/no/such/binary\": stat /no/such/binary: no such file or directory"), "{text}");
}

#[tokio::test]
async fn a_process_in_a_container() {
    let engine = engine();
    let name = unique("exec");
    let _leftovers = Leftovers(name.clone());
    image(&engine, &name).await;
    engine.create_container(&name, &request(&name, "sleep 1000"), None).await.unwrap();
    engine.start(&name, None).await.unwrap();

    let command = |script: &str| vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    let detached = ExecCreate { command: command("exit 3"), ..ExecCreate::default() };
    let detached = engine.exec_create(&name, &detached).await.unwrap();
    engine.exec_start(&detached).await.unwrap();
    let exit_code = tokio::time::timeout(HANG, async {
        loop {
            let inspect = engine.exec_inspect(&detached).await.unwrap();
            if !inspect.running && inspect.exit_code.is_some() {
                return inspect.exit_code;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(exit_code.await.unwrap(), Some(3));

    let attached = ExecCreate {
        command: command("cat; echo $V >&2"),
        env: vec!["V=w".into()],
        stdin: true,
        output: true,
        ..ExecCreate::default()
    };
    let attached = engine.exec_create(&name, &attached).await.unwrap();
    let mut streams = engine.exec_attach(&attached, false).await.unwrap();
    let mut input = streams.take_input().unwrap();
    input.write_all(b"hello").await.unwrap();
    input.shutdown().await.unwrap();
    let mut output = Vec::new();
    while let Some(piece) = tokio::time::timeout(HANG, streams.next()).await.unwrap() {
        output.push(piece.unwrap());
    }
    assert_eq!(output, [(LogSource::Stdout, "hello".into()), (LogSource::Stderr, "w\n".into())]);

    engine.kill(&name, "SIGKILL").await.unwrap();
}

#[tokio::test]
async fn a_volume() {
    let engine = engine();
    let name = unique("volume");
    let _leftovers = Leftovers(name.clone());
    let wanted = VolumeCreate { name: name.clone(), driver: "local".into(), ..VolumeCreate::default() };
    assert_eq!(engine.create_volume(&wanted).await.unwrap().name, name);
    assert_eq!(engine.inspect_volume(&name).await.unwrap().driver, "local");
    assert_eq!(engine.volumes(&Filters::new().with("name", &name)).await.unwrap().len(), 1);
    engine.remove_volume(&name, false).await.unwrap();
    assert_eq!(engine.inspect_volume(&name).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_registry_that_is_not_there() {
    let engine = engine();
    let image = "127.0.0.1:1/none/such:1";
    let error = engine.pull(image, &RegistryAuth::default(), docker::PullLimits::default(), |_| {}).await.unwrap_err();
    let text = error.reference_text();
    assert!(text.contains("127.0.0.1:1") && text.contains("connection refused"), "{text}");
    let error = engine.distribution_inspect(image, &RegistryAuth::default()).await.unwrap_err();
    assert!(error.reference_text().starts_with("Error response from daemon: "), "{error}");
}
