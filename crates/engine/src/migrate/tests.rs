#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use wire::bbolt::Database;
use wire::docker::ContainerSummary;
use wire::gojson;
use wire::rows::{ContainerRow, Task as TaskRow};

use super::*;
use crate::config::EngineConfig;
use crate::container::{ChosenPorts, ContainerPorts, DependencyCondition, Kind, PortBinding};
use crate::effect::{Effect, EffectId, Protocol};
use crate::engine::Engine;
use crate::event::{Event, Failure, FailureKind, Outcome};
use crate::status::{ContainerStatus, TaskStatus};
use crate::task::{CgroupState, CpuLimit, NetworkMode, Task, VolumeKind, VolumeState};
use crate::time::{Mono, Now};

const REGISTERED: &[u8] = include_bytes!("../../../wire/tests/fixtures/reference-state/registered-only.agent.db");
const THREE: &[u8] = include_bytes!("../../../wire/tests/fixtures/reference-state/three-tasks.agent.db");
const THREE_FACTS: &str = include_str!("../../../wire/tests/fixtures/reference-state/three-tasks.json");
const FIFTEEN: &[u8] = include_bytes!("../../../wire/tests/fixtures/reference-state/fifteen-after-churn.agent.db");
const FIFTEEN_FACTS: &str = include_str!("../../../wire/tests/fixtures/reference-state/fifteen-after-churn.json");

fn moved(bytes: &[u8]) -> Migrated {
    let database = Database::open(bytes).unwrap();
    let state = AgentState::read(&database).unwrap();
    migrate(&state, database.txid(), Timestamp::from_second(1_800_000_000).unwrap()).unwrap()
}

fn engine(rows: Vec<StoredRow>) -> Engine {
    Engine::new(EngineConfig { cluster: "lab".into(), ..EngineConfig::default() }, 7, rows)
}

fn at(seconds: u64) -> Now {
    Now { mono: Mono(Duration::from_secs(seconds)), wall: Timestamp::from_second(1_800_000_000).unwrap() }
}

fn task<'a>(engine: &'a Engine, arn: &str) -> &'a Task {
    engine.tasks().values().find(|task| task.arn().as_str() == arn).unwrap()
}

fn meta(rows: &[StoredRow]) -> BTreeMap<&str, &str> {
    rows.iter().filter(|r| r.table == "meta").map(|r| (r.key.as_str(), r.value.as_str())).collect()
}

#[test]
fn takes_over_a_registration() {
    let migrated = moved(REGISTERED);
    assert_eq!((migrated.tasks, migrated.containers, migrated.images), (0, 0, 0));
    assert_eq!(
        meta(&migrated.rows),
        [
            ("agent-version", "1.105.1"),
            ("cluster-name", "lab"),
            (
                "container-instance-arn",
                "arn:aws:ecs:us-west-2:123456789012:container-instance/lab/fedcba9876543210fedcba9876543210"
            ),
            ("reference-txid", "8"),
            ("task-manifest-seq-num", "0"),
        ]
        .into()
    );
    assert_eq!(moved_in(&migrated.rows), Some(8));
    assert_eq!(moved_in(&decline(3)), Some(3));
    assert_eq!(moved_in(&[]), None);
    assert!(migrated.cautions.is_empty(), "{:?}", migrated.cautions);
}

/// Every task of the file with the containers that Docker had at that moment.
#[test]
fn three_tasks_are_as_they_were() {
    let facts: Value = serde_json::from_str(THREE_FACTS).unwrap();
    let migrated = moved(THREE);
    assert_eq!((migrated.tasks, migrated.containers, migrated.images), (3, 5, 1));
    assert!(migrated.cautions.is_empty(), "{:?}", migrated.cautions);
    assert_eq!(meta(&migrated.rows)["container-instance-arn"], facts["containerInstanceArn"]);
    assert_eq!(meta(&migrated.rows)["cluster-name"], facts["cluster"]);
    // A payload's sequence number is in the reference's memory only (spec 20 §9.2): the file says 0.
    assert_eq!(meta(&migrated.rows)["task-manifest-seq-num"], "0");
    let engine = engine(migrated.rows);
    assert_eq!(engine.latest_sequence, 0);
    assert_eq!(engine.tasks().len(), 3);
    for name in ["web-task", "host-task", "exited-task"] {
        let facts = &facts[name];
        let task = task(&engine, facts["arn"].as_str().unwrap());
        let story = facts["story"].as_array().unwrap();
        let last = story.last().unwrap()["status"].as_str().unwrap();
        assert_eq!((task.state.known.reported(), task.state.sent.reported()), (last, last));
        for (name, facts) in facts["containers"].as_object().unwrap() {
            let container = task.container(name).unwrap();
            let state = &container.state;
            assert_eq!(facts["id"], state.docker_id.as_ref().unwrap().as_str());
            assert_eq!(facts["name"], format!("/{}", state.docker_name.as_ref().unwrap()));
            let status = if facts["state"] == "running" { ContainerStatus::Running } else { ContainerStatus::Stopped };
            assert_eq!((state.known, state.sent, state.told), (status, status, status));
            // Docker says 0 of a container that runs; the row knows better.
            let exit_code = facts["exitCode"].as_i64().filter(|_| status == ContainerStatus::Stopped);
            assert_eq!(state.exit_code, exit_code);
            assert_eq!(state.error, None);
        }
    }
}

#[test]
fn a_task_keeps_all_that_it_was_made_of() {
    let facts: Value = serde_json::from_str(THREE_FACTS).unwrap();
    let engine = engine(moved(THREE).rows);
    let task = task(&engine, facts["web-task"]["arn"].as_str().unwrap());
    let definition = &task.definition;
    assert_eq!((definition.cpu, definition.memory_mib, &definition.network_mode), (0.25, 256, &NetworkMode::Bridge));
    assert_eq!(definition.task_credentials.as_ref().unwrap().as_str(), facts["roleCredentialsId"]);
    assert_eq!(definition.execution_credentials, None);
    let names: Vec<&str> = task.containers.iter().map(|c| c.name()).collect();
    assert_eq!(names, ["web", "init", "side"]);

    let cgroup = definition.cgroup.as_ref().unwrap();
    assert_eq!(cgroup.parent, "/ecs/68d588b7166a422a9bad89154145e551");
    assert_eq!(cgroup.limits.cpu, CpuLimit::Quota { quota: 25_000, period: 100_000 });
    assert_eq!((cgroup.limits.memory_bytes, task.state.cgroup), (Some(256 << 20), CgroupState::Created));

    let VolumeKind::Docker { docker_name, is_shared, driver, labels, .. } = &task.volumes[0].definition.kind else {
        panic!("{:?}", task.volumes)
    };
    assert_eq!(
        (docker_name.as_str(), *is_shared, driver.as_str()),
        ("ecs-fam-7-tv-9e94f7f4c998d7bba801", false, "local")
    );
    assert_eq!((labels["l"].as_str(), task.volumes[0].state), ("1", VolumeState::Created));
    assert_eq!(task.volumes[1].source(), "/var/tmp");

    let web = task.container("web").unwrap();
    assert_eq!(web.definition.endpoint_id, "c7337c14-f358-4c5f-b5b0-96d15a1c64eb");
    assert_eq!(
        web.definition.environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"],
        "/v2/credentials/8943f6e8-8644-4030-8713-6a30203e55f7"
    );
    assert_eq!(web.definition.docker.version.as_deref(), Some("1.17"));
    assert_eq!(web.definition.ports[1].host_port, 19_000);
    assert_eq!(web.state.chosen_ports, [ChosenPorts { mapping: 0, first: 32_768, count: 1 }]);
    assert_eq!(web.state.bindings.len(), 4);
    assert_eq!(
        web.state.bindings[0],
        PortBinding { container_port: 80, protocol: Protocol::Tcp, bind_ip: "0.0.0.0".into(), host_port: 32_768 }
    );
    assert_eq!(web.state.started_at.unwrap().to_string(), "2026-11-22T21:00:30.956912287Z");
    assert_eq!(
        web.state.image_digest.as_ref().unwrap().as_str(),
        "sha256:52f3b7bc47c3febdd655c73426b353b80bb08e97fafc9f76acd63a4c2e435bda"
    );

    let side = task.container("side").unwrap();
    assert_eq!(side.definition.depends_on[0].condition, DependencyCondition::Success);
    let policy = side.definition.restart_policy.as_ref().unwrap();
    assert_eq!((policy.attempt_period.as_secs(), policy.ignored_exit_codes.as_slice()), (60, &[0][..]));
    assert_eq!(side.state.restarts.count, 0);
    assert!(!side.definition.is_essential && web.definition.is_essential);
    assert!(!web.definition.has_health_check);
    let hc = engine.tasks().values().find_map(|t| t.container("hc")).unwrap();
    assert!(hc.definition.has_health_check);

    let image = engine.core().images.records.values().next().unwrap();
    assert_eq!((image.size, image.is_pull_complete, image.has_region), (1_984_162, true, false));
    assert!(image.names.contains("127.0.0.1:5000/busybox:latest"));
    assert_eq!(image.holders.len(), 5);
    assert_eq!(task.history.last().unwrap().what, "moved_in");
}

#[test]
fn fifteen_tasks_run_and_stale_ones_do_not_return() {
    let facts: Value = serde_json::from_str(FIFTEEN_FACTS).unwrap();
    let migrated = moved(FIFTEEN);
    assert_eq!(meta(&migrated.rows)["container-instance-arn"], facts["containerInstanceArn"]);
    let engine = engine(migrated.rows);
    let mut expected: Vec<&str> =
        facts["running"].as_array().unwrap().iter().map(|arn| arn.as_str().unwrap()).collect();
    let mut found: Vec<&str> = engine.tasks().values().map(|task| task.arn().as_str()).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    for task in engine.tasks().values() {
        assert_eq!((task.state.known, task.state.desired), (TaskStatus::Running, TaskStatus::Running));
        assert_eq!(task.containers[0].state.known, ContainerStatus::Running);
    }
}

/// An engine that moved in and hears what Docker lists.
struct Play {
    engine: Engine,
    effects: Vec<(EffectId, Effect)>,
}

impl Play {
    fn new(rows: Vec<StoredRow>) -> Self {
        let mut play = Self { engine: engine(rows), effects: Vec::new() };
        play.hear(Event::Start);
        play.hear(Event::EventsOpened);
        play
    }

    fn hear(&mut self, event: Event) {
        self.effects.extend(self.engine.handle(at(1), event).effects);
    }

    fn take(&mut self, is_wanted: impl Fn(&Effect) -> bool) -> Vec<(EffectId, Effect)> {
        let (wanted, rest) = std::mem::take(&mut self.effects).into_iter().partition(|(_, e)| is_wanted(e));
        self.effects = rest;
        wanted
    }

    fn list(&mut self, containers: Vec<ContainerSummary>) {
        let (id, _) = self.take(|e| matches!(e, Effect::ListContainers { .. })).remove(0);
        self.hear(Event::Done { id, outcome: Outcome::Listed(containers) });
    }
}

/// Running tasks go on untouched: nothing is made, started, stopped, pulled or told.
#[test]
fn running_tasks_go_on_untouched() {
    for bytes in [THREE, FIFTEEN] {
        let mut play = Play::new(moved(bytes).rows);
        let running: Vec<ContainerSummary> = play
            .engine
            .tasks()
            .values()
            .flat_map(|task| &task.containers)
            .filter(|c| !c.is_stopped())
            .map(|c| gojson::from_value(json!({"Id": c.state.docker_id, "State": "running"})).unwrap())
            .collect();
        play.list(running);
        let (register, Effect::RegisterInstance { request, .. }) =
            play.take(|e| matches!(e, Effect::RegisterInstance { .. })).remove(0)
        else {
            panic!()
        };
        let arn = request.container_instance_arn.unwrap();
        assert!(arn.contains(":container-instance/lab/"), "{arn}");
        let instance = json!({"containerInstanceArn": arn, "attributes": request.attributes});
        let outcome = Outcome::Registered(Box::new(serde_json::from_value(instance).unwrap()));
        play.hear(Event::Done { id: register, outcome });
        let meddling = play.take(|effect| {
            !matches!(
                effect,
                Effect::FollowEvents { .. }
                    | Effect::InspectContainer { .. }
                    | Effect::DiscoverPollEndpoint { .. }
                    | Effect::CreateCgroup { keeps_limits: true, .. }
            )
        });
        assert!(meddling.is_empty(), "{meddling:?}");
    }
}

/// Containers that are gone are told STOPPED, once.
#[test]
fn what_vanished_meanwhile_is_reported() {
    let mut play = Play::new(moved(FIFTEEN).rows);
    play.list(Vec::new());
    for (id, _) in play.take(|e| matches!(e, Effect::InspectContainer { .. })) {
        let failure = Failure::new(FailureKind::NotFound, "No such container".to_owned());
        play.hear(Event::Done { id, outcome: Outcome::Failed(failure) });
    }
    for task in play.engine.tasks().values() {
        assert_eq!(task.state.known, TaskStatus::Stopped);
        assert_eq!(task.state.reports.len(), 1);
        assert_eq!(
            task.state.reports[0].containers[0].reason,
            "ContainerVanishedError: No container matching saved ID found"
        );
    }
}

/// A state with one task, as JSON.
fn state(task: Value, rows: &[(&str, Value)]) -> AgentState {
    let task: TaskRow = gojson::from_value(task).unwrap();
    let key = task.arn.rsplit('/').next().unwrap().to_owned();
    let container = |value: &Value| gojson::from_value::<ContainerRow>(value.clone()).unwrap();
    AgentState {
        containers: rows.iter().map(|(name, row)| (format!("{key}-{name}"), container(row))).collect(),
        tasks: [(key, task)].into(),
        ..AgentState::default()
    }
}

fn moved_state(state: &AgentState) -> Migrated {
    migrate(state, 1, Timestamp::from_second(1_800_000_000).unwrap()).unwrap()
}

fn only_task(rows: Vec<StoredRow>) -> Task {
    let engine = engine(rows);
    assert_eq!(engine.tasks().len(), 1);
    Task::clone(engine.tasks().values().next().unwrap())
}

#[test]
fn the_containers_own_row_wins_over_the_copy() {
    let state = state(
        json!({"Arn": "arn/t", "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "Containers": [
            {"Name": "a", "KnownStatus": "RUNNING", "SentStatus": "MANIFEST_PULLED"},
            {"Name": "b", "KnownStatus": "3", "desiredStatus": "RUNNING"},
        ]}),
        &[(
            "a",
            json!({"DockerId": "id", "DockerName": "/name", "Container": {
                "Name": "a", "KnownStatus": "STOPPED", "SentStatus": "RUNNING", "KnownExitCode": 3,
                "ApplyingError": {"name": "OutOfMemoryError", "error": "too much"},
                "restartTracker": {"restartCount": 2, "lastRestartAt": "2026-01-01T00:00:00Z"},
                "overrides": {"command": ["x"]}, "Command": ["y"],
            }}),
        )],
    );
    let task = only_task(moved_state(&state).rows);
    let a = &task.containers[0];
    assert_eq!(
        (a.state.known, a.state.sent, a.state.exit_code),
        (ContainerStatus::Stopped, ContainerStatus::Running, Some(3))
    );
    assert_eq!(a.state.docker_name.as_deref(), Some("name"));
    assert_eq!(a.state.error.as_ref().unwrap().to_string(), "OutOfMemoryError: too much");
    assert_eq!((a.state.restarts.count, a.definition.command.as_deref()), (2, Some(&["x".to_owned()][..])));
    assert_eq!(task.containers[1].state.known, ContainerStatus::Running);
}

#[test]
fn reads_statuses_of_all_ages() {
    use ContainerStatus::{Created, ManifestPulled, None, Pulled, Running, Stopped};
    for (word, status) in [
        ("", None),
        ("UNKNOWN", None),
        ("0", None),
        ("1", Pulled),
        ("2", Created),
        ("3", Running),
        ("4", Running),
        ("5", Stopped),
        ("DEAD", Stopped),
        ("MANIFEST_PULLED", ManifestPulled),
        ("RESOURCES_PROVISIONED", Running),
    ] {
        let state = state(json!({"Arn": "arn/t", "Containers": [{"Name": "a", "KnownStatus": word}]}), &[]);
        assert_eq!(only_task(moved_state(&state).rows).containers[0].state.known, status, "{word}");
    }
    let state = state(json!({"Arn": "arn/t", "Containers": [{"Name": "a", "KnownStatus": "FLYING"}]}), &[]);
    let error = migrate(&state, 1, Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!(error.to_string(), r#"task arn/t: container a: its known status is "FLYING", which is no status"#);
}

#[test]
fn ranges_of_ports_are_held() {
    let state = state(
        json!({"Arn": "arn/t", "KnownStatus": "RUNNING", "Containers": [{
            "Name": "a", "KnownStatus": "RUNNING",
            "portMappings": [
                {"ContainerPort": 0, "ContainerPortRange": "100-104", "HostPort": 0, "Protocol": "udp"},
                {"ContainerPort": 80, "ContainerPortRange": "", "HostPort": 0, "Protocol": "tcp"},
            ],
            "KnownPortBindings": [{"ContainerPort": 80, "HostPort": 40000, "BindIp": "0.0.0.0", "Protocol": "tcp"}],
            "ContainerPortRangeMap": {"100-104": "33000-33004"},
        }]}),
        &[],
    );
    let task = only_task(moved_state(&state).rows);
    assert_eq!(task.containers[0].definition.ports[0].container, ContainerPorts::Range(100, 104));
    assert_eq!(
        task.containers[0].state.chosen_ports,
        [ChosenPorts { mapping: 0, first: 33_000, count: 5 }, ChosenPorts { mapping: 1, first: 40_000, count: 1 }]
    );
}

#[test]
fn secrets_that_docker_has_are_not_stored() {
    let container = |known: &str| {
        json!({"Name": "a", "KnownStatus": known, "desiredStatus": "RUNNING", "secrets": [{"name": "PASSWORD"}],
               "environment": {"PASSWORD": "hunter2", "USER": "me"}})
    };
    let running = state(
        json!({"Arn": "arn/t", "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "Containers": [container("RUNNING")]}),
        &[],
    );
    let migrated = moved_state(&running);
    assert!(!format!("{migrated:?}").contains("hunter2"));
    assert_eq!(only_task(migrated.rows).containers[0].definition.environment["USER"], "me");
}

/// Of what cannot be managed, only that is stopped which would still have to be set up.
#[test]
fn tasks_with_a_foreign_network_run_on_but_are_not_set_up() {
    let awsvpc = |known: &str, web: &str| {
        state(
            json!({"Arn": "arn/t", "NetworkMode": "awsvpc", "DesiredStatus": "RUNNING", "KnownStatus": known,
                   "ENI": [{"ec2Id": "eni-1"}], "Containers": [
                {"Name": "web", "KnownStatus": web, "desiredStatus": "RUNNING", "Essential": true},
                {"Name": "~internal~ecs~pause", "IsInternal": "CNI_PAUSE", "KnownStatus": "RESOURCES_PROVISIONED",
                 "desiredStatus": "RESOURCES_PROVISIONED", "SteadyStateStatus": "RESOURCES_PROVISIONED", "Essential": true},
            ]}),
            &[],
        )
    };
    let running = moved_state(&awsvpc("RUNNING", "RUNNING"));
    assert!(running.cautions[0].contains("its network is not torn down"), "{:?}", running.cautions);
    let task = only_task(running.rows);
    assert_eq!((task.state.desired, task.state.reason.as_deref()), (TaskStatus::Running, None));
    assert_eq!(task.containers[1].definition.kind, Kind::NamespacePause);
    assert_eq!(task.containers[1].state.known, ContainerStatus::Running);

    let starting = moved_state(&awsvpc("CREATED", "CREATED"));
    let task = only_task(starting.rows);
    assert_eq!(task.state.desired, TaskStatus::Stopped);
    assert!(task.state.reason.unwrap().contains("does not support network mode awsvpc"));
}

#[test]
fn what_is_not_there_yet_and_needs_more_is_stopped() {
    for (member, need) in [
        (json!({"secrets": [{"name": "A"}]}), "secrets"),
        (json!({"environmentFiles": [{"value": "arn"}]}), "environment files"),
        (json!({"dockerConfig": {"hostConfig": r#"{"LogConfig":{"Type":"awsfirelens"}}"#}}), "FireLens"),
        (json!({"GPUIDs": ["0"]}), "GPUs"),
        (json!({"registryAuthentication": {"type": "asm"}}), "registry credentials"),
    ] {
        for (known, is_stopped) in [("PULLED", true), ("CREATED", false)] {
            let mut container = json!({"Name": "a", "KnownStatus": known, "desiredStatus": "RUNNING"});
            container.as_object_mut().unwrap().extend(member.as_object().unwrap().clone());
            let state = state(json!({"Arn": "arn/t", "DesiredStatus": "RUNNING", "Containers": [container]}), &[]);
            let task = only_task(moved_state(&state).rows);
            let reason = task.state.reason.clone().unwrap_or_default();
            assert_eq!(reason.contains(need), is_stopped, "{need} {known}: {reason}");
            assert_eq!(task.state.desired == TaskStatus::Stopped, is_stopped);
        }
    }
}

#[test]
fn the_agents_own_tasks_are_left_running() {
    let state = state(
        json!({"Arn": "arn:::::/service-connect-relay-1", "KnownStatus": "RUNNING", "IsInternal": true,
               "Containers": [{"Name": "instance-service-connect-relay"}]}),
        &[("instance-service-connect-relay", json!({"DockerName": "ecs-relay"}))],
    );
    let migrated = moved_state(&state);
    assert_eq!((migrated.tasks, migrated.cautions.len()), (0, 1));
    assert!(migrated.cautions[0].contains("ecs-relay"));
}

#[test]
fn volumes_keep_the_names_that_docker_knows() {
    let state = state(
        json!({"Arn": "arn/t", "KnownStatus": "RUNNING", "DesiredStatus": "RUNNING",
               "Containers": [{"Name": "a", "KnownStatus": "RUNNING"}],
               "volumes": [
                   {"name": "local", "type": "host", "host": {"hostPath": "ecs-f-1-local-0"}},
                   {"name": "shared", "type": "docker", "dockerVolumeConfiguration":
                       {"scope": "shared", "autoprovision": true, "driver": "d", "dockerVolumeName": "shared"}},
                   {"name": "efs", "type": "efs", "efsVolumeConfiguration": {"dockerVolumeName": "ecs-f-1-efs-0"}},
                   {"name": "ebs", "type": "amazonebs", "ebsVolumeConfiguration": {"volumeId": "vol-1"}},
                   {"name": "new", "type": "unheardOf"},
               ],
               "resources": {"dockerVolume": [
                   {"name": "local", "knownStatus": "NONE"}, {"name": "local", "knownStatus": "CREATED"},
               ], "novelty": [{"a": 1}]}}),
        &[("a", json!({"Container": {"Name": "a", "KnownStatus": "RUNNING"}}))],
    );
    let migrated = moved_state(&state);
    assert!(migrated.cautions.iter().any(|caution| caution.contains("EBS")));
    let task = only_task(migrated.rows);
    let sources: Vec<(&str, VolumeState)> = task.volumes.iter().map(|v| (v.source(), v.state)).collect();
    assert_eq!(
        sources,
        [
            ("ecs-f-1-local-0", VolumeState::Created),
            ("shared", VolumeState::Created),
            ("ecs-f-1-efs-0", VolumeState::Created),
            ("", VolumeState::None),
            ("", VolumeState::None),
        ]
    );
}

#[test]
fn a_container_without_a_task_is_left_alone() {
    let mut state = state(json!({"Arn": "arn/t", "Containers": []}), &[]);
    state.containers.insert("gone-web".to_owned(), ContainerRow::default());
    assert_eq!(moved_state(&state).cautions, ["container gone-web belongs to no task and is left alone"]);
}
