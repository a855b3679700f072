//! Who is sent what: wishes, permissions, and the legs that follow from both (WIRE.md §4.12).

use super::leave::Departure;
use super::negotiate::{Kind, SenderSetup};
use super::participant::{Participant, ParticipantKey};
use super::publication::Publication;
use super::state::Room;
use super::subscription::{Accepted, GivenUp, Leg, Subscription};
use super::timers::Timer;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::proto::signal_response::Message;
use crate::proto::{
    SubscriptionError, SubscriptionPermission, SubscriptionPermissionUpdate, SubscriptionResponse, TrackSubscribed,
    UpdateSubscription,
};
use crate::shard::{Codec, Command, LegKey, LegSetup, PayloadType, TrackKey};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, info};

/// How long a leg that ends sends blank frames (WIRE.md §4.11), and a little for the way.
const FAREWELL: Duration = Duration::from_millis(250);
const RECONCILE_INTERVAL: Duration = Duration::from_secs(3);

/// What should happen to one subscription.
enum Verdict {
    Attach,
    Detach,
    Keep,
}

impl Room {
    /// Wishes for every track of the others, where the client did not say otherwise.
    pub(super) fn auto_subscribe(&mut self, key: ParticipantKey) {
        let now = Instant::now();
        let Some(p) = self.people.get_mut(&key).filter(|p| p.options.auto_subscribe) else { return };
        for (sid, _) in self.tracks.iter().filter(|(_, t)| t.publisher != key) {
            p.subscriptions.entry(sid.clone()).or_insert_with(|| Subscription::wanted(now));
        }
        self.reconcile(key);
    }

    /// A track appeared: those who subscribe to everything, and those who asked for it before, get it.
    pub(super) fn offer_to_others(&mut self, sid: &str) {
        let now = Instant::now();
        let Some(publisher) = self.tracks.get(sid).map(|t| t.publisher) else { return };
        for key in self.others(publisher) {
            let Some(p) = self.people.get_mut(&key) else { continue };
            if p.options.auto_subscribe && p.is_active() {
                p.subscriptions.entry(sid.to_owned()).or_insert_with(|| Subscription::wanted(now));
            }
            self.reconcile_one(key, sid);
            self.watch_unsettled(key);
        }
    }

    pub(super) fn update_subscription(&mut self, key: ParticipantKey, update: &UpdateSubscription) {
        let now = Instant::now();
        let Some(p) = self.people.get_mut(&key) else { return };
        let listed = update.participant_tracks.iter().flat_map(|t| &t.track_sids);
        for sid in update.track_sids.iter().chain(listed) {
            if p.subscriptions.len() >= SUBSCRIPTIONS_MAX && !p.subscriptions.contains_key(sid) {
                break;
            }
            let subscription = p.subscriptions.entry(sid.clone()).or_insert_with(|| Subscription::unwanted(now));
            subscription.set_desired(update.subscribe, now);
        }
        self.reconcile(key);
    }

    /// Replaces who may subscribe to the participant's tracks.
    pub(super) fn set_track_permissions(&mut self, key: ParticipantKey, permission: &SubscriptionPermission) {
        let Some(p) = self.people.get_mut(&key) else { return };
        p.track_permissions = permission.into();
        let published = p.published.clone();
        for other in self.others(key) {
            published.iter().for_each(|sid| self.reconcile_one(other, sid));
            self.watch_unsettled(other);
        }
    }

    pub(super) fn reconcile_all(&mut self, now: Instant) {
        for key in self.keys_of_people() {
            self.give_up_waiting(key, now);
            self.reconcile(key);
        }
    }

    /// Brings the participant's legs in line with its wishes and permissions.
    pub(super) fn reconcile(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get(&key) else { return };
        let sids: Vec<String> = p.subscriptions.keys().cloned().collect();
        sids.iter().for_each(|sid| self.reconcile_one(key, sid));
        self.watch_unsettled(key);
    }

    fn reconcile_one(&mut self, key: ParticipantKey, sid: &str) {
        self.tell_permission(key, sid);
        match self.verdict(key, sid) {
            Verdict::Attach => self.attach(key, sid),
            Verdict::Detach => self.detach(key, sid),
            Verdict::Keep => (),
        }
    }

    fn verdict(&self, key: ParticipantKey, sid: &str) -> Verdict {
        let Some(p) = self.people.get(&key) else { return Verdict::Keep };
        let Some(subscription) = p.subscriptions.get(sid) else { return Verdict::Keep };
        let track = self.tracks.get(sid);
        let may = p.permissions.can_subscribe && track.is_some_and(|t| self.permits(t, p));
        match (subscription.desired && may, &subscription.leg) {
            (true, None) if self.within_limit(p, track) => Verdict::Attach,
            (false, Some(_)) => Verdict::Detach,
            _ => Verdict::Keep,
        }
    }

    /// Whether the publisher lets that subscriber have the track. Recorders always may.
    fn permits(&self, track: &Publication, subscriber: &Participant) -> bool {
        let publisher = self.people.get(&track.publisher);
        let allows =
            |p: &Participant| p.track_permissions.allows(subscriber.identity(), subscriber.sid(), &track.info.sid);
        track.publisher != subscriber.key && (subscriber.is_recorder() || publisher.is_some_and(allows))
    }

    fn within_limit(&self, p: &Participant, track: Option<&Publication>) -> bool {
        let Some(kind) = track.map(Publication::kind) else { return false };
        let limit = &self.ctx.config.limit;
        let max = match kind {
            Kind::Audio => limit.subscription_limit_audio,
            Kind::Video => limit.subscription_limit_video,
        };
        let of_kind = |sid: &String| self.tracks.get(sid).is_some_and(|t| t.kind() == kind);
        let used = p.subscriptions.iter().filter(|(sid, s)| s.leg.is_some() && of_kind(sid)).count();
        max == 0 || used < max as usize
    }

    /// On the first evaluation of each subscription, and on every change.
    fn tell_permission(&mut self, key: ParticipantKey, sid: &str) {
        let (Some(p), Some(track)) = (self.people.get(&key), self.tracks.get(sid)) else { return };
        let allowed = self.permits(track, p);
        let told = p.subscriptions.get(sid).filter(|s| s.desired).map(|s| s.allowed_told);
        if told.is_none_or(|told| told == Some(allowed)) {
            return;
        }
        let participant_sid = self.people.get(&track.publisher).map(|p| p.sid().to_owned()).unwrap_or_default();
        let update = SubscriptionPermissionUpdate { participant_sid, track_sid: sid.to_owned(), allowed };
        let Some(p) = self.people.get_mut(&key) else { return };
        if let Some(subscription) = p.subscriptions.get_mut(sid) {
            subscription.allowed_told = Some(allowed);
        }
        p.send(Message::SubscriptionPermissionUpdate(update));
    }

    /// Asks the connection for a section; the leg starts when the client accepts it.
    fn attach(&mut self, key: ParticipantKey, sid: &str) {
        let Some(track) = self.tracks.get(sid) else { return };
        let Some(publisher) = self.people.get(&track.publisher).map(|p| p.sid().to_owned()) else { return };
        let Some(p) = self.people.get_mut(&key) else { return };
        let leg = Leg::new(track.kind(), stream_id(p, &publisher, track, self.settings.sync_streams), Instant::now());
        let red = Some(Codec::Red).filter(|_| self.ctx.config.audio.active_red_encoding && track.may_become_red());
        let codecs = red.into_iter().chain(track.codecs_offered());
        let sender = SenderSetup {
            leg: leg.key,
            kind: track.kind(),
            track_sid: sid.to_owned(),
            stream_id: leg.stream_id.clone(),
            codecs: codecs.map(|c| c.name().to_owned()).collect(),
            stereo: track.for_answer().stereo,
            ssrc: leg.ssrc,
            rtx_ssrc: leg.rtx_ssrc,
        };
        p.links.sending().connection.add_sender(sender);
        self.legs.insert(leg.key, (key, sid.to_owned()));
        if let Some(subscription) = p.subscriptions.get_mut(sid) {
            subscription.leg = Some(leg);
        }
        self.request_negotiation(key);
    }

    fn detach(&mut self, key: ParticipantKey, sid: &str) {
        let Some(p) = self.people.get_mut(&key) else { return };
        let Some(leg) = p.subscriptions.get_mut(sid).and_then(|s| s.leg.take()) else { return };
        p.links.sending().connection.remove_sender(leg.key);
        self.legs.remove(&leg.key);
        if leg.bound.is_some() {
            self.shards.send(Command::RemoveLeg { leg: leg.key });
        }
        // The section ends when the last blank frame is through.
        self.request_negotiation_after(key, if leg.bound.is_some() { FAREWELL } else { Duration::ZERO });
        self.quality_changed(sid);
    }

    /// The track ended: whoever had or wanted it no longer does.
    pub(super) fn source_gone(&mut self, key: ParticipantKey, sid: &str) {
        self.detach(key, sid);
        if let Some(p) = self.people.get_mut(&key) {
            p.subscriptions.remove(sid);
            p.settings.remove(sid);
        }
    }

    /// The client accepted a leg: packets may flow as soon as the publisher sends a codec it takes.
    pub(super) fn bind(&mut self, key: ParticipantKey, leg: LegKey, accepted: Accepted) {
        let Some((_, sid)) = self.legs.get(&leg).filter(|(owner, _)| *owner == key).cloned() else { return };
        let Some(p) = self.people.get_mut(&key) else { return };
        let own = p.subscriptions.get_mut(&sid).and_then(|s| s.leg.as_mut());
        if let Some(own) = own.filter(|l| l.accepted.is_none()) {
            own.accepted = Some(accepted);
            self.start_leg(key, &sid);
            self.quality_changed(&sid);
        }
    }

    /// Legs that waited for the codec that is there now.
    pub(super) fn start_waiting_legs(&mut self, sid: &str) {
        self.keys_of_people().into_iter().for_each(|key| self.start_leg(key, sid));
    }

    fn start_leg(&mut self, key: ParticipantKey, sid: &str) {
        let (Some(p), Some(publication)) = (self.people.get_mut(&key), self.tracks.get(sid)) else { return };
        let target = p.settings_for(sid).target(&publication.info);
        let peer = p.links.sending().peer;
        let Some(leg) = p.subscriptions.get_mut(sid).and_then(|s| s.leg.as_mut()) else { return };
        let Some(accepted) = leg.accepted.clone().filter(|_| leg.bound.is_none()) else { return };
        let Some(track) = chosen_track(publication, &accepted.payloads) else { return };
        leg.bound = Some(track);
        let adds_red = accepted.payloads.first().is_some_and(|p| p.codec == Codec::Red) && publication.may_become_red();
        self.shards.send(Command::AddLeg(Box::new(LegSetup {
            leg: leg.key,
            track,
            peer,
            mid: accepted.mid,
            ssrc: leg.ssrc,
            rtx_ssrc: leg.rtx_ssrc,
            payloads: accepted.payloads,
            extensions: accepted.extensions,
            target,
            cname: leg.stream_id.clone(),
            adds_red,
            encrypted: publication.is_encrypted().then_some(self.sif_trailer),
            playout_delay_ms: self.settings.playout_delay_ms,
        })));
        self.tell_subscribed(key, sid);
    }

    /// A codec of a track ended: legs that forwarded it are negotiated anew for what is left.
    pub(super) fn rebind(&mut self, sid: &str, ended: TrackKey) {
        self.negotiate_anew(sid, |leg| leg.bound == Some(ended));
    }

    /// Who is sent another codec of the track and takes this one gets it, on a new section: some clients cannot change in
    /// place.
    pub(super) fn move_legs(&mut self, sid: &str, codec: Codec) {
        let track = self.tracks.get(sid).and_then(|t| t.receiver_for(codec)).map(|r| r.track);
        self.negotiate_anew(sid, |leg| leg.bound.is_some() && leg.bound != track && leg.takes(codec));
    }

    fn negotiate_anew(&mut self, sid: &str, is_meant: impl Fn(&Leg) -> bool) {
        for key in self.keys_of_people() {
            let Some(p) = self.people.get(&key) else { continue };
            let leg = p.subscriptions.get(sid).and_then(|s| s.leg.as_ref());
            if leg.is_some_and(&is_meant) {
                self.detach(key, sid);
                self.reconcile_one(key, sid);
            }
        }
    }

    /// The publisher hears once that somebody visible receives its track.
    pub(super) fn tell_subscribed(&mut self, key: ParticipantKey, sid: &str) {
        let Some(p) = self.people.get(&key) else { return };
        if p.is_hidden() || !p.links.sending_ref().connected || !p.receives(sid) {
            return;
        }
        let Some(track) = self.tracks.get_mut(sid) else { return };
        if std::mem::replace(&mut track.subscribed_told, true) {
            return;
        }
        let publisher = track.publisher;
        let Some(publisher) = self.people.get_mut(&publisher).filter(|p| p.client.takes_track_subscribed()) else {
            return;
        };
        publisher.send(Message::TrackSubscribed(TrackSubscribed { track_sid: sid.to_owned() }));
    }

    /// The client and the track share no codec.
    pub(super) fn refuse_codec(&mut self, key: ParticipantKey, leg: LegKey) {
        let Some((_, sid)) = self.legs.get(&leg).filter(|(owner, _)| *owner == key).cloned() else { return };
        self.drop_subscription(key, &sid, SubscriptionError::SeCodecUnsupported);
    }

    fn drop_subscription(&mut self, key: ParticipantKey, sid: &str, error: SubscriptionError) {
        debug!(track = sid, error = error.as_str_name(), "subscription dropped");
        self.detach(key, sid);
        let Some(p) = self.people.get_mut(&key) else { return };
        if let Some(subscription) = p.subscriptions.get_mut(sid) {
            subscription.desired = false;
        }
        let response = SubscriptionResponse { track_sid: sid.to_owned(), err: error as i32 };
        p.send(Message::SubscriptionResponse(response));
    }

    fn give_up_waiting(&mut self, key: ParticipantKey, now: Instant) {
        let Some(p) = self.people.get(&key) else { return };
        let muted_video = |t: &Publication| t.info.muted && t.kind() == Kind::Video;
        let verdict = |(sid, s): (&String, &Subscription)| {
            let track = self.tracks.get(sid);
            let patient = track.is_some_and(muted_video) || !p.links.sending_ref().connected;
            Some((sid.clone(), s.given_up(track.is_some(), patient, now)?))
        };
        let given_up: Vec<_> = p.subscriptions.iter().filter_map(verdict).collect();
        for (sid, why) in given_up {
            match why {
                GivenUp::Missing => self.drop_subscription(key, &sid, SubscriptionError::SeTrackNotfound),
                GivenUp::NotBound => self.subscription_failed(key, &sid),
            }
        }
    }

    fn subscription_failed(&mut self, key: ParticipantKey, sid: &str) {
        self.drop_subscription(key, sid, SubscriptionError::SeUnknown);
        if self.ctx.config.rtc.reconnect_on_subscription_error && self.people.contains_key(&key) {
            info!(track = sid, "a subscription failed; the client is told to reconnect");
            self.remove(key, Departure::StateMismatch);
        }
    }

    /// Has the room look again while something is wished for and not there.
    fn watch_unsettled(&mut self, key: ParticipantKey) {
        let Some(p) = self.people.get(&key) else { return };
        let settled = |s: &Subscription| !s.desired || s.leg.as_ref().is_some_and(|l| l.accepted.is_some());
        if !p.subscriptions.values().all(settled) {
            self.timers.arm_once(Timer::Reconcile, Instant::now() + RECONCILE_INTERVAL);
        }
    }
}

/// The codec of the track that suits what the client took best; none while that codec is only announced.
fn chosen_track(publication: &Publication, payloads: &[PayloadType]) -> Option<TrackKey> {
    let codec = payloads.first()?.codec;
    publication.receiver_for(codec).map(|r| r.track)
}

/// WIRE.md §3.6.
fn stream_id(p: &Participant, publisher_sid: &str, track: &Publication, sync_streams: bool) -> String {
    if !p.client.packs_stream_ids() {
        return publisher_sid.to_owned();
    }
    let synced = sync_streams && p.client.takes_synced_streams() && !track.info.stream.is_empty();
    let second = if synced { &track.info.stream } else { &track.info.sid };
    format!("{publisher_sid}|{second}")
}
