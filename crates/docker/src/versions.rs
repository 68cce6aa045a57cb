//! Which API versions are spoken with a daemon (spec 20 §7.1–7.3).

use wire::docker::{ApiVersion, Version};

/// The oldest and newest versions known here, as in the reference.
const OLDEST: ApiVersion = ApiVersion::v1(17);
const NEWEST: ApiVersion = ApiVersion::v1(44);
/// The default version, unless the daemon's minimum is higher.
const FLOOR: ApiVersion = ApiVersion::v1(21);
/// From this daemon minimum on, older versions count as supported for capabilities.
const EXTENDED_FROM: ApiVersion = ApiVersion::v1(24);

/// What was agreed with a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiVersions {
    /// Known here and accepted by the daemon, ascending.
    pub usable: Vec<ApiVersion>,
    /// `usable`, and every older known version where the daemon's minimum is 1.24 or higher: what the agent
    /// advertises as capabilities.
    pub extended: Vec<ApiVersion>,
    /// The version of all calls that ask for no other.
    pub default: ApiVersion,
}

impl ApiVersions {
    /// Intersects what the daemon accepts with what is known. `None` if there is nothing in common.
    pub fn negotiate(daemon: &Version) -> Option<Self> {
        let newest: ApiVersion = daemon.api_version.parse().ok()?;
        // Daemons before Engine 1.13 accept old clients without saying how old.
        let oldest = daemon.min_api_version.parse().unwrap_or(ApiVersion::v1(12));
        let known = (OLDEST.minor..=NEWEST.minor).map(ApiVersion::v1);
        let mut usable: Vec<_> = known.clone().filter(|version| (oldest..=newest).contains(version)).collect();
        if usable.is_empty() && oldest > NEWEST && oldest <= newest {
            // The reference gives up here. What is read and sent stays valid in later versions as far as anybody
            // can know, so the daemon's oldest is tried.
            usable.push(oldest);
        }
        let lowest = *usable.first()?;
        let default = lowest.max(FLOOR);
        let mut extended: Vec<_> = known
            .filter(|version| default >= EXTENDED_FROM && *version < default && !usable.contains(version))
            .collect();
        extended.extend(&usable);
        Some(Self { usable, extended, default })
    }

    /// The version for a call that wants at least `wanted`: never below the default. `None` if the daemon has none.
    pub fn at_least(&self, wanted: ApiVersion) -> Option<ApiVersion> {
        let version = wanted.max(self.default);
        self.usable.contains(&version).then_some(version)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(min: &str, max: &str) -> Option<(String, usize, String, usize)> {
        let daemon = Version { api_version: max.into(), min_api_version: min.into(), ..Version::default() };
        let versions = ApiVersions::negotiate(&daemon)?;
        let range = |list: &[ApiVersion]| format!("{}-{}", list.first().unwrap(), list.last().unwrap());
        assert!(versions.extended.is_sorted());
        Some((
            range(&versions.usable),
            usize::from(versions.default.minor),
            range(&versions.extended),
            versions.extended.len(),
        ))
    }

    #[test]
    fn every_generation_of_daemons() {
        let row = |usable: &str, default, extended: &str, count| {
            Some((usable.to_owned(), default, extended.to_owned(), count))
        };
        assert_eq!(check("1.12", "1.41"), row("1.17-1.41", 21, "1.17-1.41", 25));
        assert_eq!(check("", "1.23"), row("1.17-1.23", 21, "1.17-1.23", 7));
        assert_eq!(check("1.24", "1.51"), row("1.24-1.44", 24, "1.17-1.44", 28));
        assert_eq!(check("1.44", "1.52"), row("1.44-1.44", 44, "1.17-1.44", 28));
        assert_eq!(check("1.48", "1.60"), row("1.48-1.48", 48, "1.17-1.48", 29));
        assert_eq!(check("1.24", "nonsense"), None);
        assert_eq!(check("1.12", "1.16"), None);
    }

    #[test]
    fn a_wish_is_raised_to_the_default() {
        let daemon = Version { api_version: "1.43".into(), min_api_version: "1.24".into(), ..Version::default() };
        let versions = ApiVersions::negotiate(&daemon).unwrap();
        assert_eq!(versions.at_least(ApiVersion::v1(17)), Some(ApiVersion::v1(24)));
        assert_eq!(versions.at_least(ApiVersion::v1(35)), Some(ApiVersion::v1(35)));
        assert_eq!(versions.at_least(ApiVersion::v1(44)), None);
    }
}
