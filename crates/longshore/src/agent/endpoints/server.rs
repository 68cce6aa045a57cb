//! Connections: who may have how many, and for how long. Slow clients, floods and panics end here and harm
//! nobody else. A panic in a handler closes its connection (spec 30 §1.2).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::write_deadline::WriteDeadline;

/// For a request's head, and between requests; also for a write that does not proceed (spec 30 §1.1).
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A head that is longer is answered 431.
const LONGEST_HEAD: usize = 64 * 1024;

/// Connections in total. Each costs a descriptor and some kilobytes.
const MOST: usize = 4096;

/// Connections of one address. All of host mode shares the loopback addresses.
const MOST_OF_ONE: usize = 256;
const MOST_OF_LOOPBACK: usize = 2048;

/// After shutdown answers may still be written for this long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The other end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub address: SocketAddr,
    /// `ip:port`, made once per connection.
    pub header: HeaderValue,
}

impl Peer {
    pub(super) fn new(address: SocketAddr) -> Self {
        // A dual-stack listener shows IPv4 peers in IPv6's dress.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let header = HeaderValue::from_str(&address.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""));
        Self { address, header }
    }
}

/// Accepts until `shutdown`, then lets answers that are under way be finished.
pub(super) async fn serve<H, F>(listener: TcpListener, name: &'static str, handler: H, shutdown: CancellationToken)
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let census = Census::default();
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Mostly out of descriptors, which others give back.
                tracing::warn!(server = name, %error, "Cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let peer = Arc::new(Peer::new(address));
        let Some(place) = census.enter(peer.address.ip()) else { continue };
        let serving = connection(stream, peer, handler.clone(), shutdown.clone());
        connections.spawn(async move {
            serving.await;
            drop(place);
        });
    }
    connections.close();
    // What is not finished by then is cut off.
    let _ = tokio::time::timeout(LAST_WORDS, connections.wait()).await;
}

async fn connection<H, F>(stream: TcpStream, peer: Arc<Peer>, handler: H, shutdown: CancellationToken)
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let answer = handler(Arc::clone(&peer), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LONGEST_HEAD)
        .title_case_headers(true)
        .half_close(true)
        .serve_connection(TokioIo::new(WriteDeadline::new(stream, PATIENCE)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection ended early");
    }
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct Census(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// One connection's place; dropping it gives it back.
struct Place {
    census: Census,
    address: IpAddr,
}

impl Census {
    /// `None` when the address, or all together, have too many.
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if address.is_loopback() { MOST_OF_LOOPBACK } else { MOST_OF_ONE };
        let own = counts.by_address.get(&address).copied().unwrap_or(0);
        if own >= most || counts.total >= MOST {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, own + 1);
        Some(Place { census: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.census.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        if let Some(own) = counts.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places() {
        let census = Census::default();
        let greedy: IpAddr = "172.17.0.2".parse().unwrap();
        let held: Vec<_> = std::iter::from_fn(|| census.enter(greedy)).collect();
        assert_eq!(held.len(), MOST_OF_ONE);
        assert!(census.enter("172.17.0.3".parse().unwrap()).is_some());
        drop(held);
        assert!(census.enter(greedy).is_some());
        let counts = census.0.lock().unwrap();
        assert_eq!((counts.total, counts.by_address.len()), (0, 0));
    }
}
