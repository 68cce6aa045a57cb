//! What the control plane answers to calls, and what agents publish to it (spec 10 §1, §4, §5).

use engine::EngineConfig;
use engine::session::{acs_url, tcs_url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wire::ecs::{self, without_nulls};
use wire::ids::ContainerInstanceArn;

use crate::chosen;

/// `operation\nbody`: as the agent reads it, nulls taken out first.
pub fn answers(data: &[u8]) {
    let Some((kind, text)) = chosen(data) else { return };
    match kind {
        "RegisterContainerInstance" => drop(answer::<ecs::ContainerInstanceResponse>(text)),
        "SubmitTaskStateChange" => drop(answer::<ecs::SubmitStateChangeResponse>(text)),
        "TaskProtection" => drop(answer::<ecs::TaskProtectionResponse>(text)),
        "CreateCluster" => drop(answer::<ecs::ClusterResponse>(text)),
        "UpdateContainerInstancesState" => drop(answer::<ecs::ContainerInstancesResponse>(text)),
        "DescribeTasks" => drop(answer::<ecs::TasksResponse>(text)),
        "DescribeTaskDefinition" => drop(answer::<ecs::TaskDefinitionResponse>(text)),
        "DiscoverPollEndpoint" => {
            if let Some(found) = answer::<ecs::DiscoverPollEndpointResponse>(text) {
                let config = EngineConfig::default();
                let arn = ContainerInstanceArn::from("arn:aws:ecs:us-west-2:1:container-instance/c/i");
                if let Some(endpoint) = &found.telemetry_endpoint {
                    drop(tcs_url(endpoint, &config, &arn));
                }
                if let Some(endpoint) = &found.endpoint {
                    drop(acs_url(endpoint, &config, &arn, true));
                }
            }
        }
        "telemetry" => {
            let _ = wire::tcs::is_activity(text);
            if let Ok(publish) = serde_json::from_str::<wire::tcs::Publish>(text) {
                same_again(&publish);
            }
        }
        _ => {}
    }
}

fn answer<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(text: &str) -> Option<T> {
    let value: Value = serde_json::from_str(text).ok()?;
    let answer: T = serde_json::from_value(without_nulls(value)).ok()?;
    same_again(&answer);
    Some(answer)
}

fn same_again<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(answer: &T) {
    let written = serde_json::to_string(answer).expect("our own shapes can be written");
    let read: T = serde_json::from_str(&written).expect("what we write we read");
    assert_eq!(&read, answer, "{written}");
}
