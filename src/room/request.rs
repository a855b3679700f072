//! A client's signal requests: who handles which, and the small ones (WIRE.md §2.7).

use super::error::RoomError;
use super::incoming::SessionKey;
use super::leave::{Departure, client_reason};
use super::participant::{Participant, ParticipantKey};
use super::state::Room;
use super::{settings, track_info};
use crate::proto::request_response::{Reason, Request};
use crate::proto::signal_request::Message as Ask;
use crate::proto::signal_response::Message;
use crate::proto::{
    MuteTrackRequest, RequestResponse, SignalRequest, TrackInfo, UpdateLocalAudioTrack, UpdateLocalVideoTrack,
    UpdateParticipantMetadata,
};
use crate::shard::Command;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;
use tracing::debug;

/// Longer round trips are a client's mistake.
const ROUND_TRIP_MAX_MS: u64 = 60_000;

impl Participant {
    /// Tells how a request ended.
    pub(super) fn respond(&mut self, request_id: u32, reason: Reason, message: &str, request: Option<Request>) {
        if !self.client.takes_request_response() {
            return;
        }
        let response = RequestResponse { request_id, reason: reason as i32, message: message.to_owned(), request };
        self.send(Message::RequestResponse(response));
    }
}

impl Room {
    /// A request of that session, or `None` when its connection is gone.
    pub fn handle_request(&mut self, session: SessionKey, request: Option<SignalRequest>) {
        match request {
            None => self.handle_signal_end(session),
            Some(request) => {
                if let (Some(key), Some(message)) = (self.speaker(session), request.message) {
                    self.heard(key);
                    self.dispatch(key, message);
                }
            }
        }
    }

    fn handle_signal_end(&mut self, session: SessionKey) {
        let Some(key) = self.end_session(session) else { return };
        let Some(p) = self.people.get_mut(&key) else { return };
        if p.signal.as_ref().is_none_or(|s| s.session != session) {
            return; // replaced by a resume, or closed from here
        }
        p.signal = None;
        match p.ice_was_up() {
            true => debug!(participant = p.info.identity, "signal connection lost; may resume"),
            false => self.remove(key, Departure::SignalClosed),
        }
    }

    fn heard(&mut self, key: ParticipantKey) {
        if let Some(p) = self.people.get_mut(&key) {
            p.heard_at = Instant::now();
        }
    }

    fn dispatch(&mut self, key: ParticipantKey, message: Ask) {
        match message {
            Ask::Offer(offer) => self.handle_offer(key, offer),
            Ask::Answer(answer) => self.handle_answer(key, answer),
            Ask::Trickle(trickle) => self.handle_trickle(key, trickle),
            Ask::AddTrack(request) => self.add_track(key, request),
            Ask::Mute(request) => self.handle_mute(key, request),
            Ask::Subscription(update) => self.update_subscription(key, &update),
            Ask::TrackSetting(update) => self.update_settings(key, &update),
            Ask::Leave(leave) => self.remove(key, Departure::Client(client_reason(&leave))),
            Ask::SubscriptionPermission(permission) => self.set_track_permissions(key, &permission),
            Ask::SyncState(sync) => self.handle_sync_state(key, sync),
            Ask::Simulate(scenario) => self.simulate(key, scenario),
            Ask::UpdateMetadata(update) => self.handle_update_metadata(key, update),
            Ask::UpdateAudioTrack(update) => self.update_audio_track(key, update),
            Ask::UpdateVideoTrack(update) => self.update_video_track(key, update),
            Ask::PublishDataTrackRequest(request) => self.publish_data_track(key, request),
            Ask::UnpublishDataTrackRequest(request) => self.unpublish_data_track(key, request),
            Ask::UpdateDataSubscription(update) => self.update_data_subscription(key, update),
            Ask::StoreDataBlobRequest(request) => self.store_blob(key, request),
            Ask::GetDataBlobRequest(request) => self.fetch_blob(key, request),
            Ask::PingReq(ping) => self.note_round_trip(key, ping.rtt),
            // Pings are answered by the signal layer; update_layers is LiveKit's past.
            _ => (),
        }
    }

    /// Milliseconds, 0 while the client does not know.
    fn note_round_trip(&mut self, key: ParticipantKey, rtt_ms: i64) {
        if let Ok(ms @ 1..=ROUND_TRIP_MAX_MS) = u64::try_from(rtt_ms) {
            self.with(key, |p| p.round_trip = Duration::from_millis(ms));
        }
    }

    fn handle_mute(&mut self, key: ParticipantKey, request: MuteTrackRequest) {
        if self.set_muted(key, &request.sid, request.muted).is_some() {
            return;
        }
        let Some(p) = self.people.get_mut(&key) else { return };
        p.respond(0, Reason::NotFound, "track not found", Some(Request::Mute(request)));
    }

    /// Mutes a published or announced track; `None` if the participant has no such track.
    pub(super) fn set_muted(&mut self, key: ParticipantKey, sid: &str, muted: bool) -> Option<TrackInfo> {
        let (info, changed) = self.change_track(key, sid, |info| {
            let changed = info.muted != muted;
            info.muted = muted;
            changed
        })?;
        if changed && let Some(publication) = self.tracks.get(sid) {
            for receiver in &publication.receivers {
                self.shards.send(Command::MuteTrack { track: receiver.track, muted });
            }
            self.announce_tracks(key);
            self.mute_changed(sid);
        }
        Some(info)
    }

    /// Applies `change` to the info of an own track, published or not, and says what it is then.
    fn change_track<T>(
        &mut self,
        key: ParticipantKey,
        sid: &str,
        change: impl FnOnce(&mut TrackInfo) -> T,
    ) -> Option<(TrackInfo, T)> {
        let own = self.tracks.get_mut(sid).filter(|t| t.publisher == key);
        let info = match own {
            Some(publication) => &mut publication.info,
            None => &mut self.people.get_mut(&key)?.announced_mut(sid)?.info,
        };
        let result = change(info);
        Some((info.clone(), result))
    }

    fn update_audio_track(&mut self, key: ParticipantKey, update: UpdateLocalAudioTrack) {
        let features = update.features.clone();
        let found = self.change_track(key, &update.track_sid, |info| track_info::update_audio(info, &features));
        self.track_updated(key, found.map(|(_, changed)| changed), Request::UpdateAudioTrack(update));
    }

    fn update_video_track(&mut self, key: ParticipantKey, update: UpdateLocalVideoTrack) {
        let size = (update.width, update.height);
        let found = self.change_track(key, &update.track_sid, |info| track_info::update_video(info, size.0, size.1));
        self.track_updated(key, found.map(|(_, changed)| changed), Request::UpdateVideoTrack(update));
    }

    fn track_updated(&mut self, key: ParticipantKey, changed: Option<bool>, request: Request) {
        match changed {
            Some(true) => self.announce_tracks(key),
            Some(false) => (),
            None => {
                let Some(p) = self.people.get_mut(&key) else { return };
                p.respond(0, Reason::NotFound, "track not found", Some(request));
            }
        }
    }

    fn handle_update_metadata(&mut self, key: ParticipantKey, update: UpdateParticipantMetadata) {
        let refusal = self.refusal_of(key, &update);
        let (id, request) = (update.request_id, Request::UpdateMetadata(update.clone()));
        if refusal.is_none() {
            self.change_profile(key, &update.name, &update.metadata, &update.attributes);
        }
        let Some(p) = self.people.get_mut(&key) else { return };
        match refusal {
            Some((reason, text)) => p.respond(id, reason, text, Some(request)),
            None if p.client.takes_ok() => p.respond(id, Reason::Ok, "", Some(request)),
            None => (),
        }
    }

    fn refusal_of(&self, key: ParticipantKey, update: &UpdateParticipantMetadata) -> Option<(Reason, &'static str)> {
        let p = self.people.get(&key)?;
        if !p.permissions.can_update_metadata {
            return Some((Reason::NotAllowed, "does not have permission to update own metadata"));
        }
        let limit = &self.ctx.config.limit;
        let over = settings::check_update(limit, &update.name, &update.metadata, &update.attributes).err()?;
        Some((Reason::LimitExceeded, limit_text(&over)))
    }

    /// Each changed item is announced, and put into a fresh token, by itself. Empty name and metadata change nothing; an
    /// empty attribute is deleted.
    pub(super) fn change_profile(
        &mut self,
        key: ParticipantKey,
        name: &str,
        metadata: &str,
        attributes: &HashMap<String, String>,
    ) {
        let changes: [&dyn Fn(&mut Participant) -> bool; 3] = [
            &|p| replace(&mut p.info.name, &mut p.claims.name, name),
            &|p| replace(&mut p.info.metadata, &mut p.claims.metadata, metadata),
            &|p| merge_attributes(p, attributes),
        ];
        for change in changes {
            if self.people.get_mut(&key).is_some_and(change) {
                self.announce_profile(key);
                self.refresh_token(key);
            }
        }
    }
}

fn replace(shown: &mut String, claimed: &mut String, new: &str) -> bool {
    if new.is_empty() || shown == new {
        return false;
    }
    *shown = new.to_owned();
    *claimed = new.to_owned();
    true
}

fn merge_attributes(p: &mut Participant, changes: &HashMap<String, String>) -> bool {
    if changes.is_empty() {
        return false;
    }
    for (name, value) in changes {
        match value.is_empty() {
            true => p.info.attributes.remove(name),
            false => p.info.attributes.insert(name.clone(), value.clone()),
        };
    }
    p.claims.attributes = p.info.attributes.clone().into_iter().collect();
    true
}

/// The signal texts differ from the API's.
fn limit_text(error: &RoomError) -> &'static str {
    match error {
        RoomError::InvalidArgument { argument: Some("name length exceeds limits"), .. } => "exceeds name length limit",
        RoomError::InvalidArgument { argument: Some("metadata size exceeds limits"), .. } => {
            "exceeds metadata size limit"
        }
        _ => "exceeds attributes size limit",
    }
}
