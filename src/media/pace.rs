//! Keeps a connection's queue short: padding of a probe is spread over its time, retransmissions take at most a share of
//! a limited connection, and on such a one a burst of video waits for its turn. Where nothing is limited, and for bursts no
//! longer than usual, media is not held back, so runs stay whole.
//!
//! Owned by the shard, one of each for a connection.

use super::bandwidth::ProbeCluster;
use super::bitrate::Bitrate;
use crate::limits::HELD_PACKETS_MAX;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Share of a limited connection retransmissions may take, and for how long at once.
const SHARE: f64 = 0.5;
const DEPTH: Duration = Duration::from_millis(300);
/// One frame's worth may always go.
const DEPTH_BYTES_MIN: usize = 4_000;
/// What a packet sent again may have, about.
const RESENT_BYTES: usize = 1_000;
/// How often padding is sent while a probe lasts, and media that waits.
pub const PROBE_STEP: Duration = Duration::from_millis(10);
/// Media that waits goes a little faster than it could for ever: it is a key frame, rarely more.
const PACE: f64 = 1.2;
/// What goes at once: this long, at least so much.
const AT_ONCE: Duration = Duration::from_millis(25);
const AT_ONCE_BYTES_MIN: f64 = 3_600.0;
/// Nothing waits longer, whatever the rate.
const WAIT_MAX: Duration = Duration::from_millis(400);

/// A probe being sent.
#[derive(Clone, Copy, Debug)]
pub struct ProbePace {
    cluster: ProbeCluster,
    began: Instant,
    sent: usize,
}

impl ProbePace {
    pub fn new(now: Instant, cluster: ProbeCluster) -> ProbePace {
        ProbePace { cluster, began: now, sent: 0 }
    }

    pub fn rate(&self) -> Bitrate {
        self.cluster.rate
    }

    /// Notes a packet of any kind that went out meanwhile.
    pub fn note_sent(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// Bytes of padding due by now, the step that begins now included.
    pub fn due(&self, now: Instant) -> usize {
        let elapsed = now.saturating_duration_since(self.began) + PROBE_STEP;
        self.cluster.rate.bytes_in(elapsed.min(self.cluster.duration)).saturating_sub(self.sent)
    }

    /// True once there is nothing more to send.
    pub fn is_over(&self, now: Instant) -> bool {
        self.sent >= self.cluster.bytes() || now >= self.began + self.cluster.duration
    }
}

/// Media of a limited connection that waits for its turn; `T` names a packet.
#[derive(Debug)]
pub struct Waiting<T> {
    queue: VecDeque<(usize, T)>,
    bytes: usize,
    /// Bytes per second that let nothing wait too long, while anything waits.
    least_pace: f64,
    /// Bytes that may go at once, below zero what went too early; and when that was counted.
    credit: Option<(f64, Instant)>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Waiting<T> {
        Waiting { queue: VecDeque::new(), bytes: 0, least_pace: 0.0, credit: None }
    }
}

impl<T> Waiting<T> {
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a packet of media may go now on a connection of that rate; otherwise it should be held.
    pub fn admits(&mut self, now: Instant, rate: Bitrate) -> bool {
        if !self.queue.is_empty() {
            return self.queue.len() >= HELD_PACKETS_MAX;
        }
        if rate.is_unlimited() {
            self.credit = None;
            return true;
        }
        self.credit(now, rate) > 0.0
    }

    /// Notes a packet of any kind that goes out.
    pub fn note_sent(&mut self, bytes: usize) {
        if let Some((credit, _)) = &mut self.credit {
            *credit -= bytes as f64;
        }
    }

    pub fn hold(&mut self, packet: T, bytes: usize) {
        self.bytes += bytes;
        self.least_pace = self.least_pace.max(self.bytes as f64 / WAIT_MAX.as_secs_f64());
        self.queue.push_back((bytes, packet));
    }

    /// The next packet whose turn it is; to be noted as sent.
    pub fn poll(&mut self, now: Instant, rate: Bitrate) -> Option<T> {
        let may = rate.is_unlimited() || self.credit(now, rate) > 0.0;
        let (bytes, packet) = self.queue.pop_front_if(|_| may)?;
        self.bytes -= bytes;
        if self.queue.is_empty() {
            self.least_pace = 0.0;
        }
        Some(packet)
    }

    fn credit(&mut self, now: Instant, rate: Bitrate) -> f64 {
        let pace = (rate.as_f64() * PACE / 8.0).max(self.least_pace);
        let most = (pace * AT_ONCE.as_secs_f64()).max(AT_ONCE_BYTES_MIN);
        let (credit, at) = self.credit.unwrap_or((most, now));
        let earned = pace * now.saturating_duration_since(at).as_secs_f64();
        let credit = (credit + earned).min(most);
        self.credit = Some((credit, now));
        credit
    }
}

/// A token bucket for packets sent again.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResendBudget {
    /// Bytes that may go, and when that was counted.
    held: Option<(usize, Instant)>,
}

impl ResendBudget {
    /// Whether a packet may go now on a connection of that rate; it is then to be noted.
    pub fn admits(&mut self, now: Instant, rate: Bitrate) -> bool {
        if rate.is_unlimited() {
            self.held = None;
            return true;
        }
        let share = rate.scaled(SHARE);
        let most = share.bytes_in(DEPTH).max(DEPTH_BYTES_MIN);
        let (held, at) = self.held.unwrap_or((most, now));
        let earned = share.bytes_in(now.saturating_duration_since(at));
        // Time that earned no whole byte is not thrown away.
        let at = if earned > 0 { now } else { at };
        let held = held.saturating_add(earned).min(most);
        self.held = Some((held, at));
        held >= RESENT_BYTES
    }

    /// Notes a packet that was sent again.
    pub fn note_sent(&mut self, bytes: usize) {
        if let Some((held, _)) = &mut self.held {
            *held = held.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        super::super::test_epoch() + Duration::from_millis(ms)
    }

    #[test]
    fn a_probe_is_spread_and_media_counts() {
        let cluster = ProbeCluster { rate: Bitrate::kbps(800), duration: Duration::from_millis(40) };
        let mut pace = ProbePace::new(at(0), cluster);
        let mut sent = Vec::new();
        for ms in [0, 10, 20, 30, 40] {
            if ms == 20 {
                pace.note_sent(700);
            }
            let due = pace.due(at(ms));
            pace.note_sent(due);
            sent.push(due);
        }
        assert_eq!(sent, [1_000, 1_000, 300, 1_000, 0]);
        assert!(pace.is_over(at(40)) && pace.due(at(5_000)) == 0);
    }

    /// Hands in a packet of 1000 bytes for each of `arriving` and answers when each goes.
    fn paced(rate: Bitrate, arriving: &[u64]) -> Vec<u64> {
        let (mut waiting, mut gone) = (Waiting::default(), Vec::new());
        for ms in 0..1_000 {
            for _ in arriving.iter().filter(|at| **at == ms) {
                if waiting.admits(at(ms), rate) {
                    waiting.note_sent(1_000);
                    gone.push(ms);
                } else {
                    waiting.hold((), 1_000);
                }
            }
            while ms.is_multiple_of(10) && waiting.poll(at(ms), rate).is_some() {
                waiting.note_sent(1_000);
                gone.push(ms);
            }
        }
        assert!(waiting.is_empty());
        gone
    }

    #[test]
    fn frames_go_at_once_and_key_frames_in_turn() {
        let frames: Vec<u64> = (0..30).flat_map(|n| [n * 33; 2]).collect();
        assert_eq!(paced(Bitrate::kbps(500), &frames), frames, "485 kbit/s of frames");
        let key_frame = paced(Bitrate::kbps(500), &[5; 20]);
        assert_eq!(key_frame.iter().filter(|ms| **ms == 5).count(), 4);
        assert!((180..=230).contains(key_frame.last().unwrap()), "{key_frame:?}");
        assert_eq!(paced(Bitrate::UNLIMITED, &[5; 20]), [5; 20]);
    }

    #[test]
    fn nothing_waits_for_long() {
        let gone = paced(Bitrate::kbps(50), &[0; 60]);
        assert!(gone.iter().all(|ms| *ms <= 410), "{gone:?}");
    }

    #[test]
    fn retransmissions_take_half_of_a_limited_connection() {
        let mut budget = ResendBudget::default();
        let mut passed = |ms, rate| {
            let may = budget.admits(at(ms), rate);
            budget.note_sent(if may { 1_000 } else { 0 });
            usize::from(may)
        };
        assert_eq!((0..500).map(|_| passed(0, Bitrate::UNLIMITED)).sum::<usize>(), 500);
        let at_once: usize = (0..100).map(|_| passed(1, Bitrate::kbps(800))).sum();
        assert_eq!(at_once, 15, "300 ms of 400 kbit/s");
        let later: usize = (1..=1_000).map(|ms| passed(1 + ms, Bitrate::kbps(800))).sum();
        assert_eq!(later, 50, "400 kbit/s");
    }
}
