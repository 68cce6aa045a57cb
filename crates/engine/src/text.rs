//! Exact texts that users see, and how they are cut (spec 20 §3.6, spec 10 §4.4).

use std::collections::BTreeMap;
use std::time::Duration;

use wire::gojson::render_duration;

/// A task that could not be read (the misspelling is on the wire, spec 10 trap 18).
pub fn unreadable_task(cause: &str) -> String {
    format!("UnrecogniedTaskError: Error loading task - {cause}")
}

/// A task whose containers wait for each other in a circle, or for nobody.
pub fn unresolvable_dependencies(arn: &str) -> String {
    format!("Task dependencies cannot be resolved, taskArn: {arn}")
}

/// A task that could not be set up at admission.
pub fn resource_initialization(arn: &str, cause: &str) -> String {
    format!("resource cannot be initialized for task {arn}: {cause}")
}

/// A task that must stop and cannot.
pub const NO_PROGRESS: &str = "TaskStateError: Agent could not progress task's state to stopped";

/// A task whose cgroup could not be made (spec 20 §11.5).
pub const CGROUP_FAILED: &str = "CgroupError: Agent could not create task's platform resources";

/// A task whose volume could not be made, where the Engine does not say why.
pub const VOLUME_FAILED: &str = "VolumeError: Agent could not create task's volume resources";

/// A shared volume that must be there (spec 50 §11.3).
pub fn volume_missing(name: &str, cause: &str) -> String {
    format!(
        "initialize volume: volume detection failed, volume '{name}' does not exist and autoprovision is set to false: {cause}"
    )
}

/// A shared volume with other labels than the task's (the misspelling is on the wire, spec 50 §11.3).
pub fn volume_labels_differ(found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> String {
    format!(
        "intialize volume: non-autoprovisioned volume does not match existing volume labels: existing: {}, expected: {}",
        render_map(found),
        render_map(wanted)
    )
}

/// A shared volume with other options of its driver than the task's.
pub fn volume_options_differ(found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> String {
    format!(
        "initialize volume: non-autoprovisioned volume does not match existing volume options: existing: {}, expected: {}",
        render_map(found),
        render_map(wanted)
    )
}

/// As the reference prints a map.
fn render_map(map: &BTreeMap<String, String>) -> String {
    let members: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    format!("map[{}]", members.join(" "))
}

/// A task that needs the image which the agent brings along, and which the Engine does not take.
pub fn pause_image(cause: &str) -> String {
    format!("PauseImageError: Agent could not load the image for shared namespaces: {cause}")
}

pub const OUT_OF_MEMORY: &str = "Container killed due to memory usage";
pub const VANISHED: &str = "No container matching saved ID found";

/// A call whose deadline passed.
pub fn timed_out(what: &str, after: Duration) -> String {
    format!("Could not transition to {what}; timed out after waiting {}", render_duration(after))
}

/// A task that was told to stop while a pull of its stood in line.
pub fn stopped_before_pull(arn: &str) -> String {
    format!("Task stopped before image pull could begin for task: {arn}")
}

/// A failed pull's text: ECR's layer addresses hidden, a hint put in front where the cause is known (spec 20 §5.5).
pub fn pull_failure(text: &str, image: &str) -> String {
    let text = redact_layer_address(text, image);
    let hint = if text.contains("is not authorized to perform: ecr:BatchGetImage on resource")
        && text.contains("denied: User: ")
    {
        "The task can\u{2019}t pull the image. Check that the role has the permissions to pull images from the registry. "
    } else if text.contains("denied: requested access to the resource is denied") {
        "The task can\u{2019}t pull the image. Check whether the image exists. "
    } else if text.contains("request canceled while waiting for connection") {
        "The task can\u{2019}t pull the image. Check your network configuration. "
    } else {
        ""
    };
    format!("{hint}{text}")
}

fn redact_layer_address(text: &str, image: &str) -> String {
    if !text.contains("starport-layer-bucket") {
        return text.to_owned();
    }
    text.split_inclusive(char::is_whitespace)
        .map(|word| match word.find("https") {
            Some(at) if word.contains("starport-layer-bucket") => {
                let begin = if word[..at].ends_with('"') { at - 1 } else { at };
                let tail: String = word.chars().rev().take_while(|c| c.is_whitespace()).collect();
                format!("{}REDACTED ECR URL related to {image}{tail}", &word[..begin])
            }
            _ => word.to_owned(),
        })
        .collect()
}

/// The beginning of a text, at most `limit` bytes, cut at a character (spec 10 trap 33).
pub fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A terminal reason as it is sent: first word capitalised, white space folded (spec 20 trap 9).
pub fn terminal_reason(text: &str) -> String {
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = folded.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => folded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }

    #[test]
    fn terminal_reasons_are_tidied() {
        assert_eq!(terminal_reason("fetching  secret\n data"), "Fetching secret data");
    }

    #[test]
    fn a_failed_pull_hides_addresses_and_gives_a_hint() {
        assert_eq!(
            pull_failure(r#"Get "https://prod-us-starport-layer-bucket.s3.amazonaws.com/x?sig=1": dial tcp"#, "i:1"),
            "Get REDACTED ECR URL related to i:1 dial tcp"
        );
        assert_eq!(
            pull_failure("denied: requested access to the resource is denied", "i"),
            "The task can\u{2019}t pull the image. Check whether the image exists. denied: requested access to the resource is denied"
        );
        assert_eq!(pull_failure("no such host", "i"), "no such host");
    }

    #[test]
    fn time_outs_print_as_the_reference_does() {
        assert_eq!(
            timed_out("created", Duration::from_secs(240)),
            "Could not transition to created; timed out after waiting 4m0s"
        );
    }
}
