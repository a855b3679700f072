//! What a leg reports of itself and what its subscriber reports of it (RFC 3550 §6.4). Owned by `down_track`.

use super::reception::Totals;
use crate::wire::rtcp::ReportBlock;
use crate::wire::seq::Unwrapper;
use std::time::{Duration, Instant};

/// WIRE.md §4.4.
const INTERVAL: Duration = Duration::from_secs(3);
/// A publisher that has not reported yet is looked at again this soon.
const RETRY: Duration = Duration::from_millis(500);
/// Reports this old no longer prove that the subscriber is there.
const STALE: Duration = Duration::from_secs(10);
/// A round trip longer than this is a mistake in the arithmetic of one of us.
const RTT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct LegReports {
    clock_rate: u32,
    pub packets: u64,
    pub octets: u64,
    next: Option<Instant>,
    rtt: Option<Duration>,
    jitter: Duration,
    received: Option<Instant>,
    highest: Unwrapper<u32>,
    first_highest: Option<u64>,
    lost: u64,
    /// Of 256, in the last block.
    fraction_lost: u8,
    /// A block came since the last quality window.
    heard: bool,
    /// Packets sent and lost at the last quality window.
    scored: Totals,
}

impl LegReports {
    pub fn new(clock_rate: u32) -> LegReports {
        LegReports {
            clock_rate,
            packets: 0,
            octets: 0,
            next: None,
            rtt: None,
            jitter: Duration::ZERO,
            received: None,
            highest: Unwrapper::new(),
            first_highest: None,
            lost: 0,
            fraction_lost: 0,
            heard: false,
            scored: Totals::default(),
        }
    }

    pub fn note_sent(&mut self, payload_bytes: usize) {
        self.packets += 1;
        self.octets += payload_bytes as u64;
    }

    /// True if a sender report is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.packets > 0 && self.next.is_none_or(|next| next <= now)
    }

    pub fn note_reported(&mut self, now: Instant) {
        self.next = Some(now + INTERVAL);
    }

    /// A report was due, but the publisher's clock is not known yet.
    pub fn note_unready(&mut self, now: Instant) {
        self.next = Some(now + RETRY);
    }

    /// When the next sender report is due; `None` before the first packet.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        (self.packets > 0).then(|| self.next.unwrap_or(now))
    }

    /// Takes in a block about this leg; `ours` is our NTP time now.
    pub fn handle_block(&mut self, now: Instant, ours: u64, block: &ReportBlock) {
        self.received = Some(now);
        self.heard = true;
        self.jitter = Duration::from_secs_f64(f64::from(block.jitter) / f64::from(self.clock_rate.max(1)));
        let highest = self.highest.unwrap(block.highest_sequence);
        self.first_highest.get_or_insert(highest);
        self.lost = self.lost.max(block.cumulative_lost.max(0) as u64);
        self.fraction_lost = block.fraction_lost;
        self.rtt = round_trip(ours, block).or(self.rtt);
    }

    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    pub fn jitter(&self) -> Duration {
        self.jitter
    }

    /// Share of 256 lost lately, as reported; none once the reports are old.
    pub fn fraction_lost(&self, now: Instant) -> u8 {
        if self.is_alive(now) { self.fraction_lost } else { 0 }
    }

    /// In total, as reported.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    pub fn is_alive(&self, now: Instant) -> bool {
        self.received.is_some_and(|at| now < at + STALE)
    }

    /// What the subscriber should have got and got since the last call, by its own account; `None` if it said nothing new
    /// or has only begun to.
    pub fn poll_window(&mut self) -> Option<Totals> {
        let heard = std::mem::take(&mut self.heard);
        let expected = self.highest.newest().zip(self.first_highest).map_or(0, |(newest, first)| newest - first);
        let totals = Totals { expected, received: expected.saturating_sub(self.lost).max(self.scored.received) };
        let since = totals.since(self.scored);
        self.scored = totals;
        (heard && totals.expected > 0).then_some(since)
    }

    /// Its reports stopped coming.
    pub fn is_gone(&self, now: Instant) -> bool {
        self.received.is_some() && !self.is_alive(now)
    }
}

/// RFC 3550 §6.4.1; `None` if the subscriber has not seen a sender report or the result is absurd.
fn round_trip(ours: u64, block: &ReportBlock) -> Option<Duration> {
    if block.last_sr == 0 {
        return None;
    }
    let middle = (ours >> 16) as u32;
    let units = middle.wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr) as i32;
    let rtt = Duration::from_micros(u64::try_from(units).ok()? * 1_000_000 / 65_536);
    (rtt <= RTT_MAX).then_some(rtt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let block = |last_sr, delay_since_last_sr| ReportBlock { last_sr, delay_since_last_sr, ..Default::default() };
        let second = 1u64 << 32;
        let cases = [
            ("half a second", 10 * second, block(9 << 16, 1 << 15), Some(Duration::from_millis(500))),
            ("across the wrap", second / 4, block(u32::MAX - (1 << 14) + 1, 0), Some(Duration::from_millis(500))),
            ("no report seen", 10 * second, block(0, 0), None),
            ("negative", 10 * second, block(10 << 16, 1), None),
            ("absurd", 100 * second, block(1 << 16, 0), None),
        ];
        for (name, ours, block, expected) in cases {
            assert_eq!(round_trip(ours, &block), expected, "{name}");
        }
    }

    #[test]
    fn windows_follow_the_subscribers_account() {
        let now = super::super::test_epoch();
        let mut reports = LegReports::new(90_000);
        let mut hear = |highest_sequence, cumulative_lost| {
            let block = ReportBlock { highest_sequence, cumulative_lost, jitter: 900, ..Default::default() };
            reports.handle_block(now, 0, &block);
            reports.poll_window().map(|window| (window.expected, window.lost()))
        };
        assert_eq!(hear(1_000, 0), None, "a beginning");
        assert_eq!(hear(1_100, 5), Some((100, 5)));
        assert_eq!(hear(1_200, 5), Some((100, 0)));
        assert!(reports.poll_window().is_none(), "nothing new");
        assert!(!reports.is_gone(now) && reports.is_gone(now + STALE));
        assert_eq!(reports.jitter(), Duration::from_millis(10));
    }
}
