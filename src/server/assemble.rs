//! Puts the server together, in start order, and takes it down in the reverse.

use super::drain::Wait;
use super::external_ip::{self, ExternalIpError};
use super::listen::{self, ListenError};
use super::local_rooms::LocalRooms;
use super::media_plane::{self, MediaPlaneError};
use super::state::{Lifecycle, Phase};
use super::vitals::{Counts, Vitals};
use super::{ice_tcp, node_load, unix_signal};
use crate::api::health::{self, Pulse};
use crate::api::{RoomService, Twirp, auth, body_limit, cors, panics, regions};
use crate::cluster::Cluster;
use crate::cluster::drain::{Instruction, Mode, Terms};
use crate::config::{Config, Loaded};
use crate::metrics::ShardCounters;
use crate::proto::{NodeStats, id};
use crate::room::clock::unix_ms;
use crate::room::ice_servers::ice_servers;
use crate::room::{Directory, Node, RoomContext};
use crate::shard::Shards;
use crate::signal::{self, Gate, NodeLoad};
use axum::http::StatusCode;
use axum::{Router, middleware};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// The LiveKit release this server stands in for. Clients read features from it (RPC needs 1.8), so it is what they are told.
const LIVEKIT_VERSION: &str = "1.13.5";

/// What open WebSockets get to send their Leave and close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Media(#[from] MediaPlaneError),
    #[error(transparent)]
    ExternalIp(#[from] ExternalIpError),
    #[error("cannot handle signals: {0}")]
    Signals(#[source] io::Error),
}

/// Runs a server until it is told to stop.
pub async fn run(loaded: Loaded) -> Result<(), ServeError> {
    loaded.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
    let stops = unix_signal::listen().map_err(ServeError::Signals)?;
    let config = Arc::new(loaded.config);
    let listeners = listen::bind(&config.bind_addresses, config.port).await?;
    let ice_listeners = ice_tcp::bind(config.rtc.tcp_port).await?;
    let external = external_ip::discover(&config.rtc).await?;
    let media = Arc::new(media_plane::start(&config, &external)?);
    let ice_tcp: Vec<_> = ice_listeners.into_iter().map(|l| tokio::spawn(ice_tcp::serve(l, media.clone()))).collect();
    let is_full = node_load::over_limits(&config.limit, media.counters.clone());
    let server = Server::new(config, media.shards.clone(), is_full).counted(media.counters.clone());
    server.live(listeners, stops).await;
    ice_tcp.iter().for_each(tokio::task::JoinHandle::abort);
    media.stop();
    Ok(())
}

/// A server before it listens.
pub(super) struct Server {
    config: Arc<Config>,
    directory: Arc<Directory>,
    pulse: Pulse,
    /// What the shards count.
    counters: Vec<Arc<ShardCounters>>,
    /// The node's latest statistics.
    stats: watch::Sender<NodeStats>,
    mode: watch::Sender<Mode>,
    /// What operators order from elsewhere.
    orders: mpsc::Receiver<Instruction>,
    life: Lifecycle,
    app: Router,
    /// Closed when the last WebSocket has ended.
    sockets: mpsc::Receiver<()>,
}

impl Server {
    pub(super) fn new(config: Arc<Config>, shards: Shards, is_full: NodeLoad) -> Server {
        let directory = Directory::new(Arc::new(room_context(config.clone(), shards)));
        let pulse = Pulse::new(unix_ms());
        let (alive, sockets) = mpsc::channel(1);
        let gate = Gate { directory: directory.clone(), config: config.clone(), is_full, alive };
        let app = app(gate, pulse.clone());
        let stats = watch::Sender::default();
        let mode = watch::Sender::new(Mode::Serving);
        let (_, orders) = mpsc::channel(1);
        let life = Lifecycle::new();
        Server { config, directory, pulse, counters: Vec::new(), stats, mode, orders, life, app, sockets }
    }

    /// With statistics from these shards.
    pub(super) fn counted(self, counters: Vec<Arc<ShardCounters>>) -> Server {
        Server { counters, ..self }
    }

    #[cfg(test)]
    pub(super) fn into_app(self) -> Router {
        self.app
    }

    pub(super) async fn live(self, listeners: Vec<TcpListener>, mut stops: mpsc::Receiver<&'static str>) {
        let Server { config, directory, pulse, counters, stats, mode, mut orders, life, app, mut sockets } = self;
        let counts = Counts { occupancy: directory.occupancy(), shards: counters };
        let vitals = Vitals::new(counts, &config.node_stats, unix_ms());
        let vitals = tokio::spawn(vitals.run(pulse, stats, config.node_stats.stats_update_interval));
        let http = tokio::spawn(listen::serve(listeners, app, life.clone()));
        life.advance(Phase::Serving);
        tracing::info!(port = config.port, addresses = ?config.bind_addresses, "listening");
        let rooms = LocalRooms { directory: directory.clone(), cluster: Cluster::single() };
        let wait = Wait::new(&mode, directory.occupancy(), &rooms, terms(&config));
        wait.until_end(&mut stops, &mut orders).await;
        life.advance(Phase::Stopping);
        directory.close_all().await;
        if let Err(error) = http.await {
            tracing::error!(%error, "the HTTP server ended badly");
        }
        // For those whose join was under way.
        directory.close_all().await;
        // The router, and with it the last spare handle, went with the HTTP server.
        let _ = timeout(CLOSE_TIMEOUT, sockets.recv()).await;
        vitals.abort();
        life.advance(Phase::Stopped);
    }
}

/// How the node empties when a signal asks it to.
fn terms(config: &Config) -> Terms {
    let deadline = config.lkops.drain_deadline;
    let deadline = (!deadline.is_zero()).then_some(deadline);
    Terms { deadline, moves: config.lkops.drain_move, stays: false }
}

fn room_context(config: Arc<Config>, shards: Shards) -> RoomContext {
    let node = Node { id: id::node(), region: config.region.clone(), version: LIVEKIT_VERSION.to_owned() };
    let rtc = config.clone();
    let ice_servers = Arc::new(move |sid: &str| ice_servers(&rtc.rtc, sid, false, unix_ms() / 1000));
    RoomContext { config, shards, node, ice_servers }
}

/// The main port. Layers apply from the last to the first (WIRE.md §1.2).
fn app(gate: Gate, pulse: Pulse) -> Router {
    let config = gate.config.clone();
    let body_bytes_max = config.limit.max_api_request_body_size;
    let rooms = RoomService::service(gate.directory.clone(), config.clone());
    health::routes(pulse)
        .merge(regions::routes(config.clone()))
        .merge(signal::routes(gate))
        .merge(Twirp::new(body_bytes_max).with(rooms).routes())
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"))
        .layer(middleware::from_fn_with_state(Arc::new(config.keys.clone()), auth::read_token))
        .layer(middleware::from_fn_with_state(body_bytes_max, body_limit::refuse_large))
        .layer(middleware::from_fn(cors::allow_any_origin))
        .layer(middleware::from_fn(panics::contain))
}
