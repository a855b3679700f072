//! Conditions a probe must not meet: `join>500ms`, `loss>1%`. Checked against a finished report.

use super::meter::Measured;
use super::report::Report;
use crate::condition::{self, Condition, ConditionError, Unit};
use serde::Serialize;

/// A condition under which a probe failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold(Condition);

/// What became of one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub condition: String,
    /// Absent if nothing was measured, which fails too.
    pub value: Option<f64>,
    pub unit: &'static str,
    pub failed: bool,
}

type Read = fn(&Report) -> Option<f64>;

/// Figures of a report, by name.
const FIGURES: [(&str, Unit, Read); 6] = [
    ("join", Unit::Ms, |r| r.join_ms),
    ("loss", Unit::Percent, |r| worst(r, |m| m.loss_percent)),
    ("jitter", Unit::Ms, |r| worst(r, |m| m.jitter_ms)),
    ("latency_p50", Unit::Ms, |r| worst(r, |m| m.latency_p50_ms)),
    ("latency_p95", Unit::Ms, |r| worst(r, |m| m.latency_p95_ms)),
    ("data", Unit::Ms, |r| r.data.map(|d| d.median_ms)),
];

const ALL: condition::Figures = condition::Figures {
    example: "join>500ms or loss>1%",
    names: || FIGURES.map(|(name, ..)| name).join(", "),
    unit_of: |figure| FIGURES.iter().find(|(name, ..)| *name == figure).map(|(_, unit, _)| *unit),
};

fn worst(report: &Report, read: fn(&Measured) -> f64) -> Option<f64> {
    let both = report.audio.iter().chain(&report.video);
    both.map(read).reduce(f64::max)
}

impl std::str::FromStr for Threshold {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Threshold, ConditionError> {
        Condition::parse(text, &ALL).map(Threshold)
    }
}

impl Threshold {
    pub fn judge(&self, report: &Report) -> Verdict {
        let Threshold(condition) = self;
        let figure = FIGURES.iter().find(|(name, ..)| *name == condition.figure);
        let value = figure.and_then(|(.., read)| read(report));
        let (text, unit) = (condition.text.clone(), condition.unit.name());
        Verdict { condition: text, value, unit, failed: condition.is_met(value) }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.value {
            Some(value) => write!(f, "{}: it is {value:.1} {}", self.condition, self.unit),
            None => write!(f, "{}: it was not measured", self.condition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(join_ms: Option<f64>) -> Report {
        let audio = Some(Measured { loss_percent: 0.5, ..Measured::default() });
        let video = Some(Measured { loss_percent: 2.0, ..Measured::default() });
        Report { join_ms, audio, video, ..Report::new("ws://h", "r") }
    }

    fn failed(text: &str, report: &Report) -> bool {
        text.parse::<Threshold>().unwrap().judge(report).failed
    }

    #[test]
    fn the_worse_of_audio_and_video_counts() {
        let report = report(Some(400.0));
        assert!(failed("loss>1%", &report) && !failed("loss > 2%", &report));
        assert!(failed("join>0.3s", &report) && !failed("join>=500ms", &report) && failed("join<1s", &report));
    }

    #[test]
    fn what_was_not_measured_fails() {
        assert!(failed("join>10s", &report(None)) && failed("data>10s", &report(None)));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| text.parse::<Threshold>().unwrap_err().to_string();
        assert!(error("join").starts_with("`join` is no condition"));
        assert_eq!(
            error("lag>1s"),
            "there is no figure `lag`; there are join, loss, jitter, latency_p50, latency_p95, data"
        );
        assert_eq!(error("loss>1ms"), "`loss` has no such unit; it takes %");
    }
}
