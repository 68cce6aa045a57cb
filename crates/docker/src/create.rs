//! Fits a create request to an API version, as Docker's own client does (spec 20 §7.5).

use serde_json::{Map, Value};
use wire::docker::ApiVersion;

use crate::error::Cause;

/// The request as it is sent to a daemon with `version`.
pub(crate) fn fit(body: &Value, version: ApiVersion) -> Result<Value, Cause> {
    let too_old = |what: &str, needed: u16| {
        let needed = ApiVersion::v1(needed);
        Err(Cause::Unsupported(format!(
            "\"{what}\" requires API version {needed}, but the Docker daemon API version is {version}"
        )))
    };
    let mut body = body.clone();
    let Some(config) = body.as_object_mut() else { return Ok(body) };
    if version < ApiVersion::v1(25) && config.get("StopTimeout").is_some_and(|value| !value.is_null()) {
        return too_old("stop timeout", 25);
    }
    let start_interval = config.get("Healthcheck").and_then(|check| check.get("StartInterval"));
    if version < ApiVersion::v1(44) && start_interval.is_some_and(|value| !value.is_null() && value != 0) {
        return too_old("specify health-check start interval", 44);
    }
    if version >= ApiVersion::v1(44) {
        config.remove("MacAddress");
    }
    if let Some(host) = config.get_mut("HostConfig").and_then(Value::as_object_mut) {
        fit_host(host, version);
    }
    Ok(body)
}

fn fit_host(host: &mut Map<String, Value>, version: ApiVersion) {
    if (version < ApiVersion::v1(40) || version >= ApiVersion::v1(42)) && host.contains_key("KernelMemory") {
        host.insert("KernelMemory".to_owned(), 0.into());
    }
    if version < ApiVersion::v1(25) && host.contains_key("AutoRemove") {
        host.insert("AutoRemove".to_owned(), false.into());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn members_follow_the_version() {
        let body = json!({"Image": "i", "MacAddress": "02:00", "HostConfig": {"KernelMemory": 7, "AutoRemove": true}});
        let at = |minor| fit(&body, ApiVersion::v1(minor)).unwrap().to_string();
        assert_eq!(at(21), r#"{"Image":"i","MacAddress":"02:00","HostConfig":{"KernelMemory":0,"AutoRemove":false}}"#);
        assert_eq!(at(41), r#"{"Image":"i","MacAddress":"02:00","HostConfig":{"KernelMemory":7,"AutoRemove":true}}"#);
        assert_eq!(at(44), r#"{"Image":"i","HostConfig":{"KernelMemory":0,"AutoRemove":true}}"#);
    }

    #[test]
    fn what_the_version_lacks_is_refused() {
        let refused = |body: Value, minor| fit(&body, ApiVersion::v1(minor)).map_err(|cause| cause.to_string());
        assert_eq!(
            refused(json!({"Healthcheck": {"StartInterval": 5}}), 24).unwrap_err(),
            "\"specify health-check start interval\" requires API version 1.44, but the Docker daemon API version is 1.24"
        );
        assert_eq!(
            refused(json!({"StopTimeout": 5}), 21).unwrap_err(),
            "\"stop timeout\" requires API version 1.25, but the Docker daemon API version is 1.21"
        );
        assert!(refused(json!({"Healthcheck": {"StartInterval": 0}, "StopTimeout": null}), 21).is_ok());
    }
}
