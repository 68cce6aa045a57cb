#![allow(clippy::unwrap_used)]
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// Whether a process sleeps, and ignores SIGCHLD.
fn waits(status: &str) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let ignored = u64::from_str_radix(field("SigIgn:"), 16).unwrap();
    field("State:").starts_with('S') && ignored & 1 << (17 - 1) != 0
}

/// Runs the program as a plain process, and sends it a signal once it waits for one.
fn end_by(signal: Signal) -> std::process::ExitStatus {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pause");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o755).open(&path).unwrap();
    file.write_all(&Processor::current().unwrap().program()).unwrap();
    drop(file);
    let mut child = Command::new(&path).stdin(Stdio::null()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let deadline = Instant::now() + Duration::from_secs(10);
    let status = format!("/proc/{}/status", child.id());
    // It sleeps in one call only, the one that takes signals.
    while !waits(&std::fs::read_to_string(&status).unwrap()) {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it never waited for signals");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    kill_process(pid, signal).unwrap();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it did not end by {signal:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_program_ends_well_by_the_signals_of_a_stop() {
    assert_eq!(end_by(Signal::TERM).code(), Some(0));
    assert_eq!(end_by(Signal::INT).code(), Some(0));
}

#[test]
fn the_program_ends_by_a_kill() {
    assert_eq!(end_by(Signal::KILL).signal(), Some(9));
}

#[test]
fn code_and_data_are_where_they_refer_to_each_other() {
    for processor in [Processor::X86_64, Processor::Arm64] {
        let program = processor.program();
        assert_eq!(program.len(), 64 + 2 * 56 + 72 + 40, "{processor:?}");
        assert_eq!(program[program.len() - 8..], 0x4002_u64.to_le_bytes());
    }
}

/// What `tar` reads out of an archive.
fn unpack(archive: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar").arg("-x").current_dir(dir.path()).stdin(Stdio::piped()).spawn().unwrap();
    tar.stdin.take().unwrap().write_all(archive).unwrap();
    assert!(tar.wait().unwrap().success());
    dir
}

#[test]
fn the_archive_holds_what_its_manifest_says() {
    for processor in [Processor::X86_64, Processor::Arm64] {
        let bytes = archive(processor, NAME);
        assert_eq!(bytes, archive(processor, NAME), "the same each time");
        let dir = unpack(&bytes);
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&read("manifest.json")).unwrap();
        assert_eq!(manifest[0]["RepoTags"], json!([NAME]));
        let config_name = manifest[0]["Config"].as_str().unwrap();
        let config = read(config_name);
        assert_eq!(config_name, format!("{}.json", sha256(&config)));
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["architecture"], processor.name());
        let layer = read(manifest[0]["Layers"][0].as_str().unwrap());
        assert_eq!(config["rootfs"]["diff_ids"], json!([format!("sha256:{}", sha256(&layer))]));
        let root = unpack(&layer);
        assert_eq!(std::fs::read(root.path().join("pause")).unwrap(), processor.program());
    }
}

/// On a real Engine, which `cargo xtask test` brings: under a name of its own, so that nobody's image is replaced.
#[tokio::test]
async fn the_image_holds_a_namespace_and_buries_what_ends_in_it() {
    let Ok(shell) = std::env::var("LONGSHORE_TEST_IMAGE") else {
        eprintln!("skipped: LONGSHORE_TEST_IMAGE is not set, run `cargo xtask test`");
        return;
    };
    let endpoint = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let docker = docker::Engine::connect(&endpoint).unwrap();
    let name = format!("longshore-test/pause:{}", std::process::id());
    docker.load(archive(Processor::current().unwrap(), &name)).await.unwrap();
    let names = ["pause", "other"].map(|role| format!("longshore-test-{role}-{}", std::process::id()));
    let outcome = hold(&docker, &name, &shell, &names).await;
    for container in names {
        let _ = docker.remove(&container, true, true).await;
    }
    docker.remove_image(&name, false).await.unwrap();
    outcome.unwrap();
}

async fn hold(docker: &docker::Engine, image: &str, shell: &str, names: &[String; 2]) -> Result<(), docker::Error> {
    let pause = docker.create_container(&names[0], &json!({"Image": image}), None).await?.id;
    docker.start(&pause, None).await?;
    // An orphan: its parent ends first, then it.
    let orphan = json!({
        "Image": shell, "Cmd": ["sh", "-c", "(sleep 0.2 &); sleep 600"],
        "HostConfig": {"PidMode": format!("container:{pause}")},
    });
    let other = docker.create_container(&names[1], &orphan, None).await?.id;
    docker.start(&other, None).await?;
    let processes =
        |top: wire::docker::TopReply| -> Vec<String> { top.processes.into_iter().map(|line| line.join(" ")).collect() };
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let seen = processes(docker.top(&other, "-eo pid,stat,args").await?);
        let is_zombie = |line: &String| line.contains("defunct");
        if !seen.iter().any(|line| line.contains("sleep 0.2")) && !seen.iter().any(is_zombie) {
            break;
        }
        assert!(Instant::now() < deadline, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    docker.stop(&other, 0).await?;
    let before = Instant::now();
    docker.stop(&pause, 30).await?;
    assert!(before.elapsed() < Duration::from_secs(20), "it takes the signal, and is not killed");
    assert_eq!(docker.inspect(&pause).await?.state.exit_code, 0);
    Ok(())
}
