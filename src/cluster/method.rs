//! The calls nodes make on each other: names, flags, and what goes in and out (CLUSTER.md §2.1). Flags are part of the
//! contract: both sides must have the same.

use super::claim::Rule;
use super::drain::{OrderRequest, OrderResponse};
use crate::proto::rpc::*;
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

/// Services a node calls; it listens for their answers from its start.
pub const CALLED: [&str; 6] = [ROOM_MANAGER, ROOM, PARTICIPANT, AGENT_DISPATCH, AGENT, LKOPS_NODE];

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

/// Topic: the node. Our own: stock nodes do not serve it.
pub const ORDER: Method<OrderRequest, OrderResponse> = Method::new(LKOPS_NODE, "Order", MULTI);

/// One string, so that room `a_b` with `c` is the same as room `a` with `b_c`: whoever serves it must look at the request.
pub fn participant_topic(room: &str, identity: &str) -> String {
    format!("{room}_{identity}")
}
