//! From the node that has a WHIP client's HTTP requests to the node with the room (WHIP, WHIPParticipant).

use crate::proto;
use prost::Message;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Message)]
pub struct WhipCreateRequest {
    #[prost(message, optional, tag = "1")]
    pub start_session: Option<proto::StartSession>,
    #[prost(string, tag = "2")]
    pub offer_sdp: String,
    /// By participant.
    #[prost(btree_map = "string, message", tag = "3")]
    pub subscribed_participant_tracks: BTreeMap<String, TrackList>,
    #[prost(bool, tag = "4")]
    pub from_ingress: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct TrackList {
    #[prost(string, repeated, tag = "1")]
    pub track_names: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct WhipCreateResponse {
    #[prost(string, tag = "1")]
    pub answer_sdp: String,
    #[prost(string, tag = "2")]
    pub participant_id: String,
    #[prost(message, repeated, tag = "3")]
    pub ice_servers: Vec<proto::IceServer>,
    #[prost(string, tag = "4")]
    pub ice_session_id: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct WhipParticipantIceTrickleRequest {
    #[prost(string, tag = "1")]
    pub room: String,
    #[prost(string, tag = "2")]
    pub participant_identity: String,
    #[prost(string, tag = "3")]
    pub participant_id: String,
    #[prost(string, tag = "4")]
    pub ice_session_id: String,
    #[prost(string, tag = "5")]
    pub sdp_fragment: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct WhipParticipantIceRestartRequest {
    #[prost(string, tag = "1")]
    pub room: String,
    #[prost(string, tag = "2")]
    pub participant_identity: String,
    #[prost(string, tag = "3")]
    pub participant_id: String,
    #[prost(string, tag = "4")]
    pub sdp_fragment: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct WhipParticipantIceRestartResponse {
    #[prost(string, tag = "1")]
    pub ice_session_id: String,
    #[prost(string, tag = "2")]
    pub sdp_fragment: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct WhipParticipantDeleteSessionRequest {
    #[prost(string, tag = "1")]
    pub room: String,
    #[prost(string, tag = "2")]
    pub participant_identity: String,
    #[prost(string, tag = "3")]
    pub participant_id: String,
    #[prost(bool, tag = "4")]
    pub from_sweeper: bool,
}
