//! The two websockets: opened, read and written on the engine's behalf. What the messages mean is not known here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws::websocket::tungstenite::protocol::CloseFrame;
use aws::websocket::tungstenite::protocol::frame::coding::CloseCode;
use aws::websocket::tungstenite::{Error, Message, error::ProtocolError};
use aws::websocket::{HandshakeSigning, WebSocket, open_websocket};
use engine::effect::{Connection, Farewell, Socket};
use engine::event::Closing;
use engine::{Event, Failure, FailureKind, Outcome};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tracing::{debug, warn};

use super::Outside;

/// Frames that may wait to be sent on one connection.
const OUTGOING: usize = 256;

/// What a connection is told.
pub(super) enum Order {
    Send { text: String, sent: oneshot::Sender<Result<(), String>> },
    Close(Option<Farewell>),
}

/// The connections that are open.
#[derive(Clone)]
pub(crate) struct Sockets(Arc<Inner>);

struct Inner {
    orders: Mutex<BTreeMap<Connection, mpsc::Sender<Order>>>,
    /// The open telemetry connection and its URL, which its frames are signed for.
    telemetry: watch::Sender<Option<(Connection, String)>>,
    heartbeats: Arc<Notify>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self(Arc::new(Inner {
            orders: Mutex::default(),
            telemetry: watch::Sender::new(None),
            heartbeats: Arc::default(),
        }))
    }
}

impl Sockets {
    fn orders(&self) -> MutexGuard<'_, BTreeMap<Connection, mpsc::Sender<Order>>> {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, connection: Connection, url: &str, orders: mpsc::Sender<Order>) {
        self.orders().insert(connection, orders);
        if connection.socket == Socket::Tcs {
            self.0.telemetry.send_replace(Some((connection, url.to_owned())));
        }
    }

    fn remove(&self, connection: Connection) {
        self.orders().remove(&connection);
        self.0.telemetry.send_if_modified(|open| {
            let is_it = open.as_ref().is_some_and(|(current, _)| *current == connection);
            if is_it {
                *open = None;
            }
            is_it
        });
    }

    fn find(&self, connection: Connection) -> Option<mpsc::Sender<Order>> {
        self.orders().get(&connection).cloned()
    }

    /// The telemetry connection, as it comes and goes.
    pub(super) fn telemetry(&self) -> watch::Receiver<Option<(Connection, String)>> {
        self.0.telemetry.subscribe()
    }

    /// Woken by each heartbeat of the control plane.
    pub(super) fn heartbeats(&self) -> Arc<Notify> {
        Arc::clone(&self.0.heartbeats)
    }

    pub(super) async fn send(&self, connection: Connection, text: String) -> Outcome {
        let gone = || Outcome::Failed(Failure::new(FailureKind::Unreachable, "the connection is closed"));
        let Some(orders) = self.find(connection) else { return gone() };
        let (sent, answer) = oneshot::channel();
        if orders.send(Order::Send { text, sent }).await.is_err() {
            return gone();
        }
        match answer.await {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(text)) => Outcome::Failed(Failure::new(FailureKind::Other, text)),
            Err(_) => gone(),
        }
    }

    pub(super) async fn close(&self, connection: Connection, farewell: Option<Farewell>) -> Outcome {
        if let Some(orders) = self.find(connection) {
            let _ = orders.send(Order::Close(farewell)).await;
        }
        Outcome::Done
    }
}

/// Opens a connection and, once it is open, reads it to its end in the same task, so that facts keep their order.
pub(super) async fn open(
    outside: &Arc<Outside>,
    connection: Connection,
    url: String,
    deadline: Duration,
    opened: impl Future<Output = ()>,
    inbox: &mpsc::Sender<Event>,
) -> Result<(), Failure> {
    let signing =
        HandshakeSigning { credentials: outside.credentials.clone(), region: outside.config.identity.region.clone() };
    let socket = open_websocket(&outside.connector, &url, &signing, deadline)
        .await
        .map_err(|error| Failure::new(FailureKind::Other, error.to_string()))?;
    let (orders, incoming) = mpsc::channel(OUTGOING);
    outside.sockets.add(connection, &url, orders);
    opened.await;
    let how = read(outside, connection, socket, incoming, inbox).await;
    outside.sockets.remove(connection);
    let _ = inbox.send(Event::Closed { connection, how }).await;
    Ok(())
}

async fn read(
    outside: &Outside,
    connection: Connection,
    socket: WebSocket,
    mut orders: mpsc::Receiver<Order>,
    inbox: &mpsc::Sender<Event>,
) -> Closing {
    let (mut sink, mut stream) = socket.split();
    loop {
        tokio::select! {
            frame = stream.next() => match frame {
                Some(Ok(Message::Text(text))) => receive(outside, connection, text.as_str(), inbox).await,
                Some(Ok(Message::Binary(bytes))) => match std::str::from_utf8(&bytes) {
                    Ok(text) => receive(outside, connection, text, inbox).await,
                    Err(_) => warn!("a binary frame that is no text was dropped"),
                },
                Some(Ok(Message::Close(frame))) => return closing(frame),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return broken(&error),
                None => return Closing::Valid { text: "the connection ended".to_owned() },
            },
            order = orders.recv() => match order {
                Some(Order::Send { text, sent }) => {
                    let result = sink.send(Message::text(text)).await.map_err(|error| error.to_string());
                    let _ = sent.send(result);
                }
                Some(Order::Close(Some(farewell))) => {
                    let frame = CloseFrame { code: CloseCode::from(farewell.code), reason: farewell.reason.into() };
                    if let Err(error) = sink.send(Message::Close(Some(frame))).await {
                        return broken(&error);
                    }
                }
                Some(Order::Close(None)) | None => {
                    return Closing::Error { text: "the connection was dropped from here".to_owned() };
                }
            },
        }
    }
}

async fn receive(outside: &Outside, connection: Connection, text: &str, inbox: &mpsc::Sender<Event>) {
    let event = match connection.socket {
        Socket::Acs => match wire::acs::inbound(text) {
            Ok(mut message) => {
                debug!(kind = message.kind(), "message received");
                outside.vault.keep_secrets_of(&mut message);
                if matches!(message, wire::acs::Inbound::Heartbeat(_)) {
                    outside.sockets.0.heartbeats.notify_one();
                }
                Event::Message { connection, message: Box::new(message) }
            }
            Err(error) => {
                warn!("a frame was dropped: {error}");
                return;
            }
        },
        Socket::Tcs => {
            if !wire::tcs::is_activity(text) {
                return;
            }
            Event::Activity { connection }
        }
    };
    let _ = inbox.send(event).await;
}

/// Valid codes lead to a reconnect at once, all others to a pause (spec 10 §2.6).
fn closing(frame: Option<CloseFrame>) -> Closing {
    let Some(frame) = frame else { return Closing::Valid { text: "closed without a code".to_owned() } };
    let code = u16::from(frame.code);
    let text = format!("websocket: close {code}: {}", frame.reason);
    if matches!(code, 1000 | 1001 | 1006 | 1011) { Closing::Valid { text } } else { Closing::Error { text } }
}

fn broken(error: &Error) -> Closing {
    match error {
        // A plain end of the stream counts as close code 1006.
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            Closing::Valid { text: "the connection ended".to_owned() }
        }
        Error::Io(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            Closing::Valid { text: "the connection ended".to_owned() }
        }
        other => Closing::Error { text: other.to_string() },
    }
}
