//! What `iptables` and `ip6tables` are told about a rule. Nothing is run here.

use super::{Kind, Owner, Rule, TASK_ADDRESS, imds};

/// Waits for others that change rules, up to 5 seconds.
const WAIT: [&str; 2] = ["-w", "5"];

/// In which form a rule is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As the reference's supervisor writes it.
    Plain,
    /// With this comment.
    Marked(&'static str),
}

/// The form in which `owner` writes a rule.
pub(super) const fn form(rule: &Rule, owner: Owner) -> Form {
    match owner {
        Owner::Agent => Form::Marked("longshore agent"),
        // The reference has no such rule, so none of its own could be meant.
        Owner::Init if matches!(rule.kind, Kind::BlockImds { .. }) => Form::Marked("longshore init"),
        Owner::Init => Form::Plain,
    }
}

/// The forms in which others may have written it already, so that `owner` need not.
pub(super) fn foreign_forms(rule: &Rule, owner: Owner) -> Vec<Form> {
    match owner {
        Owner::Agent => {
            let by_init = form(rule, Owner::Init);
            if by_init == Form::Plain { vec![by_init] } else { vec![by_init, Form::Plain] }
        }
        // An agent takes its rules away when it ends; what is installed for good must not depend on them.
        Owner::Init => Vec::new(),
    }
}

/// Asks whether the rule is there; exit status 1 is a no.
pub(super) fn check(rule: &Rule, form: Form) -> Vec<String> {
    words("-C", rule, form)
}

/// Adds the rule where the reference adds it.
pub(super) fn add(rule: &Rule, form: Form) -> Vec<String> {
    let (_, _, operation) = place(rule);
    words(operation, rule, form)
}

/// Removes the rule once.
pub(super) fn delete(rule: &Rule, form: Form) -> Vec<String> {
    words("-D", rule, form)
}

/// Lists a chain of the table `nat`.
pub(super) fn list_nat(chain: &str) -> Vec<String> {
    WAIT.into_iter().chain(["-t", "nat", "-S", chain]).map(str::to_owned).collect()
}

/// Ports that a listing of a chain leads [`TASK_ADDRESS`] to.
pub(super) fn parse_ports(listing: &str) -> Vec<u16> {
    let address = format!("{TASK_ADDRESS}/32");
    listing.lines().filter(|line| line.contains(&address)).filter_map(parse_port).collect()
}

fn parse_port(line: &str) -> Option<u16> {
    let mut words = line.split_ascii_whitespace();
    let target = words.find(|word| matches!(*word, "--to-destination" | "--to-ports")).and_then(|_| words.next())?;
    target.rsplit(':').next()?.parse().ok()
}

/// Table, chain, and what adds the rule at its top or bottom. The block sits where a packet passes first: neither
/// Docker's own chains, which are put above others whenever Docker starts, nor an address that is the host's own come
/// before it.
fn place(rule: &Rule) -> (&'static str, &'static str, &'static str) {
    match rule.kind {
        Kind::FromContainers { .. } => ("nat", "PREROUTING", "-A"),
        Kind::FromHost { .. } => ("nat", "OUTPUT", "-A"),
        Kind::LoopbackFilter | Kind::Introspection { .. } | Kind::IntrospectionFromBridge { .. } => {
            ("filter", "INPUT", "-I")
        }
        Kind::BlockImds { .. } => ("raw", "PREROUTING", "-I"),
    }
}

fn words(operation: &str, rule: &Rule, form: Form) -> Vec<String> {
    let (table, chain, _) = place(rule);
    let mut words: Vec<String> = WAIT.into_iter().chain(["-t", table, operation, chain]).map(str::to_owned).collect();
    let (matches, target) = parts(rule);
    words.extend(matches.split(' ').map(str::to_owned));
    if let Form::Marked(mark) = form {
        words.extend(["-m", "comment", "--comment", mark].map(str::to_owned));
    }
    words.extend(target.split(' ').map(str::to_owned));
    words
}

/// Matches and target, as in spec 40 §15.3. Neither has a word with a space in it: interface names cannot.
fn parts(rule: &Rule) -> (String, String) {
    let to_task_server = format!("-p tcp -d {TASK_ADDRESS} --dport 80");
    match &rule.kind {
        Kind::FromContainers { port } => (to_task_server, format!("-j DNAT --to-destination 127.0.0.1:{port}")),
        Kind::FromHost { port } => (to_task_server, format!("-j REDIRECT --to-ports {port}")),
        Kind::LoopbackFilter => (
            "--dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT".to_owned(),
            "-j DROP".to_owned(),
        ),
        Kind::Introspection { port, loopback } => {
            (format!("-p tcp --dport {port} ! -i {loopback}"), "-j DROP".to_owned())
        }
        Kind::IntrospectionFromBridge { port, bridge } => {
            (format!("-p tcp --dport {port} -i {bridge}"), "-j ACCEPT".to_owned())
        }
        Kind::BlockImds { bridge } => (format!("-i {bridge} -d {}", imds(rule.family)), "-j DROP".to_owned()),
    }
}
