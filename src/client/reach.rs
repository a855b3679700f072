//! From a URL to an open connection: look the name up, connect, each step timed. Called by `signal` and `api`.

use super::clock;
use hyper::Uri;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

/// Why a server cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    #[error("`{0}` is no URL of a server; it begins with ws://, wss://, http:// or https://")]
    Url(String),
    #[error("cannot find `{host}`: {error}; check the URL")]
    Lookup { host: String, error: io::Error },
    #[error("cannot connect to {address}: {error}; check the URL and that the server runs")]
    Connect { address: String, error: io::Error },
    #[error("cannot agree on TLS with {address}: {error}; check the URL and the server's certificate")]
    Tls { address: String, error: io::Error },
    #[error("{0} does not answer; check the URL and that no firewall swallows it")]
    Silent(String),
}

/// How long a TCP connection may take, and then TLS: three attempts of a kernel that repeats after 1 s and 2 s.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// A connection, plain or under TLS.
pub type Stream = Box<dyn Io>;

/// What can be read and written.
pub trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// An open connection and how long it took since dialling.
pub struct Reached {
    pub stream: Stream,
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
        Some("https" | "wss") => 443,
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
    let stream = if is_secure(uri) { secured(&host, &address, stream).await? } else { Box::new(stream) };
    Ok(Reached { stream, local, resolved, after: clock::now() - begun })
}

fn is_secure(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("https" | "wss"))
}

async fn secured(host: &str, address: &str, stream: TcpStream) -> Result<Stream, ReachError> {
    let securing = tokio::time::timeout(CONNECT_PATIENCE, super::tls::secure(host, stream)).await;
    let securing = securing.map_err(|_| ReachError::Silent(address.to_owned()))?;
    Ok(Box::new(securing.map_err(|error| ReachError::Tls { address: address.to_owned(), error })?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[test]
    fn ports_follow_the_scheme() {
        let place = |url: &str| place(&url.parse().unwrap()).ok();
        assert_eq!(place("wss://h"), Some(("h".into(), 443)));
        assert_eq!(place("https://[::1]:8443/x"), Some(("::1".into(), 8443)));
        assert_eq!(place("ws://h"), Some(("h".into(), 80)));
        assert_eq!(place("ftp://h"), None);
    }

    #[tokio::test]
    async fn a_server_without_tls_is_told_apart_from_none() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        let uri = format!("wss://127.0.0.1:{port}").parse().unwrap();
        let Err(error) = reach(&uri, clock::now()).await else { panic!("TLS with nobody") };
        assert!(matches!(error, ReachError::Tls { .. }), "{error}");
    }
}
