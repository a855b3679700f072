//! Keeps what the server adds of its own accord from bursting: padding of a probe is spread over its time, and
//! retransmissions take at most a share of a limited connection. Media is never held back, so runs stay whole.
//!
//! Owned by the shard, one of each for a connection.

use super::bandwidth::ProbeCluster;
use super::bitrate::Bitrate;
use std::time::{Duration, Instant};

/// Share of a limited connection retransmissions may take, and for how long at once.
const SHARE: f64 = 0.5;
const DEPTH: Duration = Duration::from_millis(300);
/// One frame's worth may always go.
const DEPTH_BYTES_MIN: usize = 4_000;
/// How often padding is sent while a probe lasts.
pub const PROBE_STEP: Duration = Duration::from_millis(10);

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

/// A token bucket for packets sent again.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResendBudget {
    /// Bytes that may go, and when that was counted.
    held: Option<(usize, Instant)>,
}

impl ResendBudget {
    /// Whether a packet of that size may go now on a connection of that rate; it then counts.
    pub fn take(&mut self, now: Instant, rate: Bitrate, bytes: usize) -> bool {
        if rate.is_unlimited() {
            self.held = None;
            return true;
        }
        let share = rate.scaled(SHARE);
        let most = share.bytes_in(DEPTH).max(DEPTH_BYTES_MIN);
        let (held, at) = self.held.unwrap_or((most, now));
        let earned = share.bytes_in(now.saturating_duration_since(at));
        let available = held.saturating_add(earned).min(most);
        // Time that earned no whole byte is not thrown away.
        let at = if earned > 0 { now } else { at };
        self.held = Some((available.saturating_sub(if available >= bytes { bytes } else { 0 }), at));
        available >= bytes
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

    #[test]
    fn retransmissions_take_half_of_a_limited_connection() {
        let mut budget = ResendBudget::default();
        let mut passed = |ms, rate| usize::from(budget.take(at(ms), rate, 1_000));
        assert_eq!((0..500).map(|_| passed(0, Bitrate::UNLIMITED)).sum::<usize>(), 500);
        let at_once: usize = (0..100).map(|_| passed(1, Bitrate::kbps(800))).sum();
        assert_eq!(at_once, 15, "300 ms of 400 kbit/s");
        let later: usize = (1..=1_000).map(|ms| passed(1 + ms, Bitrate::kbps(800))).sum();
        assert_eq!(later, 50, "400 kbit/s");
    }
}
