#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn proxies(vars: &[(&str, &str)]) -> Proxies {
    Proxies::from_vars(&|name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
}

fn choice(proxies: &Proxies, url: &str) -> String {
    match proxies.proxy_for(&url.parse().unwrap()) {
        Err(refusal) => refusal.to_string(),
        Ok(None) => "direct".to_owned(),
        Ok(Some(p)) => format!("{:?} {}:{}", p.scheme, p.host, p.port).to_lowercase(),
    }
}

#[test]
fn exemptions_follow_the_go_rule() {
    #[rustfmt::skip]
    let table: &[(&str, &str, bool)] = &[
        ("", "http://example.com/", true),
        ("", "http://localhost/", false),
        ("", "https://localhost:8443/", false),
        ("", "http://127.0.0.1:51678/", false),
        ("", "http://127.9.9.9/", false),
        ("", "http://[::1]:80/", false),
        ("*", "https://example.com/", false),
        ("other.com, *", "https://example.com/", false),
        ("example.com", "https://example.com/", false),
        ("example.com", "https://EXAMPLE.com/", false),
        ("Example.COM", "https://a.b.example.com/", false),
        ("example.com", "https://notexample.com/", true),
        (".example.com", "https://example.com/", true),
        (".example.com", "https://a.example.com/", false),
        ("*.example.com", "https://example.com/", true),
        ("*.example.com", "https://a.example.com/", false),
        ("example.com:443", "https://example.com/", false),
        ("example.com:443", "wss://example.com/ws", false),
        ("example.com:80", "https://example.com/", true),
        ("example.com:80", "ws://example.com/", false),
        ("example.com:8443", "https://example.com:8443/", false),
        (" 10.0.0.1 , 10.0.0.2 ", "http://10.0.0.2/", false),
        ("10.0.0.1:81", "http://10.0.0.1/", true),
        ("10.0.0.1:81", "http://10.0.0.1:81/", false),
        ("10.0.0.0/8", "http://10.200.0.1:99/", false),
        ("10.0.0.0/8", "http://11.0.0.1/", true),
        ("0.0.0.0/0", "http://11.0.0.1/", false),
        ("10.0.0.0/33", "http://10.0.0.1/", true),
        ("fd00::/8", "http://[fd00:ec2::254]/", false),
        ("[fd00::1]:80", "http://[fd00::1]/", false),
        ("[fd00::1]:80", "http://[fd00::1]:81/", true),
        ("fd00::1", "http://[fd00::1]:81/", false),
        (":80,,", "http://example.com/", true),
        ("169.254.169.254,169.254.170.2,/var/run/docker.sock", "http://169.254.170.2/v2", false),
        ("169.254.169.254,169.254.170.2,/var/run/docker.sock", "http://example.com/", true),
    ];
    for (no_proxy, url, proxied) in table {
        let proxies = proxies(&[("HTTP_PROXY", "http://p:3128"), ("NO_PROXY", no_proxy)]);
        let expected = if *proxied { "http p:3128" } else { "direct" };
        assert_eq!(choice(&proxies, url), expected, "NO_PROXY={no_proxy} {url}");
    }
}

#[test]
fn the_proxy_is_chosen_by_scheme_and_falls_back_to_http_proxy() {
    let both = proxies(&[("HTTP_PROXY", "h:1"), ("HTTPS_PROXY", "https://s")]);
    assert_eq!(choice(&both, "http://x/"), "http h:1");
    assert_eq!(choice(&both, "ws://x/"), "http h:1");
    assert_eq!(choice(&both, "https://x/"), "https s:443");
    assert_eq!(choice(&both, "wss://x/"), "https s:443");
    let only_http = proxies(&[("http_proxy", "socks5://h")]);
    assert_eq!(choice(&only_http, "wss://x/"), "socks5 h:1080");
    let only_https = proxies(&[("https_proxy", "s:9")]);
    assert_eq!(choice(&only_https, "http://x/"), "direct");
    assert_eq!(choice(&only_https, "https://x/"), "http s:9");
    let unusable = proxies(&[("HTTPS_PROXY", "http://a b c"), ("HTTP_PROXY", "h:1")]);
    assert_eq!(choice(&unusable, "https://x/"), "http h:1");
    let upper_wins = proxies(&[("HTTP_PROXY", "upper:1"), ("http_proxy", "lower:1")]);
    assert_eq!(choice(&upper_wins, "http://x/"), "http upper:1");
    let upper_empty = proxies(&[("HTTP_PROXY", ""), ("http_proxy", "lower:1")]);
    assert_eq!(choice(&upper_empty, "http://x/"), "http lower:1");
}

#[test]
fn a_cgi_environment_refuses_http_proxy_even_for_exempted_hosts() {
    let vars = [("HTTP_PROXY", "h:1"), ("REQUEST_METHOD", "GET"), ("NO_PROXY", "*")];
    let refusal = CgiRefusal.to_string();
    assert_eq!(choice(&proxies(&vars), "http://x/"), refusal);
    assert_eq!(choice(&proxies(&vars), "https://x/"), refusal);
    let with_https = proxies(&[("HTTP_PROXY", "h:1"), ("HTTPS_PROXY", "s:2"), ("REQUEST_METHOD", "GET")]);
    assert_eq!(choice(&with_https, "https://x/"), "http s:2");
    assert_eq!(choice(&proxies(&[("REQUEST_METHOD", "GET")]), "http://x/"), "direct");
}

#[test]
fn default_exemptions_apply_only_without_no_proxy() {
    let set = proxies(&[("HTTP_PROXY", "h:1"), ("NO_PROXY", "a.com")])
        .with_default_exemptions(Some("a.com"), "tcp://10.0.0.9:2375");
    assert_eq!(choice(&set, "http://169.254.169.254/"), "http h:1");
    let unset = proxies(&[("HTTP_PROXY", "h:1")]).with_default_exemptions(None, "tcp://10.0.0.9:2375");
    assert_eq!(choice(&unset, "http://169.254.169.254/"), "direct");
    assert_eq!(choice(&unset, "http://10.0.0.9:2375/"), "direct");
    assert_eq!(choice(&unset, "http://10.0.0.9/"), "http h:1");
}

#[test]
fn a_login_is_decoded_and_never_printed() {
    let proxies = proxies(&[("HTTP_PROXY", "http://me:p%40ss@p:1")]);
    let uri = "http://x/".parse().unwrap();
    let proxy = proxies.proxy_for(&uri).unwrap().unwrap();
    assert_eq!(proxy.authorization().unwrap(), "Basic bWU6cEBzcw==");
    assert!(!format!("{proxies:?}").contains("p@ss"));
}
