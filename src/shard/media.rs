//! Tracks and legs of a shard: their tables, and the commands that make and end them.

use super::congestion::Congestion;
use super::demux::{Destination, Section};
use super::gather::Gathered;
use super::mirror::Mirror;
use super::peer::PeerEntry;
use super::state::State;
use super::{
    AudioLevelConfig, Encoding, Event, ExtensionIds, LayerMode, LegKey, LegSetup, LegTarget, MediaConfig, PayloadType,
    TrackKey, TrackSetup,
};
use crate::media::allocate::LegAllowance;
use crate::media::down_track::DownTrack;
use crate::media::feedback::TransportFeedback;
use crate::media::layer::Target;
use crate::media::settings::{Extensions, LegSettings, Payload, UpSettings};
use crate::media::speaker::SpeakerRule;
use crate::media::up_track::{LAYERS, UpTrack};
use crate::wire::ext::PlayoutDelay;
use rustc_hash::FxHashMap;
use slab::Slab;
use smallvec::SmallVec;
use std::time::Instant;

/// A published track on its shard.
pub struct TrackEntry {
    pub key: TrackKey,
    /// The publisher.
    pub peer: usize,
    /// The publisher's shard, if this is only a mirror.
    pub origin: Option<u8>,
    /// Other shards with subscribers.
    pub mirrors: SmallVec<[Mirror; 4]>,
    pub up: UpTrack,
    pub legs: Vec<usize>,
    /// Packets the legs have not seen.
    pub gathered: Vec<Gathered>,
    pub muted: bool,
    /// The first packet has been reported.
    pub started: bool,
    /// Layers last reported to the room.
    pub flowing: u8,
}

/// A subscriber's copy.
pub struct LegEntry {
    pub key: LegKey,
    pub track: usize,
    /// The subscriber.
    pub peer: usize,
    pub down: DownTrack,
    pub ssrc: u32,
    pub extensions: ExtensionIds,
    pub mid: String,
    pub cname: String,
    pub started: bool,
    /// A packet just sent was its first.
    pub first_sent: bool,
    /// A packet was just held back.
    pub held: bool,
    pub priority: u8,
    /// What congestion leaves of its target; `None` is all.
    pub allowed: Option<LegAllowance>,
    /// Since when that is nothing.
    pub paused: Option<Instant>,
    /// What the node's load leaves of it.
    pub spared: Option<LegAllowance>,
    /// The lesser of the two, as the leg was told.
    pub limit: Option<LegAllowance>,
}

pub struct MediaState {
    pub config: MediaConfig,
    pub tracks: Slab<TrackEntry>,
    pub legs: Slab<LegEntry>,
    track_of: FxHashMap<TrackKey, usize>,
    pub leg_of: FxHashMap<LegKey, usize>,
}

impl MediaState {
    pub fn new(config: MediaConfig) -> MediaState {
        MediaState {
            config,
            tracks: Slab::new(),
            legs: Slab::new(),
            track_of: FxHashMap::default(),
            leg_of: FxHashMap::default(),
        }
    }

    pub fn index_of(&self, track: TrackKey) -> Option<usize> {
        self.track_of.get(&track).copied()
    }
}

impl State {
    pub fn add_track(&mut self, now: Instant, setup: TrackSetup) {
        let Some(peer) = self.index_of(setup.peer) else { return };
        if self.media.track_of.contains_key(&setup.track) {
            return self.update_track(now, peer, setup);
        }
        let mut up = UpTrack::new(up_settings(&setup, &self.media.config));
        up.set_muted(setup.muted);
        let (key, muted) = (setup.track, setup.muted);
        let (legs, gathered) = (Vec::new(), Vec::new());
        let (origin, mirrors) = (None, SmallVec::new());
        let (started, flowing) = (false, 0);
        let entry = TrackEntry { key, peer, origin, mirrors, up, legs, gathered, muted, started, flowing };
        let track = self.media.tracks.insert(entry);
        self.media.track_of.insert(setup.track, track);
        self.peers[peer].tracks.push(track);
        self.count_tracks();
        self.listen(now, peer, track, setup);
        self.wake(peer, now);
    }

    /// A later description may add encodings or payload types.
    fn update_track(&mut self, now: Instant, peer: usize, setup: TrackSetup) {
        let track = self.media.track_of[&setup.track];
        self.peers[peer].demux.sections.retain(|s| s.track != track);
        self.listen(now, peer, track, setup);
    }

    /// Routes the publisher's packets to the track: by the SSRCs its description named, else as they show up.
    fn listen(&mut self, now: Instant, peer: usize, track: usize, setup: TrackSetup) {
        let entry = &mut self.peers[peer];
        if let Some(id) = setup.extensions.transport_cc.filter(|_| entry.feedback.is_none()) {
            entry.feedback = Some((id, TransportFeedback::new(now)));
        }
        for encoding in &setup.encodings {
            name_streams(now, entry, &mut self.media.tracks[track], track, encoding);
        }
        entry.demux.sections.push(section(track, setup));
    }

    pub fn mute_track(&mut self, now: Instant, track: TrackKey, muted: bool) {
        let Some(&index) = self.media.track_of.get(&track) else { return };
        let entry = &mut self.media.tracks[index];
        if std::mem::replace(&mut entry.muted, muted) == muted {
            return;
        }
        entry.up.set_muted(muted);
        let (peer, legs) = (entry.peer, entry.legs.clone());
        for leg in legs {
            let leg = &mut self.media.legs[leg];
            leg.down.set_muted(now, muted);
            let subscriber = leg.peer;
            self.wake(subscriber, now);
        }
        self.wake(peer, now);
    }

    pub fn remove_track(&mut self, now: Instant, track: TrackKey) {
        let Some(index) = self.media.track_of.remove(&track) else { return };
        for leg in std::mem::take(&mut self.media.tracks[index].legs) {
            self.end_leg(now, leg);
        }
        let entry = self.media.tracks.remove(index);
        self.count_tracks();
        let Some(publisher) = self.peers.get_mut(entry.peer) else { return };
        publisher.tracks.retain(|t| *t != index);
        publisher.demux.sections.retain(|s| s.track != index);
        publisher.demux.by_ssrc.retain(|_, to| to.track != index);
        self.forget_elsewhere(now, entry.peer);
    }

    pub fn add_leg(&mut self, now: Instant, setup: LegSetup) {
        let (Some(peer), Some(&track)) = (self.index_of(setup.peer), self.media.track_of.get(&setup.track)) else {
            return;
        };
        if let Some(old) = self.media.leg_of.get(&setup.leg).copied() {
            self.drop_leg(old);
        }
        let entry = &self.media.tracks[track];
        let mut down = DownTrack::new(now, leg_settings(&setup, &self.media.config));
        down.set_muted(now, entry.muted);
        let (key, ssrc, rtx_ssrc) = (setup.leg, setup.ssrc, setup.rtx_ssrc);
        let (extensions, mid, cname) = (setup.extensions, setup.mid, setup.cname);
        let priority = setup.target.priority;
        let (started, first_sent, held, allowed) = (false, false, false, None);
        let leg = LegEntry {
            key,
            track,
            peer,
            down,
            ssrc,
            extensions,
            mid,
            cname,
            started,
            first_sent,
            held,
            priority,
            allowed,
            paused: None,
            spared: None,
            limit: None,
        };
        let leg = self.media.legs.insert(leg);
        self.media.leg_of.insert(key, leg);
        self.media.tracks[track].legs.push(leg);
        let subscriber = &mut self.peers[peer];
        subscriber.legs.push(leg);
        subscriber.leg_of_ssrc.insert(ssrc, leg);
        subscriber.leg_of_ssrc.insert(rtx_ssrc, leg);
        if self.media.config.congestion.enabled && self.media.tracks[track].up.is_video() {
            let (config, allow_pause) = (&self.media.config.congestion, subscriber.allow_pause);
            subscriber.congestion.get_or_insert_with(|| Box::new(Congestion::new(now, config, allow_pause)));
            self.open_congestion(now, peer);
        }
        self.count_tracks();
        self.wake(peer, now);
        self.wake(self.media.tracks[track].peer, now);
    }

    pub fn set_leg(&mut self, now: Instant, leg: LegKey, target: LegTarget) {
        let Some(&index) = self.media.leg_of.get(&leg) else { return };
        let entry = &mut self.media.legs[index];
        entry.down.set_target(layer_target(target));
        entry.priority = target.priority;
        let (subscriber, track) = (entry.peer, entry.track);
        self.open_congestion(now, subscriber);
        self.wake(subscriber, now);
        let publisher = self.media.tracks[track].peer;
        self.wake(publisher, now);
    }

    pub fn remove_leg(&mut self, now: Instant, leg: LegKey) {
        if let Some(&index) = self.media.leg_of.get(&leg) {
            self.end_leg(now, index);
        }
    }

    /// Ends a leg in blank frames: its subscriber goes on.
    fn end_leg(&mut self, now: Instant, index: usize) {
        let Some(mut leg) = self.drop_leg(index) else { return };
        let subscriber = leg.peer;
        if let Some(peer) = self.peers.get_mut(subscriber).filter(|_| leg.down.say_farewell(now)) {
            peer.farewells.push(leg);
            self.wake(subscriber, now);
        }
    }

    fn drop_leg(&mut self, index: usize) -> Option<LegEntry> {
        let leg = self.media.legs.try_remove(index)?;
        self.media.leg_of.remove(&leg.key);
        self.count_tracks();
        if let Some(track) = self.media.tracks.get_mut(leg.track) {
            track.legs.retain(|l| *l != index);
        }
        if let Some(subscriber) = self.peers.get_mut(leg.peer) {
            subscriber.legs.retain(|l| *l != index);
            subscriber.leg_of_ssrc.retain(|_, l| *l != index);
        }
        Some(leg)
    }

    fn count_tracks(&self) {
        self.counters.tracks_in.set(self.media.tracks.len() as u64);
        self.counters.tracks_out.set(self.media.legs.len() as u64);
    }

    /// A peer is going: its tracks end for everybody, its legs for itself.
    pub fn drop_media_of(&mut self, now: Instant, peer: usize) {
        let Some(entry) = self.peers.get(peer) else { return };
        let tracks: Vec<TrackKey> = entry.tracks.iter().map(|t| self.media.tracks[*t].key).collect();
        let legs = entry.legs.clone();
        tracks.into_iter().for_each(|track| self.remove_track(now, track));
        for leg in legs {
            self.drop_leg(leg);
        }
    }

    /// Tells the room which layers flow when that has changed.
    pub fn report_layers(&mut self, track: usize) {
        let Some(entry) = self.media.tracks.get_mut(track) else { return };
        let flowing = entry.up.flowing();
        if entry.flowing != flowing {
            entry.flowing = flowing;
            let (peer, event) = (entry.peer, Event::Layers { track: entry.key, flowing });
            self.tell(peer, event);
        }
    }
}

fn name_streams(now: Instant, peer: &mut PeerEntry, entry: &mut TrackEntry, track: usize, encoding: &Encoding) {
    let stream = usize::from(encoding.spatial).min(LAYERS - 1);
    let Some(ssrc) = encoding.ssrc else { return };
    entry.up.set_stream(now, stream, ssrc);
    peer.demux.by_ssrc.insert(ssrc, Destination { track, stream, rtx: false });
    if let Some(rtx) = encoding.rtx_ssrc {
        entry.up.set_rtx(stream, rtx);
        peer.demux.by_ssrc.insert(rtx, Destination { track, stream, rtx: true });
    }
}

fn section(track: usize, setup: TrackSetup) -> Section {
    let mut rids: Vec<(String, usize)> = Vec::new();
    for encoding in &setup.encodings {
        rids.extend(encoding.rid.clone().map(|rid| (rid, usize::from(encoding.spatial).min(LAYERS - 1))));
    }
    let payload_types = setup.payloads.iter().map(|p| (p.pt, p.rtx_pt)).collect();
    let unnamed = setup.encodings.iter().any(|e| e.ssrc.is_none());
    let unnamed_rtx = setup.encodings.iter().any(|e| e.rtx_ssrc.is_none());
    Section { track, mid: setup.mid, extensions: setup.extensions, payload_types, unnamed, unnamed_rtx, rids }
}

fn payloads(from: &[PayloadType]) -> Vec<Payload> {
    from.iter().map(|p| Payload { codec: p.codec, pt: p.pt, rtx_pt: p.rtx_pt }).collect()
}

fn extensions(from: &ExtensionIds) -> Extensions {
    Extensions {
        audio_level: from.audio_level,
        abs_capture_time: from.abs_capture_time,
        dependency_descriptor: from.dependency_descriptor,
    }
}

fn history_packets(payloads: &[PayloadType], config: &MediaConfig) -> usize {
    let is_audio = payloads.first().is_some_and(|p| p.codec.is_audio());
    if is_audio { config.audio_history_packets } else { config.video_history_packets }
}

fn up_settings(setup: &TrackSetup, config: &MediaConfig) -> UpSettings {
    UpSettings {
        payloads: payloads(&setup.payloads),
        extensions: extensions(&setup.extensions),
        announced_layers: setup.encodings.iter().fold(0, |mask, e| mask | 1 << e.spatial.min(7)),
        layered: setup.layer_mode == LayerMode::ManyPerStream,
        is_screen_share: setup.is_screen_share,
        history_packets: history_packets(&setup.payloads, config),
        pli_throttle: config.pli_throttle,
        speaker: (setup.is_microphone && !config.audio.update_interval.is_zero()).then(|| speaker_rule(&config.audio)),
    }
}

fn speaker_rule(config: &AudioLevelConfig) -> SpeakerRule {
    SpeakerRule {
        active_level: config.active_level,
        min_percentile: config.min_percentile,
        update_interval: config.update_interval,
        smooth_intervals: config.smooth_intervals,
    }
}

fn leg_settings(setup: &LegSetup, config: &MediaConfig) -> LegSettings {
    LegSettings {
        ssrc: setup.ssrc,
        rtx_ssrc: setup.payloads.iter().any(|p| p.rtx_pt.is_some()).then_some(setup.rtx_ssrc),
        payloads: payloads(&setup.payloads),
        extensions: extensions(&setup.extensions),
        target: layer_target(setup.target),
        history_packets: history_packets(&setup.payloads, config),
        encrypted: setup.encrypted,
        adds_red: setup.adds_red,
        playout: setup.extensions.playout_delay.zip(playout_delay(setup.playout_delay_ms)),
        first_sequence: rand::random(),
        first_timestamp: rand::random(),
    }
}

/// `None` where the room sets none.
fn playout_delay((min_ms, max_ms): (u32, u32)) -> Option<PlayoutDelay> {
    let steps = |ms: u32| u16::try_from(ms).unwrap_or(u16::MAX);
    ((min_ms, max_ms) != (0, 0)).then(|| PlayoutDelay { min_ms: steps(min_ms), max_ms: steps(max_ms) })
}

fn layer_target(target: LegTarget) -> Target {
    Target { spatial: target.spatial, temporal: target.temporal, paused: target.paused }
}
