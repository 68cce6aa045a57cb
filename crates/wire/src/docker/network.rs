//! Docker networks.

use std::collections::BTreeMap;

use super::lenient::reply;

reply! {
    /// One network, listed or inspected.
    pub struct Network {
        "Name" => name: String,
        "Id" => id: String,
        "Driver" => driver: String,
        "Scope" => scope: String,
        "EnableIPv6" => enable_ipv6: bool,
        "Internal" => internal: bool,
        "Options" => options: BTreeMap<String, String>,
        "Labels" => labels: BTreeMap<String, String>,
        /// Only when inspected: by container id.
        "Containers" => containers: BTreeMap<String, NetworkContainer>,
    }

    /// A container in a network.
    pub struct NetworkContainer {
        "Name" => name: String,
        "EndpointID" => endpoint_id: String,
        "MacAddress" => mac_address: String,
        /// With prefix length.
        "IPv4Address" => ipv4_address: String,
        "IPv6Address" => ipv6_address: String,
    }
}
