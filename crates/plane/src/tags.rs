//! Tags of clusters, task definitions, container instances and tasks.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wire::ecs;

use crate::Plane;
use crate::error::Fault;
use crate::rows::Table;

const TAGS_MAX: usize = 50;

impl Plane {
    pub(crate) fn tags_of(&self, arn: &str) -> Vec<ecs::Tag> {
        self.tags.get(arn).map_or_else(Vec::new, |tags| {
            tags.iter().map(|(key, value)| ecs::Tag { key: key.clone(), value: value.clone() }).collect()
        })
    }

    /// Checks tags before anything is created with them.
    pub(crate) fn check_tags(tags: &[ecs::Tag]) -> Result<(), Fault> {
        if tags.len() > TAGS_MAX {
            return Err(Fault::parameter(format!("A resource can have at most {TAGS_MAX} tags.")));
        }
        for tag in tags {
            if tag.key.is_empty() || tag.key.chars().count() > 128 {
                return Err(Fault::parameter("A tag's key must have 1 to 128 characters."));
            }
            if tag.value.chars().count() > 256 {
                return Err(Fault::parameter("A tag's value must have at most 256 characters."));
            }
            if tag.key.to_ascii_lowercase().starts_with("aws:") {
                return Err(Fault::parameter("A tag's key must not start with aws:."));
            }
        }
        Ok(())
    }

    pub(crate) fn add_tags(&mut self, arn: &str, tags: &[ecs::Tag]) {
        if tags.is_empty() {
            return;
        }
        let present = self.tags.entry(arn.to_owned()).or_default();
        present.extend(tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
        self.touch(Table::Tags, arn);
    }

    pub(crate) fn drop_tags(&mut self, arn: &str) {
        if self.tags.remove(arn).is_some() {
            self.touch(Table::Tags, arn);
        }
    }

    fn taggable(&self, arn: &str) -> Result<(), Fault> {
        if !arn.starts_with("arn:") {
            return Err(Fault::parameter("The resourceArn is not an ARN."));
        }
        let known = self.tasks.contains_key(arn)
            || self.instances.contains_key(arn)
            || self.clusters.keys().any(|name| self.settings.cluster_arn(name) == arn)
            || self.definitions.keys().any(|(f, r)| self.settings.definition_arn(f, *r) == arn);
        known
            .then_some(())
            .ok_or_else(|| Fault::parameter("The specified resource is not found. Verify the ARN and try again."))
    }

    pub(crate) fn tag_resource(&mut self, request: &ecs::TagResourceRequest) -> Result<Value, Fault> {
        self.taggable(&request.resource_arn)?;
        Self::check_tags(&request.tags)?;
        let mut after: BTreeMap<_, _> = self.tags.get(&request.resource_arn).cloned().unwrap_or_default();
        after.extend(request.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
        if after.len() > TAGS_MAX {
            return Err(Fault::parameter(format!("A resource can have at most {TAGS_MAX} tags.")));
        }
        self.add_tags(&request.resource_arn, &request.tags);
        Ok(json!({}))
    }

    pub(crate) fn untag_resource(&mut self, request: &ecs::UntagResourceRequest) -> Result<Value, Fault> {
        self.taggable(&request.resource_arn)?;
        if let Some(tags) = self.tags.get_mut(&request.resource_arn) {
            tags.retain(|key, _| !request.tag_keys.contains(key));
            if tags.is_empty() {
                self.tags.remove(&request.resource_arn);
            }
            self.touch(Table::Tags, &request.resource_arn);
        }
        Ok(json!({}))
    }

    pub(crate) fn list_tags(
        &self,
        request: &ecs::ListTagsForResourceRequest,
    ) -> Result<ecs::ListTagsForResourceResponse, Fault> {
        self.taggable(&request.resource_arn)?;
        Ok(ecs::ListTagsForResourceResponse { tags: self.tags_of(&request.resource_arn) })
    }
}
