//! Who the instance is: cluster, region, endpoint, attributes, tags (spec 40 §3.1).

use std::collections::BTreeMap;

use super::sources::Sources;

/// Who the instance is and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `None`: the agent registers into `default` and may create it.
    pub cluster: Option<String>,
    /// Base URL of the ECS API instead of the region's; dual-stack and FIPS choices then do not apply.
    pub endpoint: Option<String>,
    pub region: String,
    /// Not on EC2: no metadata service, other capabilities.
    pub external: bool,
    /// The instance identity document may be used.
    pub(crate) use_identity_document: bool,
    pub ip: IpCompatibility,
    /// The kernel runs in FIPS mode; S3 and Service Connect endpoints depend on it.
    pub fips: bool,
    /// Sent at the first registration only.
    pub attributes: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// Tags of the EC2 instance are registered too.
    pub propagate_ec2_tags: bool,
    /// Registered verbatim; empty is omitted.
    pub os_family: String,
    pub wait_for_warm_pool: bool,
    pub spot_draining: bool,
    /// The availability zone is left out of task metadata.
    pub hide_zone: bool,
}

/// Which addresses the instance reaches the world with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IpCompatibility {
    pub ipv4: bool,
    pub ipv6: bool,
}

impl IpCompatibility {
    const IPV4_ONLY: Self = Self { ipv4: true, ipv6: false };
    const IPV6_ONLY: Self = Self { ipv4: false, ipv6: true };

    /// Every AWS client then takes dual-stack endpoints.
    #[must_use]
    pub(crate) const fn is_ipv6_only(self) -> bool {
        self.ipv6 && !self.ipv4
    }

    fn read(from: &mut Sources<'_>) -> Self {
        const VARIABLE: &str = "ECS_INSTANCE_IP_COMPATIBILITY";
        // The reference takes an object here and ignores it; anything else is of the wrong type.
        let _: Option<()> = from.file("InstanceIPCompatibility", "left out", |value| value.is_object().then_some(None));
        match from.env(VARIABLE).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
            Some("ipv4") => return Self::IPV4_ONLY,
            Some("ipv6") => return Self::IPV6_ONLY,
            Some(other) => {
                from.warn(format!("Invalid value for {VARIABLE}: expected ipv4 or ipv6, got {other:?}; detecting"))
            }
            None => {}
        }
        match from.read_file("/proc/net/route") {
            Ok(routes) => Self {
                ipv4: has_ipv4_gateway(&routes),
                // The table is absent where the kernel has no IPv6.
                ipv6: from.read_file("/proc/net/ipv6_route").is_ok_and(|routes| has_ipv6_gateway(&routes)),
            },
            Err(error) => {
                from.warn(format!("Cannot read the routes of this machine, taking it as IPv4 only: {error}"));
                Self::IPV4_ONLY
            }
        }
    }
}

/// A default route with a gateway in `/proc/net/route`: interface, destination, gateway, flags, ..., mask.
fn has_ipv4_gateway(routes: &str) -> bool {
    routes.lines().skip(1).any(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        matches!(columns[..], [_, "00000000", gateway, _, _, _, _, "00000000", ..] if gateway != "00000000")
    })
}

/// A default route with a gateway in `/proc/net/ipv6_route`: destination, length, source, length, next hop, ...
fn has_ipv6_gateway(routes: &str) -> bool {
    let is_zero = |address: &str| address.bytes().all(|byte| byte == b'0');
    routes.lines().any(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        matches!(columns[..], [destination, "00", _, _, gateway, ..] if is_zero(destination) && !is_zero(gateway))
    })
}

impl Identity {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let cluster = from.trimmed("ECS_CLUSTER", "Cluster");
        let former_key = from.file_text("ClusterArn");
        if former_key.is_some() {
            from.warn("ClusterArn in the configuration file is deprecated; use Cluster".to_owned());
        }
        let endpoint = from.trimmed("ECS_BACKEND_HOST", "APIEndpoint").map(|endpoint| {
            let complete = endpoint.starts_with("http://") || endpoint.starts_with("https://");
            if complete { endpoint } else { format!("https://{endpoint}") }
        });
        let region = from
            .text("AWS_DEFAULT_REGION", "AWSRegion")
            .or_else(|| from.metadata_region().map(str::to_owned))
            .map(|region| region.trim().to_owned())
            .unwrap_or_default();
        let external_in_file = from.file_bool("External").unwrap_or(false);
        let no_document = from.file_plain_bool("NoIID");
        let propagate_in_file = from.file("ContainerInstancePropagateTagsFrom", "an integer", |value| {
            value.as_i64().map(|number| (number != 0).then_some(number))
        });
        let propagate_in_environment =
            from.env("ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM").is_some_and(|source| source == "ec2_instance");
        // A `false` in the environment is a value, but the variable was read, and warned of, before the file.
        let external = from.external() || (external_in_file && !environment_denies_external(from));
        Self {
            cluster: cluster.or(former_key.map(|arn| arn.trim().to_owned()).filter(|arn| !arn.is_empty())),
            endpoint,
            region,
            external,
            use_identity_document: !no_document && !from.external(),
            ip: IpCompatibility::read(from),
            fips: from.read_file("/proc/sys/crypto/fips_enabled").is_ok_and(|text| text.trim() == "1"),
            attributes: from.map_or_refuse("ECS_INSTANCE_ATTRIBUTES", "InstanceAttributes"),
            tags: from.map_or_refuse("ECS_CONTAINER_INSTANCE_TAGS", "ContainerInstanceTags"),
            propagate_ec2_tags: propagate_in_environment || propagate_in_file == Some(1),
            os_family: from.env_verbatim("ECS_DETAILED_OS_FAMILY").unwrap_or_else(|| "LINUX".to_owned()),
            wait_for_warm_pool: from.boolean("ECS_WARM_POOLS_CHECK", "WarmPoolsSupport").unwrap_or(false),
            spot_draining: from
                .boolean("ECS_ENABLE_SPOT_INSTANCE_DRAINING", "SpotInstanceDrainingEnabled")
                .unwrap_or(false),
            hide_zone: from.plain_bool("ECS_DISABLE_TASK_METADATA_AZ", "TaskMetadataAZDisabled"),
        }
    }
}

fn environment_denies_external(from: &Sources<'_>) -> bool {
    from.env("ECS_EXTERNAL").and_then(|text| super::values::parse_bool(&text)) == Some(false)
}
