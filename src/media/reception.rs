//! What a receiver reports of one stream: loss and jitter as RFC 3550 §6.4.1 and appendix A.3, A.8 define them.

use std::time::{Duration, Instant};

/// Counts of one received stream. Packets recovered by retransmission count as lost, so that the sender sees the
/// network as it is.
#[derive(Clone, Debug)]
pub struct Reception {
    clock_rate: u32,
    epoch: Instant,
    first: Option<u64>,
    highest: u64,
    received: u64,
    bytes: u64,
    /// Arrival time minus timestamp of the last packet, in timestamp units, wrapping.
    transit: u32,
    /// In timestamp units times 16.
    jitter: u32,
    reported: Totals,
}

/// Running totals at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub expected: u64,
    pub received: u64,
}

impl Totals {
    pub fn lost(self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// What came since `before`.
    pub fn since(self, before: Totals) -> Totals {
        Totals { expected: self.expected - before.expected, received: self.received - before.received }
    }
}

/// The loss and jitter fields of a report block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of 256, since the report before.
    pub fraction_lost: u8,
    pub cumulative_lost: u32,
    pub highest_sequence: u32,
    /// In timestamp units.
    pub jitter: u32,
}

impl Reception {
    pub fn new(now: Instant, clock_rate: u32) -> Reception {
        Reception {
            clock_rate,
            epoch: now,
            first: None,
            highest: 0,
            received: 0,
            bytes: 0,
            transit: 0,
            jitter: 0,
            reported: Totals::default(),
        }
    }

    /// Notes a packet with its unwrapped sequence number.
    pub fn observe(&mut self, now: Instant, sequence: u64, timestamp: u32, bytes: usize) {
        self.observe_transit(now, timestamp);
        self.first = Some(self.first.unwrap_or(sequence).min(sequence));
        self.highest = self.highest.max(sequence);
        self.received += 1;
        self.bytes += bytes as u64;
    }

    fn observe_transit(&mut self, now: Instant, timestamp: u32) {
        let arrival = (now - self.epoch).as_micros() * u128::from(self.clock_rate) / 1_000_000;
        let transit = (arrival as u32).wrapping_sub(timestamp);
        let moved = (transit.wrapping_sub(self.transit) as i32).unsigned_abs();
        self.transit = transit;
        if self.first.is_some() {
            self.jitter = self.jitter.saturating_add(moved.min(self.clock_rate)) - ((self.jitter + 8) >> 4);
        }
    }

    pub fn totals(&self) -> Totals {
        let expected = self.first.map_or(0, |first| self.highest - first + 1);
        Totals { expected, received: self.received }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.jitter >> 4) / f64::from(self.clock_rate.max(1)))
    }

    /// The fields of the next report block, `None` before the first packet.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.first?;
        let totals = self.totals();
        let since = totals.since(self.reported);
        self.reported = totals;
        Some(Report {
            fraction_lost: (since.lost() * 256).checked_div(since.expected).unwrap_or(0).min(255) as u8,
            cumulative_lost: totals.lost().min(0x7F_FFFF) as u32,
            highest_sequence: self.highest as u32,
            jitter: self.jitter >> 4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    fn stream(numbers: impl Iterator<Item = u64>) -> Reception {
        let start = super::super::test_epoch();
        let mut reception = Reception::new(start, 48_000);
        numbers.for_each(|n| reception.observe(start + FRAME * n as u32, n, 960 * n as u32, 100));
        reception
    }

    #[test]
    fn counts_loss_per_report_and_in_total() {
        let mut reception = stream((0..100).filter(|n| n % 4 != 1));
        let report = reception.poll_report().unwrap();
        assert_eq!((report.fraction_lost, report.cumulative_lost, report.highest_sequence), (64, 25, 99));
        let start = super::super::test_epoch();
        (100..110).for_each(|n| reception.observe(start + FRAME * n as u32, n, 960 * n as u32, 100));
        let report = reception.poll_report().unwrap();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 25));
    }

    #[test]
    fn duplicates_never_make_loss_negative() {
        let report = stream([5, 5, 5, 6].into_iter()).poll_report().unwrap();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 0));
    }

    #[test]
    fn steady_arrival_has_no_jitter_and_uneven_arrival_has_some() {
        assert_eq!(stream(0..100).jitter(), Duration::ZERO);
        let start = super::super::test_epoch();
        let mut reception = Reception::new(start, 48_000);
        for n in 0..500u32 {
            let late = if n % 2 == 0 { Duration::ZERO } else { Duration::from_millis(10) };
            reception.observe(start + FRAME * n + late, n.into(), 960 * n, 100);
        }
        let jitter = reception.jitter().as_secs_f64();
        assert!((jitter - 0.010).abs() < 0.001, "transit moves by 10 ms each packet: {jitter}");
    }

    #[test]
    fn nothing_to_report_before_the_first_packet() {
        assert_eq!(stream(0..0).poll_report(), None);
    }
}
