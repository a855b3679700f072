//! The outgoing sequence numbers and timestamps of one leg: one continuous series whatever stream they come from
//! (WIRE.md §4.2). Called by `down_track`.

use super::number_map::NumberMap;
use std::time::{Duration, Instant};

/// A new layer may be behind the last timestamp by this much before the elapsed time is trusted more…
const SWITCH_BEHIND: Duration = Duration::from_millis(50);
/// …and ahead of the elapsed time by this much.
const SWITCH_AHEAD: Duration = Duration::from_millis(25);
/// The same for a stream that was paused.
const RESUME_BEHIND: Duration = Duration::from_millis(200);
/// A paused stream whose clock is this far from the elapsed time has restarted it.
const RESUME_APART: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
struct Last {
    timestamp: u32,
    at: Instant,
}

/// The numbers of one leg.
#[derive(Debug)]
pub struct Rewriter {
    clock_rate: u32,
    sequences: NumberMap,
    /// Added, wrapping, to incoming timestamps.
    timestamp_offset: u32,
    /// The source forwarded now, `None` when interrupted.
    source: Option<u32>,
    /// The source the offset belongs to, kept over interruptions.
    offset_source: Option<u32>,
    /// The newest packet sent.
    last: Option<Last>,
}

impl Rewriter {
    pub fn new(clock_rate: u32) -> Rewriter {
        let sequences = NumberMap::default();
        Rewriter { clock_rate, sequences, timestamp_offset: 0, source: None, offset_source: None, last: None }
    }

    /// The source being forwarded.
    pub fn source(&self) -> Option<u32> {
        self.source
    }

    /// The source whose timestamps [`Rewriter::timestamp`] translates, forwarded or interrupted.
    pub fn offset_source(&self) -> Option<u32> {
        self.offset_source
    }

    /// Stops following the source; what comes next continues the series.
    pub fn interrupt(&mut self) {
        self.source = None;
    }

    /// Follows `source` from this packet on. The first source ever keeps its numbers; a later one continues at the
    /// last + 1. `aligned` is the packet's timestamp on the clock of the source before, if sender reports tell.
    pub fn follow(&mut self, now: Instant, source: u32, sequence: u64, timestamp: u32, aligned: Option<u32>) {
        let next = self.sequences.newest_outgoing().map_or(sequence, |newest| newest.wrapping_add(1));
        self.sequences.start(sequence, next);
        if let Some(last) = self.last {
            let resumes = self.offset_source == Some(source);
            let aligned = if resumes { Some(timestamp) } else { aligned };
            let chosen = self.choose(now, last, aligned.map(|t| t.wrapping_add(self.timestamp_offset)), resumes);
            self.timestamp_offset = chosen.wrapping_sub(timestamp);
        }
        self.source = Some(source);
        self.offset_source = Some(source);
    }

    /// The outgoing timestamp of the first packet after a switch or a pause.
    fn choose(&self, now: Instant, last: Last, reference: Option<u32>, resumes: bool) -> u32 {
        let expected = last.timestamp.wrapping_add(self.ticks(now.saturating_duration_since(last.at)) as u32);
        let ahead = |a: u32, b: u32| i64::from(a.wrapping_sub(b) as i32);
        let credible = |reference: &u32| {
            let (behind, apart) = (ahead(last.timestamp, *reference), ahead(*reference, expected));
            if resumes {
                behind <= self.ticks(RESUME_BEHIND) && apart.abs() <= self.ticks(RESUME_APART)
            } else {
                behind <= self.ticks(SWITCH_BEHIND) && apart <= self.ticks(SWITCH_AHEAD)
            }
        };
        let chosen = reference.filter(credible).unwrap_or(expected);
        if ahead(chosen, last.timestamp) > 0 { chosen } else { last.timestamp.wrapping_add(1) }
    }

    fn ticks(&self, time: Duration) -> i64 {
        (time.as_micros() * u128::from(self.clock_rate) / 1_000_000) as i64
    }

    /// The outgoing (unwrapped) sequence number of a packet of the current source; `None` if its place is gone.
    pub fn place(&mut self, sequence: u64) -> Option<u64> {
        self.sequences.place(sequence)
    }

    /// Closes the gap of a packet of the current source that is not forwarded.
    pub fn skip(&mut self, sequence: u64) {
        self.sequences.skip(sequence);
    }

    /// The unwrapped number of a sequence number sent lately; `None` before the first.
    pub fn unwrap(&self, sequence: u16) -> Option<u64> {
        let newest = self.sequences.newest_outgoing()?;
        newest.checked_sub(u64::from((newest as u16).wrapping_sub(sequence)))
    }

    /// The incoming number of the current source an outgoing one stands for.
    pub fn incoming(&self, outgoing: u64) -> Option<u64> {
        self.sequences.incoming(outgoing)
    }

    pub fn timestamp(&self, timestamp: u32) -> u32 {
        timestamp.wrapping_add(self.timestamp_offset)
    }

    /// Notes what was sent, to continue from there.
    pub fn note_sent(&mut self, now: Instant, timestamp: u32) {
        let newer = self.last.is_none_or(|last| timestamp.wrapping_sub(last.timestamp) as i32 > 0);
        if newer {
            self.last = Some(Last { timestamp, at: now });
        }
    }

    /// The newest timestamp sent.
    pub fn last_timestamp(&self) -> Option<u32> {
        self.last.map(|last| last.timestamp)
    }

    /// Numbers for a packet of our own, `ticks` after the last: (unwrapped sequence, timestamp). A leg that has sent
    /// nothing begins at `first`.
    pub fn inject(&mut self, now: Instant, ticks: u32, first: (u16, u32)) -> (u64, u32) {
        let timestamp = self.last.map_or(first.1, |last| last.timestamp.wrapping_add(ticks));
        let sequence = self.sequences.insert().unwrap_or_else(|| {
            let first = u64::from(first.0) + (1 << 16);
            self.sequences.start(0, first);
            first
        });
        self.note_sent(now, timestamp);
        (sequence, timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: u32 = 90_000;

    fn at(ms: u64) -> Instant {
        super::super::test_epoch() + Duration::from_millis(ms)
    }

    /// A rewriter that sent sequence 10 at timestamp 1000 and time 0 from source 1.
    fn running() -> Rewriter {
        let mut rewriter = Rewriter::new(VIDEO);
        rewriter.follow(at(0), 1, 10, 1_000, None);
        assert_eq!((rewriter.place(10), rewriter.timestamp(1_000)), (Some(10), 1_000));
        rewriter.note_sent(at(0), 1_000);
        rewriter
    }

    #[test]
    fn a_switch_continues_the_series() {
        // (name, aligned timestamp, elapsed ms, outgoing timestamp)
        let cases = [
            ("by sender reports", Some(1_000 + 2_970), 33, 3_970),
            ("a little behind", Some(1_000u32.wrapping_sub(2_000)), 33, 1_001),
            ("far behind: elapsed time", Some(1_000u32.wrapping_sub(9_000)), 33, 3_970),
            ("far ahead: elapsed time", Some(1_000 + 90_000), 33, 3_970),
            ("no sender reports", None, 100, 10_000),
            ("no time passed", None, 0, 1_001),
        ];
        for (name, aligned, elapsed, expected) in cases {
            let mut rewriter = running();
            rewriter.follow(at(elapsed), 2, 7_000, 500_000, aligned);
            assert_eq!(rewriter.place(7_000), Some(11), "{name}");
            assert_eq!(rewriter.timestamp(500_000), expected, "{name}");
            assert_eq!(rewriter.place(6_999), None, "{name}: before the switch");
        }
    }

    #[test]
    fn a_pause_keeps_the_clock_unless_it_was_restarted() {
        // (name, incoming timestamp, elapsed ms, outgoing)
        let cases = [
            ("ran on", 1_000 + 450_000, 5_000, 451_000),
            ("stood still a little", 1_000 + 360_000, 5_000, 361_000),
            ("stood still long: elapsed time", 1_000 + 90_000, 5_000, 451_000),
            ("restarted: elapsed time", 77, 5_000, 451_000),
        ];
        for (name, incoming, elapsed, expected) in cases {
            let mut rewriter = running();
            rewriter.interrupt();
            rewriter.follow(at(elapsed), 1, 500, incoming, None);
            assert_eq!((rewriter.place(500), rewriter.timestamp(incoming)), (Some(11), expected), "{name}");
        }
    }

    #[test]
    fn wraps_with_the_incoming_numbers() {
        let mut rewriter = Rewriter::new(VIDEO);
        rewriter.follow(at(0), 1, 0x1_FFFF, u32::MAX, None);
        rewriter.note_sent(at(0), u32::MAX);
        assert_eq!(rewriter.place(0x2_0000), Some(0x2_0000));
        rewriter.follow(at(10), 2, 9, 4_000, None);
        assert_eq!((rewriter.place(9), rewriter.timestamp(4_000)), (Some(0x2_0001), 899));
    }

    #[test]
    fn own_packets_join_the_series() {
        let mut rewriter = running();
        assert_eq!(rewriter.inject(at(20), 960, (0, 0)), (11, 1_960));
        assert_eq!(rewriter.place(11), Some(12));
        let mut fresh = Rewriter::new(VIDEO);
        assert_eq!(fresh.inject(at(0), 960, (7, 70)), (0x1_0007, 70));
        assert_eq!(fresh.inject(at(20), 960, (7, 70)), (0x1_0008, 1_030));
        fresh.follow(at(40), 1, 300, 9, None);
        assert_eq!((fresh.place(300), fresh.timestamp(9)), (Some(0x1_0009), 1_030 + 1_800));
    }
}
