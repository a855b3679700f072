//! Between servers and SIP workers (SIPInternal, and the SIP part of IOInfo).

use crate::proto;
use prost::Message;
use std::collections::BTreeMap;

/// google.protobuf.Duration.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Seconds {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl From<std::time::Duration> for Seconds {
    fn from(duration: std::time::Duration) -> Seconds {
        Seconds {
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
        }
    }
}

/// A call as the SIP worker sees it.
#[derive(Clone, PartialEq, Message)]
pub struct SipCall {
    #[prost(string, tag = "1")]
    pub lk_call_id: String,
    /// Without a port.
    #[prost(string, tag = "2")]
    pub source_ip: String,
    /// Of the request line.
    #[prost(message, optional, tag = "3")]
    pub address: Option<proto::SipUri>,
    #[prost(message, optional, tag = "4")]
    pub from: Option<proto::SipUri>,
    #[prost(message, optional, tag = "5")]
    pub to: Option<proto::SipUri>,
    #[prost(message, repeated, tag = "6")]
    pub via: Vec<proto::SipUri>,
    #[prost(string, tag = "7")]
    pub sip_call_id: String,
    #[prost(string, tag = "8")]
    pub project_id: String,
    #[prost(btree_map = "string, string", tag = "9")]
    pub features: BTreeMap<String, String>,
}

/// All but `call` is deprecated, and used where there is no `call`.
#[derive(Clone, PartialEq, Message)]
pub struct GetSipTrunkAuthenticationRequest {
    #[prost(string, tag = "2")]
    pub from: String,
    #[prost(string, tag = "3")]
    pub to: String,
    #[prost(string, tag = "4")]
    pub src_address: String,
    #[prost(string, tag = "5")]
    pub to_host: String,
    #[prost(string, tag = "6")]
    pub sip_call_id: String,
    #[prost(string, tag = "7")]
    pub from_host: String,
    #[prost(message, optional, tag = "8")]
    pub call: Option<SipCall>,
}

/// Empty where no trunk is for the call.
#[derive(Clone, PartialEq, Message)]
pub struct GetSipTrunkAuthenticationResponse {
    #[prost(string, tag = "1")]
    pub username: String,
    #[prost(string, tag = "2")]
    pub password: String,
    #[prost(bool, tag = "3")]
    pub drop: bool,
    #[prost(string, tag = "4")]
    pub sip_trunk_id: String,
    #[prost(string, tag = "5")]
    pub project_id: String,
    #[prost(message, optional, tag = "6")]
    pub provider_info: Option<proto::ProviderInfo>,
    #[prost(int32, tag = "7")]
    pub error_code: i32,
    #[prost(btree_map = "string, string", tag = "8")]
    pub feature_flags: BTreeMap<String, String>,
    #[prost(string, tag = "9")]
    pub realm: String,
    #[prost(message, optional, tag = "10")]
    pub observability: Option<SipCallObservability>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct SipCallObservability {
    #[prost(string, tag = "1")]
    pub destination: String,
    #[prost(uint32, tag = "2")]
    pub lifetime_days: u32,
    #[prost(string, tag = "3")]
    pub carrier_id: String,
    #[prost(string, tag = "4")]
    pub country_code: String,
    #[prost(int32, tag = "5")]
    pub number_type: i32,
}

/// Numbers, hosts and address stand in `call`; the fields beside it are deprecated.
#[derive(Clone, PartialEq, Message)]
pub struct EvaluateSipDispatchRulesRequest {
    #[prost(string, tag = "1")]
    pub sip_participant_id: String,
    #[prost(string, tag = "2")]
    pub calling_number: String,
    #[prost(string, tag = "3")]
    pub called_number: String,
    #[prost(string, tag = "4")]
    pub src_address: String,
    /// As far as one was entered.
    #[prost(string, tag = "5")]
    pub pin: String,
    /// The caller enters none: only open rooms.
    #[prost(bool, tag = "6")]
    pub no_pin: bool,
    #[prost(string, tag = "7")]
    pub called_host: String,
    #[prost(string, tag = "8")]
    pub sip_call_id: String,
    #[prost(btree_map = "string, string", tag = "9")]
    pub extra_attributes: BTreeMap<String, String>,
    /// Of the answer to the authentication.
    #[prost(string, tag = "10")]
    pub sip_trunk_id: String,
    #[prost(string, tag = "11")]
    pub calling_host: String,
    #[prost(message, optional, tag = "12")]
    pub call: Option<SipCall>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum SipDispatchResult {
    LegacyAcceptOrPin = 0,
    Accept = 1,
    RequestPin = 2,
    Reject = 3,
    Drop = 4,
}

#[derive(Clone, PartialEq, Message)]
pub struct EvaluateSipDispatchRulesResponse {
    #[prost(string, tag = "1")]
    pub room_name: String,
    #[prost(string, tag = "2")]
    pub participant_identity: String,
    /// Deprecated: see `result`.
    #[prost(bool, tag = "3")]
    pub request_pin: bool,
    #[prost(string, tag = "4")]
    pub token: String,
    #[prost(string, tag = "5")]
    pub ws_url: String,
    #[prost(enumeration = "SipDispatchResult", tag = "6")]
    pub result: i32,
    #[prost(string, tag = "7")]
    pub participant_name: String,
    #[prost(string, tag = "8")]
    pub participant_metadata: String,
    #[prost(string, tag = "9")]
    pub sip_trunk_id: String,
    #[prost(string, tag = "10")]
    pub sip_dispatch_rule_id: String,
    #[prost(btree_map = "string, string", tag = "11")]
    pub participant_attributes: BTreeMap<String, String>,
    #[prost(string, tag = "12")]
    pub project_id: String,
    /// Of the 200 OK.
    #[prost(btree_map = "string, string", tag = "13")]
    pub headers: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "14")]
    pub headers_to_attributes: BTreeMap<String, String>,
    #[prost(enumeration = "proto::SipFeature", repeated, tag = "15")]
    pub enabled_features: Vec<i32>,
    #[prost(message, optional, tag = "16")]
    pub ringing_timeout: Option<Seconds>,
    #[prost(message, optional, tag = "17")]
    pub max_call_duration: Option<Seconds>,
    #[prost(btree_map = "string, string", tag = "18")]
    pub attributes_to_headers: BTreeMap<String, String>,
    #[prost(enumeration = "proto::SipHeaderOptions", tag = "19")]
    pub include_headers: i32,
    #[prost(string, tag = "20")]
    pub room_preset: String,
    #[prost(message, optional, tag = "21")]
    pub room_config: Option<proto::RoomConfiguration>,
    /// Deprecated: see `media`.
    #[prost(enumeration = "proto::SipMediaEncryption", tag = "22")]
    pub media_encryption: i32,
    #[prost(btree_map = "string, string", tag = "23")]
    pub feature_flags: BTreeMap<String, String>,
    #[prost(message, optional, tag = "24")]
    pub media: Option<proto::SipMediaConfig>,
}

#[derive(Clone, PartialEq, Message)]
pub struct UpdateSipCallStateRequest {
    #[prost(message, optional, tag = "1")]
    pub call_info: Option<proto::SipCallInfo>,
    #[prost(message, optional, tag = "2")]
    pub transfer_info: Option<proto::SipTransferInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RecordCallContextRequest {
    #[prost(message, optional, tag = "1")]
    pub call_info: Option<proto::SipCallInfo>,
}

/// A server leaves `token` and `ws_url` empty: the worker has its own.
#[derive(Clone, PartialEq, Message)]
pub struct InternalCreateSipParticipantRequest {
    /// Where the INVITE goes.
    #[prost(string, tag = "2")]
    pub address: String,
    /// Of the caller.
    #[prost(string, tag = "3")]
    pub number: String,
    #[prost(string, tag = "4")]
    pub call_to: String,
    #[prost(string, tag = "5")]
    pub username: String,
    #[prost(string, tag = "6")]
    pub password: String,
    #[prost(string, tag = "7")]
    pub room_name: String,
    #[prost(string, tag = "8")]
    pub participant_identity: String,
    #[prost(string, tag = "9")]
    pub token: String,
    #[prost(string, tag = "10")]
    pub ws_url: String,
    #[prost(string, tag = "11")]
    pub dtmf: String,
    #[prost(bool, tag = "12")]
    pub play_dialtone: bool,
    #[prost(string, tag = "13")]
    pub sip_call_id: String,
    #[prost(string, tag = "14")]
    pub participant_name: String,
    #[prost(string, tag = "15")]
    pub participant_metadata: String,
    #[prost(enumeration = "proto::SipTransport", tag = "16")]
    pub transport: i32,
    #[prost(btree_map = "string, string", tag = "17")]
    pub participant_attributes: BTreeMap<String, String>,
    #[prost(string, tag = "18")]
    pub project_id: String,
    #[prost(string, tag = "19")]
    pub sip_trunk_id: String,
    /// Of the `From` address.
    #[prost(string, tag = "20")]
    pub hostname: String,
    #[prost(btree_map = "string, string", tag = "21")]
    pub headers: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "22")]
    pub headers_to_attributes: BTreeMap<String, String>,
    #[prost(message, optional, tag = "23")]
    pub ringing_timeout: Option<Seconds>,
    #[prost(message, optional, tag = "24")]
    pub max_call_duration: Option<Seconds>,
    #[prost(enumeration = "proto::SipFeature", repeated, tag = "25")]
    pub enabled_features: Vec<i32>,
    #[prost(btree_map = "string, string", tag = "26")]
    pub attributes_to_headers: BTreeMap<String, String>,
    #[prost(enumeration = "proto::SipHeaderOptions", tag = "27")]
    pub include_headers: i32,
    /// Deprecated: see `media`.
    #[prost(enumeration = "proto::SipMediaEncryption", tag = "28")]
    pub media_encryption: i32,
    #[prost(bool, tag = "29")]
    pub wait_until_answered: bool,
    #[prost(string, tag = "30")]
    pub destination_country: String,
    #[prost(string, optional, tag = "31")]
    pub display_name: Option<String>,
    #[prost(message, optional, tag = "32")]
    pub destination: Option<proto::Destination>,
    #[prost(btree_map = "string, string", tag = "33")]
    pub feature_flags: BTreeMap<String, String>,
    #[prost(message, optional, tag = "34")]
    pub media: Option<proto::SipMediaConfig>,
    #[prost(message, optional, tag = "35")]
    pub sip_request_uri: Option<proto::SipRequestDest>,
    #[prost(message, optional, tag = "36")]
    pub sip_from_header: Option<proto::SipNamedDest>,
    #[prost(message, optional, tag = "37")]
    pub sip_to_header: Option<proto::SipNamedDest>,
    #[prost(message, optional, tag = "38")]
    pub observability: Option<SipCallObservability>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct InternalCreateSipParticipantResponse {
    #[prost(string, tag = "1")]
    pub participant_id: String,
    #[prost(string, tag = "2")]
    pub participant_identity: String,
    #[prost(string, tag = "3")]
    pub sip_call_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct InternalTransferSipParticipantRequest {
    #[prost(string, tag = "1")]
    pub sip_call_id: String,
    #[prost(string, tag = "2")]
    pub transfer_to: String,
    #[prost(bool, tag = "3")]
    pub play_dialtone: bool,
    #[prost(btree_map = "string, string", tag = "4")]
    pub headers: BTreeMap<String, String>,
    #[prost(message, optional, tag = "5")]
    pub ringing_timeout: Option<Seconds>,
    #[prost(btree_map = "string, string", tag = "6")]
    pub feature_flags: BTreeMap<String, String>,
}
