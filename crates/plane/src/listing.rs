//! Finding tasks: DescribeTasks and ListTasks.

use serde_json::{Value, json};
use wire::ecs;

use crate::Plane;
use crate::error::Fault;
use crate::instance::missing;
use crate::page::{ascending, page};

impl Plane {
    pub(crate) fn describe_tasks(&self, request: &ecs::DescribeTasksRequest) -> Result<ecs::TasksResponse, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        if request.tasks.is_empty() {
            return Err(Fault::parameter("Tasks cannot be empty."));
        }
        if request.tasks.len() > 100 {
            return Err(Fault::parameter("At most 100 tasks can be described at once."));
        }
        let tags = request.include.iter().flatten().any(|field| field == "TAGS");
        let mut response = ecs::TasksResponse::default();
        for named in &request.tasks {
            let arn = self.task_named(&cluster, named);
            let here = self.tasks.get(&arn).is_some_and(|task| task.cluster == cluster);
            match self.described_task(&arn, tags).filter(|_| here) {
                Some(task) => response.tasks.push(task),
                None => response.failures.push(missing(arn)),
            }
        }
        Ok(response)
    }

    pub(crate) fn list_tasks(&self, request: &ecs::ListTasksRequest) -> Result<Value, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        if request.service_name.is_some() {
            return Err(Fault::other("ServiceNotFoundException", "Service not found."));
        }
        let desired = request.desired_status.as_deref().unwrap_or("RUNNING");
        if !matches!(desired, "RUNNING" | "PENDING" | "STOPPED") {
            return Err(Fault::parameter("desiredStatus must be RUNNING, PENDING or STOPPED."));
        }
        let instance = request.container_instance.as_deref().map(|named| self.instance_named(&cluster, named));
        let is =
            |wanted: &Option<String>, value: Option<&str>| wanted.as_deref().is_none_or(|wanted| value == Some(wanted));
        let arns = self
            .tasks
            .iter()
            .filter(|(_, task)| {
                task.cluster == cluster
                    && task.desired.name() == desired
                    && is(&instance, Some(&task.instance))
                    && is(&request.family, Some(&task.family))
                    && is(&request.started_by, task.shape.started_by.as_deref())
                    && is(&request.launch_type, task.shape.launch_type.as_deref())
            })
            .map(|(arn, _)| arn.clone())
            .collect();
        let (arns, next) = page(arns, request.next_token.as_deref(), request.max_results, ascending)?;
        Ok(crate::api::listed("taskArns", json!(arns), next))
    }
}
