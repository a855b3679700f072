//! What a publisher may send by what its server's feedback says: a browser's congestion control in short. Loss and rising
//! delay take away, a quiet network gives back (draft-ietf-rmcat-gcc-02 §5, §6, with the delay judged by the mean of each
//! feedback instead of a filter). Called by `peer`; `outgoing` is told the result.

use crate::limits::CLIENT_SENT_MAX;
use crate::wire::rtcp::TransportCc;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Below this a picture is no longer one, in bits per second.
const MIN_BPS: f64 = 50_000.0;
/// Queueing delay that counts as overuse.
const DELAY_OVERUSE_MS: f64 = 25.0;
/// More packets lost than this share take away, fewer than the other give back (gcc-02 §6).
const LOSS_HIGH: f64 = 0.10;
const LOSS_LOW: f64 = 0.02;
/// Share of what arrives that is sent after overuse (gcc-02 §5.5).
const BACKOFF: f64 = 0.85;
/// Growth a second (gcc-02 §5.5).
const GROWTH: f64 = 1.08;
/// After a decrease the queue must drain before it is judged again.
const HOLD: Duration = Duration::from_millis(300);
/// How quickly the least delay seen is forgotten, in milliseconds a second: clocks drift, routes change.
const BASE_DRIFT_MS_PER_S: f64 = 1.0;

pub struct Uplink {
    epoch: Instant,
    sent: VecDeque<Sent>,
    /// What the tracks would send if they could.
    wanted_bps: f64,
    estimate_bps: f64,
    /// What REMB allows.
    remb_bps: f64,
    /// Least difference between arrival and sending, in ms; the clocks differ by an unknown amount.
    base_ms: Option<f64>,
    updated: Option<Instant>,
    held_until: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Sent {
    number: u16,
    at: Instant,
    bytes: usize,
}

/// What one feedback says of the packets it speaks of.
#[derive(Default)]
struct Round {
    received: usize,
    lost: usize,
    bytes: usize,
    /// Arrival minus sending, summed, in ms.
    delay_ms: f64,
    delay_min_ms: f64,
    first_us: Option<i64>,
    last_us: i64,
}

impl Uplink {
    pub fn new(now: Instant) -> Uplink {
        Uplink {
            epoch: now,
            sent: VecDeque::new(),
            wanted_bps: 0.0,
            estimate_bps: f64::INFINITY,
            remb_bps: f64::INFINITY,
            base_ms: None,
            updated: None,
            held_until: None,
        }
    }

    /// What the tracks together would send.
    pub fn set_wanted(&mut self, bps: u32) {
        self.wanted_bps = f64::from(bps);
    }

    pub fn note_sent(&mut self, now: Instant, number: u16, bytes: usize) {
        if self.sent.len() >= CLIENT_SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { number, at: now, bytes });
    }

    pub fn handle_remb(&mut self, bps: u64) {
        self.remb_bps = bps as f64;
    }

    /// Bits per second to send at most; `None` while nothing limits.
    pub fn allowed_bps(&self) -> Option<u32> {
        let allowed = self.estimate_bps.min(self.remb_bps);
        (allowed < self.wanted_bps).then(|| allowed.max(MIN_BPS) as u32)
    }

    pub fn handle_feedback(&mut self, now: Instant, feedback: &TransportCc<'_>) {
        let round = self.read(feedback);
        if round.received + round.lost == 0 {
            return;
        }
        let passed = self.updated.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let loss = round.lost as f64 / (round.received + round.lost) as f64;
        let queued_ms = self.note_delay(&round, passed);
        if self.held_until.is_some_and(|until| now < until) {
            return;
        }
        let before = self.estimate_bps.min(self.wanted_bps);
        if queued_ms > DELAY_OVERUSE_MS {
            let rate = round.rate_bps().unwrap_or(before);
            self.decrease(now, (rate * BACKOFF).min(before * BACKOFF));
        } else if loss > LOSS_HIGH {
            self.decrease(now, before * (1.0 - 0.5 * loss));
        } else if loss < LOSS_LOW && self.estimate_bps.is_finite() {
            self.estimate_bps *= GROWTH.powf(passed.as_secs_f64().min(1.0));
            if self.estimate_bps > self.wanted_bps * 1.2 {
                self.estimate_bps = f64::INFINITY;
            }
        }
    }

    fn decrease(&mut self, now: Instant, bps: f64) {
        self.estimate_bps = bps.max(MIN_BPS);
        self.held_until = Some(now + HOLD);
    }

    /// Mean queueing delay of the round.
    fn note_delay(&mut self, round: &Round, passed: Duration) -> f64 {
        if round.received == 0 {
            return 0.0;
        }
        let drifted = self.base_ms.map(|base| base + BASE_DRIFT_MS_PER_S * passed.as_secs_f64());
        let base = drifted.map_or(round.delay_min_ms, |base| base.min(round.delay_min_ms));
        self.base_ms = Some(base);
        round.delay_ms / round.received as f64 - base
    }

    fn read(&mut self, feedback: &TransportCc<'_>) -> Round {
        let mut round = Round { delay_min_ms: f64::INFINITY, ..Round::default() };
        // Units of 64 ms, then of 250 us (transport-wide-cc-extensions-01 §3.1).
        let mut arrived_us = i64::from(feedback.header.reference_time) * 64_000;
        for status in feedback.statuses() {
            arrived_us += status.delta.map_or(0, |delta| i64::from(delta) * 250);
            let Some(sent) = self.take(status.sequence) else { continue };
            if status.delta.is_some() {
                let sent_us = sent.at.saturating_duration_since(self.epoch).as_micros() as i64;
                round.note(arrived_us, sent_us, sent.bytes);
            } else {
                round.lost += 1;
            }
        }
        round
    }

    /// The packet of that number; those before it are forgotten, feedback on them will not come any more.
    fn take(&mut self, number: u16) -> Option<Sent> {
        while self.sent.front().is_some_and(|sent| (number.wrapping_sub(sent.number) as i16) > 0) {
            self.sent.pop_front();
        }
        let is_it = self.sent.front().is_some_and(|sent| sent.number == number);
        if is_it { self.sent.pop_front() } else { None }
    }
}

impl Round {
    fn note(&mut self, arrived_us: i64, sent_us: i64, bytes: usize) {
        let delay_ms = (arrived_us - sent_us) as f64 / 1000.0;
        self.received += 1;
        self.bytes += bytes;
        self.delay_ms += delay_ms;
        self.delay_min_ms = self.delay_min_ms.min(delay_ms);
        self.first_us.get_or_insert(arrived_us);
        self.last_us = arrived_us;
    }

    /// What came through; `None` if the round is too short to tell.
    fn rate_bps(&self) -> Option<f64> {
        let time_us = self.last_us - self.first_us?;
        (time_us > 20_000).then(|| self.bytes as f64 * 8e6 / time_us as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::clock;
    use crate::wire::rtcp::{FeedbackHeader, Packet, packets, write_transport_cc};

    /// A link of that rate with a queue of that many milliseconds at most, fed by a sender that obeys.
    struct Link {
        now: Instant,
        start: Instant,
        uplink: Uplink,
        number: u16,
        free_at_us: i64,
        count: u8,
    }

    const WANTED: u32 = 2_300_000;

    impl Link {
        fn new() -> Link {
            let now = clock::now();
            let mut uplink = Uplink::new(now);
            uplink.set_wanted(WANTED);
            Link { now, start: now, uplink, number: 0, free_at_us: 0, count: 0 }
        }

        /// Sends 100 ms worth in 1000-byte packets and hears what became of them.
        fn round(&mut self, rate_bps: i64, loss: impl Fn(u16) -> bool) {
            let bps = self.uplink.allowed_bps().unwrap_or(WANTED);
            let packets = (bps / 10 / 8000).max(1);
            let mut arrivals = Vec::new();
            let first = self.number;
            for n in 0..packets {
                let at = self.now + Duration::from_millis(100) * n / packets;
                self.uplink.note_sent(at, self.number, 1000);
                let sent_us = (at - self.start).as_micros() as i64;
                let done_us = self.free_at_us.max(sent_us) + 8_000_000_000 / rate_bps;
                let dropped = done_us - sent_us > 300_000 || loss(self.number);
                if !dropped {
                    self.free_at_us = done_us;
                }
                arrivals.push((!dropped).then_some(done_us + 20_000));
                self.number = self.number.wrapping_add(1);
            }
            self.now += Duration::from_millis(100);
            self.tell(first, &arrivals);
        }

        fn tell(&mut self, first: u16, arrivals: &[Option<i64>]) {
            let Some(begin) = arrivals.iter().flatten().next() else { return };
            let reference = begin / 64_000;
            let mut before = reference * 64_000;
            let deltas: Vec<Option<i16>> = arrivals
                .iter()
                .map(|at| {
                    let steps = ((*at)? - before) / 250;
                    before += steps * 250;
                    Some(steps as i16)
                })
                .collect();
            self.count = self.count.wrapping_add(1);
            let header = FeedbackHeader {
                sender_ssrc: 1,
                media_ssrc: 2,
                base_sequence: first,
                reference_time: reference as i32,
                feedback_count: self.count,
            };
            let mut out = Vec::new();
            write_transport_cc(&mut out, &header, &deltas);
            let Some(Packet::TransportCc(feedback)) = packets(&out).next() else { panic!("no feedback") };
            self.uplink.handle_feedback(self.now, &feedback);
        }
    }

    #[test]
    fn an_open_road_limits_nothing() {
        let mut link = Link::new();
        (0..100).for_each(|_| link.round(100_000_000, |_| false));
        assert_eq!(link.uplink.allowed_bps(), None);
    }

    #[test]
    fn a_bottleneck_is_kept_below_and_found_wide_again() {
        let mut link = Link::new();
        (0..100).for_each(|_| link.round(1_000_000, |_| false));
        let mut rates = Vec::new();
        for _ in 0..100 {
            link.round(1_000_000, |_| false);
            rates.push(link.uplink.allowed_bps().unwrap_or(WANTED));
        }
        let mean = rates.iter().sum::<u32>() / 100;
        assert!((500_000..1_050_000).contains(&mean), "{mean}");
        (0..400).for_each(|_| link.round(100_000_000, |_| false));
        assert_eq!(link.uplink.allowed_bps(), None);
    }

    #[test]
    fn heavy_loss_takes_away_and_light_loss_does_not() {
        let mut link = Link::new();
        (0..50).for_each(|_| link.round(100_000_000, |n| n % 100 == 0));
        assert_eq!(link.uplink.allowed_bps(), None);
        (0..50).for_each(|_| link.round(100_000_000, |n| n % 4 == 0));
        assert!(link.uplink.allowed_bps().unwrap() < WANTED / 2);
    }

    #[test]
    fn remb_is_a_ceiling() {
        let mut link = Link::new();
        link.uplink.handle_remb(400_000);
        assert_eq!(link.uplink.allowed_bps(), Some(400_000));
        link.uplink.handle_remb(100_000_000);
        assert_eq!(link.uplink.allowed_bps(), None);
    }
}
