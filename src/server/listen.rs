//! The main port: one listener per bind address, HTTP/1.1 on each connection (WIRE.md §1.1). A connection that does not
//! finish its headers in time is closed.

use super::patient::PatientStream;
use super::state::{Lifecycle, Phase};
use crate::api::slashes::drop_double_slash;
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX};
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

/// How long a client may take over its request line and headers. An idle connection waits for a request, too, and proxies
/// keep theirs open for 60 to 90 s: closing first would cost them a request now and then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

/// What requests under way get when the server stops (WIRE.md §10).
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// After a failed accept, mostly for want of file descriptors: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections waiting to be accepted.
const BACKLOG: i32 = 1024;

/// The environment's fault; the operator must change `port` or `bind_addresses`, or free the port.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{address} is in use: stop the program that listens there, or set another `port`")]
    InUse { address: String },
    #[error("cannot listen on {address} ({error}): check `port` and `bind_addresses`")]
    Refused { address: String, error: io::Error },
}

/// Listeners for every address; an empty list is all interfaces.
pub async fn bind(addresses: &[String], port: u16) -> Result<Vec<TcpListener>, ListenError> {
    if addresses.is_empty() {
        return everywhere(port).map(|listener| vec![listener]).map_err(|e| refused(format!("port {port}"), e));
    }
    let mut listeners = Vec::new();
    for address in addresses {
        match bind_one(address, port).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if may_go_without(address, &error) && !listeners.is_empty() => {
                tracing::warn!(address, %error, "not listening there");
            }
            Err(error) => return Err(refused(join(address, port), error)),
        }
    }
    Ok(listeners)
}

/// Development mode listens on both loopback addresses, and a container may have no IPv6.
fn may_go_without(address: &str, error: &io::Error) -> bool {
    let is_loopback = address.parse().is_ok_and(|ip: Ipv6Addr| ip.is_loopback());
    is_loopback && !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn refused(address: String, error: io::Error) -> ListenError {
    match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address },
        _ => ListenError::Refused { address, error },
    }
}

fn join(address: &str, port: u16) -> String {
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") }
}

async fn bind_one(address: &str, port: u16) -> io::Result<TcpListener> {
    let mut found = lookup_host(join(address, port)).await?;
    let at = found.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    open(at, at.is_ipv6() && !at.ip().is_unspecified())
}

/// IPv6 and IPv4 on one socket, or IPv4 alone where the kernel has no IPv6.
fn everywhere(port: u16) -> io::Result<TcpListener> {
    let both = open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), false);
    both.or_else(|e| match e.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(e),
        _ => open(SocketAddr::from(([0, 0, 0, 0], port)), false),
    })
}

fn open(at: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves until the server stops; then requests under way have [`STOP_TIMEOUT`] to finish. WebSockets live on.
pub async fn serve(listeners: Vec<TcpListener>, app: Router, life: Lifecycle) {
    let permits = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(accept(listener, app.clone(), permits.clone(), life.clone()));
    }
    loops.join_all().await;
    let finished = permits.acquire_many(HTTP_CONNECTIONS_MAX as u32);
    let _ = timeout(STOP_TIMEOUT, finished).await;
}

async fn accept(listener: TcpListener, app: Router, permits: Arc<Semaphore>, life: Lifecycle) {
    let mut stopping = pin!(life.reached(Phase::Stopping));
    loop {
        let next = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        tokio::select! {
            () = &mut stopping => return,
            (permit, accepted) = next => match (permit, accepted) {
                (Ok(permit), Ok((stream, peer))) => {
                    tokio::spawn(converse(stream, peer, app.clone(), life.clone(), permit));
                }
                (_, Err(error)) => pause(error).await,
                (Err(_), _) => return,
            },
        }
    }
}

async fn pause(error: io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    sleep(ACCEPT_PAUSE).await;
}

/// One connection, to its end or its upgrade.
async fn converse(stream: TcpStream, peer: SocketAddr, app: Router, life: Lifecycle, _permit: OwnedSemaphorePermit) {
    // Signalling is small messages that someone waits for.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = drop_double_slash(request);
        request.extensions_mut().insert(ConnectInfo(peer));
        app.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HTTP_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(PatientStream::new(stream)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = life.reached(Phase::Stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "HTTP connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_joined_with_the_port() {
        for (address, expected) in
            [("127.0.0.1", "127.0.0.1:1"), ("::1", "[::1]:1"), ("[::1]", "[::1]:1"), ("h", "h:1")]
        {
            assert_eq!(join(address, 1), expected);
        }
    }

    #[tokio::test]
    async fn a_busy_port_is_named() {
        let taken = bind(&["127.0.0.1".to_owned()], 0).await.unwrap();
        let port = taken[0].local_addr().unwrap().port();
        let error = bind(&["127.0.0.1".to_owned()], port).await.unwrap_err();
        let text = format!("127.0.0.1:{port} is in use: stop the program that listens there, or set another `port`");
        assert_eq!(error.to_string(), text);
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused() {
        let error = bind(&["192.0.2.1".to_owned()], 0).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot listen on 192.0.2.1:0 ("), "{error}");
    }

    #[test]
    fn only_a_missing_ipv6_loopback_is_passed_over() {
        let (missing, taken) = (io::ErrorKind::AddrNotAvailable.into(), io::ErrorKind::AddrInUse.into());
        for (address, error, expected) in [
            ("::1", &missing, true),
            ("::1", &taken, false),
            ("127.0.0.1", &missing, false),
            ("2001:db8::1", &missing, false),
        ] {
            assert_eq!(may_go_without(address, error), expected, "{address} {error}");
        }
    }

    #[tokio::test]
    async fn no_address_is_every_address() {
        let listeners = bind(&[], 0).await.unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    }
}
