//! The file in the container.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use engine::effect::MetadataStage;
use serde_json::{Value, json};
use wire::ids::TaskArn;

use super::world::{ARN, DOCKER_ID, INSTANCE, task};
use crate::agent::endpoints::metadata_file::{Host, directory, remove, write};

#[test]
fn it_is_written_whole_and_removed_with_the_task() {
    let data = tempfile::tempdir().unwrap();
    let task = task(json!({}), json!({}), json!({}));
    let host = Host { cluster: "lab".into(), instance: INSTANCE.into(), ..Host::default() };
    let container = task.container("main").unwrap();
    let place = directory(data.path(), task.arn(), "main");
    assert_eq!(place, data.path().join("metadata/lab/0123456789abcdef0123456789abcdef/main"));
    write(data.path(), &task, container, &host, MetadataStage::Initial).unwrap();
    let read = || -> Value {
        serde_json::from_slice(&std::fs::read(place.join("ecs-container-metadata.json")).unwrap()).unwrap()
    };
    let initial = json!({"Cluster": "lab", "ContainerInstanceARN": INSTANCE, "TaskARN": ARN,
        "TaskDefinitionFamily": "fam", "TaskDefinitionRevision": "7", "ContainerName": "main"});
    assert_eq!(read(), initial);
    write(data.path(), &task, container, &host, MetadataStage::Ready).unwrap();
    let mut ready = initial;
    ready.as_object_mut().unwrap().extend(
        json!({"ContainerID": DOCKER_ID, "DockerContainerName": "/ecs-fam-7-main-00ff", "ImageID": "sha256:77",
            "ImageName": "busybox:1", "PortMappings": [
                {"ContainerPort": 80, "ContainerPortRange": "", "HostPort": 32771, "BindIp": "0.0.0.0", "Protocol": "tcp"},
                {"ContainerPort": 80, "ContainerPortRange": "", "HostPort": 32771, "BindIp": "::", "Protocol": "tcp"}],
            "Networks": [{"NetworkMode": "bridge", "IPv4Addresses": ["172.17.0.5"]}], "MetadataFileStatus": "READY"})
        .as_object()
        .unwrap()
        .clone(),
    );
    assert_eq!(read(), ready);
    let file = place.join("ecs-container-metadata.json");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1, "nothing temporary is left");
    remove(data.path(), task.arn()).unwrap();
    remove(data.path(), task.arn()).unwrap();
    assert!(!place.exists() && data.path().join("metadata").exists());
}

#[test]
fn no_name_leads_elsewhere() {
    let place = |arn: &str, name: &str| directory(Path::new("/data/"), &TaskArn::from(arn), name).display().to_string();
    assert_eq!(place("arn:aws:ecs:r:1:task/0f", "web"), "/data/metadata/0f/web");
    assert_eq!(place("arn:aws:ecs:r:1:task/../../etc", "../x"), "/data/metadata/etc/x");
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir(data.path().join("metadata")).unwrap();
    remove(data.path(), &TaskArn::from("nonsense")).unwrap();
    assert!(data.path().join("metadata").exists());
}
