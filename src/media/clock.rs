//! The clocks of a publisher, told by its sender reports (RFC 3550 §6.4.1): how the timestamps of its streams relate to
//! each other, and its wall clock to ours. Kept by `up_track`.

use std::time::Instant;

/// NTP seconds in 32.32 fixed point.
const SECOND: i128 = 1 << 32;

/// A stream's last sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// On the publisher's clock.
    pub ntp: u64,
    pub timestamp: u32,
    pub received: Instant,
}

impl StreamReport {
    /// The timestamp the stream has at a moment of the publisher's clock.
    pub fn timestamp_at(&self, ntp: u64, clock_rate: u32) -> u32 {
        let elapsed = i128::from(ntp) - i128::from(self.ntp);
        let ticks = (elapsed * i128::from(clock_rate) + SECOND / 2).div_euclid(SECOND);
        self.timestamp.wrapping_add(ticks as u32)
    }

    /// The moment of the publisher's clock a timestamp belongs to.
    fn ntp_at(&self, timestamp: u32, clock_rate: u32) -> u64 {
        let ticks = i128::from(timestamp.wrapping_sub(self.timestamp) as i32);
        (i128::from(self.ntp) + ticks * SECOND / i128::from(clock_rate.max(1))) as u64
    }

    /// `timestamp` of this stream on the clock of the stream `other` reports.
    pub fn align(&self, other: &StreamReport, timestamp: u32, clock_rate: u32) -> u32 {
        other.timestamp_at(self.ntp_at(timestamp, clock_rate), clock_rate)
    }

    /// The middle 32 bits of the NTP time, as report blocks repeat them.
    pub fn middle(&self) -> u32 {
        (self.ntp >> 16) as u32
    }
}

/// How far our clock is ahead of the publisher's, from the report that took the shortest way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockOffset(Option<i64>);

impl ClockOffset {
    /// Takes a report in: `ours` is our NTP time at its arrival.
    pub fn observe(&mut self, ours: u64, theirs: u64) {
        let offset = ours.wrapping_sub(theirs) as i64;
        self.0 = Some(match self.0 {
            // A sixteenth of the difference, lest a clock that drifts away is never followed.
            Some(least) if offset > least => least + offset.saturating_sub(least) / 16,
            _ => offset,
        });
    }

    pub fn to_ours(self, theirs: u64) -> Option<u64> {
        self.0.map(|offset| theirs.wrapping_add_signed(offset))
    }

    pub fn to_theirs(self, ours: u64) -> Option<u64> {
        self.0.map(|offset| ours.wrapping_sub(offset as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NTP: u64 = 3_900_000_000 << 32;

    fn report(ntp: u64, timestamp: u32) -> StreamReport {
        StreamReport { ntp, timestamp, received: super::super::test_epoch() }
    }

    #[test]
    fn streams_align_by_their_reports() {
        let low = report(NTP, 1_000);
        let high = report(NTP + (1 << 31), u32::MAX - 999); // half a second later, wraps
        assert_eq!(high.align(&low, u32::MAX - 999, 90_000), 46_000);
        assert_eq!(high.align(&low, 0, 90_000), 47_000);
        assert_eq!(low.align(&high, 1_000, 90_000), (u32::MAX - 999).wrapping_sub(45_000));
    }

    #[test]
    fn the_shortest_way_sets_the_offset() {
        let mut offset = ClockOffset::default();
        assert_eq!(offset.to_ours(5), None);
        offset.observe(NTP + 1_000, NTP);
        offset.observe(NTP + 400, NTP);
        assert_eq!((offset.to_ours(NTP), offset.to_theirs(NTP)), (Some(NTP + 400), Some(NTP - 400)));
        offset.observe(NTP + 2_000, NTP);
        assert_eq!(offset.to_ours(NTP), Some(NTP + 500));
        let mut behind = ClockOffset::default();
        behind.observe(NTP, NTP + 7);
        assert_eq!((behind.to_ours(NTP), behind.to_theirs(NTP)), (Some(NTP - 7), Some(NTP + 7)));
    }

    #[test]
    fn reports_of_any_two_times_are_taken() {
        let times = [0, 1, 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX];
        for (first, second) in times.iter().flat_map(|first| times.map(|second| (*first, second))) {
            let mut offset = ClockOffset::default();
            offset.observe(0, first);
            offset.observe(0, second);
            assert!(offset.to_ours(second).is_some(), "{first} {second}");
        }
    }
}
