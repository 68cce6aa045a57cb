//! A task as its agent is told it (spec 10 §3.4, §3.5): what the definition says in ECS's words, partly
//! translated into Docker's (spec 20 §4.1).

mod docker;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};
use wire::ecs::{self, ContainerDefinition, ContainerOverride, TaskDefinition, Volume};

use crate::Settings;
use crate::placement::Share;
use crate::validate::{cpu_units, memory_mib};

/// The task for a payload, without `desiredStatus`.
///
/// Nothing here says `roleCredentials`: they are put in for each message. What would make an agent wait for an
/// execution role's credentials is left out while the shell does not deliver them.
pub(crate) fn task(settings: &Settings, definition: &TaskDefinition, task: &ecs::Task, share: &Share) -> Value {
    let overrides = &task.overrides;
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    put("arn", json!(task.task_arn));
    put("taskClusterArn", json!(task.cluster_arn));
    put("family", json!(definition.family));
    put("version", json!(definition.revision.to_string()));
    put("launchType", json!(task.launch_type));
    put("group", json!(task.group));
    put("overrides", json!("{}"));
    let mode = definition.network_mode.as_deref().unwrap_or("bridge");
    put("networkMode", json!(mode));
    if let Some(units) = overrides.cpu.as_ref().or(definition.cpu.as_ref()).and_then(|text| cpu_units(text)) {
        put("cpu", json!(units as f64 / 1024.0));
    }
    if let Some(mib) = overrides.memory.as_ref().or(definition.memory.as_ref()).and_then(|text| memory_mib(text)) {
        put("memory", json!(mib));
    }
    for (name, value) in [("pidMode", &definition.pid_mode), ("ipcMode", &definition.ipc_mode)] {
        if let Some(value) = value {
            put(name, json!(value));
        }
    }
    if let Some(true) = definition.enable_fault_injection {
        put("enableFaultInjection", json!(true));
    }
    if let Some(proxy) = &definition.proxy_configuration {
        let properties: Map<String, Value> =
            proxy.properties.iter().flatten().map(|p| (p.name.clone(), json!(p.value))).collect();
        put(
            "proxyConfiguration",
            json!({"type": proxy.kind.as_deref().unwrap_or("APPMESH"),
                   "containerName": proxy.container_name, "properties": properties}),
        );
    }
    let associations = gpu_associations(share);
    if !associations.is_empty() {
        put("associations", json!(associations));
    }
    put("volumes", definition.volumes.iter().map(volume).collect());
    let api = docker::api_version(definition);
    let containers = definition.container_definitions.iter().map(|container| {
        let arn = task.containers.iter().find(|c| c.name == container.name).map(|c| c.container_arn.as_str());
        let over = overrides
            .container_overrides
            .iter()
            .find(|over| over.name.as_deref() == Some(container.name.as_str()))
            .cloned()
            .unwrap_or_default();
        let mut value = container_payload(settings, definition, container, &over, task);
        if let Value::Object(members) = &mut value {
            members.insert("containerArn".into(), json!(arn));
            members.insert("dockerConfig".into(), docker::config(container, &over, mode, &api));
        }
        value
    });
    put("containers", containers.collect());
    ecs::without_nulls(Value::Object(out))
}

fn container_payload(
    settings: &Settings,
    definition: &TaskDefinition,
    container: &ContainerDefinition,
    over: &ContainerOverride,
    task: &ecs::Task,
) -> Value {
    let credentials = settings.delivers_credentials && definition.execution_role_arn.is_some();
    let mode = definition.network_mode.as_deref().unwrap_or("bridge");
    json!({
        "name": container.name,
        "image": container.image,
        "essential": container.essential != Some(false),
        "cpu": over.cpu.unwrap_or(container.cpu),
        // Without a hard limit the agent is told none; the soft one is Docker's MemoryReservation.
        "memory": over.memory.or(container.memory).unwrap_or(0),
        "command": container.command,
        "entryPoint": container.entry_point,
        "environment": environment(container, over, task),
        "environmentFiles": over.environment_files.as_ref().or(container.environment_files.as_ref()),
        "overrides": match &over.command {
            Some(command) => json!({ "command": command }).to_string(),
            None => "{}".to_owned(),
        },
        "links": container.links,
        "portMappings": if mode == "awsvpc" { json!([]) } else { port_mappings(container) },
        "mountPoints": container.mount_points,
        "volumesFrom": container.volumes_from,
        "dependsOn": container.depends_on,
        "startTimeout": container.start_timeout,
        "stopTimeout": container.stop_timeout,
        "restartPolicy": container.restart_policy.as_ref().map(|policy| json!({
            "enabled": policy.enabled,
            "ignoredExitCodes": policy.ignored_exit_codes.clone().unwrap_or_default(),
            "restartAttemptPeriod": policy.restart_attempt_period.unwrap_or(300),
        })),
        "healthCheckType": container.health_check.as_ref().map(|_| "docker"),
        "firelensConfiguration": container.firelens_configuration,
        "credentialSpecs": container.credential_specs,
        "secrets": secrets(settings, container),
        "registryAuthentication": registry(settings, container, credentials),
        "logsAuthStrategy": (credentials
            && container.log_configuration.as_ref().is_some_and(|log| log.log_driver == "awslogs"))
            .then_some("ExecutionRole"),
    })
}

/// The definition's variables, then the run's, then what ECS adds itself.
fn environment(container: &ContainerDefinition, over: &ContainerOverride, task: &ecs::Task) -> Value {
    let mut variables: Map<String, Value> = Map::new();
    let own = container.environment.iter().chain(over.environment.iter().flatten());
    for variable in own {
        variables.insert(variable.name.clone(), json!(variable.value));
    }
    let launch_type = task.launch_type.as_deref().unwrap_or("EC2");
    variables.entry("AWS_EXECUTION_ENV").or_insert_with(|| json!(format!("AWS_ECS_{launch_type}")));
    Value::Object(variables)
}

fn port_mappings(container: &ContainerDefinition) -> Value {
    let mapping = |mapping: &ecs::PortMapping| {
        let protocol = mapping.protocol.as_deref().unwrap_or("tcp");
        match &mapping.container_port_range {
            Some(range) => json!({"containerPortRange": range, "protocol": protocol}),
            None => json!({"containerPort": mapping.container_port,
                           "hostPort": mapping.host_port.unwrap_or(0), "protocol": protocol}),
        }
    };
    container.port_mappings.iter().map(mapping).collect()
}

fn volume(volume: &Volume) -> Value {
    if let Some(docker) = &volume.docker_volume_configuration {
        let shared = docker.scope.as_deref() == Some("shared");
        return json!({"name": volume.name, "type": "docker", "dockerVolumeConfiguration": {
            "scope": docker.scope.as_deref().unwrap_or("task"),
            "autoprovision": shared && docker.autoprovision.unwrap_or(false),
            "driver": docker.driver.as_deref().unwrap_or("local"),
            "driverOpts": docker.driver_opts.clone().unwrap_or_default(),
            "labels": docker.labels.clone().unwrap_or_default(),
        }});
    }
    if let Some(efs) = &volume.efs_volume_configuration {
        let mut efs = efs.clone();
        efs.root_directory.get_or_insert_with(|| "/".to_owned());
        return json!({"name": volume.name, "type": "efs", "efsVolumeConfiguration": efs});
    }
    if let Some(fsx) = &volume.fsx_windows_file_server_volume_configuration {
        return json!({"name": volume.name, "type": "fsxWindowsFileServer",
                      "fsxWindowsFileServerVolumeConfiguration": fsx});
    }
    let path = volume.host.as_ref().and_then(|host| host.source_path.as_deref()).unwrap_or("");
    json!({"name": volume.name, "type": "host", "host": {"sourcePath": path}})
}

/// The region and the provider (`ssm` or `asm`) that a reference to a secret means.
fn provider(settings: &Settings, reference: &str) -> (String, &'static str) {
    let provider = if reference.contains(":secretsmanager:") { "asm" } else { "ssm" };
    let region = reference.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2));
    (region.filter(|region| !region.is_empty()).unwrap_or(&settings.region).to_owned(), provider)
}

fn secrets(settings: &Settings, container: &ContainerDefinition) -> Value {
    let options = container.log_configuration.iter().flat_map(|log| log.secret_options.iter().flatten());
    let entries = container.secrets.iter().flatten().map(|secret| (secret, "CONTAINER"));
    let entries = entries.chain(options.map(|secret| (secret, "LOG_DRIVER")));
    entries
        .map(|(secret, target)| {
            let (region, provider) = provider(settings, &secret.value_from);
            json!({"name": secret.name, "valueFrom": secret.value_from, "region": region,
                   "provider": provider, "type": "ENVIRONMENT_VARIABLE", "target": target})
        })
        .collect()
}

/// How the image's registry is entered.
fn registry(settings: &Settings, container: &ContainerDefinition, credentials: bool) -> Value {
    if let Some(repository) = &container.repository_credentials {
        let (region, _) = provider(settings, &repository.credentials_parameter);
        return json!({"type": "asm", "asmAuthData": {
            "credentialsParameter": repository.credentials_parameter, "region": region}});
    }
    let host = container.image.split('/').next().unwrap_or("");
    let mut labels = host.split('.');
    match (labels.next(), labels.next(), labels.next(), labels.next()) {
        (Some(account), Some("dkr"), Some("ecr" | "ecr-fips"), Some(region)) => {
            json!({"type": "ecr", "ecrAuthData": {
                "region": region, "registryId": account, "useExecutionRole": credentials}})
        }
        _ => Value::Null,
    }
}

fn gpu_associations(share: &Share) -> Vec<Value> {
    let containers = share.gpus.iter().flat_map(|(name, count)| std::iter::repeat_n(name, *count));
    share
        .gpu_ids
        .iter()
        .zip(containers)
        .map(|(id, container)| {
            json!({"name": id, "type": "gpu", "containers": [container],
                   "content": {"encoding": "base64", "value": ""}})
        })
        .collect()
}
