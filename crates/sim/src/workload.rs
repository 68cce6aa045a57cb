//! What the simulated users want: random tasks, and how their containers behave once they run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use wire::acs;

use crate::dice::Dice;

/// One task that is asked for, and when.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) arn: String,
    pub(crate) task: acs::Task,
    pub(crate) at: Duration,
    /// When the plane asks for its end; else it ends by itself or at the end of the run.
    pub(crate) stop_at: Option<Duration>,
    pub(crate) behaviors: BTreeMap<String, Behavior>,
    /// Ids of the task role's and the execution role's credentials.
    pub(crate) credentials: Vec<(String, &'static str)>,
}

/// What a container does when it runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behavior {
    /// Ends by itself after this long, with this code.
    pub(crate) ends: Option<(Duration, i64)>,
    pub(crate) is_oom: bool,
    /// How it takes TERM; `None` waits for KILL.
    pub(crate) on_term: Option<(Duration, i64)>,
    pub(crate) healthy_after: Option<Duration>,
    /// Health changes again and again, each time after this long.
    pub(crate) flips_after: Option<Duration>,
    /// Every start fails with this.
    pub(crate) start_error: Option<String>,
}

impl Order {
    /// Another task of the same definition, which ends as the first one does.
    pub(crate) fn again(&self, id: &str, at: Duration) -> Self {
        let arn = arn(id);
        let mut order = Self { arn: arn.clone(), at, stop_at: None, ..self.clone() };
        order.task.arn = arn;
        for (credentials, role) in &mut order.credentials {
            *credentials = format!("{credentials}-{id}");
            let of_task = match *role {
                "TaskApplication" => &mut order.task.role_credentials,
                _ => &mut order.task.execution_role_credentials,
            };
            if let Some(of_task) = of_task {
                of_task.credentials_id.clone_from(credentials);
            }
        }
        order
    }
}

pub(crate) const CLUSTER: &str = "lab";
const IMAGES: &[&str] = &[
    "registry.test/app:1",
    "registry.test/app:1",
    "registry.test/app:2",
    "registry.test/tool",
    "registry.test/cached:1",
    "registry.test/stale:1",
    "local-only:1",
    "registry.test/missing:1",
    "registry.test/app@sha256:1111111111111111111111111111111111111111111111111111111111111111",
];

/// Random orders, in order of time; `span` is how long new ones come.
pub(crate) fn orders(dice: &mut Dice, span: Duration) -> Vec<Order> {
    let count = *dice.pick(&[1, 1, 1, 2, 2, 3, 4, 6]);
    let mut all: Vec<Order> = (0..count).map(|number| order(dice, number, span)).collect();
    all.sort_by_key(|order| order.at);
    all
}

fn arn(id: &str) -> String {
    format!("arn:aws:ecs:us-west-2:111122223333:task/{CLUSTER}/{id}")
}

fn order(dice: &mut Dice, number: u64, span: Duration) -> Order {
    let id = format!("{number}{}", dice.hex(7));
    let arn = arn(&id);
    let count = *dice.pick(&[1, 1, 1, 2, 2, 3, 3, 4, 6, 10]);
    let names: Vec<String> = (0..count).map(|n| format!("c{n}")).collect();
    let mut behaviors = BTreeMap::new();
    let mut containers: Vec<acs::Container> = Vec::new();
    let essential = dice.between(0, count - 1);
    for (n, name) in (0..count).zip(&names) {
        let is_essential = n == essential || dice.chance(0.3);
        let (container, behavior) = container(dice, name, is_essential);
        behaviors.insert(name.clone(), behavior);
        containers.push(container);
    }
    add_order(dice, &mut containers);
    let mut volumes = Vec::new();
    if dice.chance(0.4) {
        add_volumes(dice, &mut containers, &mut volumes);
    }
    let mut credentials = Vec::new();
    let mut task = acs::Task {
        arn: arn.clone(),
        desired_status: "RUNNING".into(),
        family: "fam".into(),
        version: "1".into(),
        launch_type: "EC2".into(),
        network_mode: "bridge".into(),
        containers: containers.into_iter().map(Some).collect(),
        volumes,
        ..acs::Task::default()
    };
    if dice.chance(0.15) {
        task.pid_mode = "task".into();
    }
    if dice.chance(0.15) {
        task.memory = i64::try_from(dice.between(100, 4500)).unwrap_or_default();
        task.cpu = 0.25;
    }
    if dice.chance(0.25) {
        let id = format!("role-{id}");
        credentials.push((id.clone(), "TaskApplication"));
        task.role_credentials = Some(acs::RoleCredentials { credentials_id: id, ..Default::default() });
    }
    if dice.chance(0.25) {
        let id = format!("exec-{id}");
        credentials.push((id.clone(), "TaskExecution"));
        task.execution_role_credentials = Some(acs::RoleCredentials { credentials_id: id, ..Default::default() });
        for container in task.containers.iter_mut().flatten() {
            if dice.chance(0.5) {
                container.registry_authentication = Some(acs::RegistryAuthentication {
                    kind: "ecr".into(),
                    ecr_auth_data: Some(acs::EcrAuthData { use_execution_role: true, ..Default::default() }),
                    ..Default::default()
                });
            }
        }
    }
    let at = if dice.chance(0.3) { Duration::from_secs(1) } else { dice.seconds(0, span.as_secs()) };
    let stop_at = dice.chance(0.5).then(|| match dice.between(0, 2) {
        0 => at + dice.millis(0, 3000),
        1 => at + dice.seconds(0, 30),
        _ => at + dice.seconds(0, span.as_secs()),
    });
    Order { arn, task, at, stop_at, behaviors, credentials }
}

fn container(dice: &mut Dice, name: &str, is_essential: bool) -> (acs::Container, Behavior) {
    let mut behavior = Behavior {
        ends: dice.chance(if is_essential { 0.3 } else { 0.6 }).then(|| {
            let after = match dice.between(0, 3) {
                0 => Duration::ZERO,
                1 => dice.millis(0, 2000),
                _ => dice.seconds(0, 300),
            };
            (after, *dice.pick(&[0, 0, 0, 1, 137]))
        }),
        is_oom: dice.chance(0.03),
        on_term: dice.chance(0.8).then(|| (dice.millis(0, 8000), *dice.pick(&[0, 143, 1]))),
        start_error: dice.chance(0.03).then(|| "OCI runtime create failed: no such file".to_owned()),
        ..Behavior::default()
    };
    let mut config = json!({});
    let mut container = acs::Container {
        name: name.to_owned(),
        image: (*dice.pick(IMAGES)).to_owned(),
        essential: is_essential,
        cpu: *dice.pick(&[0, 10, 256, 1024]),
        memory: *dice.pick(&[64, 128, 512, 2000]),
        ..acs::Container::default()
    };
    if dice.chance(0.7) {
        container.image = "registry.test/app:1".into();
    }
    if dice.chance(0.3) {
        container.stop_timeout = i64::try_from(dice.between(2, 60)).unwrap_or_default();
    }
    if dice.chance(0.25) {
        container.health_check_type = "docker".into();
        if !dice.chance(0.02) {
            config["Healthcheck"] = json!({"Test": ["CMD", "true"]});
        }
        behavior.healthy_after = dice.chance(0.8).then(|| dice.seconds(0, 90));
        behavior.flips_after = match dice.between(0, 9) {
            0 => Some(dice.millis(100, 1000)),
            1 | 2 => Some(dice.seconds(1, 60)),
            _ => None,
        };
    }
    if dice.chance(0.2) {
        container.restart_policy = Some(acs::RestartPolicy {
            enabled: true,
            ignored_exit_codes: if dice.chance(0.3) { vec![0] } else { vec![] },
            restart_attempt_period: *dice.pick(&[0, 60, 60, 120]),
        });
        if let Some((after, _)) = &mut behavior.ends {
            *after += Duration::from_secs(20);
        }
    }
    if dice.chance(0.25) {
        container.start_timeout = i64::try_from(dice.between(2, 120)).unwrap_or_default();
    }
    if dice.chance(0.25) {
        container.port_mappings = ports(dice);
    }
    let host = if dice.chance(0.01) { "{".to_owned() } else { "{}".to_owned() };
    container.docker_config = Some(acs::DockerConfig {
        config: Some(config.to_string()),
        host_config: Some(host),
        version: Some("1.24".into()),
    });
    (container, behavior)
}

fn ports(dice: &mut Dice) -> Vec<acs::PortMapping> {
    let protocol = if dice.chance(0.2) { "udp" } else { "tcp" };
    let mut mapping = acs::PortMapping { protocol: Some(protocol.into()), ..Default::default() };
    match dice.between(0, 4) {
        0 => {
            mapping.container_port = 80;
            mapping.host_port = i64::try_from(dice.between(8000, 8003)).unwrap_or_default();
        }
        1 => mapping.container_port_range = "9000-9003".into(),
        _ => mapping.container_port = 80,
    }
    let mut all = vec![mapping];
    if dice.chance(0.3) {
        all.push(acs::PortMapping { container_port: 81, ..Default::default() });
    }
    all
}

/// Conditions among containers: without circles, but for a few.
fn add_order(dice: &mut Dice, containers: &mut [acs::Container]) {
    let count = containers.len();
    let mut ranks: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        let other = usize::try_from(dice.between(0, at as u64)).unwrap_or_default();
        ranks.swap(at, other);
    }
    for position in 1..count {
        let mut edges = 0;
        while edges < 2 && dice.chance(0.45) {
            edges += 1;
            let on = ranks[usize::try_from(dice.between(0, position as u64 - 1)).unwrap_or_default()];
            let target = ranks[position];
            let has_check = containers[on].health_check_type == "docker";
            let condition = match dice.between(0, 4) {
                0 | 1 if has_check => "HEALTHY",
                0 | 1 => "START",
                2 if dice.chance(0.3) => "CREATE",
                2 | 3 if !containers[on].essential => *dice.pick(&["COMPLETE", "SUCCESS"]),
                _ => "START",
            };
            let container_name = containers[on].name.clone();
            let containers_target = &mut containers[target];
            match dice.between(0, 9) {
                0 => containers_target.links.push(format!("{container_name}:x")),
                1 => containers_target
                    .volumes_from
                    .push(acs::VolumeFrom { source_container: container_name, read_only: false }),
                _ => containers_target
                    .depends_on
                    .push(acs::ContainerDependency { container_name, condition: condition.to_owned() }),
            }
        }
    }
    if count > 1 && dice.chance(0.02) {
        let container_name = containers[ranks[count - 1]].name.clone();
        containers[ranks[0]].depends_on.push(acs::ContainerDependency { container_name, condition: "START".into() });
    }
}

fn add_volumes(dice: &mut Dice, containers: &mut [acs::Container], volumes: &mut Vec<Option<acs::Volume>>) {
    for number in 0..dice.between(1, 2) {
        let mut volume = acs::Volume { name: format!("v{number}"), ..Default::default() };
        match dice.between(0, 5) {
            0 => volume.host = Some(acs::HostVolume { source_path: "/srv/data".into() }),
            1 | 2 => volume.host = Some(acs::HostVolume::default()),
            3 | 4 => {
                let scope = if dice.chance(0.6) { "task" } else { "shared" };
                volume.kind = Some("docker".into());
                volume.docker_volume_configuration = Some(acs::DockerVolume {
                    scope: scope.into(),
                    autoprovision: scope == "shared" && dice.chance(0.8),
                    driver: "local".into(),
                    ..Default::default()
                });
                if scope == "shared" {
                    volume.name = format!("shared{number}");
                }
            }
            _ => {
                volume.kind = Some("docker".into());
                volume.docker_volume_configuration =
                    Some(acs::DockerVolume { scope: "task".into(), driver: "broken".into(), ..Default::default() });
            }
        }
        for container in containers.iter_mut() {
            if dice.chance(0.6) {
                container.mount_points.push(acs::MountPoint {
                    source_volume: volume.name.clone(),
                    container_path: format!("/v{number}"),
                    read_only: false,
                });
            }
        }
        volumes.push(Some(volume));
    }
}
