//! When packets with transport-wide numbers arrived, until the next feedback tells the server
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1). Called by `peer`.

use crate::limits::TRANSPORT_CC_HELD_MAX;
use crate::wire::rtcp::{FeedbackHeader, write_transport_cc};
use crate::wire::seq::Unwrapper;
use std::time::Instant;

/// Units of feedback: reference time and deltas.
const REFERENCE_US: u64 = 64_000;
const DELTA_US: i64 = 250;
/// Numbers one feedback speaks of; a larger gap begins another.
const SPAN_MAX: u64 = 512;

pub struct Arrivals {
    epoch: Instant,
    numbers: Unwrapper<u16>,
    /// Numbers with microseconds since `epoch`, in the order they came.
    held: Vec<(u64, u64)>,
    media_ssrc: u32,
    count: u8,
}

impl Arrivals {
    pub fn new(epoch: Instant) -> Arrivals {
        Arrivals { epoch, numbers: Unwrapper::new(), held: Vec::new(), media_ssrc: 0, count: 0 }
    }

    pub fn note(&mut self, now: Instant, number: u16, media_ssrc: u32) {
        let at = now.saturating_duration_since(self.epoch).as_micros();
        if self.held.len() < TRANSPORT_CC_HELD_MAX {
            self.held.push((self.numbers.unwrap(number), u64::try_from(at).unwrap_or(u64::MAX)));
            self.media_ssrc = media_ssrc;
        }
    }

    /// Appends feedback on all that arrived and forgets it; answers how many packets that took.
    pub fn write(&mut self, sender_ssrc: u32, out: &mut Vec<u8>) -> u64 {
        let mut held = std::mem::take(&mut self.held);
        // A number that came twice came when it came first.
        held.sort_by_key(|(number, _)| *number);
        held.dedup_by_key(|(number, _)| *number);
        let (mut rest, mut written) = (&held[..], 0);
        while let Some((first, _)) = rest.first() {
            let (told, later) = rest.split_at(rest.partition_point(|(number, _)| *number < first + SPAN_MAX));
            self.write_one(sender_ssrc, told, out);
            rest = later;
            written += 1;
        }
        held.clear();
        self.held = held;
        written
    }

    /// Numbers in order, at least one.
    fn write_one(&mut self, sender_ssrc: u32, told: &[(u64, u64)], out: &mut Vec<u8>) {
        let Some(((first, at), (last, _))) = told.first().zip(told.last()).map(|(a, b)| (*a, *b)) else { return };
        let reference = at / REFERENCE_US;
        let header = FeedbackHeader {
            sender_ssrc,
            media_ssrc: self.media_ssrc,
            base_sequence: first as u16,
            reference_time: (reference & 0x7F_FFFF) as i32,
            feedback_count: self.count,
        };
        self.count = self.count.wrapping_add(1);
        let mut before = (reference * REFERENCE_US) as i64;
        let mut told = told.iter().peekable();
        let deltas: Vec<Option<i16>> = (first..=last)
            .map(|number| {
                let (_, at) = told.next_if(|(next, _)| *next == number)?;
                let steps = (*at as i64 - before) / DELTA_US;
                let steps = i16::try_from(steps).unwrap_or(if steps < 0 { i16::MIN } else { i16::MAX });
                before += i64::from(steps) * DELTA_US;
                Some(steps)
            })
            .collect();
        write_transport_cc(out, &header, &deltas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::clock;
    use crate::wire::rtcp::{Packet, packets};
    use std::time::Duration;

    #[test]
    fn feedback_tells_times_and_gaps() {
        let epoch = clock::now();
        let mut arrivals = Arrivals::new(epoch);
        for (number, ms) in [(65_535u16, 100), (1, 110), (2, 105)] {
            arrivals.note(epoch + Duration::from_millis(ms), number, 9);
        }
        let mut out = Vec::new();
        assert_eq!(arrivals.write(7, &mut out), 1);
        let Some(Packet::TransportCc(feedback)) = packets(&out).next() else { panic!("no feedback") };
        assert_eq!((feedback.header.base_sequence, feedback.header.reference_time), (65_535, 1));
        let deltas: Vec<_> = feedback.statuses().map(|s| s.delta).collect();
        assert_eq!(deltas, [Some(144), None, Some(40), Some(-20)]);
        assert_eq!(arrivals.write(7, &mut out), 0);
    }

    #[test]
    fn far_apart_numbers_take_two() {
        let epoch = clock::now();
        let mut arrivals = Arrivals::new(epoch);
        arrivals.note(epoch, 1, 9);
        arrivals.note(epoch, 20_000, 9);
        assert_eq!(arrivals.write(7, &mut Vec::new()), 2);
    }
}
