//! What the server API may do to a room (WIRE.md §5.1). Sizes are checked by the directory, before the room is sought.

use super::error::RoomError;
use super::leave::Departure;
use super::participant::ParticipantKey;
use super::permission::Permissions;
use super::state::Room;
use crate::proto;
use crate::proto::signal_response::Message;
use crate::proto::{MuteTrackRequest, ParticipantInfo, TrackInfo};

impl Room {
    pub fn participant_infos(&self) -> Vec<ParticipantInfo> {
        self.people.values().map(|p| self.describe(p)).collect()
    }

    pub fn participant_info(&self, identity: &str) -> Result<ParticipantInfo, RoomError> {
        let p = self.by_identity(identity).and_then(|key| self.people.get(&key));
        p.map(|p| self.describe(p)).ok_or(RoomError::NO_PARTICIPANT)
    }

    pub fn remove_participant(&mut self, identity: &str) -> Result<(), RoomError> {
        let key = self.find(identity)?;
        self.remove(key, Departure::Removed);
        Ok(())
    }

    pub(super) fn find(&self, identity: &str) -> Result<ParticipantKey, RoomError> {
        self.by_identity(identity).ok_or(RoomError::NO_PARTICIPANT)
    }

    /// The client is told, and must reflect it.
    pub fn mute_published_track(
        &mut self,
        identity: &str,
        sid: &str,
        muted: bool,
    ) -> Result<Option<TrackInfo>, RoomError> {
        let key = self.find(identity)?;
        if !muted && !self.ctx.config.room.enable_remote_unmute {
            return Err(RoomError::NO_UNMUTE);
        }
        let info = self.set_muted(key, sid, muted);
        if info.is_some() {
            self.send(key, Message::Mute(MuteTrackRequest { sid: sid.to_owned(), muted }));
        }
        Ok(info)
    }

    pub fn update_participant(
        &mut self,
        request: proto::UpdateParticipantRequest,
    ) -> Result<ParticipantInfo, RoomError> {
        let key = self.find(&request.identity)?;
        self.change_profile(key, &request.name, &request.metadata, &request.attributes);
        if let Some(permission) = &request.permission {
            self.set_permissions(key, Permissions::from(permission));
        }
        self.participant_info(&request.identity)
    }

    /// Replaces what a participant may do (WIRE.md §9.4).
    fn set_permissions(&mut self, key: ParticipantKey, permissions: Permissions) {
        let Some(p) = self.people.get_mut(&key).filter(|p| p.permissions != permissions) else { return };
        permissions.write_to(p.claims.video.get_or_insert_default());
        p.info.permission = Some(permissions.to_proto());
        p.info.is_publisher = permissions.can_publish && p.links.publisher.connected;
        p.permissions = permissions;
        self.revoke_tracks(key);
        self.revoke_data_tracks(key);
        self.auto_subscribe(key);
        self.auto_subscribe_data(key);
        self.reconcile(key);
        self.announce_profile(key);
        self.refresh_token(key);
        self.count_people();
    }

    pub fn update_subscriptions(&mut self, request: proto::UpdateSubscriptionsRequest) -> Result<(), RoomError> {
        let key = self.find(&request.identity)?;
        let update = proto::UpdateSubscription {
            track_sids: request.track_sids,
            subscribe: request.subscribe,
            participant_tracks: request.participant_tracks,
        };
        self.update_subscription(key, &update);
        Ok(())
    }

    pub fn update_metadata(&mut self, metadata: String) -> Result<proto::Room, RoomError> {
        self.proto.metadata = metadata;
        self.room_changed();
        self.send_room_update();
        Ok(self.info())
    }
}
