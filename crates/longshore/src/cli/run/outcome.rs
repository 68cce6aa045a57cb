//! How a task ended, as an exit code and a sentence.

use crate::local::report::{ContainerReport, TaskReport};

/// The end of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Outcome {
    /// The exit code of the first essential container that ended; 1 if it never ran.
    pub code: u8,
    pub text: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// Events that are, or lead to, the end of a container.
const ENDS: [&str; 4] = ["exited", "start_failed", "dependency_failed", "vanished"];

impl Outcome {
    pub(in crate::cli) fn of(task: &TaskReport) -> Self {
        let essential = |name: &str| task.own_containers().find(|c| c.is_essential && c.name == name);
        let first = task
            .history
            .iter()
            .filter(|moment| ENDS.contains(&moment.what.as_str()))
            .find_map(|moment| essential(moment.container.as_deref()?));
        let Some(container) = first.or_else(|| task.own_containers().find(|c| c.is_essential)) else {
            let text = task.reason.clone().unwrap_or_else(|| "the task ended without a word".to_owned());
            return Self { code: 1, text, advice: None };
        };
        let (code, text) = of_container(container, task);
        let advice = container.reason.as_deref().filter(|_| container.started_at.is_none());
        let advice = advice.and_then(|reason| advise(reason, &container.image));
        Self { code, text, advice }
    }
}

fn of_container(container: &ContainerReport, task: &TaskReport) -> (u8, String) {
    let name = &container.name;
    let own = container.reason.as_ref().map(|reason| format!(": {reason}"));
    let any = own.clone().or_else(|| task.reason.as_ref().map(|reason| format!(": {reason}"))).unwrap_or_default();
    match (container.started_at, container.exit_code) {
        (Some(_), Some(code)) => {
            // As a shell has it: the lowest eight bits, and never success for what was none.
            let low = u8::try_from(code & 0xff).unwrap_or(1);
            let low = if low == 0 && code != 0 { 1 } else { low };
            (low, format!("{name} exited with code {code}{}", own.unwrap_or_default()))
        }
        (Some(_), None) => (1, format!("{name} ended without an exit code{any}")),
        (None, _) => (1, format!("{name} never ran{any}")),
    }
}

/// What to do about the errors that people meet first.
pub(super) fn advise(reason: &str, image: &str) -> Option<String> {
    let has = |texts: &[&str]| texts.iter().any(|text| reason.contains(text));
    if has(&["address already in use", "port is already allocated"]) {
        let port = port_in(reason)?;
        let holder =
            host::listeners::who_listens(port).map(|holder| format!(" by process {} ({})", holder.pid, holder.command));
        let holder = holder.unwrap_or_default();
        return Some(format!("Port {port} is in use{holder}. With hostPort 0 any free port is taken."));
    }
    if has(&[
        "manifest unknown",
        "not found: manifest",
        "pull access denied",
        "repository does not exist",
        "No such image",
    ]) {
        return Some(format!(
            "There is no image {image} here, and its registry does not give it: look at the name, or `docker login`."
        ));
    }
    if has(&["executable file not found", "no such file or directory: unknown"]) {
        return Some(format!("The command is not in the image {image}: look at command and entryPoint."));
    }
    None
}

/// The port of an address such as `0.0.0.0:80` in a text.
fn port_in(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("0.0.0.0:")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
