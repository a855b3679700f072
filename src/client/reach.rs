//! From a URL to an open connection: look the name up, connect, each step timed. Called by `signal` and `api`.

use super::clock;
use hyper::Uri;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, lookup_host};
use tokio_tungstenite::MaybeTlsStream;

/// Why a server cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    #[error("`{0}` is no URL of a server; it begins with ws:// or http://")]
    Url(String),
    #[error("cannot find `{host}`: {error}; check the URL")]
    Lookup { host: String, error: io::Error },
    #[error("cannot connect to {address}: {error}; check the URL and that the server runs")]
    Connect { address: String, error: io::Error },
    #[error("{0} does not answer; check the URL and that no firewall swallows it")]
    Silent(String),
}

/// How long a TCP connection may take: three attempts of a kernel that repeats after 1 s and 2 s.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// An open connection and how long it took since dialling.
pub struct Reached {
    pub stream: MaybeTlsStream<TcpStream>,
    /// Our own address.
    pub local: IpAddr,
    pub resolved: Duration,
    pub after: Duration,
}

/// The host a URL names, as a name or bare address, and its port.
pub fn place(uri: &Uri) -> Result<(String, u16), ReachError> {
    let bad = || ReachError::Url(uri.to_string());
    let default = match uri.scheme_str() {
        Some("http" | "ws") => 80,
        _ => return Err(bad()),
    };
    let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
    Ok((host, uri.port_u16().unwrap_or(default)))
}

pub async fn reach(uri: &Uri, begun: Instant) -> Result<Reached, ReachError> {
    let (host, port) = place(uri)?;
    let lookup = |error| ReachError::Lookup { host: host.clone(), error };
    let addresses: Vec<SocketAddr> = lookup_host((host.as_str(), port)).await.map_err(lookup)?.collect();
    let resolved = clock::now() - begun;
    let address = format!("{host}:{port}");
    let connecting = tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect(&addresses[..]));
    let failed = |error| ReachError::Connect { address: address.clone(), error };
    let stream = connecting.await.map_err(|_| ReachError::Silent(address.clone()))?.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let local = stream.local_addr().map_err(failed)?.ip();
    Ok(Reached { stream: MaybeTlsStream::Plain(stream), local, resolved, after: clock::now() - begun })
}
