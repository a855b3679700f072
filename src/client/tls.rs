//! TLS to a server: the machine's certificates, or Mozilla's where it has none, and aws-lc-rs underneath. Called by `reach`.

use std::io;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

/// Shakes hands with the server of that name or address.
pub async fn secure(host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    connector().map_err(io::Error::other)?.connect(name, stream).await
}

/// Reading certificates takes milliseconds, so it is done once.
fn connector() -> Result<TlsConnector, Error> {
    static MADE: OnceLock<TlsConnector> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made.clone());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots()).with_no_client_auth();
    Ok(MADE.get_or_init(|| TlsConnector::from(Arc::new(config))).clone())
}

/// `SSL_CERT_FILE` names others than the machine's own.
fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
