//! The messages nodes and workers exchange that are not in LiveKit's public API (package `rpc`; CLUSTER.md §2.1, §2.4,
//! §3.2). Relayed signal messages stay bytes: who relays them does not look inside.

mod egress;
mod ingress;
mod sip;
mod whip;

pub use egress::*;
pub use ingress::*;
pub use sip::*;
pub use whip::*;

use super::psrpc::Wrapped;
use super::{JobState, StartSession};
use prost::Message;

/// A node to itself, to see that the bus works.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct KeepalivePing {
    /// Unix seconds.
    #[prost(int64, tag = "1")]
    pub timestamp: i64,
}

impl Wrapped for KeepalivePing {
    const NAME: &'static str = "rpc.KeepalivePing";
}

/// From the node with the WebSocket to the node with the room.
#[derive(Clone, PartialEq, Message)]
pub struct RelaySignalRequest {
    /// In the first message of a stream, and alone there.
    #[prost(message, optional, tag = "1")]
    pub start_session: Option<StartSession>,
    /// Of `livekit.SignalRequest`.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub requests: Vec<Vec<u8>>,
    /// Number of the first of `requests`.
    #[prost(uint64, tag = "4")]
    pub seq: u64,
    #[prost(bool, tag = "5")]
    pub close: bool,
}

/// The way back.
#[derive(Clone, PartialEq, Message)]
pub struct RelaySignalResponse {
    /// Of `livekit.SignalResponse`.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub responses: Vec<Vec<u8>>,
    /// Number of the first of `responses`.
    #[prost(uint64, tag = "3")]
    pub seq: u64,
    #[prost(bool, tag = "4")]
    pub close: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CheckEnabledRequest {}

/// Which agent workers a node has.
#[derive(Clone, PartialEq, Message)]
pub struct CheckEnabledResponse {
    #[prost(bool, tag = "1")]
    pub room_enabled: bool,
    #[prost(bool, tag = "2")]
    pub publisher_enabled: bool,
    /// Deprecated, but what drives dispatch to workers without a name.
    #[prost(string, repeated, tag = "3")]
    pub namespaces: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub agent_names: Vec<String>,
    #[prost(bool, tag = "5")]
    pub participant_enabled: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct JobRequestResponse {
    #[prost(message, optional, tag = "1")]
    pub state: Option<JobState>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct JobTerminateRequest {
    #[prost(string, tag = "1")]
    pub job_id: String,
    #[prost(enumeration = "JobTerminateReason", tag = "2")]
    pub reason: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum JobTerminateReason {
    TerminationRequested = 0,
    AgentLeftRoom = 1,
}

#[derive(Clone, PartialEq, Message)]
pub struct JobTerminateResponse {
    #[prost(message, optional, tag = "1")]
    pub state: Option<JobState>,
}
