//! The metrics page of a probe that runs as a service. Called by `service`.

use super::exposition::Exposition;
use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// Shared between the page and the probes; no lock is held while either waits.
pub type Shared = Arc<Mutex<Exposition>>;

/// Serves `/metrics` on all of this machine's IPv4 addresses until it is dropped.
pub async fn serve(
    port: u16,
    shared: Shared,
) -> std::io::Result<(SocketAddr, impl Future<Output = std::io::Result<()>>)> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    let address = listener.local_addr()?;
    let page = move || {
        let text = shared.lock().unwrap_or_else(PoisonError::into_inner).text();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response() }
    };
    let router = Router::new().route("/metrics", get(page));
    Ok((address, axum::serve(listener, router).into_future()))
}
