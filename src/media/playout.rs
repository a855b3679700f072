//! How long a subscriber should hold back video before it shows it: told in packets until one has arrived, more when
//! arrivals jitter (WIRE.md §4.16). Owned by `down_track`.

use crate::wire::ext::PlayoutDelay;
use std::time::{Duration, Instant};

/// Jitter is a mean deviation; nearly all packets arrive within this many.
const JITTERS: u32 = 4;
/// A change smaller than this is not worth telling.
const STEP_MS: u16 = 30;
const CHANGE_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
pub struct Playout {
    bounds: PlayoutDelay,
    min_ms: u16,
    /// The first packet that told the current value.
    told_from: Option<u16>,
    is_known: bool,
    changed: Option<Instant>,
}

impl Playout {
    /// Between those bounds; a maximum below the minimum is the minimum.
    pub fn new(bounds: PlayoutDelay) -> Playout {
        let bounds = PlayoutDelay { max_ms: bounds.max_ms.max(bounds.min_ms), ..bounds };
        Playout { bounds, min_ms: bounds.min_ms, told_from: None, is_known: false, changed: None }
    }

    /// The value for packets, until the subscriber has it.
    pub fn value(&self) -> Option<[u8; 3]> {
        let value = PlayoutDelay { min_ms: self.min_ms, max_ms: self.bounds.max_ms };
        (!self.is_known).then(|| value.to_bytes())
    }

    /// A packet told the value.
    pub fn note_told(&mut self, sequence: u16) {
        self.told_from.get_or_insert(sequence);
    }

    /// The subscriber has got packets up to `sequence`, with that jitter.
    pub fn handle_report(&mut self, now: Instant, sequence: u16, jitter: Duration) {
        self.is_known |= self.told_from.is_some_and(|from| sequence.wrapping_sub(from) < 0x8000);
        let wanted = (jitter * JITTERS).as_millis().min(u128::from(self.bounds.max_ms)) as u16;
        let soon = self.changed.is_some_and(|at| now < at + CHANGE_INTERVAL);
        if wanted >= self.min_ms.saturating_add(STEP_MS) && !soon {
            (self.min_ms, self.changed) = (wanted, Some(now));
            (self.told_from, self.is_known) = (None, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(playout: &mut Playout, sequence: u16) -> Option<(u16, u16)> {
        playout.note_told(sequence);
        playout.value().map(|bytes| PlayoutDelay::parse(&bytes).unwrap()).map(|d| (d.min_ms, d.max_ms))
    }

    #[test]
    fn told_until_it_arrived_and_again_when_arrivals_jitter() {
        let at = |ms| super::super::test_epoch() + Duration::from_millis(ms);
        let quiet = Duration::from_millis(5);
        let mut playout = Playout::new(PlayoutDelay { min_ms: 100, max_ms: 300 });
        assert_eq!(told(&mut playout, 10), Some((100, 300)));
        playout.handle_report(at(0), 9, quiet);
        assert_eq!(told(&mut playout, 11), Some((100, 300)), "10 has not arrived");
        playout.handle_report(at(1_000), 12, quiet);
        assert_eq!(told(&mut playout, 13), None);
        playout.handle_report(at(2_000), 50, Duration::from_millis(40));
        assert_eq!(told(&mut playout, 51), Some((160, 300)));
        playout.handle_report(at(3_000), 52, Duration::from_millis(200));
        assert_eq!(told(&mut playout, 53), None, "too soon for a change");
        playout.handle_report(at(5_000), 60, Duration::from_millis(200));
        assert_eq!(told(&mut playout, 61), Some((300, 300)), "no more than the maximum");
        playout.handle_report(at(9_000), 90, quiet);
        assert_eq!(told(&mut playout, 91), None, "it does not fall");
    }
}
