//! Is a queue growing? A line through the smoothed delays of the last bursts, and a threshold that adapts to how they vary
//! by nature (draft-ietf-rmcat-gcc-02 §5.3-5.4, with the trendline that browsers put in the place of the Kalman filter).

use super::arrival::Variation;
use std::collections::VecDeque;

/// Bursts the line is drawn through.
const WINDOW: usize = 20;
const SMOOTHING: f64 = 0.9;
/// The slope is weighed by the bursts seen, up to this many, and by the gain.
const BURSTS_MAX: u32 = 60;
const GAIN: f64 = 4.0;
const THRESHOLD_START: f64 = 12.5;
const THRESHOLD_MIN: f64 = 6.0;
const THRESHOLD_MAX: f64 = 600.0;
/// How quickly the threshold follows, per ms, upward and downward.
const FOLLOW_UP: f64 = 0.0087;
const FOLLOW_DOWN: f64 = 0.039;
/// A deviation further above the threshold than this is an event, not nature.
const OUTLIER: f64 = 15.0;
const FOLLOW_TIME_MAX_MS: f64 = 100.0;
/// Overuse must last, in ms of sending.
const OVERUSE_MS: f64 = 10.0;

/// What the delays say of the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    #[default]
    Normal,
    /// A queue grows.
    Over,
    /// A queue drains.
    Under,
}

#[derive(Clone, Debug)]
pub struct DelayTrend {
    /// (arrival in ms, smoothed delay in ms) since the first burst.
    points: VecDeque<(f64, f64)>,
    first_at_us: Option<i64>,
    accumulated_ms: f64,
    smoothed_ms: f64,
    bursts: u32,
    threshold: f64,
    threshold_at_us: Option<i64>,
    last_slope: f64,
    /// For how long the slope has been above the threshold, and in how many bursts.
    over_ms: Option<f64>,
    over_bursts: u32,
    usage: Usage,
    /// Overuse was found since the last poll.
    found_over: bool,
}

impl Default for DelayTrend {
    fn default() -> DelayTrend {
        DelayTrend {
            points: VecDeque::with_capacity(WINDOW),
            first_at_us: None,
            accumulated_ms: 0.0,
            smoothed_ms: 0.0,
            bursts: 0,
            threshold: THRESHOLD_START,
            threshold_at_us: None,
            last_slope: 0.0,
            over_ms: None,
            over_bursts: 0,
            usage: Usage::Normal,
            found_over: false,
        }
    }
}

impl DelayTrend {
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The usage to act on: overuse is told once each time it is found, for what follows may be the effect of having
    /// acted, or nothing at all.
    pub fn poll_usage(&mut self) -> Usage {
        match (std::mem::take(&mut self.found_over), self.usage) {
            (true, _) => Usage::Over,
            (false, Usage::Over) => Usage::Under,
            (false, usage) => usage,
        }
    }

    /// # Cost
    /// No allocation; some twenty multiplications.
    pub fn observe(&mut self, variation: &Variation) -> Usage {
        let slope = self.slope(variation);
        let sent_ms = variation.sent_us as f64 / 1_000.0;
        self.judge(slope, sent_ms, variation.at_us);
        self.usage
    }

    /// Delay gained per time, zero until the window is full.
    fn slope(&mut self, variation: &Variation) -> f64 {
        let first = *self.first_at_us.get_or_insert(variation.at_us);
        self.bursts = (self.bursts + 1).min(BURSTS_MAX);
        self.accumulated_ms += (variation.arrived_us - variation.sent_us) as f64 / 1_000.0;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.accumulated_ms;
        if self.points.len() == WINDOW {
            self.points.pop_front();
        }
        self.points.push_back(((variation.at_us - first) as f64 / 1_000.0, self.smoothed_ms));
        if self.points.len() == WINDOW { fit(&self.points).unwrap_or(self.last_slope) } else { self.last_slope }
    }

    fn judge(&mut self, slope: f64, sent_ms: f64, at_us: i64) {
        if self.bursts < 2 {
            return;
        }
        let weighed = f64::from(self.bursts) * slope * GAIN;
        if weighed > self.threshold {
            self.note_over(slope, sent_ms);
        } else {
            self.over_ms = None;
            self.over_bursts = 0;
            self.usage = if weighed < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.last_slope = slope;
        self.adapt(weighed, at_us);
    }

    fn note_over(&mut self, slope: f64, sent_ms: f64) {
        let lasted = self.over_ms.map_or(sent_ms / 2.0, |before| before + sent_ms);
        self.over_ms = Some(lasted);
        self.over_bursts += 1;
        if lasted > OVERUSE_MS && self.over_bursts > 1 && slope >= self.last_slope {
            self.over_ms = Some(0.0);
            self.over_bursts = 0;
            self.usage = Usage::Over;
            self.found_over = true;
        }
    }

    fn adapt(&mut self, weighed: f64, at_us: i64) {
        let elapsed_us = at_us - self.threshold_at_us.replace(at_us).unwrap_or(at_us);
        if weighed.abs() > self.threshold + OUTLIER {
            return;
        }
        let pace = if weighed.abs() < self.threshold { FOLLOW_DOWN } else { FOLLOW_UP };
        let elapsed_ms = (elapsed_us as f64 / 1_000.0).clamp(0.0, FOLLOW_TIME_MAX_MS);
        self.threshold += pace * (weighed.abs() - self.threshold) * elapsed_ms;
        self.threshold = self.threshold.clamp(THRESHOLD_MIN, THRESHOLD_MAX);
    }
}

/// The slope of the line with the least squared error; `None` if all points are of one time.
fn fit(points: &VecDeque<(f64, f64)>) -> Option<f64> {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let terms = |(above, below): (f64, f64), p: &(f64, f64)| {
        (above + (p.0 - mean_x) * (p.1 - mean_y), below + (p.0 - mean_x) * (p.0 - mean_x))
    };
    let (above, below) = points.iter().fold((0.0, 0.0), terms);
    (below > 0.0).then(|| above / below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const FRAME_US: i64 = 33_000;

    /// Feeds bursts a frame apart whose delay grows by `gain_us` each; after how many the usage was first `until`.
    fn run(trend: &mut DelayTrend, at: &mut i64, bursts: usize, gain_us: i64, until: Usage) -> Option<usize> {
        let mut first = None;
        for n in 1..=bursts {
            *at += FRAME_US + gain_us;
            trend.observe(&Variation { sent_us: FRAME_US, arrived_us: FRAME_US + gain_us, at_us: *at });
            if trend.usage() == until && first.is_none() {
                first = Some(n);
            }
        }
        first
    }

    #[test]
    fn a_growing_queue_is_noticed_and_a_draining_one_too() {
        let (mut trend, mut at) = (DelayTrend::default(), 0);
        assert_eq!(run(&mut trend, &mut at, 100, 0, Usage::Over), None);
        let noticed = run(&mut trend, &mut at, 20, 8_000, Usage::Over).expect("overuse");
        assert!(noticed <= 10, "after {noticed} frames");
        assert!(run(&mut trend, &mut at, 40, -8_000, Usage::Under).is_some());
        run(&mut trend, &mut at, 100, 0, Usage::Over);
        assert_eq!(trend.usage(), Usage::Normal);
    }

    #[test]
    fn jitter_is_no_queue() {
        for seed in 0..20 {
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut trend, mut at, mut late) = (DelayTrend::default(), 0, 0);
            for n in 0..600 {
                let next = rng.random_range(0..4_000);
                let gain = next - late;
                late = next;
                at += FRAME_US + gain;
                let usage = trend.observe(&Variation { sent_us: FRAME_US, arrived_us: FRAME_US + gain, at_us: at });
                assert!(usage != Usage::Over, "seed {seed}, burst {n}");
            }
        }
    }

    #[test]
    fn one_line_through_all_points() {
        let line: VecDeque<_> = (0..10).map(|n| (f64::from(n), 3.0 * f64::from(n) + 1.0)).collect();
        assert!((fit(&line).unwrap() - 3.0).abs() < 1e-9);
        assert_eq!(fit(&VecDeque::from([(1.0, 1.0), (1.0, 2.0)])), None);
    }
}
