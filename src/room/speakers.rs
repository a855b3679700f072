//! Active speakers of a room: what the shards hear becomes the deltas clients are sent (WIRE.md §2.8, speakers_changed).
//! Only microphone tracks are to be reported here. Time is told.

use crate::proto::SpeakerInfo;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Levels are sent in steps of this, rounded up, so that small changes cost nothing.
const STEPS: f32 = 8.0;

/// Level of a participant whose speaking is simulated (WIRE.md §2.11).
const SIMULATED_LEVEL: f32 = 0.9;

/// Who speaks, by participant sid.
#[derive(Debug, Default)]
pub struct Speakers {
    heard: HashMap<String, Heard>,
    simulated: HashMap<String, Instant>,
    told: BTreeMap<String, f32>,
}

#[derive(Debug)]
struct Heard {
    level: f32,
    at: Instant,
}

impl Speakers {
    /// The shard's latest report for one participant: level (0..=1) and activity of each of its microphone tracks. Tracks
    /// below the threshold are absent; an empty report ends its speaking.
    pub fn report(&mut self, participant_sid: &str, tracks: impl IntoIterator<Item = (f32, bool)>, now: Instant) {
        let loudest = tracks.into_iter().filter(|(_, active)| *active).map(|(level, _)| level).fold(0.0, f32::max);
        if loudest > 0.0 {
            self.heard.insert(participant_sid.to_owned(), Heard { level: loudest, at: now });
        } else {
            self.heard.remove(participant_sid);
        }
    }

    /// Lets a participant seem to speak for a while.
    pub fn simulate(&mut self, participant_sid: &str, until: Instant) {
        self.simulated.insert(participant_sid.to_owned(), until);
    }

    /// A participant left; the next deltas say that it is silent.
    pub fn forget(&mut self, participant_sid: &str) {
        self.heard.remove(participant_sid);
        self.simulated.remove(participant_sid);
    }

    /// What changed since the last call, to be made every `interval` (`audio.update_interval`). A participant not heard of
    /// for three intervals is silent.
    pub fn deltas(&mut self, now: Instant, interval: Duration) -> Vec<SpeakerInfo> {
        self.heard.retain(|_, heard| now.saturating_duration_since(heard.at) <= interval * 3);
        self.simulated.retain(|_, until| *until > now);
        let speaking = self.speaking();
        let changed = speaking.iter().filter(|(sid, level)| self.told.get(*sid) != Some(level));
        let silent = self.told.keys().filter(|sid| !speaking.contains_key(*sid));
        let deltas =
            changed.map(|(sid, &level)| speaker(sid, level)).chain(silent.map(|sid| speaker(sid, 0.0))).collect();
        self.told = speaking;
        deltas
    }

    fn speaking(&self) -> BTreeMap<String, f32> {
        let heard = self.heard.iter().map(|(sid, heard)| (sid.clone(), quantised(heard.level)));
        let simulated = self.simulated.keys().map(|sid| (sid.clone(), SIMULATED_LEVEL));
        heard.chain(simulated).collect()
    }
}

/// The part of the deltas that concerns one recipient: itself, and whom `hears` says it subscribes to.
pub fn deltas_for(deltas: &[SpeakerInfo], self_sid: &str, hears: impl Fn(&str) -> bool) -> Vec<SpeakerInfo> {
    deltas.iter().filter(|d| d.sid == self_sid || hears(&d.sid)).cloned().collect()
}

fn speaker(sid: &str, level: f32) -> SpeakerInfo {
    SpeakerInfo { sid: sid.to_owned(), level, active: level > 0.0 }
}

fn quantised(level: f32) -> f32 {
    (level.clamp(0.0, 1.0) * STEPS).ceil() / STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(400);

    /// Any instant will do: only differences count.
    #[allow(clippy::disallowed_methods)]
    fn epoch() -> Instant {
        Instant::now()
    }

    fn told(deltas: Vec<SpeakerInfo>) -> Vec<(String, f32, bool)> {
        deltas.into_iter().map(|d| (d.sid, d.level, d.active)).collect()
    }

    #[test]
    fn levels_round_up_to_eighths() {
        for (level, expected) in [(0.001, 0.125), (0.125, 0.125), (0.126, 0.25), (0.99, 1.0), (7.0, 1.0)] {
            assert_eq!(quantised(level), expected, "{level}");
        }
    }

    #[test]
    fn only_changes_are_told_and_silence_once() {
        let now = epoch();
        let mut speakers = Speakers::default();
        // reported tracks; deltas
        type Levels = &'static [(f32, bool)];
        let script: [(Levels, Levels); 7] = [
            (&[(0.3, true)], &[(0.375, true)]),
            (&[(0.31, true)], &[]),
            (&[(0.2, true), (0.6, true)], &[(0.625, true)]),
            (&[(0.9, false), (0.1, true)], &[(0.125, true)]),
            (&[(0.9, false)], &[(0.0, false)]),
            (&[], &[]),
            (&[(0.5, true)], &[(0.5, true)]),
        ];
        for (step, (tracks, expected)) in script.into_iter().enumerate() {
            speakers.report("PA_1", tracks.iter().copied(), now);
            let deltas: Vec<_> = told(speakers.deltas(now, INTERVAL)).into_iter().map(|(_, l, a)| (l, a)).collect();
            assert_eq!(deltas, expected, "step {step}");
        }
    }

    #[test]
    fn leaving_or_falling_silent_ends_speaking() {
        let now = epoch();
        let mut speakers = Speakers::default();
        for sid in ["PA_1", "PA_2"] {
            speakers.report(sid, [(0.5, true)], now);
        }
        assert_eq!(speakers.deltas(now, INTERVAL).len(), 2);
        speakers.forget("PA_1");
        assert_eq!(told(speakers.deltas(now + INTERVAL * 3, INTERVAL)), [("PA_1".to_owned(), 0.0, false)]);
        assert_eq!(told(speakers.deltas(now + INTERVAL * 4, INTERVAL)), [("PA_2".to_owned(), 0.0, false)]);
    }

    #[test]
    fn simulated_speaking_ends_by_itself() {
        let now = epoch();
        let mut speakers = Speakers::default();
        speakers.simulate("PA_1", now + INTERVAL);
        assert_eq!(told(speakers.deltas(now, INTERVAL)), [("PA_1".to_owned(), 0.9, true)]);
        assert_eq!(told(speakers.deltas(now + INTERVAL, INTERVAL)), [("PA_1".to_owned(), 0.0, false)]);
    }

    #[test]
    fn recipients_see_themselves_and_whom_they_hear() {
        let deltas: Vec<_> = ["PA_me", "PA_heard", "PA_other"].map(|sid| speaker(sid, 0.5)).into();
        let seen = deltas_for(&deltas, "PA_me", |sid| sid == "PA_heard");
        assert_eq!(seen.iter().map(|d| d.sid.as_str()).collect::<Vec<_>>(), ["PA_me", "PA_heard"]);
    }
}
