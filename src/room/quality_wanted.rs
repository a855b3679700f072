//! Subscribers' track settings, and what they amount to for the publisher (WIRE.md §4.6, §4.7).

use super::dynacast::{self, Demand, Wanted, rank};
use super::negotiate::Kind;
use super::participant::{Participant, ParticipantKey};
use super::publication::{Publication, is_opus};
use super::state::Room;
use super::target::TrackSettings;
use super::timers::Timer;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::proto::signal_response::Message;
use crate::proto::{UpdateTrackSettings, VideoQuality};
use crate::shard::{Codec, Command, Kept, LegKey};
use std::time::Duration;
use tokio::time::Instant;

/// Changes of size come in bursts while a user drags a window.
const SETTINGS_DEBOUNCE: Duration = Duration::from_millis(100);

impl Room {
    /// Remembers what a subscriber asks of tracks, subscribed or not. Showing and hiding apply at once.
    pub(super) fn update_settings(&mut self, key: ParticipantKey, update: &UpdateTrackSettings) {
        let settings = TrackSettings::requested(update);
        let Some(p) = self.people.get_mut(&key) else { return };
        let mut at_once = false;
        for sid in &update.track_sids {
            if p.settings.len() >= SUBSCRIPTIONS_MAX && !p.settings.contains_key(sid) {
                break;
            }
            at_once |= p.settings_for(sid).disabled != settings.disabled;
            p.settings.insert(sid.clone(), settings);
            p.unapplied.insert(sid.clone());
        }
        match at_once {
            true => self.apply_settings(key),
            false => self.timers.arm_once(Timer::Settings(key), Instant::now() + SETTINGS_DEBOUNCE),
        }
    }

    pub(super) fn apply_settings(&mut self, key: ParticipantKey) {
        self.timers.cancel(Timer::Settings(key));
        let Some(p) = self.people.get_mut(&key) else { return };
        let changed = std::mem::take(&mut p.unapplied);
        for sid in &changed {
            self.set_target(key, sid);
            self.quality_changed(sid);
        }
    }

    fn set_target(&mut self, key: ParticipantKey, sid: &str) {
        let (Some(p), Some(track)) = (self.people.get(&key), self.tracks.get(sid)) else { return };
        let leg = p.subscriptions.get(sid).and_then(|s| s.leg.as_ref()).filter(|l| l.bound.is_some());
        if let Some(leg) = leg {
            let target = p.settings_for(sid).target(&track.info);
            self.shards.send(Command::SetLeg { leg: leg.key, target });
        }
    }

    /// Begins to tell the publisher of a track what is wanted of it, or goes on.
    pub(super) fn watch_qualities(&mut self, sid: &str) {
        let delay = self.ctx.config.video.dynacast_pause_delay;
        if self.tracks.get(sid).is_some_and(Publication::has_choice) {
            self.demands.entry(sid.to_owned()).or_insert_with(|| Demand::new(Instant::now(), delay));
            self.quality_changed(sid);
        }
    }

    pub(super) fn forget_qualities(&mut self, sid: &str) {
        self.demands.remove(sid);
    }

    /// After a subscriber came, went, or asked for something else.
    pub(super) fn quality_changed(&mut self, sid: &str) {
        let wanted = self.wanted_of(sid);
        let muted = self.tracks.get(sid).is_none_or(|t| t.info.muted);
        let Some(demand) = self.demands.get_mut(sid).filter(|_| !muted) else { return };
        let report = demand.plan(wanted, Instant::now());
        if let Some(due) = demand.due() {
            self.timers.arm_sooner(Timer::Dynacast, due);
        }
        if let Some(report) = report {
            self.tell_wanted(sid, &report);
        }
    }

    /// The node's load leaves a subscriber more or less: its publisher need not send what nobody gets.
    pub(super) fn kept_changed(&mut self, leg: LegKey, kept: Kept) {
        let Some((subscriber, sid)) = self.legs.get(&leg).cloned() else { return };
        let subscription = self.people.get_mut(&subscriber).and_then(|p| p.subscriptions.get_mut(&sid));
        if let Some(leg) = subscription.and_then(|s| s.leg.as_mut()) {
            leg.kept = kept;
            self.quality_changed(&sid);
        }
    }

    pub(super) fn pause_unwanted(&mut self, now: Instant) {
        let due = |d: &Demand| d.due().is_some_and(|at| at <= now);
        let sids: Vec<String> = self.demands.iter().filter(|(_, d)| due(d)).map(|(s, _)| s.clone()).collect();
        sids.iter().for_each(|sid| self.quality_changed(sid));
        if let Some(next) = self.demands.values().filter_map(Demand::due).filter(|at| *at > now).min() {
            self.timers.arm_sooner(Timer::Dynacast, next);
        }
    }

    /// A muted publisher hears nothing; when it unmutes it hears what was missed.
    pub(super) fn mute_changed(&mut self, sid: &str) {
        if self.tracks.get(sid).is_some_and(|t| !t.info.muted) {
            self.repeat_wanted(sid);
            self.quality_changed(sid);
        }
    }

    /// After a resume the publisher may have missed reports.
    pub(super) fn repeat_wanted_qualities(&mut self, key: ParticipantKey) {
        let published = self.people.get(&key).map(|p| p.published.clone()).unwrap_or_default();
        published.iter().for_each(|sid| self.repeat_wanted(sid));
    }

    fn repeat_wanted(&mut self, sid: &str) {
        if let Some(report) = self.demands.get(sid).and_then(Demand::repeat) {
            self.tell_wanted(sid, &report);
        }
    }

    fn tell_wanted(&mut self, sid: &str, wanted: &Wanted) {
        let Some(track) = self.tracks.get(sid).filter(|t| !t.info.muted) else { return };
        let message = match track.kind() {
            Kind::Video => Message::SubscribedQualityUpdate(dynacast::update(sid, wanted)),
            Kind::Audio => Message::SubscribedAudioCodecUpdate(dynacast::audio_update(sid, wanted)),
        };
        self.send(track.publisher, message);
    }

    /// The highest quality any subscriber wants, for each codec the track is sent in, or an audio track was announced in.
    fn wanted_of(&self, sid: &str) -> Wanted {
        let Some(track) = self.tracks.get(sid) else { return Wanted::new() };
        let name = |codec: Codec| codec.name().to_ascii_lowercase();
        match track.kind() {
            Kind::Video => track.codecs().into_iter().map(|c| (name(c), self.wanted_in(track, c))).collect(),
            Kind::Audio => track.codecs_announced().map(|c| (name(c), self.wanted_as_audio(track, c))).collect(),
        }
    }

    /// All or nothing; RED is Opus here, and who muted the track for itself still has it.
    fn wanted_as_audio(&self, track: &Publication, codec: Codec) -> VideoQuality {
        let takes = |p: &Participant| {
            first_choice(p, &track.info.sid).is_some_and(|first| first == codec || (is_opus(first) && is_opus(codec)))
        };
        if self.people.values().any(takes) { VideoQuality::High } else { VideoQuality::Off }
    }

    /// By those who take that codec before all others, whether it is sent already or not.
    fn wanted_in(&self, track: &Publication, codec: Codec) -> VideoQuality {
        let sid = &track.info.sid;
        let takes = |p: &&Participant| first_choice(p, sid) == Some(codec);
        let of = |p: &Participant| p.settings_for(sid).kept_quality(&track.info, kept(p, sid));
        let wanted = self.people.values().filter(takes).map(of);
        wanted.max_by_key(|q| rank(*q)).unwrap_or(VideoQuality::Off)
    }
}

fn kept(p: &Participant, sid: &str) -> Kept {
    p.subscriptions.get(sid).and_then(|s| s.leg.as_ref()).map_or(Kept::All, |leg| leg.kept)
}

/// The codec of a track that a subscriber takes before all others.
fn first_choice(p: &Participant, sid: &str) -> Option<Codec> {
    let accepted = p.subscriptions.get(sid).and_then(|s| s.leg.as_ref()?.accepted.as_ref())?;
    accepted.payloads.first().map(|first| first.codec)
}
