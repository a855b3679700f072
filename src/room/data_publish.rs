//! Data tracks and blobs in the room: who publishes, who is subscribed under which handle, and the packets between them
//! (WIRE.md §2.13, §4.15).

use super::blob;
use super::data_track::{Refusal, with_handle};
use super::participant::{Participant, ParticipantKey};
use super::state::Room;
use crate::proto::data_track_subscriber_handles::PublishedDataTrack;
use crate::proto::request_response::Request;
use crate::proto::signal_response::Message;
use crate::proto::{
    DataTrackInfo, GetDataBlobRequest, GetDataBlobResponse, PublishDataTrackRequest, PublishDataTrackResponse,
    StoreDataBlobRequest, StoreDataBlobResponse, UnpublishDataTrackRequest, UnpublishDataTrackResponse,
    UpdateDataSubscription,
};
use crate::shard::{Channel, Command};
use tracing::info;

impl Room {
    pub(super) fn data_tracks_of(&self, p: &Participant) -> Vec<DataTrackInfo> {
        p.data.tracks.infos()
    }

    pub(super) fn has_data_track(&self, p: &Participant, sid: &str) -> bool {
        p.data.tracks.infos().iter().any(|t| t.sid == sid)
    }

    /// The others hear of the track before its publisher gets the response.
    pub(super) fn publish_data_track(&mut self, key: ParticipantKey, request: PublishDataTrackRequest) {
        let config = self.ctx.config.clone();
        let Some(p) = self.people.get_mut(&key) else { return };
        let allowed = config.enable_data_tracks && p.permissions.can_publish_data;
        match p.data.tracks.publish(&request, allowed, &config.limit) {
            Ok(info) => {
                p.info.is_publisher = true;
                info!(participant = p.info.identity, track = info.sid, name = info.name, "data track published");
                self.announce_tracks(key);
                self.count_people();
                self.offer_data_track(key, &info.sid);
                self.send(key, Message::PublishDataTrackResponse(PublishDataTrackResponse { info: Some(info) }));
            }
            Err(refusal) => p.refuse(0, refusal, Some(Request::PublishDataTrack(request))),
        }
    }

    pub(super) fn unpublish_data_track(&mut self, key: ParticipantKey, request: UnpublishDataTrackRequest) {
        let Some(p) = self.people.get_mut(&key) else { return };
        match p.data.tracks.unpublish(request.pub_handle) {
            Ok(info) => {
                info!(participant = p.info.identity, track = info.sid, "data track unpublished");
                self.announce_tracks(key);
                self.reconcile_data_tracks();
                self.tell_unpublished(key, info);
            }
            Err(refusal) => p.refuse(0, refusal, Some(Request::UnpublishDataTrack(request))),
        }
    }

    fn tell_unpublished(&mut self, key: ParticipantKey, info: DataTrackInfo) {
        self.send(key, Message::UnpublishDataTrackResponse(UnpublishDataTrackResponse { info: Some(info) }));
    }

    /// Ends the data tracks of who may no longer publish data.
    pub(super) fn revoke_data_tracks(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get_mut(&key).filter(|p| !p.permissions.can_publish_data) else { return };
        let ended = p.data.tracks.unpublish_all();
        if ended.is_empty() {
            return;
        }
        self.announce_tracks(key);
        self.reconcile_data_tracks();
        ended.into_iter().for_each(|info| self.tell_unpublished(key, info));
    }

    fn offer_data_track(&mut self, publisher: ParticipantKey, sid: &str) {
        for p in self.people.values_mut().filter(|p| p.key != publisher && p.options.auto_subscribe_data_track) {
            p.data.subscriptions.want(sid, true);
        }
        self.reconcile_data_tracks();
    }

    /// A participant became ACTIVE, or may subscribe now.
    pub(super) fn auto_subscribe_data(&mut self, key: ParticipantKey) {
        let others = self.people.values().filter(|p| p.key != key);
        let sids: Vec<String> = others.flat_map(|p| p.data.tracks.infos()).map(|t| t.sid).collect();
        let Some(p) = self.people.get_mut(&key) else { return };
        if p.options.auto_subscribe_data_track {
            sids.iter().for_each(|sid| p.data.subscriptions.want(sid, true));
        }
        self.reconcile_data(key);
    }

    pub(super) fn update_data_subscription(&mut self, key: ParticipantKey, update: UpdateDataSubscription) {
        self.with(key, |p| p.data.subscriptions.update(&update));
        self.reconcile_data(key);
    }

    pub(super) fn reconcile_data_tracks(&mut self) {
        self.keys_of_people().into_iter().for_each(|key| self.reconcile_data(key));
    }

    /// Tells the participant its handles if what it wants, may have and others publish changed them.
    fn reconcile_data(&mut self, key: ParticipantKey) {
        let published = self.data_tracks_for(key);
        let Some(p) = self.people.get_mut(&key) else { return };
        let may = p.permissions.can_subscribe;
        let find = |sid: &str| published.iter().find(|t| may && t.track_sid == sid).cloned();
        if let Some(handles) = p.data.subscriptions.reconcile(find) {
            p.send(Message::DataTrackSubscriberHandles(handles));
        }
    }

    fn data_tracks_for(&self, key: ParticipantKey) -> Vec<PublishedDataTrack> {
        let of = |p: &Participant| {
            let (identity, sid) = (p.identity().to_owned(), p.sid().to_owned());
            p.data.tracks.infos().into_iter().map(move |t| PublishedDataTrack {
                publisher_identity: identity.clone(),
                publisher_sid: sid.clone(),
                track_sid: t.sid,
            })
        };
        self.people.values().filter(|p| p.key != key).flat_map(of).collect()
    }

    pub(super) fn forward_data_track(&mut self, key: ParticipantKey, packet: &[u8]) {
        let Some(p) = self.people.get(&key).filter(|p| p.permissions.can_publish_data) else { return };
        let Some(track) = p.data.tracks.track_of(packet) else { return };
        for receiver in self.people.values().filter(|r| r.key != key && r.is_active()) {
            let handle = receiver.data.subscriptions.handle_of(&track.sid);
            if let Some(bytes) = handle.and_then(|handle| with_handle(packet, handle)) {
                let peer = receiver.primary_peer();
                self.shards.send(Command::SendData { peer, channel: Channel::DataTrack, bytes });
            }
        }
    }

    pub(super) fn store_blob(&mut self, key: ParticipantKey, request: StoreDataBlobRequest) {
        let config = self.ctx.config.clone();
        let Some(p) = self.people.get_mut(&key) else { return };
        let request_id = request.request_id;
        match p.data.blobs.store(&request, config.enable_participant_data_blob, &config.limit) {
            Ok(key) => p.send(Message::StoreDataBlobResponse(StoreDataBlobResponse { request_id, key: Some(key) })),
            Err(refusal) => p.refuse(request_id, refusal, None),
        }
    }

    pub(super) fn fetch_blob(&mut self, key: ParticipantKey, request: GetDataBlobRequest) {
        let owner = self.by_identity(&request.participant_identity).and_then(|key| self.people.get(&key));
        let found = blob::find(owner.map(|p| &p.data.blobs), &request);
        let request_id = request.request_id;
        let Some(p) = self.people.get_mut(&key) else { return };
        match found {
            Ok(blob) => p.send(Message::GetDataBlobResponse(GetDataBlobResponse { request_id, blob: Some(blob) })),
            Err(refusal) => p.refuse(request_id, refusal, None),
        }
    }
}

impl Participant {
    fn refuse(&mut self, request_id: u32, refusal: Refusal, request: Option<Request>) {
        self.respond(request_id, refusal.reason, refusal.message, request);
    }
}
