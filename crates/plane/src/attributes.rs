//! Attributes that people give to container instances.

use serde_json::{Value, json};
use wire::ecs;

use crate::Plane;
use crate::error::Fault;
use crate::instance::Instance;
use crate::page::{ascending, page};
use crate::rows::Table;

impl Plane {
    fn attribute_target(&self, cluster: &str, attribute: &ecs::Attribute) -> Result<String, Fault> {
        let named = attribute.target_id.as_deref().unwrap_or("");
        let arn = self.instance_named(cluster, named);
        if self.instances.get(&arn).is_some_and(Instance::is_registered) {
            Ok(arn)
        } else {
            Err(Fault::other("TargetNotFoundException", format!("The target {named} was not found.")))
        }
    }

    pub(crate) fn put_attributes(&mut self, request: ecs::AttributesRequest) -> Result<Value, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        if request.attributes.is_empty() || request.attributes.len() > 10 {
            return Err(Fault::parameter("Between 1 and 10 attributes can be put at once."));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_/.\\".contains(c);
        let mut targets = Vec::new();
        for attribute in &request.attributes {
            if attribute.name.is_empty() || attribute.name.len() > 128 || !attribute.name.chars().all(legal) {
                return Err(Fault::parameter(format!("Invalid attribute name '{}'.", attribute.name)));
            }
            if attribute.value.as_ref().is_some_and(|value| value.len() > 128) {
                return Err(Fault::parameter(format!("The value of '{}' is too long.", attribute.name)));
            }
            targets.push(self.attribute_target(&cluster, attribute)?);
        }
        for (attribute, arn) in request.attributes.iter().zip(targets) {
            if let Some(instance) = self.instances.get_mut(&arn) {
                instance.attributes.insert(attribute.name.clone(), attribute.value.clone());
            }
            self.touch(Table::Instance, &arn);
        }
        Ok(json!({"attributes": request.attributes}))
    }

    pub(crate) fn delete_attributes(&mut self, request: &ecs::AttributesRequest) -> Result<Value, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        let mut deleted = Vec::new();
        for attribute in &request.attributes {
            let arn = self.attribute_target(&cluster, attribute)?;
            if let Some(instance) = self.instances.get_mut(&arn)
                && let Some(value) = instance.attributes.remove(&attribute.name)
            {
                deleted.push(ecs::Attribute { value, target_id: Some(arn.clone()), ..attribute.clone() });
                self.touch(Table::Instance, &arn);
            }
        }
        Ok(json!({"attributes": deleted}))
    }

    pub(crate) fn list_attributes(&self, request: &ecs::ListAttributesRequest) -> Result<Value, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        if request.target_type.as_deref() != Some("container-instance") {
            return Err(Fault::parameter("The targetType must be container-instance."));
        }
        // One key per entry, so that a page can begin anywhere: ARN and name, apart by a character that is in neither.
        let keys = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.cluster == cluster && instance.is_registered())
            .flat_map(|(arn, instance)| instance.attributes.iter().map(move |entry| (arn, entry)))
            .filter(|(_, (name, value))| {
                request.attribute_name.as_ref().is_none_or(|wanted| wanted == *name)
                    && request.attribute_value.as_ref().is_none_or(|wanted| value.as_ref() == Some(wanted))
            })
            .map(|(arn, (name, _))| format!("{arn} {name}"))
            .collect();
        let (keys, next) = page(keys, request.next_token.as_deref(), request.max_results, ascending)?;
        let attributes: Vec<ecs::Attribute> = keys
            .iter()
            .filter_map(|key| {
                let (arn, name) = key.split_once(' ')?;
                Some(ecs::Attribute {
                    name: name.to_owned(),
                    value: self.instances.get(arn)?.attributes.get(name)?.clone(),
                    target_type: None,
                    target_id: Some(arn.to_owned()),
                })
            })
            .collect();
        Ok(crate::api::listed("attributes", json!(attributes), next))
    }
}
