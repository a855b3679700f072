//! A timer wheel: when to look at which peer next. Coarse (10 ms) and cheap; a peer's own deadlines stay with the peer.

use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(10);
/// Slots of the wheel, a power of two: about ten seconds. Later deadlines wait in the last slot and are put back.
const SLOTS: u64 = 1024;

/// Wheel of (tick, id) entries.
pub struct Wheel {
    origin: Instant,
    /// Every tick before this one has been handed out.
    next_tick: u64,
    slots: Vec<Vec<(u64, usize)>>,
    entries: usize,
}

impl Wheel {
    pub fn new(now: Instant) -> Wheel {
        Wheel { origin: now, next_tick: 0, slots: vec![Vec::new(); SLOTS as usize], entries: 0 }
    }

    fn tick_of(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin).as_nanos();
        u64::try_from(since.div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX)
    }

    /// Asks for `id` to be handed out at `at` or up to a tick later.
    pub fn schedule(&mut self, at: Instant, id: usize) {
        let tick = self.tick_of(at).max(self.next_tick);
        let placed = tick.min(self.next_tick + SLOTS - 1);
        self.slots[(placed % SLOTS) as usize].push((tick, id));
        self.entries += 1;
    }

    /// Moves what is due at `now` into `due`. An id may come more than once.
    pub fn expire(&mut self, now: Instant, due: &mut Vec<usize>) {
        let passed = now.saturating_duration_since(self.origin).as_nanos() / TICK.as_nanos();
        let last = u64::try_from(passed).unwrap_or(u64::MAX);
        let mut later = Vec::new();
        while self.next_tick <= last && self.entries > 0 {
            let slot = std::mem::take(&mut self.slots[(self.next_tick % SLOTS) as usize]);
            self.entries -= slot.len();
            for (tick, id) in slot {
                if tick <= last { due.push(id) } else { later.push((tick, id)) }
            }
            self.next_tick += 1;
        }
        self.next_tick = self.next_tick.max(last + 1);
        for (tick, id) in later {
            let placed = tick.min(self.next_tick + SLOTS - 1);
            self.slots[(placed % SLOTS) as usize].push((tick, id));
            self.entries += 1;
        }
    }

    /// How long until something is due; `None` when nothing is scheduled.
    pub fn until_next(&self, now: Instant) -> Option<Duration> {
        if self.entries == 0 {
            return None;
        }
        let busy = (self.next_tick..self.next_tick + SLOTS).find(|t| !self.slots[(t % SLOTS) as usize].is_empty())?;
        let at = self.origin + TICK * u32::try_from(busy).unwrap_or(u32::MAX);
        Some(at.saturating_duration_since(now))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Any instant will do to count from.
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel, at: Instant) -> Vec<usize> {
        let mut due = Vec::new();
        wheel.expire(at, &mut due);
        due
    }

    #[test]
    fn hands_out_what_is_due_and_never_early() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let ms = Duration::from_millis;
        wheel.schedule(start + ms(25), 1);
        wheel.schedule(start + ms(5), 2);
        wheel.schedule(start + ms(30_000), 3);
        assert!(wheel.until_next(start).unwrap() <= ms(10));
        assert_eq!(due(&mut wheel, start + ms(10)), [2]);
        assert_eq!(due(&mut wheel, start + ms(24)), [] as [usize; 0]);
        assert_eq!(due(&mut wheel, start + ms(30)), [1]);
        assert_eq!(due(&mut wheel, start + ms(29_980)), [] as [usize; 0]);
        assert_eq!(due(&mut wheel, start + ms(30_010)), [3]);
        assert_eq!(wheel.until_next(start), None);
    }

    #[test]
    fn a_deadline_in_the_past_is_due_at_once() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        due(&mut wheel, start + Duration::from_secs(60));
        wheel.schedule(start, 7);
        assert_eq!(due(&mut wheel, start + Duration::from_millis(60_010)), [7]);
    }
}
