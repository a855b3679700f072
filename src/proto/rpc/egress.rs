//! Between servers and egress workers (EgressInternal, and the egress part of IOInfo).

use crate::proto;
use prost::Message;

/// The workers have their own keys and URL: what a server fills in is `egress_id`, `room_id` and the request.
#[derive(Clone, PartialEq, Message)]
pub struct StartEgressRequest {
    /// The server makes it.
    #[prost(string, tag = "1")]
    pub egress_id: String,
    /// The room's sid.
    #[prost(string, tag = "3")]
    pub room_id: String,
    #[prost(string, tag = "8")]
    pub token: String,
    #[prost(string, tag = "9")]
    pub ws_url: String,
    #[prost(bool, tag = "10")]
    pub cloud_backup_enabled: bool,
    #[prost(double, tag = "14")]
    pub estimated_cpu: f64,
    #[prost(int32, tag = "15")]
    pub retry_count: i32,
    #[prost(string, tag = "18")]
    pub room_name: String,
    #[prost(oneof = "EgressRequest", tags = "5, 6, 7, 11, 13, 16, 17")]
    pub request: Option<EgressRequest>,
}

/// What is to be recorded.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum EgressRequest {
    #[prost(message, tag = "5")]
    RoomComposite(proto::RoomCompositeEgressRequest),
    #[prost(message, tag = "6")]
    TrackComposite(proto::TrackCompositeEgressRequest),
    #[prost(message, tag = "7")]
    Track(proto::TrackEgressRequest),
    #[prost(message, tag = "11")]
    Web(proto::WebEgressRequest),
    #[prost(message, tag = "13")]
    Participant(proto::ParticipantEgressRequest),
    #[prost(message, tag = "16")]
    Egress(proto::StartEgressRequest),
    #[prost(message, tag = "17")]
    Replay(proto::ExportReplayRequest),
}

impl EgressRequest {
    /// Empty where no room is recorded.
    pub fn room_name(&self) -> &str {
        match self {
            EgressRequest::RoomComposite(request) => &request.room_name,
            EgressRequest::TrackComposite(request) => &request.room_name,
            EgressRequest::Track(request) => &request.room_name,
            EgressRequest::Participant(request) => &request.room_name,
            EgressRequest::Egress(request) => &request.room_name,
            EgressRequest::Web(_) | EgressRequest::Replay(_) => "",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ListActiveEgressRequest {}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListActiveEgressResponse {
    #[prost(string, repeated, tag = "1")]
    pub egress_ids: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetEgressRequest {
    #[prost(string, tag = "1")]
    pub egress_id: String,
}

/// What a recording cost.
#[derive(Clone, PartialEq, Message)]
pub struct UpdateMetricsRequest {
    #[prost(message, optional, tag = "1")]
    pub info: Option<proto::EgressInfo>,
    #[prost(float, tag = "3")]
    pub avg_cpu_usage: f32,
    #[prost(float, tag = "4")]
    pub max_cpu_usage: f32,
}
