//! Active speaker detection of one microphone track from its audio level extension (WIRE.md §4.10).
//!
//! Fed by `up_track` with each packet's level, polled by the shard each update interval.

use std::time::{Duration, Instant};

/// -dBov of silence.
const SILENCE: u8 = 127;
/// The longest Opus packet (RFC 7587 §4.2): time beyond it between two packets was not sent and hence not loud.
const PACKET_MAX: Duration = Duration::from_millis(120);

/// The active speaker rules of the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeakerRule {
    /// -dBov; quieter packets are silence.
    pub active_level: u8,
    /// Percent of the window that must be active.
    pub min_percentile: u8,
    pub update_interval: Duration,
    /// 0 is no smoothing.
    pub smooth_intervals: u32,
}

impl Default for SpeakerRule {
    fn default() -> SpeakerRule {
        let update_interval = Duration::from_millis(400);
        SpeakerRule { active_level: 35, min_percentile: 40, update_interval, smooth_intervals: 2 }
    }
}

/// How loud a track is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loudness {
    /// Smoothed, linear, 0..=1.
    pub level: f32,
    pub active: bool,
}

/// The current window and the smoothed value.
#[derive(Clone, Debug)]
pub struct Speaker {
    rule: SpeakerRule,
    clock_rate: u32,
    last: Option<(Instant, u32)>,
    observed: Duration,
    active: Duration,
    /// Loudest packet of the window, -dBov: smaller is louder.
    loudest: u8,
    smoothed: f64,
}

impl Speaker {
    pub fn new(rule: SpeakerRule, clock_rate: u32) -> Speaker {
        let (observed, active) = (Duration::ZERO, Duration::ZERO);
        Speaker { rule, clock_rate, last: None, observed, active, loudest: SILENCE, smoothed: 0.0 }
    }

    /// Notes a packet's level in -dBov, 0..=127. Packets out of order are not counted.
    pub fn observe(&mut self, now: Instant, timestamp: u32, level: u8) {
        let Some(elapsed) = self.elapsed(timestamp) else { return };
        self.last = Some((now, timestamp));
        self.observed += elapsed;
        if level <= self.rule.active_level {
            self.active += elapsed.min(PACKET_MAX);
            self.loudest = self.loudest.min(level);
        }
        if self.observed >= self.rule.update_interval {
            self.end_window();
        }
    }

    /// Audio time since the packet before; `None` if that was later.
    fn elapsed(&self, timestamp: u32) -> Option<Duration> {
        let Some((_, last)) = self.last else { return Some(Duration::ZERO) };
        let ticks = timestamp.wrapping_sub(last);
        (ticks != 0 && ticks < 1 << 31).then(|| Duration::from_secs_f64(f64::from(ticks) / f64::from(self.clock_rate)))
    }

    fn end_window(&mut self) {
        let needed = self.rule.update_interval * u32::from(self.rule.min_percentile) / 100;
        if self.active >= needed && !self.active.is_zero() {
            let share = self.active.as_secs_f64() / self.rule.update_interval.as_secs_f64();
            let level = f64::from(self.loudest) - 20.0 * share.min(1.0).log10();
            self.smoothed += (linear(level) - self.smoothed) * self.factor();
        } else {
            self.smoothed = 0.0;
        }
        (self.observed, self.active, self.loudest) = (Duration::ZERO, Duration::ZERO, SILENCE);
    }

    fn factor(&self) -> f64 {
        2.0 / (f64::from(self.rule.smooth_intervals) + 1.0).max(2.0)
    }

    /// How loud the track is now. Silence when no packet came for two intervals.
    pub fn poll(&mut self, now: Instant) -> Loudness {
        let stale = self.last.is_none_or(|(at, _)| now.saturating_duration_since(at) > 2 * self.rule.update_interval);
        if stale {
            *self = Speaker::new(self.rule, self.clock_rate);
        }
        let active = self.smoothed >= linear(f64::from(self.rule.active_level));
        Loudness { level: self.smoothed as f32, active }
    }
}

/// Amplitude 0..=1 of a level in -dBov.
fn linear(level: f64) -> f64 {
    10f64.powf(-level / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    struct Talk {
        speaker: Speaker,
        now: Instant,
        timestamp: u32,
    }

    impl Talk {
        fn new(rule: SpeakerRule) -> Talk {
            let timestamp = u32::MAX - 5_000; // wraps within the first window
            Talk { speaker: Speaker::new(rule, 48_000), now: super::super::test_epoch(), timestamp }
        }

        /// Packets at that level; returns the first one (counted from 1) after which the active flag is `until`.
        fn say(&mut self, level: u8, packets: u32, until: bool) -> Option<u32> {
            let mut changed = None;
            for n in 1..=packets {
                self.now += FRAME;
                self.timestamp = self.timestamp.wrapping_add(960);
                self.speaker.observe(self.now, self.timestamp, level);
                if self.speaker.poll(self.now).active == until && changed.is_none() {
                    changed = Some(n);
                }
            }
            changed
        }
    }

    #[test]
    fn becomes_active_with_the_first_loud_window_and_ends_with_the_first_quiet_one() {
        let mut talk = Talk::new(SpeakerRule::default());
        assert_eq!(talk.say(20, 100, true), Some(21), "the first packet only starts the clock");
        assert_eq!(talk.say(60, 100, false), Some(21), "one packet ends the loud window, twenty make the quiet one");
    }

    #[test]
    fn the_value_is_the_loudness_corrected_by_the_active_share() {
        let mut talk = Talk::new(SpeakerRule { smooth_intervals: 0, ..SpeakerRule::default() });
        talk.say(127, 11, true);
        talk.say(20, 10, true);
        let level = f64::from(talk.speaker.poll(talk.now).level);
        assert!((level - linear(20.0 - 20.0 * 0.5f64.log10())).abs() < 1e-6, "{level}");
    }

    #[test]
    fn smoothing_approaches_the_level() {
        let mut talk = Talk::new(SpeakerRule::default());
        talk.say(20, 21, true);
        let first = f64::from(talk.speaker.poll(talk.now).level);
        assert!((first - linear(20.0) * 2.0 / 3.0).abs() < 1e-6);
        talk.say(20, 200, true);
        assert!((f64::from(talk.speaker.poll(talk.now).level) - linear(20.0)).abs() < 1e-4);
    }

    #[test]
    fn a_short_noise_is_no_speech() {
        let mut talk = Talk::new(SpeakerRule::default());
        assert_eq!(talk.say(127, 10, true), None);
        assert_eq!(talk.say(10, 7, true), None, "140 ms of 400 are below 40 %");
        assert_eq!(talk.say(127, 40, true), None);
    }

    #[test]
    fn goes_quiet_when_packets_stop() {
        let mut talk = Talk::new(SpeakerRule::default());
        talk.say(10, 50, true);
        assert!(talk.speaker.poll(talk.now + Duration::from_millis(800)).active);
        assert!(!talk.speaker.poll(talk.now + Duration::from_millis(801)).active);
    }

    #[test]
    fn late_packets_are_ignored() {
        let mut talk = Talk::new(SpeakerRule::default());
        talk.say(20, 10, true);
        let observed = talk.speaker.observed;
        talk.speaker.observe(talk.now, talk.timestamp.wrapping_sub(960), 0);
        assert_eq!((talk.speaker.observed, talk.speaker.loudest), (observed, 20));
    }
}
