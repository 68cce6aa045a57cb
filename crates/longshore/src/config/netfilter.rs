//! Packet rules: who puts them there, with what, and which (spec 40 §4.1, §15). What the reference's supervisor reads,
//! and what only Longshore has.

use std::time::Duration;

use host::netfilter::Choice;

use super::sources::Sources;
use super::values::{parse_bool, parse_signed_duration};

/// Who sees to the rules that lead 169.254.170.2 to the task server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RulesMode {
    /// The agent: it installs, repairs and removes them.
    Own,
    /// Somebody else, such as `longshore init`: the agent looks whether they are there.
    Watch,
    /// Nobody asks.
    Off,
}

/// Packet rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Netfilter {
    /// `LONGSHORE_NETFILTER`; unset means [`RulesMode::Watch`], and [`RulesMode::Own`] in local mode.
    pub mode: Option<RulesMode>,
    /// `LONGSHORE_NETFILTER_TOOL`.
    pub tool: Choice,
    /// `LONGSHORE_NETFILTER_INTERVAL`: how often the rules are looked at.
    pub interval: Duration,
    /// `LONGSHORE_BRIDGE_BLOCK_IMDS`: containers on Docker's default bridge do not reach instance metadata.
    pub block_imds: bool,
    /// Off with `ECS_SKIP_LOCALHOST_TRAFFIC_FILTER`.
    pub filters_loopback: bool,
    /// `ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS`.
    pub shows_introspection: bool,
}

const INTERVAL: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(1);

impl Netfilter {
    pub(super) fn read(from: &mut Sources<'_>) -> Self {
        let (netfilter, warnings) = Self::from_vars(&|name| from.env(name));
        for warning in warnings {
            from.warn(warning);
        }
        netfilter
    }

    /// Reads the variables, and says which it could not use.
    pub(crate) fn from_vars(lookup: &dyn Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let mut invalid = |name: &str, expected: &str, text: &str| {
            warnings.push(format!("Invalid format for {name}: expected {expected}, got {text:?}"));
        };
        let lookup = |name: &str| lookup(name).filter(|text| !text.is_empty());
        let mut boolean = |name: &str| match lookup(name).map(|text| (parse_bool(&text), text)) {
            Some((None, text)) => {
                invalid(name, "true or false", &text);
                false
            }
            Some((Some(value), _)) => value,
            None => false,
        };
        let block_imds = boolean("LONGSHORE_BRIDGE_BLOCK_IMDS");
        let filters_loopback = !boolean("ECS_SKIP_LOCALHOST_TRAFFIC_FILTER");
        let shows_introspection = boolean("ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS");
        let mode = lookup("LONGSHORE_NETFILTER").and_then(|text| match text.as_str() {
            "own" => Some(RulesMode::Own),
            "watch" => Some(RulesMode::Watch),
            "off" => Some(RulesMode::Off),
            _ => {
                invalid("LONGSHORE_NETFILTER", "own, watch or off", &text);
                None
            }
        });
        let tool = lookup("LONGSHORE_NETFILTER_TOOL").and_then(|text| {
            let choice = Choice::parse(&text);
            if choice.is_none() {
                invalid("LONGSHORE_NETFILTER_TOOL", "iptables, iptables-nft, iptables-legacy or nft", &text);
            }
            choice
        });
        let interval = lookup("LONGSHORE_NETFILTER_INTERVAL").and_then(|text| {
            let interval = parse_signed_duration(&text).and_then(|span| Duration::try_from(span).ok());
            let interval = interval.filter(|interval| *interval >= SHORTEST);
            if interval.is_none() {
                invalid("LONGSHORE_NETFILTER_INTERVAL", "a duration of 1s or more", &text);
            }
            interval
        });
        let netfilter = Self {
            mode,
            tool: tool.unwrap_or_default(),
            interval: interval.unwrap_or(INTERVAL),
            block_imds,
            filters_loopback,
            shows_introspection,
        };
        (netfilter, warnings)
    }
}
