//! Devices, volumes and directory services (spec 40 §3.7).

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;

use super::sources::Sources;
use super::values::or_at_once;

/// Special hardware and storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Devices {
    pub gpu: bool,
    /// OCI runtime of containers with GPUs.
    pub nvidia_runtime: String,
    /// The `neuron` runtime for containers that ask for its devices.
    pub inferentia: bool,
    /// EBS volumes attached to tasks.
    pub ebs: bool,
    pub ebs_socket: PathBuf,
    pub ebs_stage_timeout: Duration,
    pub ebs_unstage_timeout: Duration,
    pub gmsa: Gmsa,
}

/// Group managed service accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gmsa {
    pub supported: bool,
    /// Socket of the credentials-fetcher daemon.
    pub socket: Option<PathBuf>,
    /// A secret for hosts outside the domain is named.
    pub has_domainless_secret: bool,
    pub domain_joined: bool,
    /// For tests: the domain is not checked.
    pub skip_domain_check: bool,
    /// For tests: the domainless daemon is not checked.
    pub skip_domainless_check: bool,
    /// For tests: the daemon is never called.
    pub skip_daemon: bool,
}

impl Devices {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let ebs_in_file = from.file_plain_bool("EBSTASupportEnabled");
        let text = |from: &mut Sources<'_>, key: &str, default: &str| {
            from.file_text(key).unwrap_or_else(|| default.to_owned())
        };
        Self {
            gpu: from.plain_bool("ECS_ENABLE_GPU_SUPPORT", "GPUSupportEnabled"),
            nvidia_runtime: from.trimmed("ECS_NVIDIA_RUNTIME", "NvidiaRuntime").unwrap_or_else(|| "nvidia".to_owned()),
            inferentia: from.plain_bool("ECS_ENABLE_INF_SUPPORT", "InferentiaSupportEnabled"),
            ebs: from.env_plain_bool("ECS_EBSTA_SUPPORTED", true) || ebs_in_file,
            ebs_socket: text(from, "CSIDriverSocketPath", "/var/run/ecs/ebs-csi-driver/csi-driver.sock").into(),
            ebs_stage_timeout: or_at_once(
                from.file_duration("NodeStageTimeout").unwrap_or(SignedDuration::from_secs(2)),
            ),
            ebs_unstage_timeout: or_at_once(
                from.file_duration("NodeUnstageTimeout").unwrap_or(SignedDuration::from_secs(30)),
            ),
            gmsa: Gmsa {
                supported: from.env_plain_bool("ECS_GMSA_SUPPORTED", false),
                socket: from.env("CREDENTIALS_FETCHER_HOST_DIR").map(PathBuf::from),
                has_domainless_secret: from.env("CREDENTIALS_FETCHER_SECRET_NAME_FOR_DOMAINLESS_GMSA").is_some(),
                domain_joined: from.env_plain_bool("ECS_DOMAIN_JOINED_LINUX_INSTANCE", false),
                skip_domain_check: from.env_plain_bool("ZZZ_SKIP_DOMAIN_JOIN_CHECK_NOT_SUPPORTED_IN_PRODUCTION", false),
                skip_domainless_check: from
                    .env_plain_bool("ZZZ_SKIP_DOMAIN_LESS_CHECK_NOT_SUPPORTED_IN_PRODUCTION", false),
                skip_daemon: from
                    .env_plain_bool("ZZZ_SKIP_CREDENTIALS_FETCHER_INVOCATION_CHECK_NOT_SUPPORTED_IN_PRODUCTION", false),
            },
        }
    }
}

impl Gmsa {
    /// Whether the domain-joined capability is offered. `exists` is false only for a path that is certainly absent.
    #[must_use]
    #[cfg_attr(not(test), expect(dead_code, reason = "the capability comes with credential specs"))]
    pub(crate) fn offers_domain_joined(&self, exists: impl Fn(&Path) -> bool) -> bool {
        self.supported
            && (self.skip_domain_check
                || (self.has_socket(exists) && (self.has_domainless_secret || self.domain_joined)))
    }

    /// Whether the domainless capability is offered.
    #[must_use]
    #[cfg_attr(not(test), expect(dead_code, reason = "the capability comes with credential specs"))]
    pub(crate) fn offers_domainless(&self, exists: impl Fn(&Path) -> bool) -> bool {
        self.supported && (self.skip_domainless_check || self.has_socket(exists))
    }

    fn has_socket(&self, exists: impl Fn(&Path) -> bool) -> bool {
        self.socket.as_deref().is_some_and(exists)
    }
}
