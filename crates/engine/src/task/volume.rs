//! A task's volumes: directories of the host, and volumes that the Engine manages (spec 20 §4.5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::effect::EffectId;
use crate::time::Mono;

/// A volume as the payload defines it, with the name drawn for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeDefinition {
    pub name: String,
    pub kind: VolumeKind,
}

/// Where a volume comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeKind {
    Host(HostSource),
    /// Managed by the Engine under `docker_name`.
    Docker {
        docker_name: String,
        /// Lives beyond the task.
        is_shared: bool,
        /// A shared volume that is made when it is missing.
        is_autoprovisioned: bool,
        driver: String,
        options: BTreeMap<String, String>,
        labels: BTreeMap<String, String>,
    },
}

/// A directory of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSource {
    pub path: String,
}

impl Default for VolumeKind {
    fn default() -> Self {
        Self::Host(HostSource::default())
    }
}

/// How far a volume that the Engine manages is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum VolumeState {
    #[default]
    None,
    Created,
    Removed,
}

/// A volume and what is under way for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volume {
    pub definition: VolumeDefinition,
    pub state: VolumeState,
    pub work: Option<EffectId>,
    /// Whether the Engine was asked to make it, rather than to look for it.
    pub is_create_asked: bool,
    pub removal: VolumeRemoval,
    /// Whether an earlier process may have asked for it without hearing the answer.
    pub may_be_in_the_making: bool,
}

/// How often its removal was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VolumeRemoval {
    pub attempt: u32,
    /// When it is tried again.
    pub pause_until: Option<Mono>,
}

impl Volume {
    /// What a bind names: a path or a volume's name.
    pub fn source(&self) -> &str {
        self.definition.source()
    }
}

impl VolumeDefinition {
    /// What a bind names: a path or a volume's name.
    pub fn source(&self) -> &str {
        match &self.kind {
            VolumeKind::Host(host) => &host.path,
            VolumeKind::Docker { docker_name, .. } => docker_name,
        }
    }

    /// Whether the Engine must be asked for it before a container can use it.
    pub const fn is_managed(&self) -> bool {
        matches!(self.kind, VolumeKind::Docker { .. })
    }
}
