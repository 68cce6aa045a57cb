//! Why the way in is not there, and what people can do about it.

use host::netfilter::{NetfilterError, TASK_ADDRESS};

use super::super::ports::TASKS;

/// Why rules cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Netfilter(#[from] NetfilterError),
    #[error("{TASK_ADDRESS} leads to port {port}{}", by(.holder.as_deref()))]
    Taken { port: u16, holder: Option<String> },
    #[error("Docker has no default bridge, so instance metadata cannot be blocked on it")]
    NoBridge,
    #[error("the Docker Engine is not on this machine")]
    Elsewhere,
}

fn by(holder: Option<&str>) -> String {
    holder.map_or_else(|| ", where nobody of ours listens".to_owned(), |holder| format!(", where {holder} listens"))
}

impl Trouble {
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Netfilter(error) if error.is_denied())
    }

    /// One line: what does not work, why, and how to get it.
    pub(super) fn hint(&self, task_port: u16) -> String {
        let lost = format!("Containers cannot reach {TASK_ADDRESS} (task metadata and credentials)");
        match self {
            Self::NoBridge => format!("Containers can reach instance metadata: {self}."),
            Self::Netfilter(NetfilterError::NoTool { .. }) => {
                format!("{lost}: {self}. On Debian: sudo apt-get install iptables")
            }
            trouble if trouble.is_denied() && task_port == TASKS => {
                format!("{lost}: that takes root. Start with sudo, or once: sudo longshore init install")
            }
            trouble if trouble.is_denied() => format!("{lost}: that takes root. Start with sudo."),
            Self::Taken { holder: Some(_), .. } => format!("{lost}: {self}. Stop that one first."),
            _ => format!("{lost}: {self}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_one_line_with_a_way_out() {
        let no_tool = Trouble::from(NetfilterError::NoTool { wanted: "iptables" });
        assert_eq!(
            no_tool.hint(TASKS),
            "Containers cannot reach 169.254.170.2 (task metadata and credentials): iptables is not installed. \
             On Debian: sudo apt-get install iptables"
        );
        let denied = || NetfilterError::Setting {
            path: "/proc/sys/x".to_owned(),
            source: std::io::ErrorKind::PermissionDenied.into(),
        };
        assert!(Trouble::from(denied()).hint(TASKS).ends_with("or once: sudo longshore init install"));
        assert!(Trouble::from(denied()).hint(40000).ends_with("that takes root. Start with sudo."));
        let taken = Trouble::Taken { port: TASKS, holder: Some("process 7 (agent)".to_owned()) };
        assert!(
            taken.hint(40000).ends_with("leads to port 51679, where process 7 (agent) listens. Stop that one first.")
        );
    }
}
