//! ARNs: building ours, and reading what callers write in their place.

use crate::Settings;

impl Settings {
    fn arn(&self, resource: &str) -> String {
        format!("arn:{}:ecs:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    pub(crate) fn cluster_arn(&self, name: &str) -> String {
        self.arn(&format!("cluster/{name}"))
    }

    pub(crate) fn definition_arn(&self, family: &str, revision: i64) -> String {
        self.arn(&format!("task-definition/{family}:{revision}"))
    }

    pub(crate) fn instance_arn(&self, cluster: &str, id: &str) -> String {
        self.arn(&format!("container-instance/{cluster}/{id}"))
    }

    pub(crate) fn task_arn(&self, cluster: &str, id: &str) -> String {
        self.arn(&format!("task/{cluster}/{id}"))
    }

    pub(crate) fn container_arn(&self, cluster: &str, task_id: &str, id: &str) -> String {
        self.arn(&format!("container/{cluster}/{task_id}/{id}"))
    }
}

/// The resource of an ARN after its kind: `a/b` of `arn:…:task/a/b`. Text that is no ARN is returned whole.
pub(crate) fn resource<'a>(text: &'a str, kind: &str) -> &'a str {
    if !text.starts_with("arn:") {
        return text;
    }
    let resource = text.splitn(6, ':').nth(5).unwrap_or(text);
    resource.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/')).unwrap_or(resource)
}

/// The last segment of an ARN or of a bare id.
pub(crate) fn id(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}
