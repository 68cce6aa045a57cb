//! Container instances: registration, description, state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wire::ecs::{self, EpochSeconds};

use crate::error::Fault;
use crate::event::{Note, Outgoing, SessionId, Step};
use crate::page::{ascending, page};
use crate::query::Query;
use crate::rows::Table;
use crate::{Plane, RETENTION_MS, arn};

/// A container instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) cluster: String,
    pub(crate) status: InstanceStatus,
    pub(crate) registered_at: EpochSeconds,
    pub(crate) inactive_since: Option<EpochSeconds>,
    /// The token of the latest registration: its retries must not make another instance.
    pub(crate) client_token: Option<String>,
    pub(crate) ec2_instance_id: Option<String>,
    pub(crate) resources: Vec<ecs::Resource>,
    pub(crate) devices: Vec<ecs::PlatformDevice>,
    pub(crate) attributes: BTreeMap<String, Option<String>>,
    pub(crate) version_info: ecs::VersionInfo,
    pub(crate) version: i64,
    pub(crate) health: Vec<ecs::InstanceHealthCheckResult>,
    /// The agent's session, while it is connected. Not stored: no session outlives the plane.
    #[serde(skip)]
    pub(crate) acs: Option<SessionId>,
}

/// Whether an instance takes tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum InstanceStatus {
    Active,
    Draining,
    Inactive,
}

impl InstanceStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

impl Instance {
    pub(crate) fn forgotten_at(&self) -> Option<i64> {
        self.inactive_since.map(|since| since.as_millis() + RETENTION_MS)
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.status != InstanceStatus::Inactive
    }

    pub(crate) fn is_external(&self) -> bool {
        self.attributes.contains_key("ecs.capability.external")
    }

    /// The amount of an integer resource.
    pub(crate) fn amount(&self, name: &str) -> i64 {
        let found = self.resources.iter().find(|resource| resource.name == name);
        found.and_then(|resource| resource.integer_value).unwrap_or(0)
    }

    /// The reserved ports in a string set resource.
    pub(crate) fn reserved_ports(&self, name: &str) -> Vec<i64> {
        let found = self.resources.iter().find(|resource| resource.name == name);
        let ports = found.and_then(|resource| resource.string_set_value.as_ref());
        ports.into_iter().flatten().filter_map(|port| port.parse().ok()).collect()
    }
}

/// Attributes that agents compute; a re-registration replaces them all.
fn is_capability(name: &str) -> bool {
    name.starts_with("ecs.") || name.starts_with("com.amazonaws.ecs.")
}

impl Plane {
    pub(crate) fn register_instance(
        &mut self,
        now: EpochSeconds,
        request: ecs::RegisterContainerInstanceRequest,
        step: &mut Step,
    ) -> Result<ecs::ContainerInstanceResponse, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        let tags = request.tags.clone().unwrap_or_default();
        Self::check_tags(&tags)?;
        let restored = request.container_instance_arn.clone().filter(|arn| !arn.is_empty());
        let (arn, again) = match restored {
            Some(arn) => (self.check_reregistration(arn, &cluster)?, true),
            None => match self.registered_with_token(&cluster, request.client_token.as_deref()) {
                Some(arn) => (arn, true),
                None => (self.settings.instance_arn(&cluster, &self.dice.hex()), false),
            },
        };
        let ec2_instance_id = instance_id(&request)
            .or_else(|| self.instances.get(&arn).and_then(|instance| instance.ec2_instance_id.clone()));
        let synthetic = format!("mi-{}", &self.dice.hex()[..17]);
        let region = &self.settings.region;
        let instance = self.instances.entry(arn.clone()).or_insert_with(|| Instance {
            cluster,
            status: InstanceStatus::Active,
            registered_at: now,
            inactive_since: None,
            client_token: None,
            ec2_instance_id: None,
            resources: Vec::new(),
            devices: Vec::new(),
            attributes: BTreeMap::new(),
            version_info: ecs::VersionInfo::default(),
            version: 0,
            health: Vec::new(),
            acs: None,
        });
        instance.client_token = request.client_token;
        instance.ec2_instance_id = ec2_instance_id.or(Some(synthetic));
        instance.resources = request.total_resources.unwrap_or_default();
        instance.devices = request.platform_devices.unwrap_or_default();
        instance.attributes.retain(|name, _| !is_capability(name));
        let sent = request.attributes.unwrap_or_default();
        instance.attributes.extend(sent.into_iter().map(|attribute| (attribute.name, attribute.value)));
        instance.attributes.entry("ecs.availability-zone".to_owned()).or_insert_with(|| Some(format!("{region}a")));
        if let Some(version_info) = request.version_info {
            instance.version_info = version_info;
        }
        instance.version += 1;
        self.add_tags(&arn, &tags);
        self.touch(Table::Instance, &arn);
        step.notes.push(Note::InstanceRegistered { instance: arn.clone(), again });
        let mut described = self.describe_instance(&arn);
        described.tags = self.tags_of(&arn);
        Ok(ecs::ContainerInstanceResponse { container_instance: described })
    }

    /// An unknown ARN of ours is adopted: a plane that lost its store must not brick its agents.
    fn check_reregistration(&self, arn: String, cluster: &str) -> Result<String, Fault> {
        match self.instances.get(&arn) {
            Some(instance) if !instance.is_registered() => {
                Err(Fault::client("The container instance has been deregistered."))
            }
            Some(instance) if instance.cluster != cluster => {
                Err(Fault::client("The container instance belongs to another cluster."))
            }
            Some(_) => Ok(arn),
            None if arn == self.settings.instance_arn(cluster, arn::id(&arn)) => Ok(arn),
            None => Err(Fault::client("The container instance is unknown.")),
        }
    }

    fn registered_with_token(&self, cluster: &str, token: Option<&str>) -> Option<String> {
        let token = token.filter(|token| !token.is_empty())?;
        let mut same = self.instances.iter().filter(|(_, instance)| {
            instance.cluster == cluster && instance.is_registered() && instance.client_token.as_deref() == Some(token)
        });
        same.next().map(|(arn, _)| arn.clone())
    }

    /// The full ARN that a caller's ARN or id names in a cluster.
    pub(crate) fn instance_named(&self, cluster: &str, named: &str) -> String {
        self.settings.instance_arn(cluster, arn::id(named))
    }

    /// How many tasks run and how many are yet to run there.
    pub(crate) fn task_counts(&self, instance: &str) -> (i64, i64) {
        let tasks = self.live.get(instance).into_iter().flatten().filter_map(|arn| self.tasks.get(arn));
        tasks.fold(
            (0, 0),
            |(running, pending), task| {
                if task.is_running() { (running + 1, pending) } else { (running, pending + 1) }
            },
        )
    }

    /// Describes an instance without tags. It must exist.
    pub(crate) fn describe_instance(&self, arn: &str) -> ecs::ContainerInstance {
        let Some(instance) = self.instances.get(arn) else {
            return ecs::ContainerInstance::default();
        };
        let (running, pending) = self.task_counts(arn);
        let left = self.remaining(arn, instance);
        ecs::ContainerInstance {
            container_instance_arn: arn.to_owned(),
            ec2_instance_id: instance.ec2_instance_id.clone(),
            version: instance.version,
            version_info: instance.version_info.clone(),
            remaining_resources: left.resources(instance),
            registered_resources: instance.resources.iter().map(full).collect(),
            status: instance.status.name().to_owned(),
            agent_connected: instance.acs.is_some(),
            running_tasks_count: running,
            pending_tasks_count: pending,
            attributes: instance
                .attributes
                .iter()
                .map(|(name, value)| ecs::Attribute {
                    name: name.clone(),
                    value: value.clone(),
                    ..ecs::Attribute::default()
                })
                .collect(),
            registered_at: Some(instance.registered_at),
            ..ecs::ContainerInstance::default()
        }
    }

    pub(crate) fn describe_instances(
        &self,
        request: &ecs::DescribeContainerInstancesRequest,
    ) -> Result<ecs::ContainerInstancesResponse, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        if request.container_instances.is_empty() {
            return Err(Fault::parameter("Container instances cannot be empty."));
        }
        if request.container_instances.len() > 100 {
            return Err(Fault::parameter("At most 100 container instances can be described at once."));
        }
        let include = |field: &str| request.include.iter().flatten().any(|wanted| wanted == field);
        let mut response = ecs::ContainerInstancesResponse::default();
        for named in &request.container_instances {
            let arn = self.instance_named(&cluster, named);
            let Some(instance) = self.instances.get(&arn) else {
                response.failures.push(missing(arn));
                continue;
            };
            let mut described = self.describe_instance(&arn);
            if include("TAGS") {
                described.tags = self.tags_of(&arn);
            }
            if include("CONTAINER_INSTANCE_HEALTH") {
                let impaired = instance.health.iter().any(|check| check.status == "IMPAIRED");
                described.health_status = Some(ecs::ContainerInstanceHealthStatus {
                    overall_status: match (instance.health.is_empty(), impaired) {
                        (true, _) => "INSUFFICIENT_DATA",
                        (_, true) => "IMPAIRED",
                        _ => "OK",
                    }
                    .to_owned(),
                    details: instance.health.clone(),
                });
            }
            response.container_instances.push(described);
        }
        Ok(response)
    }

    pub(crate) fn list_instances(&self, request: &ecs::ListContainerInstancesRequest) -> Result<Value, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        let filter = match request.filter.as_deref().filter(|filter| !filter.trim().is_empty()) {
            Some(filter) => Some(Query::parse(filter).map_err(Fault::parameter)?),
            None => None,
        };
        let arns = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.cluster == cluster && instance.is_registered())
            .filter(|(_, instance)| request.status.as_deref().is_none_or(|status| instance.status.name() == status))
            .filter(|(arn, instance)| {
                filter.as_ref().is_none_or(|filter| filter.holds(&|subject| self.facts(arn, instance, subject)))
            })
            .map(|(arn, _)| arn.clone())
            .collect();
        let (arns, next) = page(arns, request.next_token.as_deref(), request.max_results, ascending)?;
        Ok(crate::api::listed("containerInstanceArns", json!(arns), next))
    }

    /// What a query can ask of an instance.
    pub(crate) fn facts(&self, arn: &str, instance: &Instance, subject: &str) -> Vec<String> {
        if let Some(name) = subject.strip_prefix("attribute:") {
            return match instance.attributes.get(name) {
                Some(value) => vec![value.clone().unwrap_or_default()],
                None => Vec::new(),
            };
        }
        let (running, pending) = self.task_counts(arn);
        match subject {
            "task:group" => self
                .live
                .get(arn)
                .into_iter()
                .flatten()
                .filter_map(|task| self.tasks.get(task)?.shape.group.clone())
                .collect(),
            "agentConnected" => vec![instance.acs.is_some().to_string()],
            "agentVersion" => instance.version_info.agent_version.clone().into_iter().collect(),
            "ec2InstanceId" => instance.ec2_instance_id.clone().into_iter().collect(),
            "runningTasksCount" => vec![running.to_string()],
            "pendingTasksCount" => vec![pending.to_string()],
            _ => Vec::new(),
        }
    }

    pub(crate) fn update_instances_state(
        &mut self,
        request: &ecs::UpdateContainerInstancesStateRequest,
    ) -> Result<ecs::ContainerInstancesResponse, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        let status = match request.status.as_str() {
            "ACTIVE" => InstanceStatus::Active,
            "DRAINING" => InstanceStatus::Draining,
            _ => return Err(Fault::parameter("The status must be ACTIVE or DRAINING.")),
        };
        if request.container_instances.is_empty() || request.container_instances.len() > 10 {
            return Err(Fault::parameter("Between 1 and 10 container instances can be updated at once."));
        }
        let mut response = ecs::ContainerInstancesResponse::default();
        for named in &request.container_instances {
            let arn = self.instance_named(&cluster, named);
            match self.instances.get_mut(&arn) {
                Some(instance) if instance.is_registered() => {
                    instance.status = status;
                    instance.version += 1;
                    self.touch(Table::Instance, &arn);
                    response.container_instances.push(self.describe_instance(&arn));
                }
                Some(_) => response.failures.push(ecs::Failure { reason: Some("INACTIVE".into()), ..missing(arn) }),
                None => response.failures.push(missing(arn)),
            }
        }
        Ok(response)
    }

    pub(crate) fn deregister_instance(
        &mut self,
        now: EpochSeconds,
        request: &ecs::DeregisterContainerInstanceRequest,
        step: &mut Step,
    ) -> Result<ecs::ContainerInstanceResponse, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        let arn = self.instance_named(&cluster, &request.container_instance);
        if !self.instances.get(&arn).is_some_and(Instance::is_registered) {
            return Err(Fault::parameter("Referenced container instance not found."));
        }
        let live: Vec<String> = self.live.get(&arn).into_iter().flatten().cloned().collect();
        if !live.is_empty() && request.force != Some(true) {
            return Err(Fault::parameter("Found running tasks on the instance."));
        }
        for task in live {
            self.abandon_task(now, &task, step);
        }
        if let Some(instance) = self.instances.get_mut(&arn) {
            instance.status = InstanceStatus::Inactive;
            instance.inactive_since = Some(now);
            instance.version += 1;
        }
        let gone = self.sessions.iter().filter(|(_, session)| session.instance == arn);
        step.sends.extend(gone.map(|(id, _)| Outgoing::Close { session: *id }));
        self.touch(Table::Instance, &arn);
        self.expire_later(now, Table::Instance, &arn);
        Ok(ecs::ContainerInstanceResponse { container_instance: self.describe_instance(&arn) })
    }

    pub(crate) fn forget_instance(&mut self, arn: &str) {
        self.instances.remove(arn);
        self.drop_tags(arn);
        self.live.remove(arn);
        self.owed.remove(arn);
        self.telemetry.forget_instance(arn);
        self.touch(Table::Instance, arn);
    }

    pub(crate) fn discover_poll_endpoint(&self) -> ecs::DiscoverPollEndpointResponse {
        ecs::DiscoverPollEndpointResponse {
            endpoint: Some(self.settings.acs_endpoint.clone()),
            telemetry_endpoint: Some(self.settings.telemetry_endpoint.clone()),
            service_connect_endpoint: Some(self.settings.service_connect_endpoint.clone()),
            system_logs_endpoint: None,
        }
    }
}

/// The failure for something that is not there.
pub(crate) fn missing(arn: String) -> ecs::Failure {
    ecs::Failure { arn: Some(arn), reason: Some("MISSING".into()), detail: None }
}

/// A resource with all its members, as descriptions have them.
pub(crate) fn full(resource: &ecs::Resource) -> ecs::Resource {
    ecs::Resource {
        double_value: Some(resource.double_value.unwrap_or(0.0)),
        long_value: Some(resource.long_value.unwrap_or(0)),
        integer_value: Some(resource.integer_value.unwrap_or(0)),
        ..resource.clone()
    }
}

/// The EC2 instance id in the identity document.
fn instance_id(request: &ecs::RegisterContainerInstanceRequest) -> Option<String> {
    let document: Value = serde_json::from_str(request.instance_identity_document.as_deref()?).ok()?;
    document.get("instanceId")?.as_str().map(str::to_owned)
}
