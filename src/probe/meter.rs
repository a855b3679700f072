//! What a received track was like: loss of what was published, jitter, and how old packets were when they came. Fed by
//! `media`; knows packets and times, no sockets.

use super::report::ms;
use crate::client::stamp::Stamp;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::HashSet;
use std::time::Duration;

/// A track's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Packets published from the first one received on.
    pub expected: u64,
    pub received: u64,
    pub lost: u64,
    /// After retransmission.
    pub loss_percent: f64,
    pub duplicates: u64,
    /// RFC 3550 §6.4.1.
    pub jitter_ms: f64,
    /// From sending to receiving, both by this machine's clock: to the server, through it, and back.
    pub latency_p50_ms: f64,
    pub latency_p95_ms: f64,
    pub latency_max_ms: f64,
}

/// Longest age told apart, in microseconds: a minute.
const LATENCY_MAX_US: u64 = 60_000_000;

/// Measures one track.
pub struct Meter {
    clock_hz: f64,
    first: Option<u32>,
    seen: HashSet<u32>,
    duplicates: u64,
    /// Arrival and RTP time of the last packet, in seconds, and the smoothed difference.
    last: Option<(f64, u32)>,
    jitter_s: f64,
    latency_us: Histogram<u64>,
}

impl Meter {
    pub fn new(clock_hz: u32) -> Meter {
        // The bounds are constants the histogram takes.
        let latency_us = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).unwrap_or_else(|_| unreachable!());
        let seen = HashSet::new();
        Meter { clock_hz: f64::from(clock_hz), first: None, seen, duplicates: 0, last: None, jitter_s: 0.0, latency_us }
    }

    /// A packet came at `now_us` (microseconds since 1970) with that RTP time.
    pub fn take(&mut self, stamp: &Stamp, timestamp: u32, now_us: u64) {
        self.first.get_or_insert(stamp.number);
        if !self.seen.insert(stamp.number) {
            self.duplicates += 1;
            return;
        }
        self.latency_us.saturating_record(now_us.saturating_sub(stamp.sent_us));
        self.note_jitter(now_us as f64 / 1e6, timestamp);
    }

    fn note_jitter(&mut self, arrived_s: f64, timestamp: u32) {
        if let Some((before_s, before)) = self.last {
            let spacing_s = f64::from(timestamp.wrapping_sub(before).cast_signed()) / self.clock_hz;
            let difference = (arrived_s - before_s - spacing_s).abs();
            self.jitter_s += (difference - self.jitter_s) / 16.0;
        }
        self.last = Some((arrived_s, timestamp));
    }

    /// All of the packets published since the first one received have come, `sent` having been published altogether.
    pub fn is_complete(&self, sent: u32) -> bool {
        self.first.is_some_and(|first| self.within(first, sent) >= u64::from(sent.saturating_sub(first)))
    }

    fn within(&self, first: u32, sent: u32) -> u64 {
        self.seen.iter().filter(|number| (first..sent).contains(number)).count() as u64
    }

    /// The figures, `sent` packets having been published; `None` if nothing came.
    pub fn measured(&self, sent: u32) -> Option<Measured> {
        let first = self.first?;
        let expected = u64::from(sent.saturating_sub(first));
        let received = self.within(first, sent);
        let lost = expected - received;
        let at = |quantile| ms(Duration::from_micros(self.latency_us.value_at_quantile(quantile)));
        Some(Measured {
            expected,
            received,
            lost,
            loss_percent: lost as f64 * 100.0 / expected.max(1) as f64,
            duplicates: self.duplicates,
            jitter_ms: ms(Duration::from_secs_f64(self.jitter_s)),
            latency_p50_ms: at(0.5),
            latency_p95_ms: at(0.95),
            latency_max_ms: at(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u32) -> Stamp {
        let sent_us = 1_000_000 + u64::from(number) * 20_000;
        Stamp { number, frame: number, index: 0, count: 1, layer: 0, scalable: false, key_frame: false, sent_us }
    }

    /// Packets `numbers`, each `late_us` after it was sent.
    fn measured(numbers: impl IntoIterator<Item = u32>, late_us: impl Fn(u32) -> u64, sent: u32) -> Measured {
        let mut meter = Meter::new(48_000);
        for number in numbers {
            let stamp = stamp(number);
            meter.take(&stamp, number.wrapping_mul(960), stamp.sent_us + late_us(number));
        }
        meter.measured(sent).unwrap()
    }

    #[test]
    fn what_is_missing_from_the_first_received_to_the_last_sent_is_lost() {
        let all = measured((100..300).filter(|n| n % 50 != 10), |_| 5_000, 300);
        assert_eq!((all.expected, all.received, all.lost, all.loss_percent), (200, 196, 4, 2.0));
        assert_eq!((all.jitter_ms, all.latency_p50_ms.round()), (0.0, 5.0));
        assert_eq!(measured(0..90, |_| 0, 100).lost, 10, "the last ones count too");
    }

    #[test]
    fn order_does_not_matter_and_doubles_are_told() {
        let all = measured([2, 1, 0, 1].into_iter().chain(3..10), |_| 1_000, 10);
        assert_eq!((all.expected, all.received, all.duplicates), (8, 8, 1), "counted from the first that came");
    }

    #[test]
    fn a_wavering_delay_is_jitter() {
        let all = measured(0..500, |n| if n % 2 == 0 { 0 } else { 10_000 }, 500);
        assert!((all.jitter_ms - 10.0).abs() < 0.5, "{all:?}");
        assert!((all.latency_max_ms - 10.0).abs() < 0.1, "{all:?}");
    }

    #[test]
    fn nothing_is_no_figure() {
        assert_eq!(Meter::new(90_000).measured(5), None);
        assert!(!Meter::new(90_000).is_complete(5));
    }
}
