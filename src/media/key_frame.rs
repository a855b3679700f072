//! When to ask a publisher for a key frame of one stream (WIRE.md §4.3): on request, throttled, and unasked until the
//! first one came. Kept by `up_stream`.

use std::time::{Duration, Instant};

/// A new stream is asked this often until its first key frame…
const SEED_INTERVAL: Duration = Duration::from_secs(1);
/// …but no longer than this.
const SEED_TIME: Duration = Duration::from_secs(30);

/// One stream's key frame requests.
#[derive(Clone, Debug)]
pub struct KeyFrameRequests {
    throttle: Duration,
    began: Instant,
    /// When the last request went out.
    asked: Option<Instant>,
    /// Somebody wants one that was not asked for yet.
    wanted: bool,
    seen: bool,
}

impl KeyFrameRequests {
    pub fn new(now: Instant, throttle: Duration) -> KeyFrameRequests {
        KeyFrameRequests { throttle, began: now, asked: None, wanted: false, seen: false }
    }

    pub fn request(&mut self) {
        self.wanted = true;
    }

    /// Notes that a key frame began.
    pub fn note_key_frame(&mut self) {
        self.seen = true;
        self.wanted = false;
    }

    /// When to poll next, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        let seeding = self.is_seeding().then(|| self.asked.map_or(self.began, |asked| asked + SEED_INTERVAL));
        let wanted = self.wanted.then(|| self.asked.map_or(self.began, |asked| asked + self.throttle));
        seeding.into_iter().chain(wanted).min()
    }

    /// True if a request must go out now; it then counts as sent.
    pub fn poll(&mut self, now: Instant) -> bool {
        let due = self.deadline().is_some_and(|deadline| deadline <= now);
        if due {
            self.asked = Some(now);
            self.wanted = false;
        }
        due
    }

    fn is_seeding(&self) -> bool {
        !self.seen && self.asked.is_none_or(|asked| asked + SEED_INTERVAL < self.began + SEED_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn drive(requests: &mut KeyFrameRequests, start: Instant, span_ms: std::ops::Range<u64>) -> Vec<u64> {
        span_ms.filter(|at| requests.poll(start + ms(*at))).collect()
    }

    #[test]
    fn seeds_each_second_for_half_a_minute() {
        let start = super::super::test_epoch();
        let mut requests = KeyFrameRequests::new(start, ms(500));
        let sent = drive(&mut requests, start, 0..60_000);
        assert_eq!(sent, (0..30).map(|n| n * 1_000).collect::<Vec<_>>());
        assert_eq!(requests.deadline(), None);
    }

    #[test]
    fn a_key_frame_ends_seeding_and_requests_are_throttled() {
        let start = super::super::test_epoch();
        let mut requests = KeyFrameRequests::new(start, ms(500));
        assert_eq!(drive(&mut requests, start, 0..100), [0]);
        requests.note_key_frame();
        assert_eq!(drive(&mut requests, start, 100..5_000), [] as [u64; 0]);
        let mut sent = Vec::new();
        for at in 5_000..6_100 {
            requests.request();
            sent.extend(drive(&mut requests, start, at..at + 1));
        }
        assert_eq!(sent, [5_000, 5_500, 6_000]);
        requests.request();
        requests.note_key_frame();
        assert_eq!(requests.deadline(), None, "it came before it was asked for");
    }
}
