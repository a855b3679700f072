//! Whether a received track flows: gaps, freezes, timestamps that fit, and the frames a standstill swallowed. Called by
//! `incoming`; judges by the publisher's stamps, so on one clock.

use super::stamp::Stamp;
use super::stats::TrackStats;
use std::time::{Duration, Instant};

/// Sound away for so long is heard: a jitter buffer bridges less.
const AUDIO_GAP: Duration = Duration::from_millis(100);
/// A picture freezes when a frame comes later than three intervals, and than one and this (W3C webrtc-stats,
/// `freezeCount`).
const FREEZE: Duration = Duration::from_millis(150);
/// A timestamp may be off by so much from when it was sent: a publisher catches up that far.
const TIMESTAMP_SLACK_US: i64 = 600_000;
/// Frames one gap may stand for, so that a bad clock costs no time.
const OMITTED_MAX: u64 = 10_000;

pub struct Continuity {
    ticks_per_s: i64,
    is_video: bool,
    /// Since when frames are counted on.
    from: Instant,
    last: Option<Frame>,
    /// Average time between frames.
    interval: Option<Duration>,
    timestamp: Option<(u32, u64)>,
}

#[derive(Clone, Copy)]
struct Frame {
    arrived: Instant,
    sent_us: u64,
}

impl Continuity {
    pub fn new(ticks_per_s: u32, is_video: bool, now: Instant) -> Continuity {
        Continuity { ticks_per_s: ticks_per_s.into(), is_video, from: now, last: None, interval: None, timestamp: None }
    }

    /// Gaps count from here on.
    pub fn mark(&mut self, now: Instant) {
        self.from = now;
    }

    /// Longest time between frames that is none too long.
    fn patience(&self) -> Duration {
        let interval = self.interval.unwrap_or(FREEZE);
        if self.is_video { (interval * 3).max(interval + FREEZE) } else { AUDIO_GAP }
    }

    /// Takes a whole frame; one older than the newest changes nothing.
    pub fn note_frame(&mut self, now: Instant, now_us: u64, stamp: Stamp, stats: &mut TrackStats) {
        let Some(last) = self.last else {
            self.last = Some(Frame { arrived: now, sent_us: stamp.sent_us });
            return;
        };
        if stamp.sent_us <= last.sent_us {
            return;
        }
        let patience = self.patience();
        note_gap(now.saturating_duration_since(last.arrived.max(self.from)), patience, stats);
        let sent = Duration::from_micros(stamp.sent_us - last.sent_us);
        if sent > patience {
            self.note_omitted(now_us, last.sent_us, sent, stamp.count, stats);
        } else {
            self.interval = Some(self.interval.map_or(sent, |interval| (interval * 7 + sent) / 8));
        }
        self.last = Some(Frame { arrived: now, sent_us: stamp.sent_us });
    }

    /// Counts the frames between two that came with the age they had when the later one came: what waited longest would
    /// otherwise be the only thing not measured.
    fn note_omitted(&self, now_us: u64, sent_us: u64, sent: Duration, packets: u16, stats: &mut TrackStats) {
        let Some(interval) = self.interval.filter(|i| !i.is_zero()) else { return };
        let frames = (sent.as_micros() / interval.as_micros()).saturating_sub(1);
        let frames = u64::try_from(frames).unwrap_or(u64::MAX).min(OMITTED_MAX);
        stats.omitted += frames;
        for frame in 1..=frames {
            let sent_us = sent_us + interval.as_micros() as u64 * frame;
            let age = Duration::from_micros(now_us.saturating_sub(sent_us));
            (0..packets).for_each(|_| stats.latency.note(age));
        }
    }

    /// Adds the gap that is not over yet.
    pub fn note_silence(&self, now: Instant, stats: &mut TrackStats) {
        if let Some(last) = self.last {
            note_gap(now.saturating_duration_since(last.arrived.max(self.from)), self.patience(), stats);
        }
    }

    /// Whether the timestamp moved by something else than the time between sendings.
    pub fn note_timestamp(&mut self, timestamp: u32, sent_us: u64) -> bool {
        let Some((before, then_us)) = self.timestamp.replace((timestamp, sent_us)) else { return false };
        let told_us = i64::from(timestamp.wrapping_sub(before) as i32) * 1_000_000 / self.ticks_per_s;
        let passed_us = sent_us.wrapping_sub(then_us) as i64;
        (told_us - passed_us).abs() > TIMESTAMP_SLACK_US
    }
}

fn note_gap(gap: Duration, patience: Duration, stats: &mut TrackStats) {
    stats.longest_gap = stats.longest_gap.max(gap);
    if gap > patience {
        stats.freezes += 1;
        stats.frozen += gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::clock;

    const FRAME: Duration = Duration::from_millis(33);

    struct Feed {
        start: Instant,
        continuity: Continuity,
        stats: TrackStats,
    }

    impl Feed {
        fn new() -> Feed {
            let start = clock::now();
            Feed { start, continuity: Continuity::new(90_000, true, start), stats: TrackStats::default() }
        }

        /// A frame sent and received at these times since the start.
        fn frame(&mut self, sent: Duration, arrived: Duration) {
            let sent_us = 1_000_000 + sent.as_micros() as u64;
            let stamp =
                Stamp { number: 0, frame: 0, index: 0, count: 1, layer: 0, scalable: false, key_frame: false, sent_us };
            let now_us = 1_000_000 + arrived.as_micros() as u64;
            self.continuity.note_frame(self.start + arrived, now_us, stamp, &mut self.stats);
        }

        fn steady(&mut self, frames: std::ops::Range<u32>) {
            frames.for_each(|n| self.frame(FRAME * n, FRAME * n));
        }
    }

    #[test]
    fn a_steady_picture_never_freezes() {
        let mut feed = Feed::new();
        feed.steady(0..100);
        assert_eq!((feed.stats.freezes, feed.stats.omitted, feed.stats.longest_gap), (0, 0, FRAME));
    }

    #[test]
    fn what_a_stall_swallowed_counts_with_its_age() {
        let mut feed = Feed::new();
        feed.steady(0..30);
        let end = FRAME * 30 + Duration::from_secs(3);
        feed.frame(end, end);
        assert_eq!(feed.stats.freezes, 1);
        assert!(feed.stats.longest_gap >= Duration::from_secs(3));
        assert!(feed.stats.omitted.abs_diff(90) <= 1, "{}", feed.stats.omitted);
        assert!(feed.stats.latency.max > Duration::from_millis(2900), "{:?}", feed.stats.latency.max);
        let half = feed.stats.latency.quantile(0.5).unwrap();
        assert!((1300..1700).contains(&half.as_millis()), "{half:?}");
    }

    #[test]
    fn a_late_burst_is_one_freeze_and_nothing_is_missing() {
        let mut feed = Feed::new();
        feed.steady(0..30);
        (30..60).for_each(|n| feed.frame(FRAME * n, FRAME * 60));
        feed.steady(61..70);
        assert_eq!((feed.stats.freezes, feed.stats.omitted), (1, 0));
    }

    #[test]
    fn silence_at_the_end_counts_and_a_mark_forgets_what_was_before() {
        let mut feed = Feed::new();
        feed.steady(0..30);
        let mut stats = feed.stats.clone();
        feed.continuity.note_silence(feed.start + Duration::from_secs(5), &mut stats);
        assert_eq!((stats.freezes, stats.frozen >= Duration::from_secs(4)), (1, true));
        feed.continuity.mark(feed.start + Duration::from_secs(5));
        let mut stats = feed.stats.clone();
        feed.continuity.note_silence(feed.start + Duration::from_secs(5), &mut stats);
        assert_eq!(stats.freezes, 0);
    }

    #[test]
    fn timestamps_must_follow_the_clock_of_the_sender() {
        let mut continuity = Continuity::new(90_000, true, clock::now());
        assert!(!continuity.note_timestamp(u32::MAX - 100, 1_000_000));
        assert!(!continuity.note_timestamp(2869, 1_033_000), "around the end of the numbers");
        assert!(continuity.note_timestamp(2869 + 900_000, 1_066_000), "ten seconds on");
        assert!(!continuity.note_timestamp(2869 + 902_970, 1_099_000));
    }
}
