//! A task's story as the control plane heard it, in a form that two runs share: ids, times and free ports are named,
//! not shown.

use serde_json::Value;

/// A story of several changes: for each, the task's line, then one per container that it speaks of.
#[must_use]
pub fn render_all(changes: &[Value]) -> String {
    changes.iter().map(|change| render_head(change) + &render_containers(std::slice::from_ref(change))).collect()
}

/// How a story ended: the task's last line, then the last that was said of each container. In which change a
/// container's end is told is a race between the container and the reports.
#[must_use]
pub fn render_outcome(changes: &[Value]) -> String {
    changes.last().map(|last| render_head(last) + &render_containers(changes)).unwrap_or_default()
}

fn render_head(change: &Value) -> String {
    let mut line = text(&change["status"]).to_owned();
    let (begun, pulled, ended) = (&change["pullStartedAt"], &change["pullStoppedAt"], &change["executionStoppedAt"]);
    if begun.is_number() && pulled.is_number() {
        line.push_str(if begun.as_f64() <= pulled.as_f64() { " pulled" } else { " pulled-backwards" });
    }
    if ended.is_number() {
        line.push_str(if pulled.as_f64() <= ended.as_f64() { " ended" } else { " ended-before-pull" });
    }
    line + &reason(change) + "\n"
}

/// The furthest state of each container: a change may carry earlier ones too.
fn render_containers(changes: &[Value]) -> String {
    let mut furthest: Vec<&Value> = Vec::new();
    for container in changes.iter().flat_map(|change| change["containers"].as_array().into_iter().flatten()) {
        match furthest.iter_mut().find(|one| one["containerName"] == container["containerName"]) {
            Some(one) if rank(container) >= rank(one) => *one = container,
            Some(_) => {}
            None => furthest.push(container),
        }
    }
    let mut lines: Vec<String> = furthest.iter().map(|one| format!("  {}\n", render_container(one))).collect();
    lines.sort();
    lines.concat()
}

fn rank(container: &Value) -> u8 {
    match text(&container["status"]) {
        "STOPPED" => 2,
        "RUNNING" => 1,
        _ => 0,
    }
}

fn render_container(container: &Value) -> String {
    let mut line = format!("{} {}", text(&container["containerName"]), text(&container["status"]));
    if let Some(code) = container["exitCode"].as_i64() {
        line.push_str(&format!(" exit={code}"));
    }
    if text(&container["imageDigest"]).starts_with("sha256:") {
        line.push_str(" digest");
    }
    if text(&container["runtimeId"]).len() == 64 {
        line.push_str(" id");
    }
    for binding in container["networkBindings"].as_array().into_iter().flatten() {
        let host = match binding["hostPort"].as_i64() {
            Some(port) if port >= 32768 => "<dynamic>".to_owned(),
            Some(port) => port.to_string(),
            None => "?".to_owned(),
        };
        let (address, port) = (text(&binding["bindIP"]), &binding["containerPort"]);
        line.push_str(&format!(" {address}:{host}->{port}/{}", text(&binding["protocol"])));
    }
    line.push_str(&reason(container));
    line
}

fn reason(of: &Value) -> String {
    match text(&of["reason"]) {
        "" => String::new(),
        reason => format!(" \"{reason}\""),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
