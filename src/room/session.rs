//! The seam between signalling connections and rooms: what a client brings, and the two queues that carry its messages.

use crate::proto::{AddTrackRequest, ClientInfo, Room, SessionDescription, SignalRequest, SignalResponse};
use crate::token::Claims;
use tokio::sync::mpsc;

/// A checked request to join or resume. `claims` carries the token's grants, name, metadata and attributes with the
/// connect parameters already merged in; its identity has the `#suffix` of a secondary connection.
#[derive(Clone, Debug, Default)]
pub struct SessionStart {
    pub room: String,
    pub identity: String,
    pub claims: Claims,
    /// `client.protocol` is the signal protocol version.
    pub client: ClientInfo,
    /// WIRE.md §1.9: the connect URL carried a `join_request`.
    pub single_peer_connection: bool,
    pub auto_subscribe: bool,
    pub auto_subscribe_data_track: bool,
    pub adaptive_stream: bool,
    pub disable_ice_lite: bool,
    pub subscriber_allow_pause: Option<bool>,
    pub reconnect: bool,
    pub reconnect_reason: i32,
    /// Of the session to resume.
    pub participant_sid: String,
    pub add_track_requests: Vec<AddTrackRequest>,
    pub publisher_offer: Option<SessionDescription>,
    /// The room as another node left it, should this session begin it here.
    pub inherited: Option<Box<Room>>,
}

/// An open session. Dropping `requests` tells the room that the connection is gone; the room dropping its end of
/// `responses` asks the connection to write what is queued and close.
pub struct Session {
    pub requests: mpsc::Sender<SignalRequest>,
    pub responses: mpsc::Receiver<SignalResponse>,
}

/// Why a session did not start (WIRE.md §1.7).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    /// `room.auto_create` is off and the token may not create.
    #[error("requested room does not exist")]
    NoRoom,
    /// Full room, closed room, metadata over limit: the reference answers all of these alike.
    #[error("connection closed by media")]
    Refused { why: String },
}
