//! What the rules need beside them: `route_localnet`, without which the kernel takes redirected packets of containers
//! for forged ones, and a route to 169.254.170.2 on hosts that have none (spec 40 §15.1, §15.2).

use std::path::{Path, PathBuf};

use super::run::{NetfilterError, failure, find, run};
use super::{Owner, TASK_ADDRESS};

/// Marks the agent's own route: `rtnetlink` lets everybody have a protocol number, and nobody else has this one.
const ROUTE_PROTOCOL: &str = "184";

/// Kernel settings below a folder, normally `/proc/sys`.
#[derive(Debug, Clone)]
pub struct Sysctls(PathBuf);

impl Default for Sysctls {
    fn default() -> Self {
        Self("/proc/sys".into())
    }
}

impl Sysctls {
    /// Those below another folder.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self(root.to_owned())
    }

    fn localnet(&self, interface: &str) -> PathBuf {
        self.0.join("net/ipv4/conf").join(interface).join("route_localnet")
    }

    /// Whether `interface` (or `all`, or `default`) routes loopback addresses.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn routes_localnet(&self, interface: &str) -> Result<bool, NetfilterError> {
        let path = self.localnet(interface);
        let text = std::fs::read_to_string(&path);
        text.map(|text| text.trim() == "1").map_err(|source| setting(&path, source))
    }

    /// Lets `interface` route loopback addresses, or not.
    ///
    /// # Errors
    /// There is no such interface, or this process may not.
    pub fn set_localnet(&self, interface: &str, is_on: bool) -> Result<(), NetfilterError> {
        let path = self.localnet(interface);
        std::fs::write(&path, if is_on { "1" } else { "0" }).map_err(|source| setting(&path, source))
    }

    /// Keeps Docker's bridge from believing router advertisements of containers; its name is fixed, and it need not
    /// be there (spec 40 §15.1).
    ///
    /// # Errors
    /// It is there and this process may not.
    pub fn refuse_advertisements(&self) -> Result<(), NetfilterError> {
        let path = self.0.join("net/ipv6/conf/docker0/accept_ra");
        match std::fs::write(&path, "0") {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(setting(&path, source)),
            _ => Ok(()),
        }
    }
}

fn setting(path: &Path, source: std::io::Error) -> NetfilterError {
    NetfilterError::Setting { path: path.display().to_string(), source }
}

/// Whether packets to 169.254.170.2 find a way at all: the host has a default route with a gateway.
#[must_use]
pub fn has_default_route() -> bool {
    // Where routes cannot be read there is no reason to add one.
    std::fs::read_to_string("/proc/net/route").map_or(true, |routes| parse_has_gateway(&routes))
}

/// `/proc/net/route`: interface, destination, gateway, flags, ...
pub(super) fn parse_has_gateway(routes: &str) -> bool {
    routes.lines().skip(1).any(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (destination, gateway) = (columns.next(), columns.next());
        destination == Some("00000000") && gateway.is_some_and(|gateway| gateway != "00000000")
    })
}

/// Adds the route; `false` if there is one.
///
/// # Errors
/// `ip` is missing or fails.
pub async fn add_route(owner: Owner, loopback: &str) -> Result<bool, NetfilterError> {
    change_route("add", owner, loopback, "File exists").await
}

/// Removes the route that `owner` added; `false` if there is none.
///
/// # Errors
/// `ip` is missing or fails.
pub async fn remove_route(owner: Owner, loopback: &str) -> Result<bool, NetfilterError> {
    change_route("del", owner, loopback, "No such process").await
}

async fn change_route(operation: &str, owner: Owner, loopback: &str, already: &str) -> Result<bool, NetfilterError> {
    let program = find("ip").ok_or(NetfilterError::NoTool { wanted: "ip (iproute2)" })?;
    let arguments = route_words(operation, owner, loopback);
    let said = run(&program, &arguments, None).await?;
    match said.status.success() {
        true => Ok(true),
        false if said.stderr.contains(already) => Ok(false),
        false => Err(failure(&program, &arguments, said)),
    }
}

pub(super) fn route_words(operation: &str, owner: Owner, loopback: &str) -> Vec<String> {
    let address = format!("{TASK_ADDRESS}/32");
    let mut words = vec!["route", operation, &address, "dev", loopback, "scope", "link"];
    if owner == Owner::Agent {
        words.extend(["proto", ROUTE_PROTOCOL]);
    }
    words.into_iter().map(str::to_owned).collect()
}

/// Name of the loopback interface: the first that says it is one, as far as the mounted `/sys` shows this process's
/// network; `lo` otherwise.
#[must_use]
pub fn loopback() -> String {
    const LOOPBACK: u32 = 0x8;
    let mut names: Vec<String> = std::fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let flags = std::fs::read_to_string(format!("/sys/class/net/{name}/flags")).unwrap_or_default();
            u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).is_ok_and(|flags| flags & LOOPBACK != 0)
        })
        .collect();
    names.sort_unstable();
    names.into_iter().next().unwrap_or_else(|| "lo".to_owned())
}

/// Whether there is an interface of this name.
#[must_use]
pub fn has_interface(name: &str) -> bool {
    // Not below /sys/class/net, which shows the network namespace of who mounted it.
    Path::new("/proc/sys/net/ipv4/conf").join(name).exists()
}
