//! The agent's configuration: every variable of the reference, merged with the configuration file and the
//! instance's user data, clamped and checked (spec 40 §1–§6).
//!
//! A [`Config`] is plain data without a source: who reads it cannot tell, and need not, where a value came
//! from. What it depends on (environment, files, metadata service) is handed in, so loading has no effect.

mod capacity;
mod credentials;
mod devices;
mod docker;
mod identity;
mod images;
mod known;
mod logging;
mod netfilter;
mod networking;
mod parallel;
mod proxy;
mod sources;
mod state;
mod telemetry;
mod timeouts;
mod values;

// Tables read better with their rows on one line.
#[cfg(test)]
#[rustfmt::skip]
mod tests;

use std::io;
use std::path::Path;

pub(crate) use capacity::Capacity;
pub(crate) use credentials::Credentials;
pub(crate) use devices::Devices;
pub(crate) use docker::{AuthType, Docker};
pub(crate) use identity::Identity;
pub(crate) use images::{Images, PullBehavior};
pub(crate) use known::unknown_variables;
pub(crate) use logging::{LogConfig, LogFormat, LogLevel, LogRollover};
pub(crate) use netfilter::{Netfilter, RulesMode};
pub(crate) use networking::{Networking, RateLimit};
pub(crate) use parallel::Parallel;
pub(crate) use proxy::Proxy;
pub(crate) use state::State;
pub(crate) use telemetry::Telemetry;
pub(crate) use timeouts::Timeouts;

use sources::Sources;

/// All settings of the agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub identity: Identity,
    pub docker: Docker,
    pub images: Images,
    pub timeouts: Timeouts,
    pub telemetry: Telemetry,
    pub capacity: Capacity,
    pub networking: Networking,
    pub netfilter: Netfilter,
    pub state: State,
    pub credentials: Credentials,
    pub devices: Devices,
    pub logging: LogConfig,
    pub parallel: Parallel,
    pub proxy: Proxy,
}

/// How much a [`Warning`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// A hint for who wonders.
    Debug,
    /// A value was not used as given.
    Warn,
    /// A value was not used, and a feature lacks it.
    Error,
    /// The configuration is refused because of this.
    Critical,
}

/// Something to log once logging works. The text never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    pub severity: Severity,
    pub text: String,
}

/// Why the configuration is refused; the process exits with 1 (spec 40 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigError {
    /// External mode without a region in the environment (spec 40 §2.2).
    ExternalWithoutRegion,
    /// All that is wrong with the values.
    Invalid {
        texts: Vec<String>,
        /// Nothing is wrong but that no source names a region: ask the metadata service and load again.
        only_region_missing: bool,
        /// The metadata service may be asked for the instance identity document (`NoIID` is off).
        use_identity_document: bool,
    },
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ExternalWithoutRegion => {
                f.write_str("AWS_DEFAULT_REGION has to be set when running on external capacity")
            }
            Self::Invalid { texts, .. } => f.write_str(&combined(texts)),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Several errors as one text, in the reference's shape (spec 40 §6).
fn combined(texts: &[String]) -> String {
    use std::fmt::Write;
    texts.iter().enumerate().fold("Multiple error:".to_owned(), |mut all, (index, text)| {
        // Writing to a String cannot fail.
        let _ = write!(all, "\n\t{index}: {text}");
        all
    })
}

/// What a configuration is made from.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// A variable of the process environment.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file: the configuration file and a few below `/proc`.
    pub read_file: &'a dyn Fn(&Path) -> io::Result<String>,
    /// The instance's user data, as fetched.
    pub(crate) user_data: Option<&'a str>,
    /// The region that the metadata service answered; used when nothing else names one.
    pub metadata_region: Option<&'a str>,
}

impl Config {
    /// Loads from the environment and the configuration file alone.
    ///
    /// # Errors
    /// A value is refused (see [`ConfigError`]), or no region is known.
    #[cfg(test)]
    pub(crate) fn load(
        lookup: impl Fn(&str) -> Option<String>,
        read_file: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::load_from(Inputs { lookup: &lookup, read_file: &read_file, user_data: None, metadata_region: None })
    }

    /// Loads from the process's own environment and files; `metadata_region` as in [`Inputs`].
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(crate) fn load_from_process(
        user_data: Option<&str>,
        metadata_region: Option<&str>,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::load_from(Inputs {
            lookup: &|name| std::env::var(name).ok(),
            read_file: &|path| std::fs::read_to_string(path),
            user_data,
            metadata_region,
        })
    }

    /// Loads from `inputs`, strongest first: environment, file, user data, metadata (region only), defaults.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(crate) fn load_from(inputs: Inputs<'_>) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut from = Sources::new(inputs)?;
        let identity = Identity::read(&mut from);
        let telemetry = Telemetry::read(&mut from);
        let mut config = Self {
            docker: Docker::read(&mut from),
            images: Images::read(&mut from),
            timeouts: Timeouts::read(&mut from),
            capacity: Capacity::read(&mut from, &identity, &telemetry),
            networking: Networking::read(&mut from),
            netfilter: Netfilter::read(&mut from),
            state: State::read(&mut from),
            credentials: Credentials::read(&mut from),
            devices: Devices::read(&mut from),
            logging: LogConfig::read(&mut from),
            parallel: Parallel::read(&mut from),
            proxy: Proxy::read(&from),
            identity,
            telemetry,
        };
        let refusal = config.validate(&mut from);
        let region_missing = config.identity.region.is_empty();
        let use_identity_document = config.identity.use_identity_document;
        let (warnings, mut texts) = from.finish();
        let only_region_missing = texts.is_empty() && region_missing;
        texts.extend(refusal);
        if texts.is_empty() {
            return Ok((config, warnings));
        }
        Err(ConfigError::Invalid { texts, only_region_missing, use_identity_document })
    }

    /// The checks after the merge, in the reference's order; it stops at the first refusal (spec 40 §6).
    fn validate(&mut self, from: &mut Sources<'_>) -> Option<String> {
        if self.identity.region.is_empty() {
            return Some("Missing required fields: AWSRegion".to_owned());
        }
        if let Some(refusal) = self.timeouts.refusal().or_else(|| self.docker.refusal()) {
            return Some(refusal);
        }
        self.timeouts.clamp(from);
        self.images.clamp(from);
        self.networking.clamp(from);
        self.telemetry.clamp(from);
        None
    }
}
