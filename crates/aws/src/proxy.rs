//! Which requests go through a proxy, by Go's older rule (spec 40 §7.2). Pure data; dialling is `connect`'s.
//!
//! Unlike most libraries, `HTTP_PROXY` also serves `https` and `wss` when `HTTPS_PROXY` is empty or unusable.

use std::net::IpAddr;

use http::Uri;
use wire::secret::Secret;

use crate::Lookup;

/// The proxy settings of a process, read once.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Go refuses `HTTP_PROXY` in a CGI environment, where a request header could have set it.
    cgi: bool,
    exempt: Vec<Exemption>,
}

/// One proxy server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub scheme: ProxyScheme,
    pub host: String,
    pub port: u16,
    /// User and password, percent-decoded.
    pub login: Option<(String, Secret<String>)>,
}

/// How the proxy itself is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyScheme {
    Http,
    Https,
    Socks5,
}

/// `HTTP_PROXY` would be used although `REQUEST_METHOD` is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refusing to use HTTP_PROXY value in CGI environment; see golang.org/s/cgihttpproxy")]
pub struct CgiRefusal;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Exemption {
    All,
    Network {
        base: IpAddr,
        prefix: u8,
    },
    Address {
        ip: IpAddr,
        port: Option<u16>,
    },
    /// `suffix` begins with a dot; `itself` also exempts the name without that dot.
    Domain {
        suffix: String,
        port: Option<u16>,
        itself: bool,
    },
}

impl Proxies {
    /// No proxy at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` (each also in lower case) and `REQUEST_METHOD`.
    pub fn from_vars(lookup: Lookup<'_>) -> Self {
        let either = |upper: &str, lower: &str| {
            lookup(upper).filter(|v| !v.is_empty()).or_else(|| lookup(lower)).unwrap_or_default()
        };
        Self {
            http: Proxy::parse(&either("HTTP_PROXY", "http_proxy")),
            https: Proxy::parse(&either("HTTPS_PROXY", "https_proxy")),
            cgi: lookup("REQUEST_METHOD").is_some_and(|v| !v.is_empty()),
            exempt: parse_exemptions(&either("NO_PROXY", "no_proxy")),
        }
    }

    /// Adds the exemptions that the reference gives itself when a websocket is opened while `NO_PROXY` is
    /// empty: instance metadata, task credentials, the Docker endpoint (spec 40 §7.2). `no_proxy` is the
    /// value of `NO_PROXY`; `lower-case` is deliberately not asked.
    #[must_use]
    pub fn with_default_exemptions(mut self, no_proxy: Option<&str>, docker_endpoint: &str) -> Self {
        if no_proxy.is_none_or(str::is_empty) {
            let docker = docker_endpoint.split_once("://").map_or(docker_endpoint, |(_, rest)| rest);
            self.exempt = parse_exemptions(&format!("169.254.169.254,169.254.170.2,{docker}"));
        }
        self
    }

    /// The proxy that a request to `uri` goes through, if any.
    ///
    /// # Errors
    /// When `HTTP_PROXY` would be used in a CGI environment, even for exempted hosts.
    pub fn proxy_for(&self, uri: &Uri) -> Result<Option<&Proxy>, CgiRefusal> {
        let secure = is_secure(uri);
        let proxy = match (secure, &self.https, &self.http) {
            (true, Some(proxy), _) => proxy,
            (_, _, Some(_)) if self.cgi => return Err(CgiRefusal),
            (_, _, Some(proxy)) => proxy,
            (_, _, None) => return Ok(None),
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok((!self.is_exempt(host, port)).then_some(proxy))
    }

    fn is_exempt(&self, host: &str, port: u16) -> bool {
        if host == "localhost" {
            return true;
        }
        let host = host.trim().to_ascii_lowercase();
        let ip = host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        if ip.is_some_and(|ip| ip.is_loopback()) {
            return true;
        }
        self.exempt.iter().any(|exemption| exemption.matches(&host, ip, port))
    }
}

/// Whether the connection to `uri` is TLS.
pub(crate) fn is_secure(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("https" | "wss"))
}

impl Proxy {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let lower = text.to_ascii_lowercase();
        let (scheme, rest) = if lower.starts_with("http://") {
            (ProxyScheme::Http, &text[7..])
        } else if lower.starts_with("https://") {
            (ProxyScheme::Https, &text[8..])
        } else if lower.starts_with("socks5://") {
            (ProxyScheme::Socks5, &text[9..])
        } else {
            (ProxyScheme::Http, text)
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let (login, address) = match authority.rsplit_once('@') {
            None => (None, authority),
            Some((login, address)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (Some((percent_decode(user), Secret::new(percent_decode(password)))), address)
            }
        };
        let address: http::uri::Authority = address.parse().ok()?;
        let host = address.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return None;
        }
        let port = address.port_u16().unwrap_or(match scheme {
            ProxyScheme::Http => 80,
            ProxyScheme::Https => 443,
            ProxyScheme::Socks5 => 1080,
        });
        Some(Self { scheme, host, port, login })
    }

    /// The value of `Proxy-Authorization`, when the proxy's URL carried a login.
    pub(crate) fn authorization(&self) -> Option<String> {
        use base64::Engine as _;
        let (user, password) = self.login.as_ref()?;
        let pair = format!("{user}:{}", password.expose());
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
    }
}

impl Exemption {
    fn matches(&self, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Network { base, prefix } => ip.is_some_and(|ip| same_network(*base, ip, *prefix)),
            Self::Address { ip: exempt, port: only } => ip == Some(*exempt) && only.is_none_or(|only| only == port),
            Self::Domain { suffix, port: only, itself } => {
                (host.ends_with(suffix.as_str()) || (*itself && host == &suffix[1..]))
                    && only.is_none_or(|only| only == port)
            }
        }
    }
}

fn parse_exemptions(list: &str) -> Vec<Exemption> {
    let mut exemptions = Vec::new();
    for item in list.split(',').map(|item| item.trim().to_ascii_lowercase()) {
        if item.is_empty() {
            continue;
        }
        if item == "*" {
            return vec![Exemption::All];
        }
        if let Some(network) = parse_network(&item) {
            exemptions.push(network);
            continue;
        }
        let (host, port) = split_port(&item);
        if let Ok(ip) = host.parse::<IpAddr>() {
            exemptions.push(Exemption::Address { ip: ip.to_canonical(), port });
            continue;
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        if host.is_empty() {
            continue;
        }
        let itself = !host.starts_with('.');
        let suffix = if itself { format!(".{host}") } else { host.to_owned() };
        exemptions.push(Exemption::Domain { suffix, port, itself });
    }
    exemptions
}

fn parse_network(item: &str) -> Option<Exemption> {
    let (base, prefix) = item.split_once('/')?;
    let base: IpAddr = base.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    let most = if base.is_ipv4() { 32 } else { 128 };
    (prefix <= most).then_some(Exemption::Network { base, prefix })
}

/// Splits `host:port` and `[host]:port`; an address with several colons and no brackets is all host.
fn split_port(item: &str) -> (&str, Option<u16>) {
    if let Some(rest) = item.strip_prefix('[')
        && let Some((host, after)) = rest.split_once(']')
    {
        return (host, after.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match item.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (item, None),
    }
}

fn same_network(base: IpAddr, ip: IpAddr, prefix: u8) -> bool {
    let prefix = u32::from(prefix);
    match (base, ip) {
        (IpAddr::V4(base), IpAddr::V4(ip)) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            base.to_bits() & mask == ip.to_bits() & mask
        }
        (IpAddr::V6(base), IpAddr::V6(ip)) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            base.to_bits() & mask == ip.to_bits() & mask
        }
        _ => false,
    }
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests;
