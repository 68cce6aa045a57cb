//! Where a service is: one pure function over the settings (spec 10 §1.3).

use http::Uri;

use crate::Lookup;

/// The settings that decide endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointRules {
    pub region: String,
    /// `ECS_BACKEND_HOST`: used verbatim for ECS, before everything else.
    pub ecs_backend_host: Option<String>,
    pub fips: bool,
    pub dual_stack: bool,
    /// `AWS_ENDPOINT_URL`.
    pub any_service_url: Option<String>,
    /// `AWS_ENDPOINT_URL_<SERVICE>` by service id as in the variable's name (`ECS`, `SECRETS_MANAGER`).
    pub service_urls: Vec<(String, String)>,
}

/// An endpoint that is not a URL, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {text} is not a URL")]
pub struct EndpointError {
    text: String,
}

/// The services that the agent calls: name in variables, host label, FIPS host label.
const SERVICES: [(&str, &str, &str); 9] = [
    ("ECS", "ecs", "ecs-fips"),
    ("ECR", "api.ecr", "ecr-fips"),
    ("EC2", "ec2", "ec2-fips"),
    ("S3", "s3", "s3-fips"),
    ("SSM", "ssm", "ssm-fips"),
    ("SECRETS_MANAGER", "secretsmanager", "secretsmanager-fips"),
    ("FSX", "fsx", "fsx-fips"),
    ("CLOUDWATCH_LOGS", "logs", "logs-fips"),
    ("STS", "sts", "sts-fips"),
];

impl EndpointRules {
    /// Reads the variables. `dual_stack` also when the host was found to be IPv6-only.
    pub fn from_vars(region: &str, ecs_backend_host: Option<&str>, ipv6_only: bool, lookup: Lookup<'_>) -> Self {
        let is_true = |name: &str| lookup(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let set = |name: &str| lookup(name).filter(|v| !v.is_empty());
        let mut rules = Self {
            region: region.to_owned(),
            ecs_backend_host: ecs_backend_host.filter(|h| !h.is_empty()).map(str::to_owned),
            fips: is_true("AWS_USE_FIPS_ENDPOINT"),
            dual_stack: ipv6_only || is_true("AWS_USE_DUALSTACK_ENDPOINT"),
            ..Self::default()
        };
        if !is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            rules.any_service_url = set("AWS_ENDPOINT_URL");
            rules.service_urls = SERVICES
                .iter()
                .filter_map(|(id, ..)| Some(((*id).to_owned(), set(&format!("AWS_ENDPOINT_URL_{id}"))?)))
                .collect();
        }
        rules
    }

    /// The base URL of `service`, given by its id as in the variables (`ECS`, `SECRETS_MANAGER`).
    ///
    /// # Errors
    /// When a configured endpoint is not a URL.
    pub fn endpoint(&self, service: &str) -> Result<Uri, EndpointError> {
        let backend = self.ecs_backend_host.as_deref().filter(|_| service == "ECS").map(with_scheme);
        let configured = || {
            let own = self.service_urls.iter().find(|(id, _)| id == service).map(|(_, url)| url);
            own.or(self.any_service_url.as_ref()).cloned()
        };
        let text = backend.or_else(configured).unwrap_or_else(|| self.default_endpoint(service));
        let uri: Option<Uri> = text.parse().ok();
        uri.filter(|uri| uri.scheme().is_some() && uri.host().is_some_and(|host| !host.is_empty()))
            .ok_or(EndpointError { text })
    }

    fn default_endpoint(&self, service: &str) -> String {
        let region = &self.region;
        let known = SERVICES.iter().find(|(id, ..)| *id == service);
        let fallback = service.to_ascii_lowercase().replace('_', "-");
        let fallback_fips = format!("{fallback}-fips");
        let (plain, fips) = known.map_or((fallback.as_str(), fallback_fips.as_str()), |(_, p, f)| (*p, *f));
        let label = if self.fips { fips } else { plain };
        let (suffix, dual_suffix) = partition_suffixes(region);
        // S3 alone has its dual-stack names below the ordinary suffix, and ECR its own label.
        match (service, self.dual_stack) {
            ("S3", true) => format!("https://{label}.dualstack.{region}.{suffix}"),
            ("ECR", true) if !self.fips => format!("https://ecr.{region}.{dual_suffix}"),
            (_, true) => format!("https://{label}.{region}.{dual_suffix}"),
            (_, false) => format!("https://{label}.{region}.{suffix}"),
        }
    }
}

/// DNS suffix and dual-stack DNS suffix of the region's partition; unknown regions count as `aws`.
fn partition_suffixes(region: &str) -> (&'static str, &'static str) {
    const PARTITIONS: [(&str, &str, &str); 8] = [
        ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        ("us-gov-", "amazonaws.com", "api.aws"),
        ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
        ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
        ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
        ("", "amazonaws.com", "api.aws"),
    ];
    PARTITIONS
        .iter()
        .find(|(prefix, ..)| region.starts_with(prefix))
        .map_or(("amazonaws.com", "api.aws"), |(_, suffix, dual)| (*suffix, *dual))
}

/// `https://` unless one of the two schemes is there already.
fn with_scheme(host: &str) -> String {
    if host.starts_with("http://") || host.starts_with("https://") {
        host.to_owned()
    } else {
        format!("https://{host}")
    }
}

#[cfg(test)]
mod tests;
