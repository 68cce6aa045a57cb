//! Roles of tasks, the audit of their use, and the instance's own credentials (spec 40 §3.6).

use std::path::PathBuf;

use super::sources::Sources;

/// Credentials of tasks and of the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub task_roles: bool,
    /// Also for tasks on the host's network; needs `task_roles`.
    pub task_roles_host_network: bool,
    /// Task credentials through the metadata service's scanner.
    pub imds_task_roles: bool,
    /// Profile of the rotating credentials file.
    pub rotating_profile: String,
    /// Log of credentials requests; `None` when it is disabled.
    pub audit_log: Option<PathBuf>,
}

impl Credentials {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let audit_log =
            from.text("ECS_AUDIT_LOGFILE", "CredentialsAuditLogFile").unwrap_or_else(|| "/log/audit.log".to_owned());
        let audit_disabled = from.plain_bool("ECS_AUDIT_LOGFILE_DISABLED", "CredentialsAuditLogDisabled");
        Self {
            task_roles: from.boolean("ECS_ENABLE_TASK_IAM_ROLE", "TaskIAMRoleEnabled").unwrap_or(false),
            task_roles_host_network: from
                .plain_bool("ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST", "TaskIAMRoleEnabledForNetworkHost"),
            imds_task_roles: from.file_plain_bool("IMDSIAMRolesEnabled"),
            rotating_profile: from.env("ECS_ALTERNATE_CREDENTIAL_PROFILE").unwrap_or_else(|| "default".to_owned()),
            audit_log: (!audit_disabled).then(|| audit_log.into()),
        }
    }
}
