//! Conditions a run must not meet: `join_p95>500ms`, `loss>0.5%`. Checked against a finished report.

use super::report::Report;
use crate::condition::{self, Condition, ConditionError, Unit};
use serde::{Deserialize, Serialize};

/// A condition under which the run failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold(Condition);

/// What became of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub condition: String,
    /// In the metric's unit; absent if nothing was measured, which fails too.
    pub value: Option<f64>,
    /// `ms`, `%`, `bit/s` or nothing.
    pub unit: String,
    pub failed: bool,
}

type Read = fn(&Report) -> f64;

/// Figures with one value.
const SINGLE: [(&str, Unit, Read); 16] = [
    ("failed_joins", Unit::Count, |r| r.joins.failed as f64),
    ("failed_joins_percent", Unit::Percent, |r| r.joins.failed as f64 * 100.0 / (r.joins.attempted.max(1)) as f64),
    ("lost_sessions", Unit::Count, |r| r.lost_sessions.values().sum::<u64>() as f64),
    ("loss", Unit::Percent, |r| r.total.loss_percent),
    ("residual_loss", Unit::Percent, |r| r.total.residual_loss_percent),
    ("freezes", Unit::Count, |r| r.total.video_freezes as f64),
    ("audio_gaps", Unit::Count, |r| r.total.audio_gaps as f64),
    ("frozen", Unit::Percent, |r| r.total.frozen_percent),
    ("broken_frames", Unit::Count, |r| r.total.frames_broken as f64),
    ("timestamp_jumps", Unit::Count, |r| r.total.timestamp_jumps as f64),
    ("longest_gap", Unit::Ms, |r| r.total.longest_gap_ms),
    ("key_frame_wait", Unit::Ms, |r| r.total.key_frame_wait_max_ms),
    ("bitrate", Unit::Bps, |r| r.total.bitrate_bps),
    ("tracks", Unit::Percent, |r| r.total.tracks as f64 * 100.0 / (r.total.tracks_expected.max(1)) as f64),
    ("data_lost", Unit::Count, |r| r.total.data_lost as f64),
    ("tester_cpu", Unit::Percent, |r| r.tester.saturation_percent),
];

/// Percentiles of these are figures of their own: `latency_p99`, `join_max`.
const TIMES: [&str; 4] = ["latency", "start", "gap", "data_latency"];
const RANKS: [&str; 6] = ["p50", "p90", "p95", "p99", "max", "mean"];

fn names() -> String {
    let single = SINGLE.iter().map(|(name, ..)| (*name).to_owned());
    let times = TIMES.iter().chain(&super::stages::STAGES);
    single.chain(times.map(|name| format!("{name}_p95"))).collect::<Vec<_>>().join(", ")
}

const ALL: condition::Figures = condition::Figures { example: "join_p95>500ms or loss>0.5%", names, unit_of };

impl std::str::FromStr for Threshold {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Threshold, ConditionError> {
        Condition::parse(text, &ALL).map(Threshold)
    }
}

fn unit_of(metric: &str) -> Option<Unit> {
    if let Some((_, unit, _)) = SINGLE.iter().find(|(name, ..)| *name == metric) {
        return Some(*unit);
    }
    let (name, rank) = metric.rsplit_once('_')?;
    let known = TIMES.contains(&name) || super::stages::STAGES.contains(&name);
    (known && RANKS.contains(&rank)).then_some(Unit::Ms)
}

impl Threshold {
    pub fn check(&self, report: &Report) -> Verdict {
        let Threshold(condition) = self;
        let value = value_of(&condition.figure, report);
        let (text, unit) = (condition.text.clone(), condition.unit.name().to_owned());
        Verdict { condition: text, value, unit, failed: condition.is_met(value) }
    }
}

/// A figure by its name, `None` if nothing was measured.
pub fn value_of(metric: &str, report: &Report) -> Option<f64> {
    if let Some((.., read)) = SINGLE.iter().find(|(name, ..)| *name == metric) {
        return Some(read(report));
    }
    let (name, rank) = metric.rsplit_once('_')?;
    let times = match name {
        "latency" => Some(&report.total.latency_ms),
        "start" => Some(&report.total.start_ms),
        "gap" => Some(&report.total.gap_ms),
        "data_latency" => Some(&report.total.data_latency_ms),
        stage => report.joins.stages.get(stage),
    };
    times.filter(|t| t.count > 0)?.named(rank)
}

#[cfg(test)]
mod tests {
    use super::super::times::Percentiles;
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.total.loss_percent = 0.7;
        let join = Percentiles { count: 9, p95: 480.0, ..Percentiles::default() };
        report.joins.stages.insert("join".into(), join);
        report.joins.failed = 1;
        report
    }

    fn verdict(text: &str) -> Verdict {
        text.parse::<Threshold>().unwrap().check(&report())
    }

    #[test]
    fn conditions_are_checked_in_their_units() {
        assert!(verdict("loss>0.5%").failed && !verdict("loss > 1%").failed);
        assert!(!verdict("join_p95>500ms").failed && verdict("join_p95>0.4s").failed);
        assert!(verdict("failed_joins>0").failed && verdict("bitrate<1mbps").failed);
        assert_eq!(verdict("join_p95>500ms").value, Some(480.0));
    }

    #[test]
    fn what_was_not_measured_fails() {
        let verdict = verdict("latency_p99>50ms");
        assert!(verdict.failed && verdict.value.is_none());
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| text.parse::<Threshold>().unwrap_err().to_string();
        assert_eq!(error("loss"), "`loss` is no condition; write it like join_p95>500ms or loss>0.5%");
        assert!(error("lsos>1%").starts_with("there is no figure `lsos`; there are failed_joins, "));
        assert!(error("join_p42>1ms").starts_with("there is no figure `join_p42`"));
        assert!(error("join_p95>1%").starts_with("`join_p95` has no such unit"));
        assert!(error("join_p95>x").contains("is no condition"));
    }
}
