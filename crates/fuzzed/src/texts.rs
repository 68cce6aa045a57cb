//! Small texts: image references, ARNs, versions, durations, port lists, JSON in Go's manner.

use std::time::Duration;

use serde_json::Value;
use wire::docker::{ApiVersion, ImageReference};
use wire::gojson::{from_str, parse_duration, render_duration};
use wire::ids::{ImageRef, TaskArn};

/// Every reader gets the same text.
pub fn texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    image(text);
    assert!(text.ends_with(TaskArn::from(text).task_id().as_str()));
    if let Ok(version) = text.parse::<ApiVersion>() {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    if let Ok(duration) = parse_duration(text) {
        // They are summed in a float of 53 bits: after some days the last nanoseconds are not exact.
        let again = parse_duration(&render_duration(duration)).expect("what we write we read");
        assert!(again.abs_diff(duration) <= Duration::from_nanos(1 + duration.as_secs() / 100_000), "{text}");
    }
    if let Ok(value) = from_str::<Value>(text) {
        let written = wire::metadata::to_vec(&value).expect("a value can be written");
        let again: Value = serde_json::from_slice(&written).expect("what we write we read");
        // Go writes whole floats without a point, so the number's kind may change, but the text does not again.
        assert_eq!(wire::metadata::to_vec(&again).expect("a value can be written"), written);
    }
}

fn image(text: &str) {
    let reference = ImageRef::from(text);
    assert!(text.starts_with(reference.repository()));
    drop((reference.tag(), reference.digest(), reference.normalized_repository()));
    if let Ok(image) = text.parse::<ImageReference>() {
        assert_eq!(image.to_string().parse(), Ok(image.clone()), "{image}");
        assert!(image.full_name().starts_with(image.domain()));
        drop((image.tag_or_digest(), image.familiar_name()));
    }
}
