//! Who speaks, and how good everybody's connection is (WIRE.md §2.8).

use super::participant::{Participant, ParticipantKey};
use super::quality::{REPORT_INTERVAL, infos_for};
use super::speakers::deltas_for;
use super::state::Room;
use super::timers::Timer;
use crate::proto::signal_response::Message;
use crate::proto::{ConnectionQualityUpdate, SpeakersChanged, StreamState, StreamStateInfo, StreamStateUpdate};
use crate::shard::{LegKey, PeerKey, Score, SpeakerLevel, TrackKey};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

impl Room {
    pub(super) fn handle_speakers(&mut self, peer: PeerKey, levels: Vec<SpeakerLevel>) {
        let Some(p) = self.peers.get(&peer).and_then(|key| self.people.get(key)) else { return };
        let levels = levels.into_iter().map(|l| (l.level, l.active));
        self.speakers.report(&p.info.sid, levels, Instant::now().into_std());
        self.watch_speakers();
    }

    /// Has speakers looked at soon.
    pub(super) fn watch_speakers(&mut self) {
        if let Some(interval) = self.speaker_interval() {
            self.timers.arm_once(Timer::Speakers, Instant::now() + interval);
        }
    }

    /// `None` while levels are switched off.
    fn speaker_interval(&self) -> Option<Duration> {
        let ms = self.ctx.config.audio.update_interval;
        (ms > 0).then(|| Duration::from_millis(ms.into()))
    }

    pub(super) fn report_speakers(&mut self, now: Instant) {
        let Some(interval) = self.speaker_interval() else { return };
        let deltas = self.speakers.deltas(now.into_std(), interval);
        if deltas.is_empty() {
            return;
        }
        for key in self.keys_of_people() {
            let Some(p) = self.people.get(&key).filter(|p| p.client.takes_subscriber_primary()) else { continue };
            let heard = self.heard_by(p);
            let speakers = deltas_for(&deltas, p.sid(), |sid| heard.contains(sid));
            if !speakers.is_empty() {
                self.send(key, Message::SpeakersChanged(SpeakersChanged { speakers }));
            }
        }
        self.watch_speakers();
    }

    /// Sids of those whose tracks the participant is subscribed to.
    fn heard_by(&self, p: &Participant) -> HashSet<String> {
        let subscribed = p.subscriptions.iter().filter(|(_, s)| s.leg.is_some()).map(|(sid, _)| sid);
        let publishers = subscribed.filter_map(|sid| self.people.get(&self.tracks.get(sid)?.publisher));
        publishers.map(|p| p.sid().to_owned()).collect()
    }

    pub(super) fn handle_quality(&mut self, peer: PeerKey, tracks: Vec<(TrackKey, Score)>, legs: Vec<(LegKey, Score)>) {
        let Some(p) = self.peers.get(&peer).and_then(|key| self.people.get(key)) else { return };
        let scores = tracks.into_iter().map(|(_, s)| s).chain(legs.into_iter().map(|(_, s)| s));
        self.qualities.report(&p.info.sid, peer, scores);
    }

    /// Tells a subscriber which of its tracks are paused for want of bandwidth, and which are no longer.
    pub(super) fn handle_stream_state(&mut self, peer: PeerKey, legs: &[(LegKey, bool)]) {
        let Some(key) = self.peers.get(&peer).copied() else { return };
        let stream_states: Vec<StreamStateInfo> =
            legs.iter().filter_map(|(leg, paused)| self.stream_state(*leg, *paused)).collect();
        if !stream_states.is_empty() {
            self.send(key, Message::StreamStateUpdate(StreamStateUpdate { stream_states }));
        }
    }

    fn stream_state(&self, leg: LegKey, paused: bool) -> Option<StreamStateInfo> {
        let (_, track_sid) = self.legs.get(&leg)?;
        let publisher = self.people.get(&self.tracks.get(track_sid)?.publisher)?;
        let state = if paused { StreamState::Paused } else { StreamState::Active };
        let participant_sid = publisher.sid().to_owned();
        Some(StreamStateInfo { participant_sid, track_sid: track_sid.clone(), state: state.into() })
    }

    /// Begins the reports once somebody is ACTIVE.
    pub(super) fn start_reports(&mut self) {
        self.timers.arm_once(Timer::Quality, Instant::now() + REPORT_INTERVAL);
    }

    /// Everybody hears of itself and of those it is subscribed to, if anything changed in the room.
    pub(super) fn report_quality(&mut self) {
        let active: Vec<ParticipantKey> = self.people.values().filter(|p| p.is_active()).map(|p| p.key).collect();
        if active.is_empty() {
            return;
        }
        self.start_reports();
        let sids = active.iter().filter_map(|key| self.people.get(key)).map(|p| p.sid());
        if !self.qualities.must_tell(sids) {
            return;
        }
        for key in active {
            let Some(p) = self.people.get(&key) else { continue };
            let heard = self.heard_by(p);
            let about = std::iter::once(p.sid()).chain(heard.iter().map(String::as_str));
            let updates = infos_for(about.map(|sid| self.qualities.of(sid)).collect(), p.client.protocol());
            if !updates.is_empty() {
                self.send(key, Message::ConnectionQuality(ConnectionQualityUpdate { updates }));
            }
        }
    }
}
