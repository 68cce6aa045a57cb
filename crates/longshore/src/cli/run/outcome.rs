//! How a task ended, as an exit code and a sentence.

use crate::local::report::{ContainerReport, TaskReport};

/// The end of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Outcome {
    /// The exit code of the first essential container that ended; 1 if it never ran.
    pub code: u8,
    pub text: String,
}

/// Events that are, or lead to, the end of a container.
const ENDS: [&str; 5] = ["exited", "failed", "start_failed", "dependency_failed", "vanished"];

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
            return Self { code: 1, text };
        };
        Self::of_container(container, task)
    }

    fn of_container(container: &ContainerReport, task: &TaskReport) -> Self {
        let name = &container.name;
        let reason = container.reason.as_ref().or(task.reason.as_ref()).map(|reason| format!(": {reason}"));
        match (container.started_at, container.exit_code) {
            (Some(_), Some(code)) => {
                let reason = container.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                // As a shell has it: the lowest eight bits, and never success for what was none.
                let low = u8::try_from(code & 0xff).unwrap_or(1);
                let code8 = if low == 0 && code != 0 { 1 } else { low };
                Self { code: code8, text: format!("{name} exited with code {code}{reason}") }
            }
            (Some(_), None) => {
                Self { code: 1, text: format!("{name} ended without an exit code{}", reason.unwrap_or_default()) }
            }
            (None, _) => Self { code: 1, text: format!("{name} never ran{}", reason.unwrap_or_default()) },
        }
    }
}
