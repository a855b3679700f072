//! The HTTP side of signalling: `/rtc`, `/rtc/v1` and their validate endpoints (WIRE.md §1.3). The claims of a checked token
//! arrive as a request extension.

use super::join::{self, Arrival, House};
use super::params::Params;
use super::refusal::Refusal;
use super::socket;
use super::wish::Entrance;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::proto::SignalResponse;
use crate::room::Directory;
use crate::room::session::{Session, SessionStart};
use crate::token::Claims;
use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, Extension, State, WebSocketUpgrade};
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{Instrument, Span};

/// Whether the node is over `limit.num_tracks` or `limit.bytes_per_sec` now.
pub type NodeLoad = Arc<dyn Fn() -> bool + Send + Sync>;

/// What signalling connections share.
#[derive(Clone)]
pub struct Gate {
    pub directory: Arc<Directory>,
    pub cluster: Cluster,
    pub config: Arc<Config>,
    pub is_full: NodeLoad,
    /// Held by every open connection: when all clones are gone, so are the connections.
    pub alive: mpsc::Sender<()>,
}

const JOIN: Entrance = Entrance { wants_join_request: false, strict: false };
const JOIN_V1: Entrance = Entrance { wants_join_request: true, strict: false };
const VALIDATE: Entrance = Entrance { wants_join_request: false, strict: true };
const VALIDATE_V1: Entrance = Entrance { wants_join_request: true, strict: true };

pub fn routes(gate: Gate) -> Router {
    Router::new()
        .route("/rtc", any(|gate, visit, upgrade| connect(gate, visit, upgrade, JOIN)))
        .route("/rtc/v1", any(|gate, visit, upgrade| connect(gate, visit, upgrade, JOIN_V1)))
        .route("/rtc/validate", any(|gate, visit| validate(gate, visit, VALIDATE)))
        .route("/rtc/v1/validate", any(|gate, visit| validate(gate, visit, VALIDATE_V1)))
        .with_state(gate)
}

/// What the endpoints read of a request.
type Visit = (Option<Extension<Claims>>, Option<Extension<ConnectInfo<SocketAddr>>>, Uri, HeaderMap);

async fn validate(State(gate): State<Gate>, visit: Visit, entrance: Entrance) -> Result<&'static str, Refusal> {
    gate.admit(visit, entrance).await.map(|_| "success")
}

async fn connect(
    State(gate): State<Gate>,
    visit: Visit,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    entrance: Entrance,
) -> Response {
    if !wants_upgrade(&visit.3) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let start = match gate.admit(visit, entrance).await {
        Ok(start) => start,
        Err(refusal) => return refusal.into_response(),
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let span = tracing::info_span!("signal", room = start.room, participant = start.identity);
    match gate.open(start).instrument(span.clone()).await {
        Ok((first, session)) => gate.answer(upgrade, first, session, span),
        Err(refusal) => refusal.into_response(),
    }
}

impl Gate {
    async fn admit(&self, visit: Visit, entrance: Entrance) -> Result<SessionStart, Refusal> {
        let (claims, peer, uri, headers) = visit;
        let claims = claims.map(|Extension(claims)| claims);
        let room_exists = self.needs_room() && self.knows_room_of(claims.as_ref()).await;
        let peer = peer.map(|Extension(ConnectInfo(peer))| peer);
        let house = House {
            limit: &self.config.limit,
            auto_create: self.config.room.auto_create,
            room_exists,
            is_full: (self.is_full)(),
        };
        join::check(Arrival { claims, params: &Params::of(&uri), headers: &headers, peer }, entrance, &house)
    }

    /// Whether rooms must exist before people join.
    fn needs_room(&self) -> bool {
        !self.config.room.auto_create
    }

    async fn knows_room_of(&self, claims: Option<&Claims>) -> bool {
        let Some(grant) = claims.and_then(|c| c.video.as_ref()) else { return false };
        self.directory.exists(&grant.room) || self.cluster.knows_room(&grant.room).await
    }

    fn answer(&self, upgrade: WebSocketUpgrade, first: SignalResponse, session: Session, span: Span) -> Response {
        let alive = self.alive.clone();
        socket::bound(upgrade, self.config.limit.signal_message_size_limit).on_upgrade(async move |socket| {
            socket::run(socket, first, session).instrument(span).await;
            drop(alive);
        })
    }
}

fn wants_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &CONNECTION, "upgrade") && has_token(headers, &UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}
