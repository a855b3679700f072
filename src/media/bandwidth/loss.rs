//! The rate losses allow (draft-ietf-rmcat-gcc-02 §6): many losses lower it to what arrives, few let it grow. A path that
//! loses as much at a lower rate loses by nature, and giving way would not help: such losses are no longer counted.

use super::aimd::{UNUSED, UNUSED_BPS};
use std::time::{Duration, Instant};

/// Beyond this share of losses the rate goes down, below the other it may grow.
const MANY: f64 = 0.10;
const FEW: f64 = 0.02;
/// Packets a judgement needs, or fewer after a second, or when the losses are plain.
const PACKETS: u32 = 100;
const PACKETS_SLOW: u32 = 30;
const PACKETS_PLAIN: u32 = 20;
const PLAIN: f64 = 0.30;
const SLOW: Duration = Duration::from_secs(1);
/// A little below what arrives, so that a full queue drains.
const BELOW_ARRIVING: f64 = 0.95;
/// Until a lower rate is sent.
const SETTLE: Duration = Duration::from_millis(200);
/// A rate this much lower should lose visibly less…
const LOWER: f64 = 0.85;
/// …and loses by nature if it does not.
const ALIKE: f64 = 0.75;
/// Attempts to lower a rate that does not follow.
const CUTS_MAX: u8 = 3;
/// How much of a judgement that fewer are lost by nature is believed.
const FORGET: f64 = 0.2;
const GROWTH: f64 = 1.08;
const RATE_MIN: f64 = 30_000.0;
/// More than this is no limit.
const RATE_MAX: f64 = 100_000_000.0;

#[derive(Clone, Copy, Debug)]
struct Trial {
    loss: f64,
    sent_bps: f64,
    before: Option<f64>,
    judged_from: Instant,
    cuts: u8,
}

impl Trial {
    /// The rate went down, or will not, and the losses stayed.
    fn was_vain(&self, loss: f64, sent_bps: f64) -> bool {
        let followed = sent_bps <= self.sent_bps * LOWER || self.cuts >= CUTS_MAX;
        followed && loss >= self.loss * ALIKE
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    loss: f64,
    /// Bits per second.
    sent_bps: f64,
    arriving: f64,
}

#[derive(Clone, Debug, Default)]
pub struct LossControl {
    bound: Option<f64>,
    expected: u32,
    lost: u32,
    since: Option<Instant>,
    /// Share lost whatever the rate.
    inherent: f64,
    /// Share lost when last judged.
    last: f64,
    trial: Option<Trial>,
    grown: Option<Instant>,
}

impl LossControl {
    /// Bits per second, `None` if losses set no limit.
    pub fn bound(&self) -> Option<f64> {
        self.bound
    }

    pub fn note_arrived(&mut self, sent: Instant) {
        self.expected += u32::from(self.counts(sent));
    }

    pub fn note_lost(&mut self, sent: Instant) {
        let counts = u32::from(self.counts(sent));
        self.expected += counts;
        self.lost += counts;
    }

    /// A packet told lost came after all.
    pub fn note_late(&mut self, sent: Instant) {
        self.lost = self.lost.saturating_sub(u32::from(self.counts(sent)));
    }

    /// What was sent at the higher rate says nothing of the lower one.
    fn counts(&self, sent: Instant) -> bool {
        self.trial.is_none_or(|trial| sent >= trial.judged_from)
    }

    /// Judges what was noted if it is enough. `arriving` is what arrives, in bit/s; `queued` that packets are known to
    /// wait somewhere, which no loss by nature explains. Answers whether the bound went down.
    pub fn update(&mut self, now: Instant, queued: bool, arriving: f64) -> bool {
        let since = *self.since.get_or_insert(now);
        let (expected, loss) = (self.expected, f64::from(self.lost) / f64::from(self.expected.max(1)));
        let plain = expected >= PACKETS_PLAIN && loss >= PLAIN;
        let slow = expected >= PACKETS_SLOW && now >= since + SLOW;
        if expected < PACKETS && !plain && !slow {
            return false;
        }
        (self.expected, self.lost, self.since) = (0, 0, Some(now));
        self.judge(now, queued, loss, f64::from(expected), arriving)
    }

    /// As [`LossControl::update`], for a share of losses another counted over many packets.
    pub fn judge(&mut self, now: Instant, queued: bool, loss: f64, packets: f64, arriving: f64) -> bool {
        if self.trial.is_some_and(|trial| now < trial.judged_from) {
            return false;
        }
        self.last = loss;
        let sent_bps = self.sent(arriving);
        let doubt = (loss * (1.0 - loss) / packets.max(1.0)).sqrt();
        if let Some(trial) = self.trial.filter(|trial| !queued && trial.was_vain(loss + doubt, sent_bps)) {
            (self.inherent, self.bound, self.trial) = (loss, trial.before, None);
            return false;
        }
        let excess = loss - self.inherent;
        if excess > MANY + doubt {
            self.reduce(now, Sample { loss, sent_bps, arriving });
            return true;
        }
        if excess < FEW {
            self.trial = None;
            self.inherent -= FORGET * (self.inherent - loss - FEW).max(0.0);
            self.grow(now, sent_bps);
        }
        false
    }

    fn reduce(&mut self, now: Instant, sample: Sample) {
        let Sample { loss, sent_bps, arriving } = sample;
        let cuts = self.trial.map_or(0, |t| t.cuts) + 1;
        let before = self.trial.map_or(self.bound, |t| t.before);
        self.trial = Some(Trial { loss, sent_bps, before, judged_from: now + SETTLE, cuts });
        let lowered = (arriving * BELOW_ARRIVING).max(RATE_MIN);
        self.bound = Some(self.bound.map_or(lowered, |bound| bound.min(lowered)));
        self.grown = Some(now);
        (self.expected, self.lost) = (0, 0);
    }

    fn grow(&mut self, now: Instant, sent_bps: f64) {
        let elapsed = self.grown.replace(now).map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        let grown = |bound: f64| bound * GROWTH.powf(elapsed.min(2.0)) + 1_000.0 * elapsed.min(2.0);
        let proven = sent_bps * UNUSED + UNUSED_BPS;
        self.bound = self.bound.map(|bound| grown(bound).min(proven).max(bound));
        self.bound = self.bound.filter(|bound| *bound < RATE_MAX);
    }

    /// What is sent where so much arrives, both in bit/s.
    pub fn sent(&self, arriving: f64) -> f64 {
        arriving / (1.0 - self.last).max(0.5)
    }

    /// A probe proved that this much passes.
    pub fn raise(&mut self, bps: f64) {
        self.bound = self.bound.map(|bound| bound.max(bps));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// A sender of up to `wanted` that obeys the bound on a path that loses by nature and passes `capacity`.
    struct Path {
        control: LossControl,
        rng: StdRng,
        ms: u64,
        cuts: u32,
    }

    impl Path {
        fn new(seed: u64) -> Path {
            Path { control: LossControl::default(), rng: StdRng::seed_from_u64(seed), ms: 0, cuts: 0 }
        }

        fn run(&mut self, seconds: u64, wanted: f64, capacity: f64, random: f64) -> f64 {
            let mut sent = wanted;
            for _ in 0..seconds * 10 {
                self.ms += 100;
                sent = self.control.bound().map_or(wanted, |bound| bound.min(wanted));
                let loss = 1.0 - (1.0 - random) * (capacity / sent).min(1.0);
                let now = crate::media::test_epoch() + Duration::from_millis(self.ms);
                for _ in 0..(sent / 10.0 / 9_600.0) as u32 {
                    match self.rng.random_bool(loss) {
                        true => self.control.note_lost(now),
                        false => self.control.note_arrived(now),
                    }
                }
                self.cuts += u32::from(self.control.update(now, sent > capacity, sent * (1.0 - loss)));
            }
            sent
        }
    }

    #[test]
    fn congestion_lowers_the_rate_to_what_passes() {
        for seed in 0..10 {
            let mut path = Path::new(seed);
            let sent = path.run(3, 3_000_000.0, 600_000.0, 0.0);
            assert!((400_000.0..700_000.0).contains(&sent), "seed {seed}: {sent}");
        }
    }

    #[test]
    fn losses_by_nature_are_borne() {
        for (seed, random) in [(0, 0.01), (1, 0.05), (2, 0.15), (3, 0.2), (4, 0.2), (5, 0.3)] {
            let mut path = Path::new(seed);
            let sent = path.run(30, 2_000_000.0, f64::MAX, random);
            assert!(sent > 1_900_000.0, "{random}: {sent}");
            assert!(path.cuts <= 6, "{random}: {} cuts", path.cuts);
        }
    }

    #[test]
    fn congestion_is_told_from_losses_by_nature() {
        let mut path = Path::new(9);
        path.run(20, 2_000_000.0, f64::MAX, 0.15);
        let sent = path.run(5, 2_000_000.0, 500_000.0, 0.15);
        assert!(sent < 650_000.0, "{sent}");
    }

    #[test]
    fn the_rate_returns_when_losses_end() {
        let mut path = Path::new(3);
        path.run(3, 3_000_000.0, 600_000.0, 0.0);
        let sent = path.run(30, 3_000_000.0, f64::MAX, 0.0);
        assert!(sent > 2_900_000.0, "{sent}");
    }
}
