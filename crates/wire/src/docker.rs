//! Docker Engine API bodies (spec 20 §7).
//!
//! Replies are read leniently: every member may be absent or `null`, unknown members are skipped, and unknown
//! enum values are kept as text. Create requests have no shape here: the payload itself carries Docker's JSON and
//! the engine lays its own members over it (spec 20 §4.1).

mod container;
mod event;
mod image;
mod lenient;
mod network;
mod reference;
mod stats;
mod system;
#[cfg(test)]
mod tests;
mod version;
mod volume;

pub use container::{
    ContainerConfig, ContainerInspect, ContainerState, ContainerStatus, ContainerSummary, Created, EndpointSettings,
    ExecCreated, ExecInspect, Health, HealthLog, HealthStatus, Healthcheck, HostConfig, LogConfig, MountPoint,
    NetworkSettings, PortBinding, PortSummary, TopReply,
};
pub use event::{Action, Actor, Event, EventType};
pub use image::{
    Descriptor, DistributionInspect, ErrorDetail, ImageConfig, ImageInspect, ImageSummary, ProgressDetail, PullMessage,
    RegistryAuth, RemovedImage,
};
pub use network::{Network, NetworkContainer};
pub use reference::{ImageReference, InvalidReference};
pub use stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, StorageStats,
    ThrottlingData,
};
pub use system::{Info, Plugin, PluginConfig, PluginInterface, PluginInterfaceType, Version};
pub use version::{ApiVersion, InvalidApiVersion};
pub use volume::{Volume, VolumeCreate, VolumeList};
