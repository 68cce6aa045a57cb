//! What the tools are told, as golden text; and the order of things, with a tool that keeps its rules in a file.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

fn settings() -> Settings {
    Settings {
        task_port: Some(51679),
        filters_loopback: true,
        introspection_port: Some(51678),
        loopback: "lo".to_owned(),
        bridge: Some("docker0".to_owned()),
        blocks_imds: true,
        has_ipv6: true,
    }
}

/// A command for each rule.
fn told(rules: &[Rule], owner: Owner, words: fn(&Rule, iptables::Form) -> Vec<String>) -> String {
    let lines = rules.iter().map(|rule| {
        let program = if rule.family == Family::V4 { "iptables" } else { "ip6tables" };
        format!("{program} {}\n", words(rule, iptables::form(rule, owner)).join(" "))
    });
    lines.collect()
}

#[test]
fn init_installs_the_reference_s_rules_in_its_order() {
    let added = told(&rules(&settings()), Owner::Init, iptables::add);
    let expected = "\
iptables -w 5 -t nat -A PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:51679
iptables -w 5 -t filter -I INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
iptables -w 5 -t filter -I INPUT -p tcp --dport 51678 ! -i lo -j DROP
ip6tables -w 5 -t filter -I INPUT -p tcp --dport 51678 ! -i lo -j DROP
iptables -w 5 -t filter -I INPUT -p tcp --dport 51678 -i docker0 -j ACCEPT
ip6tables -w 5 -t filter -I INPUT -p tcp --dport 51678 -i docker0 -j ACCEPT
iptables -w 5 -t nat -A OUTPUT -p tcp -d 169.254.170.2 --dport 80 -j REDIRECT --to-ports 51679
iptables -w 5 -t raw -I PREROUTING -i docker0 -d 169.254.169.254 -m comment --comment longshore init -j DROP
ip6tables -w 5 -t raw -I PREROUTING -i docker0 -d fd00:ec2::254 -m comment --comment longshore init -j DROP
";
    assert_eq!(added, expected);
}

#[test]
fn an_agent_marks_its_rules() {
    let rules = rules(&Settings { introspection_port: None, has_ipv6: false, ..settings() });
    let agent = |words| told(&rules, Owner::Agent, words);
    let expected = "\
iptables -w 5 -t nat -C PREROUTING -p tcp -d 169.254.170.2 --dport 80 -m comment --comment longshore agent -j DNAT --to-destination 127.0.0.1:51679
iptables -w 5 -t filter -C INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -m comment --comment longshore agent -j DROP
iptables -w 5 -t nat -C OUTPUT -p tcp -d 169.254.170.2 --dport 80 -m comment --comment longshore agent -j REDIRECT --to-ports 51679
iptables -w 5 -t raw -C PREROUTING -i docker0 -d 169.254.169.254 -m comment --comment longshore agent -j DROP
";
    assert_eq!(agent(iptables::check), expected);
    assert_eq!(agent(iptables::delete), expected.replace(" -C ", " -D "));
    let mark = iptables::check(&rules[0], iptables::form(&rules[0], Owner::Agent));
    assert!(mark.contains(&"longshore agent".to_owned()), "a comment is one word to the tool");
}

#[test]
fn settings_choose_the_rules() {
    let kinds = |settings: Settings| {
        let rules = rules(&settings);
        rules.iter().map(Rule::purpose).collect::<Vec<_>>().join("; ")
    };
    let base = Settings { has_ipv6: false, blocks_imds: false, ..settings() };
    assert_eq!(
        kinds(Settings { filters_loopback: false, introspection_port: None, ..base.clone() }),
        "containers: 169.254.170.2:80 to port 51679; host network: 169.254.170.2:80 to port 51679"
    );
    assert_eq!(
        kinds(Settings { bridge: None, filters_loopback: false, ..base.clone() }),
        "containers: 169.254.170.2:80 to port 51679; no port 51678 from elsewhere; \
         host network: 169.254.170.2:80 to port 51679"
    );
    let block = Settings { task_port: None, blocks_imds: true, has_ipv6: true, ..base };
    assert_eq!(kinds(block.clone()), "no 169.254.169.254 from docker0; no fd00:ec2::254 from docker0 (IPv6)");
    assert_eq!(kinds(Settings { bridge: None, ..block }), "");
}

#[test]
fn nft_gets_one_transaction_on_a_table_of_our_own() {
    let rules = rules(&settings());
    let expected = "\
add table ip longshore_agent
delete table ip longshore_agent
table ip longshore_agent {
\tchain prerouting {
\t\ttype nat hook prerouting priority -100; policy accept;
\t\tip daddr 169.254.170.2 tcp dport 80 dnat to 127.0.0.1:51679 comment \"from-containers\"
\t}
\tchain output {
\t\ttype nat hook output priority -100; policy accept;
\t\tip daddr 169.254.170.2 tcp dport 80 redirect to :51679 comment \"from-host\"
\t}
\tchain input {
\t\ttype filter hook input priority 0; policy accept;
\t\tiifname \"docker0\" tcp dport 51678 accept comment \"introspection-from-bridge\"
\t\tiifname != \"lo\" tcp dport 51678 drop comment \"introspection\"
\t\tip daddr 127.0.0.0/8 ip saddr != 127.0.0.0/8 ct state != { established, related } ct status & dnat == 0 drop comment \"loopback\"
\t}
\tchain early {
\t\ttype filter hook prerouting priority -300; policy accept;
\t\tiifname \"docker0\" ip daddr 169.254.169.254 drop comment \"block-imds\"
\t}
}
add table ip6 longshore_agent
delete table ip6 longshore_agent
table ip6 longshore_agent {
\tchain input {
\t\ttype filter hook input priority 0; policy accept;
\t\tiifname \"docker0\" tcp dport 51678 accept comment \"introspection-from-bridge\"
\t\tiifname != \"lo\" tcp dport 51678 drop comment \"introspection\"
\t}
\tchain early {
\t\ttype filter hook prerouting priority -300; policy accept;
\t\tiifname \"docker0\" ip6 daddr fd00:ec2::254 drop comment \"block-imds\"
\t}
}
";
    assert_eq!(nftables::replace(Owner::Agent, &rules, &[Family::V4, Family::V6]), expected);
    assert_eq!(
        nftables::replace(Owner::Agent, &[], &[Family::V4]),
        "add table ip longshore_agent\ndelete table ip longshore_agent\n"
    );
    assert!(rules.iter().filter(|rule| rule.family == Family::V4).all(|rule| nftables::has(expected, rule)));
    let other = Rule { kind: Kind::FromHost { port: 40000 }, family: Family::V4 };
    assert!(!nftables::has(expected, &other), "a rule to another port is another rule");
}

#[test]
fn listings_tell_where_the_address_leads() {
    let listing = "\
-P PREROUTING ACCEPT
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A PREROUTING -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:51679
-A OUTPUT -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -m comment --comment \"longshore agent\" -j REDIRECT --to-ports 40001
-A OUTPUT -d 169.254.170.20/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 1
-A OUTPUT -d 169.254.170.2/32 -j SOMETHING
";
    assert_eq!(iptables::parse_ports(listing), [51679, 40001]);
    let listing = "\
table ip nat {
\t\tip daddr 169.254.170.2 tcp dport 80 counter packets 0 bytes 0 dnat to 127.0.0.1:51679
\t\tip daddr 169.254.170.2 tcp dport 80 redirect to :40001 comment \"from-host\"
\t\tip daddr 169.254.170.2 tcp dport 80 counter packets 0 bytes 0
";
    assert_eq!(nftables::parse_ports(listing), [51679, 40001]);
}

#[test]
fn a_route_is_added_where_no_gateway_is() {
    let table = "Iface\tDestination\tGateway\tFlags\nlo\t00000000\t00000000\t0001\neth0\t0000FEA9\t0100000A\t0003\n";
    assert!(!localnet::parse_has_gateway(table));
    assert!(localnet::parse_has_gateway(&format!("{table}eth0\t00000000\t0100000A\t0003\n")));
    assert_eq!(
        localnet::route_words("add", Owner::Init, "lo").join(" "),
        "route add 169.254.170.2/32 dev lo scope link"
    );
    assert_eq!(
        localnet::route_words("del", Owner::Agent, "lo").join(" "),
        "route del 169.254.170.2/32 dev lo scope link proto 184"
    );
}

#[test]
fn a_setting_is_read_and_written() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("net/ipv4/conf/docker0");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("route_localnet"), "0\n").unwrap();
    let sysctls = localnet::Sysctls::at(root.path());
    assert!(!sysctls.routes_localnet("docker0").unwrap());
    sysctls.set_localnet("docker0", true).unwrap();
    assert!(sysctls.routes_localnet("docker0").unwrap());
    let refusal = sysctls.routes_localnet("eth9").unwrap_err().to_string();
    assert!(refusal.contains("eth9/route_localnet"), "{refusal}");
    sysctls.refuse_advertisements().unwrap();
}

/// iptables as far as it is needed: rules are lines of a file; a file `broken` makes it fail.
const TOOL: &str = r#"#!/bin/sh
state="$0.rules"
[ "$1" = --version ] && { echo "tool v1"; exit 0; }
[ -e "$0.broken" ] && { echo "iptables: resource problem." >&2; exit 4; }
table=$4 operation=$5 chain=$6
shift 6
line="$table $chain $*"
touch "$state"
case $operation in
-S) exit 0 ;;
-C) grep -qxF -e "$line" "$state" || { echo "Bad rule" >&2; exit 1; } ;;
-A) echo "$line" >>"$state" ;;
-I) { echo "$line"; cat "$state"; } >"$state.new"; mv "$state.new" "$state" ;;
-D) number=$(grep -nxF -e "$line" "$state" | head -n 1 | cut -d: -f1)
    [ -n "$number" ] || { echo "Bad rule" >&2; exit 1; }
    sed -i "${number}d" "$state" ;;
esac
"#;

struct Tool {
    folder: tempfile::TempDir,
    netfilter: Netfilter,
}

impl Tool {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, TOOL).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let netfilter = Netfilter::with_iptables(program("iptables"), program("ip6tables"));
        Self { folder, netfilter }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn rules(&self, program: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(&format!("{program}.rules"))).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn what_is_missing_is_added_and_what_is_ours_is_removed() {
    let tool = Tool::new();
    let rules = rules(&settings());
    let installed = tool.netfilter.install(&rules, Owner::Agent).await.unwrap();
    assert_eq!((installed.added.len(), installed.found_ours), (9, false));
    let before = tool.rules("iptables");
    let again = tool.netfilter.install(&rules, Owner::Agent).await.unwrap();
    assert_eq!((again.added.len(), again.found_ours, tool.rules("iptables")), (0, true, before.clone()));
    std::fs::write(tool.path("iptables.rules"), before[1..].join("\n") + "\n").unwrap();
    let repaired = tool.netfilter.install(&rules, Owner::Agent).await.unwrap();
    assert!(!repaired.added.is_empty());
    assert_eq!(tool.netfilter.remove(&rules, &[], Owner::Agent).await.unwrap(), 9);
    assert_eq!((tool.rules("iptables").len(), tool.rules("ip6tables").len()), (0, 0));
    assert_eq!(tool.netfilter.remove(&rules, &[], Owner::Agent).await.unwrap(), 0);
}

#[tokio::test]
async fn rules_of_the_supervisor_stay_and_are_not_doubled() {
    let tool = Tool::new();
    let rules = rules(&Settings { blocks_imds: false, ..settings() });
    tool.netfilter.install(&rules, Owner::Init).await.unwrap();
    let before = (tool.rules("iptables"), tool.rules("ip6tables"));
    let found = tool.netfilter.look(&rules, Owner::Agent).await.unwrap();
    assert!(found.iter().all(|found| *found == Presence::Foreign));
    let installed = tool.netfilter.install(&rules, Owner::Agent).await.unwrap();
    assert_eq!(installed, Installed::default());
    assert_eq!(tool.netfilter.remove(&rules, &[], Owner::Agent).await.unwrap(), 0);
    assert_eq!((tool.rules("iptables"), tool.rules("ip6tables")), before);
}

#[tokio::test]
async fn an_exception_stays_above_its_rule() {
    let tool = Tool::new();
    let rules = rules(&Settings { has_ipv6: false, ..settings() });
    tool.netfilter.install(&rules, Owner::Agent).await.unwrap();
    let all = tool.rules("iptables");
    let is_drop = |line: &String| line.contains("51678 ! -i lo");
    let kept: Vec<String> = all.iter().filter(|line| !is_drop(line)).cloned().collect();
    std::fs::write(tool.path("iptables.rules"), kept.join("\n") + "\n").unwrap();
    tool.netfilter.install(&rules, Owner::Agent).await.unwrap();
    let now = tool.rules("iptables");
    let accepts =
        now.iter().position(|line| line.contains("-i docker0 -m comment") && line.contains("ACCEPT")).unwrap();
    assert!(accepts < now.iter().position(is_drop).unwrap(), "{now:#?}");
    assert_eq!(now.len(), all.len(), "{now:#?}");
}

#[tokio::test]
async fn what_is_to_be_kept_is_kept() {
    let tool = Tool::new();
    let rules = rules(&settings());
    tool.netfilter.install(&rules, Owner::Agent).await.unwrap();
    let kept: Vec<Rule> = rules.iter().filter(|rule| rule.is_block()).cloned().collect();
    assert_eq!(tool.netfilter.remove(&rules, &kept, Owner::Agent).await.unwrap(), 7);
    assert_eq!(tool.rules("iptables").len(), 1);
}

#[tokio::test]
async fn a_failure_tells_what_was_run_and_what_was_said() {
    let tool = Tool::new();
    std::fs::write(tool.path("iptables.broken"), "").unwrap();
    let refusal = tool.netfilter.install(&rules(&settings()), Owner::Agent).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "iptables -w 5 -t nat -C PREROUTING -p tcp -d 169.254.170.2 --dport 80 -m comment --comment \
         \"longshore agent\" -j DNAT --to-destination 127.0.0.1:51679: exit status: 4: iptables: resource problem."
    );
    assert!(!refusal.is_denied());
    let absent = Netfilter::with_iptables("/no/such/iptables".into(), "/no/such/ip6tables".into());
    let refusal = absent.look(&rules(&settings()), Owner::Agent).await.unwrap_err();
    assert!(matches!(refusal, NetfilterError::NotStarted { .. }), "{refusal}");
}
