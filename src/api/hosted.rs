//! The server API's calls that come in at other nodes and are for rooms here (CLUSTER.md §2.1): served per room and per
//! participant for as long as they last.

use crate::cluster::{Cluster, Hosted, Member, Methods, Record, Registration, RpcError, method};
use crate::proto;
use crate::proto::psrpc::ErrorCode;
use crate::room::{Directory, RoomError};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What other nodes see of the rooms here, and how they reach them.
pub struct HostedRooms {
    directory: Arc<Directory>,
    member: Arc<Member>,
    served: Mutex<HashMap<String, Served>>,
    _node: Registration,
}

/// The registrations of one room.
struct Served {
    _room: Registration,
    participants: HashMap<String, Registration>,
}

impl HostedRooms {
    pub fn new(directory: Arc<Directory>, cluster: &Cluster, member: Arc<Member>) -> Arc<HostedRooms> {
        let node = serve_node(&member, &directory, cluster).serve();
        Arc::new(HostedRooms { directory, member, served: Mutex::default(), _node: node })
    }

    /// Serves what is there, and nothing else.
    fn serve(&self, room: &str) {
        let Some(identities) = self.directory.ledger().identities(room) else {
            self.lock().remove(room);
            self.member.dispatches().forget(room);
            return;
        };
        let mut served = self.lock();
        let entry = served.entry(room.to_owned()).or_insert_with(|| {
            let methods = serve_room(&self.member, &self.directory, room);
            Served {
                _room: serve_dispatches(methods, &self.member, &self.directory, room).serve(),
                participants: HashMap::new(),
            }
        });
        entry.participants.retain(|identity, _| identities.contains(identity));
        for identity in identities {
            let serve = || serve_participant(&self.member, &self.directory, room, &identity).serve();
            entry.participants.entry(identity.clone()).or_insert_with(serve);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Served>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hosted for HostedRooms {
    fn rooms(&self) -> Vec<String> {
        self.directory.ledger().rooms()
    }

    fn record(&self, room: &str) -> Option<Record> {
        record(&self.directory, room)
    }

    fn take_changed(&self) -> Vec<String> {
        let changed = self.directory.ledger().take_changed();
        changed.iter().for_each(|room| self.serve(room));
        changed
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.directory.ledger().changed())
    }

    fn settled(&self, room: &str) {
        self.directory.ledger().settle(room);
    }

    fn give_up<'a>(&'a self, room: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(self.directory.give_up(room))
    }
}

fn record(directory: &Directory, room: &str) -> Option<Record> {
    let page = directory.ledger().read(room)?;
    let participants = page.participants.into_values().collect();
    Some(Record { room: page.room, internal: page.internal, participants })
}

fn serve_node(member: &Arc<Member>, directory: &Arc<Directory>, cluster: &Cluster) -> Methods {
    let (directory, cluster, agents) = (directory.clone(), cluster.clone(), member.agents().clone());
    let create = move |request: proto::CreateRoomRequest| {
        let (directory, cluster) = (directory.clone(), cluster.clone());
        async move { Ok(create(&directory, &cluster, request).await?) }
    };
    member.methods().with(&method::CREATE_ROOM, &[member.id()], create).with(&method::CHECK_ENABLED, &[], move |_| {
        let enabled = agents.enabled();
        async { Ok(enabled) }
    })
}

/// On the node it was given to. Returns when others can find the room.
pub async fn create(
    directory: &Directory,
    cluster: &Cluster,
    request: proto::CreateRoomRequest,
) -> Result<proto::Room, RoomError> {
    let name = request.name.clone();
    let inherited = match directory.exists(&name) {
        true => None,
        false => cluster.inheritance(&name).await.map(Box::new),
    };
    let room = directory.create(request, inherited).await?;
    cluster.settle(directory.ledger().settled(&name)).await;
    Ok(room)
}

fn serve_room(member: &Arc<Member>, directory: &Arc<Directory>, room: &str) -> Methods {
    let topic = &[room];
    member
        .methods()
        .with(
            &method::DELETE_ROOM,
            topic,
            on(directory, |rooms, request: proto::DeleteRoomRequest| async move {
                rooms.delete(&request.room).await?;
                Ok(proto::DeleteRoomResponse {})
            }),
        )
        .with(
            &method::SEND_DATA,
            topic,
            on(directory, |rooms, request: proto::SendDataRequest| async move {
                rooms.send_data(request).await?;
                Ok(proto::SendDataResponse {})
            }),
        )
        .with(
            &method::UPDATE_ROOM_METADATA,
            topic,
            on(directory, |rooms, request: proto::UpdateRoomMetadataRequest| async move {
                Ok(rooms.update_metadata(&request.room, &request.metadata).await?)
            }),
        )
        .with(
            &method::LIST_PARTICIPANTS,
            topic,
            on(directory, |rooms, request: proto::ListParticipantsRequest| async move {
                Ok(proto::ListParticipantsResponse { participants: rooms.participants(&request.room).await })
            }),
        )
        .with(
            &method::GET_PARTICIPANT,
            topic,
            on(directory, |rooms, request: proto::RoomParticipantIdentity| async move {
                Ok(rooms.participant(&request.room, &request.identity).await?)
            }),
        )
}

/// The room's agents.
fn serve_dispatches(methods: Methods, member: &Arc<Member>, directory: &Arc<Directory>, room: &str) -> Methods {
    let topic = &[room];
    let (creator, deleter, lister) =
        (member.dispatches().clone(), member.dispatches().clone(), member.dispatches().clone());
    let directory = directory.clone();
    let create = move |request: proto::AgentDispatch| {
        let (dispatches, record) = (creator.clone(), record(&directory, &request.room));
        async move { dispatches.create(&record.ok_or_else(no_room)?, request).await }
    };
    let delete = move |request: proto::DeleteAgentDispatchRequest| {
        let deleted = deleter.delete(&request.room, &request.dispatch_id);
        async move { deleted }
    };
    let list = move |request: proto::ListAgentDispatchRequest| {
        let agent_dispatches = lister.list(&request.room, &request.dispatch_id);
        async move { Ok(proto::ListAgentDispatchResponse { agent_dispatches }) }
    };
    methods.with(&method::CREATE_DISPATCH, topic, create).with(&method::DELETE_DISPATCH, topic, delete).with(
        &method::LIST_DISPATCH,
        topic,
        list,
    )
}

fn serve_participant(member: &Arc<Member>, directory: &Arc<Directory>, room: &str, identity: &str) -> Methods {
    let topic = method::participant_topic(room, identity);
    let topic = &[topic.as_str()];
    member
        .methods()
        .with(
            &method::REMOVE_PARTICIPANT,
            topic,
            on(directory, |rooms, request: proto::RoomParticipantIdentity| async move {
                rooms.remove_participant(&request.room, &request.identity).await?;
                Ok(proto::RemoveParticipantResponse {})
            }),
        )
        .with(
            &method::MUTE_PUBLISHED_TRACK,
            topic,
            on(directory, |rooms, request: proto::MuteRoomTrackRequest| async move {
                let proto::MuteRoomTrackRequest { room, identity, track_sid, muted } = &request;
                let track = rooms.mute_published_track(room, identity, track_sid, *muted).await?;
                Ok(proto::MuteRoomTrackResponse { track })
            }),
        )
        .with(
            &method::UPDATE_PARTICIPANT,
            topic,
            on(directory, |rooms, request: proto::UpdateParticipantRequest| async move {
                Ok(rooms.update_participant(request).await?)
            }),
        )
        .with(
            &method::UPDATE_SUBSCRIPTIONS,
            topic,
            on(directory, |rooms, request: proto::UpdateSubscriptionsRequest| async move {
                rooms.update_subscriptions(request).await?;
                Ok(proto::UpdateSubscriptionsResponse {})
            }),
        )
        .with(&method::FORWARD_PARTICIPANT, topic, |_| async { Err(not_implemented()) })
        .with(&method::MOVE_PARTICIPANT, topic, |_| async { Err(not_implemented()) })
        .with(
            &method::PERFORM_RPC,
            topic,
            on(directory, |rooms, request: proto::PerformRpcRequest| async move {
                Ok(proto::PerformRpcResponse { payload: rooms.perform_rpc(request).await? })
            }),
        )
}

/// Hands each request to the rooms.
fn on<Req, Fut, Answer>(
    directory: &Arc<Directory>,
    answer: Answer,
) -> impl Fn(Req) -> Fut + Send + Sync + use<Req, Fut, Answer>
where
    Answer: Fn(Arc<Directory>, Req) -> Fut + Send + Sync,
{
    let directory = directory.clone();
    move |request| answer(directory.clone(), request)
}

fn no_room() -> RpcError {
    RpcError::new(ErrorCode::NotFound, "requested room does not exist")
}

fn not_implemented() -> RpcError {
    RpcError::new(ErrorCode::Unknown, "not implemented")
}

impl From<RoomError> for RpcError {
    fn from(error: RoomError) -> RpcError {
        let code = match &error {
            RoomError::NotFound(_) => ErrorCode::NotFound,
            RoomError::InvalidArgument { .. } => ErrorCode::InvalidArgument,
            RoomError::FailedPrecondition(_) => ErrorCode::FailedPrecondition,
            RoomError::Unavailable => ErrorCode::Unavailable,
            RoomError::Rpc { .. } => ErrorCode::InvalidArgument,
        };
        RpcError::new(code, error.to_string())
    }
}
