//! Puts the server together, in start order, and takes it down in the reverse.

use super::drain::Wait;
use super::external_ip::{self, ExternalIpError};
use super::listen::{self, ListenError};
use super::local_rooms::LocalRooms;
use super::media_plane::{self, MediaPlaneError};
use super::overload::Overload;
use super::peers::{self, Peers};
use super::state::{Lifecycle, Phase};
use super::vitals::{Counts, Vitals};
use super::{ice_tcp, node_load, unix_signal};
use crate::api::health::{self, Pulse};
use crate::api::{Reach, RoomService, Twirp, auth, body_limit, cors, panics, regions};
use crate::cluster::drain::{Mode, Terms};
use crate::cluster::{ConnectError, Gauge};
use crate::config::{Config, Loaded};
use crate::limits::ORDERS_MAX;
use crate::metrics::ShardCounters;
use crate::proto::{NodeStats, id};
use crate::room::clock::unix_ms;
use crate::room::ice_servers::ice_servers;
use crate::room::{Directory, Ledger, Node, RoomContext};
use crate::shard::Shards;
use crate::signal::{self, Gate};
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
    #[error(transparent)]
    Cluster(#[from] ConnectError),
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
    let node = Node { id: id::node(), region: config.region.clone(), version: LIVEKIT_VERSION.to_owned() };
    let peers = Peers::join(&config, &node, media_plane::node_ip(&config, &external)).await?;
    Server::new(config, node, media.shards.clone(), media.counters.clone(), peers).live(listeners, stops).await;
    ice_tcp.iter().for_each(tokio::task::JoinHandle::abort);
    media.stop();
    Ok(())
}

/// A server before it listens.
pub(super) struct Server {
    gate: Gate,
    counts: Counts,
    vitals: Vitals,
    /// The node's latest statistics.
    stats: watch::Sender<NodeStats>,
    shards: Shards,
    peers: Peers,
    pulse: Pulse,
    mode: watch::Sender<Mode>,
    life: Lifecycle,
    app: Router,
    /// Closed when the last WebSocket has ended.
    sockets: mpsc::Receiver<()>,
}

impl Server {
    pub(super) fn new(
        config: Arc<Config>,
        node: Node,
        shards: Shards,
        counters: Vec<Arc<ShardCounters>>,
        peers: Peers,
    ) -> Server {
        let is_full = node_load::over_limits(&config.limit, counters.clone());
        let ledger = if peers.cluster.member().is_some() { Ledger::kept() } else { Ledger::default() };
        let directory = Directory::new(Arc::new(room_context(config.clone(), node, shards.clone(), ledger)));
        let counts = Counts { occupancy: directory.occupancy(), shards: counters };
        let mut vitals = Vitals::new(counts.clone(), &config.node_stats, unix_ms());
        let stats = watch::Sender::new(vitals.measure(unix_ms()));
        let (pulse, life) = (Pulse::new(unix_ms()), Lifecycle::new());
        let (alive, sockets) = mpsc::channel(1);
        let mode = watch::Sender::new(Mode::Serving);
        let gate = Gate { directory, cluster: peers.cluster.clone(), config, is_full, alive };
        let app = app(gate.clone(), pulse.clone(), life.clone(), mode.subscribe());
        Server { gate, counts, vitals, stats, shards, peers, pulse, mode, life, app, sockets }
    }

    #[cfg(test)]
    pub(super) fn into_app(self) -> Router {
        self.app
    }

    pub(super) async fn live(self, listeners: Vec<TcpListener>, mut stops: mpsc::Receiver<&'static str>) {
        let Server { gate, counts, vitals, stats, shards, peers, pulse, mode, life, app, mut sockets } = self;
        let (config, directory) = (gate.config.clone(), gate.directory.clone());
        let gauge = gauge(stats.subscribe(), counts);
        let overload = Overload::new(config.lkops.overload_cpu);
        tokio::spawn(overload.run(stats.subscribe(), vitals.own_load(), shards));
        let vitals = tokio::spawn(vitals.run(pulse, stats, config.node_stats.stats_update_interval));
        let http = tokio::spawn(listen::serve(listeners, app, life.clone()));
        let (desk, mut orders) = mpsc::channel(ORDERS_MAX);
        let joined = peers.start(&gate, gauge, &life, &mode, desk);
        let rooms = LocalRooms { directory: directory.clone(), cluster: gate.cluster.clone() };
        drop(gate);
        life.advance(Phase::Serving);
        tracing::info!(port = config.port, addresses = ?config.bind_addresses, "listening");
        let wait = Wait::new(&mode, directory.occupancy(), &rooms, terms(&config));
        wait.until_end(&mut stops, &mut orders).await;
        life.advance(Phase::Stopping);
        directory.close_all().await;
        if let Err(error) = http.await {
            tracing::error!(%error, "the HTTP server ended badly");
        }
        // For those whose join was under way.
        directory.close_all().await;
        joined.leave().await;
        // The router, and with it the last spare handle, went with the HTTP server.
        let _ = timeout(CLOSE_TIMEOUT, sockets.recv()).await;
        vitals.abort();
        life.advance(Phase::Stopped);
    }
}

/// The latest statistics with people as they are now: whoever waits for a drain must not be told of those before it.
fn gauge(latest: watch::Receiver<NodeStats>, counts: Counts) -> Gauge {
    Arc::new(move || {
        let mut stats = latest.borrow().clone();
        counts.write(&mut stats);
        stats
    })
}

/// How the node empties when a signal asks it to.
fn terms(config: &Config) -> Terms {
    let deadline = config.lkops.drain_deadline;
    let deadline = (!deadline.is_zero()).then_some(deadline);
    Terms { deadline, moves: config.lkops.drain_move, stays: false }
}

fn room_context(config: Arc<Config>, node: Node, shards: Shards, ledger: Ledger) -> RoomContext {
    let rtc = config.clone();
    let ice_servers = Arc::new(move |sid: &str| ice_servers(&rtc.rtc, sid, false, unix_ms() / 1000));
    RoomContext { config, shards, node, ice_servers, ledger }
}

/// The main port. Layers apply from the last to the first (WIRE.md §1.2).
fn app(gate: Gate, pulse: Pulse, life: Lifecycle, mode: watch::Receiver<Mode>) -> Router {
    let config = gate.config.clone();
    let body_bytes_max = config.limit.max_api_request_body_size;
    let (directory, cluster) = (gate.directory.clone(), gate.cluster.clone());
    let asked = cluster.clone();
    let rooms = RoomService::service(Reach { directory, cluster }, config.clone());
    health::routes(pulse, Arc::new(move || peers::readiness(&asked, &life, *mode.borrow())))
        .merge(regions::routes(config.clone()))
        .merge(signal::routes(gate))
        .merge(Twirp::new(body_bytes_max).with(rooms).routes())
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"))
        .layer(middleware::from_fn_with_state(Arc::new(config.keys.clone()), auth::read_token))
        .layer(middleware::from_fn_with_state(body_bytes_max, body_limit::refuse_large))
        .layer(middleware::from_fn(cors::allow_any_origin))
        .layer(middleware::from_fn(panics::contain))
}
