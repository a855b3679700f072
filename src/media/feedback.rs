//! Transport-wide congestion control feedback towards one publisher's connection: which packets arrived when
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01), at the cadence of WIRE.md §4.4. Owned by the shard, one for each
//! connection that numbers its packets; knows nothing of tracks.

use crate::limits::{TRANSPORT_CC_HELD_MAX, TRANSPORT_CC_STATUSES_MAX};
use crate::wire::rtcp::{FeedbackHeader, write_transport_cc};
use crate::wire::seq::Unwrapper;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(100);
/// At the end of a frame feedback goes out this early.
const FRAME_INTERVAL: Duration = Duration::from_millis(50);
/// More packets than this are reported at once.
const PACKETS_HELD: usize = 100;
const TICK_US: u128 = 250;
const TICKS_PER_REFERENCE: i64 = 256;

#[derive(Clone, Copy, Debug)]
struct Arrived {
    sequence: u64,
    /// Since the epoch, in ticks of 250 us.
    tick: i64,
}

/// The arrivals of one connection not yet reported.
#[derive(Debug)]
pub struct TransportFeedback {
    epoch: Instant,
    unwrapper: Unwrapper<u16>,
    held: Vec<Arrived>,
    deltas: Vec<Option<i16>>,
    /// First number not yet told.
    next: Option<u64>,
    last_sent: Option<Instant>,
    frame_ended: bool,
    count: u8,
}

impl TransportFeedback {
    pub fn new(now: Instant) -> TransportFeedback {
        TransportFeedback {
            epoch: now,
            unwrapper: Unwrapper::new(),
            held: Vec::new(),
            deltas: Vec::new(),
            next: None,
            last_sent: None,
            frame_ended: false,
            count: 0,
        }
    }

    /// Notes a packet by its transport-wide sequence number; `frame_end` is its marker bit. What arrives while too much
    /// is held is not reported: the caller failed to poll.
    ///
    /// # Cost
    /// No allocation once as many were held before.
    pub fn note(&mut self, now: Instant, sequence: u16, frame_end: bool) {
        self.last_sent.get_or_insert(now);
        if self.held.len() < TRANSPORT_CC_HELD_MAX {
            let sequence = self.unwrapper.unwrap(sequence);
            self.held.push(Arrived { sequence, tick: self.tick(now) });
        }
        self.frame_ended |= frame_end;
    }

    /// When to poll at the latest; earlier polls may find feedback due as well.
    pub fn deadline(&self) -> Option<Instant> {
        let wait = match self.held.len() {
            0 => return None,
            n if n > PACKETS_HELD => Duration::ZERO,
            _ if self.frame_ended => FRAME_INTERVAL,
            _ => INTERVAL,
        };
        self.last_sent.map(|sent| sent + wait)
    }

    /// Appends feedback if it is due and says whether it did.
    pub fn poll(&mut self, now: Instant, sender_ssrc: u32, media_ssrc: u32, out: &mut Vec<u8>) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        self.held.sort_unstable_by_key(|arrived| arrived.sequence);
        self.held.dedup_by_key(|arrived| arrived.sequence);
        let mut rest = std::mem::take(&mut self.held);
        let mut from = 0;
        while let Some(first) = rest.get(from).copied() {
            from += self.write(first, &rest[from..], sender_ssrc, media_ssrc, out);
        }
        rest.clear();
        (self.held, self.last_sent, self.frame_ended) = (rest, Some(now), false);
        true
    }

    /// Writes one packet on as many arrivals as it can span and returns their number, at least one.
    fn write(
        &mut self,
        first: Arrived,
        held: &[Arrived],
        sender_ssrc: u32,
        media_ssrc: u32,
        out: &mut Vec<u8>,
    ) -> usize {
        let base = self.base(first.sequence);
        let reference = first.tick.div_euclid(TICKS_PER_REFERENCE);
        let mut last_tick = reference * TICKS_PER_REFERENCE;
        let told = held.iter().take_while(|a| a.sequence - base < TRANSPORT_CC_STATUSES_MAX as u64).count();
        self.deltas.clear();
        for arrived in &held[..told] {
            self.deltas.resize((arrived.sequence - base) as usize, None);
            self.deltas.push(Some(delta(arrived.tick - last_tick)));
            last_tick = arrived.tick;
            self.next = self.next.max(Some(arrived.sequence + 1));
        }
        let header = FeedbackHeader {
            sender_ssrc,
            media_ssrc,
            base_sequence: base as u16,
            reference_time: reference as i32,
            feedback_count: self.count,
        };
        write_transport_cc(out, &header, &self.deltas);
        self.count = self.count.wrapping_add(1);
        told
    }

    /// Where a report begins: at the first number not told, so that losses in between are told, unless too many.
    fn base(&self, first: u64) -> u64 {
        let near = |next: &u64| *next < first && first - next < TRANSPORT_CC_STATUSES_MAX as u64 / 2;
        self.next.filter(near).unwrap_or(first)
    }

    fn tick(&self, now: Instant) -> i64 {
        (now.saturating_duration_since(self.epoch).as_micros() / TICK_US) as i64
    }
}

fn delta(ticks: i64) -> i16 {
    ticks.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{Packet, packets};

    fn at(us: u64) -> Instant {
        super::super::test_epoch() + Duration::from_micros(us)
    }

    /// (sequence, arrival in us since the epoch if it came) of everything reported.
    fn told(out: &[u8]) -> Vec<(u16, Option<i64>)> {
        let mut all = Vec::new();
        for packet in packets(out) {
            let Packet::TransportCc(feedback) = packet else { panic!("not feedback: {packet:?}") };
            let mut tick = i64::from(feedback.header.reference_time) * TICKS_PER_REFERENCE;
            for status in feedback.statuses() {
                tick += i64::from(status.delta.unwrap_or(0));
                all.push((status.sequence, status.delta.map(|_| tick * 250)));
            }
        }
        all
    }

    fn polled(feedback: &mut TransportFeedback, now: Instant) -> Option<Vec<(u16, Option<i64>)>> {
        let mut out = Vec::new();
        feedback.poll(now, 1, 2, &mut out).then(|| told(&out))
    }

    #[test]
    fn cadence() {
        for (name, frame_end, due_ms) in [("within a frame", false, 100), ("at a frame end", true, 50)] {
            let mut feedback = TransportFeedback::new(at(0));
            (0..10).for_each(|n| feedback.note(at(n * 1_000), n as u16, frame_end && n == 9));
            assert_eq!(feedback.deadline(), Some(at(due_ms * 1_000)), "{name}");
            assert_eq!(polled(&mut feedback, at(due_ms * 1_000 - 1)), None, "{name}");
            assert_eq!(polled(&mut feedback, at(due_ms * 1_000)).map(|told| told.len()), Some(10), "{name}");
            assert_eq!(feedback.deadline(), None, "{name}: nothing is held");
            feedback.note(at(400_000), 10, frame_end);
            assert!(polled(&mut feedback, at(400_000)).is_some(), "{name}: it was due while nothing came");
        }
    }

    #[test]
    fn more_than_a_hundred_are_told_at_once() {
        let mut feedback = TransportFeedback::new(at(0));
        (0..100).for_each(|n| feedback.note(at(n), n as u16, false));
        assert_eq!(polled(&mut feedback, at(200)), None);
        feedback.note(at(201), 100, false);
        assert_eq!(polled(&mut feedback, at(201)).map(|t| t.len()), Some(101));
    }

    #[test]
    fn losses_within_and_between_reports_are_told() {
        let mut feedback = TransportFeedback::new(at(0));
        feedback.note(at(1_000), 65_534, false);
        feedback.note(at(3_000), 0, false);
        let report = polled(&mut feedback, at(101_000)).unwrap();
        assert_eq!(report, [(65_534, Some(1_000)), (65_535, None), (0, Some(3_000))]);
        feedback.note(at(150_000), 3, false);
        assert_eq!(polled(&mut feedback, at(150_999)), None);
        let report = polled(&mut feedback, at(201_000)).unwrap();
        assert_eq!(report, [(1, None), (2, None), (3, Some(150_000))]);
    }

    #[test]
    fn late_packets_are_told_afterwards() {
        let mut feedback = TransportFeedback::new(at(0));
        [5, 7].iter().for_each(|n| feedback.note(at(1_000), *n, false));
        polled(&mut feedback, at(101_000));
        feedback.note(at(102_000), 6, false);
        feedback.note(at(103_000), 8, false);
        let report = polled(&mut feedback, at(202_000)).unwrap();
        assert_eq!(report, [(6, Some(102_000)), (7, None), (8, Some(103_000))]);
    }

    #[test]
    fn a_jump_does_not_grow_the_report() {
        let mut feedback = TransportFeedback::new(at(0));
        [0, 30_000].iter().for_each(|n| feedback.note(at(1_000), *n, false));
        assert_eq!(polled(&mut feedback, at(101_000)).unwrap(), [(0, Some(1_000)), (30_000, Some(1_000))]);
    }
}
