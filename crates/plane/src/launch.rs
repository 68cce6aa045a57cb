//! Starting tasks: RunTask and StartTask.

use serde::{Deserialize, Serialize};
use wire::ecs::{self, EpochSeconds, TaskDefinition, TaskOverride};

use crate::error::Fault;
use crate::event::{Note, Step};
use crate::instance::{Instance, InstanceStatus, missing};
use crate::placement::{Constraints, Seeker, Share, check_strategy};
use crate::rows::Table;
use crate::task::{Desired, Status, Task};
use crate::{Plane, RETENTION_MS, credentials, payload};

/// What a client token of RunTask stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunToken {
    since: EpochSeconds,
    request: ecs::RunTaskRequest,
    tasks: Vec<String>,
}

impl RunToken {
    pub(crate) const fn forgotten_at(&self) -> i64 {
        self.since.as_millis() + RETENTION_MS
    }
}

/// What the tasks of one request have in common.
struct Order {
    cluster: String,
    definition: TaskDefinition,
    overrides: TaskOverride,
    share: Share,
    group: String,
    started_by: Option<String>,
    tags: Vec<ecs::Tag>,
    launch_type: Option<String>,
    execute_command: bool,
}

impl Plane {
    pub(crate) fn run_task(
        &mut self,
        now: EpochSeconds,
        request: ecs::RunTaskRequest,
        step: &mut Step,
    ) -> Result<ecs::TasksResponse, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        let token = request.client_token.as_deref().filter(|token| !token.is_empty());
        let token = token.map(|token| format!("{cluster} {token}"));
        if let Some(known) = token.as_ref().and_then(|token| self.tokens.get(token)) {
            return self.repeated_run(known, &request);
        }
        let count = request.count.unwrap_or(1);
        if !(1..=10).contains(&count) {
            return Err(Fault::parameter("count must be between 1 and 10."));
        }
        match request.launch_type.as_deref() {
            None | Some("EC2" | "EXTERNAL") => {}
            Some(other) => return Err(Fault::unsupported(&format!("The launch type {other}"))),
        }
        let strategy = request.placement_strategy.clone().unwrap_or_default();
        check_strategy(&strategy)?;
        let order = self.order(
            &cluster,
            &request.task_definition,
            request.overrides.clone(),
            request.group.clone(),
            request.started_by.clone(),
            request.tags.clone(),
            request.propagate_tags.as_deref(),
        )?;
        let order = Order {
            launch_type: request.launch_type.clone(),
            execute_command: request.enable_execute_command == Some(true),
            ..order
        };
        let asked = request.placement_constraints.as_deref().unwrap_or(&[]);
        let constraints = Constraints::read(&[asked, &order.definition.placement_constraints])?;
        let mut response = ecs::TasksResponse::default();
        for _ in 0..count {
            let placed = self.place(&Seeker {
                cluster: &cluster,
                group: &order.group,
                definition: &order.definition,
                share: &order.share,
                constraints: &constraints,
                strategy: &strategy,
                launch_type: order.launch_type.as_deref(),
            });
            match placed {
                Ok((instance, gpus)) => {
                    response.tasks.push(self.create_task(now, &order, &instance, gpus, step));
                }
                Err(failures) if failures.is_empty() => {
                    return Err(Fault::parameter("No Container Instances were found in your cluster."));
                }
                Err(failures) => {
                    response.failures = failures;
                    break;
                }
            }
        }
        if let Some(token) = token
            && !response.tasks.is_empty()
        {
            let tasks = response.tasks.iter().map(|task| task.task_arn.clone()).collect();
            self.tokens.insert(token.clone(), RunToken { since: now, request, tasks });
            self.touch(Table::Token, &token);
            self.expire_later(now, Table::Token, &token);
        }
        Ok(response)
    }

    fn repeated_run(&self, known: &RunToken, request: &ecs::RunTaskRequest) -> Result<ecs::TasksResponse, Fault> {
        if known.request != *request {
            return Err(Fault::other("ConflictException", "The client token was used with other parameters.")
                .with("resourceIds", known.tasks.clone().into()));
        }
        let tasks = known.tasks.iter().filter_map(|arn| self.described_task(arn, true)).collect();
        Ok(ecs::TasksResponse { tasks, failures: Vec::new() })
    }

    pub(crate) fn start_task(
        &mut self,
        now: EpochSeconds,
        request: ecs::StartTaskRequest,
        step: &mut Step,
    ) -> Result<ecs::TasksResponse, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        if request.container_instances.is_empty() || request.container_instances.len() > 10 {
            return Err(Fault::parameter("Between 1 and 10 container instances must be named."));
        }
        let order = self.order(
            &cluster,
            &request.task_definition,
            request.overrides,
            request.group,
            request.started_by,
            request.tags,
            request.propagate_tags.as_deref(),
        )?;
        let order = Order { execute_command: request.enable_execute_command == Some(true), ..order };
        let mut response = ecs::TasksResponse::default();
        for named in &request.container_instances {
            let arn = self.instance_named(&cluster, named);
            let Some(instance) = self.instances.get(&arn) else {
                response.failures.push(missing(arn));
                continue;
            };
            if instance.status == InstanceStatus::Inactive {
                response.failures.push(ecs::Failure { reason: Some("INACTIVE".into()), ..missing(arn) });
                continue;
            }
            let fits = self.fits(
                &arn,
                instance,
                &Seeker {
                    cluster: &cluster,
                    group: &order.group,
                    definition: &order.definition,
                    share: &order.share,
                    constraints: &Constraints::default(),
                    strategy: &[],
                    launch_type: None,
                },
            );
            match fits {
                Ok(gpus) => response.tasks.push(self.create_task(now, &order, &arn, gpus, step)),
                Err((reason, detail)) => {
                    response.failures.push(ecs::Failure { reason: Some(reason.into()), detail, ..missing(arn) });
                }
            }
        }
        Ok(response)
    }

    #[allow(clippy::too_many_arguments)]
    fn order(
        &self,
        cluster: &str,
        definition: &str,
        overrides: Option<TaskOverride>,
        group: Option<String>,
        started_by: Option<String>,
        tags: Option<Vec<ecs::Tag>>,
        propagate_tags: Option<&str>,
    ) -> Result<Order, Fault> {
        if definition.is_empty() {
            return Err(Fault::client("Task definition can not be blank."));
        }
        let found = self.find_definition(definition).ok_or_else(|| Fault::client("TaskDefinition not found."))?;
        if !found.is_active() {
            return Err(Fault::client("TaskDefinition is inactive"));
        }
        let definition = found.shape.clone();
        let overrides = overrides.unwrap_or_default();
        check_overrides(&definition, &overrides)?;
        if started_by.as_ref().is_some_and(|by| by.chars().count() > 128) {
            return Err(Fault::parameter("startedBy must have at most 128 characters."));
        }
        let mut all_tags = match propagate_tags {
            Some("TASK_DEFINITION") => self.tags_of(&definition.task_definition_arn),
            _ => Vec::new(),
        };
        let own = tags.unwrap_or_default();
        all_tags.retain(|tag| own.iter().all(|other| other.key != tag.key));
        all_tags.extend(own);
        Self::check_tags(&all_tags)?;
        Ok(Order {
            cluster: cluster.to_owned(),
            share: Share::of(&definition, &overrides),
            group: group.unwrap_or_else(|| format!("family:{}", definition.family)),
            definition,
            overrides,
            started_by,
            tags: all_tags,
            launch_type: None,
            execute_command: false,
        })
    }

    fn create_task(
        &mut self,
        now: EpochSeconds,
        order: &Order,
        instance: &str,
        gpu_ids: Vec<String>,
        step: &mut Step,
    ) -> ecs::Task {
        let id = self.dice.hex();
        let arn = self.settings.task_arn(&order.cluster, &id);
        let external = self.instances.get(instance).is_some_and(Instance::is_external);
        let launch_type =
            order.launch_type.clone().unwrap_or_else(|| if external { "EXTERNAL" } else { "EC2" }.to_owned());
        let share = Share { gpu_ids, ..order.share.clone() };
        let containers = order
            .definition
            .container_definitions
            .iter()
            .map(|container| {
                let over = order
                    .overrides
                    .container_overrides
                    .iter()
                    .find(|over| over.name.as_deref() == Some(container.name.as_str()));
                let uuid = self.dice.uuid();
                let memory = over.and_then(|over| over.memory).or(container.memory);
                let soft = over.and_then(|over| over.memory_reservation).or(container.memory_reservation);
                ecs::Container {
                    container_arn: self.settings.container_arn(&order.cluster, &id, &uuid),
                    task_arn: arn.clone(),
                    name: container.name.clone(),
                    image: Some(container.image.clone()),
                    last_status: Status::Pending.name().to_owned(),
                    health_status: Some("UNKNOWN".to_owned()),
                    cpu: Some(over.and_then(|over| over.cpu).unwrap_or(container.cpu).to_string()),
                    memory: memory.map(|mib| mib.to_string()),
                    memory_reservation: soft.map(|mib| mib.to_string()),
                    ..ecs::Container::default()
                }
            })
            .collect();
        let mut overrides = order.overrides.clone();
        for container in &order.definition.container_definitions {
            if !overrides.container_overrides.iter().any(|o| o.name.as_ref() == Some(&container.name)) {
                let name = Some(container.name.clone());
                overrides.container_overrides.push(ecs::ContainerOverride { name, ..Default::default() });
            }
        }
        let mut shape = ecs::Task {
            availability_zone: self
                .instances
                .get(instance)
                .and_then(|instance| instance.attributes.get("ecs.availability-zone").cloned().flatten()),
            cluster_arn: self.settings.cluster_arn(&order.cluster),
            container_instance_arn: Some(instance.to_owned()),
            containers,
            cpu: Some(share.cpu.to_string()),
            created_at: Some(now),
            desired_status: Desired::Running.name().to_owned(),
            enable_execute_command: order.execute_command,
            group: Some(order.group.clone()),
            health_status: Some("UNKNOWN".to_owned()),
            last_status: Status::Pending.name().to_owned(),
            launch_type: Some(launch_type),
            memory: Some(share.memory.to_string()),
            overrides,
            started_by: order.started_by.clone(),
            task_arn: arn.clone(),
            task_definition_arn: order.definition.task_definition_arn.clone(),
            version: 1,
            ..ecs::Task::default()
        };
        if let Some(platform) = &order.definition.runtime_platform
            && let Some(architecture) = &platform.cpu_architecture
        {
            shape.attributes.push(ecs::Attribute {
                name: "ecs.cpu-architecture".into(),
                value: Some(architecture.to_ascii_lowercase()),
                ..ecs::Attribute::default()
            });
        }
        let payload = payload::task(&self.settings, &order.definition, &shape, &share);
        let named = |keep: fn(&ecs::ContainerDefinition) -> bool| {
            let containers = order.definition.container_definitions.iter();
            containers.filter(|c| keep(c)).map(|c| c.name.clone()).collect()
        };
        let task = Task {
            cluster: order.cluster.clone(),
            instance: instance.to_owned(),
            family: order.definition.family.clone(),
            desired: Desired::Running,
            last: Status::Pending,
            acknowledged: None,
            share,
            health_checked: named(|container| container.health_check.is_some()),
            essential: named(|container| container.essential != Some(false)),
            protected_until: None,
            roles: Vec::new(),
            remarks: Vec::new(),
            payload,
            shape: shape.clone(),
        };
        self.tasks.insert(arn.clone(), task);
        self.live.entry(instance.to_owned()).or_default().insert(arn.clone());
        self.owed.entry(instance.to_owned()).or_default().insert(arn.clone());
        self.add_tags(&arn, &order.tags);
        self.touch(Table::Task, &arn);
        step.notes.push(Note::TaskPlaced { task: arn.clone(), instance: instance.to_owned() });
        self.begin_roles(now, &arn, credentials::roles(&order.definition, &order.overrides), step);
        shape.tags.clone_from(&order.tags);
        shape
    }
}

fn check_overrides(definition: &TaskDefinition, overrides: &TaskOverride) -> Result<(), Fault> {
    for over in &overrides.container_overrides {
        let name = over.name.as_deref().unwrap_or("");
        if !definition.container_definitions.iter().any(|container| container.name == name) {
            return Err(Fault::parameter(format!(
                "Override for container named {name} is not a container in the TaskDefinition."
            )));
        }
        if over.cpu.is_some_and(|cpu| cpu < 0) {
            return Err(Fault::parameter(format!("The cpu override of container {name} is negative.")));
        }
        if [over.memory, over.memory_reservation].into_iter().flatten().any(|mib| mib < 4) {
            return Err(Fault::parameter(format!("The memory override of container {name} is below 4 MiB.")));
        }
    }
    let cpu = overrides.cpu.as_ref().is_some_and(|text| crate::validate::cpu_units(text).is_none());
    let memory = overrides.memory.as_ref().is_some_and(|text| crate::validate::memory_mib(text).is_none());
    if cpu || memory {
        return Err(Fault::parameter("The override of the task's cpu or memory is not a size."));
    }
    Ok(())
}
