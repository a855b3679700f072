//! Between servers and ingress workers (IngressInternal, IngressHandler, and the ingress part of IOInfo).

use crate::proto;
use prost::Message;
use std::collections::BTreeMap;

/// The workers have their own keys and URL: a server fills in `info` alone.
#[derive(Clone, PartialEq, Message)]
pub struct StartIngressRequest {
    #[prost(message, optional, tag = "1")]
    pub info: Option<proto::IngressInfo>,
    #[prost(string, tag = "2")]
    pub token: String,
    #[prost(string, tag = "3")]
    pub ws_url: String,
    #[prost(btree_map = "string, string", tag = "4")]
    pub logging_fields: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "5")]
    pub feature_flags: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ListActiveIngressRequest {}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListActiveIngressResponse {
    /// Deprecated.
    #[prost(string, repeated, tag = "1")]
    pub ingress_ids: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub ingress_sessions: Vec<IngressSession>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct IngressSession {
    #[prost(string, tag = "1")]
    pub ingress_id: String,
    #[prost(string, tag = "2")]
    pub resource_id: String,
}

/// By id, else by stream key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetIngressInfoRequest {
    #[prost(string, tag = "1")]
    pub ingress_id: String,
    #[prost(string, tag = "2")]
    pub stream_key: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetIngressInfoResponse {
    #[prost(message, optional, tag = "1")]
    pub info: Option<proto::IngressInfo>,
    #[prost(string, tag = "2")]
    pub token: String,
    #[prost(string, tag = "3")]
    pub ws_url: String,
    #[prost(btree_map = "string, string", tag = "4")]
    pub logging_fields: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "5")]
    pub feature_flags: BTreeMap<String, String>,
    #[prost(string, tag = "6")]
    pub project_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct UpdateIngressStateRequest {
    #[prost(string, tag = "1")]
    pub ingress_id: String,
    #[prost(message, optional, tag = "2")]
    pub state: Option<proto::IngressState>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct DeleteWhipResourceRequest {
    #[prost(string, tag = "1")]
    pub resource_id: String,
    #[prost(string, tag = "2")]
    pub stream_key: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct IceRestartWhipResourceRequest {
    #[prost(string, tag = "1")]
    pub resource_id: String,
    #[prost(string, tag = "2")]
    pub stream_key: String,
    #[prost(string, tag = "3")]
    pub user_fragment: String,
    #[prost(string, tag = "4")]
    pub password: String,
    #[prost(string, repeated, tag = "5")]
    pub candidates: Vec<String>,
    #[prost(string, tag = "6")]
    pub raw_trickle_ice_sdpfrag: String,
    #[prost(string, tag = "7")]
    pub if_match: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct IceRestartWhipResourceResponse {
    #[prost(string, tag = "1")]
    pub trickle_ice_sdpfrag: String,
    #[prost(string, tag = "2")]
    pub etag: String,
}

/// From the node with the media to the ingress worker that opened the session: at its start, every 10 s, and at its end.
#[derive(Clone, PartialEq, Message)]
pub struct WhipRtcConnectionNotifyRequest {
    #[prost(string, tag = "1")]
    pub participant_id: String,
    #[prost(bool, tag = "2")]
    pub closed: bool,
    #[prost(message, optional, tag = "3")]
    pub video: Option<proto::InputVideoState>,
    #[prost(message, optional, tag = "4")]
    pub audio: Option<proto::InputAudioState>,
}
