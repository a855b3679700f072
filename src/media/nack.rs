//! The gaps in a received stream and when to ask for them again (RFC 4585 §6.2.1, WIRE.md §4.3).
//! Kept by `up_stream`; numbers are unwrapped.

use crate::limits::{NACK_OUTSTANDING_MAX, NACK_TRIES_MAX};
use std::time::{Duration, Instant};

/// A packet may merely be overtaken: this long nobody asks for it.
const REORDER_WAIT: Duration = Duration::from_millis(10);
const INTERVAL_MIN: Duration = Duration::from_millis(20);
const INTERVAL_MAX: Duration = Duration::from_millis(400);
const BACKOFF: f64 = 1.25;

#[derive(Clone, Copy, Debug)]
struct Missing {
    sequence: u64,
    tries: u8,
    next: Instant,
}

/// Missing packets of one stream, oldest first.
#[derive(Debug, Default)]
pub struct NackList {
    missing: Vec<Missing>,
}

impl NackList {
    /// Notes that `begin..end` did not come. Beyond [`NACK_OUTSTANDING_MAX`] the oldest are given up.
    pub fn note_gap(&mut self, now: Instant, begin: u64, end: u64) {
        let begin = begin.max(end.saturating_sub(NACK_OUTSTANDING_MAX as u64));
        let kept = NACK_OUTSTANDING_MAX - end.saturating_sub(begin) as usize;
        let surplus = self.missing.len().saturating_sub(kept);
        self.missing.drain(..surplus);
        let next = now + REORDER_WAIT;
        self.missing.extend((begin..end).map(|sequence| Missing { sequence, tries: 0, next }));
    }

    /// Notes that a packet came after all.
    pub fn note_received(&mut self, sequence: u64) {
        if let Ok(at) = self.missing.binary_search_by_key(&sequence, |m| m.sequence) {
            self.missing.remove(at);
        }
    }

    /// When to poll next.
    pub fn deadline(&self) -> Option<Instant> {
        self.missing.iter().map(|m| m.next).min()
    }

    /// Appends the sequence numbers to ask for now, in order, and drops those asked for often enough.
    pub fn poll(&mut self, now: Instant, rtt: Duration, lost: &mut Vec<u16>) {
        self.missing.retain_mut(|missing| {
            if missing.next > now {
                return true;
            }
            if missing.tries == NACK_TRIES_MAX {
                return false;
            }
            missing.next = now + interval(rtt, missing.tries);
            missing.tries += 1;
            lost.push(missing.sequence as u16);
            true
        });
    }

    pub fn clear(&mut self) {
        self.missing.clear();
    }
}

/// Wait after the try numbered from 0.
fn interval(rtt: Duration, tries: u8) -> Duration {
    rtt.mul_f64(BACKOFF.powi(i32::from(tries))).clamp(INTERVAL_MIN, INTERVAL_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn polled(list: &mut NackList, now: Instant) -> Vec<u16> {
        let mut lost = Vec::new();
        list.poll(now, ms(100), &mut lost);
        lost
    }

    #[test]
    fn asks_after_the_reorder_wait_and_backs_off() {
        let (start, mut list) = (super::super::test_epoch(), NackList::default());
        list.note_gap(start, 65_535, 65_537);
        assert!(polled(&mut list, start + ms(9)).is_empty());
        let mut asked = Vec::new();
        while let Some(due) = list.deadline() {
            let lost = polled(&mut list, due);
            assert!(lost.is_empty() || lost == [65_535, 0]);
            asked.push((due - start).as_millis());
        }
        assert_eq!(asked, [10, 110, 235, 391, 586, 830], "five tries, then given up at the sixth");
    }

    #[test]
    fn a_late_arrival_ends_the_asking() {
        let (start, mut list) = (super::super::test_epoch(), NackList::default());
        list.note_gap(start, 5, 8);
        list.note_received(6);
        assert_eq!(polled(&mut list, start + ms(10)), [5, 7]);
    }

    #[test]
    fn keeps_only_the_newest() {
        let (start, mut list) = (super::super::test_epoch(), NackList::default());
        list.note_gap(start, 0, 60);
        list.note_gap(start, 100, 180);
        assert_eq!(list.missing.len(), NACK_OUTSTANDING_MAX);
        assert_eq!(list.missing[0].sequence, 40);
        list.note_gap(start, 1_000, 1_000_000);
        assert_eq!(list.missing.len(), NACK_OUTSTANDING_MAX);
        assert_eq!(list.missing[0].sequence, 999_900);
    }

    #[test]
    fn waits_are_bounded() {
        assert_eq!(interval(ms(1), 0), INTERVAL_MIN);
        assert_eq!(interval(ms(5_000), 4), INTERVAL_MAX);
    }
}
