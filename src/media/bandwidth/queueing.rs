//! How long packets wait on the path: their delay beyond the least seen lately, and the least of that over a short while,
//! so that the packets of a frame that wait for each other do not count as a queue.

/// The least delay is of the last one or two of these: paths change, clocks drift.
const BASE_US: i64 = 15_000_000;
/// A queue stands that no packet of the last one or two of these escaped.
const STANDING_US: i64 = 100_000;
/// Without packets for so long nothing is known of the queue.
const STALE_US: i64 = 1_000_000;

/// The least of the values in the current and the last stretch of time.
#[derive(Clone, Copy, Debug)]
struct Least {
    stretch_us: i64,
    since: Option<i64>,
    current: i64,
    last: i64,
}

impl Least {
    const fn over(stretch_us: i64) -> Least {
        Least { stretch_us, since: None, current: i64::MAX, last: i64::MAX }
    }

    fn note(&mut self, at_us: i64, value: i64) {
        let since = *self.since.get_or_insert(at_us);
        if at_us >= since + self.stretch_us {
            self.last = if at_us < since + 2 * self.stretch_us { self.current } else { i64::MAX };
            (self.since, self.current) = (Some(at_us), i64::MAX);
        }
        self.current = self.current.min(value);
    }

    fn get(&self) -> i64 {
        self.current.min(self.last)
    }
}

#[derive(Clone, Debug)]
pub struct Queueing {
    base: Least,
    lately: Least,
    heard_us: i64,
}

impl Default for Queueing {
    fn default() -> Queueing {
        Queueing { base: Least::over(BASE_US), lately: Least::over(STANDING_US), heard_us: i64::MIN }
    }
}

impl Queueing {
    /// Takes in a packet: when it was sent and, on the receiver's clock, when it arrived.
    pub fn note(&mut self, sent_us: i64, arrived_us: i64) {
        let delay = arrived_us - sent_us;
        self.base.note(arrived_us, delay);
        if arrived_us.saturating_sub(self.heard_us) > STALE_US {
            self.lately = Least::over(STANDING_US);
        }
        self.lately.note(arrived_us, delay);
        self.heard_us = self.heard_us.max(arrived_us);
    }

    /// What every packet has waited lately, in us.
    pub fn standing_us(&self) -> i64 {
        self.lately.get().saturating_sub(self.base.get()).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_waits_for_itself_is_no_queue_and_a_queue_is() {
        let mut queueing = Queueing::default();
        for frame in 0..40 {
            let (sent, queue) = (frame * 33_000, if frame < 30 { 0 } else { 90_000 });
            (0..8).for_each(|n| queueing.note(sent, 777_000_000 + sent + queue + n * 12_000));
            match frame {
                ..30 => assert_eq!(queueing.standing_us(), 0, "frame {frame}"),
                37.. => assert_eq!(queueing.standing_us(), 90_000, "frame {frame}"),
                _ => {}
            }
        }
    }

    #[test]
    fn a_longer_path_is_no_queue_for_ever() {
        let mut queueing = Queueing::default();
        (0..100).for_each(|n| queueing.note(n * 20_000, n * 20_000 + 5_000));
        (100..1_000).for_each(|n| queueing.note(n * 20_000, n * 20_000 + 85_000));
        assert_eq!(queueing.standing_us(), 80_000);
        (1_000..2_000).for_each(|n| queueing.note(n * 20_000, n * 20_000 + 85_000));
        assert_eq!(queueing.standing_us(), 0);
    }
}
