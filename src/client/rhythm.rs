//! How often a driver thread looks at its sockets: at once where one is joining or little comes, else once an interval.
//! Asked by `driver`.

use std::time::{Duration, Instant};

pub struct Rhythm {
    /// Zero is to look whenever something comes.
    interval: Duration,
    /// When to look next; `None` is to wait for the sockets.
    next: Option<Instant>,
}

impl Rhythm {
    pub fn new(interval: Duration) -> Rhythm {
        Rhythm { interval, next: None }
    }

    /// The sockets were looked at. `brought` anything; `urgent` if somebody waits for what comes.
    pub fn note_look(&mut self, now: Instant, brought: bool, urgent: bool) {
        let keeps = brought && !urgent && !self.interval.is_zero();
        self.next = keeps.then(|| now + self.interval);
    }

    /// Somebody waits for what comes.
    pub fn hurry(&mut self) {
        self.next = None;
    }

    /// How long to leave the sockets alone; zero is to look without waiting, `None` to wait for them.
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::clock;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn while_datagrams_come_sockets_are_looked_at_once_an_interval() {
        let (start, mut rhythm) = (clock::now(), Rhythm::new(5 * MS));
        assert_eq!(rhythm.rest(start), None);
        rhythm.note_look(start, true, false);
        assert_eq!(rhythm.rest(start + MS), Some(4 * MS));
        assert_eq!(rhythm.rest(start + 9 * MS), Some(Duration::ZERO));
        rhythm.note_look(start + 5 * MS, false, false);
        assert_eq!(rhythm.rest(start + 5 * MS), None, "nothing had come");
    }

    #[test]
    fn whoever_joins_is_not_kept_waiting() {
        let (start, mut rhythm) = (clock::now(), Rhythm::new(5 * MS));
        rhythm.note_look(start, true, true);
        assert_eq!(rhythm.rest(start), None);
        rhythm.note_look(start, true, false);
        rhythm.hurry();
        assert_eq!(rhythm.rest(start), None);
        let mut at_once = Rhythm::new(Duration::ZERO);
        at_once.note_look(start, true, false);
        assert_eq!(at_once.rest(start), None);
    }
}
