//! Killed and restarted, and nothing of it stays.

use serde_json::{Value, json};

use super::*;

#[test]
fn an_engine_of_ones_own_is_killed_restarted_and_removed() -> Result<()> {
    if !Daemon::is_possible() || !crate::has("dockerd") {
        return crate::leave_out("root and dockerd");
    }
    let mut daemon = Daemon::start(Network::Own, &["--live-restore"])?;
    let engine = daemon.engine();
    // A single file is enough of an image for a container that is never started.
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("file"), "x")?;
    let archive = Command::new("tar").arg("-C").arg(folder.path()).args(["-c", "."]).output()?;
    engine.import(&archive.stdout, "lab/one", "v", &[])?;
    let body = json!({ "Image": "lab/one:v", "Cmd": ["/file"], "Labels": { "lab": "1" } });
    engine.call("POST", "/containers/create", &body)?;

    let links = daemon.command("ip").args(["-o", "link"]).output()?;
    let names = String::from_utf8_lossy(&links.stdout).into_owned();
    assert!(names.contains("docker0") && !names.contains("eth0"), "{names}");

    daemon.stop(Signal::Kill)?;
    assert!(!engine.is_up());
    daemon.restart()?;
    assert_eq!(engine.labelled("lab=1")?.len(), 1, "it is the same Engine");
    assert_eq!(engine.get("/info")?["LiveRestoreEnabled"], Value::Bool(true));

    let folder = daemon.folder.clone();
    drop(daemon);
    assert!(!folder.exists());
    let left = Command::new("grep").args(["-las", "--"]).arg(folder.join("run")).args(process_files()?).output()?;
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    Ok(())
}

/// The command lines of all processes. `self` would be the one that looks.
fn process_files() -> Result<Vec<PathBuf>> {
    let names = std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let ids = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(ids.map(|id| Path::new("/proc").join(id).join("cmdline")).collect())
}
