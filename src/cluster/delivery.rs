//! Numbered messages over a stream that may lose, repeat and delay them (CLUSTER.md §3.2-3.4): the sending and the
//! receiving half, as values. One batch is under way at a time; what is not acknowledged goes again with what came since.

use crate::config::SignalRelay;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// When a batch goes again, and when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub interval_min: Duration,
    pub interval_max: Duration,
    pub give_up: Duration,
}

impl From<&SignalRelay> for Terms {
    fn from(config: &SignalRelay) -> Terms {
        Terms {
            interval_min: config.min_retry_interval,
            interval_max: config.max_retry_interval,
            give_up: config.retry_timeout,
        }
    }
}

/// The sending half.
pub struct Outbox {
    terms: Terms,
    queue: VecDeque<Vec<u8>>,
    /// Number of the first in the queue.
    seq: u64,
    interval: Duration,
    /// Of the batch under way.
    started: Option<Instant>,
}

/// Nobody took the batch for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GaveUp;

impl Outbox {
    pub fn new(terms: Terms) -> Outbox {
        Outbox { terms, queue: VecDeque::new(), seq: 0, interval: terms.interval_min, started: None }
    }

    pub fn push(&mut self, message: Vec<u8>) {
        self.queue.push_back(message);
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Everything queued, with the number of the first, to be acknowledged within the time given.
    pub fn poll_batch(&mut self, now: Instant) -> (u64, Vec<Vec<u8>>, Duration) {
        self.started.get_or_insert(now);
        (self.seq, self.queue.iter().cloned().collect(), self.interval)
    }

    /// The batch of that length arrived.
    pub fn handle_ack(&mut self, length: usize) {
        self.advance(length);
    }

    /// It did not, as far as we know.
    pub fn handle_silence(&mut self, now: Instant) -> Result<(), GaveUp> {
        let started = *self.started.get_or_insert(now);
        if now >= started + self.terms.give_up {
            return Err(GaveUp);
        }
        self.interval = (self.interval * 2).min(self.terms.interval_max);
        Ok(())
    }

    /// The time so far does not count: there was nothing to send over.
    pub fn start_over(&mut self) {
        self.interval = self.terms.interval_min;
        self.started = None;
    }

    /// Forgets what is queued; the receiver sees a gap.
    pub fn abandon(&mut self) {
        self.advance(self.queue.len());
    }

    fn advance(&mut self, length: usize) {
        self.queue.drain(..length.min(self.queue.len()));
        self.seq += length as u64;
        self.start_over();
    }
}

/// The receiving half.
#[derive(Debug, Default)]
pub struct Inbox {
    expected: u64,
}

/// Messages are missing for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub expected: u64,
    pub found: u64,
}

impl Inbox {
    /// Those of the batch that are new.
    pub fn take(&mut self, seq: u64, batch: Vec<Vec<u8>>) -> Result<impl Iterator<Item = Vec<u8>>, Gap> {
        let expected = self.expected;
        if seq > expected {
            return Err(Gap { expected, found: seq });
        }
        let known = usize::try_from(expected - seq).unwrap_or(usize::MAX).min(batch.len());
        self.expected += (batch.len() - known) as u64;
        Ok(batch.into_iter().skip(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        interval_min: Duration::from_millis(500),
        interval_max: Duration::from_secs(4),
        give_up: Duration::from_millis(7500),
    };

    #[allow(clippy::disallowed_methods)]
    fn start() -> Instant {
        Instant::now()
    }

    fn messages(names: &[&str]) -> Vec<Vec<u8>> {
        names.iter().map(|n| n.as_bytes().to_vec()).collect()
    }

    fn outbox(names: &[&str]) -> Outbox {
        let mut outbox = Outbox::new(TERMS);
        messages(names).into_iter().for_each(|m| outbox.push(m));
        outbox
    }

    #[test]
    fn a_batch_that_was_not_heard_goes_again_with_what_came_since() {
        let (mut outbox, now) = (outbox(&["a"]), start());
        assert_eq!(outbox.poll_batch(now), (0, messages(&["a"]), TERMS.interval_min));
        outbox.push(b"b".to_vec());
        outbox.handle_silence(now + TERMS.interval_min).unwrap();
        assert_eq!(outbox.poll_batch(now), (0, messages(&["a", "b"]), 2 * TERMS.interval_min));
        outbox.push(b"c".to_vec());
        outbox.handle_ack(2);
        assert_eq!(outbox.poll_batch(now), (2, messages(&["c"]), TERMS.interval_min));
    }

    /// CLUSTER.md §3.3: half a second, one, two and four.
    #[test]
    fn four_sendings_then_it_is_given_up() {
        let (mut outbox, begin) = (outbox(&["a"]), start());
        let mut now = begin;
        let mut sendings = 0;
        loop {
            let (_, _, patience) = outbox.poll_batch(now);
            sendings += 1;
            now += patience;
            if outbox.handle_silence(now).is_err() {
                break;
            }
        }
        assert_eq!((sendings, now - begin), (4, TERMS.give_up));
        outbox.abandon();
        outbox.push(b"b".to_vec());
        assert_eq!(outbox.poll_batch(now).0, 1);
    }

    #[test]
    fn time_without_redis_does_not_count() {
        let (mut outbox, begin) = (outbox(&["a"]), start());
        outbox.poll_batch(begin);
        outbox.start_over();
        outbox.poll_batch(begin + TERMS.give_up);
        assert!(outbox.handle_silence(begin + TERMS.give_up + TERMS.interval_min).is_ok());
    }

    #[test]
    fn duplicates_deliver_nothing_and_gaps_are_seen() {
        let mut inbox = Inbox::default();
        let taken = |inbox: &mut Inbox, seq, names: &[&str]| {
            inbox.take(seq, messages(names)).map(|new| new.collect::<Vec<_>>())
        };
        assert_eq!(taken(&mut inbox, 0, &["a", "b"]), Ok(messages(&["a", "b"])));
        assert_eq!(taken(&mut inbox, 0, &["a", "b"]), Ok(vec![]));
        assert_eq!(taken(&mut inbox, 0, &["a"]), Ok(vec![]));
        assert_eq!(taken(&mut inbox, 1, &["b", "c"]), Ok(messages(&["c"])));
        assert_eq!(taken(&mut inbox, 4, &["e"]), Err(Gap { expected: 3, found: 4 }));
        assert_eq!(taken(&mut inbox, 3, &["d"]), Ok(messages(&["d"])));
    }
}
