//! How an announced track becomes a published one, and how it ends (WIRE.md §2.7, §4.1).

use super::leave::Departure;
use super::negotiate::ReceivingSection;
use super::participant::{Participant, ParticipantKey};
use super::publication::{Announced, Publication, Receiver, kind};
use super::state::Room;
use super::target::{layer_sizes, number_layers};
use super::timers::Timer;
use super::track_info::Rules;
use super::{clock, codecs, track_info};
use crate::limits::{PARKED_SECTIONS_MAX, PENDING_TRACKS_MAX, QUEUED_TRACKS_MAX};
use crate::proto::request_response::{Reason, Request};
use crate::proto::signal_response::Message;
use crate::proto::video_layer::Mode;
use crate::proto::{
    AddTrackRequest, BackupCodecPolicy, MuteTrackRequest, TimedVersion, TrackInfo, TrackPublishedResponse, TrackSource,
    TrackType, TrackUnpublishedResponse, VideoLayer, encryption,
};
use crate::shard::{Codec, Command, Encoding, LayerMode, PayloadType, PeerKey, TrackKey, TrackSetup};
use tokio::time::Instant;
use tracing::{debug, info};

impl Room {
    pub(super) fn add_track(&mut self, key: ParticipantKey, request: AddTrackRequest) {
        let Some(p) = self.people.get(&key) else { return };
        if let Some(reason) = refusal(p, &request) {
            return self.refuse_track(key, reason, request);
        }
        if !request.sid.is_empty() {
            return self.add_codec(key, request);
        }
        if self.cid_in_use(p, &request.cid) {
            return self.queue_track(key, request);
        }
        self.announce_track(key, request);
    }

    fn refuse_track(&mut self, key: ParticipantKey, reason: Reason, request: AddTrackRequest) {
        let Some(p) = self.people.get_mut(&key) else { return };
        debug!(participant = p.info.identity, cid = request.cid, reason = reason.as_str_name(), "track refused");
        p.respond(0, reason, "", Some(Request::AddTrack(request)));
    }

    fn cid_in_use(&self, p: &Participant, cid: &str) -> bool {
        let published = p.published.iter().filter_map(|sid| self.tracks.get(sid));
        p.announced.iter().any(|a| a.cid == cid) || published.into_iter().any(|t| t.cid == cid)
    }

    /// The client uses a cid twice: the second track waits for the end of the first.
    fn queue_track(&mut self, key: ParticipantKey, request: AddTrackRequest) {
        let Some(p) = self.people.get_mut(&key) else { return };
        let waiting = p.queued.iter().filter(|q| q.cid == request.cid).count();
        if waiting >= QUEUED_TRACKS_MAX || p.queued.len() >= PENDING_TRACKS_MAX {
            return self.refuse_track(key, Reason::LimitExceeded, request);
        }
        p.queued.push(request.clone());
        self.refuse_track(key, Reason::Queued, request);
    }

    fn announce_track(&mut self, key: ParticipantKey, request: AddTrackRequest) {
        let enabled = &self.ctx.config.room.enabled_codecs;
        let Some(p) = self.people.get_mut(&key) else { return };
        let publishable = codecs::publish_codecs(enabled, &p.client);
        let rules = Rules { enabled: &publishable, client: &p.client };
        let info = track_info::announced(&request, rules);
        p.announced.push(Announced { cid: request.cid.clone(), info: info.clone(), since: Instant::now() });
        p.send(Message::TrackPublished(TrackPublishedResponse { cid: request.cid, track: Some(info) }));
        self.unpark(key);
        self.watch_unsent(key);
    }

    /// Where the configuration asks for it, a client whose track does not come is told to start over.
    fn watch_unsent(&mut self, key: ParticipantKey) {
        let wanted = self.ctx.config.rtc.reconnect_on_publication_error;
        let Some(p) = self.people.get(&key).filter(|_| wanted) else { return };
        if let Some(due) = p.announced.iter().filter_map(Announced::overdue_at).min() {
            self.timers.arm(Timer::Unsent(key), due);
        }
    }

    pub(super) fn publication_overdue(&mut self, key: ParticipantKey, now: Instant) {
        let Some(p) = self.people.get(&key) else { return };
        let overdue = p.announced.iter().find(|a| a.overdue_at().is_some_and(|at| at <= now));
        match overdue {
            None => self.watch_unsent(key),
            Some(track) => {
                info!(participant = p.info.identity, track = track.sid(), "not sent; the client is told to reconnect");
                self.remove(key, Departure::StateMismatch);
            }
        }
    }

    /// A further codec of a track that is known already.
    fn add_codec(&mut self, key: ParticipantKey, request: AddTrackRequest) {
        let enabled = &self.ctx.config.room.enabled_codecs;
        let own = self.tracks.get_mut(&request.sid).filter(|t| t.publisher == key).map(|t| &mut t.info);
        let Some(p) = self.people.get_mut(&key) else { return };
        let Some(info) = own.or(p.announced.iter_mut().find(|a| a.sid() == request.sid).map(|a| &mut a.info)) else {
            return self.refuse_track(key, Reason::NotFound, request);
        };
        let publishable = codecs::publish_codecs(enabled, &p.client);
        track_info::add_codecs(info, &request, Rules { enabled: &publishable, client: &p.client });
        let response = TrackPublishedResponse { cid: request.cid, track: Some(info.clone()) };
        p.send(Message::TrackPublished(response));
        self.unpark(key);
    }

    /// A section on which the client sends. What cannot be placed yet is parked.
    pub(super) fn receiving(&mut self, key: ParticipantKey, peer: PeerKey, section: ReceivingSection) {
        if let Some(known) = self.sid_on(key, peer, &section.mid) {
            if self.is_same_track(&known, peer, &section) {
                return self.update_receiver(&known, peer, section);
            }
            self.receiving_ended(key, peer, &section.mid);
        }
        let Some(p) = self.people.get_mut(&key) else { return };
        p.parked.retain(|(on, s)| *on != peer || s.mid != section.mid);
        if p.parked.len() < PARKED_SECTIONS_MAX {
            p.parked.push((peer, section));
        }
        self.unpark(key);
    }

    fn is_same_track(&self, sid: &str, peer: PeerKey, section: &ReceivingSection) -> bool {
        let receiver = self.tracks.get(sid).and_then(|t| t.receiver_on(peer, &section.mid));
        receiver.is_some_and(|r| r.section.track_id == section.track_id)
    }

    /// A track goes on under other parameters: it starts anew on the shard, under a new key.
    fn update_receiver(&mut self, sid: &str, peer: PeerKey, section: ReceivingSection) {
        let Some(codec) = section.payloads.first().map(|p| p.codec) else { return };
        let Some(publication) = self.tracks.get_mut(sid) else { return };
        let Some(place) = publication.receivers.iter().position(|r| r.peer == peer && r.section.mid == section.mid)
        else {
            return;
        };
        if publication.receivers.get(place).is_none_or(|r| sends_alike(&r.section, &section)) {
            return;
        }
        let version = self.versions.next(clock::unix_ms() * 1000);
        let index = complete(&mut publication.info, &section, codec, version);
        let info = publication.info.clone();
        let receiver = self.start_receiving(&info, index, peer, codec, section);
        let Some(publication) = self.tracks.get_mut(sid) else { return };
        let Some(before) = publication.receivers.get_mut(place).map(|r| std::mem::replace(r, receiver)) else { return };
        let publisher = publication.publisher;
        self.sources.remove(&before.track);
        self.shards.send(Command::RemoveTrack { track: before.track });
        self.rebind(sid, before.track);
        self.announce_tracks(publisher);
    }

    /// Places parked sections: after an announcement, a new section, or ACTIVE.
    pub(super) fn unpark(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get_mut(&key).filter(|p| p.is_active()) else { return };
        for (peer, section) in std::mem::take(&mut p.parked) {
            self.place(key, peer, section);
        }
    }

    fn place(&mut self, key: ParticipantKey, peer: PeerKey, section: ReceivingSection) {
        if let Some(sid) = self.published_with_cid(key, &section.track_id) {
            return self.add_receiver(&sid, peer, section);
        }
        let Some(p) = self.people.get_mut(&key) else { return };
        let by_cid = p.announced.iter().position(|a| a.has_cid(&section.track_id));
        let is_orphan = p.orphaned.iter().any(|(on, id)| *on == peer && *id == section.track_id);
        let by_kind = || p.announced.iter().position(|a| kind(&a.info) == section.kind).filter(|_| !is_orphan);
        match by_cid.or_else(by_kind) {
            Some(index) => {
                let announced = p.announced.remove(index);
                self.publish(key, announced, peer, section);
            }
            None => p.parked.push((peer, section)),
        }
    }

    fn published_with_cid(&self, key: ParticipantKey, track_id: &str) -> Option<String> {
        let p = self.people.get(&key)?;
        p.published.iter().find(|sid| self.tracks.get(*sid).is_some_and(|t| t.has_cid(track_id))).cloned()
    }

    fn sid_on(&self, key: ParticipantKey, peer: PeerKey, mid: &str) -> Option<String> {
        let p = self.people.get(&key)?;
        p.published.iter().find(|s| self.tracks.get(*s).is_some_and(|t| t.receiver_on(peer, mid).is_some())).cloned()
    }

    fn publish(&mut self, key: ParticipantKey, announced: Announced, peer: PeerKey, section: ReceivingSection) {
        let Some(codec) = section.payloads.first().map(|p| p.codec) else { return };
        let Announced { cid, mut info, .. } = announced;
        let version = self.versions.next(clock::unix_ms() * 1000);
        let index = complete(&mut info, &section, codec, version);
        let sid = info.sid.clone();
        let receiver = self.start_receiving(&info, index, peer, codec, section);
        let Some(p) = self.people.get_mut(&key) else { return };
        info!(participant = p.info.identity, track = sid, mime = info.mime_type, name = info.name, "published");
        p.published.push(sid.clone());
        p.info.is_publisher = true;
        let publication = Publication {
            publisher: key,
            cid,
            info,
            receivers: vec![receiver],
            subscribed_told: false,
            regressed: None,
        };
        self.tracks.insert(sid.clone(), publication);
        self.announce_tracks(key);
        self.count_people();
        self.offer_to_others(&sid);
        self.watch_qualities(&sid);
    }

    fn add_receiver(&mut self, sid: &str, peer: PeerKey, section: ReceivingSection) {
        let Some(codec) = section.payloads.first().map(|p| p.codec) else { return };
        let version = self.versions.next(clock::unix_ms() * 1000);
        let Some(publication) = self.tracks.get_mut(sid) else { return };
        let index = complete(&mut publication.info, &section, codec, version);
        let info = publication.info.clone();
        let receiver = self.start_receiving(&info, index, peer, codec, section);
        let Some(publication) = self.tracks.get_mut(sid) else { return };
        info!(track = sid, mime = codec.mime(), "further codec published");
        publication.receivers.push(receiver);
        let publisher = publication.publisher;
        self.announce_tracks(publisher);
        self.start_waiting_legs(sid);
        if index.is_some_and(|i| i > 0) {
            self.regress(sid, codec);
        }
        self.watch_qualities(sid);
    }

    /// The publisher sends its backup codec: where its policy says so everybody is moved to it, so that it can give up
    /// the other (WIRE.md §4.7).
    fn regress(&mut self, sid: &str, codec: Codec) {
        let threshold = self.ctx.config.video.codec_regression_threshold as usize;
        let is_small = threshold == 0 || self.people.len() < threshold;
        let Some(publication) = self.tracks.get_mut(sid) else { return };
        let regresses = match publication.info.backup_codec_policy() {
            BackupCodecPolicy::Regression => true,
            BackupCodecPolicy::PreferRegression => is_small,
            BackupCodecPolicy::Simulcast => false,
        };
        if regresses {
            publication.regressed = Some(codec);
            self.move_legs(sid, codec);
        }
    }

    fn start_receiving(
        &mut self,
        info: &TrackInfo,
        index: Option<usize>,
        peer: PeerKey,
        codec: Codec,
        section: ReceivingSection,
    ) -> Receiver {
        let track = TrackKey::fresh();
        let mut encodings = section.encodings.clone();
        number_layers(info, &mut encodings);
        self.sources.insert(track, info.sid.clone());
        self.shards.send(Command::AddTrack(Box::new(TrackSetup {
            track,
            peer,
            mid: section.mid.clone(),
            payloads: section.payloads.clone(),
            extensions: section.extensions,
            encodings,
            layer_mode: layer_mode(info, index),
            layer_sizes: layer_sizes(info),
            encrypted: info.encryption != encryption::Type::None as i32,
            is_microphone: info.source() == TrackSource::Microphone,
            is_screen_share: info.source() == TrackSource::ScreenShare,
            muted: info.muted,
        })));
        Receiver { track, peer, codec, section }
    }

    /// The client stopped sending on a section.
    pub(super) fn receiving_ended(&mut self, key: ParticipantKey, peer: PeerKey, mid: &str) {
        if let Some(p) = self.people.get_mut(&key) {
            p.parked.retain(|(on, section)| *on != peer || section.mid != mid);
        }
        let Some(sid) = self.sid_on(key, peer, mid) else { return };
        let Some(publication) = self.tracks.get_mut(&sid) else { return };
        if publication.receivers.len() == 1 {
            return self.unpublish(&sid);
        }
        let ended = publication.receivers.iter().position(|r| r.peer == peer && r.section.mid == mid);
        let Some(ended) = ended.map(|i| publication.receivers.remove(i)) else { return };
        publication.regressed = publication.regressed.filter(|codec| *codec != ended.codec);
        self.sources.remove(&ended.track);
        self.shards.send(Command::RemoveTrack { track: ended.track });
        self.rebind(&sid, ended.track);
    }

    /// Ends a published track; others hear of it by an update without it.
    pub(super) fn unpublish(&mut self, sid: &str) {
        let Some(publication) = self.tracks.remove(sid) else { return };
        let key = publication.publisher;
        self.withdraw(sid, &publication);
        let Some(p) = self.people.get_mut(&key) else { return };
        p.published.retain(|s| s != sid);
        info!(participant = p.info.identity, track = sid, "unpublished");
        let next = p.queued.iter().position(|q| q.cid == publication.cid).map(|i| p.queued.remove(i));
        self.announce_tracks(key);
        if let Some(request) = next {
            self.add_track(key, request);
        }
    }

    /// Ends receiving and forwarding of a track already taken out of the room.
    pub(super) fn withdraw(&mut self, sid: &str, publication: &Publication) {
        for receiver in &publication.receivers {
            self.sources.remove(&receiver.track);
            self.shards.send(Command::RemoveTrack { track: receiver.track });
        }
        for key in self.keys_of_people() {
            self.source_gone(key, sid);
        }
        self.forget_qualities(sid);
    }

    /// Takes back what the participant may no longer publish, and tells its client.
    pub(super) fn revoke_tracks(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get_mut(&key) else { return };
        let permissions = p.permissions.clone();
        p.announced.retain(|a| permissions.may_publish(a.info.source()));
        p.queued.retain(|q| permissions.may_publish(q.source()));
        let published = p.published.clone();
        let forbidden = |t: &Publication| !permissions.may_publish(t.info.source());
        let lost: Vec<_> = published.into_iter().filter(|sid| self.tracks.get(sid).is_some_and(forbidden)).collect();
        for sid in lost {
            let receivers = self.tracks.get(&sid).map(|t| t.receivers.as_slice()).unwrap_or_default();
            let orphaned: Vec<_> = receivers.iter().map(|r| (r.peer, r.section.track_id.clone())).collect();
            self.unpublish(&sid);
            let Some(p) = self.people.get_mut(&key) else { return };
            p.orphaned.extend(orphaned);
            p.orphaned.drain(..p.orphaned.len().saturating_sub(PARKED_SECTIONS_MAX));
            p.send(match p.client.takes_track_unpublished() {
                true => Message::TrackUnpublished(TrackUnpublishedResponse { track_sid: sid }),
                false => Message::Mute(MuteTrackRequest { sid, muted: true }),
            });
        }
    }
}

/// Whether packets look the same by both. The order of payload types is a preference only.
fn sends_alike(a: &ReceivingSection, b: &ReceivingSection) -> bool {
    let known = |p: &PayloadType| a.payloads.contains(p);
    let payloads = a.payloads.len() == b.payloads.len() && b.payloads.iter().all(known);
    payloads && a.extensions == b.extensions && a.encodings == b.encodings
}

/// Why a track may not be announced.
fn refusal(p: &Participant, request: &AddTrackRequest) -> Option<Reason> {
    if !p.permissions.may_publish(request.source()) {
        return Some(Reason::NotAllowed);
    }
    if request.r#type != TrackType::Audio as i32 && request.r#type != TrackType::Video as i32 {
        return Some(Reason::UnsupportedType);
    }
    (request.sid.is_empty() && p.announced.len() >= PENDING_TRACKS_MAX).then_some(Reason::LimitExceeded)
}

/// Enters into the info what only the description tells, and says which of its codecs the section carries. A codec the
/// client did not announce is taken as it is.
fn complete(info: &mut TrackInfo, section: &ReceivingSection, codec: Codec, version: TimedVersion) -> Option<usize> {
    let index = track_info::complete(info, &section.track_id, &codec.mime(), &section.mid, version);
    if index.is_none() && info.mid.is_empty() {
        info.mime_type = codec.mime();
        info.mid.clone_from(&section.mid);
        info.version = Some(version);
    }
    let mut encodings = section.encodings.clone();
    number_layers(info, &mut encodings);
    #[allow(deprecated)]
    complete_layers(&mut info.layers, &encodings);
    if let Some(entry) = index.and_then(|i| info.codecs.get_mut(i)) {
        complete_layers(&mut entry.layers, &encodings);
    }
    index
}

fn complete_layers(layers: &mut [VideoLayer], encodings: &[Encoding]) {
    for encoding in encodings {
        let of_layer = layers.iter_mut().find(|l| l.spatial_layer == i32::from(encoding.spatial));
        if let (Some(layer), Some(ssrc)) = (of_layer, encoding.ssrc) {
            layer.ssrc = ssrc;
            layer.repair_ssrc = encoding.rtx_ssrc.unwrap_or(0);
        }
    }
}

fn layer_mode(info: &TrackInfo, codec: Option<usize>) -> LayerMode {
    match codec.map(|index| track_info::layer_mode(info, index)) {
        Some(Mode::MultipleSpatialLayersPerStream) => LayerMode::ManyPerStream,
        _ => LayerMode::OnePerStream,
    }
}
