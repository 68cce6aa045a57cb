//! Just enough HTTP/1.1 for an agent: requests with a length, connections kept open, and the websocket's upgrade.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::handshake::derive_accept_key;

use super::{Channel, Shared, What, socket};

pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Serves one connection until it ends. Errors end it: a test sees what the agent then does.
pub(super) fn serve(shared: &Shared, stream: TcpStream) {
    // Answers are one small write each; waiting for more would only add to what is measured.
    drop(stream.set_nodelay(true));
    let Ok(reading) = stream.try_clone() else { return };
    let mut reader = BufReader::new(reading);
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        if request.headers.get("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
            upgrade(shared, &request, writer);
            return;
        }
        let (status, body) = call(shared, &request);
        let text = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request of a connection; none at its end.
pub(crate) fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, headers, body })
}

fn call(shared: &Shared, request: &Request) -> (u16, Value) {
    let Some(target) = request.headers.get("x-amz-target").filter(|_| request.method == "POST") else {
        return (404, json!({ "__type": "InvalidAction", "message": request.target }));
    };
    let operation = target.rsplit('.').next().unwrap_or("").to_owned();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let answer = shared.answer(&operation, &body);
    shared.note(What::Call { operation, body, is_signed: request.headers.contains_key("authorization") });
    answer
}

fn upgrade(shared: &Shared, request: &Request, mut stream: TcpStream) {
    let channel = if request.target.starts_with("/tcs") { Channel::Tcs } else { Channel::Acs };
    let key = request.headers.get("sec-websocket-key").map_or("", String::as_str);
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 -\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    if stream.write_all(answer.as_bytes()).is_err() {
        return;
    }
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let is_signed = request.headers.contains_key("authorization");
    socket::serve(shared, channel, stream, What::Connected { channel, query, is_signed });
}
