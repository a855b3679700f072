//! The calls nodes and workers make on each other: names, flags, and what goes in and out (CLUSTER.md §2.1). Flags are part of the
//! contract: both sides must have the same.

use super::claim::Rule;
use super::drain::{OrderRequest, OrderResponse};
use crate::proto::rpc::{self, *};
use crate::proto::*;
use std::marker::PhantomData;

/// How a method's servers share its requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flags {
    /// Servers offer, the client chooses.
    pub claim: Option<Rule>,
    /// Only the server that wins the message's lock looks at it.
    pub queue: bool,
}

const CLAIMED_QUEUE: Flags = Flags { claim: Some(Rule::First), queue: true };
const AFFINITY: Flags = Flags { claim: Some(Rule::AFFINITY), queue: false };
const EGRESS_AFFINITY: Flags = Flags { claim: Some(Rule::EGRESS), queue: false };
/// One server answers, without being chosen.
const QUEUE: Flags = Flags { claim: None, queue: true };
/// Every server answers.
const MULTI: Flags = Flags { claim: None, queue: false };

pub struct Method<Req, Res> {
    pub service: &'static str,
    pub name: &'static str,
    pub flags: Flags,
    messages: PhantomData<fn(Req) -> Res>,
}

impl<Req, Res> Method<Req, Res> {
    const fn new(service: &'static str, name: &'static str, flags: Flags) -> Method<Req, Res> {
        Method { service, name, flags, messages: PhantomData }
    }
}

pub const SIGNAL: &str = "Signal";
pub const RELAY_SIGNAL: &str = "RelaySignal";
pub const KEEPALIVE: &str = "Keepalive";
pub const PING: &str = "Ping";

const ROOM_MANAGER: &str = "RoomManager";
const ROOM: &str = "Room";
const PARTICIPANT: &str = "Participant";
const AGENT_DISPATCH: &str = "AgentDispatchInternal";
const AGENT: &str = "AgentInternal";
const LKOPS_NODE: &str = "LkopsNode";

const IO_INFO: &str = "IOInfo";
const IO_INFO_SIP: &str = "IOInfoSIP";
const EGRESS: &str = "EgressInternal";
const EGRESS_HANDLER: &str = "EgressHandler";
const INGRESS: &str = "IngressInternal";
const INGRESS_HANDLER: &str = "IngressHandler";
const SIP: &str = "SIPInternal";
const WHIP: &str = "WHIP";
const WHIP_PARTICIPANT: &str = "WHIPParticipant";

/// Services a node calls; it listens for their answers from its start.
pub const CALLED: [&str; 13] = [
    ROOM_MANAGER,
    ROOM,
    PARTICIPANT,
    AGENT_DISPATCH,
    AGENT,
    EGRESS,
    EGRESS_HANDLER,
    INGRESS,
    INGRESS_HANDLER,
    SIP,
    WHIP,
    WHIP_PARTICIPANT,
    LKOPS_NODE,
];

/// Topic: the node.
pub const CREATE_ROOM: Method<CreateRoomRequest, Room> = Method::new(ROOM_MANAGER, "CreateRoom", CLAIMED_QUEUE);

/// Topic: the room.
pub const DELETE_ROOM: Method<DeleteRoomRequest, DeleteRoomResponse> = Method::new(ROOM, "DeleteRoom", CLAIMED_QUEUE);
pub const SEND_DATA: Method<SendDataRequest, SendDataResponse> = Method::new(ROOM, "SendData", CLAIMED_QUEUE);
pub const UPDATE_ROOM_METADATA: Method<UpdateRoomMetadataRequest, Room> =
    Method::new(ROOM, "UpdateRoomMetadata", CLAIMED_QUEUE);
pub const LIST_PARTICIPANTS: Method<ListParticipantsRequest, ListParticipantsResponse> =
    Method::new(ROOM, "ListParticipants", CLAIMED_QUEUE);
pub const GET_PARTICIPANT: Method<RoomParticipantIdentity, ParticipantInfo> =
    Method::new(ROOM, "GetParticipant", CLAIMED_QUEUE);

/// Topic: [`participant_topic`].
pub const REMOVE_PARTICIPANT: Method<RoomParticipantIdentity, RemoveParticipantResponse> =
    Method::new(PARTICIPANT, "RemoveParticipant", CLAIMED_QUEUE);
pub const MUTE_PUBLISHED_TRACK: Method<MuteRoomTrackRequest, MuteRoomTrackResponse> =
    Method::new(PARTICIPANT, "MutePublishedTrack", CLAIMED_QUEUE);
pub const UPDATE_PARTICIPANT: Method<UpdateParticipantRequest, ParticipantInfo> =
    Method::new(PARTICIPANT, "UpdateParticipant", CLAIMED_QUEUE);
pub const UPDATE_SUBSCRIPTIONS: Method<UpdateSubscriptionsRequest, UpdateSubscriptionsResponse> =
    Method::new(PARTICIPANT, "UpdateSubscriptions", CLAIMED_QUEUE);
pub const FORWARD_PARTICIPANT: Method<ForwardParticipantRequest, ForwardParticipantResponse> =
    Method::new(PARTICIPANT, "ForwardParticipant", CLAIMED_QUEUE);
pub const MOVE_PARTICIPANT: Method<MoveParticipantRequest, MoveParticipantResponse> =
    Method::new(PARTICIPANT, "MoveParticipant", CLAIMED_QUEUE);
pub const PERFORM_RPC: Method<PerformRpcRequest, PerformRpcResponse> =
    Method::new(PARTICIPANT, "PerformRpc", CLAIMED_QUEUE);

/// Topic: the room.
pub const CREATE_DISPATCH: Method<AgentDispatch, AgentDispatch> =
    Method::new(AGENT_DISPATCH, "CreateDispatch", CLAIMED_QUEUE);
pub const DELETE_DISPATCH: Method<DeleteAgentDispatchRequest, AgentDispatch> =
    Method::new(AGENT_DISPATCH, "DeleteDispatch", CLAIMED_QUEUE);
pub const LIST_DISPATCH: Method<ListAgentDispatchRequest, ListAgentDispatchResponse> =
    Method::new(AGENT_DISPATCH, "ListDispatch", CLAIMED_QUEUE);

/// No topic.
pub const CHECK_ENABLED: Method<CheckEnabledRequest, CheckEnabledResponse> = Method::new(AGENT, "CheckEnabled", MULTI);
/// Topic: the agent's, then the kind of job.
pub const JOB_REQUEST: Method<Job, JobRequestResponse> = Method::new(AGENT, "JobRequest", AFFINITY);
/// Topic: the job.
pub const JOB_TERMINATE: Method<JobTerminateRequest, JobTerminateResponse> =
    Method::new(AGENT, "JobTerminate", CLAIMED_QUEUE);

/// Publish and subscribe, with nothing inside: the first worker of a kind has come to some node.
pub const WORKER_REGISTERED: &str = "WorkerRegistered";
pub const AGENT_INTERNAL: &str = AGENT;

/// No topic: whichever node gets the request has the same store.
pub const CREATE_EGRESS: Method<Kept<EgressInfo>, ()> = Method::new(IO_INFO, "CreateEgress", CLAIMED_QUEUE);
pub const UPDATE_EGRESS: Method<Kept<EgressInfo>, ()> = Method::new(IO_INFO, "UpdateEgress", CLAIMED_QUEUE);
pub const GET_EGRESS: Method<GetEgressRequest, Kept<EgressInfo>> = Method::new(IO_INFO, "GetEgress", CLAIMED_QUEUE);
pub const LIST_EGRESS: Method<ListEgressRequest, ListEgressResponse> =
    Method::new(IO_INFO, "ListEgress", CLAIMED_QUEUE);
pub const UPDATE_METRICS: Method<UpdateMetricsRequest, ()> = Method::new(IO_INFO, "UpdateMetrics", CLAIMED_QUEUE);
pub const CREATE_INGRESS: Method<IngressInfo, ()> = Method::new(IO_INFO, "CreateIngress", CLAIMED_QUEUE);
pub const GET_INGRESS_INFO: Method<GetIngressInfoRequest, GetIngressInfoResponse> =
    Method::new(IO_INFO, "GetIngressInfo", CLAIMED_QUEUE);
pub const UPDATE_INGRESS_STATE: Method<UpdateIngressStateRequest, ()> =
    Method::new(IO_INFO, "UpdateIngressState", CLAIMED_QUEUE);

/// The SIP part of IOInfo. Newer workers call it by a service name of its own.
pub struct SipInfo {
    pub trunk_authentication: Method<GetSipTrunkAuthenticationRequest, GetSipTrunkAuthenticationResponse>,
    pub dispatch_rules: Method<EvaluateSipDispatchRulesRequest, EvaluateSipDispatchRulesResponse>,
    pub call_state: Method<UpdateSipCallStateRequest, ()>,
    pub call_context: Method<RecordCallContextRequest, ()>,
}

pub const SIP_INFO: [SipInfo; 2] = [SipInfo::of(IO_INFO), SipInfo::of(IO_INFO_SIP)];

impl SipInfo {
    const fn of(service: &'static str) -> SipInfo {
        SipInfo {
            trunk_authentication: Method::new(service, "GetSIPTrunkAuthentication", CLAIMED_QUEUE),
            dispatch_rules: Method::new(service, "EvaluateSIPDispatchRules", CLAIMED_QUEUE),
            call_state: Method::new(service, "UpdateSIPCallState", CLAIMED_QUEUE),
            call_context: Method::new(service, "RecordCallContext", CLAIMED_QUEUE),
        }
    }
}

/// Topic: an empty one.
pub const START_EGRESS: Method<rpc::StartEgressRequest, Kept<EgressInfo>> =
    Method::new(EGRESS, "StartEgress", EGRESS_AFFINITY);
pub const LIST_ACTIVE_EGRESS: Method<ListActiveEgressRequest, ListActiveEgressResponse> =
    Method::new(EGRESS, "ListActiveEgress", MULTI);

/// Topic: the egress.
pub const STOP_EGRESS: Method<StopEgressRequest, EgressInfo> = Method::new(EGRESS_HANDLER, "StopEgress", CLAIMED_QUEUE);
pub const UPDATE_STREAM: Method<UpdateStreamRequest, EgressInfo> =
    Method::new(EGRESS_HANDLER, "UpdateStream", CLAIMED_QUEUE);

/// No topic.
pub const START_INGRESS: Method<StartIngressRequest, IngressInfo> = Method::new(INGRESS, "StartIngress", AFFINITY);
/// Topic: an empty one.
pub const LIST_ACTIVE_INGRESS: Method<ListActiveIngressRequest, ListActiveIngressResponse> =
    Method::new(INGRESS, "ListActiveIngress", MULTI);

/// Topic: the ingress.
pub const UPDATE_INGRESS: Method<UpdateIngressRequest, IngressState> =
    Method::new(INGRESS_HANDLER, "UpdateIngress", CLAIMED_QUEUE);
pub const DELETE_INGRESS: Method<DeleteIngressRequest, IngressState> =
    Method::new(INGRESS_HANDLER, "DeleteIngress", CLAIMED_QUEUE);
/// Topic: the participant's sid.
pub const WHIP_CONNECTION_NOTIFY: Method<WhipRtcConnectionNotifyRequest, ()> =
    Method::new(INGRESS_HANDLER, "WHIPRTCConnectionNotify", QUEUE);
/// Topic: the resource.
pub const DELETE_WHIP_RESOURCE: Method<DeleteWhipResourceRequest, ()> =
    Method::new(INGRESS_HANDLER, "DeleteWHIPResource", CLAIMED_QUEUE);
pub const ICE_RESTART_WHIP_RESOURCE: Method<IceRestartWhipResourceRequest, IceRestartWhipResourceResponse> =
    Method::new(INGRESS_HANDLER, "ICERestartWHIPResource", CLAIMED_QUEUE);

/// Topic: an empty one.
pub const CREATE_SIP_PARTICIPANT: Method<InternalCreateSipParticipantRequest, InternalCreateSipParticipantResponse> =
    Method::new(SIP, "CreateSIPParticipant", CLAIMED_QUEUE);
/// Topic: the call.
pub const TRANSFER_SIP_PARTICIPANT: Method<InternalTransferSipParticipantRequest, ()> =
    Method::new(SIP, "TransferSIPParticipant", CLAIMED_QUEUE);

/// Topic: the node with the room.
pub const WHIP_CREATE: Method<WhipCreateRequest, WhipCreateResponse> = Method::new(WHIP, "Create", CLAIMED_QUEUE);
/// Topic: [`participant_topic`].
pub const WHIP_ICE_TRICKLE: Method<WhipParticipantIceTrickleRequest, ()> =
    Method::new(WHIP_PARTICIPANT, "ICETrickle", CLAIMED_QUEUE);
pub const WHIP_ICE_RESTART: Method<WhipParticipantIceRestartRequest, WhipParticipantIceRestartResponse> =
    Method::new(WHIP_PARTICIPANT, "ICERestart", CLAIMED_QUEUE);
pub const WHIP_DELETE_SESSION: Method<WhipParticipantDeleteSessionRequest, ()> =
    Method::new(WHIP_PARTICIPANT, "DeleteSession", CLAIMED_QUEUE);

/// Topic: the node. Our own: stock nodes do not serve it.
pub const ORDER: Method<OrderRequest, OrderResponse> = Method::new(LKOPS_NODE, "Order", MULTI);

/// One string, so that room `a_b` with `c` is the same as room `a` with `b_c`: whoever serves it must look at the request.
pub fn participant_topic(room: &str, identity: &str) -> String {
    format!("{room}_{identity}")
}
