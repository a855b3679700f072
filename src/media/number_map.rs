//! Maps an incoming series of numbers to an outgoing one that has no gaps where the forwarder dropped (WIRE.md §4.2).
//! Used by a leg for sequence numbers and for VP8 picture ids, both unwrapped. Knows nothing of packets.

use crate::limits::NUMBER_RUNS_MAX;
use std::collections::VecDeque;

/// A stretch of incoming numbers that share one offset.
#[derive(Clone, Copy, Debug)]
struct Run {
    begin: u64,
    /// Exclusive; `u64::MAX` for the run that is still growing.
    end: u64,
    /// Added, wrapping, to an incoming number.
    offset: u64,
}

impl Run {
    fn map(&self, incoming: u64) -> u64 {
        incoming.wrapping_add(self.offset)
    }
}

/// The map of one series. Numbers missing on the way in keep their place on the way out, so that a late packet fits.
#[derive(Debug, Default)]
pub struct NumberMap {
    /// Oldest first; what lies between two runs was dropped. Never empty once started.
    runs: VecDeque<Run>,
    newest: u64,
}

impl NumberMap {
    /// Begins anew: `incoming` maps to `outgoing` and counts as placed.
    pub fn start(&mut self, incoming: u64, outgoing: u64) {
        self.runs.clear();
        self.open(incoming, outgoing.wrapping_sub(incoming));
        self.newest = incoming;
    }

    /// Highest outgoing number allotted, `None` before [`NumberMap::start`].
    pub fn newest_outgoing(&self) -> Option<u64> {
        self.runs.back().map(|run| run.map(self.newest))
    }

    /// The outgoing number of an incoming one; `None` if that was dropped or is too old.
    ///
    /// # Cost
    /// Constant in order; a scan of at most [`NUMBER_RUNS_MAX`] runs for a late number.
    pub fn place(&mut self, incoming: u64) -> Option<u64> {
        if incoming > self.newest {
            self.newest = incoming;
        }
        self.find(incoming)
    }

    /// The outgoing number without taking note of the incoming one.
    pub fn find(&self, incoming: u64) -> Option<u64> {
        let run = self.runs.iter().rev().find(|run| run.begin <= incoming)?;
        (incoming < run.end).then(|| run.map(incoming))
    }

    /// The incoming number an outgoing one was allotted to.
    pub fn incoming(&self, outgoing: u64) -> Option<u64> {
        let from = |run: &Run| Some(outgoing.wrapping_sub(run.offset)).filter(|n| (run.begin..run.end).contains(n));
        self.runs.iter().rev().find_map(from).filter(|incoming| *incoming <= self.newest)
    }

    /// Drops a number: those after it move down by one. A late number has its place already and leaves a hole.
    pub fn skip(&mut self, incoming: u64) {
        let Some(run) = self.runs.back_mut() else { return };
        if incoming <= self.newest {
            return;
        }
        self.newest = incoming;
        let offset = run.offset.wrapping_sub(1);
        if run.begin == incoming {
            (run.begin, run.offset) = (incoming + 1, offset);
        } else {
            run.end = incoming;
            self.open(incoming + 1, offset);
        }
    }

    /// Allots the next outgoing number to something that did not come in.
    pub fn insert(&mut self) -> Option<u64> {
        let outgoing = self.newest_outgoing()?.wrapping_add(1);
        let next = self.newest + 1;
        let run = self.runs.back_mut()?;
        let offset = run.offset.wrapping_add(1);
        if run.begin == next {
            run.offset = offset;
        } else {
            run.end = next;
            self.open(next, offset);
        }
        Some(outgoing)
    }

    fn open(&mut self, begin: u64, offset: u64) {
        if self.runs.len() == NUMBER_RUNS_MAX {
            self.runs.pop_front();
        }
        self.runs.push_back(Run { begin, end: u64::MAX, offset });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn started() -> NumberMap {
        let mut map = NumberMap::default();
        map.start(100, 10);
        map
    }

    #[test]
    fn dropped_numbers_close_the_gap() {
        let mut map = started();
        assert_eq!(map.place(101), Some(11));
        map.skip(102);
        map.skip(103);
        assert_eq!(map.place(104), Some(12));
        assert_eq!(map.newest_outgoing(), Some(12));
        assert_eq!((map.find(103), map.find(101)), (None, Some(11)));
    }

    #[test]
    fn a_missing_number_keeps_its_place() {
        let mut map = started();
        assert_eq!(map.place(103), Some(13));
        map.skip(104);
        assert_eq!(map.place(105), Some(14));
        assert_eq!(map.place(102), Some(12));
        map.skip(101);
        assert_eq!(map.place(106), Some(15), "a late drop moves nothing");
    }

    #[test]
    fn outgoing_numbers_lead_back() {
        let mut map = started();
        map.place(103);
        map.skip(104);
        map.place(106);
        let back: Vec<_> = (9..17).map(|outgoing| map.incoming(outgoing)).collect();
        let expected = [None, Some(100), Some(101), Some(102), Some(103), Some(105), Some(106), None];
        assert_eq!(back, expected);
    }

    #[test]
    fn what_came_before_the_start_has_no_place() {
        assert_eq!(started().place(99), None);
        assert_eq!(NumberMap::default().place(1), None);
    }

    #[test]
    fn inserted_numbers_push_the_rest_up() {
        let mut map = started();
        assert_eq!((map.insert(), map.insert()), (Some(11), Some(12)));
        assert_eq!(map.place(101), Some(13));
        assert_eq!(map.find(100), Some(10));
        map.skip(102);
        assert_eq!(map.insert(), Some(14));
        assert_eq!(map.place(103), Some(15));
    }

    #[test]
    fn forgets_the_oldest_runs() {
        let mut map = started();
        for n in 0..200u64 {
            map.skip(101 + 2 * n);
            map.place(102 + 2 * n);
        }
        assert_eq!(map.runs.len(), NUMBER_RUNS_MAX);
        assert_eq!(map.find(100), None);
        assert_eq!(map.newest_outgoing(), Some(210));
    }

    /// Whatever is dropped, arrives late or never, forwarded numbers are unique and keep their order.
    #[test]
    fn random_drops_and_reordering_keep_order() {
        for seed in 0..200 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut order: Vec<u64> = (1000..1400).filter(|_| rng.random_bool(0.95)).collect();
            for i in 1..order.len() - 1 {
                if rng.random_bool(0.1) {
                    order.swap(i, i + 1);
                }
            }
            let mut map = NumberMap::default();
            map.start(order[0], 65_000);
            let mut placed = vec![(order[0], 65_000)];
            for &n in &order[1..] {
                if n % 3 == 1 {
                    map.skip(n);
                } else if let Some(out) = map.place(n) {
                    placed.push((n, out));
                }
            }
            placed.sort_unstable();
            assert!(placed.windows(2).all(|w| w[0].1 < w[1].1), "seed {seed}: {placed:?}");
        }
    }
}
