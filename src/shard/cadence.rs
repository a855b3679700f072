//! How often a busy shard turns. A wake-up costs more than a packet, and packets that come together leave together; so
//! while packets keep coming, sockets are looked at once an interval, as network cards moderate interrupts. Asked by `run`.

use std::time::{Duration, Instant};

/// Turns that brought packets less than this many intervals apart are a busy time.
const BUSY_INTERVALS: u32 = 2;

/// The rhythm of one shard.
#[derive(Debug)]
pub struct Cadence {
    /// Zero is to turn whenever something comes.
    interval: Duration,
    /// When the last turn that brought packets began.
    last: Option<Instant>,
    busy: bool,
}

impl Cadence {
    pub fn new(interval: Duration) -> Cadence {
        Cadence { interval, last: None, busy: false }
    }

    /// Notes whether the turn that began at `now` brought packets.
    pub fn note_turn(&mut self, now: Instant, brought: bool) {
        if !brought {
            self.busy = false;
            return;
        }
        let near = |last: Instant| now.saturating_duration_since(last) < self.interval * BUSY_INTERVALS;
        self.busy = self.last.is_some_and(near);
        self.last = Some(now);
    }

    /// How long to leave the sockets alone; `None` is to wait for them.
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        let next = self.last.filter(|_| self.busy)? + self.interval;
        Some(next.saturating_duration_since(now))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // Any instant will do to count from.
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_lone_packet_is_waited_for_and_a_busy_time_has_a_rhythm() {
        let start = Instant::now();
        let mut cadence = Cadence::new(MS);
        cadence.note_turn(start, true);
        assert_eq!(cadence.rest(start), None, "nothing came before it");
        cadence.note_turn(start + MS, true);
        assert_eq!(cadence.rest(start + MS + MS / 4), Some(MS * 3 / 4));
        assert_eq!(cadence.rest(start + 5 * MS), Some(Duration::ZERO), "late already");
        cadence.note_turn(start + 2 * MS, false);
        assert_eq!(cadence.rest(start + 2 * MS), None, "it is over");
        cadence.note_turn(start + 20 * MS, true);
        assert_eq!(cadence.rest(start + 20 * MS), None);
    }

    #[test]
    fn without_an_interval_every_packet_is_waited_for() {
        let start = Instant::now();
        let mut cadence = Cadence::new(Duration::ZERO);
        (0..5).for_each(|_| cadence.note_turn(start, true));
        assert_eq!(cadence.rest(start), None);
    }
}
