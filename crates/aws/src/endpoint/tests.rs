#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// `vars` are `NAME=value` words.
fn endpoint(region: &str, backend: Option<&str>, vars: &str, service: &str) -> String {
    let lookup = |name: &str| {
        vars.split(' ').filter_map(|var| var.split_once('=')).find(|(n, _)| *n == name).map(|(_, v)| v.to_owned())
    };
    match EndpointRules::from_vars(region, backend, false, &lookup).endpoint(service) {
        Ok(uri) => uri.to_string().trim_end_matches('/').to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn defaults_per_partition() {
    let table = [
        ("us-west-2", "https://ecs.us-west-2.amazonaws.com"),
        ("cn-north-1", "https://ecs.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "https://ecs.us-gov-west-1.amazonaws.com"),
        ("us-iso-east-1", "https://ecs.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "https://ecs.us-isob-east-1.sc2s.sgov.gov"),
        ("us-isof-south-1", "https://ecs.us-isof-south-1.csp.hci.ic.gov"),
        ("eu-isoe-west-1", "https://ecs.eu-isoe-west-1.cloud.adc-e.uk"),
        ("eusc-de-east-1", "https://ecs.eusc-de-east-1.amazonaws.eu"),
        ("moon-1", "https://ecs.moon-1.amazonaws.com"),
    ];
    for (region, expected) in table {
        assert_eq!(endpoint(region, None, "", "ECS"), expected);
    }
}

#[test]
fn switches_and_overrides() {
    const FIPS: &str = "AWS_USE_FIPS_ENDPOINT=true";
    const DUAL: &str = "AWS_USE_DUALSTACK_ENDPOINT=True";
    let both = format!("{FIPS} {DUAL}");
    let urls = "AWS_ENDPOINT_URL=http://any:1 AWS_ENDPOINT_URL_ECS=http://ecs:2";
    let ignored = format!("{urls} AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true");
    #[rustfmt::skip]
    let table = [
        (None, FIPS, "ECS", "https://ecs-fips.us-east-1.amazonaws.com"),
        (None, DUAL, "ECS", "https://ecs.us-east-1.api.aws"),
        (None, both.as_str(), "ECS", "https://ecs-fips.us-east-1.api.aws"),
        (None, "", "ECR", "https://api.ecr.us-east-1.amazonaws.com"),
        (None, FIPS, "ECR", "https://ecr-fips.us-east-1.amazonaws.com"),
        (None, DUAL, "ECR", "https://ecr.us-east-1.api.aws"),
        (None, DUAL, "S3", "https://s3.dualstack.us-east-1.amazonaws.com"),
        (None, "", "SECRETS_MANAGER", "https://secretsmanager.us-east-1.amazonaws.com"),
        (None, "", "CLOUDWATCH_LOGS", "https://logs.us-east-1.amazonaws.com"),
        (None, "", "SOME_THING", "https://some-thing.us-east-1.amazonaws.com"),
        (None, urls, "ECS", "http://ecs:2"),
        (None, urls, "SSM", "http://any:1"),
        (None, ignored.as_str(), "ECS", "https://ecs.us-east-1.amazonaws.com"),
        (Some("my.host:99"), urls, "ECS", "https://my.host:99"),
        (Some("http://my.host"), FIPS, "ECS", "http://my.host"),
        (Some("https://my.host/base"), "", "ECS", "https://my.host/base"),
        (Some("my.host"), DUAL, "SSM", "https://ssm.us-east-1.api.aws"),
        (Some(""), "", "ECS", "https://ecs.us-east-1.amazonaws.com"),
        (Some("a b"), "", "ECS", "endpoint https://a b is not a URL"),
        (None, "AWS_ENDPOINT_URL=nonsense", "ECS", "endpoint nonsense is not a URL"),
    ];
    for (backend, vars, service, expected) in table {
        assert_eq!(endpoint("us-east-1", backend, vars, service), expected, "{backend:?} {vars} {service}");
    }
}

#[test]
fn an_ipv6_only_host_uses_dual_stack() {
    let rules = EndpointRules::from_vars("us-west-2", None, true, &|_| None);
    assert_eq!(rules.endpoint("EC2").unwrap().host(), Some("ec2.us-west-2.api.aws"));
}
