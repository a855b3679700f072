//! The rate the delays allow: up slowly, multiplicatively far from the capacity last seen and additively near it; down to
//! a share of what arrives (draft-ietf-rmcat-gcc-02 §5.5). Without a limit until the first queue.

use super::trend::Usage;
use crate::media::bitrate::Bitrate;
use std::time::{Duration, Instant};

/// What is kept of the rate that arrived when a queue grew.
const BACK_OFF: f64 = 0.85;
/// Growth per second far from the capacity.
const GROWTH: f64 = 1.08;
/// The rate never grows beyond what arrives by more than this: unused rate proves nothing.
pub const UNUSED: f64 = 1.25;
pub const UNUSED_BPS: f64 = 10_000.0;
const PACKET_BITS: f64 = 1_200.0 * 8.0;
/// Additive growth is at least this much per second.
const ADDITIVE_BPS_MIN: f64 = 4_000.0;
/// Receiver's feedback interval, part of the time until an effect is seen.
const RESPONSE_EXTRA: Duration = Duration::from_millis(100);
const RTT_START: Duration = Duration::from_millis(200);
const REDUCE_MIN: Duration = Duration::from_millis(10);
const REDUCE_MAX: Duration = Duration::from_millis(200);
pub const RATE_MIN: Bitrate = Bitrate::kbps(30);
/// More than this is no limit.
const RATE_MAX: Bitrate = Bitrate::kbps(100_000);

/// The capacity of the path, from what arrived whenever a queue grew.
#[derive(Clone, Copy, Debug, Default)]
struct Capacity {
    mean: Option<f64>,
    /// Variance over mean, so that it can be compared at all rates.
    deviation: f64,
}

impl Capacity {
    fn observe(&mut self, bps: f64) {
        const WEIGHT: f64 = 0.05;
        let kbps = bps / 1_000.0;
        let mean = self.mean.map_or(kbps, |mean| (1.0 - WEIGHT) * mean + WEIGHT * kbps);
        let error = mean - kbps;
        let start = if self.mean.is_none() { 0.4 } else { self.deviation };
        self.deviation = ((1.0 - WEIGHT) * start + WEIGHT * error * error / mean.max(1.0)).clamp(0.4, 2.5);
        self.mean = Some(mean);
    }

    /// Three deviations around the mean, in bit/s.
    fn range(&self) -> Option<(f64, f64)> {
        let mean = self.mean?;
        let reach = 3.0 * (self.deviation * mean).sqrt();
        Some(((mean - reach).max(0.0) * 1_000.0, (mean + reach) * 1_000.0))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Hold,
    Increase,
}

/// What arrives, in bit/s, over a short and a longer while.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub now: f64,
    pub lately: f64,
    /// What was sent for it to arrive lately.
    pub used: f64,
}

#[derive(Clone, Debug)]
pub struct RateControl {
    /// `None` is unlimited.
    rate: Option<f64>,
    stage: Stage,
    capacity: Capacity,
    changed: Option<Instant>,
    reduced: Option<Instant>,
    rtt: Duration,
}

impl Default for RateControl {
    fn default() -> RateControl {
        let (stage, capacity) = (Stage::Hold, Capacity::default());
        RateControl { rate: None, stage, capacity, changed: None, reduced: None, rtt: RTT_START }
    }
}

impl RateControl {
    pub fn rate(&self) -> Bitrate {
        self.rate.map_or(Bitrate::UNLIMITED, Bitrate::from_f64)
    }

    pub fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// Follows what the delays say. Answers whether the rate went down.
    pub fn update(&mut self, now: Instant, usage: Usage, acknowledged: Option<Acknowledged>) -> bool {
        match (usage, acknowledged) {
            (Usage::Over, Some(acknowledged)) => return self.reduce(now, acknowledged.now),
            (Usage::Over, None) | (Usage::Under, _) => self.stage = Stage::Hold,
            (Usage::Normal, Some(acknowledged)) => self.increase(now, acknowledged),
            (Usage::Normal, None) => {}
        }
        self.changed = Some(now);
        false
    }

    fn reduce(&mut self, now: Instant, acknowledged: f64) -> bool {
        self.stage = Stage::Hold;
        let wait = self.rtt.clamp(REDUCE_MIN, REDUCE_MAX);
        let soon = self.reduced.is_some_and(|at| now < at + wait);
        let far_off = self.rate.is_some_and(|rate| acknowledged < rate / 2.0);
        if soon && !far_off {
            return false;
        }
        let lowered = self.lowered(acknowledged).max(RATE_MIN.as_f64());
        if self.capacity.range().is_some_and(|(least, most)| acknowledged < least || acknowledged > most) {
            self.capacity = Capacity::default();
        }
        self.capacity.observe(acknowledged);
        self.rate = Some(self.rate.map_or(lowered, |rate| rate.min(lowered)));
        (self.changed, self.reduced) = (Some(now), Some(now));
        true
    }

    fn lowered(&self, acknowledged: f64) -> f64 {
        let share = acknowledged * BACK_OFF;
        match (self.rate, self.capacity.mean) {
            // What arrives overshoots while a queue drains: the capacity seen before is the better guide.
            (Some(rate), Some(mean)) if share > rate => (mean * 1_000.0 * BACK_OFF).min(rate),
            _ => share,
        }
    }

    fn increase(&mut self, now: Instant, acknowledged: Acknowledged) {
        let Some(rate) = self.rate else { return };
        if self.stage == Stage::Hold {
            self.stage = Stage::Increase;
            return;
        }
        if self.capacity.range().is_some_and(|(_, most)| acknowledged.lately > most) {
            self.capacity = Capacity::default();
        }
        let elapsed = self.changed.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64()).min(1.0);
        let grown = match self.capacity.mean {
            Some(_) => rate + self.additive_bps() * elapsed,
            None => rate * GROWTH.powf(elapsed) + 1_000.0 * elapsed,
        };
        let most = UNUSED * acknowledged.used + UNUSED_BPS;
        self.set(grown.min(most).max(rate));
    }

    /// Half a packet for each time an effect takes to be seen.
    fn additive_bps(&self) -> f64 {
        let response = (self.rtt + RESPONSE_EXTRA).as_secs_f64();
        (PACKET_BITS / 2.0 / response).max(ADDITIVE_BPS_MIN)
    }

    fn set(&mut self, bps: f64) {
        self.rate = (bps < RATE_MAX.as_f64()).then_some(bps);
    }

    /// A probe proved that this much passes.
    pub fn raise(&mut self, bps: f64) {
        if self.rate.is_some_and(|rate| bps > rate) {
            self.capacity = Capacity::default();
            self.stage = Stage::Increase;
            self.set(bps);
        }
    }

    /// Forgets the limit, and what it was learnt from.
    pub fn lift(&mut self) {
        *self = RateControl { rtt: self.rtt, ..RateControl::default() };
    }

    /// Limits the rate for another reason than delay.
    pub fn limit(&mut self, now: Instant, bps: f64) {
        let bps = bps.max(RATE_MIN.as_f64());
        self.rate = Some(self.rate.map_or(bps, |rate| rate.min(bps)));
        (self.changed, self.reduced) = (Some(now), Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        crate::media::test_epoch() + Duration::from_millis(ms)
    }

    fn acked(kbps: f64) -> Option<Acknowledged> {
        Some(Acknowledged { now: kbps * 1_000.0, lately: kbps * 1_000.0, used: kbps * 1_000.0 })
    }

    fn grow(control: &mut RateControl, ms: std::ops::Range<u64>, kbps: f64) -> f64 {
        for ms in ms.step_by(100) {
            control.update(at(ms), Usage::Normal, acked(kbps));
        }
        control.rate().as_f64() / 1_000.0
    }

    #[test]
    fn unlimited_until_a_queue_grows() {
        let mut control = RateControl::default();
        grow(&mut control, 0..10_000, 5_000.0);
        assert!(control.rate().is_unlimited());
        assert!(!control.update(at(10_000), Usage::Over, None), "nothing is known to have arrived");
        assert!(control.update(at(10_000), Usage::Over, acked(1_000.0)));
        assert_eq!(control.rate(), Bitrate::kbps(850));
    }

    #[test]
    fn falls_once_for_each_round_trip_unless_far_off() {
        let mut control = RateControl::default();
        control.update(at(0), Usage::Over, acked(1_000.0));
        assert!(!control.update(at(100), Usage::Over, acked(600.0)));
        assert!(control.update(at(150), Usage::Over, acked(400.0)), "less than half arrives");
        assert_eq!(control.rate(), Bitrate::kbps(340));
        assert!(control.update(at(400), Usage::Over, acked(200.0)));
        assert_eq!(control.rate(), Bitrate::kbps(170));
        control.update(at(900), Usage::Over, acked(1.0));
        assert_eq!(control.rate(), RATE_MIN);
    }

    #[test]
    fn grows_slowly_near_the_capacity_and_quickly_beyond_it() {
        let mut control = RateControl::default();
        control.update(at(0), Usage::Over, acked(1_000.0));
        let near = grow(&mut control, 100..2_100, 850.0);
        assert!((870.0..920.0).contains(&near), "{near}");
        let beyond = grow(&mut control, 2_100..4_100, 2_000.0);
        assert!(beyond > near * 1.14 && beyond < near * 1.18, "{beyond}");
    }

    #[test]
    fn never_beyond_what_the_traffic_proves() {
        let mut control = RateControl::default();
        control.update(at(0), Usage::Over, acked(1_000.0));
        assert_eq!(grow(&mut control, 100..60_000, 200.0), 850.0, "unused rate stays as it is");
        control.raise(2_000_000.0);
        control.raise(1_000_000.0);
        assert_eq!(control.rate(), Bitrate::kbps(2_000));
        control.raise(200_000_000.0);
        assert!(control.rate().is_unlimited());
    }

    #[test]
    fn a_draining_queue_holds() {
        let mut control = RateControl::default();
        control.update(at(0), Usage::Over, acked(1_000.0));
        for n in 0..50 {
            control.update(at(100 + n * 100), Usage::Under, acked(1_000.0));
        }
        assert_eq!(control.rate(), Bitrate::kbps(850));
    }
}
