//! Rates over the windows of `node_stats.stats_rate_measurement_intervals`, from samples of the counters.

use crate::limits::RATE_SAMPLES_MAX;
use crate::proto::{NodeStats, NodeStatsRate};
use std::collections::VecDeque;
use std::time::Duration;

pub struct History {
    windows_ms: Vec<i64>,
    samples_max: usize,
    samples: VecDeque<Sample>,
}

/// Statistics at some time, and CPU and memory load summed over time until then.
struct Sample {
    at_ms: i64,
    stats: NodeStats,
    cpu: f64,
    memory: f64,
    used: f64,
    total: f64,
}

impl History {
    pub fn new(windows: &[Duration], every: Duration) -> History {
        let windows_ms: Vec<i64> = windows.iter().map(|w| i64::try_from(w.as_millis()).unwrap_or(i64::MAX)).collect();
        let longest = windows.iter().max().copied().unwrap_or_default().as_secs_f64();
        let samples = (longest / every.as_secs_f64().max(0.1)).ceil() as usize + 2;
        History { windows_ms, samples_max: samples.min(RATE_SAMPLES_MAX), samples: VecDeque::new() }
    }

    /// One entry a window that is covered, up to these statistics. They are remembered.
    pub fn rates(&mut self, now_ms: i64, stats: &NodeStats) -> Vec<NodeStatsRate> {
        let now = self.samples.back().map_or_else(|| Sample::first(now_ms, stats), |last| last.next(now_ms, stats));
        let old_enough = |window: &i64| self.samples.iter().rev().find(|s| now.at_ms - s.at_ms >= *window);
        let rates = self.windows_ms.iter().filter_map(old_enough).map(|then| now.since(then)).collect();
        if self.samples.len() == self.samples_max {
            self.samples.pop_front();
        }
        self.samples.push_back(now);
        rates
    }
}

impl Sample {
    fn first(at_ms: i64, stats: &NodeStats) -> Sample {
        let stats = NodeStats { rates: Vec::new(), ..stats.clone() };
        Sample { at_ms, stats, cpu: 0.0, memory: 0.0, used: 0.0, total: 0.0 }
    }

    fn next(&self, at_ms: i64, stats: &NodeStats) -> Sample {
        let lasted = (at_ms - self.at_ms).max(0) as f64;
        let (used, total) = (stats.memory_used as f64, stats.memory_total as f64);
        Sample {
            cpu: self.cpu + lasted * f64::from(stats.cpu_load),
            memory: self.memory + lasted * used / total.max(1.0),
            used: self.used + lasted * used,
            total: self.total + lasted * total,
            ..Sample::first(at_ms, stats)
        }
    }

    fn since(&self, then: &Sample) -> NodeStatsRate {
        let lasted_ms = (self.at_ms - then.at_ms).max(1) as f64;
        let rate = |count: fn(&NodeStats) -> u64| {
            (count(&self.stats).saturating_sub(count(&then.stats)) as f64 * 1_000.0 / lasted_ms) as f32
        };
        let mean = |sum: fn(&Sample) -> f64| (sum(self) - sum(then)) / lasted_ms;
        NodeStatsRate {
            started_at: then.at_ms / 1_000,
            ended_at: self.at_ms / 1_000,
            duration: (self.at_ms - then.at_ms) / 1_000,
            bytes_in: rate(|s| s.bytes_in),
            bytes_out: rate(|s| s.bytes_out),
            packets_in: rate(|s| s.packets_in),
            packets_out: rate(|s| s.packets_out),
            nack_total: rate(|s| s.nack_total),
            sys_packets_out: rate(|s| s.sys_packets_out.into()),
            sys_packets_dropped: rate(|s| s.sys_packets_dropped.into()),
            cpu_load: mean(|s| s.cpu) as f32,
            memory_load: mean(|s| s.memory) as f32,
            memory_used: mean(|s| s.used) as f32,
            memory_total: mean(|s| s.total) as f32,
            ..NodeStatsRate::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(bytes_in: u64, cpu_load: f32) -> NodeStats {
        NodeStats { bytes_in, cpu_load, memory_total: 100, memory_used: 25, ..NodeStats::default() }
    }

    #[test]
    fn a_window_reaches_back_to_the_newest_sample_old_enough() {
        let mut history = History::new(&[Duration::from_secs(10), Duration::from_secs(4)], Duration::from_secs(2));
        assert!(history.rates(0, &stats(0, 0.0)).is_empty());
        assert!(history.rates(2_000, &stats(100, 0.5)).is_empty());
        let short = history.rates(5_000, &stats(1_000, 0.5));
        assert_eq!((short.len(), short[0].duration, short[0].bytes_in), (1, 5, 200.0));
        let both = history.rates(10_000, &stats(1_000, 1.0));
        assert_eq!(both.iter().map(|r| r.duration).collect::<Vec<_>>(), [10, 5]);
        assert_eq!((both[0].bytes_in, both[0].cpu_load, both[1].cpu_load), (100.0, 0.75, 1.0));
        assert_eq!((both[0].memory_load, both[0].memory_used), (0.25, 25.0));
    }

    #[test]
    fn history_is_bounded() {
        let mut history = History::new(&[Duration::from_secs(1 << 40)], Duration::ZERO);
        for at in 0..2 * RATE_SAMPLES_MAX as i64 {
            history.rates(at, &stats(0, 0.0));
        }
        assert_eq!(history.samples.len(), RATE_SAMPLES_MAX);
    }

    #[test]
    fn a_clock_set_back_divides_by_nothing() {
        let mut history = History::new(&[Duration::ZERO], Duration::from_secs(2));
        for at in [5_000, 5_000, 1_000] {
            assert!(history.rates(at, &stats(9, 0.1)).iter().all(|r| r.bytes_in.is_finite() && r.cpu_load.is_finite()));
        }
    }
}
