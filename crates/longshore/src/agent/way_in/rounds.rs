//! One look after the other at the rules, and what it led to.

use std::net::SocketAddr;
use std::time::Duration;

use engine::status::TaskStatus;
use host::netfilter::{
    Family, Kind, Netfilter, NetfilterError, Owner, Presence, Rule, Settings, TASK_ADDRESS, has_ipv6, localnet, rules,
};
use jiff::Timestamp;
use tokio::net::TcpStream;
use tracing::{error, info, warn};

use super::hint::Trouble;
use super::{WayIn, WayInView, default_bridge, ports};
use crate::config::RulesMode;

/// How long a connection to our own host may take.
const PROBE: Duration = Duration::from_millis(500);

/// What is remembered between looks.
pub(super) struct Rounds {
    way_in: WayIn,
    mode: RulesMode,
    tool: Option<Netfilter>,
    /// Docker's default bridge; kept when Docker is down.
    bridge: Option<String>,
    /// Rules that this agent wanted at any time, so that none is left behind.
    wanted: Vec<Rule>,
    /// Whether some of them are this agent's, or were left by one before it that was killed.
    has_ours: bool,
    /// Where loopback addresses are routed because of us.
    localnet: Option<String>,
    has_route: bool,
    view: WayInView,
    /// The last look found all in place.
    was_in_place: bool,
    last_trouble: Option<String>,
}

/// What one look found.
#[derive(Default)]
struct Look {
    /// Put back or put there.
    added: Vec<String>,
    missing: Vec<String>,
}

impl Rounds {
    pub(super) fn new(way_in: WayIn) -> Self {
        let mode = way_in.mode();
        let word = match mode {
            RulesMode::Own => "own",
            RulesMode::Watch => "watch",
            RulesMode::Off => "off",
        };
        let view = WayInView { mode: word, ..WayInView::default() };
        way_in.published.set_way_in(view.clone());
        Self {
            way_in,
            mode,
            tool: None,
            bridge: None,
            wanted: Vec::new(),
            has_ours: false,
            localnet: None,
            has_route: false,
            view,
            was_in_place: false,
            last_trouble: None,
        }
    }

    /// Neither a way in nor a block is this agent's business.
    pub(super) fn has_nothing_to_do(&self) -> bool {
        self.mode == RulesMode::Off && !self.way_in.config.netfilter.block_imds
    }

    /// Looks at the rules, puts right what this agent is to put right, and publishes what it found.
    pub(super) async fn next(&mut self) {
        let look = self.look().await;
        let blocks = self.way_in.config.netfilter.block_imds;
        let (look, is_in_place, trouble) = match look {
            Ok(look) => {
                let is_in_place = look.missing.is_empty();
                (look, is_in_place, (blocks && self.bridge.is_none()).then_some(Trouble::NoBridge))
            }
            Err(refusal) => {
                // Who may not look at rules can still see what they do.
                let is_in_place = refusal.is_denied() && !blocks && self.leads_to_us().await;
                (Look::default(), is_in_place, (!is_in_place).then_some(refusal))
            }
        };
        self.log(&look, trouble.as_ref(), is_in_place);
        let is_expected = self.is_expected();
        let view = &mut self.view;
        view.checked_at = Some(Timestamp::now());
        if self.was_in_place && !look.added.is_empty() {
            view.repairs += 1;
            view.repaired_at = view.checked_at;
        }
        view.tool = self.tool.as_ref().map(|tool| tool.version().to_owned());
        // Without the right to look, and without an answer, nothing is known.
        let is_known = !(self.mode == RulesMode::Watch && trouble.as_ref().is_some_and(Trouble::is_denied));
        view.in_place = (self.mode != RulesMode::Off && is_known).then_some(is_in_place);
        view.imds_blocked = blocks.then_some(trouble.is_none());
        view.hint = trouble.as_ref().map(|trouble| trouble.hint(self.way_in.task_port));
        let is_unblocked = view.imds_blocked == Some(false);
        view.is_lost = is_unblocked || (is_known && !is_in_place && is_expected);
        view.error = trouble.map(|trouble| trouble.to_string());
        view.missing = look.missing;
        self.was_in_place |= is_in_place;
        self.way_in.published.set_way_in(view.clone());
    }

    /// Whether it is a fault that rules are missing. A laptop's owner may do without.
    fn is_expected(&self) -> bool {
        match self.mode {
            RulesMode::Own => !self.way_in.is_local || self.was_in_place,
            RulesMode::Watch => self.was_in_place,
            RulesMode::Off => false,
        }
    }

    fn log(&mut self, look: &Look, trouble: Option<&Trouble>, is_in_place: bool) {
        let mut said = trouble.map(ToString::to_string);
        if !look.missing.is_empty() {
            said = Some(look.missing.join("; "));
        }
        let is_news = said != self.last_trouble;
        if let (Some(trouble), true) = (trouble, is_news) {
            match self.mode {
                RulesMode::Own if !self.way_in.is_local => error!("packet rules cannot be put in place: {trouble}"),
                _ if self.way_in.config.netfilter.block_imds => error!("instance metadata is not blocked: {trouble}"),
                _ => warn!("{}", trouble.hint(self.way_in.task_port)),
            }
        } else if is_news && !is_in_place && self.was_in_place {
            warn!(
                missing = look.missing.join("; "),
                "packet rules for {TASK_ADDRESS} are gone: containers get no \
                metadata and no credentials. `longshore init install` puts them back; with LONGSHORE_NETFILTER=own the agent does"
            );
        } else if is_news && !is_in_place {
            warn!(
                missing = look.missing.join("; "),
                "no packet rules lead {TASK_ADDRESS} to this agent: containers \
                get no metadata and no credentials. `longshore init install` puts them there; with LONGSHORE_NETFILTER=own the agent does"
            );
        }
        let added = look.added.join("; ");
        let tool = self.tool.as_ref().map(Netfilter::version).unwrap_or_default();
        if !look.added.is_empty() && self.was_in_place {
            warn!(rules = added, "packet rules were gone, and were put back");
        } else if !look.added.is_empty() {
            info!(rules = added, tool, "packet rules are in place");
        } else if is_in_place && (!self.was_in_place || is_news) {
            info!(tool, "packet rules are in place already");
        }
        self.last_trouble = said;
    }

    async fn look(&mut self) -> Result<Look, Trouble> {
        let config = &self.way_in.config;
        if !config.docker.endpoint.starts_with("unix://") {
            return Err(Trouble::Elsewhere);
        }
        let tool = match &self.tool {
            Some(tool) => tool.clone(),
            None => self.tool.insert(Netfilter::choose(config.netfilter.tool).await?).clone(),
        };
        self.bridge = default_bridge(&self.way_in.docker).await.or(self.bridge.take());
        let blocks = config.netfilter.block_imds;
        let settings = Settings {
            task_port: (self.mode == RulesMode::Own).then_some(self.way_in.task_port),
            filters_loopback: config.netfilter.filters_loopback,
            introspection_port: self.way_in.introspection_port(),
            loopback: localnet::loopback(),
            bridge: self.bridge.clone(),
            blocks_imds: blocks,
            has_ipv6: has_ipv6() && tool.has(Family::V6),
        };
        let mut look = Look::default();
        self.own(&tool, &settings, &mut look).await?;
        if self.mode == RulesMode::Watch {
            self.watch(&tool, settings, &mut look).await?;
        }
        Ok(look)
    }

    /// Puts in place what is this agent's to put.
    async fn own(&mut self, tool: &Netfilter, settings: &Settings, look: &mut Look) -> Result<(), Trouble> {
        let wanted = rules(settings);
        if settings.task_port.is_some() {
            self.clear_way(tool, settings).await?;
        }
        let installed = tool.install(&wanted, Owner::Agent).await?;
        self.has_ours |= installed.found_ours || !installed.added.is_empty();
        if installed.found_ours && !self.was_in_place && settings.task_port.is_some() {
            // An agent before this one was killed: what belongs to its rules is ours as well.
            self.localnet.get_or_insert_with(|| localnet_scope(&self.way_in, settings));
            self.has_route = true;
        }
        look.added.extend(installed.added.iter().map(Rule::purpose));
        if settings.task_port.is_some() {
            // After the rules: one of them guards what this opens.
            self.route(settings, look).await?;
        }
        for rule in wanted {
            if !self.wanted.contains(&rule) {
                self.wanted.push(rule);
            }
        }
        Ok(())
    }

    /// Sees whether the address leads elsewhere. To a port of an agent that was killed it does no longer after this.
    async fn clear_way(&self, tool: &Netfilter, settings: &Settings) -> Result<(), Trouble> {
        let stale =
            |port: u16| rules(&Settings { task_port: Some(port), introspection_port: None, ..settings.clone() });
        for port in tool.other_ports(self.way_in.task_port).await? {
            let holder = host::listeners::who_listens(port);
            let of_agent: Vec<Rule> = stale(port).into_iter().filter(Rule::is_way_in).collect();
            if holder.is_none() && tool.remove(&of_agent, &[], Owner::Agent).await? > 0 {
                warn!(port, "rules of an agent that is gone were removed");
                continue;
            }
            let holder = holder.map(|holder| format!("process {} ({})", holder.pid, holder.command));
            return Err(Trouble::Taken { port, holder });
        }
        Ok(())
    }

    /// What the rules need beside them: see `host::netfilter::localnet`.
    async fn route(&mut self, settings: &Settings, look: &mut Look) -> Result<(), NetfilterError> {
        let sysctls = localnet::Sysctls::default();
        let scope = localnet_scope(&self.way_in, settings);
        if !sysctls.routes_localnet("all")? && !sysctls.routes_localnet(&scope)? {
            sysctls.set_localnet(&scope, true)?;
            look.added.push(format!("route_localnet of {scope}"));
            self.localnet = Some(scope);
        }
        if localnet::has_default_route() {
            return Ok(());
        }
        match localnet::add_route(Owner::Agent, &settings.loopback).await {
            Ok(true) => {
                look.added.push(format!("a route to {TASK_ADDRESS}"));
                self.has_route = true;
            }
            Ok(false) => {}
            // Containers with a network of their own do without.
            Err(refusal) => look.missing.push(format!("a route to {TASK_ADDRESS} for the host network ({refusal})")),
        }
        Ok(())
    }

    /// Sees whether what others put there is in place.
    async fn watch(&self, tool: &Netfilter, settings: Settings, look: &mut Look) -> Result<(), Trouble> {
        let settings = Settings {
            task_port: Some(self.way_in.task_port),
            filters_loopback: false,
            introspection_port: None,
            blocks_imds: false,
            ..settings
        };
        let wanted = rules(&settings);
        let found = tool.look(&wanted, Owner::Agent).await?;
        let missing = wanted.iter().zip(found).filter(|(_, found)| *found == Presence::Missing);
        look.missing.extend(missing.map(|(rule, _)| rule.purpose()));
        let sysctls = localnet::Sysctls::default();
        let scope = localnet_scope(&self.way_in, &settings);
        if !sysctls.routes_localnet("all")? && !sysctls.routes_localnet(&scope)? {
            look.missing.push(format!("route_localnet of {scope}"));
        }
        Ok(())
    }

    /// Whether a connection to the address arrives here. Only rules for the usual port can be another's.
    async fn leads_to_us(&self) -> bool {
        let probe = TcpStream::connect(SocketAddr::from((TASK_ADDRESS, 80)));
        self.way_in.task_port == ports::TASKS && matches!(tokio::time::timeout(PROBE, probe).await, Ok(Ok(_)))
    }

    /// Removes what this agent put there. The block of instance metadata stays while tasks go on running: it is for
    /// them, and the next agent finds it.
    pub(super) async fn leave(self) {
        let Some(tool) = self.tool.filter(|_| self.has_ours || self.localnet.is_some()) else { return };
        let is_running = self.way_in.published.tasks().iter().any(|task| task.state.known != TaskStatus::Stopped);
        let kept: Vec<Rule> = self.wanted.iter().filter(|rule| is_running && rule.is_block()).cloned().collect();
        match tool.remove(&self.wanted, &kept, Owner::Agent).await {
            Ok(count) => info!(count, "packet rules of this agent were removed"),
            Err(refusal) => warn!("packet rules of this agent could not be removed: {refusal}"),
        }
        if !kept.is_empty() {
            info!("instance metadata stays blocked, for the tasks that go on running");
        }
        if self.has_route
            && let Err(refusal) = localnet::remove_route(Owner::Agent, &localnet::loopback()).await
        {
            warn!("the route to {TASK_ADDRESS} could not be removed: {refusal}");
        }
        let Some(scope) = self.localnet else { return };
        let foreign = Rule { kind: Kind::FromContainers { port: self.way_in.task_port }, family: Family::V4 };
        let is_needed = tool.look(&[foreign], Owner::Agent).await.is_ok_and(|found| found != [Presence::Missing]);
        let sysctls = localnet::Sysctls::default();
        let usual = sysctls.routes_localnet("default").unwrap_or(false);
        if !is_needed && let Err(refusal) = sysctls.set_localnet(&scope, usual) {
            warn!("route_localnet of {scope} could not be set back: {refusal}");
        }
    }
}

/// Where loopback addresses have to be routed: on the interface that bridge tasks come from, and only where tasks come
/// from others too, everywhere.
fn localnet_scope(way_in: &WayIn, settings: &Settings) -> String {
    let bridge = settings.bridge.clone().filter(|_| !way_in.config.networking.task_eni);
    bridge.unwrap_or_else(|| "all".to_owned())
}
