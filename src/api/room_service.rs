//! RoomService (WIRE.md §5.1): asks the token, checks what the reference checks before it asks, and hands over to the
//! room, wherever it is.

use super::error::{Code, TwirpError};
use super::permission::Caller;
use super::reach::Reach;
use super::twirp::Service;
use crate::config::{Config, Limit};
use crate::proto;
use std::collections::HashMap;
use std::sync::Arc;

pub struct RoomService {
    reach: Reach,
    config: Arc<Config>,
}

type Answer<T> = Result<T, TwirpError>;

impl RoomService {
    pub fn service(reach: Reach, config: Arc<Config>) -> Service<RoomService> {
        Service::new("livekit.RoomService", Arc::new(RoomService { reach, config }))
            .method("CreateRoom", RoomService::create_room)
            .method("ListRooms", RoomService::list_rooms)
            .method("DeleteRoom", RoomService::delete_room)
            .method("ListParticipants", RoomService::list_participants)
            .method("GetParticipant", RoomService::participant)
            .method("RemoveParticipant", RoomService::remove_participant)
            .method("MutePublishedTrack", RoomService::mute_published_track)
            .method("UpdateParticipant", RoomService::update_participant)
            .method("UpdateSubscriptions", RoomService::update_subscriptions)
            .method("SendData", RoomService::send_data)
            .method("UpdateRoomMetadata", RoomService::update_room_metadata)
            .method("ForwardParticipant", RoomService::forward_participant)
            .method("MoveParticipant", RoomService::move_participant)
            .method("PerformRpc", RoomService::perform_rpc)
    }

    async fn create_room(self: Arc<Self>, caller: Caller, request: proto::CreateRoomRequest) -> Answer<proto::Room> {
        caller.may_create_rooms()?;
        if request.egress.is_some() {
            return Err(TwirpError::new(Code::Internal, "egress not connected (redis required)"));
        }
        self.reach.create(request, &self.config.room).await
    }

    async fn list_rooms(
        self: Arc<Self>,
        caller: Caller,
        request: proto::ListRoomsRequest,
    ) -> Answer<proto::ListRoomsResponse> {
        caller.may_list_rooms()?;
        Ok(proto::ListRoomsResponse { rooms: self.reach.list(&request.names).await? })
    }

    async fn delete_room(
        self: Arc<Self>,
        caller: Caller,
        request: proto::DeleteRoomRequest,
    ) -> Answer<proto::DeleteRoomResponse> {
        caller.may_create_rooms()?;
        self.reach.delete(request, &self.config.room).await?;
        Ok(proto::DeleteRoomResponse {})
    }

    async fn list_participants(
        self: Arc<Self>,
        caller: Caller,
        request: proto::ListParticipantsRequest,
    ) -> Answer<proto::ListParticipantsResponse> {
        caller.may_administrate(&request.room)?;
        Ok(proto::ListParticipantsResponse { participants: self.reach.participants(&request.room).await? })
    }

    async fn participant(
        self: Arc<Self>,
        caller: Caller,
        request: proto::RoomParticipantIdentity,
    ) -> Answer<proto::ParticipantInfo> {
        caller.may_administrate(&request.room)?;
        // An unknown room is no other news to the caller than an unknown participant.
        let found = self.reach.participant(&request.room, &request.identity).await;
        found.map_err(|e| not_found_as(e, "participant does not exist"))
    }

    async fn remove_participant(
        self: Arc<Self>,
        caller: Caller,
        request: proto::RoomParticipantIdentity,
    ) -> Answer<proto::RemoveParticipantResponse> {
        caller.may_administrate(&request.room)?;
        let removed = self.reach.remove_participant(request).await;
        removed.map_err(|e| not_found_as(e, "participant does not exist"))?;
        Ok(proto::RemoveParticipantResponse {})
    }

    async fn mute_published_track(
        self: Arc<Self>,
        caller: Caller,
        request: proto::MuteRoomTrackRequest,
    ) -> Answer<proto::MuteRoomTrackResponse> {
        caller.may_administrate(&request.room)?;
        self.reach.mute_published_track(request).await
    }

    /// Sizes are asked before the token, as the reference does.
    async fn update_participant(
        self: Arc<Self>,
        caller: Caller,
        request: proto::UpdateParticipantRequest,
    ) -> Answer<proto::ParticipantInfo> {
        let limit = &self.config.limit;
        within(request.name.len(), limit.max_participant_name_length, "name length exceeds limits")?;
        metadata_fits(&request.metadata, limit)?;
        within(attributes_size(&request.attributes), limit.max_attributes_size, "attribute size exceeds limits")?;
        caller.may_administrate(&request.room)?;
        self.reach.update_participant(request).await
    }

    async fn update_subscriptions(
        self: Arc<Self>,
        caller: Caller,
        request: proto::UpdateSubscriptionsRequest,
    ) -> Answer<proto::UpdateSubscriptionsResponse> {
        caller.may_administrate(&request.room)?;
        self.reach.update_subscriptions(request).await?;
        Ok(proto::UpdateSubscriptionsResponse {})
    }

    async fn send_data(
        self: Arc<Self>,
        caller: Caller,
        request: proto::SendDataRequest,
    ) -> Answer<proto::SendDataResponse> {
        caller.may_administrate(&request.room)?;
        if !matches!(request.nonce.len(), 0 | 16) {
            return Err(TwirpError::new(Code::InvalidArgument, "nonce must be 16 bytes"));
        }
        self.reach.send_data(request).await?;
        Ok(proto::SendDataResponse {})
    }

    async fn update_room_metadata(
        self: Arc<Self>,
        caller: Caller,
        request: proto::UpdateRoomMetadataRequest,
    ) -> Answer<proto::Room> {
        metadata_fits(&request.metadata, &self.config.limit)?;
        caller.may_administrate(&request.room)?;
        self.reach.update_metadata(request).await
    }

    async fn forward_participant(
        self: Arc<Self>,
        caller: Caller,
        request: proto::ForwardParticipantRequest,
    ) -> Answer<proto::ForwardParticipantResponse> {
        Err(refuse_to_send_on(&caller, &request.room, &request.destination_room))
    }

    async fn move_participant(
        self: Arc<Self>,
        caller: Caller,
        request: proto::MoveParticipantRequest,
    ) -> Answer<proto::MoveParticipantResponse> {
        Err(refuse_to_send_on(&caller, &request.room, &request.destination_room))
    }

    async fn perform_rpc(
        self: Arc<Self>,
        caller: Caller,
        request: proto::PerformRpcRequest,
    ) -> Answer<proto::PerformRpcResponse> {
        caller.may_administrate(&request.room)?;
        if request.destination_identity.is_empty() {
            return Err(TwirpError::new(Code::InvalidArgument, "destination identity is required"));
        }
        self.reach.perform_rpc(request).await
    }
}

/// Forwarding and moving between rooms is not part of the open-source server; callers learn first what else is wrong.
fn refuse_to_send_on(caller: &Caller, room: &str, destination: &str) -> TwirpError {
    if let Err(denied) = caller.may_send_people_to(room, destination) {
        return denied;
    }
    if room == destination {
        return TwirpError::new(Code::InvalidArgument, "destination room cannot be the same as source room");
    }
    TwirpError::new(Code::Unknown, "not implemented")
}

fn not_found_as(error: TwirpError, message: &str) -> TwirpError {
    match error.code {
        Code::NotFound => TwirpError::new(Code::NotFound, message),
        _ => error,
    }
}

fn metadata_fits(metadata: &str, limit: &Limit) -> Result<(), TwirpError> {
    within(metadata.len(), limit.max_metadata_size, "metadata size exceeds limits")
}

fn attributes_size(attributes: &HashMap<String, String>) -> usize {
    attributes.iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// In bytes; 0 is no limit.
fn within(size: usize, size_max: usize, complaint: &'static str) -> Result<(), TwirpError> {
    if size_max > 0 && size > size_max {
        return Err(TwirpError::over_limit(complaint, size_max));
    }
    Ok(())
}
