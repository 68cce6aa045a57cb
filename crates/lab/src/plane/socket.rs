//! A websocket, read by its own thread and written by whoever has something to say.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Bytes, Message};

use super::{Channel, Shared, What};

/// The sending half.
#[derive(Clone)]
pub(super) struct Writer {
    socket: Arc<Mutex<WebSocket<Half>>>,
    stream: Arc<TcpStream>,
}

/// One of two views of a connection. What one of them writes is one whole frame, and the lock keeps frames apart.
struct Half {
    stream: TcpStream,
    writing: Arc<Mutex<()>>,
}

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Half {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let _whole = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.stream.write_all(buffer)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Writer {
    pub(super) fn send(&self, text: &str) -> Result<()> {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        socket.send(Message::text(text)).context("sending on the websocket")
    }

    pub(super) fn cut(&self) {
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

/// Notes `connected`, then all that comes, until the connection ends.
pub(super) fn serve(shared: &Shared, channel: Channel, stream: TcpStream, connected: What) {
    let writing = Arc::new(Mutex::new(()));
    let half = || stream.try_clone().map(|stream| Half { stream, writing: Arc::clone(&writing) });
    let (Ok(reading), Ok(speaking), Ok(whole)) = (half(), half(), stream.try_clone()) else { return };
    let mut socket = WebSocket::from_raw_socket(reading, Role::Server, None);
    let speaking = WebSocket::from_raw_socket(speaking, Role::Server, None);
    let writer = Writer { socket: Arc::new(Mutex::new(speaking)), stream: Arc::new(whole) };
    shared.state().writers.insert(channel, writer.clone());
    shared.note(connected);
    while let Ok(message) = socket.read() {
        let data = match &message {
            Message::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Message::Binary(data) => data.clone(),
            _ => continue,
        };
        let said: Value = serde_json::from_slice(json_of(&data)).unwrap_or(Value::Null);
        let kind = said["type"].as_str().unwrap_or("").to_owned();
        let reply = match kind.as_str() {
            "PublishMetricsRequest" => Some("AckPublishMetric"),
            "PublishHealthRequest" => Some("AckPublishHealth"),
            "PublishInstanceStatusRequest" => Some("AckPublishInstanceStatus"),
            _ => None,
        };
        shared.note(What::Said { channel, kind, message: said["message"].clone() });
        if let Some(reply) = reply {
            drop(writer.send(&json!({ "type": reply, "message": { "message": "" } }).to_string()));
        }
    }
    shared.note(What::Closed { channel });
}

/// Each telemetry message is a signed request: its headers, an empty line, then the JSON (spec 10 §5).
fn json_of(data: &[u8]) -> &[u8] {
    match data.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(at) => &data[at + 4..],
        None => data,
    }
}
