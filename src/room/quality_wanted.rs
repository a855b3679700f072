//! Subscribers' track settings, and what they amount to for the publisher (WIRE.md §4.6, §4.7).

use super::dynacast::{self, Demand, Wanted, rank};
use super::negotiate::Kind;
use super::participant::{Participant, ParticipantKey};
use super::publication::Publication;
use super::state::Room;
use super::target::TrackSettings;
use super::timers::Timer;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::proto::signal_response::Message;
use crate::proto::{BackupCodecPolicy, UpdateTrackSettings, VideoQuality};
use crate::shard::{Codec, Command};
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

    fn set_target(&self, key: ParticipantKey, sid: &str) {
        let (Some(p), Some(track)) = (self.people.get(&key), self.tracks.get(sid)) else { return };
        let leg = p.subscriptions.get(sid).and_then(|s| s.leg.as_ref()).filter(|l| l.bound.is_some());
        if let Some(leg) = leg {
            let target = p.settings_for(sid).target(&track.info);
            self.shard.send(Command::SetLeg { leg: leg.key, target });
        }
    }

    /// Begins to tell the publisher what is wanted of a track: of video, and of audio in several codecs.
    pub(super) fn watch_qualities(&mut self, sid: &str) {
        let has_choice = |t: &Publication| t.kind() == Kind::Video || t.info.codecs.len() > 1;
        if self.tracks.get(sid).is_some_and(has_choice) {
            let pause_delay = self.ctx.config.video.dynacast_pause_delay;
            self.demands.insert(sid.to_owned(), Demand::new(Instant::now(), pause_delay));
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

    /// The highest quality any subscriber wants, for each codec the track is sent in.
    fn wanted_of(&self, sid: &str) -> Wanted {
        let Some(track) = self.tracks.get(sid) else { return Wanted::new() };
        let wanted = |codec: Codec| (codec.name().to_ascii_lowercase(), self.wanted_in(track, codec));
        track.announced_first().into_iter().map(wanted).collect()
    }

    /// The backup codec of a track is there: by the track's policy, or while the room is small, everybody is moved to it
    /// so that the publisher need not encode both (WIRE.md §4.7).
    pub(super) fn regress(&mut self, sid: &str) {
        let Some(track) = self.tracks.get(sid).filter(|t| t.kind() == Kind::Video && t.receivers.len() > 1) else {
            return;
        };
        let threshold = self.ctx.config.video.codec_regression_threshold as usize;
        let applies = match track.info.backup_codec_policy() {
            BackupCodecPolicy::Regression => true,
            BackupCodecPolicy::PreferRegression => threshold == 0 || self.people.len() < threshold,
            BackupCodecPolicy::Simulcast => false,
        };
        let Some(primary) = track.receivers.first().map(|r| r.track).filter(|_| applies) else { return };
        if let Some(track) = self.tracks.get_mut(sid) {
            track.regressed = true;
        }
        self.rebind(sid, primary);
    }

    /// By those who take that codec before all others, whether it is sent already or not.
    fn wanted_in(&self, track: &Publication, codec: Codec) -> VideoQuality {
        let sid = &track.info.sid;
        let takes = |p: &&Participant| {
            let accepted = p.subscriptions.get(sid).and_then(|s| s.leg.as_ref()?.accepted.as_ref());
            accepted.and_then(|a| a.payloads.first()).is_some_and(|first| first.codec == codec)
        };
        let wanted = self.people.values().filter(takes).map(|p| p.settings_for(sid).wanted_quality(&track.info));
        wanted.max_by_key(|q| rank(*q)).unwrap_or(VideoQuality::Off)
    }
}
