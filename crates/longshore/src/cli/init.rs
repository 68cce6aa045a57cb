//! `longshore init`: puts the packet rules there that the reference's supervisor puts there at pre-start, and takes
//! away what either of the two put there (spec 40 §15). Its rules are those of ecs-init word for word, so that one can
//! follow the other on a host.

use host::netfilter::localnet::{self, Sysctls};
use host::netfilter::{
    Family, Netfilter, NetfilterError, Owner, Presence, Rule, Settings, TASK_ADDRESS, has_ipv6, rules,
};
use serde_json::json;

use super::{Failure, Global, InitAction, text};
use crate::agent::{ports, way_in};
use crate::{config, local};

pub(super) async fn execute(global: &Global, action: InitAction) -> Result<u8, Failure> {
    let (config, warnings) = config::Netfilter::from_vars(&|name| std::env::var(name).ok());
    for warning in warnings {
        eprintln!("longshore: {warning}");
    }
    let tool = Netfilter::choose(config.tool).await.map_err(|error| failure(&error))?;
    let bridge = match docker::Engine::connect(&local::docker_endpoint()) {
        Ok(docker) => way_in::default_bridge(&docker).await,
        Err(_) => None,
    };
    let settings = Settings {
        task_port: Some(ports::TASKS),
        filters_loopback: config.filters_loopback,
        introspection_port: (!config.shows_introspection).then_some(ports::INTROSPECTION),
        loopback: localnet::loopback(),
        bridge,
        blocks_imds: config.block_imds,
        has_ipv6: has_ipv6() && tool.has(Family::V6),
    };
    let outcome = match action {
        InitAction::Install => install(&tool, &settings).await,
        InitAction::Check => check(&tool, &settings).await,
        InitAction::Remove => remove(&tool, &settings).await,
    };
    let (lines, is_good) = outcome.map_err(|error| failure(&error))?;
    if global.json {
        let lines: Vec<_> = lines.iter().map(|(what, state)| json!({"rule": what, "state": state})).collect();
        println!("{}", json!({"tool": tool.version(), "rules": lines}));
    } else {
        println!("{}", render(&lines));
        if !is_good {
            eprintln!("What is missing: sudo longshore init install");
        }
    }
    Ok(u8::from(!is_good))
}

/// What there is to say of each rule, and whether all is well.
type Outcome = Result<(Vec<(String, &'static str)>, bool), NetfilterError>;

async fn install(tool: &Netfilter, settings: &Settings) -> Outcome {
    let sysctls = Sysctls::default();
    sysctls.set_localnet("all", true)?;
    sysctls.refuse_advertisements()?;
    let mut lines = vec![("route_localnet".to_owned(), "on")];
    if !localnet::has_default_route() {
        let is_new = localnet::add_route(Owner::Init, &settings.loopback).await?;
        lines.push((format!("a route to {TASK_ADDRESS}"), if is_new { "added" } else { "in place" }));
    }
    let wanted = rules(settings);
    let installed = tool.install(&wanted, Owner::Init).await?;
    lines.extend(
        wanted.iter().map(|rule| (rule.purpose(), if installed.added.contains(rule) { "added" } else { "in place" })),
    );
    Ok((lines, true))
}

async fn check(tool: &Netfilter, settings: &Settings) -> Outcome {
    let wanted = rules(settings);
    let mut found = tool.look(&wanted, Owner::Init).await?;
    // A running agent may have brought its own.
    let of_agent = tool.look(&wanted, Owner::Agent).await?;
    for (found, of_agent) in found.iter_mut().zip(of_agent) {
        if *found == Presence::Missing && of_agent == Presence::Ours {
            *found = Presence::Foreign;
        }
    }
    let sysctls = Sysctls::default();
    let is_routed = |scope: &str| sysctls.routes_localnet(scope).unwrap_or(false);
    let is_routed = is_routed("all") || settings.bridge.as_deref().is_some_and(is_routed);
    let mut lines = vec![("route_localnet".to_owned(), if is_routed { "on" } else { "missing" })];
    lines.extend(wanted.iter().zip(&found).map(|(rule, found)| {
        let state = match found {
            Presence::Ours => "in place",
            Presence::Foreign => "in place, by an agent",
            Presence::Missing => "missing",
        };
        (rule.purpose(), state)
    }));
    let is_good = is_routed && !found.contains(&Presence::Missing);
    Ok((lines, is_good))
}

/// As post-stop of the reference: the rules of both variables go, whatever they say now, but for the loopback filter.
async fn remove(tool: &Netfilter, settings: &Settings) -> Outcome {
    let all = Settings { introspection_port: Some(ports::INTROSPECTION), blocks_imds: true, ..settings.clone() };
    let wanted = rules(&all);
    let found = tool.look(&wanted, Owner::Init).await?;
    let sysctls = Sysctls::default();
    let reset = sysctls.routes_localnet("default").and_then(|usual| sysctls.set_localnet("all", usual));
    if !localnet::has_default_route() {
        // A route that stays does no harm.
        let _ = localnet::remove_route(Owner::Init, &settings.loopback).await;
    }
    tool.remove(&wanted, &[], Owner::Init).await?;
    remove_leftovers(tool, &wanted).await?;
    reset?;
    let state = |found: &Presence| if *found == Presence::Ours { "removed" } else { "not there" };
    Ok((wanted.iter().zip(&found).map(|(rule, found)| (rule.purpose(), state(found))).collect(), true))
}

/// A block that an agent left for tasks that went on running, when no agent runs any more.
async fn remove_leftovers(tool: &Netfilter, wanted: &[Rule]) -> Result<(), NetfilterError> {
    if host::listeners::who_listens(ports::TASKS).is_some() {
        return Ok(());
    }
    let blocks: Vec<Rule> = wanted.iter().filter(|rule| rule.is_block()).cloned().collect();
    tool.remove(&blocks, &[], Owner::Agent).await.map(drop)
}

fn failure(error: &NetfilterError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        NetfilterError::NoTool { .. } => failure.next("On Debian: sudo apt-get install iptables"),
        _ if error.is_denied() => failure.next("This takes root: sudo longshore init ..."),
        _ => failure,
    }
}

fn render(lines: &[(String, &'static str)]) -> String {
    let mut table = text::table();
    for (what, state) in lines {
        table.add_row([what.as_str(), state]);
    }
    text::lines(table).join("\n")
}
