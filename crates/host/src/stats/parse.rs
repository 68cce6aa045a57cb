//! The kernel's tables.

use std::collections::BTreeMap;

use wire::docker::{BlkioEntry, NetworkStats};

/// `name value` lines.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name, value.trim().parse().ok()?))
    })
}

/// The value of a `name value` line; 0 where there is none.
pub(super) fn value(text: &str, wanted: &str) -> u64 {
    pairs(text).find(|(name, _)| *name == wanted).map_or(0, |(_, value)| value)
}

/// Interfaces that are in every namespace and are nobody's network: loopback and the kernel's tunnel templates.
const NOT_NETWORK: [&str; 10] =
    ["lo", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"];

/// `/proc/<pid>/net/dev`.
pub(super) fn interfaces(text: &str) -> BTreeMap<String, NetworkStats> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, values)| (name.trim(), values))
        .filter(|(name, _)| !NOT_NETWORK.contains(name))
        .filter_map(|(name, values)| {
            let mut values = values.split_ascii_whitespace().map(|value| value.parse().unwrap_or(0));
            let mut next = || values.next();
            let stats = NetworkStats {
                rx_bytes: next()?,
                rx_packets: next()?,
                rx_errors: next()?,
                rx_dropped: next()?,
                ..NetworkStats::default()
            };
            // fifo, frame, compressed, multicast
            let _ = (next()?, next()?, next()?, next()?);
            let stats = NetworkStats {
                tx_bytes: next()?,
                tx_packets: next()?,
                tx_errors: next()?,
                tx_dropped: next()?,
                ..stats
            };
            Some((name.to_owned(), stats))
        })
        .collect()
}

/// `8:0 Read 4096` lines of cgroup v1; the total over all devices is left out.
pub(super) fn block_v1(text: &str) -> impl Iterator<Item = (u64, u64, &str, u64)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (major, minor) = device(words.next()?)?;
        Some((major, minor, words.next()?, words.next()?.parse().ok()?))
    })
}

/// `8:0 rbytes=4096 wbytes=0 …` lines of cgroup v2: bytes read and written by device.
pub(super) fn block_v2(text: &str) -> impl Iterator<Item = (u64, u64, &'static str, u64)> {
    text.lines()
        .filter_map(|line| {
            let (name, counters) = line.split_once(' ')?;
            let (major, minor) = device(name)?;
            let value = |wanted: &str| {
                let mut counters = counters.split_ascii_whitespace().filter_map(|counter| counter.split_once('='));
                counters.find(|(name, _)| *name == wanted)?.1.parse().ok()
            };
            Some([(major, minor, "read", value("rbytes")?), (major, minor, "write", value("wbytes")?)])
        })
        .flatten()
}

fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

pub(super) fn entries<'t>(lines: impl Iterator<Item = (u64, u64, &'t str, u64)>) -> Vec<BlkioEntry> {
    lines.map(|(major, minor, op, value)| BlkioEntry { major, minor, op: op.to_owned(), value }).collect()
}
