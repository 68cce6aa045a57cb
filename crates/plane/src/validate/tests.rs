#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use super::*;

fn sound() -> Value {
    json!({
        "family": "web",
        "networkMode": "bridge",
        "volumes": [{"name": "data", "host": {"sourcePath": "/srv"}}],
        "containerDefinitions": [
            {"name": "app", "image": "busybox", "memory": 64,
             "portMappings": [{"containerPort": 80, "hostPort": 8080}],
             "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}],
             "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}]},
            {"name": "init", "image": "busybox", "memoryReservation": 16, "essential": false}
        ]
    })
}

/// Sets the value at a JSON pointer of the sound definition and lists the problems.
fn after(pointer: &str, value: Value) -> Vec<String> {
    let mut definition = sound();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match definition.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.insert(member.to_owned(), value)),
        Value::Array(items) => items[member.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer} has no parent"),
    }
    validate_task_definition(&definition).iter().map(ToString::to_string).collect()
}

#[test]
fn a_sound_definition_has_no_problems() {
    assert_eq!(validate_task_definition(&sound()), []);
}

#[test]
fn each_problem_is_found_where_it_is() {
    let c0 = "containerDefinitions[0]";
    for (pointer, value, expected) in [
        ("/family", json!("a b"), "family: Family contains".to_owned()),
        ("/family", json!(null), "family: family is required".to_owned()),
        ("/networkMode", json!("nat"), "networkMode: 'nat' is not one of bridge".to_owned()),
        ("/cpu", json!("lots"), "cpu: Invalid 'cpu'".to_owned()),
        ("/cpu", json!(256), "cpu: must be a string, not a number".to_owned()),
        ("/containerDefinitions", json!([]), "containerDefinitions: Container list cannot be empty.".to_owned()),
        ("/volumes/0/name", json!("other"), format!("{c0}.mountPoints[0].sourceVolume: Unknown volume 'data'")),
        ("/containerDefinitions/0/memory", json!(3), format!("{c0}.memory: memory must be at least 4 MiB")),
        ("/containerDefinitions/0/memory", json!(null), format!("{c0}.memory: Invalid setting for container 'app'")),
        ("/containerDefinitions/0/memory", json!("64"), format!("{c0}.memory: must be an integer, not a string")),
        (
            "/containerDefinitions/0/memoryReservation",
            json!(65),
            format!("{c0}.memoryReservation: memoryReservation must not exceed"),
        ),
        (
            "/containerDefinitions/0/memry",
            json!(64),
            format!("{c0}.memry: unknown member 'memry'; did you mean 'memory'?"),
        ),
        (
            "/containerDefinitions/0/Image",
            json!("x"),
            format!("{c0}.Image: unknown member 'Image'; did you mean 'image'?"),
        ),
        ("/containerDefinitions/0/image", json!(" "), format!("{c0}.image: Container.image should")),
        (
            "/containerDefinitions/1/name",
            json!("app"),
            "containerDefinitions[1].name: Duplicate container name".to_owned(),
        ),
        (
            "/containerDefinitions/0/essential",
            json!(false),
            "containerDefinitions: At least one container must be essential".to_owned(),
        ),
        (
            "/containerDefinitions/1/essential",
            json!(true),
            format!("{c0}.dependsOn[0].condition: Container 'init' is essential"),
        ),
        (
            "/containerDefinitions/0/dependsOn/0/condition",
            json!("HEALTHY"),
            format!("{c0}.dependsOn[0].condition: Container 'init' needs a healthCheck"),
        ),
        (
            "/containerDefinitions/0/dependsOn/0/containerName",
            json!("ghost"),
            format!("{c0}.dependsOn[0].containerName: There is no container 'ghost'"),
        ),
        (
            "/containerDefinitions/0/volumesFrom",
            json!([{"sourceContainer": "app"}]),
            format!("{c0}.volumesFrom[0].sourceContainer: Container 'app' cannot depend on itself"),
        ),
        (
            "/containerDefinitions/1/links",
            json!(["app"]),
            "containerDefinitions: The containers 'app', 'init' depend on each other".to_owned(),
        ),
        (
            "/containerDefinitions/0/volumesFrom",
            json!([{"sourceContainer": "ghost"}]),
            format!("{c0}.volumesFrom[0].sourceContainer: There is no container 'ghost'"),
        ),
        (
            "/containerDefinitions/0/portMappings/0/containerPort",
            json!(70000),
            format!("{c0}.portMappings[0].containerPort: containerPort must be"),
        ),
        (
            "/containerDefinitions/0/portMappings/0/hostPort",
            json!(-1),
            format!("{c0}.portMappings[0].hostPort: hostPort must be"),
        ),
        (
            "/containerDefinitions/1/portMappings",
            json!([{"containerPort": 1, "hostPort": 8080}]),
            "containerDefinitions[1].portMappings[0].hostPort: Host port 8080 is already taken".to_owned(),
        ),
        (
            "/containerDefinitions/1/portMappings",
            json!([{"containerPortRange": "9-3"}]),
            "containerDefinitions[1].portMappings[0].containerPortRange: containerPortRange must".to_owned(),
        ),
        (
            "/containerDefinitions/0/healthCheck",
            json!({"command": ["CMD"], "interval": 1}),
            format!("{c0}.healthCheck.command: The command lacks"),
        ),
        (
            "/containerDefinitions/0/secrets",
            json!([{"name": "A"}]),
            format!("{c0}.secrets[0].valueFrom: valueFrom is required"),
        ),
        (
            "/containerDefinitions/0/ulimits",
            json!([{"name": "nofile", "softLimit": 2, "hardLimit": 1}]),
            format!("{c0}.ulimits[0].softLimit: softLimit must not"),
        ),
        (
            "/placementConstraints",
            json!([{"type": "memberOf", "expression": "attribute:x =="}]),
            "placementConstraints[0].expression: ".to_owned(),
        ),
    ] {
        let found = after(pointer, value);
        assert!(
            found.first().is_some_and(|first| first.starts_with(&expected)),
            "{pointer}: expected {expected:?}, found {found:#?}"
        );
    }
}

#[test]
fn host_networking_wants_equal_ports_and_no_links() {
    let mut definition = sound();
    definition["networkMode"] = json!("host");
    definition["containerDefinitions"][0]["links"] = json!(["init"]);
    let found: Vec<_> = validate_task_definition(&definition).into_iter().map(|p| p.path).collect();
    assert_eq!(found, ["containerDefinitions[0].links", "containerDefinitions[0].portMappings[0].hostPort"]);
}

#[test]
fn sizes_are_read_in_all_their_spellings() {
    assert_eq!(
        [cpu_units("256"), cpu_units(".25 vCPU"), cpu_units("1vcpu"), cpu_units("-1"), cpu_units("")],
        [Some(256), Some(256), Some(1024), None, None]
    );
    assert_eq!(
        [memory_mib("512"), memory_mib("0.5GB"), memory_mib("2 gb"), memory_mib("0")],
        [Some(512), Some(512), Some(2048), None]
    );
}
