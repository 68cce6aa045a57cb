//! The registration's request: resources, attributes, tags (spec 10 §1.7.1–1.7.3).

use wire::ecs::{Attribute, RegisterContainerInstanceRequest, Resource, Tag, unless_empty};
use wire::ids::ContainerInstanceArn;

use super::capability::capabilities;
use crate::config::EngineConfig;

/// CPU units of one logical CPU.
const CPU_UNITS: i64 = 1024;
/// Where metrics are served, when they are.
const METRICS_PORT: u16 = 51680;

/// The request; `instance_arn` is that of an earlier registration, which is then renewed.
///
/// # Errors
/// More memory is reserved than there is.
pub fn registration_request(
    config: &EngineConfig,
    instance_arn: Option<&ContainerInstanceArn>,
    client_token: String,
) -> Result<RegisterContainerInstanceRequest, String> {
    let registration = &config.registration;
    Ok(RegisterContainerInstanceRequest {
        cluster: Some(cluster(config).to_owned()),
        container_instance_arn: instance_arn.map(|arn| arn.as_str().to_owned()),
        instance_identity_document: Some(registration.identity_document.clone()),
        instance_identity_document_signature: Some(registration.identity_signature.clone()),
        total_resources: Some(total_resources(config)?),
        attributes: Some(attributes(config, instance_arn.is_none())),
        tags: unless_empty(
            registration.tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect(),
        ),
        // Containers get no GPUs yet, so none are offered (see the table of capabilities).
        platform_devices: None,
        client_token: Some(client_token),
        version_info: None,
    })
}

/// The cluster as configured, or the default one.
pub(super) fn cluster(config: &EngineConfig) -> &str {
    if config.cluster.is_empty() { "default" } else { &config.cluster }
}

fn total_resources(config: &EngineConfig) -> Result<Vec<Resource>, String> {
    let registration = &config.registration;
    let (total, reserved) = (config.host.memory_mib, registration.reserved_memory_mib);
    let memory = total
        .checked_sub(reserved)
        .ok_or_else(|| format!("reserved memory ({reserved} MiB) is more than the host has ({total} MiB)"))?;
    let mut ports = texts(&registration.reserved_ports);
    if registration.is_metrics_port_reserved {
        ports.push(METRICS_PORT.to_string());
    }
    Ok(vec![
        integer("CPU", i64::from(config.host.logical_cpus).saturating_mul(CPU_UNITS)),
        integer("MEMORY", i64::try_from(memory).unwrap_or(i64::MAX)),
        string_set("PORTS", ports),
        string_set("PORTS_UDP", texts(&registration.reserved_ports_udp)),
    ])
}

fn integer(name: &str, value: i64) -> Resource {
    Resource {
        name: name.to_owned(),
        kind: "INTEGER".to_owned(),
        integer_value: (value != 0).then_some(value),
        ..Resource::default()
    }
}

fn string_set(name: &str, values: Vec<String>) -> Resource {
    Resource {
        name: name.to_owned(),
        kind: "STRINGSET".to_owned(),
        string_set_value: Some(values),
        ..Resource::default()
    }
}

fn texts(ports: &[u16]) -> Vec<String> {
    ports.iter().map(ToString::to_string).collect()
}

/// Custom attributes are given once; what people change on the instance later is theirs (spec 10 trap 21).
fn attributes(config: &EngineConfig, is_first: bool) -> Vec<Attribute> {
    let registration = &config.registration;
    let mut list = Vec::new();
    if is_first {
        list.extend(registration.custom_attributes.iter().map(|(name, value)| valued(name, value)));
    }
    list.extend(capabilities(config));
    let known = |name: &str, value: &Option<String>| value.as_ref().map(|value| valued(name, value));
    let unless_blank = |name: &str, value: &str| (!value.is_empty()).then(|| valued(name, value));
    list.extend(known("ecs.vpc-id", &registration.vpc_id));
    list.extend(known("ecs.subnet-id", &registration.subnet_id));
    list.push(valued("ecs.os-type", "linux"));
    list.push(valued("ecs.os-family", "LINUX"));
    list.extend(unless_blank("ecs.os-type-detailed", &config.host.detailed_os_family));
    if config.is_external {
        list.extend(unless_blank("ecs.cpu-architecture", &config.host.cpu_architecture));
    }
    list.extend(unless_blank("ecs.outpost-arn", registration.outpost_arn.as_deref().unwrap_or_default()));
    list
}

fn valued(name: &str, value: &str) -> Attribute {
    Attribute { name: name.to_owned(), value: Some(value.to_owned()), ..Attribute::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use expect_test::{Expect, expect};

    use super::*;

    fn config() -> EngineConfig {
        let mut config = EngineConfig { cluster: "prod".into(), ..EngineConfig::default() };
        config.host.detailed_os_family = "amzn_2023".into();
        config.host.cpu_architecture = "x86_64".into();
        config.host.logical_cpus = 4;
        config.host.memory_mib = 15879;
        config.docker.extended_api_versions = vec!["1.24".into(), "1.41".into()];
        let registration = &mut config.registration;
        registration.reserved_memory_mib = 256;
        registration.custom_attributes = [("stack", "blue"), ("empty", "")].map(|(k, v)| (k.into(), v.into())).into();
        registration.tags = [("team", "core"), ("a", "b")].map(|(k, v)| (k.into(), v.into())).into();
        registration.vpc_id = Some("vpc-0aa".into());
        registration.subnet_id = Some("subnet-0bb".into());
        registration.outpost_arn = Some("arn:outpost".into());
        registration.identity_document = "{ }".into();
        registration.identity_signature = "AbC=".into();
        config
    }

    #[track_caller]
    fn check(config: &EngineConfig, arn: Option<&str>, expected: Expect) {
        let arn = arn.map(ContainerInstanceArn::from);
        let request = registration_request(config, arn.as_ref(), "token".into()).unwrap();
        expected.assert_eq(&serde_json::to_string(&request).unwrap().replace("},{", "},\n{"));
    }

    #[test]
    fn a_first_registration_on_ec2() {
        check(
            &config(),
            None,
            expect![[r#"
            {"cluster":"prod","instanceIdentityDocument":"{ }","instanceIdentityDocumentSignature":"AbC=","totalResources":[{"name":"CPU","type":"INTEGER","integerValue":4096},
            {"name":"MEMORY","type":"INTEGER","integerValue":15623},
            {"name":"PORTS","type":"STRINGSET","stringSetValue":["22","2375","2376","51678","51679"]},
            {"name":"PORTS_UDP","type":"STRINGSET","stringSetValue":[]}],"attributes":[{"name":"empty","value":""},
            {"name":"stack","value":"blue"},
            {"name":"ecs.capability.ecr-endpoint"},
            {"name":"ecs.capability.container-ordering"},
            {"name":"ecs.capability.full-sync"},
            {"name":"ecs.capability.network.container-port-range"},
            {"name":"ecs.capability.container-restart-policy"},
            {"name":"com.amazonaws.ecs.capability.privileged-container"},
            {"name":"com.amazonaws.ecs.capability.docker-remote-api.1.24"},
            {"name":"ecs.capability.container-health-check"},
            {"name":"ecs.capability.docker-plugin.local"},
            {"name":"ecs.capability.ipv6-only"},
            {"name":"ecs.vpc-id","value":"vpc-0aa"},
            {"name":"ecs.subnet-id","value":"subnet-0bb"},
            {"name":"ecs.os-type","value":"linux"},
            {"name":"ecs.os-family","value":"LINUX"},
            {"name":"ecs.os-type-detailed","value":"amzn_2023"},
            {"name":"ecs.outpost-arn","value":"arn:outpost"}],"tags":[{"key":"a","value":"b"},
            {"key":"team","value":"core"}],"clientToken":"token"}"#]],
        );
    }

    #[test]
    fn a_renewed_registration_has_its_arn_and_no_custom_attributes() {
        let mut config = config();
        config.registration.tags.clear();
        config.registration.is_metrics_port_reserved = true;
        config.registration.reserved_ports_udp = vec![53];
        check(
            &config,
            Some("arn:i"),
            expect![[r#"
            {"cluster":"prod","containerInstanceArn":"arn:i","instanceIdentityDocument":"{ }","instanceIdentityDocumentSignature":"AbC=","totalResources":[{"name":"CPU","type":"INTEGER","integerValue":4096},
            {"name":"MEMORY","type":"INTEGER","integerValue":15623},
            {"name":"PORTS","type":"STRINGSET","stringSetValue":["22","2375","2376","51678","51679","51680"]},
            {"name":"PORTS_UDP","type":"STRINGSET","stringSetValue":["53"]}],"attributes":[{"name":"ecs.capability.ecr-endpoint"},
            {"name":"ecs.capability.container-ordering"},
            {"name":"ecs.capability.full-sync"},
            {"name":"ecs.capability.network.container-port-range"},
            {"name":"ecs.capability.container-restart-policy"},
            {"name":"com.amazonaws.ecs.capability.privileged-container"},
            {"name":"com.amazonaws.ecs.capability.docker-remote-api.1.24"},
            {"name":"ecs.capability.container-health-check"},
            {"name":"ecs.capability.docker-plugin.local"},
            {"name":"ecs.capability.ipv6-only"},
            {"name":"ecs.vpc-id","value":"vpc-0aa"},
            {"name":"ecs.subnet-id","value":"subnet-0bb"},
            {"name":"ecs.os-type","value":"linux"},
            {"name":"ecs.os-family","value":"LINUX"},
            {"name":"ecs.os-type-detailed","value":"amzn_2023"},
            {"name":"ecs.outpost-arn","value":"arn:outpost"}],"clientToken":"token"}"#]],
        );
    }

    #[test]
    fn an_external_instance_with_little() {
        let mut config = EngineConfig { is_external: true, cluster: String::new(), ..EngineConfig::default() };
        config.host.cpu_architecture = "arm64".into();
        config.host.detailed_os_family.clear();
        config.registration.reserved_memory_mib = config.host.memory_mib;
        check(
            &config,
            None,
            expect![[r#"
            {"cluster":"default","instanceIdentityDocument":"","instanceIdentityDocumentSignature":"","totalResources":[{"name":"CPU","type":"INTEGER","integerValue":2048},
            {"name":"MEMORY","type":"INTEGER"},
            {"name":"PORTS","type":"STRINGSET","stringSetValue":["22","2375","2376","51678","51679"]},
            {"name":"PORTS_UDP","type":"STRINGSET","stringSetValue":[]}],"attributes":[{"name":"ecs.capability.ecr-endpoint"},
            {"name":"ecs.capability.container-ordering"},
            {"name":"ecs.capability.full-sync"},
            {"name":"ecs.capability.network.container-port-range"},
            {"name":"ecs.capability.container-restart-policy"},
            {"name":"com.amazonaws.ecs.capability.privileged-container"},
            {"name":"ecs.capability.docker-plugin.local"},
            {"name":"ecs.capability.external"},
            {"name":"ecs.capability.ipv6-only"},
            {"name":"ecs.os-type","value":"linux"},
            {"name":"ecs.os-family","value":"LINUX"},
            {"name":"ecs.cpu-architecture","value":"arm64"}],"clientToken":"token"}"#]],
        );
    }

    #[test]
    fn more_memory_cannot_be_reserved_than_there_is() {
        let mut config = config();
        config.registration.reserved_memory_mib = 15880;
        let refusal = registration_request(&config, None, "token".into()).unwrap_err();
        assert_eq!(refusal, "reserved memory (15880 MiB) is more than the host has (15879 MiB)");
    }
}
