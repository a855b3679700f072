//! Durations counted in an HDR histogram, and what is told of them. Figures of many participants are percentiles
//! of all, never averages of percentiles.

use crate::client::stats::Latency;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Microseconds, three significant digits. Written down as its counts, so that what is read again is the same to the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Times(Histogram<u64>);

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Default for Times {
    fn default() -> Times {
        // Zero to five digits are allowed.
        Times(Histogram::new(3).unwrap_or_else(|_| unreachable!()))
    }
}

impl From<Vec<(u64, u64)>> for Times {
    fn from(counts: Vec<(u64, u64)>) -> Times {
        let mut times = Times::default();
        counts.into_iter().for_each(|(us, count)| times.note_us(us, count));
        times
    }
}

impl From<Times> for Vec<(u64, u64)> {
    fn from(times: Times) -> Vec<(u64, u64)> {
        times.0.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value())).collect()
    }
}

impl Times {
    /// Adds what another counted: the same as if all had been counted here.
    pub fn merge(&mut self, other: &Times) {
        // Only a histogram of fixed size can refuse; this one resizes itself.
        let _ = self.0.add(&other.0);
    }

    pub fn note(&mut self, time: Duration) {
        self.note_many(time, 1);
    }

    fn note_many(&mut self, time: Duration, count: u64) {
        self.note_us(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), count);
    }

    fn note_us(&mut self, us: u64, count: u64) {
        // It resizes itself; what does not fit at all is the largest there is.
        if self.0.record_n(us, count).is_err() {
            self.0.saturating_record_n(us, count);
        }
    }

    /// Adds the counts of a coarser histogram. A bucket counts as its upper bound, the highest as the maximum.
    pub fn add_latency(&mut self, latency: &Latency) {
        for (bound, count) in latency.buckets().filter(|(_, count)| *count > 0) {
            self.note_many(bound.min(latency.max), count);
        }
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time within which that percentage lies, 0 without any.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.0.value_at_percentile(percent).min(self.0.max()))
    }

    pub fn told(&self) -> Percentiles {
        let ms = |percent| self.percentile(percent).as_secs_f64() * 1000.0;
        Percentiles {
            count: self.count(),
            mean: self.0.mean() / 1000.0,
            p50: ms(50.0),
            p90: ms(90.0),
            p95: ms(95.0),
            p99: ms(99.0),
            max: ms(100.0),
        }
    }
}

impl Percentiles {
    /// The figure of that name: `p50`, `p90`, `p95`, `p99`, `max`, `mean`.
    pub fn named(&self, name: &str) -> Option<f64> {
        Some(match name {
            "mean" => self.mean,
            "p50" => self.p50,
            "p90" => self.p90,
            "p95" => self.p95,
            "p99" => self.p99,
            "max" => self.max,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut times = Times::default();
        (1..=1000).for_each(|ms| times.note(Duration::from_millis(ms)));
        let told = times.told();
        assert_eq!(told.count, 1000);
        for (figure, wanted) in [(told.p50, 500.0), (told.p90, 900.0), (told.p99, 990.0), (told.max, 1000.0)] {
            assert!((figure - wanted).abs() <= wanted / 1000.0, "{told:?}");
        }
        assert_eq!((told.named("p99"), told.named("p42")), (Some(told.p99), None));
    }

    /// Times of every size, told apart by `share`.
    fn part(share: u64, of: u64) -> Times {
        let mut times = Times::default();
        let all = (0..5_000_u64).map(|n| n * n * n % 40_000_003 + 1);
        all.enumerate()
            .filter(|(n, _)| *n as u64 % of == share)
            .for_each(|(_, us)| times.note(Duration::from_micros(us)));
        times
    }

    #[test]
    fn what_three_counted_is_what_one_would_have() {
        let mut merged = Times::default();
        for share in 0..3 {
            let text = serde_json::to_string(&part(share, 3)).unwrap();
            merged.merge(&serde_json::from_str(&text).unwrap());
        }
        let alone = part(0, 1);
        assert_eq!(merged.count(), 5_000);
        for percent in [0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
            assert_eq!(merged.percentile(percent), alone.percentile(percent), "{percent} %");
        }
        assert_eq!(merged, alone);
    }

    #[test]
    fn latencies_keep_their_maximum() {
        let mut latency = Latency::default();
        latency.note(Duration::from_millis(3));
        latency.note(Duration::from_secs(3));
        let mut times = Times::default();
        times.add_latency(&latency);
        let told = times.told();
        assert_eq!(told.count, 2);
        assert!((told.max - 3000.0).abs() <= 3.0 && told.p50 < 3.3, "{told:?}");
        assert_eq!(Times::default().told(), Percentiles::default());
    }
}
