//! Rooms wherever they are: those here are asked at once, the others through the bus, after what the reference checks before
//! it asks (CLUSTER.md §2.3).

use super::error::{Code, TwirpError};
use super::hosted;
use crate::cluster::method::{self, Method};
use crate::cluster::{Cluster, Member, Patience, Place, PlaceError, RpcError, StoreError};
use crate::config;
use crate::proto;
use crate::proto::psrpc::ErrorCode;
use crate::room::{Directory, RoomError};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub struct Reach {
    pub directory: Arc<Directory>,
    pub cluster: Cluster,
}

type Answer<T> = Result<T, TwirpError>;

impl Reach {
    /// The node to ask for a room that is not here; `None` if there are no others.
    fn elsewhere(&self, room: &str) -> Option<&Arc<Member>> {
        self.cluster.member().filter(|_| !self.directory.exists(room))
    }

    pub async fn create(&self, request: proto::CreateRoomRequest, config: &config::Room) -> Answer<proto::Room> {
        let Some(member) = self.elsewhere(&request.name) else {
            return Ok(hosted::create(&self.directory, &self.cluster, request).await?);
        };
        let wanted = Some(request.node_id.as_str()).filter(|id| !id.is_empty());
        match self.cluster.place(&request.name, wanted).await? {
            Place::Here => Ok(hosted::create(&self.directory, &self.cluster, request).await?),
            Place::There(node) => {
                let patience = Patience {
                    attempts: config.create_room_attempts,
                    timeout: config.create_room_timeout,
                    backoff: Duration::ZERO,
                };
                Ok(member.caller().call(&method::CREATE_ROOM, &[&node], &request, patience).await?)
            }
        }
    }

    pub async fn list(&self, names: &[String]) -> Answer<Vec<proto::Room>> {
        match self.cluster.member() {
            Some(member) => Ok(member.store().rooms(names).await?),
            None => Ok(self.directory.list(names).await),
        }
    }

    /// A room whose node died is found a new one first, which then can end it.
    pub async fn delete(&self, request: proto::DeleteRoomRequest, config: &config::Room) -> Answer<()> {
        let name = &request.room;
        let Some(member) = self.elsewhere(name) else { return Ok(self.directory.delete(name).await?) };
        if member.store().room(name).await?.is_none() {
            return Err(RoomError::NO_ROOM.into());
        }
        self.create(proto::CreateRoomRequest { name: name.clone(), ..Default::default() }, config).await?;
        match self.elsewhere(name) {
            Some(member) => member.call(&method::DELETE_ROOM, &[name], &request).await.map(|_| ())?,
            None => self.directory.delete(name).await?,
        }
        Ok(())
    }

    pub async fn participants(&self, room: &str) -> Answer<Vec<proto::ParticipantInfo>> {
        match self.elsewhere(room) {
            Some(member) => Ok(member.store().participants(room).await?),
            None => Ok(self.directory.participants(room).await),
        }
    }

    pub async fn participant(&self, room: &str, identity: &str) -> Answer<proto::ParticipantInfo> {
        match self.elsewhere(room) {
            Some(member) => stored(member, room, identity).await,
            None => Ok(self.directory.participant(room, identity).await?),
        }
    }

    pub async fn remove_participant(&self, request: proto::RoomParticipantIdentity) -> Answer<()> {
        let proto::RoomParticipantIdentity { room, identity, .. } = &request;
        let Some(member) = self.elsewhere(room) else {
            return Ok(self.directory.remove_participant(room, identity).await?);
        };
        stored(member, room, identity).await?;
        self.of_participant(member, &method::REMOVE_PARTICIPANT, (room, identity), &request).await.map(|_| ())
    }

    pub async fn mute_published_track(
        &self,
        request: proto::MuteRoomTrackRequest,
    ) -> Answer<proto::MuteRoomTrackResponse> {
        let proto::MuteRoomTrackRequest { room, identity, track_sid, muted } = &request;
        let Some(member) = self.elsewhere(room) else {
            let track = self.directory.mute_published_track(room, identity, track_sid, *muted).await?;
            return Ok(proto::MuteRoomTrackResponse { track });
        };
        self.of_participant(member, &method::MUTE_PUBLISHED_TRACK, (room, identity), &request).await
    }

    pub async fn update_participant(&self, request: proto::UpdateParticipantRequest) -> Answer<proto::ParticipantInfo> {
        let Some(member) = self.elsewhere(&request.room) else {
            return Ok(self.directory.update_participant(request).await?);
        };
        stored(member, &request.room, &request.identity).await?;
        let topic = (request.room.as_str(), request.identity.as_str());
        self.of_participant(member, &method::UPDATE_PARTICIPANT, topic, &request).await
    }

    pub async fn update_subscriptions(&self, request: proto::UpdateSubscriptionsRequest) -> Answer<()> {
        let Some(member) = self.elsewhere(&request.room) else {
            return Ok(self.directory.update_subscriptions(request).await?);
        };
        let topic = (request.room.as_str(), request.identity.as_str());
        self.of_participant(member, &method::UPDATE_SUBSCRIPTIONS, topic, &request).await.map(|_| ())
    }

    pub async fn perform_rpc(&self, request: proto::PerformRpcRequest) -> Answer<proto::PerformRpcResponse> {
        let Some(member) = self.elsewhere(&request.room) else {
            return Ok(proto::PerformRpcResponse { payload: self.directory.perform_rpc(request).await? });
        };
        let topic = (request.room.as_str(), request.destination_identity.as_str());
        self.of_participant(member, &method::PERFORM_RPC, topic, &request).await
    }

    pub async fn send_data(&self, request: proto::SendDataRequest) -> Answer<()> {
        match self.elsewhere(&request.room) {
            Some(member) => Ok(member.call(&method::SEND_DATA, &[&request.room], &request).await.map(|_| ())?),
            None => Ok(self.directory.send_data(request).await?),
        }
    }

    pub async fn update_metadata(&self, request: proto::UpdateRoomMetadataRequest) -> Answer<proto::Room> {
        let Some(member) = self.elsewhere(&request.room) else {
            return Ok(self.directory.update_metadata(&request.room, &request.metadata).await?);
        };
        if member.store().room(&request.room).await?.is_none() {
            return Err(RoomError::NO_ROOM.into());
        }
        Ok(member.call(&method::UPDATE_ROOM_METADATA, &[&request.room], &request).await?)
    }

    async fn of_participant<Req: Message, Res: Message + Default>(
        &self,
        member: &Member,
        method: &Method<Req, Res>,
        (room, identity): (&str, &str),
        request: &Req,
    ) -> Answer<Res> {
        Ok(member.call(method, &[&method::participant_topic(room, identity)], request).await?)
    }
}

async fn stored(member: &Member, room: &str, identity: &str) -> Answer<proto::ParticipantInfo> {
    let found = member.store().participant(room, identity).await?;
    found.ok_or_else(|| RoomError::NO_PARTICIPANT.into())
}

impl From<RpcError> for TwirpError {
    /// The reference's words for an error of another node.
    fn from(error: RpcError) -> TwirpError {
        let message = match error.code {
            ErrorCode::Unknown => error.message,
            _ => format!("twirp error unknown: {}", error.message),
        };
        TwirpError::new(code_of(error.code), message)
    }
}

impl From<StoreError> for TwirpError {
    fn from(error: StoreError) -> TwirpError {
        TwirpError::new(Code::Unavailable, error.to_string())
    }
}

impl From<PlaceError> for TwirpError {
    fn from(error: PlaceError) -> TwirpError {
        let code = match error {
            PlaceError::NoNode(_) | PlaceError::Full(_) => Code::Unknown,
            PlaceError::Unknown(_) | PlaceError::Contended => Code::Unavailable,
        };
        TwirpError::new(code, error.to_string())
    }
}

/// Twirp has fewer codes than the bus.
fn code_of(code: ErrorCode) -> Code {
    match code {
        ErrorCode::Canceled => Code::Canceled,
        ErrorCode::MalformedRequest => Code::Malformed,
        ErrorCode::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::InvalidArgument | ErrorCode::OutOfRange | ErrorCode::UnprocessableEntity => Code::InvalidArgument,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::FailedPrecondition => Code::FailedPrecondition,
        ErrorCode::Unauthenticated | ErrorCode::PermissionDenied => Code::Unauthenticated,
        ErrorCode::Unknown => Code::Unknown,
        _ => Code::Internal,
    }
}
