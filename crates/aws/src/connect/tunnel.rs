//! A tunnel through a proxy: `CONNECT`, or SOCKS version 5. Afterwards the stream is as good as direct.

use std::io::{Error, Result};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::TlsOrTcpStream;
use crate::proxy::{Proxy, ProxyScheme};

/// A proxy's answer to `CONNECT` is short; more is not one.
const MAX_ANSWER: usize = 16 * 1024;

pub(super) async fn open(stream: &mut TlsOrTcpStream, proxy: &Proxy, host: &str, port: u16) -> Result<()> {
    match proxy.scheme {
        ProxyScheme::Http | ProxyScheme::Https => connect(stream, proxy, host, port).await,
        ProxyScheme::Socks5 => socks5(stream, proxy, host.trim_matches(['[', ']']), port).await,
    }
}

async fn connect(stream: &mut TlsOrTcpStream, proxy: &Proxy, host: &str, port: u16) -> Result<()> {
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(value) = proxy.authorization() {
        request.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    // Byte by byte, so that nothing behind the head is taken from the tunnelled stream.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_ANSWER {
            return Err(Error::other("answer to CONNECT is too long"));
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let status_line = head.lines().next().unwrap_or_default();
    let mut words = status_line.splitn(2, ' ');
    match (words.next(), words.next()) {
        (Some(version), Some(status)) if version.starts_with("HTTP/1.") => {
            if status.starts_with('2') {
                Ok(())
            } else {
                Err(Error::other(status.to_owned()))
            }
        }
        _ => Err(Error::other("answer to CONNECT is not HTTP")),
    }
}

async fn socks5(stream: &mut TlsOrTcpStream, proxy: &Proxy, host: &str, port: u16) -> Result<()> {
    const NO_LOGIN: u8 = 0;
    const LOGIN: u8 = 2;
    let short = |text: &str| u8::try_from(text.len()).map_err(|_| Error::other("name or login is too long"));
    let method = if proxy.login.is_some() { LOGIN } else { NO_LOGIN };
    stream.write_all(&[5, 1, method]).await?;
    stream.flush().await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    if chosen != [5, method] {
        return Err(Error::other("no acceptable authentication method"));
    }
    if let Some((user, password)) = &proxy.login {
        let password = password.expose();
        let mut login = vec![1, short(user)?];
        login.extend(user.as_bytes());
        login.push(short(password)?);
        login.extend(password.as_bytes());
        stream.write_all(&login).await?;
        stream.flush().await?;
        let mut verdict = [0; 2];
        stream.read_exact(&mut verdict).await?;
        if verdict[1] != 0 {
            return Err(Error::other("login refused"));
        }
    }
    let mut request = vec![5, 1, 0];
    match host.parse() {
        Ok(std::net::IpAddr::V4(ip)) => {
            request.push(1);
            request.extend(ip.octets());
        }
        Ok(std::net::IpAddr::V6(ip)) => {
            request.push(4);
            request.extend(ip.octets());
        }
        Err(_) => {
            request.extend([3, short(host)?]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    if reply[1] != 0 {
        return Err(Error::other(format!("connection refused with code {}", reply[1])));
    }
    let address = match reply[3] {
        1 => 4,
        4 => 16,
        _ => usize::from(stream.read_u8().await?),
    };
    let mut bound = vec![0; address + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}
