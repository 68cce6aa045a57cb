//! What `nft` is told about rules, on hosts without iptables. All rules of an owner are in one table per family, which
//! is its mark: it is replaced and removed as a whole, and nothing else is touched. Nothing is run here.

use std::fmt::Write;

use super::{Family, Kind, Owner, Rule, TASK_ADDRESS, imds};

/// The owner's table.
pub(super) const fn table(owner: Owner) -> &'static str {
    match owner {
        Owner::Agent => "longshore_agent",
        Owner::Init => "longshore_init",
    }
}

/// The name of a family in nft's language.
pub(super) const fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// One transaction that leaves the owner's tables with these rules and no others.
pub(super) fn replace(owner: Owner, rules: &[Rule], families: &[Family]) -> String {
    let mut script = String::new();
    let table = table(owner);
    for one in families {
        let name = family(*one);
        // Removing what is not there is an error, adding what is there is not.
        let _ = writeln!(script, "add table {name} {table}\ndelete table {name} {table}");
        let of_family: Vec<&Rule> = rules.iter().filter(|rule| rule.family == *one).collect();
        if of_family.is_empty() {
            continue;
        }
        let _ = writeln!(script, "table {name} {table} {{");
        for chain in &CHAINS {
            let mut of_chain: Vec<&&Rule> =
                of_family.iter().filter(|rule| chain_of(&rule.kind) == chain.name).collect();
            if of_chain.is_empty() {
                continue;
            }
            // As with iptables, where each goes above the one before: the exception first.
            of_chain.reverse();
            let _ = writeln!(script, "\tchain {} {{\n\t\ttype {}; policy accept;", chain.name, chain.hook);
            for rule in of_chain {
                let _ = writeln!(script, "\t\t{} comment \"{}\"", body(rule), word(&rule.kind));
            }
            script.push_str("\t}\n");
        }
        script.push_str("}\n");
    }
    script
}

/// Whether a listing of the owner's table has the rule.
pub(super) fn has(listing: &str, rule: &Rule) -> bool {
    let comment = format!("comment \"{}\"", word(&rule.kind));
    // Port and interface tell a rule of an agent that had other settings.
    let is_it = |line: &&str| match &rule.kind {
        Kind::FromContainers { port } | Kind::FromHost { port } => line.contains(&format!(":{port} ")),
        Kind::Introspection { port, loopback: interface }
        | Kind::IntrospectionFromBridge { port, bridge: interface } => {
            line.contains(&format!("dport {port} ")) && line.contains(&format!("\"{interface}\""))
        }
        Kind::BlockImds { bridge } => line.contains(&format!("\"{bridge}\"")),
        Kind::LoopbackFilter => true,
    };
    listing.lines().filter(|line| line.contains(&comment)).any(|line| is_it(&line))
}

/// Ports that a listing of all rules leads [`TASK_ADDRESS`] to.
pub(super) fn parse_ports(listing: &str) -> Vec<u16> {
    let address = format!("ip daddr {TASK_ADDRESS} ");
    let lines = listing.lines().filter(|line| line.contains(&address));
    let targets = lines.filter_map(|line| {
        let target = line.split("dnat to ").nth(1).or_else(|| line.split("redirect to ").nth(1))?;
        target.split_ascii_whitespace().next()?.rsplit(':').next()?.parse().ok()
    });
    targets.collect()
}

struct Chain {
    name: &'static str,
    hook: &'static str,
}

/// Priorities as numbers: their names are younger than some hosts.
const CHAINS: [Chain; 4] = [
    Chain { name: "prerouting", hook: "nat hook prerouting priority -100" },
    Chain { name: "output", hook: "nat hook output priority -100" },
    Chain { name: "input", hook: "filter hook input priority 0" },
    Chain { name: "early", hook: "filter hook prerouting priority -300" },
];

const fn chain_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::FromContainers { .. } => "prerouting",
        Kind::FromHost { .. } => "output",
        Kind::LoopbackFilter | Kind::Introspection { .. } | Kind::IntrospectionFromBridge { .. } => "input",
        Kind::BlockImds { .. } => "early",
    }
}

const fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::FromContainers { .. } => "from-containers",
        Kind::FromHost { .. } => "from-host",
        Kind::LoopbackFilter => "loopback",
        Kind::Introspection { .. } => "introspection",
        Kind::IntrospectionFromBridge { .. } => "introspection-from-bridge",
        Kind::BlockImds { .. } => "block-imds",
    }
}

fn body(rule: &Rule) -> String {
    match &rule.kind {
        Kind::FromContainers { port } => format!("ip daddr {TASK_ADDRESS} tcp dport 80 dnat to 127.0.0.1:{port}"),
        Kind::FromHost { port } => format!("ip daddr {TASK_ADDRESS} tcp dport 80 redirect to :{port}"),
        Kind::LoopbackFilter => "ip daddr 127.0.0.0/8 ip saddr != 127.0.0.0/8 ct state != { established, related } \
                                 ct status & dnat == 0 drop"
            .to_owned(),
        Kind::Introspection { port, loopback } => format!("iifname != \"{loopback}\" tcp dport {port} drop"),
        Kind::IntrospectionFromBridge { port, bridge } => format!("iifname \"{bridge}\" tcp dport {port} accept"),
        Kind::BlockImds { bridge } => {
            format!("iifname \"{bridge}\" {} daddr {} drop", family(rule.family), imds(rule.family))
        }
    }
}
