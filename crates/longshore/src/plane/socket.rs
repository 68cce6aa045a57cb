//! An agent's websocket: the upgrade, then frames both ways until either end has enough.

use std::collections::BTreeMap;

use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use plane::{Channel, Event, Fault, SessionId};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::driver::{Frame, Handle};
use super::http::{Shared, respond};

/// The largest message of an agent. Telemetry keeps to 1 MiB plus its envelope (spec 10 §5.4).
const MESSAGE_MAX: usize = 4 * 1024 * 1024;

pub(super) async fn upgrade(State(shared): State<Shared>, channel: Channel, mut request: Request) -> Response {
    let key = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let wanted = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok());
    let (Some(accept), true) = (key, wanted.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))) else {
        return (StatusCode::BAD_REQUEST, "a websocket handshake is expected\n").into_response();
    };
    let query = Query::<BTreeMap<String, String>>::try_from_uri(request.uri()).map(|query| query.0);
    let socket = hyper::upgrade::on(&mut request);
    let (verdict, heard) = oneshot::channel();
    // On a task of its own: the session must be closed in any event, also when this request is dropped.
    tokio::spawn(session(shared, channel, query.unwrap_or_default(), socket, verdict));
    match heard.await {
        Ok(Ok(())) => switching(&accept),
        Ok(Err(fault)) => respond(StatusCode::BAD_REQUEST, &fault.handshake_body()),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn switching(accept: &str) -> Response {
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

async fn session(
    shared: Shared,
    channel: Channel,
    query: BTreeMap<String, String>,
    socket: OnUpgrade,
    verdict: oneshot::Sender<Result<(), Fault>>,
) {
    let handle = shared.handle.clone();
    let (id, frames) = match handle.connect(channel, query).await {
        Ok(accepted) => accepted,
        Err(fault) => {
            // A client that went away needs no refusal.
            let _ = verdict.send(Err(fault));
            return;
        }
    };
    if verdict.send(Ok(())).is_ok() {
        tokio::select! {
            () = converse(&handle, id, socket, frames) => {}
            () = shared.shutdown.cancelled() => {}
        }
    }
    handle.tell(Event::Closed { session: id }).await;
}

async fn converse(handle: &Handle, id: SessionId, socket: OnUpgrade, mut frames: mpsc::Receiver<Frame>) {
    let Ok(upgraded) = socket.await else { return };
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (mut sink, mut source) = stream.split();
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(Frame::Text(text)) => {
                    if sink.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                Some(Frame::Close) | None => {
                    // The agent answers by ending the connection; whether the frame arrives is all the same.
                    let _ = sink.close().await;
                    return;
                }
            },
            message = source.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    handle.tell(Event::Message { session: id, text: text.to_string() }).await;
                }
                Some(Ok(Message::Binary(bytes))) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    handle.tell(Event::Message { session: id, text }).await;
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}
