//! Conditions a probe must not meet: `join>500ms`, `loss>1%`. Checked against a finished report.

use super::meter::Measured;
use super::report::Report;
use serde::Serialize;

/// A condition under which a probe failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    text: String,
    figure: Figure,
    above: bool,
    /// In the figure's unit.
    limit: f64,
}

/// What became of one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub condition: String,
    /// Absent if nothing was measured, which fails too.
    pub value: Option<f64>,
    pub unit: &'static str,
    pub failed: bool,
}

/// What is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    #[error("`{0}` is no condition; write it like join>500ms or loss>1%")]
    Form(String),
    #[error("there is no figure `{0}`; there are {list}", list = names())]
    Figure(String),
    #[error("`{0}` has no such unit; times take ms or s, loss %")]
    Unit(&'static str),
}

/// A figure of a report.
#[derive(Clone, Copy)]
struct Figure {
    name: &'static str,
    unit: &'static str,
    read: fn(&Report) -> Option<f64>,
}

impl std::fmt::Debug for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Figure {
    fn eq(&self, other: &Figure) -> bool {
        self.name == other.name
    }
}

fn worst(report: &Report, read: fn(&Measured) -> f64) -> Option<f64> {
    let both = report.audio.iter().chain(&report.video);
    both.map(read).reduce(f64::max)
}

const FIGURES: [Figure; 6] = [
    Figure { name: "join", unit: "ms", read: |r| r.join_ms },
    Figure { name: "loss", unit: "%", read: |r| worst(r, |m| m.loss_percent) },
    Figure { name: "jitter", unit: "ms", read: |r| worst(r, |m| m.jitter_ms) },
    Figure { name: "latency_p50", unit: "ms", read: |r| worst(r, |m| m.latency_p50_ms) },
    Figure { name: "latency_p95", unit: "ms", read: |r| worst(r, |m| m.latency_p95_ms) },
    Figure { name: "data", unit: "ms", read: |r| r.data.map(|d| d.median_ms) },
];

fn names() -> String {
    FIGURES.map(|figure| figure.name).join(", ")
}

impl std::str::FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Threshold, ThresholdError> {
        let wrong = || ThresholdError::Form(text.to_owned());
        let at = text.find(['>', '<']).ok_or_else(wrong)?;
        let (name, rest) = (text[..at].trim(), text[at + 1..].trim_start_matches('=').trim());
        let figure = FIGURES.into_iter().find(|figure| figure.name == name);
        let figure = figure.ok_or_else(|| ThresholdError::Figure(name.to_owned()))?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        let factor = factor(figure.unit, rest[end..].trim()).ok_or(ThresholdError::Unit(figure.name))?;
        Ok(Threshold { text: text.to_owned(), figure, above: text[at..].starts_with('>'), limit: number * factor })
    }
}

fn factor(unit: &str, given: &str) -> Option<f64> {
    match (unit, given) {
        ("ms", "ms") | ("%", "%") => Some(1.0),
        ("ms", "s") => Some(1_000.0),
        _ => None,
    }
}

impl Threshold {
    pub fn judge(&self, report: &Report) -> Verdict {
        let value = (self.figure.read)(report);
        let beyond = |value: f64| if self.above { value > self.limit } else { value < self.limit };
        Verdict { condition: self.text.clone(), value, unit: self.figure.unit, failed: value.is_none_or(beyond) }
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
        assert_eq!(error("loss>1ms"), "`loss` has no such unit; times take ms or s, loss %");
    }
}
