//! What an instance must be able to do for a task definition, as attributes (spec 10 §1.7.3).

use std::collections::BTreeSet;

use wire::ecs::{Attribute, ContainerDefinition, TaskDefinition};

const CLASSIC: &str = "com.amazonaws.ecs.capability.";
const ECS: &str = "ecs.capability.";

/// The attributes that `definition` requires, in the order of their names.
pub(crate) fn required_attributes(definition: &TaskDefinition) -> Vec<Attribute> {
    let mut needs = Needs { found: BTreeSet::new(), execution_role: definition.execution_role_arn.is_some() };
    if definition.task_role_arn.is_some() {
        needs.classic("task-iam-role");
        if definition.network_mode.as_deref() == Some("host") {
            needs.classic("task-iam-role-network-host");
        }
    }
    if definition.network_mode.as_deref() == Some("awsvpc") {
        needs.ecs("task-eni");
    }
    if definition.cpu.is_some() || definition.memory.is_some() {
        needs.ecs("task-cpu-mem-limit");
    }
    // Only sharing among the task's containers needs the namespace pause image.
    if [&definition.pid_mode, &definition.ipc_mode].iter().any(|mode| mode.as_deref() == Some("task")) {
        needs.ecs("pid-ipc-namespace-sharing");
    }
    if definition.enable_fault_injection == Some(true) {
        needs.ecs("fault-injection");
    }
    if definition.proxy_configuration.is_some() {
        needs.ecs("aws-appmesh");
    }
    for volume in &definition.volumes {
        if let Some(docker) = &volume.docker_volume_configuration {
            needs.api(25);
            needs.ecs(&format!("docker-plugin.{}", docker.driver.as_deref().unwrap_or("local")));
        }
        if volume.efs_volume_configuration.is_some() {
            needs.ecs("efs");
        }
        if volume.s3files_volume_configuration.is_some() {
            needs.ecs("storage.s3-files");
        }
    }
    for container in &definition.container_definitions {
        needs.container(container);
    }
    needs.found.into_iter().map(|name| Attribute { name, ..Attribute::default() }).collect()
}

struct Needs {
    found: BTreeSet<String>,
    execution_role: bool,
}

impl Needs {
    fn classic(&mut self, name: &str) {
        self.found.insert(format!("{CLASSIC}{name}"));
    }

    fn ecs(&mut self, name: &str) {
        self.found.insert(format!("{ECS}{name}"));
    }

    /// Version 1.`minor` of the Docker API. Agents advertise 1.17–1.25, 1.28–1.30 and 1.32.
    fn api(&mut self, minor: u32) {
        self.classic(&format!("docker-remote-api.1.{minor}"));
    }

    fn container(&mut self, container: &ContainerDefinition) {
        // Every container is created with at least this version.
        self.api(18);
        if container.memory_reservation.is_some() {
            self.api(21);
        }
        if container.privileged == Some(true) {
            self.classic("privileged-container");
        }
        if container.image.contains(".dkr.ecr.") {
            self.classic("ecr-auth");
            self.api(19);
            if self.execution_role {
                self.ecs("execution-role-ecr-pull");
            }
        }
        if container.repository_credentials.is_some() {
            self.ecs("private-registry-authentication.secretsmanager");
        }
        if container.health_check.is_some() {
            self.ecs("container-health-check");
            self.api(24);
        }
        let ordered = container.depends_on.as_ref().is_some_and(|list| !list.is_empty());
        if ordered || container.start_timeout.is_some() || container.stop_timeout.is_some() {
            self.ecs("container-ordering");
        }
        if container.environment_files.as_ref().is_some_and(|list| !list.is_empty()) {
            self.ecs("env-files.s3");
        }
        if container.restart_policy.is_some() {
            self.ecs("container-restart-policy");
        }
        if container.port_mappings.iter().any(|mapping| mapping.container_port_range.is_some()) {
            self.ecs("network.container-port-range");
        }
        for secret in container.secrets.iter().flatten() {
            self.ecs(if secret.value_from.contains(":secretsmanager:") {
                "secrets.asm.environment-variables"
            } else {
                "secrets.ssm.environment-variables"
            });
        }
        if let Some(firelens) = &container.firelens_configuration {
            self.ecs(&format!("firelens.{}", firelens.kind));
        }
        if let Some(log) = &container.log_configuration {
            self.classic(&format!("logging-driver.{}", log.log_driver));
            if log.log_driver == "awslogs" && self.execution_role {
                self.ecs("execution-role-awslogs");
            }
            match log.log_driver.as_str() {
                "journald" => self.api(19),
                "gelf" | "fluentd" => self.api(20),
                "awslogs" => self.api(21),
                "splunk" => self.api(22),
                _ => {}
            }
            for secret in log.secret_options.iter().flatten() {
                self.ecs(if secret.value_from.contains(":secretsmanager:") {
                    "secrets.asm.bootstrap.log-driver"
                } else {
                    "secrets.ssm.bootstrap.log-driver"
                });
            }
        }
        if let Some(linux) = &container.linux_parameters {
            if linux.shared_memory_size.is_some() || linux.tmpfs.as_ref().is_some_and(|list| !list.is_empty()) {
                self.api(22);
            }
            if linux.init_process_enabled.is_some() {
                self.api(25);
            }
        }
        if !container.system_controls.is_empty() {
            self.api(24);
        }
    }
}
