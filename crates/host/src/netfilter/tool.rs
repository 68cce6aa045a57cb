//! The host's own tool, and the rules as they really are.

use std::path::{Path, PathBuf};

use super::iptables::{self, Form};
use super::run::{NetfilterError, failure, find, run, run_well};
use super::{Family, Kind, Owner, Rule, nftables};

/// Which tool is to be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// The host's `iptables`, which is also Docker's; where it is absent or does not work, `nft`.
    #[default]
    Any,
    Iptables,
    IptablesNft,
    IptablesLegacy,
    Nft,
}

impl Choice {
    /// The choice of this name, that of the binary.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "iptables" => Some(Self::Iptables),
            "iptables-nft" => Some(Self::IptablesNft),
            "iptables-legacy" => Some(Self::IptablesLegacy),
            "nft" => Some(Self::Nft),
            _ => None,
        }
    }

    /// Binaries for IPv4 and IPv6, best first.
    const fn names(self) -> &'static [(&'static str, &'static str)] {
        const IPTABLES: (&str, &str) = ("iptables", "ip6tables");
        match self {
            Self::Any => &[IPTABLES, ("nft", "nft")],
            Self::Iptables => &[IPTABLES],
            Self::IptablesNft => &[("iptables-nft", "ip6tables-nft")],
            Self::IptablesLegacy => &[("iptables-legacy", "ip6tables-legacy")],
            Self::Nft => &[("nft", "nft")],
        }
    }

    const fn wanted(self) -> &'static str {
        match self {
            Self::Any => "neither iptables nor nft, one of which",
            Self::Iptables => "iptables",
            Self::IptablesNft => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
            Self::Nft => "nft",
        }
    }
}

/// Whether a rule is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// In the owner's form.
    Ours,
    /// As another put it there; it stays as it is.
    Foreign,
    Missing,
}

/// What an installation found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// Rules that were missing and are there now.
    pub added: Vec<Rule>,
    /// Whether some were there in the owner's form.
    pub found_ours: bool,
}

/// A tool that works here.
#[derive(Debug, Clone)]
pub struct Netfilter {
    backend: Backend,
    version: String,
}

#[derive(Debug, Clone)]
enum Backend {
    Iptables { v4: PathBuf, v6: Option<PathBuf> },
    Nft(PathBuf),
}

impl Netfilter {
    /// Looks for a tool that works.
    ///
    /// # Errors
    /// None is installed, or the best does not work: the error is its.
    pub async fn choose(choice: Choice) -> Result<Self, NetfilterError> {
        let mut first_refusal = None;
        for (v4, v6) in choice.names() {
            let Some(program) = find(v4) else { continue };
            let backend = if *v4 == "nft" {
                Backend::Nft(program.clone())
            } else {
                Backend::Iptables { v4: program.clone(), v6: find(v6) }
            };
            match Self::tried(backend, &program).await {
                Ok(works) => return Ok(works),
                Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
            }
        }
        Err(first_refusal.unwrap_or(NetfilterError::NoTool { wanted: choice.wanted() }))
    }

    #[cfg(test)]
    pub(super) fn with_iptables(v4: PathBuf, v6: PathBuf) -> Self {
        Self { backend: Backend::Iptables { v4, v6: Some(v6) }, version: String::new() }
    }

    async fn tried(backend: Backend, program: &Path) -> Result<Self, NetfilterError> {
        let trial = match &backend {
            Backend::Iptables { .. } => iptables::list_nat("OUTPUT"),
            Backend::Nft(_) => text(&["list", "tables"]),
        };
        run_well(program, &trial, None).await?;
        let version = run_well(program, &text(&["--version"]), None).await.unwrap_or_default();
        Ok(Self { backend, version })
    }

    /// Name and version of the tool, in its own words.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether rules of the family can be had.
    #[must_use]
    pub const fn has(&self, family: Family) -> bool {
        match (&self.backend, family) {
            (Backend::Iptables { v6, .. }, Family::V6) => v6.is_some(),
            (Backend::Iptables { .. }, Family::V4) | (Backend::Nft(_), _) => true,
        }
    }

    /// Which of these rules are there.
    ///
    /// # Errors
    /// The tool fails.
    pub async fn look(&self, rules: &[Rule], owner: Owner) -> Result<Vec<Presence>, NetfilterError> {
        let mut found = Vec::with_capacity(rules.len());
        match &self.backend {
            Backend::Iptables { .. } => {
                for rule in rules {
                    found.push(self.look_for(rule, owner).await?);
                }
            }
            Backend::Nft(program) => {
                let ours = Listings::read(program, owner, rules).await?;
                // See `iptables::foreign_forms`.
                let theirs = if owner == Owner::Agent {
                    Listings::read(program, Owner::Init, rules).await?
                } else {
                    Listings::default()
                };
                found.extend(rules.iter().map(|rule| match rule {
                    rule if ours.has(rule) => Presence::Ours,
                    rule if theirs.has(rule) => Presence::Foreign,
                    _ => Presence::Missing,
                }));
            }
        }
        Ok(found)
    }

    async fn look_for(&self, rule: &Rule, owner: Owner) -> Result<Presence, NetfilterError> {
        if self.is_there(rule, iptables::form(rule, owner)).await? {
            return Ok(Presence::Ours);
        }
        for form in iptables::foreign_forms(rule, owner) {
            if self.is_there(rule, form).await? {
                return Ok(Presence::Foreign);
            }
        }
        Ok(Presence::Missing)
    }

    async fn is_there(&self, rule: &Rule, form: Form) -> Result<bool, NetfilterError> {
        let Some(program) = self.iptables(rule.family) else { return Ok(false) };
        yes_or_no(program, &iptables::check(rule, form)).await
    }

    /// Adds the rules that are missing. Doing it again changes nothing.
    ///
    /// # Errors
    /// The tool fails; with iptables, rules that were added before stay.
    pub async fn install(&self, rules: &[Rule], owner: Owner) -> Result<Installed, NetfilterError> {
        let mut found = self.look(rules, owner).await?;
        let found_ours = found.contains(&Presence::Ours);
        if !found.contains(&Presence::Missing) {
            return Ok(Installed { added: Vec::new(), found_ours });
        }
        let added = match &self.backend {
            Backend::Iptables { .. } => {
                self.unseat_exceptions(rules, &mut found, owner).await?;
                let missing = rules.iter().zip(&found).filter(|(_, found)| **found == Presence::Missing);
                let mut added = Vec::new();
                for (rule, _) in missing {
                    if let Some(program) = self.iptables(rule.family) {
                        run_well(program, &iptables::add(rule, iptables::form(rule, owner)), None).await?;
                        added.push(rule.clone());
                    }
                }
                added
            }
            Backend::Nft(program) => {
                let wanted = rules.iter().zip(&found).filter(|(_, found)| **found != Presence::Foreign);
                let wanted: Vec<Rule> = wanted.map(|(rule, _)| rule.clone()).collect();
                replace(program, owner, &wanted, &families(&wanted)).await?;
                let missing = rules.iter().zip(&found).filter(|(_, found)| **found == Presence::Missing);
                missing.map(|(rule, _)| rule.clone()).collect()
            }
        };
        Ok(Installed { added, found_ours })
    }

    /// A rule that goes to the top of its chain covers its exception, which therefore has to go above it once more.
    async fn unseat_exceptions(
        &self,
        rules: &[Rule],
        found: &mut [Presence],
        owner: Owner,
    ) -> Result<(), NetfilterError> {
        for (at, rule) in rules.iter().enumerate() {
            let is_covered = matches!(rule.kind, Kind::IntrospectionFromBridge { .. })
                && rules.iter().zip(&*found).any(|(other, found)| {
                    matches!(other.kind, Kind::Introspection { .. })
                        && other.family == rule.family
                        && *found == Presence::Missing
                });
            if !is_covered {
                continue;
            }
            if found[at] == Presence::Ours {
                self.delete(rule, owner).await?;
            }
            found[at] = Presence::Missing;
        }
        Ok(())
    }

    /// Removes the owner's rules among `rules` and leaves those of `kept`. What is not there is fine.
    ///
    /// # Errors
    /// The tool fails: the first failure, after all was tried.
    pub async fn remove(&self, rules: &[Rule], kept: &[Rule], owner: Owner) -> Result<usize, NetfilterError> {
        match &self.backend {
            Backend::Iptables { .. } => {
                let (mut removed, mut refusal) = (0, None);
                for rule in rules.iter().filter(|rule| !kept.contains(rule)) {
                    match self.delete(rule, owner).await {
                        Ok(true) => removed += 1,
                        Ok(false) => {}
                        Err(error) => refusal = refusal.or(Some(error)),
                    }
                }
                refusal.map_or(Ok(removed), Err)
            }
            Backend::Nft(program) => {
                let there = Listings::read(program, owner, rules).await?;
                if there.is_empty() {
                    return Ok(0);
                }
                let (stays, goes): (Vec<&Rule>, Vec<&Rule>) =
                    rules.iter().filter(|rule| there.has(rule)).partition(|rule| kept.contains(rule));
                let stays: Vec<Rule> = stays.into_iter().cloned().collect();
                replace(program, owner, &stays, &there.families()).await?;
                Ok(goes.len())
            }
        }
    }

    async fn delete(&self, rule: &Rule, owner: Owner) -> Result<bool, NetfilterError> {
        let Some(program) = self.iptables(rule.family) else { return Ok(false) };
        yes_or_no(program, &iptables::delete(rule, iptables::form(rule, owner))).await
    }

    /// Ports other than `port` that [`super::TASK_ADDRESS`] leads to, whoever made it so.
    ///
    /// # Errors
    /// The tool fails.
    pub async fn other_ports(&self, port: u16) -> Result<Vec<u16>, NetfilterError> {
        let mut ports = match &self.backend {
            Backend::Iptables { v4, .. } => {
                let mut ports = Vec::new();
                for chain in ["PREROUTING", "OUTPUT"] {
                    ports.extend(iptables::parse_ports(&run_well(v4, &iptables::list_nat(chain), None).await?));
                }
                ports
            }
            Backend::Nft(program) => {
                nftables::parse_ports(&run_well(program, &text(&["list", "ruleset", "ip"]), None).await?)
            }
        };
        ports.sort_unstable();
        ports.dedup();
        ports.retain(|other| *other != port);
        Ok(ports)
    }

    fn iptables(&self, family: Family) -> Option<&Path> {
        match (&self.backend, family) {
            (Backend::Iptables { v4, .. }, Family::V4) => Some(v4),
            (Backend::Iptables { v6, .. }, Family::V6) => v6.as_deref(),
            (Backend::Nft(_), _) => None,
        }
    }
}

/// An owner's tables, by family; absent ones are left out.
#[derive(Default)]
struct Listings(Vec<(Family, String)>);

impl Listings {
    async fn read(program: &Path, owner: Owner, rules: &[Rule]) -> Result<Self, NetfilterError> {
        let mut listings = Vec::new();
        for family in families(rules) {
            let arguments = text(&["list", "table", nftables::family(family), nftables::table(owner)]);
            let said = run(program, &arguments, None).await?;
            if said.status.success() {
                listings.push((family, said.stdout));
            } else if !said.stderr.contains("No such file or directory") {
                return Err(failure(program, &arguments, said));
            }
        }
        Ok(Self(listings))
    }

    fn has(&self, rule: &Rule) -> bool {
        self.0.iter().any(|(family, listing)| *family == rule.family && nftables::has(listing, rule))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn families(&self) -> Vec<Family> {
        self.0.iter().map(|(family, _)| *family).collect()
    }
}

fn families(rules: &[Rule]) -> Vec<Family> {
    let mut families: Vec<Family> = rules.iter().map(|rule| rule.family).collect();
    families.sort_unstable();
    families.dedup();
    families
}

/// Runs iptables, whose exit status 1 says that there is no such rule.
async fn yes_or_no(program: &Path, arguments: &[String]) -> Result<bool, NetfilterError> {
    let said = run(program, arguments, None).await?;
    match said.status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err(failure(program, arguments, said)),
    }
}

async fn replace(program: &Path, owner: Owner, rules: &[Rule], families: &[Family]) -> Result<(), NetfilterError> {
    let script = nftables::replace(owner, rules, families);
    run_well(program, &text(&["-f", "-"]), Some(&script)).await.map(drop)
}

fn text(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
