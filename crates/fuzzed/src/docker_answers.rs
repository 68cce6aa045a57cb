//! What the Docker daemon answers and tells (spec 20 §3, §7).

use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::docker as shapes;

use crate::chosen;

/// `what\nbody`.
pub fn docker_answers(data: &[u8]) {
    let Some((kind, text)) = chosen(data) else { return };
    match kind {
        "event" => same_again::<shapes::Event>(text),
        "container" => same_again::<shapes::ContainerInspect>(text),
        "containers" => same_again::<Vec<shapes::ContainerSummary>>(text),
        "image" => same_again::<shapes::ImageInspect>(text),
        "images" => same_again::<Vec<shapes::ImageSummary>>(text),
        "stats" => same_again::<shapes::Stats>(text),
        "pull" => same_again::<shapes::PullMessage>(text),
        "distribution" => same_again::<shapes::DistributionInspect>(text),
        "network" => same_again::<shapes::Network>(text),
        "volumes" => same_again::<shapes::VolumeList>(text),
        "info" => same_again::<shapes::Info>(text),
        "version" => same_again::<shapes::Version>(text),
        _ => {}
    }
}

/// Readings are lenient and secrets are never written, so less is written than was read; but once written, it stays.
fn same_again<T: DeserializeOwned + Serialize>(text: &str) {
    let Ok(answer) = serde_json::from_str::<T>(text) else { return };
    let written = serde_json::to_string(&answer).expect("our own shapes can be written");
    let read: T = serde_json::from_str(&written).expect("what we write we read");
    assert_eq!(serde_json::to_string(&read).expect("a second time, too"), written);
}
