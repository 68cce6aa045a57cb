//! Task definitions: families, revisions, and the operations on them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wire::ecs::{self, EpochSeconds, TaskDefinition};

use crate::error::Fault;
use crate::page::{anywhere, ascending, page};
use crate::rows::Table;
use crate::{Plane, ProblemKind, arn, requirements, validate};

/// A registered revision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) shape: TaskDefinition,
}

impl Definition {
    pub(crate) fn is_active(&self) -> bool {
        self.shape.status == "ACTIVE"
    }
}

fn row_key(family: &str, revision: i64) -> String {
    format!("{family}:{revision}")
}

impl Plane {
    pub(crate) fn register_task_definition(
        &mut self,
        now: EpochSeconds,
        body: Value,
    ) -> Result<ecs::TaskDefinitionResponse, Fault> {
        let mut problems = validate::validate_task_definition(&body);
        problems.retain(|problem| problem.kind != ProblemKind::UnknownMember);
        if let Some(problem) = problems.first() {
            return Err(match problem.kind {
                ProblemKind::WrongType => Fault::serialization(problem.to_string()),
                ProblemKind::Invalid | ProblemKind::UnknownMember => Fault::client(problem.to_string()),
            });
        }
        let request: ecs::RegisterTaskDefinitionRequest = crate::api::parse(body)?;
        let tags = request.tags.clone().unwrap_or_default();
        Self::check_tags(&tags)?;
        let revision = self.families.get(&request.family).copied().unwrap_or(0) + 1;
        let shape = self.new_definition(now, request, revision);
        let family = shape.family.clone();
        self.families.insert(family.clone(), revision);
        self.touch(Table::Family, &family);
        self.touch(Table::Definition, &row_key(&family, revision));
        self.add_tags(&shape.task_definition_arn, &tags);
        self.definitions.insert((family, revision), Definition { shape: shape.clone() });
        Ok(ecs::TaskDefinitionResponse { task_definition: shape, tags: Some(tags) })
    }

    fn new_definition(
        &self,
        now: EpochSeconds,
        request: ecs::RegisterTaskDefinitionRequest,
        revision: i64,
    ) -> TaskDefinition {
        let mut containers = request.container_definitions;
        for container in &mut containers {
            container.essential.get_or_insert(true);
            for mapping in &mut container.port_mappings {
                mapping.protocol.get_or_insert_with(|| "tcp".to_owned());
                if mapping.container_port.is_some() {
                    mapping.host_port.get_or_insert(match request.network_mode.as_deref() {
                        Some("host" | "awsvpc") => mapping.container_port.unwrap_or(0),
                        _ => 0,
                    });
                }
            }
            if let Some(check) = &mut container.health_check {
                check.interval.get_or_insert(30);
                check.timeout.get_or_insert(5);
                check.retries.get_or_insert(3);
            }
        }
        let awsvpc = request.network_mode.as_deref() == Some("awsvpc");
        let mut shape = TaskDefinition {
            task_definition_arn: self.settings.definition_arn(&request.family, revision),
            container_definitions: containers,
            family: request.family,
            task_role_arn: request.task_role_arn.filter(|role| !role.is_empty()),
            execution_role_arn: request.execution_role_arn.filter(|role| !role.is_empty()),
            network_mode: request.network_mode,
            revision,
            volumes: request.volumes,
            status: "ACTIVE".to_owned(),
            placement_constraints: request.placement_constraints,
            compatibilities: match awsvpc {
                true => vec!["EC2".into(), "FARGATE".into()],
                false => vec!["EXTERNAL".into(), "EC2".into()],
            },
            runtime_platform: request.runtime_platform,
            requires_compatibilities: request.requires_compatibilities,
            cpu: request.cpu.as_deref().and_then(validate::cpu_units).map(|units| units.to_string()),
            memory: request.memory.as_deref().and_then(validate::memory_mib).map(|mib| mib.to_string()),
            inference_accelerators: request.inference_accelerators,
            pid_mode: request.pid_mode,
            ipc_mode: request.ipc_mode,
            proxy_configuration: request.proxy_configuration,
            registered_at: Some(now),
            registered_by: Some(format!("arn:{}:iam::{}:root", self.settings.partition, self.settings.account)),
            ephemeral_storage: request.ephemeral_storage,
            enable_fault_injection: request.enable_fault_injection,
            ..TaskDefinition::default()
        };
        shape.requires_attributes = requirements::required_attributes(&shape);
        shape
    }

    /// Finds `family`, `family:revision` or an ARN; a bare family means its newest active revision.
    pub(crate) fn find_definition(&self, named: &str) -> Option<&Definition> {
        let name = arn::resource(named, "task-definition");
        match name.split_once(':') {
            Some((family, revision)) => self.definitions.get(&(family.to_owned(), revision.parse().ok()?)),
            None => self.revisions(name).rev().find(|definition| definition.is_active()),
        }
    }

    fn revisions(&self, family: &str) -> impl DoubleEndedIterator<Item = &Definition> {
        let range = (family.to_owned(), i64::MIN)..=(family.to_owned(), i64::MAX);
        self.definitions.range(range).map(|(_, definition)| definition)
    }

    pub(crate) fn describe_task_definition(
        &self,
        request: &ecs::TaskDefinitionRequest,
    ) -> Result<ecs::TaskDefinitionResponse, Fault> {
        let found = self
            .find_definition(&request.task_definition)
            .ok_or_else(|| Fault::client("Unable to describe task definition."))?;
        let tags = request
            .include
            .iter()
            .flatten()
            .any(|field| field == "TAGS")
            .then(|| self.tags_of(&found.shape.task_definition_arn));
        Ok(ecs::TaskDefinitionResponse { task_definition: found.shape.clone(), tags })
    }

    pub(crate) fn deregister_task_definition(
        &mut self,
        now: EpochSeconds,
        request: &ecs::TaskDefinitionRequest,
    ) -> Result<ecs::TaskDefinitionResponse, Fault> {
        let name = arn::resource(&request.task_definition, "task-definition");
        let key =
            crate::rows::definition_key(name).ok_or_else(|| Fault::client("Invalid revision number. Number: null"))?;
        let definition =
            self.definitions.get_mut(&key).ok_or_else(|| Fault::client("Unable to describe task definition."))?;
        if definition.is_active() {
            definition.shape.status = "INACTIVE".to_owned();
            definition.shape.deregistered_at = Some(now);
        }
        let task_definition = definition.shape.clone();
        self.touch(Table::Definition, name);
        Ok(ecs::TaskDefinitionResponse { task_definition, tags: None })
    }

    /// Deletes inactive revisions. A task keeps what it needs of its definition, so none holds one back.
    pub(crate) fn delete_task_definitions(&mut self, now: EpochSeconds, named: &[String]) -> Result<Value, Fault> {
        if named.is_empty() || named.len() > 10 {
            return Err(Fault::parameter("Between 1 and 10 task definitions can be deleted at once."));
        }
        let (mut deleted, mut failures) = (Vec::new(), Vec::new());
        for text in named {
            let name = arn::resource(text, "task-definition");
            let key = crate::rows::definition_key(name);
            let status = key.as_ref().and_then(|key| self.definitions.get(key)).map(Definition::is_active);
            let failure = |reason: &str| {
                json!({"arn": text, "reason": reason,
                       "detail": "Specify an inactive task definition with its revision."})
            };
            match (key, status) {
                (Some(key), Some(false)) => {
                    if let Some(mut definition) = self.definitions.remove(&key) {
                        definition.shape.status = "DELETE_IN_PROGRESS".to_owned();
                        definition.shape.delete_requested_at = Some(now);
                        self.drop_tags(&definition.shape.task_definition_arn);
                        deleted.push(json!(definition.shape));
                    }
                    self.touch(Table::Definition, name);
                }
                (_, Some(true)) => failures.push(failure("ACTIVE")),
                _ => failures.push(failure("MISSING")),
            }
        }
        Ok(json!({"taskDefinitions": deleted, "failures": failures}))
    }

    pub(crate) fn list_task_definitions(&self, request: &ListDefinitions) -> Result<Value, Fault> {
        let status = request.status.as_deref().unwrap_or("ACTIVE");
        let mut arns: Vec<String> = self
            .definitions
            .values()
            .filter(|definition| definition.shape.status == status)
            .filter(|definition| request.family_prefix.as_ref().is_none_or(|prefix| definition.shape.family == *prefix))
            .map(|definition| definition.shape.task_definition_arn.clone())
            .collect();
        if request.sort.as_deref() == Some("DESC") {
            arns.reverse();
        }
        let (arns, next) = page(arns, request.next_token.as_deref(), request.max_results, anywhere)?;
        Ok(crate::api::listed("taskDefinitionArns", json!(arns), next))
    }

    pub(crate) fn list_families(&self, request: &ListDefinitions) -> Result<Value, Fault> {
        let prefix = request.family_prefix.as_deref().unwrap_or("");
        let status = request.status.as_deref().unwrap_or("ALL");
        let families = self
            .families
            .keys()
            .filter(|family| family.starts_with(prefix))
            .filter(|family| {
                let active = self.revisions(family).any(Definition::is_active);
                status == "ALL" || active == (status == "ACTIVE")
            })
            .cloned()
            .collect();
        let (families, next) = page(families, request.next_token.as_deref(), request.max_results, ascending)?;
        Ok(crate::api::listed("families", json!(families), next))
    }
}

/// ListTaskDefinitions and ListTaskDefinitionFamilies: the request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ListDefinitions {
    family_prefix: Option<String>,
    status: Option<String>,
    sort: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}
