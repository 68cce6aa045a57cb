//! The ECS API: operation by name, from JSON to JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wire::ecs::{EpochSeconds, without_nulls};

use crate::Plane;
use crate::error::Fault;
use crate::event::Step;

/// Operations of the API that have no place on one machine.
const UNSUPPORTED: &[&str] = &[
    "CreateCapacityProvider",
    "CreateService",
    "CreateTaskSet",
    "DeleteAccountSetting",
    "DeleteCapacityProvider",
    "DeleteService",
    "DeleteTaskSet",
    "DescribeServiceDeployments",
    "DescribeServiceRevisions",
    "DescribeTaskSets",
    "ExecuteCommand",
    "ListServiceDeployments",
    "ListServicesByNamespace",
    "PutAccountSetting",
    "PutAccountSettingDefault",
    "PutClusterCapacityProviders",
    "UpdateCapacityProvider",
    "UpdateCluster",
    "UpdateClusterSettings",
    "UpdateService",
    "UpdateServicePrimaryTaskSet",
    "UpdateTaskSet",
];

impl Plane {
    pub(crate) fn call(
        &mut self,
        now: EpochSeconds,
        operation: &str,
        body: Value,
        step: &mut Step,
    ) -> Result<Value, Fault> {
        if !body.is_object() {
            return Err(Fault::serialization("The body must be a JSON object."));
        }
        let body = without_nulls(body);
        match operation {
            "CreateCluster" => answer(self.create_cluster(parse(body)?)),
            "DescribeClusters" => answer(self.describe_clusters(&parse(body)?)),
            "ListClusters" => {
                let page: Paged = parse(body)?;
                self.list_clusters(page.next_token.as_deref(), page.max_results)
            }
            "DeleteCluster" => answer(self.delete_cluster(now, &parse(body)?)),

            "RegisterTaskDefinition" => answer(self.register_task_definition(now, body)),
            "DescribeTaskDefinition" => answer(self.describe_task_definition(&parse(body)?)),
            "ListTaskDefinitions" => self.list_task_definitions(&parse(body)?),
            "ListTaskDefinitionFamilies" => self.list_families(&parse(body)?),
            "DeregisterTaskDefinition" => answer(self.deregister_task_definition(now, &parse(body)?)),
            "DeleteTaskDefinitions" => {
                let request: Named = parse(body)?;
                self.delete_task_definitions(now, &request.task_definitions)
            }

            "RunTask" => answer(self.run_task(now, parse(body)?, step)),
            "StartTask" => answer(self.start_task(now, parse(body)?, step)),
            "StopTask" => answer(self.stop_task(now, &parse(body)?)),
            "DescribeTasks" => answer(self.describe_tasks(&parse(body)?)),
            "ListTasks" => self.list_tasks(&parse(body)?),
            "GetTaskProtection" => answer(self.get_task_protection(now, &parse(body)?)),
            "UpdateTaskProtection" => answer(self.update_task_protection(now, &parse(body)?)),

            "RegisterContainerInstance" => answer(self.register_instance(now, parse(body)?, step)),
            "DeregisterContainerInstance" => answer(self.deregister_instance(now, &parse(body)?, step)),
            "DescribeContainerInstances" => answer(self.describe_instances(&parse(body)?)),
            "ListContainerInstances" => self.list_instances(&parse(body)?),
            "UpdateContainerInstancesState" => answer(self.update_instances_state(&parse(body)?)),
            "UpdateContainerAgent" => Err(Fault::other(
                "NoUpdateAvailableException",
                "There is no update available for your container agent.",
            )),
            "DiscoverPollEndpoint" => answer(Ok(self.discover_poll_endpoint())),
            "PutAttributes" => self.put_attributes(parse(body)?),
            "DeleteAttributes" => self.delete_attributes(&parse(body)?),
            "ListAttributes" => self.list_attributes(&parse(body)?),

            "SubmitTaskStateChange" => self.submit_task_state_change(now, parse(body)?, step),
            "SubmitContainerStateChange" => Ok(self.submit_container_state_change(parse(body)?)),
            "SubmitAttachmentStateChanges" => Ok(self.submit_attachment_state_changes(&parse(body)?)),

            "TagResource" => self.tag_resource(&parse(body)?),
            "UntagResource" => self.untag_resource(&parse(body)?),
            "ListTagsForResource" => answer(self.list_tags(&parse(body)?)),

            // Tools ask for these before anything else; there are none.
            "ListServices" => Ok(json!({"serviceArns": []})),
            "DescribeServices" => {
                let request: Named = parse(body)?;
                let failure = |name: &String| json!({"arn": name, "reason": "MISSING"});
                let failures: Vec<Value> = request.services.iter().map(failure).collect();
                Ok(json!({"services": [], "failures": failures}))
            }
            "DescribeCapacityProviders" => Ok(json!({"capacityProviders": [], "failures": []})),
            "ListAccountSettings" => Ok(json!({"settings": []})),

            other if UNSUPPORTED.contains(&other) => Err(Fault::unsupported(other)),
            other => Err(Fault::unknown_operation(other)),
        }
    }
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Paged {
    next_token: Option<String>,
    max_results: Option<i64>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Named {
    task_definitions: Vec<String>,
    services: Vec<String>,
}

/// Reads a request, whose nulls [`Plane::call`] has taken out.
pub(crate) fn parse<T: DeserializeOwned>(body: Value) -> Result<T, Fault> {
    serde_json::from_value(body).map_err(|error| Fault::serialization(error.to_string()))
}

pub(crate) fn answer<T: Serialize>(result: Result<T, Fault>) -> Result<Value, Fault> {
    serde_json::to_value(result?).map_err(|error| Fault::server(error.to_string()))
}

/// The answer of a list operation.
pub(crate) fn listed(member: &str, list: Value, next: Option<String>) -> Value {
    let mut answer = json!({ member: list });
    if let Some(next) = next
        && let Value::Object(members) = &mut answer
    {
        members.insert("nextToken".to_owned(), json!(next));
    }
    answer
}
